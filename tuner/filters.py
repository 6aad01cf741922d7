"""Which rows a chat model wrote to keep, and why each other one was dropped.

A filter is a function (row, settings, memory) that returns None (keep) or {what was measured: its value}. FILTERS is
their order, cheap before dear; the first that objects names the reason. In doubt a filter keeps the row: a good row
lost shows in no later number, a bad one that slips through can.

Rows come one at a time, so that a sampler can go on until enough of them pass:

    memory = begin(settings, special_tokens, tests)
    for row, passed in stream(rows, memory): ...        # or verdict(row, memory), row by row
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from rapidfuzz import fuzz

from tuner import decontaminate, duplicates, phrases, pii
from tuner.characters import characters
from tuner.errors import UserError
from tuner.instructions import incomplete_instruction, modality, template_leak
from tuner.language import KNOWN as LANGUAGES
from tuner.language import language
from tuner.refusals import identity, refusal
from tuner.repetition import repetition
from tuner.texts import normalise, words

Row = dict[str, Any]
Filter = Callable[[Row, Any, "Memory"], dict | None]

LONGEST_TEXT = 100_000  # characters; no turn of a chat, and the patterns below are tested up to here
COPIED_WORDS = 5
_CHOOSES = re.compile(
    r"\b(?:which|who|whose|choose|pick|select|find|identify|extract|quote|underline|highlight|locate|repeat|copy|say"
    r"|correct|fix|sort|or)\b",
    re.IGNORECASE,
)
# controls but tab and line ends, and halves of surrogate pairs, which have no UTF-8
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
# in every e-mail address, IP address, phone or card number: `pii.mask` takes longer than all filters of the row
_PERSONAL_HINT = re.compile(r"@|\d{3}|\d\.\d{1,3}\.|\+\d|[23][0-9A-Fa-f]{3}:")


@dataclass
class Memory:
    """What filters know beside the row: settings, the tokenizer's control tokens, test items, rows kept so far."""

    settings: Any
    special_tokens: tuple[str, ...]
    tests: decontaminate.Index | None
    index: duplicates.Index
    last_id: int | None = None


def begin(settings: Any, special_tokens: Sequence[str], tests: decontaminate.Index | None = None) -> Memory:
    """A memory for rows to come. `tests`: the index of evaluation items; None compares with nothing.

    UserError when `settings.language` is none that the detector knows: it would drop every row.
    """
    if settings.language is not None and settings.language not in LANGUAGES:
        raise UserError(f"filter.language = {settings.language}: not one that lid.176 knows, such as en, ko or de")
    longest_first = sorted({token for token in special_tokens if token.strip()}, key=lambda t: (-len(t), t))
    return Memory(settings, tuple(longest_first), tests, duplicates.Index(settings.near_duplicate_jaccard))


def turns(row: Row) -> list[Row]:
    """Every turn of a row as {"instruction", "response"}: the earlier ones (`history`) first, the row itself last."""
    return [*(row.get("history") or ()), row]


def _each_turn(function: Filter) -> Filter:
    """The same filter on every turn; what it measures of an earlier one says which (`turn`, from 1)."""

    @wraps(function)
    def on_turns(row: Row, settings: Any, memory: Memory) -> dict | None:
        if not row.get("history"):
            return function(row, settings, memory)
        for number, turn in enumerate(turns(row), 1):
            if measured := function(turn, settings, memory):
                return {**measured, "turn": number}
        return None

    return on_turns


def malformed(row: Row, settings: Any, memory: Memory) -> dict | None:
    """A text that is missing, no string, empty, over 100,000 characters, or not fit to be written.

    Not fit are lone surrogates, which have no UTF-8, and control characters but tab and line ends; these are looked
    for in every string of the row. An answer may be empty if it was never asked for (`response_finish` "skipped").
    """
    history = row.get("history")
    if history is not None and not (isinstance(history, list) and all(isinstance(turn, dict) for turn in history)):
        return {"history": "not a list of turns"}
    for number, turn in enumerate(turns(row), 1):
        at = f"turn {number} " if turn is not row else ""
        for key in ("instruction", "response"):
            wrong = _not_text(turn.get(key), key in turn)
            never_asked = wrong == "empty" and key == "response" and turn.get("response_finish") == "skipped"
            if wrong and not never_asked:
                return {at + key: wrong}
    for key in ("instruction_finish", "response_finish"):
        if not isinstance(row.get(key), str):
            return {key: _not_text(row.get(key), key in row)}
    for key, text in _strings(row, ""):
        if found := _UNWRITABLE.search(text):
            return {key: f"U+{ord(found.group()):04X}"}
    return None


def _not_text(value: Any, there: bool) -> str | None:
    if not there:
        return "missing"
    if not isinstance(value, str):
        return "null" if value is None else type(value).__name__
    if len(value) > LONGEST_TEXT:
        return f"{len(value)} characters"
    return None if value.strip() else "empty"


def _strings(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
        return
    pairs = value.items() if isinstance(value, dict) else ((None, inner) for inner in value)
    for key, inner in pairs:
        if key is not None and not key.isidentifier():
            yield name, key
        if isinstance(inner, str | dict | list):
            yield from _strings(inner, name if key is None else f"{name}.{key}" if name else key)


def truncated(row: Row, settings: Any, memory: Memory) -> dict | None:
    """Sampling of either text ended at the token limit, not at the end of the turn."""
    return next(({s: "length"} for s in ("instruction_finish", "response_finish") if row[s] == "length"), None)


def length(row: Row, settings: Any, memory: Memory) -> dict | None:
    """Words or characters of either text outside min_/max_<text>_words, max_<text>_characters.

    Punctuation alone is no word; each character of Chinese, Japanese and Thai is one. Self-Instruct's bounds for
    instructions are 4 and 150; 2 keeps "Explain recursion". Gopher's floor of 50 is for web pages.
    """
    for side in ("instruction", "response"):
        count = len(words(row[side]))
        if not getattr(settings, f"min_{side}_words") <= count <= getattr(settings, f"max_{side}_words"):
            return {f"{side}_words": count}
        if len(row[side]) > getattr(settings, f"max_{side}_characters"):
            return {f"{side}_characters": len(row[side])}
    return None


def echo(row: Row, settings: Any, memory: Memory) -> dict | None:
    """The response says the instruction again: RapidFuzz ratio (0-1) of the normalised texts above max_echo.

    A corrected sentence is close to the instruction that holds it: after a request to edit, the response must
    also begin as the instruction does. Or the response is nothing but five words or more of the instruction, in
    their order, and to choose or to find some of them was not what it asked for.
    """
    if settings.max_echo == 1:
        return None
    if max(len(row["instruction"]), len(row["response"])) > 4 * min(len(row["instruction"]), len(row["response"])) + 40:
        return _copied(row)  # a ratio of 0.5 or more is out of reach, and params allow no lower limit
    asked, said = normalise(row["instruction"]), normalise(row["response"])
    ratio = fuzz.ratio(asked, said, score_cutoff=100 * settings.max_echo) / 100
    if ratio <= settings.max_echo:
        return _copied(row)
    if phrases.EDITING.search(asked) and asked.split()[:2] != said.split()[:2]:
        return None
    return {"ratio": round(ratio, 4)}


def _copied(row: Row) -> dict | None:
    if len(row["response"]) > len(row["instruction"]) + 20:
        return None
    said = normalise(row["response"])
    if len(words(said)) < COPIED_WORDS or f" {said} " not in f" {normalise(row['instruction'])} ":
        return None
    return None if _CHOOSES.search(row["instruction"]) else {"copied_words": len(words(said))}


def exact_duplicate(row: Row, settings: Any, memory: Memory) -> dict | None:
    """The same normalised first instruction as a row already kept; its id is the measured value."""
    twin = memory.index.same(_first(row))
    return None if twin is None else {"duplicate_of": type(row["id"])(twin)}


def near_duplicate(row: Row, settings: Any, memory: Memory) -> dict | None:
    """Jaccard similarity (0-1) of the first instructions' shingles at or above near_duplicate_jaccard.

    Rows come in id order and meet kept rows alone: each one dropped has a kept twin of a lower id. Published limits
    are 0.7-0.9; at 0.7 one new number in a 20-word sum is a duplicate, at 0.8 it is not.
    """
    found = memory.index.similar(_first(row))
    return found and {"duplicate_of": type(row["id"])(found[0]), "jaccard": round(found[1], 4)}


def _first(row: Row) -> str:
    return turns(row)[0]["instruction"]


def contaminated(row: Row, settings: Any, memory: Memory) -> dict | None:
    """A turn that holds an item of the evaluation (`decontaminate.overlap`), if an index of them was given."""
    if memory.tests is None:
        return None
    return decontaminate.overlap(memory.tests, row["instruction"] + "\n" + row["response"])


def _if_on(name: str, function: Filter) -> Filter:
    @wraps(function)
    def switched(row: Row, settings: Any, memory: Memory) -> dict | None:
        return function(row, settings, memory) if getattr(settings, name) else None

    return switched


FILTERS: tuple[tuple[str, Filter], ...] = (
    ("malformed", malformed),
    ("truncated", _if_on("truncated", truncated)),
    ("length", _each_turn(length)),
    ("template_leak", _if_on("template_leak", _each_turn(template_leak))),
    ("incomplete_instruction", _if_on("incomplete_instruction", _each_turn(incomplete_instruction))),
    ("modality", _if_on("modality", _each_turn(modality))),
    ("refusal", _if_on("refusal", _each_turn(refusal))),
    ("identity", _if_on("identity", _each_turn(identity))),
    ("echo", _each_turn(echo)),
    ("repetition", _each_turn(repetition)),
    ("characters", _each_turn(characters)),
    ("language", _each_turn(language)),
    ("exact_duplicate", _if_on("exact_duplicate", exact_duplicate)),
    ("near_duplicate", near_duplicate),
    ("contaminated", _if_on("contaminated", _each_turn(contaminated))),
)


def verdict(row: Row, memory: Memory) -> tuple[str, dict] | None:
    """(reason, measured) of the first filter that objects, or None; a row that passes is remembered.

    Duplicates are looked for among rows that passed: one dropped for its response does not block a better one.
    Give rows in the order of their ids, so that of a cluster the lowest stays.
    """
    for reason, function in FILTERS:
        if measured := function(row, memory.settings, memory):
            return reason, measured
    memory.index.add(_first(row), int(row["id"]))
    return None


def all_verdicts(row: Row, memory: Memory) -> dict[str, dict]:
    """{reason: measured} of every filter that objects to this row when it is asked alone.

    For the attrition report. It needs a memory of its own: here a row is a duplicate of any earlier row that was no
    duplicate itself, whatever else is wrong with either. To a malformed row nothing but `malformed` can be said.
    """
    found = {}
    for reason, function in FILTERS:
        if measured := function(row, memory.settings, memory):
            found[reason] = measured
            if reason == "malformed":
                return found
    if "exact_duplicate" not in found:
        memory.index.add(_first(row), int(row["id"]), near="near_duplicate" not in found)
    return found


def stream(rows: Iterable[Row], memory: Memory, path: str | Path = "row") -> Iterator[tuple[Row, bool]]:
    """Each row and whether it passed, as they come: kept rows as `masked` has them, others with the reason.

    `path` is where they come from, one a line. A dropped row has `reason` (a filter's name) and `measured`. UserError
    for a row without a whole number as its id, and for an id that does not rise: it would be there twice, or the lower
    of two duplicates would go.
    """
    for line, row in enumerate(rows, 1):
        number = _id(row, f"{path}:{line}")
        if memory.last_id is not None and number <= memory.last_id:
            raise UserError(
                f"{path}:{line}: two rows have the id {number}; make the ids unique"
                if number == memory.last_id
                else f"{path}:{line}: the row with the id {number} comes after {memory.last_id}; sort the rows by id"
            )
        memory.last_id = number
        if against := verdict(row, memory):
            dropped = {**row, "reason": against[0], "measured": against[1]}
            yield _writable(dropped) if against[0] == "malformed" else dropped, False
        else:
            yield masked(row) if memory.settings.mask_pii else row, True


def _id(row: Row, place: str) -> int:
    found = row.get("id")
    if isinstance(found, bool) or not isinstance(found, int | str) or not re.fullmatch(r"-?\d{1,18}", str(found)):
        raise UserError(f"{place}: the row has the id {found!r}; every row needs a whole number as its id")
    return int(found)


def _writable(value: Any) -> Any:
    """The same value with halves of surrogate pairs written as \\udc80: UTF-8 has none for them."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_writable(key): _writable(inner) for key, inner in value.items()}
    return [_writable(inner) for inner in value] if isinstance(value, list) else value


def masked(row: Row) -> Row:
    """The row with personal data of every turn masked (`pii.mask`), and the kinds found, if any, as `masked`."""
    kinds: set[str] = set()

    def clean(turn: Row) -> Row:
        pairs = {
            key: pii.mask(turn[key]) if _PERSONAL_HINT.search(turn[key]) else (turn[key], [])
            for key in ("instruction", "response")
        }
        kinds.update(kind for _, found in pairs.values() for kind in found)
        return {**turn, **{key: text for key, (text, _) in pairs.items()}}

    cleaned = clean(row)
    if row.get("history"):
        cleaned["history"] = [clean(turn) for turn in row["history"]]
    return {**cleaned, "masked": sorted(kinds)} if kinds else row


def apply(
    rows: Iterable[Row],
    settings: Any,
    special_tokens: Sequence[str],
    progress: Callable[[Iterable[Row]], Iterable[Row]] | None = None,
    tests: decontaminate.Index | None = None,
) -> tuple[list[Row], list[Row]]:
    """Kept and dropped rows of `stream`, both in id order, whatever the order of `rows` is."""
    rows = sorted(rows, key=lambda row: _id(row, "row"))
    sides: tuple[list[Row], list[Row]] = [], []
    for row, passed in stream(progress(rows) if progress else rows, begin(settings, special_tokens, tests)):
        sides[not passed].append(row)
    return sides


def tally(reasons: Mapping[str | None, int], judged: int = 0) -> dict[str, int]:
    """Numbers of rows from how often each reason was given (None: kept): `in`, `kept`, `dropped`, `dropped_<reason>`.

    Every filter has its entry, and so has what comes after them all: `judged` of the rows that passed were dropped
    for their score (tuner/judge.py). ValueError if a reason is no filter.
    """
    if unknown := set(reasons) - {name for name, _ in FILTERS} - {None}:
        raise ValueError(f"rows dropped for reasons that are no filter: {sorted(unknown)}")
    kept, total = reasons.get(None, 0), sum(reasons.values())
    each = {f"dropped_{name}": reasons.get(name, 0) for name, _ in FILTERS}
    each["dropped_judged"] = judged
    return {"in": total, "kept": kept - judged, "dropped": total - kept + judged} | each


def counts(rows_in: Sequence[Row], kept: Sequence[Row], dropped: Sequence[Row]) -> dict[str, int]:
    """The `tally` of lists of rows. ValueError if a row was lost or doubled, or its reason is no filter."""
    total = tally(Counter([row["reason"] for row in dropped] + [None] * len(kept)))
    if sorted(int(r["id"]) for r in rows_in) != sorted(int(r["id"]) for r in (*kept, *dropped)):
        raise ValueError(f"{len(kept)} kept and {len(dropped)} dropped rows are not the {len(rows_in)} rows in")
    return total


def split_place(instruction: str, seed: int) -> float:
    """Where in 0-1 an instruction lies for `split`: sha256(seed, normalised instruction), read as a number."""
    return int.from_bytes(hashlib.sha256(f"{seed}\n{normalise(instruction)}".encode()).digest()) / 2**256


def split_limit(places: Iterable[float], validation_share: float) -> float:
    """The number below which a row's `split_place` makes it validate: the share, moved where a side would be empty.

    Reads the places once and keeps none of them. ValueError if the share does not lie between 0 and 1.
    """
    if not 0 < validation_share < 1:
        raise ValueError(f"validation_share must lie between 0 and 1, not {validation_share}")
    lowest, highest = math.inf, -math.inf
    for place in places:
        lowest, highest = min(lowest, place), max(highest, place)
    if lowest >= highest:
        return 0.0
    return min(max(validation_share, math.nextafter(lowest, 1)), highest)


def split(kept: Sequence[Row], validation_share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Training and validation rows in their order; no normalised (first) instruction is on both sides.

    A row validates where its `split_place` is below the share. So new rows move no old one, and the share is met
    on average only. With two or more instructions no side is empty: if it would be, the lowest validates or the
    highest trains. A single instruction trains.
    """
    places = [split_place(_first(row), seed) for row in kept]
    limit = split_limit(places, validation_share)
    sides: tuple[list[Row], list[Row]] = [], []
    for row, place in zip(kept, places, strict=True):
        sides[place < limit].append(row)
    return sides
