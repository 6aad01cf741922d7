"""Attention in a pass of several rows, row by row, where one product over the whole pass would mostly be masked.

A mask of `apart` goes through a model as any other mask does. Where the model hands it on to transformers' `sdpa`
untouched, each run of places is computed against the places that its last one sees; any other model reads it as a plain
mask, with the same result but for rounding. On the CPU alone: a GPU is taken to compute one masked product faster than
it starts many small ones, which was not measured.
"""

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

# What a run costs, and each key copied for it, in pairs of a query and a key (two AVX-512 cores, 9 heads of 64):
# many short branches of one long beginning are faster, and take less memory, under the plain mask.
RUN, COPY = 3000, 50


def apart(sees: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return the additive mask (1, 1, queries, keys) of a boolean table: which queries (rows) see which keys (columns).

    The last keys are the queries' own. A query that sees the one before it sees all that that one does.
    """
    mask = torch.zeros_like(sees, dtype=dtype).masked_fill_(~sees, torch.finfo(dtype).min)[None, None]
    if mask.device.type == "cpu" and _cost(runs := _runs(sees)) < sees.numel():
        mask.runs = [(queries, keys, _joined(mask[:, :, queries], keys, 3)) for queries, keys in runs]
    return mask


def _cost(runs: list[tuple[slice, list[slice]]]) -> int:
    """Return what runs cost, in pairs of a query and a key."""
    sizes = [(queries.stop - queries.start, sum(part.stop - part.start for part in keys)) for queries, keys in runs]
    return sum(RUN + (COPY + queries) * keys for queries, keys in sizes)


def _runs(sees: torch.Tensor) -> list[tuple[slice, list[slice]]]:
    """Return the runs of queries that see one another, and for each the stretches of keys that its last one sees."""
    later = torch.arange(1, len(sees))
    starts = [0, *later[~sees[later, later - 1 + sees.shape[1] - len(sees)]].tolist()]
    runs = []
    for start, end in zip(starts, [*starts[1:], len(sees)], strict=True):
        keys = sees[end - 1].nonzero().flatten()
        stretches = keys.tensor_split((keys.diff() > 1).nonzero().flatten() + 1)
        runs.append((slice(start, end), [slice(int(keys[0]), int(keys[-1]) + 1) for keys in stretches]))
    return runs


def _joined(tensor: torch.Tensor, stretches: list[slice], dim: int) -> torch.Tensor:
    """Return the stretches of a dimension, one after the other."""
    parts = [tensor.narrow(dim, part.start, part.stop - part.start) for part in stretches]
    return torch.cat(parts, dim) if len(parts) > 1 else parts[0]


def _by_run(module, query, key, value, attention_mask, **options):
    """Return (output (rows, places, heads, size), None) as transformers' `sdpa`, run by run where the mask has runs."""
    runs = getattr(attention_mask, "runs", None)
    if runs is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    outputs = [
        sdpa_attention_forward(
            module, query[:, :, queries], _joined(key, keys, 2), _joined(value, keys, 2), mask, **options
        )[0]
        for queries, keys, mask in runs
    ]
    return torch.cat(outputs, 1), None


AttentionInterface.register("sdpa", _by_run)
