"""Evaluation items for following an instruction: an everyday request and one constraint that code checks."""

from random import Random
from typing import Any

from tuner import constraints
from tuner.replies import parrots, words

# No form names a number, a length in words or a layout, since it could then contradict the constraint.
# All ask for something brief: a reply cut off at max_tokens cannot meet a rule about its end.
FORMS = (
    "Explain briefly to a child what is interesting about {topic}.",
    "Briefly list some things a beginner should know about {topic}.",
    "Write a tiny story about {topic}.",
    "Write a short email to a friend about {topic}.",
    "Give brief advice to someone who is curious about {topic}.",
    "Briefly compare {topic} and {other}.",
    "Summarise in short why some of us care about {topic}.",
    "Describe {topic} briefly for a visitor from another planet.",
    "Write a short speech in praise of {topic}.",
    "Suggest what one could ask an expert on {topic}, in brief.",
    "Write a short diary entry about {topic}.",
    "Name briefly some common mistakes to do with {topic}.",
    "Write a short advertisement for an evening class about {topic}.",
    "Write a short dialogue between neighbours about {topic}.",
    "Explain in short the pleasant and the unpleasant side of {topic}.",
    "Plan a free afternoon around {topic} and keep it short.",
)
TOPICS = (
    "bicycles",
    "tea",
    "public libraries",
    "house cats",
    "bread baking",
    "thunderstorms",
    "board games",
    "train travel",
    "tomatoes",
    "the moon",
    "old photographs",
    "snow",
    "chess",
    "street markets",
    "honey bees",
    "camping",
    "piano lessons",
    "recycling",
    "football",
    "birthday parties",
    "maps",
    "weekend cooking",
    "video calls",
    "second-hand clothes",
    "dreams",
    "sea shells",
    "gardening",
    "long walks",
    "mathematics",
    "pencils",
    "buses",
    "soup",
    "museums",
    "dogs",
    "knitting",
    "umbrellas",
    "apples",
    "sleep",
    "jokes",
    "mountains",
)
# Tokens a reply may take. A limit on length (fewer_words, at_most_sentences) needs room to be broken:
# 128 tokens are some 95 words. Longer where the end must be reached or several parts are asked for.
LONG = ("more_words", "end_phrase", "end_question", "quoted", "json_object", "paragraphs", "bullets", "title")

# "Yes" uses fewer than 20 words, no commas and no digits, and answers none of the requests.
FEWEST_WORDS = 5


def request(form: str, topic: str, rng: Random) -> str:
    """Take a form of FORMS, a topic of TOPICS and a generator; return the request (it draws `other`)."""
    return form.format(topic=topic, other=rng.choice([other for other in TOPICS if other != topic]))


def items(count: int, seed: int) -> list[dict[str, Any]]:
    """Take how many items and a seed; return them, item i being the same whatever the count.

    Families come in turn, so any prefix draws them equally often. Each pair of form and topic is used once
    before any is used again, and then with another family.
    """
    families = list(constraints.FAMILIES)
    pairs = [(form, topic) for form in FORMS for topic in TOPICS]
    Random(f"{seed}-instruction_following-pairs").shuffle(pairs)
    result = []
    for index in range(count):
        rng = Random(f"{seed}-instruction_following-{index}")
        family = families[index % len(families)]
        constraint = constraints.draw(family, rng)
        asked = request(*pairs[index % len(pairs)], rng)
        result.append(
            {
                "id": f"instruction_following-{index:04d}",
                "suite": "instruction_following",
                "axis": family,
                "messages": [{"role": "user", "content": f"{asked} {constraints.describe(constraint)}"}],
                "max_tokens": 160 if family in LONG else 128,
                "reference": {"constraint": constraint, "request": asked},
            }
        )
    return result


def follows(constraint: dict[str, Any], asked: str, reply: str) -> bool:
    """Take a constraint, the request it was added to and a reply; return whether the reply follows it.

    A reply of a few words, or one that repeats the prompt back, does not. Whether it answers the request
    well is not judged, as in IFEval.
    """
    enough = len(words(reply)) >= FEWEST_WORDS
    return (
        enough and constraints.check(constraint, reply) and not parrots(asked, constraints.describe(constraint), reply)
    )


def _loosened(reply: str) -> list[str]:
    """The eight readings of IFEval's loose score: with and without the first line, the last line, and asterisks."""
    lines = reply.strip().split("\n")
    cut = [lines, lines[1:], lines[:-1], lines[1:-1]]
    readings = ["\n".join(kept).strip() for kept in cut]
    return readings + [reading.replace("*", "") for reading in readings]


def check(item: dict[str, Any], reply: str) -> dict[str, bool]:
    """Take an item and a reply; return {"correct", "correct_loose", "valid_format"}.

    Correct is a reply that follows the constraint (see `follows`), loosely correct one of which some reading of
    `_loosened` does (Zhou et al. 2023, section 2.2), valid any reply with a word in it. An item has one constraint,
    so what IFEval tells apart as prompt level and instruction level is the same here.
    """
    constraint, asked = item["reference"]["constraint"], item["reference"]["request"]
    return {
        "correct": follows(constraint, asked, reply),
        "correct_loose": any(follows(constraint, asked, reading) for reading in _loosened(reply)),
        "valid_format": bool(words(reply)),
    }
