"""The tables of docs/cost.md, for docs/readme.py, and those of what benchmarks/cost.py has measured here.

python benchmarks/cost_tables.py    # jobs, exponents, and predicted over measured seconds, from docs/cost.csv
"""

import sys
from pathlib import Path
from statistics import geometric_mean, mean

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import cost_model, cost_prediction, memory  # noqa: E402
from benchmarks.cost_prediction import Workload  # noqa: E402
from tuner import io  # noqa: E402

GROWN = {"rows": "rows", "tokens": "tokens a row"}
ADDED = 50  # megabytes
COUNTED = {"filter": "rows", "evaluate": "items"}  # all others count tokens


def series(measured: list[dict]) -> list[tuple[str, str]]:
    """Return the (stage, along) that were measured, in the table's order."""
    return list(dict.fromkeys((row["stage"], row["along"]) for row in measured))


def measurements(root: Path) -> str:
    """Return a row for each job: size, seconds and speed as means of the runs, peak memory as the largest."""
    measured = cost_model.read_table(root / "docs/cost.csv")
    lines = ["| stage | rows | tokens a row | seconds (each run) | a second | peak memory | of it before the work |"]
    lines.append("|:--|--:|--:|:--|--:|--:|--:|")
    for stage, along in series(measured):
        jobs: dict[tuple, list[dict]] = {}
        for row in measured:
            if (row["stage"], row["along"]) == (stage, along):
                jobs.setdefault((row["rows"], row["tokens"]), []).append(row)
        for (rows, tokens), runs in sorted(jobs.items()):
            speed = mean(run["work"] for run in runs) / mean(run["seconds"] for run in runs)
            each = ", ".join(f"{run['seconds']:.1f}" for run in runs)
            lines.append(
                f"| {stage} | {rows:,.0f} | {'' if tokens is None else f'{tokens:,.0f}'} | {each} | "
                f"{speed:,.0f} {COUNTED.get(stage, 'tokens')} | "
                f"{max(run['peak_megabytes'] for run in runs):,.0f} MB | "
                f"{mean(run['before_megabytes'] for run in runs):,.0f} MB |"
            )
    return "\n".join(lines) + "\n"


def exponents(root: Path) -> str:
    """Return the exponent k of value ~ size^k of each series, with its standard error.

    Memory: of what the work adds to the loaded model, where each job adds more than loading varies by (ADDED).
    """
    measured = cost_model.read_table(root / "docs/cost.csv")
    measured = [row | {"added": row["peak_megabytes"] - row["before_megabytes"]} for row in measured]
    lines = ["| stage | what grows | k of time | k of memory added |", "|:--|:--|--:|--:|"]
    for stage, along in series(measured):
        shown = []
        for value in ("seconds", "added"):
            points = cost_model.points(measured, stage, along, value)
            told = value == "seconds" or min(size for _, size in points) >= ADDED
            slope, error = cost_model.exponent(points) if told else (0, 0)
            shown.append(f"{slope:.2f} ± {error:.2f}" if told else f"one of its jobs adds less than {ADDED} MB")
        lines.append(f"| {stage} | {GROWN[along]} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def assumptions(root: Path) -> str:
    """Return what the prediction assumes: the rows, the shares, the cards."""
    work, config = Workload(), cost_model.EIGHT_BILLION
    needed = cost_prediction.training_gigabytes(config, work)
    cards = cost_prediction.gpus(root / "docs/gpus.csv")
    whole = work.instruction + work.template + work.answer
    lines = [
        f"- {work.rows:,} sampled rows: an instruction of {work.instruction} tokens, {work.template} more of the chat "
        f"template, an answer of {work.answer}. For preference pairs each prompt gets {work.per_prompt} answers.",
        f"- A model with the shapes of Llama 3.1 8B: {memory.parameters(config) / 1e9:.2f} billion weights, "
        f"{(cost_model.layer_weights(config) + cost_model.head_weights(config)) / 1e9:.2f} of them multiplied with "
        f"each token, in bfloat16; also as reward model. LoRA of rank {work.rank} on all linear maps, one epoch each.",
        f"- {100 * work.compute_share:.0f} % of the card's dense bfloat16 rate in products of many rows. Source: 38 "
        "to 43 % of it in Llama 3's own training ([arXiv 2407.21783](https://arxiv.org/abs/2407.21783)). That was full "
        "training by a team that tuned it; that one card with LoRA reaches as much is an assumption.",
        f"- {100 * work.bandwidth_share:.0f} % of the card's bandwidth while writing. Source: 1,397 of 2,039 GB/s with "
        "Llama 2 7B on an A100 80 GB ([gpt-fast](https://github.com/pytorch-labs/gpt-fast#benchmarks)), one row at a "
        "time; for many rows it is an assumption.",
        f"- Up to {work.at_once} rows at once (`generate.chunk` and `runtime.sample_rows`: {work.at_once}), in nine "
        "tenths of the memory, by an engine that pages its cache (vLLM behind `engine: server`). Those sampled "
        "together wait for the longest of them, which is left out. No speculative decoding, no eight-bit weights.",
        "- One method is trained, on every sampled row. Not counted: `verify`'s sampling and the rows that it adds, "
        "the evaluation, validation on the way.",
        f"- Training one row at a time takes {needed['train']:.0f} GB, one pair at a time {needed['dpo']:.0f} GB "
        "(`benchmarks/memory.py`); no activation is computed twice, so what has no room needs shorter rows, "
        "checkpointing (up to half as many operations more) or `quantize: nf4`.",
        "- The price is nobody's offer: put yours into `docs/gpus.csv`.",
        "",
        "| card | memory | bandwidth | dense bfloat16 | price an hour | rows at once |",
        "|:--|--:|--:|--:|--:|--:|",
    ]
    for name, (device, price) in cards.items():
        at_once = cost_model.rows_at_once(config, device, whole, 2, work.at_once)
        lines.append(
            f"| {name} | {device.memory / 1e9:.0f} GB | {device.bandwidth / 1e9:,.0f} GB/s | "
            f"{device.compute / 1e12:,.0f} TFLOP/s | {price:.2f} | {at_once} |"
        )
    return "\n".join(lines) + "\n"


def prediction(root: Path) -> str:
    """Return hours and price of each stage on each card, and what comes before: rows that are dropped, filtering."""
    kept = io.read_json(root / "metrics/filter.json")
    claims, measured = io.read_json(root / "benchmarks/results.json"), cost_model.read_table(root / "docs/cost.csv")
    speed = claims["filter_rows_per_cpu_second_1000000"]["value"]
    slower = cost_prediction.slowed(cost_prediction.measured_device(claims), Workload())
    known = [one for one in series(measured) if one[0] not in COUNTED]
    found = [ratio for one in known for _, ratio in cost_prediction.ratios(measured, slower, *one)]
    return (
        cost_prediction.shown_gpus(root / "docs/gpus.csv", Workload())
        + f"\nA million *sampled* rows. Of the default run's, {100 * kept['kept'] / kept['in']:.0f} % pass the "
        f"filters; at such a share a million kept ones take {kept['in'] / kept['kept']:.1f} times `generate`. "
        f"Filtering a million like the default run's takes one core {1e6 / speed / 60:.0f} minutes.\n\n"
        f"With those shares of this CPU's own rates, the formulas gave {min(found):.2f} to {max(found):.2f} times "
        "what a job took on it (below: the means of each series). If they are as far off on a card, an hour of the "
        f"table is {60 / max(found):.0f} to {60 / min(found):.0f} minutes.\n"
    )


def _mean_ratio(measured: list[dict], device: cost_model.Device, stage: str, along: str) -> float:
    return geometric_mean(ratio for _, ratio in cost_prediction.ratios(measured, device, stage, along))


def check(root: Path) -> str:
    """Return predicted over measured seconds on this machine, at its measured rates and at the assumed shares."""
    measured = cost_model.read_table(root / "docs/cost.csv")
    claims = io.read_json(root / "benchmarks/results.json")
    device = cost_prediction.measured_device(claims)
    slower = cost_prediction.slowed(device, Workload())
    lines = [
        f"This machine ({claims['device_matrix_products']['machine']}): {device.compute / 1e9:,.0f} GFLOP/s in float32 "
        f"products of the model's commonest shape, {device.bandwidth / 1e9:,.1f} GB/s read by a product of a matrix "
        "and a vector. Above 1, the prediction is too slow; below 1, too fast.",
        "",
        "| stage | what grows | at the measured rates, by size | mean | at the assumed shares of them, mean |",
        "|:--|:--|:--|--:|--:|",
    ]
    for stage, along in series(measured):
        if stage in COUNTED:
            continue
        full = cost_prediction.ratios(measured, device, stage, along)
        sizes = ", ".join(f"{size:,.0f}: {ratio:.2f}" for size, ratio in full)
        means = [_mean_ratio(measured, one, stage, along) for one in (device, slower)]
        lines.append(f"| {stage} | {GROWN[along]} | {sizes} | {means[0]:.2f} | {means[1]:.2f} |")
    return "\n".join(lines) + "\n"


BLOCKS = {
    "measurements": measurements,
    "exponents": exponents,
    "assumptions": assumptions,
    "prediction": prediction,
    "check": check,
}

if __name__ == "__main__":
    if not (ROOT / "docs/cost.csv").exists():
        sys.exit("docs/cost.csv: missing; python benchmarks/cost.py generate (and the other stages) writes it")
    print("\n".join(block(ROOT) for block in (measurements, exponents, check)), end="")
