"""How well the filters tell good rows from bad ones, on rows that were labelled by reading them.

    python benchmarks/filter_quality.py

Prints precision and recall for each filter and for all of them, on the rows the thresholds were tuned on (half of the
first labels, and all later ones) and on the half that was kept for this report, and merges the latter into
benchmarks/results.json. The labels and how they were made: tests/labels/README.md.

A row is bad if it has any labelled defect. The labels leave truncation aside, so the filter `truncated` does too, and
so does an answer's length where the answer was never asked for because the instruction was cut. Precision is the share
of flagged rows that are bad, whatever the defect. Recall is the share of bad rows that are flagged; a filter's own
recall is of the rows with the defects it looks for.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import results  # noqa: E402
from tuner import filters, params, statistics  # noqa: E402

LABELS = ROOT / "tests" / "labels" / "rows.jsonl"
MORE = LABELS.with_name("more.jsonl")  # rows of another run, all for tuning
# SmolLM2's control tokens, which wrote the rows
SPECIAL_TOKENS = (
    "<empty_output> <file_sep> <filename> <gh_stars> <issue_closed> <issue_comment> <issue_start> <jupyter_code>"
    " <jupyter_output> <jupyter_script> <jupyter_start> <jupyter_text> <repo_name> <reponame> <|endoftext|> <|im_end|>"
    " <|im_start|>"
).split()
# the labelled defects that a filter looks for; the others (length, echo, duplicates, …) have no label of their own
LOOKS_FOR = {
    "template_leak": {"template_leak"},
    "incomplete_instruction": {"incomplete_instruction", "not_instruction"},
    "modality": {"impossible_modality"},
    "refusal": {"no_answer"},
    "identity": {"identity_leak"},
    "repetition": {"repetition"},
    "characters": {"character_junk"},
    "language": {"other_language"},
}


def read_labels(path: Path = LABELS) -> list[dict]:
    """The labelled rows: id, half, both texts, how sampling ended, `defects`, `useless`, `note`."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def objections(rows: Iterable[dict], settings: Any) -> dict[int, set[str]]:
    """Row id -> the filters that object to it when asked alone, truncation and what follows from it left aside."""
    memory = filters.begin(settings, SPECIAL_TOKENS)
    found = {}
    for row in rows:
        verdicts = filters.all_verdicts(row, memory)
        verdicts.pop("truncated", None)
        if row["response_finish"] == "skipped" and verdicts.get("length") == {"response_words": 0}:
            del verdicts["length"]
        found[row["id"]] = set(verdicts)
    return found


def share(count: int, total: int) -> dict[str, Any]:
    """count, total, their ratio (None of nothing) and its 95 % Wilson interval."""
    low, high = statistics.wilson(count, total)
    ratio = round(count / total, 4) if total else None
    return {"count": count, "of": total, "share": ratio, "low": round(low, 4), "high": round(high, 4)}


def score(rows: list[dict], found: Mapping[int, set[str]]) -> dict[str, dict[str, Any]]:
    """Filter (and "all") -> `precision`, `recall` (of bad rows) and, where it has defects of its own, `own_recall`."""
    bad = {row["id"] for row in rows if row["defects"]}
    scores = {}
    for name in ["all", *(name for name, _ in filters.FILTERS if name != "truncated")]:
        flagged = {row["id"] for row in rows if (found[row["id"]] if name == "all" else name in found[row["id"]])}
        scores[name] = {
            "precision": share(len(flagged & bad), len(flagged)),
            "recall": share(len(flagged & bad), len(bad)),
        }
        if own := LOOKS_FOR.get(name):
            wanted = {row["id"] for row in rows if own & set(row["defects"])}
            scores[name]["own_recall"] = share(len(flagged & wanted), len(wanted))
    return scores


def both_halves(rows: list[dict], settings: Any) -> dict[str, dict[str, dict[str, Any]]]:
    """Half ("tune", "report") -> its `score`. The halves are judged apart: neither's rows are the other's twins."""
    halves = {half: [row for row in rows if row["half"] == half] for half in ("tune", "report")}
    return {half: score(some, objections(some, settings)) for half, some in halves.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--params", default=ROOT / "params.yaml", type=Path, help="the file with the filter settings")
    parser.add_argument("--no-record", action="store_true", help="leave benchmarks/results.json alone")
    options = parser.parse_args()
    settings = params.load(options.params).filter
    more = read_labels(MORE)
    scores = {"more": score(more, objections(more, settings)), **both_halves(read_labels(), settings)}
    for half, of_half in scores.items():
        print(f"\n{half}: flagged rows that are bad, bad rows that are flagged, rows with its defects flagged")
        for name, measures in of_half.items():
            shown = (f"{m['count']:3d}/{m['of']:3d} [{m['low']:.2f}, {m['high']:.2f}]" for m in measures.values())
            print(f"  {name:24s}", "   ".join(shown))
    if options.no_record:
        return
    for measure in ("precision", "recall"):
        of_all = scores["report"]["all"][measure]
        interval = {"low": of_all["low"], "high": of_all["high"], "rows": of_all["of"]}
        results.record(f"filter_{measure}", value=of_all["share"], unit="share of rows", **interval)
    rows = read_labels()
    found = objections(rows, settings)
    passed = [row for row in rows if not found[row["id"]]]
    useless = share(sum(row["useless"] for row in passed), len(passed))
    interval = {"low": useless["low"], "high": useless["high"], "rows": useless["of"]}
    results.record("useless_without_objection", value=useless["share"], unit="share of rows", **interval)


if __name__ == "__main__":
    main()
