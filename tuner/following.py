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


def check(item: dict[str, Any], reply: str) -> dict[str, bool]:
    """Take an item and a reply; return {"correct", "valid_format"}.

    Correct is a reply that follows the constraint (see `follows`), valid any reply with a word in it.
    """
    correct = follows(item["reference"]["constraint"], item["reference"]["request"], reply)
    return {"correct": correct, "valid_format": bool(words(reply))}
