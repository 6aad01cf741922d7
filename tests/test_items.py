"""The items' files: what the tasks stage writes is read back as it was made, and a mistake in one is one line."""

import json
import shutil

import pytest
from test_stage_outputs import main_of, shipped

from tuner import checks, items, tasks
from tuner.errors import UserError

WRITTEN = [suite for suite in items.SUITES if suite not in items.MAY_BE_MISSING]

KNOWLEDGE = {
    "id": "mine",
    "suite": "knowledge",
    "axis": "own",
    "question": "2 + 2?",
    "choices": ["3", "4"],
    "answer": 1,
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder that the tasks stage writes with the shipped parameters."""
    from types import SimpleNamespace

    folder = tmp_path_factory.mktemp("tasks") / "data/tasks"
    settings = shipped()
    with pytest.MonkeyPatch.context() as patch:
        said = main_of("tasks", patch)(SimpleNamespace(tasks=folder), settings, None)
    asked, agent = settings.evaluate, 5 * settings.evaluate.agent_per_axis
    assert said == f"{asked.instruction_following} instruction_following, {agent} agent, {asked.knowledge} knowledge"
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "tasks")


def test_items_are_read_back_as_they_were_made(written):
    values = shipped()
    made = tasks.made(values.evaluate, values.seed)
    assert items.read(written) == checks.read(written) == made
    assert list(items.read(written)) == list(made)
    assert {file.name for file in written.iterdir()} == {f"{suite}.jsonl" for suite in WRITTEN}


def test_an_item_of_ones_own_joins_the_others(folder):
    own = KNOWLEDGE | {"choices": ["3", "4", "5", "6", "7"], "source": "me", "level": 2}
    with (folder / "knowledge.jsonl").open("a") as file:
        file.write(json.dumps(own) + "\n")
    found = checks.read(folder)["knowledge"]
    assert (len(found), found[-1]) == (shipped().evaluate.knowledge + 1, own)


def lines(folder, suite):
    return (folder / f"{suite}.jsonl").read_text().splitlines()


def refused(folder, read=items.read):
    """Return the one line that says what is wrong."""
    with pytest.raises(UserError) as caught:
        read(folder)
    text = str(caught.value)
    assert "\n" not in text
    return text.removeprefix(f"{folder}/")


@pytest.mark.parametrize("suite", WRITTEN)
def test_a_missing_file_is_named(folder, suite):
    (folder / f"{suite}.jsonl").unlink()
    assert refused(folder) == f"{suite}.jsonl: missing; `dvc repro` makes it, `dvc pull` fetches it"


@pytest.mark.parametrize("suite", WRITTEN)
def test_an_empty_suite_is_refused(folder, suite):
    (folder / f"{suite}.jsonl").write_text("")
    assert refused(folder) == f"{suite}.jsonl: no items; a suite needs one at least"


@pytest.mark.parametrize(("line", "said"), [("{", "not JSON"), ("", "not JSON"), ("[1]", "expected a JSON object")])
@pytest.mark.parametrize("suite", WRITTEN)
def test_a_line_that_is_no_item_is_named_by_its_number(folder, suite, line, said):
    kept = lines(folder, suite)
    (folder / f"{suite}.jsonl").write_text("\n".join([*kept[:2], line, *kept[2:]]) + "\n")
    assert refused(folder).startswith(f"{suite}.jsonl:3: {said}")


def changed(folder, suite, number, change):
    """Change line `number` (from 1) of a suite's file by a function of its item."""
    kept = lines(folder, suite)
    item = json.loads(kept[number - 1])
    change(item)
    kept[number - 1] = json.dumps(item)
    (folder / f"{suite}.jsonl").write_text("\n".join(kept) + "\n")


FIELDS = [(suite, field) for suite in WRITTEN for field in items.SUITES[suite].model_fields]


@pytest.mark.parametrize(("suite", "field"), FIELDS)
def test_each_field_has_to_be_there_and_of_its_kind(folder, suite, field):
    whole = (folder / f"{suite}.jsonl").read_text()
    changed(folder, suite, 4, lambda item: item.pop(field))
    assert refused(folder) == f"{suite}.jsonl:4: {field} is missing"
    (folder / f"{suite}.jsonl").write_text(whole)
    changed(folder, suite, 4, lambda item: item.update({field: None}))
    assert refused(folder).startswith(f"{suite}.jsonl:4: {field} = ")


@pytest.mark.parametrize(
    ("suite", "change", "said"),
    [
        ("knowledge", {"answer": "1"}, "answer = '1': must be a whole number"),
        ("knowledge", {"answer": True}, "answer = true: must be a whole number"),
        ("knowledge", {"answer": 4}, "answer = 4: the choices are numbered from 0 to 3"),
        ("knowledge", {"answer": -1}, "answer = -1: must be greater than or equal to 0"),
        ("knowledge", {"choices": ["a"], "answer": 0}, "choices = ['a']: must be of 2 or more entries"),
        ("knowledge", {"choices": ["a", ""], "answer": 0}, "choices.1 = '': must be some text, not an empty one"),
        ("knowledge", {"suite": "agent"}, "suite = 'agent': must be 'knowledge'"),
        ("agent", {"messages": []}, "messages = []: must be of 1 or more entries"),
        ("agent", {"messages": [{"role": "user"}]}, "messages.0.content is missing"),
        ("agent", {"max_tokens": 0}, "max_tokens = 0: must be greater than or equal to 1"),
        ("agent", {"reference": []}, "reference = []: must be "),
        ("instruction_following", {"reference": {"request": "Sing."}}, "reference.constraint is missing"),
        (
            "agent",
            {"messages": [{"role": "assistant", "content": "Hi."}]},
            "the last message is of the assistant, and must be the user's, to be answered",
        ),
    ],
)
def test_a_value_that_cannot_be_is_named(folder, suite, change, said):
    changed(folder, suite, 2, lambda item: item.update(change))
    assert refused(folder).startswith(f"{suite}.jsonl:2: {said}")


def test_an_id_is_taken_once_in_all_suites(folder):
    first = json.loads(lines(folder, "instruction_following")[0])["id"]
    changed(folder, "knowledge", 3, lambda item: item.update(id=first))
    taken = f"{folder}/instruction_following.jsonl:1"
    assert refused(folder) == f"knowledge.jsonl:3: id {first!r} is taken by {taken}; give it another one"


@pytest.mark.parametrize(
    ("suite", "axis", "change", "said"),
    [
        ("agent", "planning", {"axis": "singing"}, "axis = 'singing': must be one of planning, "),
        ("agent", "planning", {"reference": {}}, "reference: 'kind' is missing, which the check reads"),
        ("agent", "reasoning", {"reference": {}}, "reference: 'answer' is missing, which the check reads"),
        ("agent", "context", {"reference": {"candidates": ["a"]}}, "reference: 'answer' is missing"),
        ("agent", "feedback", {"reference": {"kind": "sum"}}, "reference: 'answer' is missing"),
        ("agent", "tool_use", {"reference": {"prompt": ""}}, "reference: 'call' is missing"),
        ("agent", "context", {"reference": {"candidates": 3, "answer": "a"}}, "reference: the check cannot read it ("),
    ],
)
def test_a_reference_that_its_check_cannot_read_is_found_before_any_model_runs(folder, suite, axis, change, said):
    axes = [json.loads(line)["axis"] for line in lines(folder, suite)]
    number = axes.index(axis) + 1
    changed(folder, suite, number, lambda item: item.update(change))
    items.read(folder)
    assert refused(folder, checks.read).startswith(f"{suite}.jsonl:{number}: {said}")


@pytest.mark.parametrize("arguments", [{}, {"words": "many"}])
def test_a_constraint_without_its_arguments_is_found(folder, arguments):
    axes = [json.loads(line)["axis"] for line in lines(folder, "instruction_following")]
    number = axes.index("fewer_words") + 1
    changed(
        folder,
        "instruction_following",
        number,
        lambda item: item["reference"]["constraint"].update(arguments=arguments),
    )
    assert refused(folder, checks.read).startswith(f"instruction_following.jsonl:{number}: reference: ")
