"""What this machine could do: the rate of its float32 matrix products, and the work that a model needs of them."""

import time

import torch


def matmul_parameters(model) -> tuple[int, int]:
    """Return how many weights a token is multiplied with, (layers, head), of a plain model; norms count as layers."""
    inside, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    unused = 0 if inside is head else inside.numel()
    return model.num_parameters() - head.numel() - unused, head.numel()


def ceiling(rows: int = 512) -> float:
    """Return the rate of float32 matrix products of the default model's commonest shape, in GFLOP/s: the best of five.

    `rows` are the tokens of one product: 512 for a pass over texts, as many as are sampled at once for a step of those.
    """
    left, right = torch.randn(rows, 576), torch.randn(1536, 576)
    times = max(1, 40 * 512 // rows)
    best = 0.0
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(times):
            torch.nn.functional.linear(left, right)
        best = max(best, times * 2 * rows * right.numel() / (time.perf_counter() - started) / 1e9)
    return best
