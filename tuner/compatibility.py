"""Which constraint families can be added to an instruction, and which can stand together."""

import re
from collections.abc import Sequence
from itertools import combinations

from tuner.constraints import FAMILIES
from tuner.replies import words

COUNTING = ("fewer_words", "more_words", "at_most_sentences", "exact_sentences")
SENTENCES = ("at_most_sentences", "exact_sentences")
LAYOUT = ("bullets", "paragraphs", "json_object", "quoted", "title")
ALL = tuple(FAMILIES)
FIXED = (("start_word", "word"), ("end_phrase", "phrase"))  # arguments that an answer has to hold as they are

# family -> the families that cannot be asked for beside it, or that a rule of another kind covers already
APART = {
    "bullets": (*SENTENCES, "paragraphs", "quoted", "json_object", "start_word"),
    "json_object": (*SENTENCES, "paragraphs", "quoted", "title", "start_word", "end_phrase", "end_question"),
    "quoted": ("title", "end_phrase", "end_question"),
    "title": (*SENTENCES, "start_word", "paragraphs"),
    "lowercase": ("uppercase", "start_word", "end_phrase"),
    "uppercase": ("start_word", "end_phrase", "json_object"),
    "no_commas": ("json_object",),
    "end_phrase": ("end_question",),
    "include_word": ("repeat_word",),
    "at_most_sentences": ("exact_sentences",),
}

NUMBER = r"(?:\d+|a|an|one|two|three|four|five|six|seven|eight|nine|ten|single|few)"
# What an instruction says already, and the families that could contradict it. Code, sums, texts to be reworked and
# rules of the instruction's own take no constraint: either could break the other in ways no list foresees.
STATED = (
    (
        r"`|\b(?:code|coding|function|script|sql|query|regex|python|javascript|java|html|css|php|json|csv|xml|markdown"
        r"|formula|equation|calculate|compute|solve|average of)\b",
        ALL,
    ),
    (
        r"\b(?:rewrit\w+|rephras\w+|paraphras\w+|translat\w+|proofread\w*|edit|grammar|rework\w*|punctuation|commas?"
        r"|capital letters|(?:upper|lower) ?case|quotation marks?|exactly|at least|at most|(?:begin|start|end) with"
        r"|(?:answer|response|reply) (?:must|should)|include the words?|formatt?(?:ed)?)\b",
        ALL,
    ),
    (
        rf"\b{NUMBER}[- ](?:words?|sentences?|paragraphs?|lines?|bullets?|bullet points?|pages?)\b"
        r"|\b(?:poems?|haiku|songs?|lyrics|limerick|letter|e-?mail|essay|dialogue|table|headline|tweet|slogan)\b",
        (*COUNTING, *LAYOUT),
    ),
    (
        rf"\btop {NUMBER}\b|\b{NUMBER} (?:tips|ways|examples|reasons|ideas|facts|things|steps|options|items|points)\b",
        (*COUNTING, *LAYOUT),
    ),
    (
        r"\b(?:lists?|checklist|bullets?|bullet points?|steps|outline|itinerary)\b",
        (*SENTENCES, "paragraphs", "quoted"),
    ),
    (r"\b(?:brief|briefly|short|shortly|concise|summary|summari[sz]e)\b", ("more_words", "paragraphs")),
    (
        r"\b(?:detail|detailed|details|in-depth|comprehensive|thorough|long|full|step[- ]by[- ]step)\b",
        ("fewer_words", *SENTENCES),
    ),
)


def allowed(instruction: str, families: Sequence[str]) -> list[str]:
    """Return those of the families that cannot contradict a length, layout or rule the instruction states (STATED)."""
    ruled_out = {name for stated, names in STATED if re.search(stated, instruction, re.IGNORECASE) for name in names}
    return [family for family in families if family not in ruled_out]


def compatible(families: Sequence[str]) -> bool:
    """Return whether constraints of these families can be asked for in one instruction (APART)."""
    return all(
        first != second and second not in APART.get(first, ()) and first not in APART.get(second, ())
        for first, second in combinations(families, 2)
    )


def consistent(added: Sequence[dict]) -> bool:
    """Return whether the arguments of compatible constraints leave room for an ordinary answer.

    Room is 10 words between the limits, 6 words a bullet point or sentence, 10 a paragraph, at most 20 a sentence, and
    a sentence before one that ends the answer. A word to leave out must not be asked for, nor one asked for twice over.
    """
    arguments = {constraint["family"]: constraint["arguments"] for constraint in added}
    number = {family: next(iter(values.values()), 0) for family, values in arguments.items()}
    least = max(
        number.get("more_words", 0),
        6 * number.get("bullets", 0),
        6 * number.get("exact_sentences", 0),
        10 * number.get("paragraphs", 0),
    )
    said = min(number.get("at_most_sentences", 99), number.get("exact_sentences", 99))
    needed = max(number.get("paragraphs", 1), 2 if {"end_phrase", "end_question"} & set(number) else 1)
    said_anyway = words(" ".join(str(arguments.get(family, {}).get(name, "")) for family, name in FIXED))
    wanted = [arguments[family]["word"] for family in ("include_word", "repeat_word") if family in arguments]
    return (
        least + 10 <= number.get("fewer_words", 999)
        and number.get("more_words", 0) <= 20 * said
        and needed <= said
        and number.get("exclude_word") not in [*said_anyway, *wanted]
        and not set(wanted) & set(said_anyway)
    )
