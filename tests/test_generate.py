import json

import pytest

from tuner import generate, template
from tuner.engine import TransformersEngine
from tuner.params import Generate, Sampling

SETTINGS = Generate(
    rows=20,
    engine="transformers",
    instruction=Sampling(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=30),
    response=Sampling(temperature=0.8, top_k=0, top_p=0.9, repetition_penalty=1.0, max_new_tokens=30),
)


@pytest.fixture
def sampler(loaded, tokenizer):
    return TransformersEngine(loaded, tokenizer, rows=8)


def rows(sampler, folder, settings=SETTINGS, seed=0):
    return generate.pairs(sampler, settings, seed=seed, folder=folder, progress=iter)


def test_a_row_says_how_it_was_made(sampler, tmp_path):
    found = rows(sampler, tmp_path)
    assert [row["id"] for row in found] == list(range(20))
    for row in found:
        assert row["instruction_sampling"] == SETTINGS.instruction.model_dump()
        assert row["response_sampling"] == SETTINGS.response.model_dump()
        assert (row["response_finish"] == "skipped") == (
            row["instruction_finish"] == "length" or not row["instruction"]
        )
    assert len({row["instruction_seed"] for row in found}) == 20


def test_a_row_can_be_made_again_from_what_it_says(sampler, tokenizer, tmp_path):
    row = next(row for row in rows(sampler, tmp_path) if row["response_finish"] == "stop")
    asked = sampler.sample([template.pre_query_ids(tokenizer)], [row["instruction_seed"]], SETTINGS.instruction)
    assert tokenizer.decode(asked[0].ids) == row["instruction"]
    prompt = template.prompt_ids(tokenizer, [{"role": "user", "content": row["instruction"]}])
    answer = sampler.sample([prompt], [row["response_seed"]], SETTINGS.response)
    assert tokenizer.decode(answer[0].ids) == row["response"]


def test_more_rows_do_not_change_the_first_ones(sampler, tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "CHUNK", 8)
    few = rows(sampler, make(tmp_path / "few"))
    many = rows(sampler, make(tmp_path / "many"), SETTINGS.model_copy(update={"rows": 30}))
    assert many[:20] == few


class Dies:
    """An engine that stops working after so many calls, as a killed process would."""

    def __init__(self, engine, calls):
        self.engine, self.tokenizer, self.calls = engine, engine.tokenizer, calls

    def sample(self, *args, **kwargs):
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        return self.engine.sample(*args, **kwargs)


@pytest.mark.parametrize("calls", [0, 1, 2, 3, 4, 5])
def test_an_interrupted_run_goes_on_to_the_same_bytes(sampler, tmp_path, monkeypatch, calls):
    monkeypatch.setattr(generate, "CHUNK", 8)
    whole = rows(sampler, make(tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        rows(Dies(sampler, calls), make(tmp_path / "killed"))
    kept = sorted(file.name for file in (tmp_path / "killed").iterdir())
    assert len(kept) == calls // 2
    counted = Dies(sampler, 100)
    assert json.dumps(rows(counted, tmp_path / "killed")) == json.dumps(whole)
    assert 100 - counted.calls == 2 * (3 - len(kept))  # finished chunks were not sampled again


def make(folder):
    folder.mkdir()
    return folder


def test_every_prompt_gets_its_answers(sampler, tmp_path):
    prompts = [
        {"id": n, "split": "train", "prompt": [{"role": "user", "content": text}]}
        for n, text in enumerate(["tell a story", "make a plan", "why"])
    ]
    found = generate.answers(sampler, prompts, SETTINGS.response, per_prompt=3, seed=0, folder=tmp_path, progress=iter)
    assert [row["id"] for row in found] == [0, 1, 2]
    assert all(len(row["answers"]) == 3 for row in found)
    assert all(len({answer["seed"] for answer in row["answers"]}) == 3 for row in found)
