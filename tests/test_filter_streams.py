"""Filters on whole streams of rows: duplicates, turns, counts, switches and the split."""

import random
from collections import Counter

import pytest
from filter_rows import SPECIAL, row, run, run_rows, settings
from test_filters import ANSWER, BAD, GOOD, TESTS

from tuner import duplicates, filters


def test_exact_duplicates_keep_the_lowest_id_that_is_good():
    rows = [
        row("10", "Explain   PHOTOSYNTHESIS", ANSWER),
        row("9", "Explain photosynthesis.", ANSWER),
        row("2", "Explain photosynthesis!", "I cannot provide information."),  # dropped, so it blocks nobody
    ]
    kept, dropped = run_rows(rows)
    assert [r["id"] for r in kept] == ["9"]
    assert [(d["id"], d["reason"]) for d in dropped] == [("2", "refusal"), ("10", "exact_duplicate")]
    assert dropped[1]["measured"] == {"duplicate_of": "9"}


LONG = "Write a function in Python that takes a list of integers and returns the two numbers which add up to ten"


def test_near_duplicates_have_a_kept_twin():
    # 21 words are 19 shingles; "Please" adds one, two more words at the end two
    kept, dropped = run(
        (LONG, ANSWER), ("Please " + LONG, ANSWER), (LONG + " or twelve", ANSWER), ("Name a tree", ANSWER)
    )
    assert [r["id"] for r in kept] == [0, 3]
    assert [d["measured"] for d in dropped] == [
        {"duplicate_of": 0, "jaccard": 0.95},
        {"duplicate_of": 0, "jaccard": round(19 / 21, 4)},
    ]
    assert {d["reason"] for d in dropped} == {"near_duplicate"}


def test_near_duplicate_limit_is_exact():
    pair = (LONG, ANSWER), (LONG + " or twelve", ANSWER)
    assert len(run(*pair, near_duplicate_jaccard=19 / 21)[0]) == 1
    assert len(run(*pair, near_duplicate_jaccard=19 / 21 + 1e-6)[0]) == 2


def test_near_duplicates_do_not_depend_on_the_order_of_rows():
    dice = random.Random(5)
    nouns = ["fox", "bear", "crow", "wolf", "hare", "deer", "newt", "swan", "crab", "moth", "seal", "toad"]
    rows = []
    for i in range(120):
        middle = " ".join(dice.choice(nouns) for _ in range(3))
        text = f"Write a long and funny story about the animals of the old forest, such as {middle}"
        rows.append(row(i, text, ANSWER))
    first = run_rows(rows)
    assert 1 < len(first[0]) < 120
    for _ in range(3):
        dice.shuffle(rows)
        assert run_rows(rows) == first
    sets = [set(duplicates.shingles(r["instruction"]).tolist()) for r in first[0]]
    assert all(len(a & b) / len(a | b) < 0.8 for i, a in enumerate(sets) for b in sets[:i])
    assert {d["measured"]["duplicate_of"] for d in first[1]} <= {r["id"] for r in first[0]}


# a fault in an earlier turn, and the filter that must see it
EARLIER = [
    ("length", {"instruction_words": 1}, "Photosynthesis?", ANSWER),
    ("template_leak", {"response": "<|im_end|>"}, "Explain photosynthesis.", ANSWER + "<|im_end|>"),
    ("incomplete_instruction", {"unfinished": ":"}, "Please translate this paragraph:", ANSWER),
    ("modality", {"instruction": "the image above"}, "Describe the image above.", ANSWER),
    (
        "refusal",
        {"phrase": "I'm sorry, but I can't help with"},
        "Explain photosynthesis.",
        "I'm sorry, but I can't help with that.",
    ),
    ("identity", {"response": "As a SmolLM"}, "Explain photosynthesis.", "As a SmolLM, I can. " + ANSWER),
    ("echo", {"ratio": 1.0}, "Explain how plants turn light into sugar.", "explain how plants turn light into sugar"),
    ("repetition", {"response": "word_run", "times": 9}, "Explain photosynthesis.", "It is very " + "good " * 9),
    (
        "characters",
        {"response": "replacement character", "count": 1},
        "Explain photosynthesis.",
        "Light\ufffd makes sugar.",
    ),
    ("language", {"instruction": "Han", "letters": 7}, "光合作用是什么？", ANSWER),
    ("contaminated", {"item": "q1", "covered": 1.0}, "Which gas do green plants release by day?", "Oxygen."),
]


@pytest.mark.parametrize("reason, measured, instruction, response", EARLIER)
def test_every_turn_is_looked_at(reason, measured, instruction, response):
    turns = [{"instruction": "Hello, I have a question.", "response": "Please ask it, I am listening."}]
    turns.append({"instruction": instruction, "response": response})
    source = row(1, "And what happens at night?", "Plants breathe then, as animals do.", history=turns)
    _, dropped = filters.apply([source], settings(), SPECIAL, tests=TESTS)
    assert [(d["reason"], d["measured"]) for d in dropped] == [(reason, {**measured, "turn": 2})]
    assert filters.apply([{**source, "history": turns[:1]}], settings(), SPECIAL, tests=TESTS)[1] == []
    late = row(1, instruction, response, history=turns[:1])
    _, dropped = filters.apply([late], settings(), SPECIAL, tests=TESTS)
    assert [(d["reason"], d["measured"]) for d in dropped] == [(reason, {**measured, "turn": 2})]


def test_duplicates_and_the_split_go_by_the_first_instruction():
    turn = {"instruction": LONG, "response": ANSWER}
    rows = [
        row(1, "Make it shorter, please.", "Here it is, shorter.", history=[turn]),
        row(2, "Make it shorter, please.", "Here it is, shorter.", history=[{**turn, "instruction": "Name a tree"}]),
        row(3, "Add a comment, please.", "Here it is, with one.", history=[turn]),
        row(4, "Add a test, please.", "Here.", history=[{**turn, "instruction": "Please " + LONG}]),
    ]
    kept, dropped = run_rows(rows)
    assert [r["id"] for r in kept] == [1, 2]
    assert [(d["id"], d["reason"]) for d in dropped] == [(3, "exact_duplicate"), (4, "near_duplicate")]
    for seed in range(20):
        sides = filters.split([rows[0], rows[2], rows[1]], 0.5, seed)
        assert {r["id"] for r in sides[0]} in ({1, 3}, {2})


def test_contaminated_needs_an_index():
    pair = ("Which gas do green plants release by day?", "Oxygen.")
    assert run(pair)[1] == []
    assert filters.apply([row(1, *pair)], settings(contaminated=False), SPECIAL, tests=TESTS)[1] == []


def test_verdict_row_by_row_is_what_apply_does():
    rows = [row(i, *pair) for i, pair in enumerate(GOOD + [b[2:] for b in BAD] + GOOD[:10])]
    memory = filters.begin(settings(mask_pii=False), SPECIAL)
    one_by_one = [filters.verdict(r, memory) for r in rows]
    kept, dropped = run_rows(rows, mask_pii=False)
    assert [r for r, against in zip(rows, one_by_one, strict=True) if against is None] == kept
    assert [against for against in one_by_one if against] == [(d["reason"], d["measured"]) for d in dropped]
    assert len(kept) == len(GOOD)


def test_stream_holds_nothing_back():
    taken = []

    def rows():
        for i, pair in enumerate(GOOD[:5]):
            taken.append(i)
            yield row(i, *pair)

    for number, (source, passed) in enumerate(filters.stream(rows(), filters.begin(settings(), SPECIAL))):
        assert (source["id"], passed, len(taken)) == (number, True, number + 1)


def test_all_verdicts_asks_each_filter_alone():
    memory = filters.begin(settings(), SPECIAL, TESTS)
    bad = row(1, "Please " + LONG, "As a SmolLM, I say: " + "good " * 9, response_finish="length")
    found = [
        filters.all_verdicts(row(0, LONG, "I cannot provide information."), memory),
        filters.all_verdicts(bad, memory),
        filters.all_verdicts(row(2, "Please " + LONG, ANSWER), memory),
        filters.all_verdicts(row(3, "Please " + LONG, ANSWER), memory),
        filters.all_verdicts(row(4, *GOOD[0]), memory),
    ]
    # row 2 is the same as row 1, which was itself only near to row 0
    assert [sorted(f) for f in found] == [
        ["refusal"],
        ["identity", "near_duplicate", "repetition", "truncated"],
        ["exact_duplicate", "near_duplicate"],
        ["exact_duplicate", "near_duplicate"],
        [],
    ]
    assert found[1]["near_duplicate"] == found[3]["near_duplicate"] == {"duplicate_of": 0, "jaccard": 0.95}
    assert found[3]["exact_duplicate"] == {"duplicate_of": 1}


def test_the_first_of_all_verdicts_is_the_verdict():
    order = [name for name, _ in filters.FILTERS]
    for _, _, instruction, response in BAD:
        source = row(1, instruction, response)
        found = filters.all_verdicts(source, filters.begin(settings(), SPECIAL))
        first = min(found, key=order.index)
        assert filters.verdict(source, filters.begin(settings(), SPECIAL)) == (first, found[first])


def test_counts():
    rows = [row(i, *pair) for i, pair in enumerate([GOOD[0], GOOD[0], ("...", "Yes"), GOOD[1]])]
    kept, dropped = run_rows(rows)
    total = filters.counts(rows, kept, dropped)
    assert total == {"in": 4, "kept": 2, "dropped": 2} | {f"dropped_{name}": 0 for name, _ in filters.FILTERS} | {
        "dropped_length": 1,
        "dropped_exact_duplicate": 1,
        "dropped_judged": 0,
    }
    assert filters.tally(Counter([None, "length", "exact_duplicate", None])) == total
    assert filters.counts([], [], [])["in"] == 0
    for wrong in (
        (rows[:3], kept, dropped),
        (rows, kept[:1], dropped),
        (rows, kept, dropped[:1]),
        (rows, [kept[0], kept[0]], dropped),
        (rows, kept, [dropped[0], {**dropped[1], "reason": "mood"}]),
    ):
        with pytest.raises(ValueError):
            filters.counts(*wrong)


def test_split_is_by_prompt_and_stable():
    rows = [row(i, f"Explain the number {i // 2}{'.' * (i % 2)}", ANSWER) for i in range(400)]
    train, validation = filters.split(rows, 0.1, seed=1)
    assert sorted(train + validation, key=lambda r: r["id"]) == rows
    assert [r["id"] for r in train] == sorted(r["id"] for r in train)
    sides = [{filters.normalise(r["instruction"]) for r in side} for side in (train, validation)]
    assert not sides[0] & sides[1]
    assert 20 <= len(validation) <= 64
    assert filters.split(rows, 0.1, seed=1) == (train, validation)
    assert filters.split(rows, 0.1, seed=2) != (train, validation)
    more = rows + [row(i, f"Describe the number {i}", ANSWER) for i in range(400, 500)]
    assert [r for r in filters.split(more, 0.1, seed=1)[1] if r["id"] < 400] == validation


def test_the_split_is_that_of_earlier_versions():
    # sha256("1\nexplain the number 7") read as a number in 0-1
    assert filters.split_place("Explain the number 7.", 1) == pytest.approx(0.4409228, abs=1e-7)


@pytest.mark.parametrize("share", [1e-9, 1 - 1e-9])
def test_split_leaves_no_side_empty(share):
    rows = [row(i, f"Explain the number {i // 2}", ANSWER) for i in range(6)]
    train, validation = filters.split(rows, share, seed=1)
    assert (len(train), len(validation)) == ((4, 2) if share < 0.5 else (2, 4))
    assert filters.split(rows[:2], share, seed=1) == (rows[:2], [])
    assert filters.split([], share, seed=1) == ([], [])


@pytest.mark.parametrize("share", [0, 1, -0.1])
def test_split_refuses_a_share_that_is_none(share):
    with pytest.raises(ValueError, match="validation_share"):
        filters.split([], share, seed=1)
