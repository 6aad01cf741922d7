"""The judged filter: its score against a forward pass by hand, who goes, and how many must be judged."""

import math

import pytest
import torch

from tuner import judge, template

ROWS = [
    {"id": 3, "instruction": "tell a story", "response": "a sea story for you"},
    {"id": 5, "instruction": "make a plan for the garden", "response": "plan to plant"},
    {"id": 8, "instruction": "why", "response": "to learn"},
    {"id": 9, "instruction": "what", "response": ""},
]


def mean_logp(loaded, prompt, answer):
    logits = loaded(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
    return float(logits.detach().gather(1, torch.tensor(answer)[:, None]).mean())


def test_a_score_is_the_answers_mean_log_probability(loaded, tokenizer):
    found = judge.scores(loaded, tokenizer, ROWS, max_tokens=64)
    for row, score in zip(ROWS[:3], found, strict=False):
        answer = tokenizer.encode(row["response"], add_special_tokens=False)
        prompt = template.prompt_ids(tokenizer, [{"role": "user", "content": row["instruction"]}])
        assert score == pytest.approx(mean_logp(loaded, prompt, answer), abs=1e-4)
    assert found[3] == -math.inf


def test_earlier_turns_are_part_of_what_was_asked(loaded, tokenizer):
    later = {**ROWS[0], "history": [{"instruction": "what", "response": "sea"}]}
    one, other = judge.scores(loaded, tokenizer, [ROWS[0], later], max_tokens=128)
    assert one != other


@pytest.mark.parametrize(
    ("share", "places"), [(0.0, set()), (0.24, set()), (0.25, {2}), (0.5, {2, 3}), (0.75, {1, 2, 3})]
)
def test_the_lowest_go_and_of_equal_ones_the_later(share, places):
    assert judge.lowest([0.9, 0.1, -1.0, 0.1], share) == places


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("wanted", [2, 7, 100])
def test_exactly_as_many_are_left_as_were_wanted(wanted, share):
    judged = judge.rows_to_judge(wanted, share)
    assert judged - len(judge.lowest([0.0] * judged, share)) == wanted


def test_the_rows_that_go_are_named_with_their_score(tiny, loaded, tokenizer, runtime):
    names = []
    low = judge.lowest_rows(lambda: iter(ROWS), tiny, 0.5, runtime, lambda name: names.append(name) or iter)
    scores = judge.scores(loaded, tokenizer, ROWS[:3], max_tokens=512)
    second = min(range(3), key=lambda place: scores[place])
    assert set(low) == {9, ROWS[second]["id"]} and names == ["judge"]
    assert low[ROWS[second]["id"]] == pytest.approx(scores[second], abs=1e-3)


def test_a_share_of_zero_costs_nothing():
    assert judge.lowest_rows(None, None, 0.0, None, None) == {}
