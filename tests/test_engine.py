import json
import os
import shutil

import pytest
import torch
from transformers import GenerationConfig

from tuner import agreement, engine, hardware, io, model, template
from tuner.engine import TransformersEngine, draw
from tuner.errors import UserError
from tuner.params import Sampling

GREEDY = Sampling(temperature=0.0, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=12)
PURE = Sampling(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=12)


def changed(**values):
    return PURE.model_copy(update=values)


@pytest.fixture
def sampler(loaded, tokenizer):
    return TransformersEngine(loaded, tokenizer, rows=8)


@pytest.fixture
def prompts(tokenizer):
    texts = ["tell a story", "what", "how could we cook good food in winter", "make a plan for the garden", "why"]
    return [template.prompt_ids(tokenizer, [{"role": "user", "content": text}]) for text in texts]


def test_a_row_is_the_same_whatever_its_batch(loaded, tokenizer, prompts):
    seeds = list(range(len(prompts)))
    together = TransformersEngine(loaded, tokenizer, rows=8).sample(prompts, seeds, [PURE] * len(seeds))
    alone = TransformersEngine(loaded, tokenizer, rows=1).sample(prompts, seeds, [PURE] * len(seeds))
    backwards = TransformersEngine(loaded, tokenizer, rows=2).sample(prompts[::-1], seeds[::-1], [PURE] * len(seeds))
    assert together == alone == backwards[::-1]


def test_rows_that_enter_as_others_finish_are_what_they_are_alone(loaded, tokenizer, prompts):
    many, seeds = prompts * 12, list(range(60))
    settings = [(PURE, GREEDY, changed(top_p=0.8, max_new_tokens=5), changed(max_new_tokens=40))[n % 4] for n in seeds]
    alone = [TransformersEngine(loaded, tokenizer, rows=1).sample([many[n]], [n], [settings[n]])[0] for n in seeds]
    together = TransformersEngine(loaded, tokenizer, rows=5).sample(many, seeds, settings)
    assert together == alone
    assert len({len(sample.ids) for sample in together}) > 5  # they did finish at different times


def test_the_bar_counts_every_row(sampler, prompts):
    counted = []
    sampler.sample(prompts, [0] * 5, [PURE] * 5, lambda rows: (counted.append(row) or row for row in rows))
    assert counted == list(range(5))


def test_another_seed_gives_another_sample(sampler, prompts):
    one, two = (sampler.sample([prompts[0]] * 4, seeds, [PURE] * len(seeds)) for seeds in ([1, 2, 3, 4], [5, 6, 7, 8]))
    assert one != two
    assert len({tuple(sample.ids) for sample in one}) > 1


def test_greedy_decoding_is_the_librarys(sampler, loaded, prompts):
    for prompt, sample in zip(
        prompts, sampler.sample(prompts, [0] * len(prompts), [GREEDY] * len(prompts)), strict=True
    ):
        config = GenerationConfig(max_new_tokens=12, do_sample=False, eos_token_id=sampler.stop_ids, pad_token_id=0)
        written = loaded.generate(torch.tensor([prompt]), generation_config=config)[0, len(prompt) :].tolist()
        assert sample.ids == [token for token in written if token not in sampler.stop_ids]


def test_a_checkpoints_own_sampling_defaults_are_not_used(tiny, tokenizer, prompts, sampler, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "model")
    file = folder / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"repetition_penalty": 5.0, "min_new_tokens": 12}))
    other = TransformersEngine(model.load(folder, device="cpu", dtype="float32"), tokenizer, rows=8)
    for settings in (GREEDY, PURE):
        wanted = sampler.sample(prompts, list(range(5)), [settings] * 5)
        assert other.sample(prompts, list(range(5)), [settings] * 5) == wanted


def test_a_sample_stops_at_the_end_of_turn_or_at_its_limit(sampler, prompts):
    many = sampler.sample([prompts[0]] * 64, list(range(64)), [changed(max_new_tokens=40)] * 64)
    assert {sample.finish for sample in many} == {"stop", "length"}
    for sample in many:
        assert (len(sample.ids) == 40) == (sample.finish == "length")
        assert not set(sample.ids) & set(sampler.stop_ids)


def test_limits_can_differ_by_row(sampler, prompts):
    found = sampler.sample(prompts, [3] * len(prompts), [changed(max_new_tokens=n) for n in (1, 2, 3, 4, 5)])
    assert all(len(sample.ids) <= limit for sample, limit in zip(found, [1, 2, 3, 4, 5], strict=True))
    whole = sampler.sample(prompts, [3] * len(prompts), [PURE] * len(prompts))
    assert all(long.ids[: len(short.ids)] == short.ids for long, short in zip(whole, found, strict=True))


def draws(sampling, logits, count=4000):
    generators = [torch.Generator().manual_seed(seed) for seed in range(count)]
    return torch.tensor(draw(torch.tensor([logits]).repeat(count, 1), [sampling] * count, generators, [[]] * count))


def test_draws_follow_the_softmax_at_the_temperature():
    logits = [0.0, 1.0, 2.0, 3.0]
    for temperature in (0.5, 1.0, 2.0):
        found = draws(changed(temperature=temperature), logits).bincount(minlength=4) / 4000
        wanted = (torch.tensor(logits) / temperature).softmax(-1)
        assert torch.allclose(found, wanted, atol=0.03)  # four standard errors of a share of 4000


def test_top_k_and_top_p_cut_what_they_say():
    logits = [0.0, 1.0, 2.0, 3.0]  # softmax 0.03, 0.09, 0.24, 0.64
    assert set(draws(changed(top_k=2), logits).tolist()) == {2, 3}
    assert set(draws(changed(top_p=0.6), logits).tolist()) == {3}
    assert set(draws(changed(top_p=0.7), logits).tolist()) == {2, 3}
    assert set(draws(changed(top_k=2, top_p=0.95), logits).tolist()) == {2, 3}


def test_a_nucleus_wider_than_the_first_look_is_found():
    logits = [0.001 * n for n in range(2000)]  # nearly even: 0.9 of the mass needs some 1700 tokens
    found = draws(changed(top_p=0.9), logits)
    shares = torch.tensor(logits).softmax(-1).flip(0).cumsum(0)
    outside = 2000 - int((shares < 0.9).sum()) - 1
    assert found.min() >= outside and found.min() < outside + 20


def test_rows_of_one_batch_keep_their_own_settings():
    scores = torch.tensor([[0.0, 1.0, 2.0, 3.0]]).repeat(3000, 1)
    settings = [GREEDY, changed(top_k=2), PURE] * 1000
    generators = [torch.Generator().manual_seed(seed) for seed in range(3000)]
    found = torch.tensor(draw(scores.clone(), settings, generators, [[]] * 3000)).reshape(1000, 3)
    assert [set(column.tolist()) for column in found.T] == [{3}, {2, 3}, {0, 1, 2, 3}]


def test_the_repetition_penalty_lowers_what_was_said():
    scores = torch.tensor([[4.0, 4.0, -4.0, 4.0]])
    draw(scores, [GREEDY.model_copy(update={"repetition_penalty": 2.0})], [None], [[1, 2, 1]])
    assert scores.tolist() == [[4.0, 2.0, -8.0, 4.0]]


def test_an_engine_that_samples_the_model_agrees(sampler, loaded, prompts):
    found = agreement.measure(sampler, loaded, prompts * 30, max_tokens=2048, tokens=20)
    assert found["agrees"]
    assert found["greedy_agreement"] == 1
    assert found["excess_low"] < 0 < found["excess_high"]


def test_an_engine_with_other_weights_does_not_agree(loaded, tokenizer, tiny, prompts):
    wrong = model.load(tiny, device="cpu", dtype="float32")
    with torch.no_grad():
        for weight in wrong.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    found = agreement.measure(
        TransformersEngine(wrong, tokenizer, rows=32), loaded, prompts * 30, max_tokens=2048, tokens=20
    )
    assert not found["agrees"]
    assert found["excess_low"] > 0


def test_openvino_is_refused_without_its_file_or_agreement(tiny, tmp_path, runtime):
    assert engine.choose("auto", tiny, runtime) == "transformers"
    with pytest.raises(UserError, match="use engine: transformers"):
        engine.choose("openvino", tiny, runtime)
    with pytest.raises(UserError, match="run the base stage again"):
        engine.require_agreement(tmp_path)
    io.write_json(tmp_path / engine.AGREEMENT, {"agrees": False, "excess_nats": 1.5})
    with pytest.raises(UserError, match="cost 1.5 nats a token too much"):
        engine.require_agreement(tmp_path)


def test_a_number_format_that_draws_other_rows_is_in_the_name(tiny, tokenizer, runtime):
    half = runtime.model_copy(update={"dtype": "bfloat16"})
    name = engine.choose("auto", tiny, half)
    assert name == engine.load(name, tiny, half).name == "transformers-bfloat16"
    assert engine.load("transformers", tiny, runtime).name == "transformers"


def test_bfloat16_is_refused_on_a_processor_without_it(tiny, tmp_path, runtime, monkeypatch):
    monkeypatch.setattr(engine, "has_bfloat16", lambda: False)
    (tmp_path / engine.GGUF).touch()
    for asked in (
        lambda: engine.choose("openvino-bfloat16", tmp_path, runtime),
        lambda: engine.OpenVinoEngine(tmp_path / engine.GGUF, None, 1, "openvino-bfloat16"),
    ):
        with pytest.raises(UserError, match="needs a CPU with bfloat16 instructions; use engine: openvino"):
            asked()


def test_several_gpus_are_refused(runtime, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match="2 CUDA devices, and one is used: name it by CUDA_VISIBLE_DEVICES"):
        hardware.choose("auto", "float32")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert hardware.choose("auto", "float32") == ("cuda", "float32")


def test_what_prompts_have_in_common_is_read_once(loaded, tokenizer, prompts, monkeypatch):
    assert engine.logps.may_share(loaded, 100)  # measured once for each model, by passes that are not counted here
    read = []
    forward = engine.logps.forward

    def counted(model, base, trie, cache=None):
        read.append(len(trie.ids))
        return forward(model, base, trie, cache)

    monkeypatch.setattr(engine.logps, "forward", counted)
    TransformersEngine(loaded, tokenizer, rows=8).sample([prompts[0]] * 8, [0] * 8, [GREEDY] * 8)
    assert read == [len(prompts[0])]
    read.clear()
    TransformersEngine(loaded, tokenizer, rows=8).sample(prompts, [0] * 5, [GREEDY] * 5)
    shared = len(os.path.commonprefix(prompts))
    assert len(read) == 1 and read[0] < sum(map(len, prompts)) - 3 * shared


def test_prompts_are_read_in_passes_of_so_many_places_at_most(loaded, tokenizer, prompts):
    wanted = TransformersEngine(loaded, tokenizer, rows=8).sample(prompts, list(range(5)), [PURE] * 5)
    small = TransformersEngine(loaded, tokenizer, rows=8, forward_tokens=max(map(len, prompts)) + 2)
    assert small.sample(prompts, list(range(5)), [PURE] * 5) == wanted
