"""How often does a sampled row change when it is sampled in another batch?

A row is a function of (seed, index), and the pipeline fixes its batches by index, so resumes and quotas give the same
bytes. What rounding would do in other batches is measured here: the same rows, sampled in batches of other sizes and in
reverse order, compared token by token with the pipeline's own.

python benchmarks/row_stability.py [--model models/smollm2-135m] [--rows 128] [--engine openvino transformers]
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import results
from tuner import engine, params, template
from tuner.seeds import row_seed


def sampled(sampler, sampling, order: list[int], size: int) -> dict[int, tuple]:
    """Return row -> its tokens, the rows sampled in this order, so many at once."""
    prefix, found = template.pre_query_ids(sampler.tokenizer), {}
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        seeds = [row_seed(0, "instruction", row, 0) for row in rows]
        samples = sampler.sample([prefix] * len(rows), seeds, [sampling] * len(rows))
        found |= {row: (*sample.ids, sample.finish) for row, sample in zip(rows, samples, strict=True)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=Path("models/smollm2-135m"))
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--engine", nargs="+", default=["openvino", "transformers"])
    arguments = parser.parse_args()
    settings = params.load("params.yaml")
    rows = list(range(arguments.rows))
    for name in arguments.engine:
        sampler = engine.load(name, arguments.model, settings.runtime)
        cell, chunk = settings.generate.instruction[-1], settings.generate.chunk
        wanted = sampled(sampler, cell, rows, chunk)
        plans = {
            "again": (rows, chunk),
            "reversed": (rows[::-1], chunk),
            "batches_of_16": (rows, 16),
            "alone": (rows, 1),
        }
        for plan, (order, size) in plans.items():
            few = order[:16] if size == 1 else order
            found = sampled(sampler, cell, few, size)
            changed = sum(found[row] != wanted[row] for row in few)
            print(f"{name}, {plan}: {changed} of {len(few)} rows differ")
            results.record(
                f"rows_changed_{name}_{plan}", value=round(changed / len(few), 4), unit="share of rows", rows=len(few)
            )


if __name__ == "__main__":
    main()
