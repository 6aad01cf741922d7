"""Why prompt tuning looks hopeless when four things are done wrong, and what each of them costs.

python benchmarks/prompt_tuning.py   train five prompts on the same rows, write docs/prompt_tuning.csv and .png

The wrong way is that of a public notebook: every row padded to one length and the padding learned as well, as many
labels as places (three quarters of them padding), a start drawn from N(0, 1), and LoRA's learning rate. Every run is
judged alike, by the validation loss on completion tokens.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed  # noqa: E402

from tuner import data, io, model, params, train  # noqa: E402
from tuner.figure_style import GREY, KNOWN, canvas, rows_axis  # noqa: E402

ROWS = 160  # of the train rows: every run sees the same ones, once
PADDING = 4  # times the mean length of a row: three quarters of the places are padding, as in the notebook
LORA_RATE = 3e-4

# What each run has: padding in the loss, start of the prompt, learning rate (None: the one in params.yaml).
RUNS = {
    "all wrong: padding learned, N(0, 1), 3e-4": (True, "RANDOM", LORA_RATE),
    "padding masked, N(0, 1), 3e-4": (False, "RANDOM", LORA_RATE),
    "padding masked, N(0, 1), tuned rate": (False, "RANDOM", None),
    "padding masked, starts from words, 3e-4": (False, "TEXT", LORA_RATE),
    "all right": (False, "TEXT", None),
}


def padded(tokenizer, pairs: list) -> Dataset:
    """Return rows padded on the right to one length, every place of which is a label."""
    length = PADDING * round(sum(len(prompt) + len(completion) for prompt, completion in pairs) / len(pairs))
    rows = []
    for prompt, completion in pairs:
        ids = (prompt + completion)[:length]
        room = length - len(ids)
        whole = ids + [tokenizer.pad_token_id] * room
        rows.append({"input_ids": whole, "attention_mask": [1] * len(ids) + [0] * room, "labels": whole})
    return Dataset.from_list(rows)


def trained(settings, student: Path, pairs: list, validation: list, found: params.Params, wrong: bool) -> dict:
    """Return the validation loss before and after, and the first and last tenth's training loss, of one run."""
    schedule = found.train
    tokenizer = model.load_tokenizer(student)
    set_seed(found.seed)
    prompt = train.adapted(model.load(student, device="cpu", dtype="float32"), "prompt_tuning", settings, student)
    before = train.mean_nll(prompt, validation, found.runtime.forward_tokens)
    with tempfile.TemporaryDirectory() as scratch:
        values = train.arguments_for(
            schedule, settings.learning_rate, len(pairs), found.seed, "cpu", found.runtime, Path(scratch)
        )
        values |= {"save_strategy": "no"}
        if wrong:
            trainer = Trainer(model=prompt, args=TrainingArguments(**values), train_dataset=padded(tokenizer, pairs))
        else:
            trainer = train.RowTrainer(
                max_tokens=found.runtime.forward_tokens,
                model=prompt,
                args=train.SFTConfig(**values, max_length=None, packing=False, loss_type="nll"),
                train_dataset=Dataset.from_list([data.labelled(*pair) for pair in pairs]),
                processing_class=tokenizer,
            )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    tenth = max(1, len(losses) // 10)
    return {
        "steps": len(losses),
        "first_train_loss": round(sum(losses[:tenth]) / tenth, 4),
        "last_train_loss": round(sum(losses[-tenth:]) / tenth, 4),
        "eval_loss_before": round(before, 4),
        "eval_loss": round(train.mean_nll(prompt, validation, found.runtime.forward_tokens), 4),
    }


def figure(rows: list[dict], base: float, path: Path) -> None:
    """What every run did to the validation loss, as bars: the difference to the untouched model."""
    note = (
        f"Validation loss less the untouched model's ({base:.3f} nats per completion token); same rows, steps, model."
    )
    with canvas(path, 1.5 + 0.45 * len(rows), "Prompt tuning, done wrong and done right", note) as made:
        axes = made.subplots()
        heights = rows_axis(axes, [row["run"] for row in rows])
        gains = [row["eval_loss"] - base for row in rows]
        colours = [KNOWN["prompt_tuning"] if row["run"] == "all right" else GREY for row in rows]
        axes.barh(heights, gains, height=0.7, color=colours)
        for height, gain in zip(heights, gains, strict=True):
            axes.text(max(gain, 0), height, f" {gain:+.3f}".replace("-", "\u2212"), va="center")
        axes.axvline(0, color="black", linewidth=1)
        axes.set_xlim(min(1.3 * min(gains), 0), 1.25 * max(*gains, 0.01))
        axes.set_xlabel("worse than untouched (right of 0), better (left)")


if __name__ == "__main__":
    found = params.load(ROOT / "params.yaml")
    student = ROOT / "models" / found.student
    tokenizer = model.load_tokenizer(student)
    sft = ROOT / "data/sft"
    pairs = data.fitting(data.tokenized(tokenizer, io.read_jsonl(sft / "train.jsonl")), found.train.max_tokens, "train")
    chosen = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(found.seed))[:ROWS].tolist()
    validation = data.tokenized(tokenizer, io.read_jsonl(sft / "validation.jsonl"))
    base = train.mean_nll(model.load(student, device="cpu", dtype="float32"), validation, found.runtime.forward_tokens)
    shipped = found.adapters["prompt_tuning"].model_dump(exclude_unset=True)
    rows = []
    for name, (wrong, start, rate) in RUNS.items():
        change = {"prompt_tuning_init": start, "learning_rate": rate or shipped["learning_rate"]}
        settings = params.Method(**shipped | change)
        rows.append({"run": name, **trained(settings, student, [pairs[n] for n in chosen], validation, found, wrong)})
        print(rows[-1])
    io.write_csv(ROOT / "docs/prompt_tuning.csv", [row | {"eval_loss_base": round(base, 4)} for row in rows])
    figure(rows, base, ROOT / "docs/prompt_tuning.png")
