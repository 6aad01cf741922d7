"""Agent evaluation items on five axes: planning, reasoning, context, feedback and tool use.

All are our own small problems, made from a seed and checked by code: a simulator runs a plan, an answer is compared, a
call is parsed. Levels 0 to 3 come in turn. Replies are read leniently, for a small model talks around its answer, but
no reply is right that only repeats the prompt or lists the possibilities.
"""

import re
from collections.abc import Callable
from random import Random
from typing import Any

from tuner import agent_dialogue, agent_problems

ATTEMPTS = 1000


def _one_turn(make: Callable, tokens: int) -> Callable:
    def made(index: int, rng: Random) -> tuple[list[dict[str, str]], dict[str, Any], int]:
        prompt, reference = make(index, rng)
        shown = agent_dialogue.worked_example(lambda: make(index, rng), reference)
        return [*shown, {"role": "user", "content": prompt}], reference, tokens

    return made


# axis -> (make (messages, reference, max_tokens) from a number and a generator, check a reply)
AXES: dict[str, tuple[Callable, Callable]] = {
    "planning": (_one_turn(agent_problems.make_planning, 64), agent_problems.check_planning),
    "reasoning": (_one_turn(agent_problems.make_reasoning, 48), agent_problems.check_reasoning),
    "context": (agent_dialogue.make_context, agent_dialogue.check_context),
    "feedback": (agent_dialogue.make_feedback, agent_dialogue.check_feedback),
    "tool_use": (agent_dialogue.make_tool_use, agent_dialogue.check_tool_use),
}


def echoes(messages: list[dict[str, str]]) -> list[str]:
    """Take an item's messages; return what a reply that repeats the prompt could be.

    The whole conversation, its last message, and each sentence or line of that. (Repeating the one early
    turn that holds the fact to remember is an answer.)
    """
    last = messages[-1]["content"]
    pieces = [piece for piece in re.split(r"(?<=[.?!:])\s+|\n", last) if piece]
    return ["\n".join(message["content"] for message in messages), last, *pieces]


def items(count_per_axis: int, seed: int) -> list[dict[str, Any]]:
    """Take how many items each axis gets and a seed; return them, the axes in turn.

    An item is {"id", "suite", "axis", "messages", "max_tokens", "reference"} and the same whatever the
    count. `reference["level"]` grades it from 0 (easy, mostly with a worked example) to 3, in turn;
    `reference["solution"]`, where one can be written down, is a reply that is right. No conversation
    occurs twice, and none holds its own answer.
    """
    result, seen = [], set()
    for index in range(count_per_axis):
        for axis, (make, check_reply) in AXES.items():
            for attempt in range(ATTEMPTS):
                rng = Random(f"{seed}-agent-{axis}-{index}-{attempt}")
                messages, reference, max_tokens = make(index, rng)
                key = tuple(message["content"] for message in messages)
                held = any(check_reply(reference, echo)["correct"] for echo in echoes(messages))
                if key not in seen and not held:
                    break
            else:
                raise ValueError(f"agent: {count_per_axis} items per axis asked for, {axis} has {index}")
            seen.add(key)
            result.append(
                {
                    "id": f"agent-{axis}-{index:04d}",
                    "suite": "agent",
                    "axis": axis,
                    "messages": messages,
                    "max_tokens": max_tokens,
                    "reference": reference,
                }
            )
    return result


def check(item: dict[str, Any], reply: str) -> dict[str, bool]:
    """Take an item and a reply to its messages; return {"correct", "valid_format"}.

    Valid is a reply in which the asked form (a number, a name, moves, a call ...) can be read.
    """
    return AXES[item["axis"]][1](item["reference"], reply)


def feedback(item: dict[str, Any], reply: str) -> str | None:
    """Take a feedback item and the reply of turn 1; return the user's message of turn 2, None when right."""
    return agent_dialogue.feedback_message(item["reference"], reply)


def check_turns(item: dict[str, Any], first: str, second: str | None) -> dict[str, bool]:
    """Take a feedback item and its replies, `second` None when turn 1 was right; return its verdict.

    {"correct", "valid_format", "solved_first"}: correct when either turn is right, format of the last turn.
    """
    verdict = check(item, first)
    solved_first = verdict["correct"]
    if not solved_first and second is not None:
        verdict = check(item, second)
    return {**verdict, "solved_first": solved_first}
