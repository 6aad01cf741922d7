"""The report of what each filter removes: by hand, against its own sums, and refusing what cannot be."""

import random

import pytest

from tuner import attrition

ORDER = ["length", "refusal", "echo", "near_duplicate"]


def _row(name: int, response: str = "Boil it for ten minutes.") -> dict:
    return {"id": name, "instruction": f"How do I cook dish number {name}?", "response": response}


def _case() -> tuple[list, list, list]:
    """Ten rows: 0 and 4 too long, 4 also a refusal, 1 2 3 refusals, 2 also an echo, 7 a duplicate, 5 6 8 9 kept."""
    rows = [_row(name) for name in range(10)]
    found = {
        0: {"length": {"response_words": 400}},
        1: {"refusal": {"phrase": "I can't"}},
        2: {"refusal": {"phrase": "I'm sorry"}, "echo": {"ratio": 0.9}},
        3: {"refusal": {"phrase": "I can't"}},
        4: {"length": {"response_words": 500}, "refusal": {"phrase": "I can't"}},
        7: {"near_duplicate": {"duplicate_of": 5, "jaccard": 0.9}},
    }
    objections = [(row["id"], found.get(row["id"], {})) for row in rows]
    dropped = []
    for name, verdict in found.items():
        reason = next(one for one in ORDER if one in verdict)
        dropped.append({**rows[name], "reason": reason, "measured": verdict[reason]})
    return objections, dropped, rows


def test_counts_by_hand() -> None:
    objections, dropped, rows = _case()
    found = attrition.report(ORDER, objections, dropped, iter(rows))
    assert (found["rows"], found["kept"], found["dropped"]) == (10, 4, 6)
    columns = ("in_sequence", "alone", "only_this", "kept_after", "kept_share")
    table = {name: tuple(counts[column] for column in columns) for name, counts in found["filters"].items()}
    assert table == {
        "length": (2, 2, 1, 8, 0.8),
        "refusal": (3, 4, 2, 5, 0.5),
        "echo": (0, 1, 0, 5, 0.5),
        "near_duplicate": (1, 1, 1, 4, 0.4),
    }
    assert found["overlap"] == [
        {"first": "length", "second": "refusal", "rows": 1, "jaccard": 0.2},
        {"first": "refusal", "second": "echo", "rows": 1, "jaccard": 0.25},
    ]
    lines = attrition.csv_rows(found)
    assert [line["filter"] for line in lines] == ORDER
    assert lines[1] == {"filter": "refusal", **found["filters"]["refusal"]}


def test_an_example_of_an_idle_filter_says_who_dropped_it() -> None:
    objections, dropped, rows = _case()
    examples = attrition.report(ORDER, objections, dropped, rows)["examples"]
    assert [one["id"] for one in examples["length"]] == [0, 4]
    assert all(one["dropped_by"] == "length" for one in examples["length"])
    assert examples["echo"] == [
        {"id": 2, "instruction": rows[2]["instruction"], "response": rows[2]["response"]}
        | {"measured": {"ratio": 0.9}, "dropped_by": "refusal"}
    ]


def test_examples_are_spread_clipped_and_do_not_depend_on_the_order_of_rows() -> None:
    rows = [_row(name, response="word " * 100 if name == 50 else "yes") for name in range(100)]
    objections = [(row["id"], {"length": {"response_words": row["id"]}}) for row in rows]
    dropped = [{**row, "reason": "length", "measured": objections[row["id"]][1]["length"]} for row in rows]
    found = attrition.report(ORDER, objections, dropped, rows)
    assert [one["id"] for one in found["examples"]["length"]] == [16, 50, 83]
    clipped = found["examples"]["length"][1]["response"]
    assert len(clipped) <= attrition.CLIP and clipped.endswith("word\u2026")
    assert set(found["examples"]) == {"length"}
    random.Random(0).shuffle(objections)
    random.Random(1).shuffle(dropped)
    random.Random(2).shuffle(rows)
    assert attrition.report(ORDER, objections, dropped, rows) == found


def test_a_malformed_row_is_an_example_too() -> None:
    rows = [{"id": 0, "instruction": None}, _row(1)]
    measured = {"instruction": "NoneType"}
    dropped = [{**rows[0], "reason": "malformed", "measured": measured}]
    found = attrition.report(["malformed"], [(0, {"malformed": measured}), (1, {})], dropped, rows)
    assert found["examples"]["malformed"][0]["instruction"] == "None"


def test_everything_adds_up_on_random_verdicts() -> None:
    rng = random.Random(3)
    names = ["a", "b", "c", "d", "e"]
    rows = [_row(name) for name in range(400)]
    verdicts = [{name: {"value": 1} for name in names if rng.random() < 0.15} for _ in rows]
    reasons = [next((name for name in names if name in verdict), None) for verdict in verdicts]
    dropped = [
        {**row, "reason": reason, "measured": {"value": 1}} for row, reason in zip(rows, reasons, strict=True) if reason
    ]
    found = attrition.report(names, [(row["id"], v) for row, v in zip(rows, verdicts, strict=True)], dropped, rows)
    counts = found["filters"]
    assert sum(one["in_sequence"] for one in counts.values()) == found["dropped"] == 400 - found["kept"]
    assert counts["e"]["kept_after"] == found["kept"] == sum(not verdict for verdict in verdicts)
    for place, name in enumerate(names):
        without = [[other for other in verdict if other != name] for verdict in verdicts]
        assert counts[name]["only_this"] == sum(not rest for rest in without) - found["kept"]  # leave one out
        assert counts[name]["alone"] >= counts[name]["in_sequence"] >= counts[name]["only_this"]
        if place == 0:
            assert counts[name]["alone"] == counts[name]["in_sequence"]
    overlap = {(one["first"], one["second"]): one for one in found["overlap"]}
    both = sum("b" in verdict and "d" in verdict for verdict in verdicts)
    either = sum("b" in verdict or "d" in verdict for verdict in verdicts)
    assert overlap["b", "d"]["rows"] == both
    assert overlap["b", "d"]["jaccard"] == pytest.approx(both / either, abs=1e-4)


def test_a_duplicate_hangs_on_the_order() -> None:
    """Asked alone, 7 repeats 2; in sequence 2 is gone, so 7 stays, and 8, a duplicate of 7 only, goes."""
    objections, dropped, rows = _case()
    dropped = [row for row in dropped if row["id"] != 7]
    objections = [(name, verdict) for name, verdict in objections if name != 7]
    objections.append((7, {"near_duplicate": {"duplicate_of": 2}}))
    dropped.append({**rows[8], "reason": "near_duplicate", "measured": {"duplicate_of": 7}})
    found = attrition.report(ORDER, objections, dropped, rows)
    assert found["filters"]["near_duplicate"]["in_sequence"] == 1
    assert found["examples"]["near_duplicate"][0]["id"] == 8


def _doubled(objections, dropped, rows):
    return [*objections, objections[0]], dropped, rows


def _dropped_twice(objections, dropped, rows):
    return objections, [*dropped, dropped[0]], rows


def _unknown_reason(objections, dropped, rows):
    return objections, [{**dropped[0], "reason": "ugly"}, *dropped[1:]], rows


def _unknown_verdict(objections, dropped, rows):
    return [(5, {"ugly": {"share": 1}}), *(one for one in objections if one[0] != 5)], dropped, rows


def _not_judged(objections, dropped, rows):
    return objections[1:], dropped, rows[1:]


def _row_missing(objections, dropped, rows):
    return objections, dropped, rows[:-1]


def _kept_in_spite(objections, dropped, rows):
    return objections, dropped[1:], rows


def _wrong_reason(objections, dropped, rows):
    return objections, [{**row, "reason": "refusal"} if row["id"] == 4 else row for row in dropped], rows


def _duplicate_out_of_order(objections, dropped, rows):
    late = [(0, {"length": {"response_words": 400}, "near_duplicate": {"duplicate_of": 5}}), *objections[1:]]
    measured = {"reason": "near_duplicate", "measured": {"duplicate_of": 5}}
    return late, [{**row, **measured} if row["id"] == 0 else row for row in dropped], rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_doubled, "objections: row 0 is there twice"),
        (_dropped_twice, "dropped rows: row 0 is there twice"),
        (_unknown_reason, "no such filter: ugly"),
        (_unknown_verdict, "no such filter: ugly"),
        (_not_judged, "row 0 was dropped and is not among the 9 rows judged"),
        (_row_missing, "10 rows were judged, which are not the 9 rows given"),
        (_kept_in_spite, "row 0: nothing dropped it, by its verdicts length does"),
        (_wrong_reason, "row 4: refusal dropped it, by its verdicts length does"),
        (_duplicate_out_of_order, "row 0: near_duplicate dropped it, by its verdicts length does"),
    ],
)
def test_impossible_counts_are_refused(change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attrition.report(ORDER, *change(*_case()))


def test_nothing_dropped_and_nothing_at_all() -> None:
    rows = [_row(0), _row(1)]
    found = attrition.report(ORDER, [(0, {}), (1, {})], [], rows)
    assert found["filters"]["near_duplicate"]["kept_share"] == 1.0
    assert found["examples"] == {} and found["overlap"] == []
    assert attrition.report(ORDER, [], [], [])["rows"] == 0
