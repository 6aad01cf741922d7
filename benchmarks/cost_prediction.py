"""What a million rows would take on a GPU, and how far the same formulas are from what was measured here.

    python benchmarks/cost_prediction.py                                # the table of docs/cost.md
    python benchmarks/cost_prediction.py --gpus mine.csv --answer 512   # for other cards, prices or rows

No GPU was at hand: what is printed for one is computed from docs/gpus.csv and from the shares below, not measured.
"""

import argparse
import csv
import math
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import geometric_mean

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import cost_model, memory  # noqa: E402
from benchmarks.cost_model import Device  # noqa: E402
from tuner.errors import UserError  # noqa: E402

# Of the jobs that benchmarks/cost.py measures, with the default model and params.yaml.
CHUNK = 64  # rows that are sampled together (generate.chunk)
MAGPIE_PREFIX, TRAIN_PROMPT = 24, 33  # tokens before what is sampled, and before what is learned
TRAIN_ROWS, FORWARD_TOKENS = 2, 512  # of one step, and of one pass: rows in one pass share the prompt


@dataclass(frozen=True)
class Workload:
    """What is predicted: `rows` sampled rows, lengths in tokens."""

    rows: int = 1_000_000
    instruction: int = 50
    template: int = 40  # tokens that the chat template adds to an instruction, a system prompt included
    answer: int = 300
    per_prompt: int = 4  # answers to a prompt that a preference pair is chosen from
    rank: int = 8
    at_once: int = 256  # rows that the engine writes at once, where they have room; vLLM's max_num_seqs is of this size
    compute_share: float = 0.40  # of the card's dense bfloat16 operations, in products of many rows
    bandwidth_share: float = 0.69  # of the card's bandwidth, while writing


def gpus(path: Path) -> dict[str, tuple[Device, float]]:
    """Return name -> (device at its data sheet's rates, price an hour) from a table like docs/gpus.csv.

    UserError where it is none.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {
                row["gpu"]: (
                    Device(
                        compute=float(row["dense_bfloat16_teraflops"]) * 1e12,
                        bandwidth=float(row["bandwidth_gigabytes_per_second"]) * 1e9,
                        memory=float(row["memory_gigabytes"]) * 1e9,
                    ),
                    float(row["price_per_hour"]),
                )
                for row in csv.DictReader(file)
            }
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a table like docs/gpus.csv: {error}") from None


def slowed(device: Device, work: Workload) -> Device:
    """Return the device at the rates that work is assumed to reach."""
    return replace(
        device, compute=device.compute * work.compute_share, bandwidth=device.bandwidth * work.bandwidth_share
    )


def seconds(config: dict, device: Device, work: Workload, width: int = 2) -> dict[str, float]:
    """Return stage -> seconds of all rows at the device's rates; generate is inf where the weights have no room."""
    prompt = work.instruction + work.template
    whole = prompt + work.answer
    at_once = cost_model.rows_at_once(config, device, whole, width, work.at_once)
    if not at_once:
        return dict.fromkeys(("generate", "candidates", "score", "train", "dpo"), math.inf)

    def written(rows: int, read: int, new: int) -> float:
        return cost_model.decode_seconds(config, device, rows=rows, at_once=at_once, prompt=read, new=new, width=width)

    reading = work.rows * cost_model.forward_flops(config, prompt, 1) / device.compute
    answers = work.rows * work.per_prompt
    scored = cost_model.forward_flops(config, whole, 0)
    trained = cost_model.lora_flops(config, whole, work.answer, work.rank)
    # A pair is two rows whose prompt is computed once; the reference reads it as well, forward alone.
    pair = 2 * trained - cost_model.lora_flops(config, prompt, 0, work.rank)
    reference = 2 * cost_model.forward_flops(config, whole, work.answer) - cost_model.forward_flops(config, prompt, 0)
    return {
        "generate": written(work.rows, work.template, work.instruction)
        + reading
        + written(work.rows, prompt, work.answer),
        "candidates": reading + written(answers, prompt, work.answer),
        "score": answers * scored / device.compute,
        "train": work.rows * trained / device.compute,
        "dpo": work.rows * (pair + reference) / device.compute,
    }


def training_gigabytes(config: dict, work: Workload) -> dict[str, float]:
    """Return stage -> gigabytes of a step of one row (train) or one pair (dpo), by benchmarks/memory.py."""
    whole = work.instruction + work.template + work.answer
    return {
        stage: sum(
            memory.training_megabytes(
                config, width=2, rank=work.rank, tokens=rows * whole, supervised=rows * work.answer
            ).values()
        )
        / 1000
        for stage, rows in (("train", 1), ("dpo", 2))
    }


def shown_gpus(path: Path, work: Workload) -> str:
    """Return the table of predictions: hours and price of each stage, and what has no room in the memory."""
    config, cards = cost_model.EIGHT_BILLION, gpus(path)
    needed = training_gigabytes(config, work)
    found = {name: seconds(config, slowed(device, work), work) for name, (device, _) in cards.items()}

    def cell(name: str, stages: list[str]) -> str:
        device, price = cards[name]
        hours = sum(found[name][stage] for stage in stages) / 3600
        if math.isinf(hours) or any(needed.get(stage, 0) > 0.9 * device.memory / 1e9 for stage in stages):
            return "no room" if math.isinf(hours) else f"({hours:,.0f} h, {price * hours:,.0f}), no room"
        return f"{hours:,.0f} h, {price * hours:,.0f}" if hours >= 10 else f"{hours:.1f} h, {price * hours:,.0f}"

    stages = list(next(iter(found.values())))
    lines = ["| stage | " + " | ".join(cards) + " |", "|:--|" + "--:|" * len(cards)]
    for label, which in [*((stage, [stage]) for stage in stages), ("all five", stages)]:
        lines.append(f"| {label} | " + " | ".join(cell(name, which) for name in cards) + " |")
    return "\n".join(lines) + "\n"


def measured_device(claims: dict) -> Device:
    """Return the machine that `python benchmarks/cost.py device` measured."""
    return Device(
        compute=claims["device_matrix_products"]["value"] * 1e9,
        bandwidth=claims["device_memory_bandwidth"]["value"] * 1e9,
    )


def job_seconds(row: dict, device: Device) -> float:
    """Return what the formulas predict for a measured job of generate, score or train (a row of docs/cost.csv)."""
    config, rows = cost_model.SMALL, int(row["rows"])
    tokens = round(row["work"] / rows)
    if row["stage"] == "generate":
        chunks = math.ceil(rows / CHUNK)
        return cost_model.decode_seconds(
            config, device, rows=rows, at_once=math.ceil(rows / chunks), prompt=MAGPIE_PREFIX, new=tokens, width=4
        )
    if row["stage"] == "score":
        return rows * cost_model.forward_flops(config, tokens, 0) / device.compute
    together = max(1, min(TRAIN_ROWS, FORWARD_TOKENS // tokens))
    flops = rows * cost_model.lora_flops(config, tokens, tokens - TRAIN_PROMPT, rank=8)
    spared = rows * (1 - 1 / together) * cost_model.lora_flops(config, TRAIN_PROMPT, 0, rank=8)
    return (flops - spared) / device.compute


def ratios(measured: list[dict], device: Device, stage: str, along: str) -> list[tuple[float, float]]:
    """Return (rows or tokens a row, predicted over measured seconds) of each size of a stage, runs averaged."""
    chosen = [row for row in measured if (row["stage"], row["along"]) == (stage, along)]
    size = "rows" if along == "rows" else "tokens"
    return [
        (
            wanted,
            geometric_mean(job_seconds(r, device) / r["seconds"] for r in chosen if r[size] == wanted),
        )
        for wanted in sorted({row[size] for row in chosen})
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gpus", type=Path, default=ROOT / "docs/gpus.csv")
    for field in fields(Workload):
        parser.add_argument(f"--{field.name}", type=field.type, default=field.default)
    options = vars(parser.parse_args())
    try:
        shown = shown_gpus(options.pop("gpus"), Workload(**options))
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
    print(shown, end="")
