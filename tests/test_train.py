import json
import math
from pathlib import Path

import pytest
import torch
from closure import ROOT, closure
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file

from tuner import data, dpo, linear, logps, model, template, train
from tuner.errors import UserError
from tuner.params import Dpo, Method, Train

SCHEDULE = {
    "seeds": 1,
    "epochs": 2.0,
    "batch_size": 4,
    "warmup_share": 0.1,
    "scheduler": "cosine",
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "evaluate_every": 3,
    "max_tokens": 64,
}
TEXT = "tell a good story"
SETTINGS = {
    "lora": Method(peft_type="LORA", learning_rate=1e-2, r=4, lora_alpha=8, target_modules="all-linear"),
    "ia3": Method(
        peft_type="IA3",
        learning_rate=5e-2,
        target_modules=["k_proj", "v_proj", "down_proj"],
        feedforward_modules=["down_proj"],
    ),
    "prompt_tuning": Method(
        peft_type="PROMPT_TUNING",
        learning_rate=5e-2,
        num_virtual_tokens=4,
        prompt_tuning_init="TEXT",
        prompt_tuning_init_text=TEXT,
    ),
    "prefix_tuning": Method(peft_type="PREFIX_TUNING", learning_rate=5e-2, num_virtual_tokens=4, init_text=TEXT),
}
LORA = SETTINGS["lora"]
ANSWERS = [
    "a good story",
    "we walk to the river",
    "the sun is green",
    "learn music in one year",
    "eat good food",
    "yes",
]


def row(number, prompt, answer):
    return {
        "id": number,
        "prompt": [{"role": "user", "content": prompt}],
        "completion": [{"role": "assistant", "content": answer}],
    }


WORDS = "story song plan word city house tree river".split()
ROWS = [row(number, f"tell a {word}", ANSWERS[number % 5]) for number, word in enumerate(WORDS)]


def fit(method, tiny, runtime, tmp_path, **changes):
    changes = {"settings": SETTINGS.get(method), "schedule": Train(**SCHEDULE), **changes}
    places = {"scratch": tmp_path / f"scratch-{method}", "destination": tmp_path / method}
    return train.fit(
        student=tiny,
        method=method,
        train_rows=ROWS,
        validation_rows=ROWS[:3],
        runtime=runtime,
        **{"seed": 0, **places, **changes},
    )


@pytest.fixture(scope="module")
def trained(tiny, runtime, tmp_path_factory):
    """Both methods, trained once for all tests of this file."""
    folder = tmp_path_factory.mktemp("trained")
    return {method: (folder / method, *fit(method, tiny, runtime, folder)) for method in SETTINGS}


def test_the_completion_and_its_end_of_turn_are_learned_and_nothing_else(tokenizer):
    (prompt, completion), *_ = data.tokenized(tokenizer, ROWS)
    labelled = data.labelled(prompt, completion)
    assert labelled["input_ids"] == prompt + completion
    assert labelled["labels"] == [data.IGNORED] * len(prompt) + completion
    assert labelled["labels"][-1] == template.end_of_turn_id(tokenizer) != tokenizer.pad_token_id
    opening = [token for token in labelled["input_ids"] if token == tokenizer.bos_token_id]
    assert len(opening) == 3  # system, user, assistant: the template once, and no BOS beside it


@pytest.mark.parametrize("method", list(SETTINGS))
def test_every_method_learns_the_same_labels_and_no_padding(method, tiny, tokenizer, runtime, tmp_path, monkeypatch):
    seen = []

    class Watched(train.RowTrainer):
        def compute_loss(self, model, inputs, *args, **kwargs):
            fused = any(isinstance(layer, linear.FusedLinear) for layer in model.modules())
            assert fused == (method == "lora")
            seen.append({name: value.clone() for name, value in inputs.items()})
            return super().compute_loss(model, inputs, *args, **kwargs)

    monkeypatch.setattr(train, "RowTrainer", Watched)
    fit(method, tiny, runtime.model_copy(update={"train_rows": 2}), tmp_path)
    wanted = {tuple(data.labelled(*pair)["labels"]) for pair in data.tokenized(tokenizer, ROWS)}
    found = set()
    for inputs in seen:
        for ids, labels in zip(inputs["input_ids"], inputs["labels"], strict=True):
            padding = ids == tokenizer.pad_token_id
            assert (labels[padding] == data.IGNORED).all()
            found.add(tuple(labels[~padding].tolist()))
    assert found == wanted


@pytest.mark.parametrize("method", list(SETTINGS))
def test_training_lowers_both_losses(trained, method):
    _, curve, record = trained[method]
    assert [point["step"] for point in curve.training] == [1, 2, 3, 4]
    assert [point["step"] for point in curve.validation] == [0, 3, 4]
    assert curve.training[-1]["loss"] < curve.training[0]["loss"]
    assert curve.validation[-1]["loss"] < curve.validation[0]["loss"]
    assert record["train_info"]["final_eval_loss"] == curve.validation[-1]["loss"]


@pytest.mark.parametrize("method", list(SETTINGS))
def test_rows_a_pass_do_not_change_the_loss(trained, tiny, runtime, tmp_path, method):
    """The mean is over the step's tokens, whether its rows are padded into one pass or accumulated one by one."""
    _, one_by_one, _ = trained[method]
    together, _ = fit(method, tiny, runtime.model_copy(update={"train_rows": 4}), tmp_path)
    for a, b in zip(one_by_one.training, together.training, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)


@pytest.mark.parametrize("method", list(SETTINGS))
def test_plain_peft_loads_the_adapter_and_it_changes_the_output(trained, loaded, tokenizer, method):
    folder, curve, record = trained[method]
    assert {file.name for file in folder.iterdir()} == {"adapter_config.json", "adapter_model.safetensors", "README.md"}
    adapted = AutoPeftModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.tensor([template.prompt_ids(tokenizer, ROWS[0]["prompt"])])
    with torch.no_grad():
        difference = (adapted(ids).logits[0, -1] - loaded(ids).logits[0, -1]).abs().max()
    assert difference > 1e-3
    weights = load_file(folder / "adapter_model.safetensors")
    assert record["train_info"]["trainable_parameters"] == sum(weight.numel() for weight in weights.values())


@pytest.mark.parametrize("method", list(SETTINGS))
def test_the_saved_adapter_has_the_loss_that_was_reported(trained, tiny, tokenizer, method):
    folder, curve, _ = trained[method]
    adapted = model.load(tiny, device="cpu", dtype="float32", adapter=folder)
    pairs = data.tokenized(tokenizer, ROWS[:3])
    assert train.mean_nll(adapted, pairs, 512) == pytest.approx(curve.validation[-1]["loss"], rel=1e-4)


@pytest.mark.parametrize("method", list(SETTINGS))
def test_an_adapters_samples_do_not_depend_on_padding_or_cache(trained, tiny, tokenizer, method):
    from transformers import GenerationConfig

    from tuner.engine import TransformersEngine
    from tuner.params import Sampling

    folder, *_ = trained[method]
    adapted = model.load(tiny, device="cpu", dtype="float32", adapter=folder)
    prompts = [template.prompt_ids(tokenizer, [{"role": "user", "content": "tell" + " a story" * n}]) for n in range(4)]
    pure = Sampling(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=10)
    many, single = (
        TransformersEngine(adapted, tokenizer, rows).sample(prompts, [1, 2, 3, 4], [pure] * 4) for rows in (4, 1)
    )
    assert many == single
    greedy = pure.model_copy(update={"temperature": 0.0})
    (ours,) = TransformersEngine(adapted, tokenizer, 4).sample([prompts[2]], [0], [greedy])
    for cache in (True, False)[: 1 if method == "prefix_tuning" else 2]:  # PEFT keeps a prefix in the cache alone
        theirs = adapted.generate(
            input_ids=torch.tensor([prompts[2]]),
            attention_mask=torch.ones(1, len(prompts[2]), dtype=torch.long),
            generation_config=GenerationConfig(max_new_tokens=10, do_sample=False, pad_token_id=0, use_cache=cache),
        )[0, len(prompts[2]) :].tolist()
        assert theirs[: len(ours.ids)] == ours.ids


def test_an_adapter_is_saved_as_the_same_bytes_by_every_process(trained):
    for method, names in (("lora", ["target_modules"]), ("ia3", ["target_modules", "feedforward_modules"])):
        config = json.loads((trained[method][0] / "adapter_config.json").read_text())
        for name in names:  # sets, which each process orders in its own way
            assert config[name] == sorted(config[name]) and len(config[name]) > 0


def test_the_same_seed_trains_the_same_adapter(trained, tiny, runtime, tmp_path):
    folder, *_ = trained["lora"]
    fit("lora", tiny, runtime, tmp_path)
    assert same(folder, tmp_path / "lora")


def same(one, other):
    first, second = (load_file(folder / "adapter_model.safetensors") for folder in (one, other))
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("epochs", "steps"), [(1.1, 110), (1.0, 100), (0.015, 2)])
def test_a_share_of_an_epoch_is_rounded_up_to_whole_steps(runtime, tmp_path, epochs, steps):
    schedule = Train(**SCHEDULE | {"epochs": epochs})
    found = train.arguments_for(schedule, 1e-3, 400, 0, "cpu", runtime, tmp_path)
    assert found["max_steps"] == steps


def test_a_loss_that_explodes_stops_the_run(tiny, runtime, tmp_path, monkeypatch):
    monkeypatch.setattr("tuner.curve.EXPLODED", 0.5)
    with pytest.raises(UserError, match=r"lora: loss .* at step 1, learning rate .*: lower lora.learning_rate"):
        fit("lora", tiny, runtime, tmp_path)
    assert not (tmp_path / "lora").exists()


def test_a_model_that_is_ruined_without_a_high_training_loss_stops_the_run(tiny, runtime, tmp_path, monkeypatch):
    monkeypatch.setattr("tuner.curve.EXPLODED", math.inf)
    losses = iter([1.5, 3.4, 10.8])
    monkeypatch.setattr(train, "mean_nll", lambda *_: next(losses))
    schedule = Train(**SCHEDULE | {"evaluate_every": 1})
    said = (
        r"lora: validation loss 10.8 after step 2, 1.5 before training: the model is ruined; lower lora.learning_rate"
    )
    with pytest.raises(UserError, match=said):
        fit("lora", tiny, runtime, tmp_path, schedule=schedule)
    assert not (tmp_path / "lora").exists()


def test_a_loss_that_is_not_finite_stops_the_run(tiny, runtime, tmp_path):
    settings = LORA.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(UserError, match=r"lora: loss .* at step \d, learning rate .*: lower lora.learning_rate"):
        fit("lora", tiny, runtime, tmp_path, settings=settings)
    assert not (tmp_path / "lora").exists()


def test_rows_that_do_not_fit_are_left_out_and_counted_never_cut(tiny, runtime, tmp_path, tokenizer):
    lengths = sorted(len(prompt) + len(completion) for prompt, completion in data.tokenized(tokenizer, ROWS))
    schedule = Train(**SCHEDULE | {"max_tokens": lengths[-1] - 1})
    _, record = fit("lora", tiny, runtime, tmp_path, schedule=schedule)
    assert record["train_info"]["rows"] == sum(length < lengths[-1] for length in lengths) < len(ROWS)
    assert record["train_info"]["rows_too_long"] == len(ROWS) - record["train_info"]["rows"]
    with pytest.raises(UserError, match="none of 8 rows fits in train.max_tokens = 8"):
        fit("lora", tiny, runtime, tmp_path, schedule=Train(**SCHEDULE | {"max_tokens": 8}))


PAIRS = [
    {
        "id": number,
        "prompt": found["prompt"],
        "chosen": found["completion"],
        "rejected": [{"role": "assistant", "content": "you you could could" + " do" * number}],
    }
    for number, found in enumerate(ROWS)
]


def dpo_inputs(tiny, runtime, tmp_path, start):
    schedule = {name: value for name, value in SCHEDULE.items() if name != "seeds"}
    settings = Dpo(adapter="lora", learning_rate=1e-3, beta=0.1, loss="sigmoid", sft_weight=0.0, **schedule)
    return {
        "student": tiny,
        "start": start,
        "settings": settings,
        "train_rows": PAIRS,
        "validation_rows": PAIRS[:3],
        "seed": 0,
        "runtime": runtime,
        "scratch": tmp_path / "scratch",
    }


def test_dpo_starts_at_ln_2_with_its_start_as_reference(trained, tiny, tokenizer, runtime, tmp_path):
    start, _, start_record = trained["lora"]
    trainer, *_ = dpo.trainer_for(**dpo_inputs(tiny, runtime, tmp_path, start))
    # The reference log-probabilities TRL will use are those of the supervised model, not of the bare base.
    supervised = model.load(tiny, device="cpu", dtype="float32", adapter=start)
    bare = model.load(tiny, device="cpu", dtype="float32")
    pairs = [(prompt, answer) for prompt, *answers in data.tokenized_pairs(tokenizer, PAIRS) for answer in answers]
    sums = [
        torch.tensor([float(r.sum()) for r in logps.completion_logps(m, pairs, max_tokens=512)])
        for m in (supervised, bare)
    ]
    columns = ("ref_chosen_logps", "ref_rejected_logps")
    reference = torch.tensor([[found[name] for name in columns] for found in trainer.train_dataset]).flatten()
    assert torch.allclose(reference, sums[0], atol=1e-3)
    assert not torch.allclose(reference, sums[1], atol=1e-1)

    curve, record = dpo.fit(
        destination=tmp_path / "dpo", start_record=start_record, **dpo_inputs(tiny, runtime, tmp_path, start)
    )
    assert [point["step"] for point in curve.training] == [1, 2, 3, 4]
    assert all({"accuracy", "margin", "logps_chosen", "logps_rejected"} <= set(point) for point in curve.training)
    assert any(isinstance(layer, linear.FusedLinear) for layer in trainer.model.modules())
    assert curve.training[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert curve.training[0]["margin"] == pytest.approx(0, abs=1e-4)
    assert curve.validation[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert curve.training[-1]["loss"] < math.log(2)
    assert curve.validation[-1]["margin"] > 0
    assert record["train_info"]["train_seconds_with_start"] > start_record["train_info"]["train_seconds"]

    # Saved: one adapter in PEFT's own layout, no copy of the reference.
    assert {file.name for file in (tmp_path / "dpo").iterdir()} == {file.name for file in start.iterdir()}
    before, after = (
        load_file(start / "adapter_model.safetensors"),
        load_file(tmp_path / "dpo/adapter_model.safetensors"),
    )
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    config = json.loads((tmp_path / "dpo/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(tiny)
    assert config["inference_mode"]


def test_a_module_the_model_does_not_have_is_one_line(tiny, runtime, tmp_path):
    with pytest.raises(UserError, match="lora: .*nope") as raised:
        fit("lora", tiny, runtime, tmp_path, settings=LORA.model_copy(update={"target_modules": ["nope"]}))
    assert "\n" not in str(raised.value)


def test_what_trl_refuses_is_one_line(tiny, runtime, tmp_path):
    with pytest.raises(UserError, match="lora: TRL: .*lm_head") as raised:
        fit("lora", tiny, runtime, tmp_path, settings=LORA.model_copy(update={"target_modules": ["lm_head"]}))
    assert "\n" not in str(raised.value)


def test_cuda_is_refused_where_there_is_none(tiny, runtime, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(UserError, match="no CUDA device"):
        fit("lora", tiny, runtime.model_copy(update={"device": "cuda"}), tmp_path)


@pytest.mark.parametrize("module", ["train", "dpo"])
def test_the_key_counts_every_module_that_trains(tmp_path, monkeypatch, module):
    hashed = []
    monkeypatch.setattr(train.io, "fingerprint", lambda *inputs: hashed.extend(inputs))
    train.key(tmp_path)
    counted = {path.name for path in hashed if isinstance(path, Path)}
    imported = {Path(name).name for name in closure(ROOT / f"tuner/{module}.py")}
    # The stage adds dpo.py itself; the others check rows and write files.
    assert imported - counted - {"dpo.py"} == {"io.py", "constraints.py", "replies.py"}
