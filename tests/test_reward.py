import random
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from tuner import base, reply_judge, reward
from tuner.engine import TransformersEngine
from tuner.errors import UserError
from tuner.params import Judge, Sampling

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


def test_line_breaks_survive_a_repetition():
    rng = random.Random(0)
    for _ in range(20):
        assert reward.repeat("Sure.\n\n1. Milk.\n2. Eggs.", rng).count("\n") >= 3


@pytest.fixture
def sides(loaded, tokenizer):
    engine = TransformersEngine(loaded, tokenizer, 8)
    fitted, held_out = reward.split(ROWS, 0.25, seed=0)
    return [
        reward.contrasts(side, engine, refusals=refusals, sampling=HOT, seed=0)
        for side, refusals in ((fitted, reward.REFUSALS), (held_out, reward.OTHER_REFUSALS))
    ]


def test_every_kind_contrasts_a_rows_own_answer(sides):
    answers = {row["prompt"][0]["content"]: row["completion"][0]["content"] for row in ROWS}
    for pairs in sides:
        assert {pair["kind"] for pair in pairs} == set(reward.KINDS)
        for pair in pairs:
            assert pair["chosen"] == answers[pair["prompt"]] != pair["rejected"]


def test_no_text_is_on_both_sides(sides):
    fitted, held_out = ({pair[name] for pair in side for name in ("prompt", "chosen", "rejected")} for side in sides)
    assert len(fitted & held_out) == 0
    assert {pair["prompt"] for side in sides for pair in side} == {row["prompt"][0]["content"] for row in ROWS}


def test_each_side_has_two_rows_or_the_user_is_told():
    for share in (0.01, 0.99):
        fitted, held_out = reward.split(ROWS, share, seed=1)
        assert min(len(fitted), len(held_out)) == 2
    with pytest.raises(UserError, match="at least 4 train rows, found 3"):
        reward.split(ROWS[:3], 0.5, seed=0)


def test_the_checkpoint_scores_what_was_fitted_in_any_batch(tiny, sides, tmp_path, runtime):
    pairs, held_out = sides
    accuracy = reward.fit(
        tiny,
        pairs,
        held_out,
        regularization=1.0,
        device="cpu",
        dtype="float32",
        max_tokens=512,
        destination=tmp_path / "reward",
        progress=iter,
    )
    assert [row["kind"] for row in accuracy] == ["all", *reward.KINDS]
    assert accuracy[0]["pairs"] == sum(row["pairs"] for row in accuracy[1:]) == len(held_out)
    exchanges = [(pair["prompt"], pair[side]) for pair in pairs for side in ("chosen", "rejected")]
    single, many = (
        reward.score(tmp_path / "reward", exchanges, device="cpu", dtype="float32", max_tokens=tokens, progress=iter)
        for tokens in (1, 4000)
    )
    assert np.allclose(single, many, atol=1e-4)
    margins = np.array(many).reshape(-1, 2) @ [1, -1]
    assert (margins > 0).mean() > 0.8  # the fitted pairs; a head that was not saved would give a half

    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "reward", dtype=torch.float32)
    assert plain.config.num_labels == 1

    judge = Judge(path=str(tmp_path / "reward"), sha256=base.weights_sha256(tmp_path / "reward"))
    asked = {"id": "a", "suite": "instruction_following", "messages": [{"role": "user", "content": exchanges[0][0]}]}
    rows = [asked | {"reply": exchanges[0][1]}, {"id": "b", "suite": "agent", "reply": "walk"}]
    found = reply_judge.scored(rows, judge, runtime, iter)
    assert found == [rows[0] | {"judge_score": pytest.approx(single[0], abs=1e-4)}, rows[1]]
    assert reply_judge.scored(rows, None, runtime, iter) is rows
    with pytest.raises(UserError, match="params.yaml pins 0000"):
        reply_judge.scored(rows, judge.model_copy(update={"sha256": "0" * 64}), runtime, iter)


def test_the_reward_that_built_the_pairs_is_no_judge_and_neither_is_its_copy(tmp_path, monkeypatch, runtime):
    monkeypatch.chdir(tmp_path)
    for folder in ("models/reward", "mine"):
        Path(folder).mkdir(parents=True)
        (Path(folder) / "model.safetensors").write_bytes(b"the same weights")
        judge = Judge(path=folder, sha256=base.weights_sha256(Path(folder)))
        with pytest.raises(UserError, match="models/reward has built the preference pairs; name another judge"):
            reply_judge.scored([], judge, runtime, iter)
