"""Supervised tokens per second of training, against stock TRL on the same rows: `python benchmarks/train_speed.py`.

Both are LoRA in float32 on the CPU, from the same seed, with the settings of params.yaml. Stock TRL is SFTTrainer with
its own collator (rows padded to the longest of a step) and its own loss. The losses of all steps are compared as well:
the same computation, or the ratio means nothing. Run on a machine with nothing else to do.
"""

import argparse
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from ceiling import ceiling, matmul_parameters  # noqa: E402
from datasets import Dataset  # noqa: E402
from results import record  # noqa: E402
from transformers import PrinterCallback, set_seed  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402

from tuner import data, io, model, params, train  # noqa: E402

BATCH = 4


def run(kind, found: params.Params, pairs: list, **more) -> tuple[float, list[float]]:
    """Return (seconds, the loss of every step) of one pass over the rows."""
    student = ROOT / "models" / found.student
    set_seed(found.seed)
    adapted = train.adapted(model.load(student, device="cpu", dtype="float32"), "lora", found.adapters["lora"], student)
    schedule = found.train.model_copy(update={"batch_size": BATCH, "epochs": 1.0})
    runtime = found.runtime.model_copy(update={"train_rows": BATCH})
    with tempfile.TemporaryDirectory() as scratch:
        values = train.arguments_for(
            schedule, found.adapters["lora"].learning_rate, len(pairs), found.seed, "cpu", runtime, Path(scratch)
        )
        trainer = kind(
            model=adapted,
            args=SFTConfig(**values | {"save_strategy": "no"}, max_length=None, packing=False, loss_type="nll"),
            train_dataset=Dataset.from_list([data.labelled(*pair) for pair in pairs]),
            processing_class=model.load_tokenizer(student),
            **more,
        )
        trainer.remove_callback(PrinterCallback)
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
    return seconds, [row["loss"] for row in trainer.state.log_history if "loss" in row]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--no-record", action="store_true", help="leave benchmarks/results.json as it is")
    arguments = parser.parse_args()
    found = params.load(ROOT / "params.yaml")
    tokenizer = model.load_tokenizer(ROOT / "models" / found.student)
    rows = io.read_jsonl(ROOT / "data/sft/train.jsonl")
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[: arguments.rows].tolist()
    pairs = data.fitting(data.tokenized(tokenizer, [rows[n] for n in chosen]), found.train.max_tokens, "train")
    supervised = sum(len(completion) for _, completion in pairs)
    whole = sum(len(prompt) + len(completion) for prompt, completion in pairs)
    run(train.RowTrainer, found, pairs[: 2 * BATCH], max_tokens=found.runtime.forward_tokens)  # warm up
    ours, our_losses = run(train.RowTrainer, found, pairs, max_tokens=found.runtime.forward_tokens)
    stock, stock_losses = run(SFTTrainer, found, pairs)
    apart = max(abs(one - other) for one, other in zip(our_losses, stock_losses, strict=True))
    # Forward and the gradient of the activations: 4 operations a weight and token; the head on supervised tokens alone.
    student = model.load(ROOT / "models" / found.student, device="cpu", dtype="float32")
    layers, head = matmul_parameters(student)
    needed = 4 * (whole * layers + supervised * head) / 1e9
    peak = ceiling()
    print(f"{len(pairs)} rows, {whole} tokens, {supervised} supervised")
    print(
        f"supervised tokens/s: ours {supervised / ours:.0f} ({ours:.1f} s), stock TRL {supervised / stock:.0f} "
        f"({stock:.1f} s)"
    )
    print(f"ratio {stock / ours:.2f}; largest difference of a step's loss {apart:.5f}")
    print(f"useful work {needed / ours:.0f} of {peak:.0f} GFLOP/s: {needed / ours / peak:.2f} of the ceiling")
    if not arguments.no_record:
        record(
            "train_lora_speed_against_trl",
            value=round(stock / ours, 3),
            unit="ratio of supervised tokens/s",
            ours=round(supervised / ours, 1),
            peer=round(supervised / stock, 1),
            peer_version=f"trl {version('trl')}",
            largest_loss_difference=round(apart, 6),
        )
        record("train_lora_share_of_ceiling", value=round(needed / ours / peak, 3), unit="share of fp32 GEMM rate")
