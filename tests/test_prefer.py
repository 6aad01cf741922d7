"""Preference pairs: a finished best answer against the worst one, and no prompt is lost without a reason."""

import random

import pytest

from tuner import prefer

REASONS = ("no_finished_answer", "same_text", "small_margin")


def answer(text: str, reward: float, finish: str = "stop") -> dict:
    return {"text": text, "finish": finish, "reward": reward}


def row(*answers: dict, name: str = "r1", split: str = "train") -> dict:
    prompt = [{"role": "user", "content": f"question {name}"}]
    return {"id": name, "split": split, "prompt": prompt, "answers": list(answers)}


def texts(pair: dict) -> tuple[str, str]:
    return pair["chosen"][0]["content"], pair["rejected"][0]["content"]


def dropped(*answers: dict, margin: float = 0.5) -> str:
    """Return the one reason for which a prompt of these answers is dropped."""
    kept, counts = prefer.pairs([row(*answers)], margin)
    assert kept == []
    (reason,) = [reason for reason in REASONS if counts[f"dropped_{reason}"]]
    return reason


def test_a_pair_is_the_best_answer_against_the_worst():
    scored = row(answer("good", 1.0), answer("best", 2.0), answer("worst", -1.0), answer("poor", 0.0))
    kept, _ = prefer.pairs([scored], 0.5)
    assert kept == [
        {
            "id": "r1",
            "split": "train",
            "prompt": [{"role": "user", "content": "question r1"}],
            "chosen": [{"role": "assistant", "content": "best"}],
            "rejected": [{"role": "assistant", "content": "worst"}],
            "reward_chosen": 2.0,
            "reward_rejected": -1.0,
        }
    ]


def test_an_unfinished_answer_is_never_chosen():
    kept, _ = prefer.pairs([row(answer("cut", 9.0, "length"), answer("whole", 1.0), answer("bad", 0.0))], 0.5)
    assert texts(kept[0]) == ("whole", "bad")


def test_an_unfinished_answer_may_be_rejected():
    kept, _ = prefer.pairs([row(answer("cut", -9.0, "length"), answer("whole", 1.0), answer("bad", 0.0))], 0.5)
    assert texts(kept[0]) == ("whole", "cut")


def test_an_empty_answer_is_neither_chosen_nor_rejected():
    kept, _ = prefer.pairs([row(answer("", 9.0), answer("whole", 1.0), answer("bad", 0.0))], 0.5)
    assert texts(kept[0]) == ("whole", "bad")
    for pair in prefer.pairs([row(answer("whole", 1.0), answer("bad", 0.0), answer("", -9.0))], 0.5)[0]:
        assert "" not in texts(pair)


@pytest.mark.parametrize(
    "answers", [[], [answer("cut", 1.0, "length"), answer("off", 0.0, "length")], [answer("", 1.0)]]
)
def test_a_prompt_without_a_finished_answer_is_dropped(answers):
    assert dropped(*answers) == "no_finished_answer"


def test_identical_texts_give_no_pair_however_wide_the_margin():
    assert dropped(answer("same", 2.0), answer("same", 1.0), margin=0.0) == "same_text"
    assert dropped(answer("only", 2.0), margin=0.0) == "same_text"


def test_a_margin_below_the_least_is_dropped_and_the_least_itself_is_kept():
    close = (answer("a", 1.0), answer("b", 0.75))
    assert dropped(*close, margin=0.26) == "small_margin"
    assert len(prefer.pairs([row(*close)], 0.25)[0]) == 1


def test_the_margin_is_that_of_the_pair_and_not_of_an_unfinished_best():
    assert dropped(answer("cut", 9.0, "length"), answer("a", 0.1), answer("b", 0.0)) == "small_margin"


def test_ties_go_to_the_first_answer_every_time():
    scored = row(answer("a", 1.0), answer("b", 1.0), answer("c", 0.0), answer("d", 0.0))
    assert {texts(prefer.pairs([scored], 0.5)[0][0]) for _ in range(5)} == {("a", "c")}


def test_counts_add_up_and_order_and_splits_are_kept():
    rng = random.Random(0)
    scored = [
        row(
            *(
                answer(rng.choice(["", "x", "y", "z"]), rng.choice([0.0, 0.3, 1.0]), rng.choice(["stop", "length"]))
                for _ in range(rng.randrange(4))
            ),
            name=f"r{number}",
            split=rng.choice(["train", "validation"]),
        )
        for number in range(300)
    ]
    kept, counts = prefer.pairs(scored, 0.5)
    assert counts["in"] == 300
    assert counts["kept"] == len(kept)
    assert counts["in"] == counts["kept"] + counts["dropped"]
    assert counts["dropped"] == sum(counts[f"dropped_{reason}"] for reason in REASONS)
    assert all(counts[f"dropped_{reason}"] > 0 for reason in REASONS)
    assert set(counts) == {"in", "kept", "dropped", *(f"dropped_{reason}" for reason in REASONS)}
    splits = {one["id"]: one["split"] for one in scored}
    numbers = [int(pair["id"][1:]) for pair in kept]
    assert numbers == sorted(numbers)
    assert all(pair["split"] == splits[pair["id"]] for pair in kept)
    for pair in kept:
        assert pair["reward_chosen"] - pair["reward_rejected"] >= 0.5
        assert pair["chosen"] != pair["rejected"]


def test_no_rows_give_zero_counts():
    kept, counts = prefer.pairs([], 0.5)
    assert kept == []
    assert set(counts.values()) == {0}


def test_the_scored_rows_are_left_as_they_were():
    scored = [row(answer("a", 1.0), answer("b", 0.0))]
    before = repr(scored)
    prefer.pairs(scored, 0.5)
    assert repr(scored) == before
