"""Supervised fine-tuning of one adapter with TRL and PEFT, and what preference training shares with it."""

import math
import time
from importlib.metadata import version
from pathlib import Path

from datasets import Dataset
from peft import PeftModel, get_peft_model, initialize_kv_prefix_from_text
from safetensors.torch import load_file
from transformers import PrinterCallback, set_seed
from trl import SFTConfig, SFTTrainer

from tuner import adapter_config, attention, cache, curve, data, hardware, io, linear, logps, model, template
from tuner.curve import FILE as CURVE_FILE
from tuner.curve import Curve
from tuner.errors import UserError
from tuner.params import Method, Runtime, Schedule, Train

# What PEFT says of values of the wrong kind.
REFUSALS = (AttributeError, KeyError, NotImplementedError, TypeError, ValueError)
TRAINERS = ("torch", "transformers", "trl", "peft", "accelerate")


class RowTrainer(SFTTrainer):
    """TRL's supervised fine-tuning, on a forward pass that computes no padding and shared prompts once."""

    def __init__(self, *, max_tokens: int, model: PeftModel, **arguments):
        linear.fuse(model)
        super().__init__(model=model, **arguments)
        self.max_tokens = max_tokens

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        return super().compute_loss(logps.Shared(model, self.max_tokens), inputs, return_outputs, num_items_in_batch)


def adapted(loaded, name: str, settings: Method, student: Path) -> PeftModel:
    """Return the model with a fresh adapter of a method on it, ready to train; UserError where PEFT refuses it."""
    config = adapter_config.of(name, settings, student)
    if settings.init_text is not None:
        tokenizer = model.load_tokenizer(student)
        count = config.num_virtual_tokens
        text = " ".join([settings.init_text] * math.ceil(count / len(tokenizer.encode(settings.init_text))))
    try:
        found = get_peft_model(loaded, config)
        if settings.init_text is not None:
            initialize_kv_prefix_from_text(found, tokenizer, text=text, use_chat_template=False)
    except REFUSALS as error:
        raise UserError(f"{name}: PEFT: {adapter_config.first_line(error)}") from None
    return found


def fit(
    *,
    student: Path,
    method: str,
    settings: Method,
    schedule: Train,
    train_rows: list[dict],
    validation_rows: list[dict],
    seed: int,
    runtime: Runtime,
    scratch: Path,
    destination: Path,
    watch: Path | None = None,
) -> tuple[Curve, dict]:
    """Train one adapter on prompt / completion rows, save it to `destination`, return (curve, record).

    Checkpoints go to `scratch`, and a run that finds one there goes on from it. The curve goes to `watch`, if that is
    given, as it grows: TensorBoard's files, in a folder named after the seed.

    The loss is the mean over the completion tokens of a step, end of turn included. `runtime.train_rows`
    are read at once and the others of a step accumulated: the mean is over the step's tokens either way.
    """
    started = time.monotonic()
    energy = hardware.energy_joules()
    device, dtype = hardware.choose(runtime.device, runtime.dtype)
    tokenizer = model.load_tokenizer(student)
    pairs = data.fitting(data.tokenized(tokenizer, train_rows), schedule.max_tokens, "train")
    validation = data.fitting(data.tokenized(tokenizer, validation_rows), schedule.max_tokens, "train")
    set_seed(seed)
    student_model = model.load(student, device=device, dtype=dtype, quantize=settings.quantize)
    trained = adapted(student_model, method, settings, student)

    def evaluate() -> dict:
        return {"loss": mean_nll(trained, validation, runtime.forward_tokens)}

    history = Curve(method, evaluate, schedule.evaluate_every, watch and watch / str(seed))
    arguments = SFTConfig(
        **arguments_for(schedule, settings.learning_rate, len(pairs), seed, device, runtime, scratch),
        max_length=None,
        packing=False,
        loss_type="nll",
        router_aux_loss_coef=0.0,  # of mixtures of experts: TRL's way to it takes masks of two dimensions alone
    )
    try:
        trainer = RowTrainer(
            max_tokens=runtime.forward_tokens,
            model=trained,
            args=arguments,
            train_dataset=Dataset.from_list([data.labelled(*pair) for pair in pairs]),
            processing_class=tokenizer,
            callbacks=[history],
        )
    except ValueError as error:  # an adapter on the output layer, for one
        raise UserError(f"{method}: TRL: {adapter_config.first_line(error)}") from None
    if settings.quantize:  # TRL halves the adapter's weights beside a base of four bits; the optimizer wants them whole
        for weight in trained.parameters():
            weight.data = weight.data.float() if weight.requires_grad else weight.data
    whole = run(trainer, scratch)
    save(trained, destination)
    supervised = round(sum(len(completion) for _, completion in pairs) * schedule.epochs)
    counts = {"rows": len(pairs), "rows_too_long": len(train_rows) - len(pairs), "supervised_tokens": supervised}
    found = record(trained, destination, history, counts, started, device, dtype)
    found["run_info"]["quantize"] = settings.quantize
    used = None if energy is None else hardware.energy_joules() - energy
    if whole and used is not None and used > 0:  # the counters start again at 0 after some hours
        found["train_info"]["energy_joules"] = round(used)
    return history, found


def run(trainer, scratch: Path) -> bool:
    """Train to the end, from the last whole checkpoint in `scratch` if there is one; return whether there was none."""
    trainer.remove_callback(PrinterCallback)
    whole = {
        int(checkpoint.name.split("-")[1]): checkpoint
        for checkpoint in scratch.glob("checkpoint-*")
        if (checkpoint / CURVE_FILE).exists()
    }
    # Never from the last step: the trainer would take one more.
    last = whole[max(steps)] if (steps := [step for step in whole if step < trainer.args.max_steps]) else None
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    return last is None


def key(*inputs: object) -> str:
    """Return the fingerprint of what a run's checkpoints depend on: `inputs`, this code and the trainers' versions."""
    modules = (adapter_config, attention, cache, curve, data, linear, hardware, logps, model, template)
    code = [Path(module.__file__) for module in modules]
    return io.fingerprint(*inputs, [version(package) for package in TRAINERS], Path(__file__), *code)


def mean_nll(loaded_model, pairs: list[logps.Pair], max_tokens: int) -> float:
    """Return the negative log-likelihood in nats per completion token, end of turn included, over all rows."""
    was_training = loaded_model.training
    loaded_model.eval()
    scored = logps.completion_logps(loaded_model, pairs, max_tokens=max_tokens)
    loaded_model.train(was_training)
    return -sum(float(row.sum()) for row in scored) / sum(map(len, scored))


def arguments_for(
    schedule: Schedule, learning_rate: float, rows: int, seed: int, device: str, runtime: Runtime, scratch: Path
) -> dict:
    """Return the training arguments both trainers share; nothing that matters is left to a library's default."""
    per_forward = math.gcd(schedule.batch_size, runtime.train_rows)
    # Rounded first: 100 x 1.1 is a little more than 110.
    steps = math.ceil(round(math.ceil(rows / schedule.batch_size) * schedule.epochs, 6))
    return {
        "output_dir": str(scratch),
        "max_steps": steps,
        "per_device_train_batch_size": per_forward,
        "gradient_accumulation_steps": schedule.batch_size // per_forward,
        "learning_rate": learning_rate,
        "lr_scheduler_type": schedule.scheduler,
        "warmup_steps": math.floor(steps * schedule.warmup_share),
        "optim": "adamw_torch_fused",
        "weight_decay": schedule.weight_decay,
        "max_grad_norm": schedule.max_grad_norm,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "seed": seed,
        "data_seed": seed,
        "use_cpu": device == "cpu",
        "bf16": False,  # the weights are in the format the hardware suits already; no autocast on top
        "activation_checkpointing": False,
        "save_strategy": "steps",
        "save_steps": max(1, steps // 10),
        "save_total_limit": 2,  # one is whole while the other is written
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": device != "cpu",
    }


def save(adapted, destination: Path) -> None:
    """Save the trained adapter and nothing else, as a directory that plain PEFT loads; the same bytes every time."""
    config = adapted.peft_config["default"]
    for name, value in vars(config).items():
        if isinstance(value, set):  # of module names, which a process puts in an order of its own
            setattr(config, name, sorted(value))
    # Only "default": TRL keeps a frozen copy named "ref" beside it during DPO, and PEFT would save both.
    adapted.save_pretrained(destination, selected_adapters=["default"])


def record(trained, adapter: Path, history: Curve, counts: dict, started: float, device: str, dtype: str) -> dict:
    """Return a run's record in the shape of PEFT's method comparison (run_info, train_info, meta_info).

    Parameters are counted three ways: trained, stored in the adapter's file, and read as virtual tokens with each text.
    """
    trainable, total = trained.get_nb_trainable_parameters()
    # Without DPO's frozen copy of the adapter it starts from.
    total -= sum(weight.numel() for name, weight in trained.named_parameters() if ".ref." in f"{name}.")
    losses = [row["loss"] for row in history.training]
    window = losses[-max(1, len(losses) // 10) :]
    weights = adapter / "adapter_model.safetensors"
    stored = load_file(weights)
    return {
        "run_info": {"method": history.name, "total_seconds": round(time.monotonic() - started, 1)},
        "train_info": {
            "status": "success",
            **counts,
            "train_seconds": round(history.seconds, 1),
            "tokens_per_second": round(counts["supervised_tokens"] / history.seconds, 2),
            "peak_memory_megabytes": round(hardware.peak_memory_megabytes(device)),
            "trainable_parameters": trainable,
            "stored_parameters": sum(weight.numel() for weight in stored.values()),
            "virtual_tokens": getattr(trained.active_peft_config, "num_virtual_tokens", None) or 0,
            "total_parameters": total,
            "adapter_megabytes": round(weights.stat().st_size / 1e6, 3),
            "adapter_dtype": "+".join(sorted({str(weight.dtype).removeprefix("torch.") for weight in stored.values()})),
            "steps": history.training[-1]["step"],
            # The last tenth of the run, never the mean of all of it: that one says how bad the start was.
            "final_train_loss": round(sum(window) / len(window), 5),
            "first_eval_loss": history.validation[0]["loss"],
            "final_eval_loss": history.validation[-1]["loss"],
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
