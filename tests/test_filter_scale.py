import json
import queue
import random

import pytest
from filter_rows import settings

from benchmarks import filter_quality, filter_scale
from tuner import io

SOURCE = [row for row in filter_quality.read_labels() if row["response"]][:40]


def test_rows_are_distinct_and_the_same_again():
    rows = list(filter_scale.make_rows(SOURCE, 600, seed=3))
    assert rows == list(filter_scale.make_rows(SOURCE, 600, seed=3))
    assert rows[:100] == list(filter_scale.make_rows(SOURCE, 100, seed=3))
    assert rows != list(filter_scale.make_rows(SOURCE, 600, seed=4))
    assert [row["id"] for row in rows] == list(range(600))
    different = len({row["instruction"] for row in rows})
    assert 0.93 * 600 < different < 600
    assert {row["response_finish"] for row in rows} == {"stop"}


def test_other_words_keep_marks_and_line_ends():
    text = "Dear Sam,\nbring 3 apples (red) and bread."
    assert filter_scale.with_other_words(random.Random(1), text, 1.0, ["x"]) == "x Sam,\nbring 3 x (red) x bread."


def test_exponent():
    assert filter_scale.exponent([(10, 3), (100, 30), (1000, 300)]) == pytest.approx(1)
    assert filter_scale.exponent([(10, 5), (100, 500)]) == pytest.approx(2)


def test_a_file_is_filtered_into_two(tmp_path):
    rows = list(filter_scale.make_rows(SOURCE, 80, seed=0))
    filter_scale.write_rows(tmp_path / "rows.jsonl", rows)
    answer = queue.SimpleQueue()
    filter_scale.filter_file(tmp_path / "rows.jsonl", tmp_path, settings(), answer)
    found = answer.get()
    kept, dropped = (io.read_jsonl(tmp_path / f"{name}.jsonl") for name in ("kept", "dropped"))
    assert len(kept) + len(dropped) == found["rows"] == 80
    assert found["indexed"] == len(kept)
    assert sum(found["dropped"].values()) == len(dropped)
    assert found["peak_megabytes"] >= found["before_megabytes"] > 1
    json.dumps(found)
