"""Evaluation items: the same from a seed, solvable, and not to be had by repeating or listing."""

import json
import re
from collections import Counter

import pytest

from tuner import agent, agent_dialogue, constraints, following, instruction_following, knowledge

AGENT = agent.items(72, 5)
SUITES = {"instruction_following": instruction_following.items, "knowledge": knowledge.items, "agent": agent.items}


def of_axis(axis):
    return [item for item in AGENT if item["axis"] == axis]


def correct(item, reply):
    return agent.check(item, reply)["correct"]


@pytest.mark.parametrize("suite", SUITES)
def test_items_are_stable_plain_and_distinct(suite):
    make = SUITES[suite]
    per_index = 5 if suite == "agent" else 1
    twenty = make(20, 3)
    assert make(10, 3) == twenty[: 10 * per_index] and make(20, 3) == twenty
    assert make(20, 4) != twenty and make(0, 3) == []
    assert json.loads(json.dumps(twenty)) == twenty
    many = make(300, 3)
    assert len({item["id"] for item in many}) == len(many) == 300 * per_index
    texts = [item.get("question") or json.dumps(item["messages"]) for item in many]
    assert len(set(texts)) == len(many)
    counts = Counter(item["axis"] for item in many)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert {item["suite"] for item in many} == {suite}


def test_instruction_following_items_ask_for_their_constraint():
    forms, topics = instruction_following.FORMS, instruction_following.TOPICS
    assert len(set(forms)) >= 12 and len(set(topics)) >= 40
    said = set(re.findall(r"\w+", " ".join(forms + topics).replace("{other}", "").lower()))
    assert not said & set(constraints.EXCLUDE + constraints.INCLUDE)  # else the request decides the check
    for item in instruction_following.items(100, 1):
        prompt = item["messages"][0]["content"]
        assert prompt.endswith(constraints.describe(item["reference"]["constraint"]))
        assert item["reference"]["constraint"]["family"] == item["axis"]
        limit = item["reference"]["constraint"]["arguments"].get("words", 0)
        assert item["max_tokens"] >= 2 * limit  # so that a limit on words can be met, and broken
        for echo in (prompt, item["reference"]["request"], f'"{prompt}"', prompt.lower(), prompt.upper(), ""):
            assert not following.check(item, echo)["correct"], (item["axis"], echo)


def test_instruction_following_check():
    item = next(one for one in instruction_following.items(40, 1) if one["axis"] == "lowercase")
    good = following.check(item, "they roll well, and far.")
    assert good == {"correct": True, "correct_loose": True, "valid_format": True}
    for bad in ("They roll well, and far.", "they roll far"):  # the second is too short to be a reply
        wrong = {"correct": False, "correct_loose": False, "valid_format": True}
        assert following.check(item, bad) == wrong
    nothing = {"correct": False, "correct_loose": False, "valid_format": False}
    assert following.check(item, " \n") == nothing
    loosely = {"correct": False, "correct_loose": True, "valid_format": True}
    for reply in ("Here you go:\nthey roll well, and far.", "they roll well, and far.\nEnjoy!"):
        assert following.check(item, reply) == loosely
    question = next(one for one in instruction_following.items(40, 1) if one["axis"] == "end_question")
    assert following.check(question, "**Would you like to hear of it?**") == loosely


def test_stored_solutions_are_right():
    without = Counter()
    for item in AGENT:
        solution = item["reference"].get("solution")
        if solution is None:
            without[item["axis"]] += 1
            continue
        assert agent.check(item, solution) == {"correct": True, "valid_format": True}, item
        if item["axis"] in ("planning", "reasoning", "context"):
            assert correct(item, f"Sure! Let me think about it.\n**Answer:** {solution}."), item
        if item["axis"] == "tool_use":
            assert correct(item, f"Here is the call:\n```json\n{solution}\n```\nThat should do.")
    assert without == {"feedback": 24}  # the rules, which have no single reply


def test_repeating_the_prompt_is_not_an_answer():
    for item in AGENT:
        texts = [message["content"] for message in item["messages"]]
        for echo in (
            "",
            " ",
            texts[-1],
            texts[-1].lower(),
            texts[-1].upper(),
            f"Sure! {texts[-1]}",
            "\n".join(texts),
            *agent.echoes(item["messages"]),
        ):
            assert not correct(item, echo), (item["id"], echo)
        assert not agent.check(item, "")["valid_format"]


def test_listing_everything_or_always_saying_the_same_is_not_an_answer():
    lists = {
        "planning": ["up, down, left, right", "up, up, right, right", ", ".join(["right", "up"] * 30)],
        "reasoning": [", ".join(map(str, range(400))), "1 or 2 or 3 or 4", "1", "3"],
        "context": [", ".join(values) for values, *_ in agent_dialogue.FACTS] + ["Monday", "blue"],
        "feedback": [", ".join(agent_dialogue.SORTED_WORDS), ", ".join(map(str, range(300))), "Sure", "OK?"],
        "tool_use": ['{"name": "get_weather", "arguments": {}}', '{"arguments": null}', "{}", "null"],
    }
    for axis, replies in lists.items():
        for reply in replies:
            share = sum(correct(item, reply) for item in of_axis(axis)) / 72
            assert share < 0.15, (axis, reply, share)
    for item in of_axis("reasoning"):
        if "candidates" in item["reference"]:
            assert not correct(item, ", ".join(item["reference"]["candidates"]))


def test_prompts_are_short():
    for item in AGENT:
        characters = sum(len(message["content"]) for message in item["messages"])
        assert characters < 760
        assert 16 <= item["max_tokens"] <= 160


def test_odd_replies_never_crash():
    for reply in (
        "{" * 3000,
        '{"name": [1]}',
        '{"name": {}, "arguments": 3}',
        "9" * 5000,
        "-",
        "Answer:",
        '{"name": "x", "arguments": {"a": NaN}}',
        "\x00",
        "…",
        "1,,2",
        f'{{"name": {"9" * 5000}}}',
    ):
        for item in AGENT[:60]:
            verdict = agent.check(item, reply)
            assert set(verdict) == {"correct", "valid_format"}
            assert item["axis"] != "feedback" or (agent.feedback(item, reply) is None) == verdict["correct"]
