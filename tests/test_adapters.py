"""What is wrong with an adapter or a tokenizer is one line, and said before anything is evaluated."""

import json
import shutil

import pytest
from conftest import as_base_writes_it, make_model
from safetensors.torch import load_file, save_file

from tuner import evaluate, model
from tuner.errors import UserError


def made(student, folder, **settings):
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    config = LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], r=2, init_lora_weights=False, **settings)
    get_peft_model(model.load(student, device="cpu", dtype="float32"), config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    return made(tiny, tmp_path_factory.mktemp("adapter") / "lora")


@pytest.fixture
def adapter(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "lora")


def refused(student, adapter) -> str:
    """Return the one line with which an evaluation stops, from the adapter's path on."""
    with pytest.raises(UserError) as caught:
        model.load(student, device="cpu", dtype="float32", adapter=adapter)
    text = str(caught.value)
    assert "\n" not in text and text.startswith(str(adapter))
    return text.removeprefix(str(adapter))


def test_a_sound_adapter_is_loaded(tiny, adapter):
    assert model.load(tiny, device="cpu", dtype="float32", adapter=adapter).peft_config["default"].r == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("adapter_config.json", ": an adapter without configuration"),
        ("adapter_model.safetensors", ": an adapter without weights"),
    ],
)
def test_a_missing_file_is_named(tiny, adapter, name, said):
    (adapter / name).unlink()
    assert refused(tiny, adapter).startswith(said)


def test_a_missing_folder_is_named(tiny, tmp_path):
    assert refused(tiny, tmp_path / "lora").startswith(": an adapter without configuration")


@pytest.mark.parametrize("text", ["{", "[]", '{"peft_type": "NONE_SUCH"}', '{"r": 2}', ""])
def test_a_damaged_configuration_is_named(tiny, adapter, text):
    (adapter / "adapter_config.json").write_text(text)
    assert refused(tiny, adapter).startswith("/adapter_config.json: PEFT cannot read it (")


@pytest.mark.parametrize("kept", [0, 7, 200, -8])
def test_cut_weights_are_named(tiny, adapter, kept):
    file = adapter / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    assert refused(tiny, adapter).startswith(": its weights cannot be read (")


def test_missing_weights_are_noticed(tiny, adapter):
    weights = load_file(adapter / "adapter_model.safetensors")
    weights.pop(next(iter(weights)))
    save_file(weights, adapter / "adapter_model.safetensors")
    assert refused(tiny, adapter).startswith(f": its weights do not fit the layers of {tiny}")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(tiny, adapter, value):
    weights = load_file(adapter / "adapter_model.safetensors")
    next(iter(weights.values()))[0, 0] = value
    save_file(weights, adapter / "adapter_model.safetensors")
    assert refused(tiny, adapter).startswith(": NaN or infinity among its weights")


def test_an_adapter_of_a_model_of_another_name_is_refused(tiny, adapter):
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": "models/smollm2-360m"}))
    assert refused(tiny, adapter) == f": made for the model models/smollm2-360m, not for {tiny}; train it on this one"


def test_an_adapter_of_a_model_of_another_size_is_refused(tiny, tmp_path):
    other = as_base_writes_it(make_model(tmp_path / "raw", hidden_size=16), tmp_path / "model")
    adapter = made(other, tmp_path / "lora")
    assert refused(tiny, adapter).startswith(f": its weights do not fit the layers of {tiny}")


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tiny, tokenizer, runtime, tmp_path):
    student = shutil.copytree(tiny, tmp_path / "model")
    longer = model.load_tokenizer(student)
    longer.add_tokens(["tomorrow", "yesterday"])
    longer.save_pretrained(student)
    last = len(tokenizer) + 1
    with pytest.raises(UserError, match=f"the tokenizer's last token is {last}, and the model has embeddings up to"):
        evaluate.rows(
            student=student,
            adapter=None,
            quantize=None,
            validation_rows=[],
            pair_rows=[],
            tasks={},
            lm_eval_tasks=[],
            kind="auto",
            scratch=tmp_path,
            runtime=runtime,
            progress=None,
        )
