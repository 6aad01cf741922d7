"""The training curve: a callback that keeps it, shows progress, and stops a run that has come apart."""

import importlib.util
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm
from transformers import TrainerCallback

from tuner import io
from tuner.errors import UserError

FILE = "curve.json"  # in each of the trainer's checkpoints, and the last thing written there
EXPLODED = 10  # times the validation loss before the first step
# Nats that the validation loss may grow by: each token has then less than a seventh of the probability it had. A model
# that has collapsed into guessing cannot reach ten times the loss (the logarithm of 49,152 tokens is 10.8).
RUINED = 2.0
ROUNDING = 1e-5  # a margin (nats, times beta) below which two sums of the same float32 log-probabilities may differ

# What the trainers log, under the names the curve's columns have.
COLUMNS = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "rewards/accuracies": "accuracy",
    "rewards/margins": "margin",
    "logps/chosen": "logps_chosen",
    "logps/rejected": "logps_rejected",
    "lengths/chosen": "tokens_chosen",
    "lengths/rejected": "tokens_rejected",
}


class Curve(TrainerCallback):
    """Keeps `training` rows (step, and what COLUMNS names) and `validation` rows (step, and what `evaluate()` returns).

    `evaluate` runs before the first step, every `every` steps and after the last; `seconds` leaves it out. All of it
    goes into every checkpoint, and a run that is resumed goes on with it. With a folder to `watch` all rows go there as
    well while they come, for TensorBoard; an earlier run's in it are removed.
    """

    def __init__(self, name: str, evaluate: Callable[[], dict], every: int, watch: Path | None = None):
        if watch and importlib.util.find_spec("tensorboard") is None:
            raise UserError("runtime.tensorboard = true needs pip install -r requirements-tensorboard.txt")
        self.name, self.evaluate, self.every, self.watch, self.writer = name, evaluate, every, watch, None
        self.training: list[dict] = []
        self.validation: list[dict] = []
        self.seconds = 0.0

    def on_train_begin(self, args, state, control, **kwargs):
        self.bar = tqdm(total=state.max_steps, initial=state.global_step, desc=self.name, unit="step")
        self._open(state.global_step)
        if state.global_step:
            saved = io.read_json(Path(args.output_dir) / f"checkpoint-{state.global_step}" / FILE)
            self.training, self.validation, self.seconds = (
                saved[name] for name in ("training", "validation", "seconds")
            )
        else:
            self._evaluate(0)
        self.started, self.due = time.monotonic(), state.global_step % self.every == 0 < state.global_step

    def on_step_begin(self, args, state, control, **kwargs):
        # Not at the end of the last step: its loss has been logged only now, and an evaluation in between would
        # take the log's place and leave the model in evaluation mode.
        if self.due:
            self._pause(state.global_step)

    def on_step_end(self, args, state, control, **kwargs):
        self.bar.update()
        self.due = state.global_step % self.every == 0

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" not in logs:
            return
        self.training.append({"step": state.global_step, **shown(logs)})
        self._show("train", self.training[-1])
        self.bar.set_postfix(loss=f"{logs['loss']:.3f}")
        finite = math.isfinite(logs["loss"]) and math.isfinite(logs["grad_norm"])
        if not finite or logs["loss"] > EXPLODED * self.validation[0]["loss"]:
            self.bar.close()
            raise UserError(
                f"{self.name}: loss {logs['loss']} and gradient norm {logs['grad_norm']} at step {state.global_step}, "
                f"learning rate {logs['learning_rate']:.3g}: lower {self.name}.learning_rate"
            )

    def on_save(self, args, state, control, **kwargs):
        now = time.monotonic()
        self.seconds, self.started = self.seconds + now - self.started, now
        kept = {"training": self.training, "validation": self.validation, "seconds": self.seconds}
        io.write_json(Path(args.output_dir) / f"checkpoint-{state.global_step}" / FILE, kept)

    def on_train_end(self, args, state, control, **kwargs):
        self._pause(state.global_step)
        self.bar.close()
        if self.writer:
            self.writer.close()

    def _pause(self, step: int) -> None:
        self.seconds += time.monotonic() - self.started
        self._evaluate(step)
        self.started = time.monotonic()

    def _evaluate(self, step: int) -> None:
        found = {name: float(f"{value:.6g}") for name, value in self.evaluate().items()}
        if not all(map(math.isfinite, found.values())):
            self.bar.close()
            raise UserError(
                f"{self.name}: validation loss {found['loss']} after step {step}: lower {self.name}.learning_rate"
            )
        if self.validation and found["loss"] > self.validation[0]["loss"] + RUINED:
            self.bar.close()
            raise UserError(
                f"{self.name}: validation loss {found['loss']} after step {step}, {self.validation[0]['loss']} before "
                f"training: the model is ruined; lower {self.name}.learning_rate"
            )
        self.validation.append({"step": step, **found})
        self._show("validation", self.validation[-1])

    def _open(self, step: int) -> None:
        if self.watch is None:
            return
        from torch.utils.tensorboard import SummaryWriter

        if step == 0:
            shutil.rmtree(self.watch, ignore_errors=True)
        self.writer = SummaryWriter(self.watch, purge_step=step + 1 if step else None, flush_secs=5)

    def _show(self, split: str, row: dict) -> None:
        if self.writer:
            for name, value in row.items():
                if name != "step":
                    self.writer.add_scalar(f"{name}/{split}", value, row["step"])


def shown(logs: dict, prefix: str = "") -> dict:
    """Return what a trainer logged, its names beginning with `prefix`, under the names and with the digits of a curve.

    While policy and reference are one, a margin is nothing but rounding and no pair is preferred: an accuracy of 0.5.
    """
    found = {new: float(f"{logs[prefix + old]:.6g}") for old, new in COLUMNS.items() if prefix + old in logs}
    if "accuracy" in found and abs(found["margin"]) < ROUNDING:
        found["accuracy"] = 0.5
    return found
