"""Direct Preference Optimization (arXiv 2305.18290) of a trained adapter, with that same adapter as the reference."""

import time
from pathlib import Path

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import set_seed
from trl import DPOConfig, DPOTrainer

from tuner import data, hardware, linear, logps, model
from tuner.curve import Curve, shown
from tuner.params import Dpo, Runtime
from tuner.train import arguments_for, record, run, save


class PairTrainer(DPOTrainer):
    """TRL's DPO on rows that already are token ids, so that both trainers see the same template and end of turn.

    Its forward passes read the prompt of a pair once, and compute no padding.
    """

    def __init__(self, *, max_tokens: int, model: PeftModel, **arguments):
        self.max_tokens = max_tokens
        linear.fuse(model)
        super().__init__(model=model, **arguments)

    def _prepare_dataset(self, dataset, *args, **kwargs):
        return dataset

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        chosen, rejected = inputs["completion_mask"].sum(dim=1).float().chunk(2)
        mode = "train" if model.training else "eval"
        self._metrics[mode]["lengths/chosen"].append(chosen.mean().item())
        self._metrics[mode]["lengths/rejected"].append(rejected.mean().item())
        return super().compute_loss(logps.Shared(model, self.max_tokens), inputs, return_outputs, num_items_in_batch)

    def compute_ref_log_probs(self, model, inputs):
        # Of the policy itself, which is the reference until the first step. TRL's frozen copy of the adapter is one for
        # weights that are named as LoRA's are; IA3's stay as they are made, and would be another reference.
        labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, data.IGNORED)
        rows = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"], "labels": labels}
        with torch.no_grad():
            return logps.Shared(model, self.max_tokens)(**rows).log_probs.sum(dim=1).chunk(2)


def trainer_for(
    *,
    student: Path,
    start: Path,
    settings: Dpo,
    train_rows: list[dict],
    validation_rows: list[dict],
    seed: int,
    runtime: Runtime,
    scratch: Path,
    watch: Path | None = None,
) -> tuple[PairTrainer, Curve, dict]:
    """Return (trainer, its curve, counts); `watch` as in train.fit.

    TRL copies the adapter it starts from into a frozen one named "ref", which is the reference.
    """
    device, dtype = hardware.choose(runtime.device, runtime.dtype)
    tokenizer = model.load_tokenizer(student)
    train = data.fitting(data.tokenized_pairs(tokenizer, train_rows), settings.max_tokens, "dpo")
    validation = data.fitting(data.tokenized_pairs(tokenizer, validation_rows), settings.max_tokens, "dpo")
    set_seed(seed)
    policy = PeftModel.from_pretrained(model.load(student, device=device, dtype=dtype), start, is_trainable=True)

    def evaluate() -> dict:
        return shown(trainer.evaluate(), "eval_")

    curve = Curve("dpo", evaluate, settings.evaluate_every, watch and watch / str(seed))
    arguments = DPOConfig(
        # All pairs of a step in one batch: TRL's means are over the pairs, or tokens, of a batch.
        **arguments_for(
            settings,
            settings.learning_rate,
            len(train),
            seed,
            device,
            runtime.model_copy(update={"train_rows": settings.batch_size}),
            scratch,
        ),
        router_aux_loss_coef=0.0,
        per_device_eval_batch_size=1,  # means over pairs, not over batches of unequal size
        beta=settings.beta,
        loss_type=[settings.loss, *["sft"] * (settings.sft_weight > 0)],
        loss_weights=[1.0, *[settings.sft_weight] * (settings.sft_weight > 0)],
        max_length=None,
        precompute_ref_log_probs=True,
        disable_dropout=True,
    )
    started = time.monotonic()
    trainer = PairTrainer(
        max_tokens=runtime.forward_tokens,
        model=policy,
        args=arguments,
        train_dataset=_dataset(train),
        eval_dataset=_dataset(validation),
        processing_class=tokenizer,
        callbacks=[curve],
    )
    curve.seconds = time.monotonic() - started  # the reference's log-probabilities are part of the cost
    supervised = sum(len(chosen) + len(rejected) for _, chosen, rejected in train) * settings.epochs
    counts = {
        "rows": len(train),
        "rows_too_long": len(train_rows) - len(train),
        "supervised_tokens": round(supervised),
    }
    return trainer, curve, counts


def fit(*, destination: Path, runtime: Runtime, scratch: Path, start_record: dict, **inputs) -> tuple[Curve, dict]:
    """Train on preference rows, save the adapter to `destination`, return (curve, record).

    `start_record` is the record of the adapter it starts from, whose training seconds are part of what this one cost.
    The other arguments are those of `trainer_for`.
    """
    started = time.monotonic()
    trainer, curve, counts = trainer_for(runtime=runtime, scratch=scratch, **inputs)
    run(trainer, scratch)
    save(trainer.model, destination)
    device, dtype = hardware.choose(runtime.device, runtime.dtype)
    found = record(trainer.model, destination, curve, counts, started, device, dtype)
    found["run_info"] |= {"start": start_record["run_info"]["method"], "quantize": None}
    found["train_info"]["train_seconds_with_start"] = round(
        found["train_info"]["train_seconds"] + start_record["train_info"]["train_seconds"], 1
    )
    return curve, found


def _dataset(rows: list[tuple[list[int], list[int], list[int]]]) -> Dataset:
    return Dataset.from_list(
        [{"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected} for prompt, chosen, rejected in rows]
    )
