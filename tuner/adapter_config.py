"""PEFT's configuration of a method, from its section of params.yaml."""

import dataclasses
import difflib
from pathlib import Path

from peft import PeftConfig
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

from tuner.errors import UserError
from tuner.params import Method

# Types that need more than a loss and a gradient: rank schedules, task numbers, losses of their own, other adapters.
OWN_TRAINING = ("ADALORA", "CPT", "MULTITASK_PROMPT_TUNING", "XLORA")
SET = ("task_type", "peft_type", "inference_mode")  # by this project, whatever the method


def of(name: str, settings: Method, student: Path) -> PeftConfig:
    """Return PEFT's configuration of a method: its section of params.yaml, and PEFT's defaults for the rest.

    UserError for a type or an argument that PEFT does not have, and for values it refuses.
    """
    if settings.peft_type in OWN_TRAINING:
        raise UserError(
            f"{name}.peft_type = {settings.peft_type!r}: trains by rules of its own, which this stage does not"
        )
    if settings.peft_type not in PEFT_TYPE_TO_CONFIG_MAPPING:
        raise UserError(
            f"{name}.peft_type = {settings.peft_type!r}: PEFT has no such type; it has "
            + ", ".join(sorted(PEFT_TYPE_TO_CONFIG_MAPPING))
        )
    kind = PEFT_TYPE_TO_CONFIG_MAPPING[settings.peft_type]
    defaults = {field.name: field.default for field in dataclasses.fields(kind) if field.name not in SET}
    arguments, known = settings.arguments, list(defaults)
    for argument, value in arguments.items():
        if argument not in known:
            close = difflib.get_close_matches(argument, known, n=1)
            raise UserError(
                f"{name}.{argument} = {value!r}: PEFT's {kind.__name__} has no such argument; "
                + (f"did you mean {close[0]}?" if close else f"it has {', '.join(known)}")
            )
    if "num_virtual_tokens" not in arguments and defaults.get("num_virtual_tokens", 0) is None:
        raise UserError(f"{name}.num_virtual_tokens is missing: how many {settings.peft_type} learns")
    if settings.init_text is not None and "num_virtual_tokens" not in known:
        raise UserError(f"{name}.init_text: {settings.peft_type} has no virtual tokens that could start from a text")
    if "tokenizer_name_or_path" in known:
        arguments["tokenizer_name_or_path"] = str(student)
    try:
        return kind(task_type="CAUSAL_LM", **arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: {first_line(error)}") from None


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, or its name where it says nothing."""
    return (str(error) or type(error).__name__).splitlines()[0]
