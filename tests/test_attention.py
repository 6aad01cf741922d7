"""Attention by runs is attention under the mask: the same outputs and gradients, at less cost or not at all."""

import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from tuner import attention, logps


def table(parents, before=0):
    """Return which places see which, each seeing itself, its ancestors, and `before` keys that all of them see."""
    sees = torch.eye(len(parents), dtype=torch.bool)
    for place, parent in enumerate(parents):
        if parent >= 0:
            sees[place] |= sees[parent]
    return torch.cat([sees.new_ones(len(parents), before), sees], dim=1)


CASES = {
    "two rows": ([-1, 0, 1, -1, 3], 0, [(0, 3, [(0, 3)]), (3, 5, [(3, 5)])]),
    "a shared start": ([-1, 0, 1, 2, 1, 4], 0, [(0, 4, [(0, 4)]), (4, 6, [(0, 2), (4, 6)])]),
    "a branch of a branch": (
        [-1, 0, 1, 0, 3, 3],
        0,
        [(0, 3, [(0, 3)]), (3, 5, [(0, 1), (3, 5)]), (5, 6, [(0, 1), (3, 4), (5, 6)])],
    ),
    "after a cache": ([-1, 0, -1, 2], 3, [(0, 2, [(0, 5)]), (2, 4, [(0, 3), (5, 7)])]),
    "branches of one place": ([-1, 0, 0, 0], 0, [(0, 2, [(0, 2)]), (2, 3, [(0, 1), (2, 3)]), (3, 4, [(0, 1), (3, 4)])]),
    "one place": ([-1], 0, [(0, 1, [(0, 1)])]),
}


@pytest.mark.parametrize(("parents", "before", "runs"), CASES.values(), ids=CASES)
def test_runs_are_places_that_follow_one_another_and_what_they_see(parents, before, runs):
    found = [
        (queries.start, queries.stop, [(part.start, part.stop) for part in keys])
        for queries, keys in attention._runs(table(parents, before))
    ]
    assert found == runs


@pytest.mark.parametrize(("parents", "before"), [case[:2] for case in CASES.values()], ids=CASES)
@pytest.mark.parametrize("heads", [1, 3])
def test_outputs_and_gradients_are_those_under_the_mask(parents, before, heads, monkeypatch):
    monkeypatch.setattr(attention, "_cost", lambda runs: 0)
    torch.manual_seed(0)
    mask = attention.apart(table(parents, before), torch.float32)
    module = torch.nn.Module()
    module.num_key_value_groups = heads
    query = torch.randn(1, 2 * heads, len(parents), 8, requires_grad=True)
    key, value = (torch.randn(1, 2, before + len(parents), 8, requires_grad=True) for _ in range(2))
    assert mask.runs
    outputs = [
        attention._by_run(module, query, key, value, mask, dropout=0.0, scaling=0.3)[0],
        sdpa_attention_forward(module, query, key, value, mask.clone(), dropout=0.0, scaling=0.3)[0],
    ]
    assert torch.allclose(*outputs, atol=1e-6)
    weights = torch.randn_like(outputs[0])
    found, wanted = (torch.autograd.grad((output * weights).sum(), (query, key, value)) for output in outputs)
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_a_model_computes_a_run_against_what_it_sees(loaded, monkeypatch):
    sizes = []
    real = attention.sdpa_attention_forward

    def counted(module, query, key, value, mask, **options):
        sizes.append((query.shape[2], key.shape[2]))
        return real(module, query, key, value, mask, **options)

    rows = [([5, 6, 7], [8, 9, 10]), ([5, 6, 11], [12, 13])]
    assert logps.may_share(loaded, 10)  # measured once for each model
    monkeypatch.setattr(attention, "sdpa_attention_forward", counted)
    monkeypatch.setattr(attention, "_cost", lambda runs: 0)
    logps.completion_logps(loaded, rows, max_tokens=100)
    assert sizes == [(5, 5), (2, 4)] * loaded.config.num_hidden_layers


def chain(length, start=-1, first=0):
    """Return the parents of a run of places that begins at place `first`, after place `start`."""
    return [start, *range(first, first + length - 1)]


def test_rows_of_a_step_are_read_apart_and_many_branches_of_one_prompt_are_not():
    rows = table([*chain(228), *chain(229, 19, 228)])
    assert len(attention.apart(rows, torch.float32).runs) == 2
    branches = table([*chain(300), *(place for n in range(20) for place in chain(3, 299, 300 + 3 * n))])
    assert not hasattr(attention.apart(branches, torch.float32), "runs")
