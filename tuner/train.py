"""Supervised fine-tuning of one adapter with TRL and PEFT, and what preference training shares with it."""

import math
import time
from pathlib import Path

from datasets import Dataset
from peft import LoraConfig, PeftConfig, PromptTuningConfig, get_peft_model
from transformers import PrinterCallback, set_seed
from trl import SFTConfig, SFTTrainer

from tuner import data, hardware, io, model
from tuner.curve import Curve
from tuner.errors import UserError
from tuner.params import Lora, PromptTuning, Runtime, Schedule, Train


def adapter_config(method: str, settings: Lora | PromptTuning, student: Path) -> PeftConfig:
    """Return the PEFT configuration of a method, every value of it from params.yaml."""
    if method == "lora":
        return LoraConfig(
            task_type="CAUSAL_LM",
            r=settings.r,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules=settings.target_modules,
            bias="none",
        )
    # Initialised from the embeddings of real words: PEFT's random start is N(0, 1), far off the scale of embeddings.
    return PromptTuningConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=settings.virtual_tokens,
        prompt_tuning_init="TEXT",
        prompt_tuning_init_text=settings.init_text,
        tokenizer_name_or_path=str(student),
    )


def fit(
    *,
    student: Path,
    method: str,
    settings: Lora | PromptTuning,
    schedule: Train,
    train_rows: list[dict],
    validation_rows: list[dict],
    seed: int,
    runtime: Runtime,
    scratch: Path,
    destination: Path,
) -> tuple[Curve, dict]:
    """Train one adapter on prompt / completion rows, save it to `destination`, return (curve, record).

    The loss is the mean over the completion tokens of a step, end of turn included. With `runtime.train_rows: 1`
    no padding is computed: the rows of a step are accumulated, and the mean is over the step's tokens either way.
    """
    started = time.monotonic()
    device, dtype = hardware.choose(runtime.device, runtime.dtype)
    tokenizer = model.load_tokenizer(student)
    pairs = data.fitting(data.tokenized(tokenizer, train_rows), schedule.max_tokens, "train")
    validation = data.fitting(data.tokenized(tokenizer, validation_rows), schedule.max_tokens, "train")
    set_seed(seed)
    student_model = model.load(student, device=device, dtype=dtype)
    try:
        adapted = get_peft_model(student_model, adapter_config(method, settings, student))
    except ValueError as error:  # PEFT's word on target_modules the model does not have
        raise UserError(f"{method}: {str(error).splitlines()[0]}") from None

    def evaluate() -> dict:
        return {"loss": mean_nll(adapted, validation, tokenizer.pad_token_id, runtime.forward_tokens)}

    curve = Curve(method, evaluate, schedule.evaluate_every)
    arguments = SFTConfig(
        **arguments_for(schedule, settings.learning_rate, len(pairs), seed, device, runtime, scratch),
        max_length=None,
        packing=False,
        loss_type="nll",
    )
    trainer = SFTTrainer(
        model=adapted,
        args=arguments,
        train_dataset=Dataset.from_list([data.labelled(*pair) for pair in pairs]),
        processing_class=tokenizer,
        callbacks=[curve],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    save(adapted, destination)
    supervised = round(sum(len(completion) for _, completion in pairs) * schedule.epochs)
    counts = {"rows": len(pairs), "rows_too_long": len(train_rows) - len(pairs), "supervised_tokens": supervised}
    return curve, record(adapted, destination, curve, counts, started, device, dtype)


def mean_nll(loaded_model, pairs: list[tuple[list[int], list[int]]], pad_id: int, max_tokens: int) -> float:
    """Return the negative log-likelihood in nats per completion token, end of turn included, over all rows."""
    was_training = loaded_model.training
    loaded_model.eval()
    scored = model.completion_logps(loaded_model, pairs, pad_id=pad_id, max_tokens=max_tokens)
    loaded_model.train(was_training)
    return -sum(float(row.sum()) for row in scored) / sum(map(len, scored))


def arguments_for(
    schedule: Schedule, learning_rate: float, rows: int, seed: int, device: str, runtime: Runtime, scratch: Path
) -> dict:
    """Return the training arguments both trainers share; nothing that matters is left to a library's default."""
    per_forward = math.gcd(schedule.batch_size, runtime.train_rows)
    steps = math.ceil(math.ceil(rows / schedule.batch_size) * schedule.epochs)
    return {
        "output_dir": str(scratch),
        "max_steps": steps,
        "per_device_train_batch_size": per_forward,
        "gradient_accumulation_steps": schedule.batch_size // per_forward,
        "learning_rate": learning_rate,
        "lr_scheduler_type": schedule.scheduler,
        "warmup_steps": math.floor(steps * schedule.warmup_share),
        "optim": "adamw_torch",
        "weight_decay": schedule.weight_decay,
        "max_grad_norm": schedule.max_grad_norm,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "seed": seed,
        "data_seed": seed,
        "use_cpu": device == "cpu",
        "bf16": False,  # the weights are in the format the hardware suits already; no autocast on top
        "activation_checkpointing": False,
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": device != "cpu",
    }


def save(adapted, destination: Path) -> None:
    """Save the trained adapter and nothing else, as a directory that plain PEFT loads."""
    # Only "default": TRL keeps a frozen copy named "ref" beside it during DPO, and PEFT would save both.
    adapted.save_pretrained(destination, selected_adapters=["default"])


def record(adapted, adapter: Path, curve: Curve, counts: dict, started: float, device: str, dtype: str) -> dict:
    """Return a run's record in the shape of PEFT's method comparison (run_info, train_info, meta_info)."""
    trainable, _ = adapted.get_nb_trainable_parameters()
    # Without DPO's frozen copy of the adapter it starts from.
    total = sum(weight.numel() for name, weight in adapted.named_parameters() if ".ref." not in name)
    losses = [row["loss"] for row in curve.training]
    window = losses[-max(1, len(losses) // 10) :]
    weights = adapter / "adapter_model.safetensors"
    return {
        "run_info": {"method": curve.name, "total_seconds": round(time.monotonic() - started, 1)},
        "train_info": {
            "status": "success",
            **counts,
            "train_seconds": round(curve.seconds, 1),
            "tokens_per_second": round(counts["supervised_tokens"] / curve.seconds, 2),
            "peak_memory_megabytes": round(hardware.peak_memory_megabytes(device)),
            "trainable_parameters": trainable,
            "total_parameters": total,
            "adapter_megabytes": round(weights.stat().st_size / 1e6, 3),
            "steps": curve.training[-1]["step"],
            # The last tenth of the run, never the mean of all of it: that one says how bad the start was.
            "final_train_loss": round(sum(window) / len(window), 5),
            "first_eval_loss": curve.validation[0]["loss"],
            "final_eval_loss": curve.validation[-1]["loss"],
        },
        "meta_info": {"adapter_sha256": io.sha256(weights), **hardware.describe(device, dtype)},
    }


def summary(record: dict) -> str:
    """Return a training run in one line."""
    found = record["train_info"]
    return (
        f"{record['run_info']['method']}, {found['steps']} steps on {found['rows']} rows, "
        f"{found['trainable_parameters']} parameters, {found['tokens_per_second']:.0f} supervised tokens/s"
    )
