"""Against the model's own forward, row by row, and against stock TRL: losses, gradients, and what is never computed."""

import copy

import pytest
import torch
from datasets import Dataset
from test_train import SETTINGS
from transformers import AutoModelForCausalLM, Lfm2Config, MptConfig
from trl import SFTConfig, SFTTrainer

from tuner import data, logps, template, train


@pytest.fixture
def pairs(tokenizer):
    """Prompts that begin alike, two answers to one of them, one prompt that is the start of another."""
    first, second = (
        template.prompt_ids(tokenizer, [{"role": "user", "content": text}]) for text in ("tell a story", "eat")
    )
    answers = [template.completion_ids(tokenizer, text) for text in ("a good story", "a good city", "yes")]
    return [(first, answers[0]), (second, answers[2]), (first, answers[1]), (first[:9], first[9:] + answers[2])]


@pytest.fixture(params=["base", *SETTINGS])
def adapted(request, tiny, loaded):
    """The bare model, and one with an adapter of each kind, off its start so that it changes the output."""
    if request.param == "base":
        return loaded
    torch.manual_seed(0)
    found = train.adapted(loaded, request.param, SETTINGS[request.param], tiny).eval()
    for weight in found.parameters():
        if weight.requires_grad:
            weight.data += 0.05 * torch.randn_like(weight)
    return found


def alone(adapted, prompt, completion):
    """Return the completion's log-probabilities by the model's own forward."""
    logits = adapted(torch.tensor([prompt + completion])).logits[0].log_softmax(-1)
    rows = logits[-len(completion) - 1 : -1]
    return rows.gather(1, torch.tensor(completion)[:, None])[:, 0]


@pytest.mark.parametrize("max_tokens", [1, 30, 10_000])
def test_log_probabilities_are_the_models_own(adapted, pairs, max_tokens):
    for found, pair in zip(logps.completion_logps(adapted, pairs, max_tokens=max_tokens), pairs, strict=True):
        assert torch.allclose(found, alone(adapted, *pair), atol=1e-5)


def test_gradients_are_those_of_the_rows_one_by_one(adapted, pairs):
    weights = [weight for weight in adapted.parameters() if weight.requires_grad]
    together = torch.autograd.grad(sum(row.sum() for row in logps.one_pass(adapted, pairs)), weights)
    single = torch.autograd.grad(sum(alone(adapted, *pair).sum() for pair in pairs), weights)
    for one, other in zip(together, single, strict=True):
        assert torch.allclose(one, other, atol=1e-4 * float(other.abs().max()) + 1e-7)


def test_entropies_are_those_of_the_distributions(loaded, pairs):
    found = logps.completion_logps(loaded, pairs, max_tokens=100, distribution=True)
    for (row, entropies, highest), (prompt, completion) in zip(found, pairs, strict=True):
        logits = loaded(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
        assert torch.allclose(entropies, torch.distributions.Categorical(logits=logits).entropy(), atol=1e-4)
        assert torch.allclose(highest, logits.log_softmax(-1).amax(-1), atol=1e-4)
        assert torch.allclose(row, alone(loaded, prompt, completion), atol=1e-5)


def test_what_rows_share_is_read_once_and_the_last_token_never(loaded, pairs, monkeypatch):
    read = []
    forward = loaded.forward
    assert logps.may_share(loaded, 100)  # measured once for each model
    monkeypatch.setattr(loaded, "forward", lambda **inputs: read.append(inputs["input_ids"]) or forward(**inputs))
    logps.completion_logps(loaded, pairs, max_tokens=10_000)
    prefixes = {tuple((p + c)[:length]) for p, c in pairs for length in range(1, len(p + c))}
    assert [ids.shape for ids in read] == [(1, len(prefixes))]


def test_passes_hold_every_row_once_and_keep_to_the_limit(pairs):
    rows = pairs * 3
    for limit in (1, 20, 40, 1000):
        found = list(logps.passes(rows, limit))
        assert sorted(number for numbers in found for number in numbers) == list(range(len(rows)))
        for numbers in found:
            places = {tuple((p + c)[:n]) for p, c in (rows[k] for k in numbers) for n in range(1, len(p + c) + 1)}
            assert len(places) <= limit or len({tuple(sum(rows[k], [])) for k in numbers}) == 1


def test_a_row_without_a_completion_scores_nothing_and_one_without_a_prompt_is_an_error(loaded, pairs):
    empty, full = logps.completion_logps(loaded, [(pairs[0][0], []), pairs[1]], max_tokens=100)
    assert len(empty) == 0 and len(full) == len(pairs[1][1])
    with pytest.raises(ValueError, match="without a token"):
        logps.one_pass(loaded, [([], [5, 6])])


@pytest.mark.parametrize("name", ["sliding_window", "attention_chunk_size", "window_size"])
def test_a_model_whose_window_rows_outgrow_reads_them_one_by_one(loaded, pairs, monkeypatch, name):
    wanted = [alone(loaded, *pair) for pair in pairs]
    masks = []
    forward = loaded.forward
    monkeypatch.setattr(
        loaded, "forward", lambda **inputs: masks.append("attention_mask" in inputs) or forward(**inputs)
    )
    monkeypatch.setattr(loaded.config, name, 8, raising=False)
    found = logps.one_pass(loaded, pairs)
    assert masks == [False] * len(pairs)
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize(
    "config",
    [
        MptConfig(  # tells how far apart tokens are by their places
            vocab_size=300, d_model=32, n_layers=2, n_heads=2, initializer_range=0.5
        ),
        Lfm2Config(  # convolutions carry one token into the next place
            vocab_size=300,
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            layer_types=["conv", "full_attention"],
            initializer_range=0.5,
        ),
    ],
    ids=lambda config: config.model_type,
)
def test_a_model_that_carries_something_past_the_mask_reads_rows_one_by_one(config, pairs):
    torch.manual_seed(0)
    leaking = AutoModelForCausalLM.from_config(config).eval()
    assert not logps.may_share(leaking, 20)
    for found, pair in zip(logps.completion_logps(leaking, pairs, max_tokens=10_000), pairs, strict=True):
        assert torch.allclose(found, alone(leaking, *pair), atol=1e-5)


@pytest.mark.parametrize("method", list(SETTINGS))
def test_the_loss_and_its_gradient_are_stock_trls(method, tiny, loaded, tokenizer, pairs, tmp_path):
    """One step of RowTrainer and one of SFTTrainer on the same rows, from the same adapter."""
    torch.manual_seed(0)
    start = train.adapted(loaded, method, SETTINGS[method], tiny)
    rows = Dataset.from_list([data.labelled(*pair) for pair in pairs])
    settings = SFTConfig(
        output_dir=str(tmp_path),
        max_length=None,
        max_steps=1,
        per_device_train_batch_size=len(pairs),
        learning_rate=1e-2,
        logging_steps=1,
        optim="sgd",
        max_grad_norm=0.0,
        loss_type="nll",
        use_cpu=True,
        bf16=False,
        activation_checkpointing=False,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    seen = {}
    for kind, more in ((SFTTrainer, {}), (train.RowTrainer, {"max_tokens": 100})):
        trainer = kind(
            model=copy.deepcopy(start), args=settings, train_dataset=rows, processing_class=tokenizer, **more
        )
        trainer.train()
        weights = [weight.detach() for weight in trainer.model.parameters() if weight.requires_grad]
        seen[kind] = trainer.state.log_history[0]["loss"], torch.cat([weight.flatten() for weight in weights])
    (stock_loss, stock), (loss, ours) = seen.values()
    assert loss == pytest.approx(stock_loss, rel=1e-4)
    assert torch.allclose(ours, stock, atol=1e-6)
    before = torch.cat([w.detach().flatten() for w in start.parameters() if w.requires_grad])
    assert (ours - before).abs().max() > 1e-5
