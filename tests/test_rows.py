"""Rows of data/ that a user may have written: what is wrong with one is said with its file and line."""

import json

import pytest

from tuner import rows
from tuner.errors import UserError


def said(role, content):
    return [{"role": role, "content": content}]


ASKED = said("user", "Name a colour.")
COMPLETION = {"id": 1, "prompt": ASKED, "completion": said("assistant", "Red.")}
PAIR = {"id": "a", "prompt": ASKED, "chosen": said("assistant", "Red."), "rejected": said("assistant", "No.")}
KEPT = {"id": 1, "instruction": "Name a colour.", "response": "Red."}
ANSWER = {"text": "Red.", "finish": "stop"}
SCORED = {"id": 1, "split": "train", "prompt": ASKED, "answers": [ANSWER | {"reward": 1.5}, ANSWER | {"reward": 2}]}
JUDGED = SCORED | {"answers": [ANSWER | {"passed": True}]}
SOUND = {rows.Completion: COMPLETION, rows.Pair: PAIR, rows.Kept: KEPT, rows.Scored: SCORED, rows.Judged: JUDGED}


def read(folder, kind, *found, **more):
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in found))
    return rows.read(file, kind, **more)


@pytest.mark.parametrize("kind", SOUND)
def test_sound_rows_come_back_as_they_are(tmp_path, kind):
    found = [SOUND[kind] | {"note": {"mine": None}}, SOUND[kind] | {"id": "another"}]
    assert read(tmp_path, kind, *found) == found


def test_earlier_turns_and_empty_samples_are_sound(tmp_path):
    turns = [*said("system", "Be brief."), *ASKED, *said("assistant", "Red."), *said("user", "Another.\n\nPlease.")]
    assert read(tmp_path, rows.Completion, COMPLETION | {"prompt": turns})
    assert read(tmp_path, rows.Scored, SCORED | {"answers": [ANSWER | {"text": "", "reward": -1.0}]})


@pytest.mark.parametrize(
    ("kind", "change", "wrong"),
    [
        (rows.Completion, {"prompt": ...}, "prompt is missing"),
        (rows.Completion, {"prompt": None}, "prompt = null: must be a list"),
        (rows.Completion, {"prompt": "hello"}, "prompt = 'hello': must be a list"),
        (rows.Completion, {"prompt": []}, "prompt = []: must be of 1 or more entries"),
        (rows.Completion, {"prompt": [{"role": "user"}]}, "prompt.0.content is missing"),
        (rows.Completion, {"prompt": said("usr", "hello")}, "prompt.0.role = 'usr': must be 'system', 'user' or"),
        (rows.Completion, {"prompt": said("assistant", "hello")}, "the last message of the prompt is of the assistant"),
        (rows.Completion, {"completion": ...}, "completion is missing"),
        (rows.Completion, {"completion": []}, "completion = []: must be of 1 or more entries"),
        (rows.Completion, {"completion": said("assistant", None)}, "completion.0.content = null: must be text"),
        (rows.Completion, {"completion": said("assistant", "")}, "completion.0.content = '': must be some text"),
        (rows.Completion, {"completion": said("assistant", "a\x00b")}, "must be text without NUL characters"),
        (rows.Completion, {"completion": said("assistant", "a\ud800")}, "half of a surrogate pair"),
        (rows.Completion, {"id": None}, "id = null: must be a whole number or some text"),
        (rows.Completion, {"id": 1.5}, "id = 1.5: must be a whole number or some text"),
        (rows.Pair, {"chosen": ...}, "chosen is missing"),
        (rows.Pair, {"rejected": said("assistant", "Red.")}, "chosen and rejected are the same text"),
        (rows.Kept, {"instruction": ...}, "instruction is missing"),
        (rows.Scored, {"answers": None}, "answers = null: must be a list"),
        (rows.Scored, {"split": "foo"}, "split = 'foo': must be 'train' or 'validation'"),
        (rows.Scored, {"answers": [ANSWER]}, "answers.0.reward is missing"),
        (rows.Scored, {"answers": [ANSWER | {"reward": float("nan")}]}, "answers.0.reward = nan: must be a finite"),
        (rows.Judged, {"answers": [ANSWER | {"passed": "yes"}]}, "answers.0.passed = 'yes': must be a "),
    ],
)
def test_a_row_that_is_not_sound_is_one_line_with_its_place(tmp_path, kind, change, wrong):
    broken = {name: value for name, value in (SOUND[kind] | {"id": 2} | change).items() if value is not ...}
    with pytest.raises(UserError) as raised:
        read(tmp_path, kind, SOUND[kind], broken)
    message = str(raised.value)
    assert message.startswith(f"{tmp_path / 'rows.jsonl'}:2: ") and wrong in message and "\n" not in message
    assert len(message) < len(str(tmp_path)) + 200


def test_an_id_is_taken_once(tmp_path):
    with pytest.raises(UserError, match=r"rows.jsonl:3: id 1 is taken by .*rows.jsonl:1; give it another one"):
        read(tmp_path, rows.Kept, KEPT, KEPT | {"id": "1"}, KEPT)


def test_a_file_without_rows_is_refused_where_rows_are_needed(tmp_path):
    with pytest.raises(UserError, match="rows.jsonl: no rows; run the stage that writes it again"):
        read(tmp_path, rows.Judged)
    assert read(tmp_path, rows.Judged, may_be_empty=True) == []
