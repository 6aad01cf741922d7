"""The rows of data/ that stages train on and choose from, read strictly: a user may have written them.

What is checked is what would otherwise fail far from the row, or not at all: a missing field, an empty text, a text
that is no Unicode (a lone surrogate), an id that two rows have. The model's own output, data/raw.jsonl, is not judged
here: tuner/filters.py drops such a row with its reason.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from tuner import io
from tuner.errors import UserError
from tuner.params_errors import NO_NUL, one_line, rule, shown


def _name(value: Any) -> Any:
    if type(value) is int or (isinstance(value, str) and value):
        return value
    raise PydanticCustomError("name", "a whole number or some text")


Text = Annotated[str, Field(min_length=1, pattern=NO_NUL)]
Name = Annotated[Any, AfterValidator(_name)]


class Row(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)  # what nobody reads may be there


class Message(Row):
    role: Literal["system", "user", "assistant"]
    content: Text


class _Reply(Row):
    role: Literal["assistant"]
    content: Text


Prompt = Annotated[list[Message], Field(min_length=1)]
_Answer = Annotated[list[_Reply], Field(min_length=1, max_length=1)]


class Completion(Row):
    """A prompt and its answer: data/sft, data/filtered/train.jsonl and validation.jsonl."""

    id: Name
    prompt: Prompt
    completion: _Answer


class Pair(Row):
    """A prompt with a better and a worse answer: data/preference."""

    id: Name
    prompt: Prompt
    chosen: _Answer
    rejected: _Answer


class Kept(Row):
    """A pair that passed the filters: data/filtered/kept.jsonl."""

    id: Name
    instruction: Text
    response: Text


class _Sampled(Row):
    text: str  # an empty one was sampled, too
    finish: Text


class _Scored(_Sampled):
    reward: float


class _Judged(_Sampled):
    passed: bool


class Candidates(Row):
    """A prompt and the answers sampled for it: data/candidates.jsonl."""

    id: Name
    split: Literal["train", "validation"]
    prompt: Prompt
    answers: Annotated[list[_Sampled], Field(min_length=1)]


class Scored(Candidates):
    """The same with what the reward says of each answer: data/scored.jsonl."""

    answers: Annotated[list[_Scored], Field(min_length=1)]


class Judged(Candidates):
    """A request whose answers code has checked: data/verified.jsonl."""

    answers: Annotated[list[_Judged], Field(min_length=1)]


def read(path: str | Path, kind: type[Row], *, may_be_empty: bool = False) -> list[dict[str, Any]]:
    """Return the rows of a JSON Lines file, all of one `kind`; UserError with file and line for the first that is not.

    Two rows may not have the same id. A file without rows is an error unless it `may_be_empty`.
    """
    found, seen = [], {}
    for place, row in _each(path, kind):
        if row["id"] in seen:
            raise UserError(f"{place}: id {shown(row['id'])} is taken by {seen[row['id']]}; give it another one")
        seen[row["id"]] = place
        found.append(row)
    if not found and not may_be_empty:
        raise UserError(f"{path}: no rows; run the stage that writes it again")
    return found


def _each(path: str | Path, kind: type[Row]) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, row in enumerate(io.each_jsonl(path), 1):
        place = f"{path}:{number}"
        checked(row, kind, place)
        if "prompt" in kind.model_fields and row["prompt"][-1]["role"] != "user":
            role = row["prompt"][-1]["role"]
            raise UserError(f"{place}: the last message of the prompt is of the {role}, and must be the user's")
        if kind is Pair and row["chosen"][0]["content"] == row["rejected"][0]["content"]:
            raise UserError(f"{place}: chosen and rejected are the same text; drop the row")
        yield place, row


def checked(row: dict[str, Any], kind: type[Row], place: str) -> None:
    """Raise UserError, one line that begins with `place`, unless a row has the fields of its `kind`."""
    try:
        kind.model_validate(row)
    except ValidationError as error:
        raise UserError(f"{place}: {one_line(_first(error))}") from None


def _first(error: ValidationError) -> str:
    """Return what is wrong with the first field that is, "answer: ..."."""
    found = error.errors()[0]
    field = ".".join(map(str, found["loc"]))
    if found["type"] == "missing":
        return f"{field} is missing"
    return f"{field} = {shown(found['input'])}: must be {rule(found)}"
