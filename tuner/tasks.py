"""Make the evaluation's own items, suite by suite."""

import tempfile
from pathlib import Path
from typing import Any

from tuner import agent, bfcl, ifbench, instruction_following, io, items, knowledge
from tuner.params import Evaluate


def made(settings: Evaluate, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Return the items of every suite but IFBench, as many as `settings` says; item i is the same whatever the count.

    Those of IFBench need the checkers that `write` puts beside them.
    """
    found = {
        "instruction_following": instruction_following.items(settings.instruction_following, seed),
        "agent": agent.items(settings.agent_per_axis, seed),
        "knowledge": knowledge.items(settings.knowledge, seed),
    }
    if settings.bfcl:
        with tempfile.TemporaryDirectory() as folder:
            found["bfcl"] = bfcl.items(settings.bfcl, seed, bfcl.fetch(Path(folder)))
    return found


def write(settings: Evaluate, seed: int, folder: Path) -> dict[str, int]:
    """Write the items of every suite to `folder`, and what judges those of IFBench; return how many there are."""
    found = made(settings, seed)
    if settings.ifbench:
        found["ifbench"] = ifbench.items(settings.ifbench, seed, ifbench.fetch(folder))
    for suite, rows in found.items():
        io.write_jsonl(items.file_of(folder, suite), rows)
    return {suite: len(rows) for suite, rows in found.items()}
