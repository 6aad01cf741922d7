"""Do the intervals cover what they promise, and does a family of tests keep its 5 %? By simulation.

    python benchmarks/coverage.py [items] [seeds] [families]

Every case draws data whose true difference is known and counts how often the 95 % interval holds it; all of them should
lie between 93 and 97 %. Beside the intervals in use stand the simpler ones that were not taken: the bootstrap of items
that ignores their sources, and the hierarchical bootstrap that draws seeds and items together. All of it takes some
five minutes.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import results  # noqa: E402
from tuner import compare, statistics  # noqa: E402

RUNS = 2000  # a coverage of 95 % is then known to half a point (one standard error)
PEER_RUNS = 300  # of what is not in use
RESAMPLES = 1000
FAMILIES = 200
ALPHA = 0.05
# Validation rows of each kept row in the default run: twelve sources, 60 rows.
SOURCES = np.repeat(np.arange(12), (11, 10, 10, 8, 8, 7, 1, 1, 1, 1, 1, 1))


def share(covers: Callable[[np.random.Generator, int], bool], runs: int = RUNS) -> float:
    """Return how often `covers(rng, run)` is true."""
    rng = np.random.default_rng(0)
    return sum(covers(rng, run) for run in range(runs)) / runs


def holds(found: dict[str, float], truth: float) -> bool:
    return bool(found["low"] <= truth <= found["high"])


def tango(n: int, discordance: float, difference: float) -> float:
    def covers(rng, _):
        gains, losses, _ = rng.multinomial(
            n, [(discordance + difference) / 2, (discordance - difference) / 2, 1 - discordance]
        )
        low, high = statistics.tango_interval(int(gains), int(losses), n, ALPHA)
        return low <= difference <= high

    return share(covers)


def losses(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (differences, tokens) of n rows: skewed, a row's noise falling with its length; the true mean is 0."""
    tokens = rng.integers(5, 250, n).astype(float)
    return (rng.exponential(1.0, n) - 1) * 0.2 + rng.normal(0, 1, n) / np.sqrt(tokens), tokens


def bootstrap(n: int) -> float:
    def covers(rng, run):
        found, tokens = losses(rng, n)
        options = {"weights": tokens, "seed": run, "resamples": RESAMPLES, "alpha": ALPHA}
        return holds(statistics.paired_bootstrap(np.zeros(n), found, **options), 0.0)

    return share(covers)


def sources(clustered: bool) -> float:
    def covers(rng, run):
        found, tokens = losses(rng, len(SOURCES))
        found = found + rng.normal(0, 0.25, 12)[SOURCES]
        options = {"weights": tokens, "seed": run, "resamples": RESAMPLES, "alpha": ALPHA}
        clusters = SOURCES if clustered else None
        return holds(statistics.paired_bootstrap(np.zeros(len(found)), found, clusters=clusters, **options), 0.0)

    return share(covers)


def right_and_wrong(rng: np.random.Generator, seeds: int, n: int, spread: float) -> np.ndarray:
    """Return differences (seeds, n) of 0/1 results of a method against base; the true mean is 0.

    `spread` is the standard deviation of a training run's effect, in units of the logistic scale of an item.
    """
    item = rng.normal(0, 1, n)
    base = item + rng.normal(0, 0.6, n) > 0
    runs = item + rng.normal(0, spread, (seeds, 1)) + rng.normal(0, 0.6, (seeds, n)) > 0
    return runs.astype(float) - base


def hierarchical(values: np.ndarray, rng: np.random.Generator, resamples: int = 400) -> dict[str, float]:
    """The plain hierarchical bootstrap: seeds and items drawn with replacement, percentiles of the mean."""
    drawn = [rng.multinomial(size, [1 / size] * size, resamples) / size for size in values.shape]
    low, high = np.quantile(np.einsum("rs,sn,rn->r", drawn[0], values, drawn[1], optimize=True), [0.025, 0.975])
    return {"low": float(low), "high": float(high)}


def seeds_and_items(seeds: int, n: int, spread: float, *, ours: bool) -> float:
    def covers(rng, run):
        values = right_and_wrong(rng, seeds, n, spread)
        if not ours:
            return holds(hierarchical(values, rng), 0.0)
        return holds(statistics.over_seeds_and_items(values, seed=run, resamples=RESAMPLES, alpha=ALPHA), 0.0)

    return share(covers, RUNS if ours else PEER_RUNS)


def made_results(rng: np.random.Generator, seeds: int) -> dict[str, dict]:
    """Return results for `compare.compare` in which no method differs from base: 60 losses of 12 sources, 865 items."""
    tokens = rng.integers(5, 250, 60)
    start, skill = rng.normal(2.0, 0.3, 60), {"instruction_following": 285, "knowledge": 500, "agent": 80}
    levels = {suite: rng.normal(0, 1, n) for suite, n in skill.items()}

    def rows(trained: bool, seed: int) -> list[dict]:
        nats = start + (rng.normal(0, 0.1, 12)[SOURCES] + rng.normal(0, 0.15, 60) if trained else 0)
        found = [
            {"id": f"loss-{i}", "suite": "loss", "source": int(SOURCES[i]), "nll": nats[i] * tokens[i]}
            | {"tokens": int(tokens[i]), "seed": seed}
            for i in range(60)
        ]
        for suite, level in levels.items():
            effect = rng.normal(0, 0.05) if trained and seeds > 1 else 0.0
            right = level + effect + rng.normal(0, 0.6, len(level)) > 0
            found += [
                {"id": f"{suite}-{i}", "suite": suite, "axis": suite, "correct": bool(one), "seed": seed}
                for i, one in enumerate(right)
            ]
        return found

    methods = {name: [row for s in range(seeds) for row in rows(True, s)] for name in ("a", "b", "c", "d")}
    return {name: {"items": items} for name, items in {"base": rows(False, 0), **methods}.items()}


def family(seeds: int, runs: int) -> tuple[float, float]:
    """Return how often any test of a comparison without differences gets a verdict: against base, between methods."""
    pairs = [("b", "a"), ("c", "a"), ("d", "a"), ("c", "b"), ("d", "b"), ("d", "c")]
    wrong = []
    for run in range(runs):
        rng = np.random.default_rng(run)
        table = compare.compare(made_results(rng, seeds), pairs=pairs, seed=run, resamples=1000, alpha=ALPHA)
        families = compare.contrasts(table), [key for key, _, _ in compare.paired_contrasts(table)]
        verdicts = [{cell["verdict"] for key in keys for cell in table[key].values()} for keys in families]
        wrong.append([found != {"no evidence"} for found in verdicts])
    return tuple(np.mean(wrong, axis=0).tolist())


def main() -> None:
    def record(name: str, value: float, peer: float | None = None, peer_version: str | None = None, **more) -> None:
        print(f"{name}: {value:.3f}" + ("" if peer is None else f" ({peer_version}: {peer:.3f})"), flush=True)
        unit = "share of intervals that hold the truth" if name.startswith("coverage") else "share of families"
        results.record(name, value=value, unit=unit, peer=peer, peer_version=peer_version, **more)

    cases = sys.argv[1:] or ["items", "seeds", "families"]
    for n in (40, 80, 285) if "items" in cases else ():
        found = [tango(n, d, e) for d, e in ((0.1, 0.0), (0.2, 0.0), (0.2, 0.1), (0.3, 0.1), (0.4, 0.2))]
        record(f"coverage_tango_{n}", min(found, key=lambda one: -abs(one - 0.95)), runs=RUNS, cases=len(found))
    if "items" in cases:
        for n in (60, 285):
            record(f"coverage_bootstrap_{n}", bootstrap(n), runs=RUNS)
        record("coverage_sources_12", sources(True), sources(False), "bootstrap that ignores sources", runs=RUNS)
    for seeds in (3, 5) if "seeds" in cases else ():
        for spread in (0.0, 0.1, 0.2, 0.4):
            found = [seeds_and_items(seeds, 285, spread, ours=ours) for ours in (True, False)]
            counts = {"runs": RUNS, "peer_runs": PEER_RUNS}
            record(f"coverage_{seeds}_seeds_spread_{spread:g}", *found, "hierarchical percentile bootstrap", **counts)
        record(f"coverage_{seeds}_seeds_40_items", seeds_and_items(seeds, 40, 0.1, ours=True), runs=RUNS)
    for seeds in (1, 3) if "families" in cases else ():
        for name, found in zip(("", "_between"), family(seeds, FAMILIES), strict=True):
            record(f"false_verdicts{name}_{seeds}_seeds", found, runs=FAMILIES)


if __name__ == "__main__":
    main()
