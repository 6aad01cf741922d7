"""Methods as sections of params.yaml: what PEFT makes of them, what it refuses, and every loss DPO can have."""

import importlib.util
import math

import pytest
import torch
from conftest import as_base_writes_it, make_model
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file
from test_resumed import Killed, killed_after
from test_train import PAIRS, ROWS, SETTINGS, dpo_inputs, fit, same
from transformers import MixtralConfig, MixtralForCausalLM

from tuner import data, dpo, evaluate, logps, model, params, template, train
from tuner.errors import UserError
from tuner.params import Method

SHIPPED = params.load("params.yaml").adapters
LORA = {"peft_type": "LORA", "learning_rate": 1e-2, "r": 4, "target_modules": "all-linear"}


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A tiny model wide enough for the blocks of 64 weights that bitsandbytes quantizes."""
    folder = tmp_path_factory.mktemp("wide")
    return as_base_writes_it(make_model(folder / "raw", hidden_size=64), folder / "model")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_section_trains_and_lowers_the_loss(name, tiny, wide, runtime, tmp_path):
    settings = SHIPPED[name].model_copy(update={"learning_rate": 1e-2})
    curve, record = fit(name, wide if settings.quantize else tiny, runtime, tmp_path, settings=settings)
    assert curve.validation[-1]["loss"] < curve.validation[0]["loss"]
    adapted = AutoPeftModelForCausalLM.from_pretrained(tmp_path / name, dtype=torch.float32)
    found, stored = record["train_info"], load_file(tmp_path / name / "adapter_model.safetensors")
    assert found["stored_parameters"] == sum(weight.numel() for weight in stored.values())
    assert found["virtual_tokens"] == (SHIPPED[name].num_virtual_tokens or 0)
    assert adapted.active_peft_config.peft_type.value == SHIPPED[name].peft_type
    assert record["run_info"]["quantize"] == SHIPPED[name].quantize


def test_a_method_that_only_peft_knows_needs_a_section_and_no_code(tiny, runtime, tmp_path):
    settings = Method(peft_type="VERA", learning_rate=1e-2, r=4, target_modules=["q_proj"], save_projection=True)
    curve, record = fit("vera", tiny, runtime, tmp_path, settings=settings)
    assert curve.validation[-1]["loss"] < curve.validation[0]["loss"]
    assert 0 < record["train_info"]["trainable_parameters"] < record["train_info"]["stored_parameters"]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (LORA | {"peft_type": "LORAX"}, "mine.peft_type = 'LORAX': PEFT has no such type; it has .*LORA, "),
        (
            LORA | {"lora_alfa": 8},
            "mine.lora_alfa = 8: PEFT's LoraConfig has no such argument; did you mean lora_alpha",
        ),
        (LORA | {"zzz": 8}, "mine.zzz = 8: PEFT's LoraConfig has no such argument; it has .*r, "),
        (LORA | {"peft_type": "ADALORA"}, "mine.peft_type = 'ADALORA': trains by rules of its own"),
        (LORA | {"target_modules": ["nope"]}, "mine: PEFT: .*nope"),
        (LORA | {"init_lora_weights": "nope"}, "mine: PEFT: .*nope"),
        (LORA | {"bias": "nonsense"}, "mine: PEFT: .*nonsense"),
        (LORA | {"task_type": "SEQ_CLS"}, "mine.task_type = 'SEQ_CLS': PEFT's LoraConfig has no such argument"),
        (LORA | {"init_text": "Answer."}, "mine.init_text: LORA has no virtual tokens that could start from a text"),
        (
            {"peft_type": "PROMPT_TUNING", "learning_rate": 1e-2},
            "mine.num_virtual_tokens is missing: how many PROMPT_TUNING learns",
        ),
        (LORA | {"layers_to_transform": "x"}, "mine: .*layers_to_transform"),
        (
            {
                "peft_type": "IA3",
                "learning_rate": 1e-2,
                "target_modules": ["q_proj"],
                "feedforward_modules": ["k_proj"],
            },
            "mine: .*feedforward_modules",
        ),
    ],
)
def test_what_peft_refuses_is_one_line(tiny, loaded, section, said):
    with pytest.raises(UserError, match=said) as raised:
        train.adapted(loaded, "mine", Method(**section), tiny)
    assert "\n" not in str(raised.value)


def test_bitsandbytes_is_asked_for_by_name_where_it_is_missing(tiny, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install -r requirements-qlora.txt"):
        model.load(tiny, device="cpu", dtype="float32", quantize="nf4")


def test_four_bits_are_nearly_the_same_model(wide, tokenizer):
    pairs = data.tokenized(tokenizer, ROWS)
    whole, quantized = (
        model.load(wide, device="cpu", dtype="float32", quantize=quantize) for quantize in (None, "nf4")
    )
    losses = [
        -float(sum(row.sum() for row in logps.completion_logps(m, pairs, max_tokens=512))) for m in (whole, quantized)
    ]
    assert quantized.is_loaded_in_4bit
    assert losses[0] != pytest.approx(losses[1], rel=1e-5)
    assert losses[0] == pytest.approx(losses[1], rel=0.2)


def test_four_bits_go_on_from_a_checkpoint_to_the_same_adapter(wide, runtime, tmp_path, monkeypatch):
    settings = SHIPPED["qlora"]
    fit("qlora", wide, runtime, tmp_path, settings=settings, destination=tmp_path / "unbroken")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(train.Curve, "on_step_begin", killed_after(2))
        fit("qlora", wide, runtime, tmp_path, settings=settings, scratch=tmp_path / "killed")
    fit("qlora", wide, runtime, tmp_path, settings=settings, scratch=tmp_path / "killed")
    assert same(tmp_path / "unbroken", tmp_path / "qlora")


@pytest.mark.parametrize("name", ["prompt_tuning", "prefix_tuning", "lora"])
def test_an_adapter_trains_on_a_model_in_bfloat16(name, tiny, runtime, tmp_path):
    runtime = runtime.model_copy(update={"dtype": "bfloat16"})
    settings = SHIPPED[name].model_copy(update={"learning_rate": 1e-2})
    curve, record = fit(name, tiny, runtime, tmp_path, settings=settings)
    assert record["meta_info"]["dtype"] == "bfloat16"
    assert curve.validation[-1]["loss"] < curve.validation[0]["loss"]
    again = model.load(tiny, device="cpu", dtype="bfloat16", adapter=tmp_path / name)
    assert math.isfinite(train.mean_nll(again, data.tokenized(model.load_tokenizer(tiny), ROWS), 512))


def test_a_mixture_of_experts_trains(tiny, runtime, tmp_path, tokenizer):
    torch.manual_seed(0)
    config = MixtralConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2, output_router_logits=True,
        pad_token_id=tokenizer.pad_token_id, initializer_range=0.2,
    )  # fmt: skip
    MixtralForCausalLM(config).save_pretrained(tmp_path / "mixture")
    tokenizer.save_pretrained(tmp_path / "mixture")
    settings = Method(peft_type="LORA", learning_rate=1e-2, r=4, target_modules=["q_proj", "v_proj"])
    curve, _ = fit("lora", tmp_path / "mixture", runtime, tmp_path, settings=settings)
    assert curve.validation[-1]["loss"] < curve.validation[0]["loss"]
    adapted = model.load(tmp_path / "mixture", device="cpu", dtype="float32", adapter=tmp_path / "lora")
    loss = train.mean_nll(adapted, data.tokenized(tokenizer, ROWS[:3]), 512)
    assert loss == pytest.approx(curve.validation[-1]["loss"], rel=1e-4)


def test_a_last_validation_loss_that_is_not_finite_stops_the_run(tiny, runtime, tmp_path, monkeypatch):
    honest, losses = train.mean_nll, iter([1.0, 1.0, math.nan])
    monkeypatch.setattr(train, "mean_nll", lambda *arguments: next(losses) * honest(*arguments))
    with pytest.raises(UserError, match="lora: validation loss nan after step 4: lower lora.learning_rate"):
        fit("lora", tiny, runtime, tmp_path)
    assert not (tmp_path / "lora").exists()


@pytest.mark.parametrize("name", ["lora", "rslora", "dora", "ia3"])
def test_a_merged_adapter_says_what_it_says_apart(name, tiny, runtime, tmp_path, tokenizer):
    fit(name, tiny, runtime, tmp_path, settings=SHIPPED[name].model_copy(update={"learning_rate": 1e-2}))
    ids = torch.tensor([template.prompt_ids(tokenizer, ROWS[0]["prompt"])])
    adapted, plain = (
        model.load(tiny, device="cpu", dtype="float32", adapter=folder) for folder in (tmp_path / name, None)
    )
    with torch.inference_mode():
        untouched, apart = plain(ids).logits, adapted(ids).logits
        merged = evaluate.merged(adapted)
        assert merged.num_parameters() == plain.num_parameters()
        found = merged(ids).logits
    assert torch.allclose(apart, found, atol=1e-4)
    assert not torch.allclose(untouched, found, atol=1e-2)


@pytest.mark.parametrize(("name", "dtype"), [("prompt_tuning", "float32"), ("lora", "bfloat16")])
def test_what_cannot_be_merged_without_a_loss_stays_apart(name, dtype, tiny, runtime, tmp_path):
    fit(name, tiny, runtime, tmp_path)
    adapted = model.load(tiny, device="cpu", dtype=dtype, adapter=tmp_path / name)
    before = {key: weight.clone() for key, weight in adapted.state_dict().items()}
    assert evaluate.merged(adapted) is adapted
    assert all(torch.equal(weight, before[key]) for key, weight in adapted.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"loss": "sigmoid"}, math.log(2)),
        ({"loss": "sigmoid_norm"}, math.log(2)),
        ({"loss": "hinge"}, 1.0),
        ({"loss": "ipo"}, (1 / (2 * 0.1)) ** 2),
        ({"loss": "ipo", "beta": 0.5}, 1.0),
    ],
)
@pytest.mark.parametrize("start", ["lora", "ia3"])
def test_every_loss_of_dpo_starts_where_policy_and_reference_are_one(tiny, runtime, tmp_path, start, changes, first):
    fit(start, tiny, runtime, tmp_path)
    inputs = dpo_inputs(tiny, runtime, tmp_path, tmp_path / start)
    settings = inputs["settings"].model_copy(update={"learning_rate": 1e-2, **changes})
    record = {"run_info": {"method": start}, "train_info": {"train_seconds": 1.0}}
    curve, _ = dpo.fit(destination=tmp_path / "dpo", start_record=record, **inputs | {"settings": settings})
    assert curve.training[0]["loss"] == pytest.approx(first, rel=1e-4)
    assert curve.training[-1]["loss"] < first
    assert not any(".ref." in name for name in load_file(tmp_path / "dpo/adapter_model.safetensors"))


def test_the_chosen_answers_own_loss_can_be_added_to_dpos(trained_lora, tiny, tokenizer, runtime, tmp_path):
    inputs = dpo_inputs(tiny, runtime, tmp_path, trained_lora)
    settings = inputs["settings"].model_copy(update={"sft_weight": 0.5, "batch_size": len(PAIRS)})
    runtime = runtime.model_copy(update={"train_rows": len(PAIRS)})
    trainer, curve, _ = dpo.trainer_for(**inputs | {"settings": settings, "runtime": runtime})
    trainer.train()
    start = model.load(tiny, device="cpu", dtype="float32", adapter=trained_lora)
    chosen = [(prompt, answer) for prompt, answer, _ in data.tokenized_pairs(tokenizer, PAIRS)]
    nll = train.mean_nll(start, chosen, 512)
    assert curve.training[0]["loss"] == pytest.approx(math.log(2) + 0.5 * nll, rel=1e-4)


@pytest.fixture
def trained_lora(tiny, runtime, tmp_path):
    fit("lora", tiny, runtime, tmp_path)
    return tmp_path / "lora"


def test_a_curve_of_dpo_has_what_its_analysis_needs(trained_lora, tiny, tokenizer, runtime, tmp_path):
    trainer, curve, _ = dpo.trainer_for(**dpo_inputs(tiny, runtime, tmp_path, trained_lora))
    trainer.train()
    wanted = {"accuracy", "margin", "logps_chosen", "logps_rejected", "tokens_chosen", "tokens_rejected"}
    assert all(wanted <= set(point) for point in curve.training)
    lengths = [len(answer) for _, answer, _ in data.tokenized_pairs(tokenizer, PAIRS)]
    mean = sum(point["tokens_chosen"] for point in curve.training) / len(curve.training)
    assert mean == pytest.approx(sum(lengths) / len(lengths))
    first, last = curve.validation[0], curve.validation[-1]
    assert (first["accuracy"], first["margin"]) == (0.5, 0.0)  # all are ties, which TRL counts as wrong
    assert last["margin"] > 0 and last["accuracy"] > 0.5


def test_dpo_goes_on_from_a_checkpoint_to_the_same_adapter(trained_lora, tiny, runtime, tmp_path, monkeypatch):
    record = {"run_info": {"method": "lora"}, "train_info": {"train_seconds": 1.0}}
    inputs = dpo_inputs(tiny, runtime, tmp_path, trained_lora)
    begin = dpo.Curve.on_step_begin

    def dies(self, args, state, control, **kwargs):
        if state.global_step == 2:
            raise Killed
        begin(self, args, state, control, **kwargs)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(dpo.Curve, "on_step_begin", dies)
        dpo.fit(destination=tmp_path / "dpo", start_record=record, **inputs)
    resumed, _ = dpo.fit(destination=tmp_path / "dpo", start_record=record, **inputs)
    inputs["scratch"] = tmp_path / "other"
    whole, _ = dpo.fit(destination=tmp_path / "whole", start_record=record, **inputs)
    assert resumed.training == whole.training
    one, other = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("dpo", "whole"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_settings_for_tests_are_of_the_kinds_that_ship():
    assert {settings.peft_type for settings in SETTINGS.values()} <= {
        settings.peft_type for settings in SHIPPED.values()
    }
