"""A tiny chat model, made here: Llama architecture, random weights, a word-level tokenizer, a ChatML template."""

from pathlib import Path

import pytest

WORDS = (
    "a an and are as at be best can city cook could day do does early eat family find food for from garden give good "
    "green have health help home house how idea in is it learn like list long make me morning music name new of old on "
    "one open paint plan please read river run school sea she short sing small some song story summer sun tell that "
    "the their they three time to town travel tree two use walk water way we week what when where which why will "
    "winter with word work world write year you your"
).split()

TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful tiny model<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    words = [*special, "system", "user", "assistant", "You", "helpful", "tiny", "model", *WORDS]
    words = list(dict.fromkeys(words))
    tokenizer = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<|endoftext|>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",  # the trap the base stage has to mend
        unk_token="<|endoftext|>",
    )
    fast.chat_template = TEMPLATE
    return fast


def make_model(folder: Path, seed: int = 0, hidden_size: int = 32) -> Path:
    """Write a checkpoint to `folder` and return it."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_tokenizer()
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=2 * hidden_size,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.2,  # wide, so that contexts matter; the library's 0.02 makes every distribution uniform
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def pytest_collection_modifyitems(items):
    """Begin with the module that takes longest: `make test` gives each process one module at a time."""
    items.sort(key=lambda item: item.path.name != "test_pipeline.py")


@pytest.fixture(scope="session")
def raw_tiny(tmp_path_factory) -> Path:
    """The tiny checkpoint as a user would have it: pad token == end of turn."""
    return make_model(tmp_path_factory.mktemp("raw") / "model")


@pytest.fixture(scope="session")
def tiny(raw_tiny, tmp_path_factory) -> Path:
    """The tiny checkpoint as the base stage writes it."""
    return as_base_writes_it(raw_tiny, tmp_path_factory.mktemp("tiny") / "model")


def as_base_writes_it(raw: Path, folder: Path) -> Path:
    from tuner import base
    from tuner.params import DirectoryModel

    source = DirectoryModel(source="directory", path=str(raw), sha256=base.weights_sha256(raw), license="mit")
    base.write("tiny", source, folder, folder.parent)
    return folder


@pytest.fixture(scope="session")
def tokenizer(tiny):
    from tuner import model

    return model.load_tokenizer(tiny)


@pytest.fixture(scope="session")
def runtime():
    from tuner.params import Runtime

    return Runtime(
        device="cpu",
        dtype="float32",
        sample_rows=8,
        forward_tokens=512,
        train_rows=1,
        tensorboard=False,
        openvino_cache_gigabytes=1,
        server_url=None,
    )


@pytest.fixture
def loaded(tiny):
    from tuner import model

    return model.load(tiny, device="cpu", dtype="float32")
