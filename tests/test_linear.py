"""LoRA's faster product is PEFT's own forward and gradient, wherever PEFT's may be replaced."""

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model

from tuner import linear


class Net(torch.nn.Module):
    def __init__(self, bias, dtype):
        super().__init__()
        self.first, self.second = (torch.nn.Linear(12, 12, bias=bias, dtype=dtype) for _ in range(2))

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


def pair(base_bias=False, dtype=torch.float32, **settings):
    """Return (a model with a LoRA adapter off its start, the same with `fuse`)."""
    torch.manual_seed(0)
    settings = {"target_modules": ["first", "second"], **settings}
    config = LoraConfig(r=3, lora_alpha=5, init_lora_weights=False, **settings)
    stock = get_peft_model(Net(base_bias, dtype), config)
    fused = copy.deepcopy(stock)
    linear.fuse(fused)
    return stock, fused


def results(model, x):
    """Return the output, and the gradients of the input and of all that is trained."""
    x = x.clone().requires_grad_()
    torch.manual_seed(1)  # of dropout
    output = model(x)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return [output, *torch.autograd.grad((output * output.detach().cos()).sum(), [x, *weights])]


def same(stock, fused, x) -> None:
    for one, other in zip(results(stock, x), results(fused, x), strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        assert torch.allclose(one, other, atol=1e-5 if x.dtype == torch.float32 else 1e-2)


@pytest.fixture
def taken(monkeypatch):
    """How often the faster product was used."""
    calls = []
    real = linear._Product.apply
    monkeypatch.setattr(linear._Product, "apply", lambda *inputs: calls.append(1) or real(*inputs))
    return calls


@pytest.mark.parametrize("shape", [(12,), (7, 12), (2, 5, 12), (0, 12)])
@pytest.mark.parametrize("settings", [{}, {"use_rslora": True}, {"base_bias": True}], ids=str)
def test_plain_lora_is_computed_by_it(settings, shape, taken):
    stock, fused = pair(**settings)
    same(stock.train(), fused.train(), torch.randn(shape))
    assert len(taken) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"use_dora": True},
        {"lora_dropout": 0.5},
        {"lora_bias": True, "base_bias": True},
        {"bias": "lora_only", "base_bias": True},  # trains the base's bias beside its frozen weight
        {"dtype": torch.bfloat16},
    ],
    ids=str,
)
def test_every_other_layer_stays_pefts(settings, taken):
    stock, fused = pair(**settings)
    same(stock.train(), fused.train(), torch.randn(4, 12, dtype=settings.get("dtype", torch.float32)))
    assert not taken


def test_dropout_is_none_outside_training(taken):
    stock, fused = pair(lora_dropout=0.5)
    same(stock.eval(), fused.eval(), torch.randn(4, 12))
    assert len(taken) == 2


def test_the_adapter_that_is_active_is_the_one_that_counts(taken):
    stock, fused = pair()
    x = torch.randn(4, 12)
    for model in (stock, fused):
        torch.manual_seed(2)
        model.add_adapter("ref", LoraConfig(r=2, target_modules=["first"], init_lora_weights=False))
        model.set_adapter("ref")
    same(stock, fused, x)
    assert len(taken) == 1  # "second" has no such adapter
    with stock.disable_adapter(), fused.disable_adapter():
        assert torch.equal(stock(x), fused(x))
    for model in (stock, fused):
        model.base_model.set_adapter(["default", "ref"])
    same(stock, fused, x)
    assert len(taken) == 2  # "second" again, which has one of the two


def test_a_merged_adapter_is_not_added_twice(taken):
    stock, fused = pair()
    x = torch.randn(4, 12)
    wanted = stock(x)
    fused.merge_adapter()
    assert torch.allclose(fused(x), wanted, atol=1e-5)
    fused.unmerge_adapter()
    assert torch.allclose(fused(x), wanted, atol=1e-5)
    assert len(taken) == 2


def test_a_base_that_is_trained_as_well_gets_its_gradient(taken):
    stock, fused = pair()
    for model in (stock, fused):
        for weight in model.parameters():
            weight.requires_grad_(True)
    same(stock, fused, torch.randn(4, 12))
    assert not taken


@pytest.fixture
def wide(monkeypatch):
    """Ten outputs count as wide, and the CPU as one with AVX2 alone; how often the faster product was used."""
    monkeypatch.setattr(linear, "WIDE", 10)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    calls = []
    real = linear._onednn
    monkeypatch.setattr(linear, "_onednn", lambda *inputs: calls.append(1) or real(*inputs))
    return calls


@pytest.mark.parametrize("shape", [(12,), (7, 12), (2, 5, 12), (0, 12)])
def test_wide_layers_are_computed_by_the_other_library(shape, wide):
    stock, fused = pair(target_modules=["first"])
    assert isinstance(fused.base_model.model.second, linear.WideLinear)
    same(stock.train(), fused.train(), torch.randn(shape))
    assert len(wide) == 2  # under LoRA and without it


@pytest.mark.parametrize("settings", [{"base_bias": True}, {"dtype": torch.bfloat16}], ids=str)
def test_wide_layers_it_is_not_made_for_stay_torchs(settings, wide):
    stock, fused = pair(target_modules=["first"], **settings)
    same(stock.train(), fused.train(), torch.randn(4, 12, dtype=settings.get("dtype", torch.float32)))
    assert not wide


def test_a_wide_layer_that_is_trained_gets_its_gradient(wide):
    stock, fused = pair(target_modules=["first"], modules_to_save=["second"])
    same(stock.train(), fused.train(), torch.randn(4, 12))
    assert len(wide) == 1


def test_dora_on_a_wide_layer_stays_pefts(wide):
    stock, fused = pair(target_modules=["first"], use_dora=True)
    same(stock.train(), fused.train(), torch.randn(4, 12))


def test_narrow_layers_stay_as_they_are_and_with_avx512_all(wide, monkeypatch):
    monkeypatch.setattr(linear, "WIDE", 13)
    assert type(pair(target_modules=["first"])[1].base_model.model.second) is torch.nn.Linear
    monkeypatch.setattr(linear, "WIDE", 10)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert type(pair(target_modules=["first"])[1].base_model.model.second) is torch.nn.Linear
