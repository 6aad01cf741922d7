"""The figures that are reported about the filters are those the committed code gives on the committed labels."""

from collections import Counter
from pathlib import Path

import pytest
from filter_rows import settings

from benchmarks import filter_quality
from tuner import params, statistics

PARAMS = Path(__file__).parent.parent / "params.yaml"


@pytest.fixture(scope="module")
def labelled():
    return filter_quality.read_labels()


@pytest.fixture(scope="module")
def scores(labelled):
    more = filter_quality.read_labels(filter_quality.MORE)
    found = filter_quality.objections(more, settings())
    return {"more": filter_quality.score(more, found), **filter_quality.both_halves(labelled, settings())}


def test_the_labels_are_whole(labelled):
    assert [row["id"] for row in labelled] == list(range(240))
    assert {row["half"] for row in labelled if row["id"] % 2 == 0} == {"tune"}
    assert {row["half"] for row in labelled if row["id"] % 2} == {"report"}
    known = set().union(*filter_quality.LOOKS_FOR.values())
    assert {defect for row in labelled for defect in row["defects"]} <= known
    readme = (filter_quality.LABELS.parent / "README.md").read_text("utf-8")
    counted = Counter(defect for row in labelled for defect in row["defects"])
    assert all(f"| `{defect}` | {counted[defect]} |" in readme for defect in known)


def test_more_labels_are_whole(labelled):
    more = filter_quality.read_labels(filter_quality.MORE)
    assert more[0].keys() == labelled[0].keys()
    assert {row["half"] for row in more} == {"tune"}
    assert len({row["id"] for row in more}) == len(more) and min(row["id"] for row in more) >= 1000
    assert not {row["instruction"] for row in more} & {row["instruction"] for row in labelled}
    known = set().union(*filter_quality.LOOKS_FOR.values())
    counted = Counter(defect for row in more for defect in row["defects"])
    readme = (filter_quality.MORE.parent / "README.md").read_text("utf-8")
    assert counted.keys() <= known
    assert f"{len(more)} rows" in readme and all(f"`{name}` {count}" in readme for name, count in counted.items())


def test_params_hold_the_settings_that_are_measured_here():
    held = params.load(PARAMS).filter.model_dump()
    assert {k: v for k, v in held.items() if k not in ("judged_share", "validation_share")} == {
        k: v for k, v in vars(settings()).items() if k not in ("judged_share", "validation_share")
    }


# (flagged rows that are bad, flagged rows), (bad rows that are flagged, bad rows)
REPORTED = {
    "more": ((45, 45), (45, 62)),
    "tune": ((53, 58), (53, 62)),
    "report": ((38, 42), (38, 53)),
}


@pytest.mark.parametrize("half", REPORTED)
def test_reported_precision_and_recall(scores, half):
    precision, recall = (scores[half]["all"][measure] for measure in ("precision", "recall"))
    assert ((precision["count"], precision["of"]), (recall["count"], recall["of"])) == REPORTED[half]
    assert (precision["low"], precision["high"]) == tuple(
        round(end, 4) for end in statistics.wilson(precision["count"], precision["of"])
    )


def test_score_by_hand():
    rows = [
        {"id": 0, "defects": ["repetition"]},
        {"id": 1, "defects": ["no_answer"]},
        {"id": 2, "defects": []},
        {"id": 3, "defects": []},
    ]
    found = {0: {"repetition"}, 1: {"repetition", "identity"}, 2: {"repetition"}, 3: set()}
    scores = filter_quality.score(rows, found)
    assert scores["all"]["precision"] == {"count": 2, "of": 3, "share": 0.6667, "low": 0.2077, "high": 0.9385}
    assert scores["all"]["recall"]["share"] == 1.0
    assert (scores["repetition"]["own_recall"]["count"], scores["repetition"]["own_recall"]["of"]) == (1, 1)
    assert (scores["refusal"]["own_recall"]["count"], scores["refusal"]["own_recall"]["of"]) == (0, 1)
    assert scores["echo"]["precision"]["share"] is None


def test_truncation_is_left_aside(labelled):
    cut = [row for row in labelled if row["response_finish"] == "skipped"]
    assert len(cut) > 20
    found = filter_quality.objections(cut, settings())
    assert not any({"truncated", "malformed", "length"} & names for names in found.values())
