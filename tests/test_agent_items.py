"""The agent items: plans that work, answers found again from the prompts, and replies that are no answer."""

import json
import re
from collections import Counter
from itertools import product

import pytest
from test_evaluation_items import AGENT, correct, of_axis

from tuner import agent, agent_problems, constraints
from tuner.replies import first_json, number, one_of


def simulate(reference, plan):
    """A second, plain simulator: the state after the plan, None for an illegal move."""
    if reference["kind"] == "number":
        value = reference["start"]
        for move in plan:
            value = value + reference["add"] if move.startswith("+") else value * reference["times"]
        return value
    column, row = reference["start"]
    for move in plan:
        column += (move == "right") - (move == "left")
        row += (move == "up") - (move == "down")
        inside = 1 <= column <= reference["size"] and 1 <= row <= reference["size"]
        if not inside or [column, row] in reference["walls"]:
            return None
    return [column, row]


def test_planning_accepts_exactly_the_plans_that_work():
    kinds = Counter()
    for item in of_axis("planning")[:36]:
        reference = item["reference"]
        kinds[reference["kind"]] += 1
        if reference["kind"] == "errands":
            continue
        if reference["kind"] == "move":
            for sign, digit in product("+*", range(10)):
                reached = reference["start"] + digit if sign == "+" else reference["start"] * digit
                works = reached == reference["goal"] and f"{sign}{digit}" in reference["options"]
                assert correct(item, f"{sign}{digit}") == works, item
            assert not correct(item, ", ".join(reference["options"]))
            continue
        moves = (
            ["up", "down", "left", "right"]
            if reference["kind"] == "grid"
            else [f"+{reference['add']}", f"*{reference['times']}"]
        )
        for length in (1, 2, 3):
            for plan in product(moves, repeat=length):
                works = length <= reference["limit"] and simulate(reference, plan) == reference["goal"]
                assert correct(item, ", ".join(plan)) == works, (item, plan)
        shortest = len(reference["solution"].split(", "))
        assert shortest in ((1,), (1, 2), (3,), (4, 5))[reference["level"]]
        back_and_forth = ", ".join(moves * 10)
        assert not correct(item, f"{back_and_forth}, {reference['solution']}")
    assert kinds == {"number": 9, "move": 3, "grid": 12, "errands": 12}


def test_planning_reads_worked_out_plans():
    reference = {"kind": "number", "start": 3, "add": 4, "times": 2, "goal": 14, "limit": 4}
    item = {"axis": "planning", "reference": reference}
    for reply in ("+4, *2", "1. +4\n2. *2", "3 + 4 = 7, then 7 x 2 = 14", "First + 4, max 9, and × 2."):
        assert correct(item, reply), reply
    for reply in ("*2, +4", "+4", "14", "+4, *2, +4", "+11", "-4, *2"):
        assert not correct(item, reply), reply
    assert agent.check(item, "I think 14.") == {"correct": False, "valid_format": False}
    reference = {"kind": "errands", "places": ["bank", "park", "school"], "rules": [["park", "bank"]]}
    errands = {"axis": "planning", "reference": reference}
    for reply in ("park, bank, school", "Park\nSchool\nBank", "The park, then the school, then the bank."):
        assert correct(errands, reply), reply
    for reply in ("bank, park, school", "park, bank", "park, bank, school, park", "parks, bank, school"):
        assert not correct(errands, reply), reply


def test_numbers_and_names_are_read_leniently_but_once():
    assert number("5 + 7 = 12.") == 12 and number("It is 1,250 in all") == 1250
    assert number("Answer: 4\nI used 3 and 1.") == 4 and number("There are three of them.") == 3
    assert number("10-3") == 3 and number("It is -3") == -3 and number("12.0") == 12
    assert number("Answer:\n 6 apples") == 6 and number("**Answer**: 5\nNot 4") == 5
    assert number("none") is None and number("5, 6. Answer: ?") is None
    names = ["Ann", "Bob", "Cleo"]
    assert one_of(names, "It is Ann!") == "Ann" and one_of(names, "Anna") is None
    assert one_of(names, "Ann is taller than Bob. So the tallest is ann.") == "Ann"
    assert one_of(names, "Ann, Bob, Cleo") is None and one_of(names, "Ann is taller than Bob.") is None
    assert one_of(names, "Bob? Answer: Cleo") == "Cleo" and one_of(names, "Answer: Ann or Bob") is None
    assert first_json('x {y} {"a": {"b": 1}} {"c": 2}') == {"a": {"b": 1}} and first_json("{'a': 1}") is None


def recomputed(prompt):
    """Solve the reasoning prompts whose answer a few lines can find again from their text alone."""
    if prompt.startswith("What number comes next"):
        terms = [int(text) for text in re.findall(r"\d+", prompt)]
        gaps = [two - one for one, two in zip(terms, terms[1:], strict=False)]
        if len(set(gaps)) == 1:
            return terms[-1] + gaps[0]
        if all(two == 2 * one for one, two in zip(terms, terms[1:], strict=False)):
            return 2 * terms[-1]
        return terms[-1] + (gaps[0] if gaps[0] == gaps[2] else gaps[-1] + 1)
    if "Who has the most" in prompt:
        has = {name: int(many) for name, many in re.findall(r"(\w+) has (\d+)", prompt)}
        return max(has, key=has.get)
    if prompt.startswith("Count these"):
        return len(prompt.split(":")[1].split(","))
    if " of them?" in prompt:
        pairs = re.findall(r"(\w+) is (\w+) than (\w+)", prompt)
        more = {more for more, _, _ in agent_problems.COMPARED}
        ordered = [(one, two) if word in more else (two, one) for one, word, two in pairs]
        return ({one for one, _ in ordered} - {two for _, two in ordered}).pop()
    return None


def test_reasoning_answers_found_again_from_the_prompt():
    checked = 0
    for item in of_axis("reasoning"):
        answer = recomputed(item["messages"][-1]["content"])
        if answer is not None:
            assert item["reference"]["answer"] == answer, item
            checked += 1
        elif "Count" not in item["messages"][-1]["content"]:
            assert item["reference"]["answer"] > 0
        if "candidates" not in item["reference"]:
            assert not correct(item, str(item["reference"]["answer"] + 1))
    assert checked == 40


def test_reasoning_by_hand():
    stories = {
        r"has (\d+) \w+ and gets (\d+) more\.": lambda a, b: a + b,
        r"has (\d+) \w+ and gives (\d+) to": lambda a, b: a - b,
        r"has (\d+) \w+ and loses (\d+)\.": lambda a, b: a - b,
        r"buys (\d+) boxes with (\d+) ": lambda a, b: a * b,
        r"has (\d+) \w+, gets (\d+) more and then loses (\d+)\.": lambda a, b, c: a + b - c,
        r"has (\d+) bags of (\d+) \w+ and finds (\d+) more": lambda a, b, c: a * b + c,
        r"has (\d+) \w+, shares them equally among (\d+) boxes, keeps one box and adds (\d+)": lambda a, b, c: (
            a // b + c
        ),
        r"has (\d+) boxes of (\d+) \w+, gives (\d+) .* buys (\d+) bags of (\d+)\.": lambda a, b, c, d, e: (
            a * b - c + d * e
        ),
        r"has (\d+) .* twice as many as that, .* loses (\d+) and finds (\d+)": lambda a, b, c: 3 * a - b + c,
        r"has (\d+) \w+, gives half of them away, then gets (\d+) bags of (\d+) and loses one": lambda a, b, c: (
            a // 2 + b * c - 1
        ),
    }
    used = Counter()
    for item in agent.items(240, 8):
        if item["axis"] != "reasoning" or "have now?" not in item["messages"][-1]["content"]:
            continue
        for pattern, solve in stories.items():
            if found := re.search(pattern, item["messages"][-1]["content"]):
                assert solve(*map(int, found.groups())) == item["reference"]["answer"], item
                used[pattern] += 1
                break
        else:
            pytest.fail(item["messages"][-1]["content"])
    assert set(used) == set(stories)


def test_context_wants_the_latest_fact():
    for item in of_axis("context"):
        roles = [message["role"] for message in item["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"] and len(roles) >= 5
        assert len(" ".join(message["content"] for message in item["messages"]).split()) < 130
        answer, candidates = item["reference"]["answer"], item["reference"]["candidates"]
        conversation = " ".join(message["content"] for message in item["messages"])
        stated = [one for one in candidates if re.search(rf"\b{one}\b", conversation)]
        assert len(stated) >= (4 if item["reference"]["level"] == 3 else 2)
        for other in candidates:
            assert correct(item, other) == (other == answer)
        if item["reference"]["level"] == 3:  # the fact of the first turn has changed since
            assert answer not in item["messages"][0]["content"]
        elif item["reference"]["level"]:
            assert answer in item["messages"][0]["content"]
        else:  # said last
            assert answer in item["messages"][-3]["content"]


def test_feedback_says_what_is_wrong_without_the_answer():
    for item in of_axis("feedback"):
        reference = item["reference"]
        wrong = {"rule": "Well Known, \n\n\n And. SO. On. it goes on. Fine", "sum": "It is 1."}
        wrong = wrong.get(reference["kind"]) or ", ".join(reversed(reference["answer"]))
        message = agent.feedback(item, wrong)
        assert message and not correct(item, message), item
        for piece in agent.echoes([{"role": "user", "content": message}]):
            assert not correct(item, piece), (item, piece)
        if reference["kind"] == "rule":
            assert constraints.describe(reference["constraint"]) in message
            continue
        assert reference["solution"] not in message
        assert agent.feedback(item, reference["solution"]) is None
        assert agent.feedback(item, "") is not None
        assert agent.check_turns(item, wrong, reference["solution"]) == {
            "correct": True,
            "valid_format": True,
            "solved_first": False,
        }
        assert agent.check_turns(item, reference["solution"], None) == {
            "correct": True,
            "valid_format": True,
            "solved_first": True,
        }
        assert agent.check_turns(item, wrong, "") == {"correct": False, "valid_format": False, "solved_first": False}
    total = {"axis": "feedback", "reference": {"kind": "sum", "answer": 50}}
    assert "41 is too small" in agent.feedback(total, "41")
    assert "61 is too large" in agent.feedback(total, "61")


def test_tool_calls():
    fits = [item for item in of_axis("tool_use") if item["reference"]["call"]["name"]]
    none = [item for item in of_axis("tool_use") if not item["reference"]["call"]["name"]]
    assert (len(fits), len(none)) == (54, 18)
    for item in fits:
        call = item["reference"]["call"]
        prompt = item["messages"][-1]["content"]
        assert f'"name": "{call["name"]}"' in prompt
        upper = {key: f" {str(value).upper()} " for key, value in call["arguments"].items()}
        loose = {"name": call["name"].upper(), "arguments": upper}
        assert correct(item, json.dumps(loose))
        extra = {"name": call["name"], "arguments": {**call["arguments"], "unit": "C"}}
        wrong = {"name": call["name"], "arguments": {key: "7777" for key in call["arguments"]}}
        other = {"name": "set_clock", "arguments": call["arguments"]}
        listed = {key: [value] for key, value in call["arguments"].items()}
        nested = {"name": call["name"], "arguments": listed}
        for bad in (extra, wrong, other, nested, {"name": None}, {"name": call["name"], "arguments": {}}):
            assert agent.check(item, json.dumps(bad)) == {"correct": False, "valid_format": True}, bad
        for bad in ({"name": call["name"]}, [call["name"]], {"arguments": call["arguments"]}, {"name": 3}):
            assert agent.check(item, json.dumps(bad)) == {"correct": False, "valid_format": False}, bad
        right, first = json.dumps(call), '{"name": "set_clock", "arguments": {}}'
        assert not correct(item, f"{first}\n{right}") and correct(item, f"{right}\n{first}")
    for item in none:
        for reply in ('{"name": null}', "None.", '{"name": null, "arguments": {}}', 'I say {"name": "none"}'):
            assert agent.check(item, reply) == {"correct": True, "valid_format": True}, reply
        assert not correct(item, '{"name": "get_weather", "arguments": {"city": "Oslo"}}')
        for reply in ("None of these tools.", "null?", 'or {"name": null} if no tool fits.'):
            assert agent.check(item, reply) == {"correct": False, "valid_format": False}, reply


def test_levels_and_kinds_come_in_turn():
    for axis in agent.AXES:
        levels = [item["reference"]["level"] for item in of_axis(axis)]
        assert levels == [0, 1, 2, 3] * 18
    for axis, many in (("planning", 3), ("feedback", 3)):
        met = {(item["reference"]["level"], item["reference"]["kind"]) for item in of_axis(axis)[: 4 * many]}
        assert len(met) == 4 * many


def test_a_worked_example_is_another_problem():
    shown = 0
    for item in AGENT:
        reference = item["reference"]
        examples = item["messages"][1:-1:2]
        if item["axis"] == "context" or reference["level"] or "solution" not in reference:
            assert item["axis"] == "context" or not examples
            continue
        assert len(item["messages"]) == 3
        assert not correct(item, examples[0]["content"])
        shown += 1
    assert shown == 18 * 3 + 12
