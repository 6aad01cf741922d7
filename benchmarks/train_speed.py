"""Supervised tokens per second of training, against stock TRL on the same rows: `python benchmarks/train_speed.py`.

Both are LoRA in float32 on the CPU, from the same seed, with the settings of params.yaml. Stock TRL is SFTTrainer and
DPOTrainer with their own collators (rows padded to the longest of a step) and their own forward passes; DPO's seconds
hold the reference's log-probabilities, which both compute once. Each training is a process of its own, and they take
turns, step by step, while the others wait: a machine that is slower for a minute is so for all. Freed memory is kept in
ours as in the stages (tuner/malloc.py); ours without that takes part as well. The losses of all steps are compared,
and drawn in docs/train_speed.png: the same computation, or the ratio means nothing. Useful work for the share of the
ceiling: 4 operations a weight and place that is computed. Run on a machine with nothing else to do.
"""

import argparse
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from ceiling import ceiling, matmul_parameters  # noqa: E402
from datasets import Dataset  # noqa: E402
from results import here, record  # noqa: E402
from transformers import PrinterCallback, TrainerCallback, set_seed  # noqa: E402
from trl import DPOTrainer, SFTConfig, SFTTrainer  # noqa: E402
from turns import answer, in_turns  # noqa: E402

from tuner import data, dpo, io, logps, malloc, model, params, train  # noqa: E402
from tuner.figure_style import BLACK, KNOWN, canvas  # noqa: E402

OURS, MAPPED, STOCK = "ours", "ours without the kept memory", "stock TRL"


class Counted(logps.Trie):
    """Counts the places that are computed, and those whose logits are."""

    places_made, logits_made = 0, 0

    def __init__(self, pairs: list[logps.Pair]):
        super().__init__(pairs)
        Counted.places_made += len(self.ids)
        Counted.logits_made += len(self.read)


class StockPairs(DPOTrainer):
    """TRL's own DPO but for the tokenizing: it gets the ids that ours gets."""

    _prepare_dataset = dpo.PairTrainer._prepare_dataset

    def __init__(self, *, max_tokens: int, **arguments):
        super().__init__(**arguments)


class Turns(TrainerCallback):
    """Takes each step when the process at the other end of a pipe says so, and answers with its seconds."""

    def __init__(self, pipe):
        self.pipe = pipe

    def on_train_begin(self, *arguments, **named) -> None:
        answer(self.pipe, 0.0)  # no step begins before all are loaded

    def on_step_begin(self, *arguments, **named) -> None:
        self.pipe.recv()
        self.started = time.perf_counter()

    def on_step_end(self, *arguments, **named) -> None:
        self.pipe.send(time.perf_counter() - self.started)


def keep_memory(kind: str) -> None:
    if kind == OURS and not malloc.keep_freed():
        raise SystemExit("this C library has no mallopt, so there is nothing to compare")


def lora(pipe, kind: str, found: params.Params, pairs: list) -> None:
    """Train on the rows in one pass, after a short one that is not timed."""
    keep_memory(kind)
    trained(kind, found, pairs[: 2 * found.train.batch_size])
    with mock.patch.object(logps, "Trie", Counted):
        trainer = trained(kind, found, pairs, Turns(pipe))
    answer(pipe, {"losses": losses(trainer), "work": (Counted.places_made, Counted.logits_made)})


def trained(kind: str, found: params.Params, pairs: list, *callbacks: TrainerCallback):
    """Return the trainer after one pass over the rows."""
    student = ROOT / "models" / found.student
    set_seed(found.seed)
    adapted = train.adapted(model.load(student, device="cpu", dtype="float32"), "lora", found.adapters["lora"], student)
    schedule = found.train.model_copy(update={"epochs": 1.0})
    stock = kind == STOCK
    with tempfile.TemporaryDirectory() as scratch:
        values = train.arguments_for(
            schedule, found.adapters["lora"].learning_rate, len(pairs), found.seed, "cpu", found.runtime, Path(scratch)
        )
        trainer = (SFTTrainer if stock else train.RowTrainer)(
            model=adapted,
            args=SFTConfig(**values | {"save_strategy": "no"}, max_length=None, packing=False, loss_type="nll"),
            train_dataset=Dataset.from_list([data.labelled(*pair) for pair in pairs]),
            processing_class=model.load_tokenizer(student),
            callbacks=list(callbacks),
            **({} if stock else {"max_tokens": found.runtime.forward_tokens}),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return trainer


def preferences(pipe, kind: str, found: params.Params, rows: list[dict], start: Path) -> None:
    """Train on preference rows in one pass, from `start`; the first turn that counts is the reference's."""
    keep_memory(kind)
    answer(pipe, 0.0)  # all have started
    trainer_of = StockPairs if kind == STOCK else dpo.PairTrainer
    with tempfile.TemporaryDirectory() as scratch, mock.patch.object(dpo, "PairTrainer", trainer_of):
        pipe.recv()
        trainer, curve, counts = dpo.trainer_for(
            student=ROOT / "models" / found.student,
            start=start,
            settings=found.dpo.model_copy(update={"epochs": 1.0}),
            train_rows=rows,
            validation_rows=rows[:1],
            seed=found.seed,
            runtime=found.runtime,
            scratch=Path(scratch),
        )
        pipe.send(curve.seconds)
        trainer.remove_callback(curve)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Turns(pipe))
        trainer.train()
    answer(pipe, {"losses": losses(trainer), "supervised": counts["supervised_tokens"]})


def losses(trainer) -> list[float]:
    return [row["loss"] for row in trainer.state.log_history if "loss" in row]


def difference(ours: list[float], stock: list[float]) -> float:
    return max(abs(one - other) for one, other in zip(ours, stock, strict=True))


def claim(name: str, ours: float, stock: float, tokens: int, apart: float, **more) -> None:
    """Record how much faster ours is, from the seconds that both took for the supervised tokens."""
    record(
        here(name),
        value=round(stock / ours, 3),
        unit="ratio of supervised tokens/s",
        ours=round(tokens / ours, 1),
        peer=round(tokens / stock, 1),
        peer_version=f"trl {version('trl')}",
        **more,
        largest_loss_difference=round(apart, 6),
    )


def figure(rows: list[dict], path: Path) -> None:
    """The loss of every step by both, a panel a training; one line lies on the other where they agree."""
    note = "Every step of benchmarks/train_speed.py: the same rows, order and seed, in float32."
    with canvas(path, 3.8, "The same losses as stock TRL's", note) as made:
        kinds = list(dict.fromkeys(row["training"] for row in rows))
        for axes, kind in zip(made.subplots(1, len(kinds)), kinds, strict=True):
            own = [row for row in rows if row["training"] == kind]
            steps = [row["step"] for row in own]
            colour = KNOWN["dpo" if kind == "DPO" else "lora"]
            axes.plot(steps, [row["ours"] for row in own], color=colour, linewidth=4, alpha=0.5, label="ours")
            axes.plot(steps, [row["trl"] for row in own], "--", color=BLACK, linewidth=1.2, label="stock TRL")
            axes.set_xlabel("step")
            axes.set_title(f"{kind}: training loss")
        axes.legend(frameon=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=64, help="of data/sft and of data/preference; 64")
    parser.add_argument("--no-record", action="store_true", help="leave benchmarks/results.json as it is")
    arguments = parser.parse_args()
    found = params.load(ROOT / "params.yaml")
    needs = ["data/sft", "data/preference", f"models/{found.student}", f"models/{found.dpo.adapter}"]
    if missing := [name for name in needs if not (ROOT / name).exists()]:
        raise SystemExit(f"{', '.join(missing)}: not there; make them (`make repro`) or fetch them (`dvc pull`) first")
    tokenizer = model.load_tokenizer(ROOT / "models" / found.student)
    rows = io.read_jsonl(ROOT / "data/sft/train.jsonl")
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[: arguments.rows].tolist()
    pairs = data.fitting(data.tokenized(tokenizer, [rows[n] for n in chosen]), found.train.max_tokens, "train")
    supervised = sum(len(completion) for _, completion in pairs)
    whole = sum(len(prompt) + len(completion) for prompt, completion in pairs)
    preferred = io.read_jsonl(ROOT / "data/preference/train.jsonl")[: arguments.rows]
    tuned = in_turns(lora, [OURS, MAPPED, STOCK], found, pairs)
    aligned = in_turns(preferences, [OURS, STOCK], found, preferred, ROOT / "models" / found.dpo.adapter)
    (ours, our), (mapped, _), (stock, their) = (tuned[kind] for kind in (OURS, MAPPED, STOCK))
    (dpo_ours, dpo_our), (dpo_stock, dpo_their) = (aligned[kind] for kind in (OURS, STOCK))
    apart = difference(our["losses"], their["losses"])
    # Forward and the gradient of the activations: 4 operations a weight and place; the head where a token is learned.
    layers, head = matmul_parameters(model.load(ROOT / "models" / found.student, device="cpu", dtype="float32"))
    places, logits = our["work"]
    needed = 4 * (places * layers + logits * head) / 1e9
    peak = ceiling()
    print(f"{len(pairs)} rows, {whole} tokens, {places} places computed, {supervised} supervised")
    print(f"ours without the kept memory {mapped:.1f} s, {mapped / ours:.2f} times as long")
    print(
        f"supervised tokens/s: ours {supervised / ours:.0f} ({ours:.1f} s), stock TRL {supervised / stock:.0f} "
        f"({stock:.1f} s)"
    )
    print(f"ratio {stock / ours:.2f}; largest difference of a step's loss {apart:.5f}")
    dpo_apart = difference(dpo_our["losses"], dpo_their["losses"])
    print(
        f"DPO, {len(preferred)} pairs: ours {dpo_ours:.1f} s, stock TRL {dpo_stock:.1f} s, ratio "
        f"{dpo_stock / dpo_ours:.2f}; largest difference of a step's loss {dpo_apart:.5f}"
    )
    print(f"useful work {needed / ours:.0f} of {peak:.0f} GFLOP/s: {needed / ours / peak:.2f} of the ceiling")
    if not arguments.no_record:
        claim("train_lora_speed_against_trl", ours, stock, supervised, apart)
        record(
            here("train_lora_without_kept_memory"),
            value=round(mapped / ours, 3),
            unit="ratio of seconds to those with it",
            rows=len(pairs),
        )
        claim(
            "train_dpo_speed_against_trl", dpo_ours, dpo_stock, dpo_our["supervised"], dpo_apart, pairs=len(preferred)
        )
        curves = [
            {"training": name, "step": step, "ours": round(one, 6), "trl": round(other, 6)}
            for name, both in (
                ("LoRA", zip(our["losses"], their["losses"], strict=True)),
                ("DPO", zip(dpo_our["losses"], dpo_their["losses"], strict=True)),
            )
            for step, (one, other) in enumerate(both, 1)
        ]
        io.write_csv(ROOT / "docs/train_speed.csv", curves)
        figure(curves, ROOT / "docs/train_speed.png")
        share = round(needed / ours / peak, 3)
        record(here("train_lora_share_of_ceiling"), value=share, unit="share of fp32 GEMM rate")
