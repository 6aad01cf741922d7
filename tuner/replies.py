"""Lenient reading of a chat model's reply: numbers, names, JSON, and whether it only repeats the prompt."""

import json
import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Any

NUMBER = re.compile(r"(?<![\d.])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
NUMBER_WORDS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)


def words(text: str) -> list[str]:
    """Take any text; return its words and numbers in lower case, without punctuation."""
    return re.findall(r"\w+(?:['’]\w+)*", text.lower())


def answer_part(reply: str) -> str | None:
    """Take a reply; return what follows the last "Answer:" on its line, or None without one."""
    # "**" is Markdown around the word; a single "*" may be the first sign of the answer.
    found = re.findall(r"(?i)\banswer(?:\*\*)?\s*[:=](?:\*\*)?\s*([^\n]*)", reply)
    return found[-1].strip() if found else None


def number(reply: str) -> float | None:
    """Take a reply; return the one number it gives as its answer, or None.

    The last number counts (of the "Answer:" line if there is one), so a list of guesses is one guess.
    Number words up to twelve are read only where the text has no digits, since "one" is often a pronoun.
    """
    part = answer_part(reply)
    text = reply if part is None else part
    digits = NUMBER.findall(text)
    if digits:
        return float(digits[-1].replace(",", ""))
    spelled = [word for word in words(text) if word in NUMBER_WORDS]
    return float(NUMBER_WORDS.index(spelled[-1])) if spelled else None


def one_of(candidates: Iterable[str], reply: str) -> str | None:
    """Take the possible answers and a reply; return the only one it gives, or None for none or several.

    Read are the "Answer:" line, or else the whole reply, or else (a model that reasons names several
    on the way) its last sentence.
    """
    names = list(candidates)

    def named(text: str) -> set[str]:
        return {name for name in names if re.search(rf"(?i)(?<!\w){re.escape(name)}(?!\w)", text)}

    part = answer_part(reply)
    found = named(reply if part is None else part)
    if len(found) > 1 and part is None:
        sentences = [piece for piece in re.split(r"[.!?\n]+", reply) if re.search(r"\w", piece)]
        found = named(sentences[-1])
    return found.pop() if len(found) == 1 else None


def mentions(candidates: Iterable[str], text: str) -> list[str]:
    """Take candidate words and a text; return every mention (lower case) in the order of the text."""
    pattern = "|".join(re.escape(name) for name in candidates)
    return [found.lower() for found in re.findall(rf"(?i)(?<!\w)(?:{pattern})(?!\w)", text)]


def first_json(reply: str) -> Any:
    """Take a reply; return the first JSON object in it as a dict, or None when there is none."""
    decoder = json.JSONDecoder()
    for found in re.finditer(r"\{", reply):
        try:
            return decoder.raw_decode(reply, found.start())[0]
        except (ValueError, RecursionError):
            continue
    return None


def _shared(source: list[str], reply: list[str]) -> int:
    return SequenceMatcher(None, source, reply, autojunk=False).find_longest_match().size


def only_repeats(prompt: str, reply: str, share: float = 1.0) -> bool:
    """Take a prompt and a reply; return whether one run of the prompt's words is `share` of the reply."""
    said = words(reply)
    return bool(said) and _shared(words(prompt), said) >= share * len(said)


def parrots(request: str, rule: str, reply: str) -> bool:
    """Take a request, the rule added to it and a reply; return whether the reply repeats them back.

    Without this, a reply that says "include the word lantern" would include the word lantern.
    The request may make up at most 60 % of a reply; the rule, quoted whole, is never part of an answer.
    """
    rule_words = words(rule)
    if _shared(rule_words, words(reply)) == len(rule_words):
        return True
    return only_repeats(request, reply, 0.6) or only_repeats(f"{request} {rule}", reply)
