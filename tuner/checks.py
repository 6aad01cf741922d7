"""The checks that judge replies, by suite, and items files whose references these checks can read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tuner import agent, bfcl, following, ifbench, items
from tuner.errors import UserError

CHECKS: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
    "instruction_following": following.check,
    "agent": agent.check,
    "bfcl": bfcl.check,
    "ifbench": ifbench.check,
}

# What a model could say: the checks of all axes find a number, a move, a sentence, a call and an answer in it.
PROBE = 'I would go up and then right, + 4, which makes 12. Answer: 12 up {"name": "call", "arguments": {"a": 1}}'


def read(folder: str | Path) -> dict[str, list[dict[str, Any]]]:
    """Return `items.read(folder)` once every check has judged PROBE, and its item's solution where one is stated.

    Items of IFBench get the folder of their "checkers", which is not in the file: it lies beside it, wherever that is.
    So that what a check lacks in a `reference` written by hand is one line before a model is loaded (UserError), not
    a traceback after hours of replies.
    """
    found = items.read(folder)
    for item in found.get("ifbench", []):
        item["checkers"] = str(Path(folder) / ifbench.FOLDER)
    for suite, check in CHECKS.items():
        for number, item in enumerate(found.get(suite, []), 1):
            place = f"{items.file_of(folder, suite)}:{number}"
            if suite == "agent" and item["axis"] not in agent.AXES:
                raise UserError(f"{place}: axis = {item['axis']!r}: must be one of {', '.join(agent.AXES)}")
            said = item["reference"].get("solution", PROBE)
            try:
                for reply in (PROBE, said):
                    check(item, reply)
                    if item["axis"] == "feedback":
                        agent.feedback(item, reply)
            except KeyError as error:
                raise UserError(f"{place}: reference: {error} is missing, which the check reads") from None
            except (AttributeError, IndexError, TypeError, ValueError) as error:
                raise UserError(f"{place}: reference: the check cannot read it ({error})") from None
    return found
