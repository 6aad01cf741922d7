"""Whether a reply follows the constraint that was added to a request: for rows of the data and items alike."""

from typing import Any

from tuner import constraints
from tuner.replies import parrots, words

# "Yes" uses fewer than 20 words, no commas and no digits, and answers none of the requests.
FEWEST_WORDS = 5


def follows(constraint: dict[str, Any], asked: str, reply: str) -> bool:
    """Take a constraint, the request it was added to and a reply; return whether the reply follows it.

    A reply of a few words, or one that repeats the prompt back, does not. Whether it answers the request
    well is not judged, as in IFEval.
    """
    enough = len(words(reply)) >= FEWEST_WORDS
    return (
        enough and constraints.check(constraint, reply) and not parrots(asked, constraints.describe(constraint), reply)
    )


def loosened(reply: str) -> list[str]:
    """Return the eight readings of IFEval's loose score: with and without first line, last line, and asterisks."""
    lines = reply.strip().split("\n")
    cut = [lines, lines[1:], lines[:-1], lines[1:-1]]
    readings = ["\n".join(kept).strip() for kept in cut]
    return readings + [reading.replace("*", "") for reading in readings]


def check(item: dict[str, Any], reply: str) -> dict[str, bool]:
    """Take an item and a reply; return {"correct", "correct_loose", "valid_format"}.

    Correct is a reply that follows the constraint (see `follows`), loosely correct one of which some reading of
    `loosened` does (Zhou et al. 2023, section 2.2), valid any reply with a word in it. An item has one constraint,
    so what IFEval tells apart as prompt level and instruction level is the same here.
    """
    constraint, asked = item["reference"]["constraint"], item["reference"]["request"]
    return {
        "correct": follows(constraint, asked, reply),
        "correct_loose": any(follows(constraint, asked, reading) for reading in loosened(reply)),
        "valid_format": bool(words(reply)),
    }
