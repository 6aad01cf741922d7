"""Do items that share something go together? The design effect of every grouping of the evaluation's items.

    python benchmarks/clusters.py [--items data/evaluate]

The variance of a method's difference to base when groups are drawn, over that when items are (1: the grouping does not
matter), for the rows of one evaluation, with the p-value of as large a value among random groups of the same sizes.
Recorded is the mean over the methods, with the largest and the smallest p. Takes some seconds.
"""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import results  # noqa: E402
from tuner import io  # noqa: E402

PERMUTATIONS = 2000


def design_effect(differences: np.ndarray, weights: np.ndarray, groups: list[str]) -> tuple[float, float]:
    """Return (design effect, p) of a weighted mean of differences (items,)."""
    place = np.unique(groups, return_inverse=True)[1]
    count = place.max() + 1
    residual = weights * (differences - np.average(differences, weights=weights))
    alone = np.sum(residual**2) * len(residual) / (len(residual) - 1)

    def effect(places: np.ndarray) -> float:
        return float(np.sum(np.bincount(places, residual, minlength=count) ** 2) * count / (count - 1) / alone)

    rng = np.random.default_rng(0)
    found = effect(place)
    above = sum(effect(rng.permutation(place)) >= found for _ in range(PERMUTATIONS))
    return found, (above + 1) / (PERMUTATIONS + 1)


def entity(row: dict) -> str:
    """Return the capitalised name or the chemical element that a knowledge item asks about, else its id."""
    names = re.findall(r"(?<!^)(?<!\. )\b[A-Z][a-z]{2,}(?: [A-Z][a-z]+)*", f"{row['question']} is")
    return names[-1] if names else row["id"]


GROUPINGS: dict[str, tuple[str, Callable[[dict], str]]] = {
    "loss_by_source": ("loss", lambda row: row["id"].split("-")[1]),
    "knowledge_by_entity": ("knowledge", entity),
    "knowledge_by_axis": ("knowledge", lambda row: row["axis"]),
    "instruction_following_by_family": ("instruction_following", lambda row: row["axis"]),
    "agent_by_axis": ("agent", lambda row: row["axis"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=Path, default=ROOT / "data/evaluate")
    folder = parser.parse_args().items
    rows = {file.stem: {row["id"]: row for row in io.read_jsonl(file)} for file in sorted(folder.glob("*.jsonl"))}
    base = rows.pop("base")
    for name, (suite, group) in GROUPINGS.items():
        items = [row for row in base.values() if row["suite"] == suite]
        groups = [group(row) for row in items]
        weights = np.array([float(row.get("tokens", 1)) for row in items])
        found = []
        for method in rows.values():
            if suite == "loss":
                gained = [method[row["id"]]["nll"] - row["nll"] for row in items] / weights
            else:
                gained = np.array([float(method[row["id"]]["correct"]) - float(row["correct"]) for row in items])
            found.append(design_effect(gained, weights, groups))
        effects, p_values = zip(*found, strict=True)
        print(f"{name}: {np.mean(effects):.2f}, most {max(effects):.2f}, smallest p {min(p_values):.4f}", flush=True)
        results.record(
            f"design_effect_{name}",
            value=round(float(np.mean(effects)), 3),
            unit="variance of groups over variance of items",
            largest=round(max(effects), 3),
            smallest_p=round(min(p_values), 4),
            groups=len(set(groups)),
            items=len(items),
            command="python benchmarks/clusters.py",
        )


if __name__ == "__main__":
    main()
