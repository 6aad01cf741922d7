"""What is wrong with params.yaml, in one line a user can act on."""

import difflib
from typing import get_args

from pydantic import BaseModel

# What a text has to look like, and how a reader is told so.
SHA256, COMMIT, MODEL_NAME = r"^[0-9a-f]{64}$", r"^[0-9a-f]{40}$", r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
URL = r"^https?://[^@\s]+$"
LANGUAGE = r"^[a-z]{2,3}$"
NO_NUL = r"^[^\x00]*$"
PATTERNS = {
    SHA256: "a SHA-256: 64 digits, 0-9 and a-f",
    COMMIT: "a whole commit: 40 digits, 0-9 and a-f",
    MODEL_NAME: "letters, digits, - and _ (no dot: DVC reads models.a.b as b inside a)",
    LANGUAGE: "a language's ISO 639 code, such as en or ko",
    NO_NUL: "text without NUL characters",
    URL: "an address such as http://127.0.0.1:8000, without a key or password in it",
}

# What is allowed, by pydantic's type of error and to go on from "must be", where pydantic's own words will not do.
_RULES = {
    "string_too_short": "some text, not an empty one",
    "string_type": "text; put it in quotes if it looks like a number",
    "string_unicode": "Unicode text: it has half of a surrogate pair",
    "too_short": "of {min_length} or more entries",
    "union_tag_invalid": "one of {expected_tags}",
    **dict.fromkeys(("int_type", "int_from_float"), "a whole number"),
    **dict.fromkeys(("dict_type", "model_attributes_type", "model_type"), "a section: lines of `key: value` below it"),
}


def explain(errors: list[dict], values: dict, schema: type[BaseModel], sources: dict[str, type[BaseModel]]) -> str:
    """Return one error in words. A mistyped key comes first: it is also what a missing one was meant to be.

    `values` are those that were checked against `schema`; `sources`, the schemas of an entry of `models` by source.
    """
    located = [(*_locate(error, values), error) for error in errors]
    unknown = [one for one in located if one[2]["type"] in ("extra_forbidden", "invalid_key")]
    key, value, error = (unknown or located)[0]
    if unknown:
        known = _known_keys(error["loc"][:-1], schema, sources) + list(values["adapters"]) * (len(error["loc"]) == 1)
        close = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"allowed here: {', '.join(known)}"
        return f"{key} = {shown(value)} is not a known key; {hint}"
    if error["type"] == "missing":
        return f"{key} is missing; every value is stated in the file"
    if error["type"] == "union_tag_not_found":
        return f"{key} is missing; it must be one of {', '.join(sources)}"
    if error["loc"][-1] == "[key]":
        return f"{key}: a name must be {PATTERNS[MODEL_NAME]}"
    # Where a value may be of two kinds there is an error for each; an element of the value is nearer the mistake.
    kinds = [one for one in located if one[0] == key or one[0].startswith(f"{key}[")]
    key, value, _ = max(kinds, key=lambda one: len(one[0]))
    rules = dict.fromkeys(rule(error) for found, _, error in kinds if found == key)
    return f"{key} = {shown(value)}: must be {' or '.join(rules)}"


def _locate(error: dict, values: dict) -> tuple[str, object]:
    """Return the dotted key an error is about, and its value. Names of branches of the schema are left out."""
    at, key = values, ""
    location = error["loc"] + (("source",) if error["type"].startswith("union_tag") else ())
    for number, part in enumerate(location, 1):
        if isinstance(at, dict) and part in at:
            at, key = at[part], f"{key}.{part}"
        elif isinstance(at, list) and isinstance(part, int):
            at, key = at[part], f"{key}[{part}]"
        elif number == len(location) and error["type"] in ("missing", "union_tag_not_found"):
            key = f"{key}.{part}"
    return key.removeprefix(".").removeprefix("adapters."), at


def rule(error: dict) -> str:
    """Return what is allowed where one of pydantic's errors is, to go on from "must be"."""
    context = error.get("ctx", {})
    own = error["msg"].removeprefix("Input should be ").replace("a valid ", "a ")
    if error["type"] in _RULES:
        return _RULES[error["type"]].format(**context)
    return PATTERNS.get(context.get("pattern"), own)


def _known_keys(location: tuple, schema: type[BaseModel], sources: dict[str, type[BaseModel]]) -> list[str]:
    """Return the keys of the section at a location of the schema."""
    if location[:1] == ("models",):
        return list(sources[location[2]].model_fields)
    section = schema
    for part in location:
        # an entry of a section, or of a list or mapping of sections
        section = section.model_fields[part].annotation if isinstance(section, type) else get_args(section)[-1]
    return [name for name in section.model_fields if name != "adapters"]


def shown(value: object) -> str:
    """Return a value as YAML would write it, cut to 60 characters."""
    text = {"True": "true", "False": "false", "None": "null"}.get(repr(value), repr(value))
    return text if len(text) <= 60 else text[:57] + "..."


def one_line(text: str) -> str:
    """Return a text without its line breaks."""
    return " ".join(text.split())
