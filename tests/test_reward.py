import random

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from tuner import reward
from tuner.engine import TransformersEngine
from tuner.params import Sampling

HOT = Sampling(temperature=2.0, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=20)
WORDS = "story song plan word city house tree river sun music year food".split()
ROWS = [
    {
        "id": number,
        "prompt": [{"role": "user", "content": f"tell a {word}"}],
        "completion": [{"role": "assistant", "content": f"a good {word} is in the {word} . we walk to the {word} ."}],
    }
    for number, word in enumerate(WORDS)
]


def test_a_known_preference_is_recovered():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=5)
    differences = rng.normal(size=(4000, 5)) * [1, 2, 3, 4, 50]
    chosen = rng.random(4000) < 1 / (1 + np.exp(-differences @ (truth / [1, 2, 3, 4, 50])))
    differences[~chosen] *= -1
    found = reward.bradley_terry(differences, regularization=0.01) * [1, 2, 3, 4, 50]
    assert np.allclose(found, truth, atol=0.15)


def test_texts_are_spoiled_as_the_kinds_say():
    rng = random.Random(0)
    text = "One two three. Four five six. Seven eight nine."
    for _ in range(50):
        cut = reward.truncate(text, rng)
        assert text.startswith(cut)
        assert 2 <= len(cut.split()) <= 6 and not cut.endswith(".")
        again = reward.repeat(text, rng)
        assert set(again.split(". ")) <= {"One two three", "Four five six", "Seven eight nine", "Seven eight nine."}
        assert len(text) < len(again)


@pytest.fixture
def pairs(loaded, tokenizer):
    return reward.contrasts(ROWS, TransformersEngine(loaded, tokenizer, 8), sampling=HOT, seed=0)


def test_every_kind_contrasts_a_rows_own_answer(pairs):
    assert {pair["kind"] for pair in pairs} == set(reward.KINDS)
    answers = {row["id"]: row["completion"][0]["content"] for row in ROWS}
    for pair in pairs:
        assert pair["chosen"] == answers[pair["id"]] != pair["rejected"]
    other = [pair["rejected"] for pair in pairs if pair["kind"] == "mismatched"]
    assert set(other) <= set(answers.values())


def test_the_checkpoint_scores_what_was_fitted_in_any_batch(tiny, pairs, tmp_path):
    accuracy = reward.fit(
        tiny,
        pairs,
        regularization=1.0,
        validation_share=0.25,
        seed=0,
        device="cpu",
        dtype="float32",
        max_tokens=512,
        destination=tmp_path / "reward",
        progress=iter,
    )
    assert [row["kind"] for row in accuracy] == ["all", *reward.KINDS]
    assert accuracy[0]["pairs"] == sum(row["pairs"] for row in accuracy[1:]) == 3 * len(reward.KINDS)
    exchanges = [(pair["prompt"], pair[side]) for pair in pairs for side in ("chosen", "rejected")]
    single, many = (
        reward.score(tmp_path / "reward", exchanges, device="cpu", dtype="float32", max_tokens=tokens, progress=iter)
        for tokens in (1, 4000)
    )
    assert np.allclose(single, many, atol=1e-4)
    margins = np.array(many).reshape(-1, 2) @ [1, -1]
    assert (margins > 0).mean() > 0.8  # mostly fitted pairs; a head that was not saved would give a half

    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "reward", dtype=torch.float32)
    assert plain.config.num_labels == 1
