"""Constraints on a reply that code can check, in the manner of IFEval (Zhou et al. 2023, arXiv:2311.07911).

A constraint is a plain dict {"family": name, "arguments": {...}}. The families are our own selection and
wording; what they share with IFEval is that each one is decided by a few lines of code, without a judge.
"""

import json
import re
from random import Random
from typing import Any

from tuner.replies import words

Arguments = dict[str, Any]

# Words a reply on nearly any subject could contain, so that including them is possible ...
INCLUDE = (
    "today",
    "water",
    "stranger",
    "morning",
    "window",
    "bridge",
    "lantern",
    "quiet",
    "yellow",
    "river",
    "kitchen",
    "patience",
    "simple",
    "careful",
    "together",
    "garden",
    "winter",
    "question",
    "journey",
    "coffee",
)
# ... and words most replies would contain unless the writer takes care.
EXCLUDE = (
    "very",
    "also",
    "because",
    "people",
    "important",
    "many",
    "can",
    "will",
    "make",
    "good",
    "help",
    "time",
    "great",
    "enjoy",
    "always",
    "often",
    "new",
    "other",
    "more",
    "you",
)
OPENINGS = (
    "Sure",
    "Well",
    "Honestly",
    "Imagine",
    "Yes",
    "Today",
    "First",
    "Sometimes",
    "Perhaps",
    "Often",
    "Look",
    "Remember",
    "Finally",
    "Clearly",
    "Usually",
    "Once",
)
ENDINGS = (
    "That is all for now.",
    "I hope this helps.",
    "Thank you for reading.",
    "See you next time.",
    "Let me know what you think.",
    "Have a lovely day.",
    "And that is the whole story.",
    "Good luck with it.",
)
ABBREVIATIONS = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|vs|etc|e\.g|i\.e|a\.m|p\.m)\.", re.IGNORECASE)
BULLET = re.compile(r"^\s*[-*•]\s+\S", re.MULTILINE)


def count_sentences(text: str) -> int:
    """Take a text; return its number of sentences: ended by . ! or ?, or by the end of a line.

    A line counts although nothing ends it, else a list without full stops would be one sentence.
    """
    total = 0
    for line in text.splitlines():
        line = ABBREVIATIONS.sub("x", re.sub(r"^\s*(?:[-*•#]+|\d+[.)])\s+", "", line))
        total += sum(bool(re.search(r"\w", piece)) for piece in re.split(r"[.!?]+[\"'”’)*]*(?=\s|$)", line))
    return total


def _count_word(word: str, text: str) -> int:
    return words(text).count(word.lower())


def _letters(text: str) -> str:
    return "".join(character for character in text if character.isalpha())


def _is_json_object(text: str) -> bool:
    # A code fence around the object is allowed, as in IFEval: chat models add it out of habit.
    body = re.sub(r"^```(?:json)?\s*\n(.*)\n\s*```$", r"\1", text, flags=re.DOTALL)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and bool(value)


def _is_quoted(text: str) -> bool:
    inner = text[1:-1]
    return len(text) > 2 and text[0] in '"“' and text[-1] in '"”' and not re.search('["“”]', inner)


def _has_title(text: str) -> bool:
    # The sentence that states the rule shows <<Title>>, which therefore is not a title of one's own.
    titles = [title.strip().lower() for title in re.findall(r"<<([^<>\n]+)>>", text)]
    rest = re.sub(r"<<[^<>\n]*>>", "", text)
    return any(title not in ("", "title") for title in titles) and bool(words(rest))


def _ends_with(phrase: str, text: str) -> bool:
    return text.endswith(phrase) and bool(words(text[: -len(phrase)]))


def _count_paragraphs(text: str) -> int:
    return sum(bool(words(part)) for part in re.split(r"\n\s*\n", text))


def _sentences(number: int) -> str:
    return "one sentence" if number == 1 else f"{number} sentences"


# name -> (draw the arguments, describe them in one sentence, check a text without spaces around it)
FAMILIES = {
    "fewer_words": (
        lambda rng: {"words": rng.choice((20, 30, 40, 50, 60))},
        lambda a: f"Use fewer than {a['words']} words.",
        lambda a, text: len(words(text)) < a["words"],
    ),
    "more_words": (
        lambda rng: {"words": rng.choice((15, 20, 30, 40, 50))},
        lambda a: f"Use at least {a['words']} words.",
        lambda a, text: len(words(text)) >= a["words"],
    ),
    "at_most_sentences": (
        lambda rng: {"sentences": rng.choice((1, 2, 3))},
        lambda a: f"Use at most {_sentences(a['sentences'])}.",
        lambda a, text: count_sentences(text) <= a["sentences"],
    ),
    "exact_sentences": (
        lambda rng: {"sentences": rng.choice((2, 3, 4))},
        lambda a: f"Write exactly {_sentences(a['sentences'])}.",
        lambda a, text: count_sentences(text) == a["sentences"],
    ),
    "include_word": (
        lambda rng: {"word": rng.choice(INCLUDE)},
        lambda a: f'Include the word "{a["word"]}" in your reply.',
        lambda a, text: _count_word(a["word"], text) >= 1,
    ),
    "repeat_word": (
        lambda rng: {"word": rng.choice(INCLUDE), "times": rng.choice((2, 3))},
        lambda a: f'Use the word "{a["word"]}" at least {a["times"]} times.',
        lambda a, text: _count_word(a["word"], text) >= a["times"],
    ),
    "exclude_word": (
        lambda rng: {"word": rng.choice(EXCLUDE)},
        lambda a: f'Do not use the word "{a["word"]}" anywhere.',
        lambda a, text: _count_word(a["word"], text) == 0,
    ),
    "no_commas": (
        lambda rng: {},
        lambda a: "Do not use any commas.",
        lambda a, text: "," not in text,
    ),
    "no_digits": (
        lambda rng: {},
        lambda a: "Do not write any digits in your reply.",
        lambda a, text: not re.search(r"\d", text),
    ),
    "lowercase": (
        lambda rng: {},
        lambda a: "Write the whole reply in lowercase letters.",
        lambda a, text: _letters(text) != "" and text == text.lower(),
    ),
    "uppercase": (
        lambda rng: {},
        lambda a: "Write the whole reply in capital letters.",
        lambda a, text: _letters(text) != "" and text == text.upper(),
    ),
    "bullets": (
        lambda rng: {"bullets": rng.choice((2, 3, 4, 5))},
        lambda a: f'Use exactly {a["bullets"]} bullet points, each on its own line starting with "- ".',
        lambda a, text: len(BULLET.findall(text)) == a["bullets"],
    ),
    "start_word": (
        lambda rng: {"word": rng.choice(OPENINGS)},
        lambda a: f'Begin your reply with the word "{a["word"]}".',
        lambda a, text: words(text)[0] == a["word"].lower() and len(words(text)) > 1,
    ),
    "end_phrase": (
        lambda rng: {"phrase": rng.choice(ENDINGS)},
        lambda a: f'End your reply with exactly these words: "{a["phrase"]}"',
        lambda a, text: _ends_with(a["phrase"], text),
    ),
    "end_question": (
        lambda rng: {},
        lambda a: "End your reply with a question.",
        lambda a, text: text.endswith("?"),
    ),
    "quoted": (
        lambda rng: {},
        lambda a: "Wrap the whole reply in one pair of double quotation marks.",
        lambda a, text: _is_quoted(text),
    ),
    "json_object": (
        lambda rng: {},
        lambda a: "Reply with a single JSON object and nothing else.",
        lambda a, text: _is_json_object(text),
    ),
    "paragraphs": (
        lambda rng: {"paragraphs": rng.choice((2, 3))},
        lambda a: f"Write exactly {a['paragraphs']} paragraphs, with a blank line between them.",
        lambda a, text: _count_paragraphs(text) == a["paragraphs"],
    ),
    "title": (
        lambda rng: {},
        lambda a: "Include a title in double angle brackets, written like <<Title>>.",
        lambda a, text: _has_title(text),
    ),
}


def draw(family: str, rng: Random) -> dict[str, Any]:
    """Take a family's name and a seeded generator; return {"family", "arguments"} with drawn arguments."""
    return {"family": family, "arguments": FAMILIES[family][0](rng)}


def describe(constraint: dict[str, Any]) -> str:
    """Take a constraint as `draw` returns it; return the English sentence that asks for it."""
    return FAMILIES[constraint["family"]][1](constraint["arguments"])


def check(constraint: dict[str, Any], text: str) -> bool:
    """Take a constraint and a reply; return whether the reply meets it. A reply without a word never does."""
    text = text.strip()
    return bool(words(text)) and FAMILIES[constraint["family"]][2](constraint["arguments"], text)
