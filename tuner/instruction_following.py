"""Evaluation items for following an instruction: an everyday request and one constraint that code checks.

A reply is judged by `following.check`.
"""

from random import Random
from typing import Any

from tuner import constraints
from tuner.request_forms import FORMS, TOPICS, request

# Tokens a reply may take. A limit on length (fewer_words, at_most_sentences) needs room to be broken:
# 128 tokens are some 95 words. Longer where the end must be reached or several parts are asked for.
LONG = ("more_words", "end_phrase", "end_question", "quoted", "json_object", "paragraphs", "bullets", "title")


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
