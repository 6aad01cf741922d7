"""The training curve: a callback that keeps it, shows progress, and stops a run that has come apart."""

import math
import time
from collections.abc import Callable

from tqdm import tqdm
from transformers import TrainerCallback

from tuner.errors import UserError

# What the trainers log, under the names the curve's columns have.
COLUMNS = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "rewards/accuracies": "accuracy",
    "rewards/margins": "margin",
    "logps/chosen": "logps_chosen",
    "logps/rejected": "logps_rejected",
}


class Curve(TrainerCallback):
    """Keeps `training` rows (step, and what COLUMNS names) and `validation` rows (step, and what `evaluate()` returns).

    `evaluate` runs before the first step, every `every` steps and after the last; `seconds` leaves it out.
    """

    def __init__(self, name: str, evaluate: Callable[[], dict], every: int):
        self.name, self.evaluate, self.every = name, evaluate, every
        self.training: list[dict] = []
        self.validation: list[dict] = []
        self.seconds = 0.0

    def on_train_begin(self, args, state, control, **kwargs):
        self.bar = tqdm(total=state.max_steps, desc=self.name, unit="step")
        self._evaluate(0)
        self.started, self.due = time.monotonic(), False

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
        self.training.append({"step": state.global_step, **_shown(logs)})
        self.bar.set_postfix(loss=f"{logs['loss']:.3f}")
        if not (math.isfinite(logs["loss"]) and math.isfinite(logs["grad_norm"])):
            self.bar.close()
            raise UserError(
                f"{self.name}: loss {logs['loss']} and gradient norm {logs['grad_norm']} at step {state.global_step}, "
                f"learning rate {logs['learning_rate']:.3g}: lower {self.name}.learning_rate"
            )

    def on_train_end(self, args, state, control, **kwargs):
        self._pause(state.global_step)
        self.bar.close()

    def _pause(self, step: int) -> None:
        self.seconds += time.monotonic() - self.started
        self._evaluate(step)
        self.started = time.monotonic()

    def _evaluate(self, step: int) -> None:
        found = {name: float(f"{value:.6g}") for name, value in self.evaluate().items()}
        self.validation.append({"step": step, **found})


def _shown(logs: dict) -> dict:
    return {new: float(f"{logs[old]:.6g}") for old, new in COLUMNS.items() if old in logs}
