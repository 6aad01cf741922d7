"""Make the evaluation's own items, suite by suite."""

import tempfile
from pathlib import Path
from typing import Any

from tuner import agent, bfcl, instruction_following, knowledge
from tuner.params import Evaluate


def made(settings: Evaluate, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Return the items of every suite, as many as `settings` says; item i is the same whatever the count."""
    found = {
        "instruction_following": instruction_following.items(settings.instruction_following, seed),
        "agent": agent.items(settings.agent_per_axis, seed),
        "knowledge": knowledge.items(settings.knowledge, seed),
    }
    if settings.bfcl:
        with tempfile.TemporaryDirectory() as folder:
            found["bfcl"] = bfcl.items(settings.bfcl, seed, bfcl.fetch(Path(folder)))
    return found
