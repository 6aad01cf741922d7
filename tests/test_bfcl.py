"""Function-calling items: read from a small wheel made here, and calls judged by their structure."""

import json
import zipfile
from collections import Counter

import pytest

from tuner import bfcl, checks, io, items, params, tasks, wheels
from tuner.errors import UserError


def function(name, **types):
    properties = {key: {"type": kind, "description": f"the {key}"} for key, kind in types.items()}
    parameters = {"type": "dict", "properties": properties, "required": list(types)[:1]}
    return {"name": name, "description": f"Does {name}.", "parameters": parameters}


def files():
    """The data of a release with four items a category, one of which is too long."""
    made = {}
    for category in bfcl.CATEGORIES:
        rows, answers = [], []
        for number in range(4):
            offered = [function(f"geo.area_{number}", base="integer", unit="string")]
            if category == "multiple":
                offered.insert(0, function("sum.all", values="array"))
            text = f"Find area {number} of a triangle with base {number + 5} in {category}." + "x" * 2000 * (
                number == 3
            )
            rows.append({"id": f"{category}_{number}", "question": [[{"role": "user", "content": text}]]})
            rows[-1]["function"] = offered
            call = {f"geo.area_{number}": {"base": [number + 5], "unit": ["", "units"]}}
            answers.append({"id": f"{category}_{number}", "ground_truth": [call]})
        made[f"bfcl_eval/data/BFCL_v4_{category}.json"] = rows
        if category != "irrelevance":
            made[f"bfcl_eval/data/possible_answer/BFCL_v4_{category}.json"] = answers
    return {name: "".join(json.dumps(row) + "\n" for row in rows) for name, rows in made.items()}


@pytest.fixture
def wheel(tmp_path):
    with zipfile.ZipFile(tmp_path / "bfcl.whl", "w") as archive:
        for name, text in files().items():
            archive.writestr(name, text)
    return tmp_path / "bfcl.whl"


def test_items_are_the_same_from_wheel_and_folder(wheel, tmp_path):
    items = bfcl.items(9, 3, wheel)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "folder")
    assert bfcl.items(9, 3, tmp_path / "folder") == items == json.loads(json.dumps(items))
    assert bfcl.items(4, 3, wheel) == items[:4] and bfcl.items(9, 4, wheel) != items
    assert Counter(item["axis"] for item in items) == dict.fromkeys(bfcl.CATEGORIES, 3)
    assert len({item["id"] for item in items}) == 9 and {item["suite"] for item in items} == {"bfcl"}
    assert bfcl.read(wheel)[1] == 3  # the long ones
    for item in items:
        assert len(item["messages"][0]["content"]) <= bfcl.LONGEST_PROMPT
        assert '"name": "geo.area_' in item["messages"][0]["content"]


def test_what_is_missing_is_one_line(wheel, tmp_path):
    assert bfcl.items(0, 3, tmp_path / "nowhere") == []
    with pytest.raises(UserError, match="at most 9 items"):
        bfcl.items(10, 3, wheel)
    with pytest.raises(UserError, match="no such wheel"):
        bfcl.items(1, 3, tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no bfcl_eval/data"):
        bfcl.items(1, 3, tmp_path)
    (tmp_path / "text.whl").write_text("no archive")
    with pytest.raises(UserError, match="not a wheel"):
        bfcl.items(1, 3, tmp_path / "text.whl")


def test_a_wheel_of_another_hash_is_refused(wheel, monkeypatch, tmp_path):
    monkeypatch.setattr(wheels, "download", lambda package, version, folder: wheel)
    with pytest.raises(UserError, match="pinned is 3bb6dfa5"):
        bfcl.fetch(tmp_path)


def item(call, prompt="Functions: f. Request: how is it going with all of this today?"):
    return {"messages": [{"role": "user", "content": prompt}], "reference": {"call": call}}


def correct(one, reply):
    return bfcl.check(one, reply if isinstance(reply, str) else json.dumps(reply))["correct"]


CALL = {
    "name": "trip.book",
    "required": ["day", "to"],
    "arguments": {
        "day": ["May 3, 2024", "2024-05-03"],
        "to": ["Oslo"],
        "seats": ["", 2],
        "quiet": ["", True],
        "stops": ["", ["Ulm", "Bonn"], ["Bonn", "Ulm"]],
        "fares": ["", {"first": [1.5], "second": [20, ""]}],
    },
}


def test_calls_are_judged_by_their_structure():
    one = item(CALL)
    least = {"day": "may 3 2024", "to": "oslo"}
    for more in (
        {},
        {"seats": 2},
        {"seats": "2"},
        {"seats": 2.0},
        {"seats": None},
        {"quiet": True},
        {"quiet": "true"},
        {"stops": ["bonn", "ulm"]},
        {"fares": {"first": "1.5"}},
        {"fares": {"first": 1.5, "second": 20}},
    ):
        assert correct(one, {"name": "trip_book", "arguments": least | more}), more
        assert correct(
            one, "Sure:\n```json\n" + json.dumps({"name": "Trip.Book", "parameters": least | more}) + "\n```"
        )
    for worse in (
        {"seats": 3},
        {"seats": True},
        {"seats": [2]},
        {"quiet": False},
        {"quiet": 1},
        {"stops": ["Bonn"]},
        {"stops": "Bonn, Ulm"},
        {"fares": {"second": 20}},
        {"fares": {"first": 1.5, "third": 1}},
        {"extra": 1},
        {"day": None},
        {"day": "May 4, 2024"},
    ):
        assert bfcl.check(one, json.dumps({"name": "trip.book", "arguments": least | worse})) == {
            "correct": False,
            "valid_format": True,
        }, worse
    for bad in ({"name": "trip.cancel", "arguments": least}, {"name": "trip.book", "arguments": {"to": "Oslo"}}):
        assert not correct(one, bad)
    for bad in ("", "no function fits", "trip.book", {"name": "trip.book"}, {"name": None}, [least], "{" * 3000):
        assert not correct(one, bad)


def test_where_no_function_fits():
    one = item(None)
    for reply in (
        '{"name": null}',
        "None.",
        "I'm sorry, none of these functions can do that.",
        "The function offered is not for weather.",
        "I cannot answer that with what is here.",
    ):
        assert correct(one, reply), reply
    for reply in (
        "",
        "The area is 50 square metres.",
        '{"name": "f", "arguments": {}}',
        "{}",
        one["messages"][0]["content"],
        "It is going well.",
    ):
        assert not correct(one, reply), reply


def test_repeating_the_prompt_is_not_an_answer(wheel):
    for one in bfcl.items(9, 1, wheel):
        prompt = one["messages"][0]["content"]
        for echo in (prompt, prompt.lower(), *prompt.split("\n"), 'or {"name": null} if no function fits.'):
            assert not correct(one, echo), echo


def test_a_count_in_the_settings_makes_a_file_that_is_read_checked_and_counted(wheel, tmp_path, monkeypatch):
    monkeypatch.setattr(bfcl, "fetch", lambda folder: wheel)
    settings = params.load("params.yaml").evaluate.model_copy(update={"instruction_following": 19, "knowledge": 10})
    assert "bfcl" not in tasks.made(settings, 3)
    made = tasks.made(settings.model_copy(update={"bfcl": 6}), 3)
    assert made["bfcl"] == bfcl.items(6, 3, wheel)
    for suite, rows in made.items():
        io.write_jsonl(items.file_of(tmp_path, suite), rows)
    assert checks.read(tmp_path)["bfcl"] == made["bfcl"]
    assert not any(checks.CHECKS["bfcl"](item, "hello")["correct"] for item in made["bfcl"])
