"""The evaluation's items in their files, `<suite>.jsonl` of one folder: read strictly, whoever wrote them.

The tasks stage writes them, the evaluation asks them, the decontamination looks for them in the data, and
lm-evaluation-harness runs them (tasks/).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from tuner import constraints, io
from tuner.errors import UserError
from tuner.params_errors import shown
from tuner.rows import Prompt, Row, Text, checked


class _Constraint(Row):
    family: Literal[tuple(constraints.FAMILIES)]
    arguments: dict[str, Any]


class _Request(Row):
    constraint: _Constraint
    request: Text


class InstructionFollowing(Row):
    """A request with a constraint added to it; `axis` is the constraint's family."""

    id: Text
    suite: Literal["instruction_following"]
    axis: Text
    messages: Prompt
    max_tokens: Annotated[int, Field(ge=1)]
    reference: _Request


class Agent(Row):
    """A conversation up to the turn to be written; `reference` is what the check of its axis compares with."""

    id: Text
    suite: Literal["agent"]
    axis: Text
    messages: Prompt
    max_tokens: Annotated[int, Field(ge=1)]
    reference: dict[str, Any]


class Knowledge(Row):
    """A question, its choices, and the place of the right one, counted from 0."""

    id: Text
    suite: Literal["knowledge"]
    axis: Text
    question: Text
    choices: Annotated[list[Text], Field(min_length=2)]
    answer: Annotated[int, Field(ge=0)]


class Bfcl(Agent):
    """A request and the functions there are; `reference` holds the right call, null where no function fits."""

    suite: Literal["bfcl"]


class IfBench(Agent):
    """A request with one or two instructions; `reference` holds their names and arguments."""

    suite: Literal["ifbench"]


SUITES = {
    "instruction_following": InstructionFollowing,
    "agent": Agent,
    "knowledge": Knowledge,
    "bfcl": Bfcl,
    "ifbench": IfBench,
}
MAY_BE_MISSING = ("bfcl", "ifbench")  # without a file of it, nothing is asked


def file_of(folder: str | Path, suite: str) -> Path:
    """Return where a suite's items are."""
    return Path(folder) / f"{suite}.jsonl"


def read(folder: str | Path) -> dict[str, list[dict[str, Any]]]:
    """Return the items of every suite that has a file, in its order; no id occurs twice in all of them.

    UserError, one line with file and line number: a missing or empty file, a line that is not JSON, a field that is
    missing or of the wrong kind, an id that another item has, an answer that is none of the choices.
    """
    seen: dict[str, str] = {}
    found: dict[str, list[dict[str, Any]]] = {}
    for suite in SUITES:
        if suite in MAY_BE_MISSING and not file_of(folder, suite).exists():
            continue
        found[suite] = []
        for place, item in numbered(folder, suite):
            if item["id"] in seen:
                raise UserError(f"{place}: id {shown(item['id'])} is taken by {seen[item['id']]}; give it another one")
            seen[item["id"]] = place
            found[suite].append(item)
    return found


def numbered(folder: str | Path, suite: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ("file:line", item) of one suite; errors as in `read`, but ids are not compared."""
    file = file_of(folder, suite)
    number = 0
    for number, item in enumerate(io.each_jsonl(file), 1):
        place = f"{file}:{number}"
        checked(item, SUITES[suite], place)
        if suite == "knowledge" and item["answer"] >= len(item["choices"]):
            last = len(item["choices"]) - 1
            raise UserError(f"{place}: answer = {item['answer']}: the choices are numbered from 0 to {last}")
        if suite != "knowledge" and item["messages"][-1]["role"] != "user":
            role = item["messages"][-1]["role"]
            raise UserError(f"{place}: the last message is of the {role}, and must be the user's, to be answered")
        yield place, item
    if not number:
        raise UserError(f"{file}: no items; a suite needs one at least")
