"""What a step costs, counted from a model's shapes: operations, bytes, and from them seconds on a device.

For decoders of Llama's kind, as benchmarks/memory.py counts them. docs/cost.md derives the formulas and says how far
they are from what was measured.
"""

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path

from benchmarks import memory

EIGHT_BILLION = {  # Llama-3.1-8B, as public descriptions of its config.json give it
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
}
SMALL = {  # SmolLM2-135M-Instruct, the default model, whose own config.json is not in Git
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class Device:
    """Rates that work reaches: operations a second, bytes read a second; `memory` in bytes."""

    compute: float
    bandwidth: float
    memory: float = math.inf


def layer_weights(config: dict) -> int:
    """Return how many weights of the layers' linear maps a token is multiplied with."""
    maps = sum(inputs * outputs for inputs, outputs in memory.linear_shapes(config))
    return config["num_hidden_layers"] * maps


def head_weights(config: dict) -> int:
    """Return the weights of the output layer; only tokens whose logits are read are multiplied with them."""
    return config["vocab_size"] * config["hidden_size"]


def attention_flops(config: dict, queries: float, keys: float) -> float:
    """Return the operations of so many queries over so many keys each: scores and weighted sum, 2 a number each."""
    width, _ = memory.widths(config)
    return 4 * config["num_hidden_layers"] * width * queries * keys


def forward_flops(config: dict, tokens: int, read: float) -> float:
    """Return the operations of one forward pass of a row, of which `read` places have their logits computed.

    Two (multiply, add) a weight and token, 2N; a place attends to itself and those before it, half of all on average.
    """
    products = 2 * (tokens * layer_weights(config) + read * head_weights(config))
    return products + attention_flops(config, tokens, (tokens + 1) / 2)


def lora_flops(config: dict, tokens: int, learned: float, rank: int) -> float:
    """Return the operations of a training step's share of one row under LoRA on all linear maps.

    Frozen maps: 2N forward and 2N for the gradient of their input; the 2N for the gradient of the weights fall away
    (6N becomes 4N). Attention has two inputs at each product, so both gradients stay: three times forward. Adapters
    are trained whole: 6 a weight and token.
    """
    products = 4 * (tokens * layer_weights(config) + learned * head_weights(config))
    adapters = 6 * tokens * memory.lora_parameters(config, rank)
    return products + 3 * attention_flops(config, tokens, (tokens + 1) / 2) + adapters


def cache_bytes(config: dict, width: int) -> int:
    """Return the bytes of a token's keys and values; `width`: bytes of a number."""
    _, keys = memory.widths(config)
    return 2 * config["num_hidden_layers"] * keys * width


def rows_at_once(config: dict, device: Device, tokens: int, width: int, most: int) -> int:
    """Return how many rows of so many tokens have room beside the weights in nine tenths of the memory."""
    if math.isinf(device.memory):
        return most
    room = 0.9 * device.memory - width * memory.parameters(config)
    return max(0, min(most, int(room / (tokens * cache_bytes(config, width)))))


def decode_seconds(config: dict, device: Device, *, rows: float, at_once: int, prompt: int, new: int, width: int):
    """Return the seconds of writing `new` tokens to each of `rows`, so many at once, after `prompt` tokens each.

    Each step reads all weights and the caches of the rows in hand, or computes 2N a row: whichever takes longer.
    """
    context = prompt + (new + 1) / 2
    weights = layer_weights(config) + head_weights(config)
    read = width * weights + at_once * context * cache_bytes(config, width)
    flops = at_once * (2 * weights + attention_flops(config, 1, context))
    step = max(read / device.bandwidth, flops / device.compute)
    return step * new * math.ceil(rows / at_once)


def read_table(path: Path) -> list[dict]:
    """Return the measurements of docs/cost.csv, with numbers as numbers and None where there is none."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    words = ("stage", "along")
    return [
        {name: value if name in words else json.loads(value) if value else None for name, value in row.items()}
        for row in rows
    ]


def points(measured: list[dict], stage: str, along: str, value: str) -> list[tuple[float, float]]:
    """Return (size, value) of a stage's jobs; the size is rows, or tokens a row."""
    chosen = [row for row in measured if (row["stage"], row["along"]) == (stage, along)]
    return [(row["rows"] if along == "rows" else row["work"] / row["rows"], row[value]) for row in chosen]


def exponent(found: list[tuple[float, float]]) -> tuple[float, float]:
    """Return k of value ~ size^k and its standard error, by least squares on logarithms; three jobs at least."""
    x, y = ([math.log(pair[side]) for pair in found] for side in (0, 1))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((a - mean_x) ** 2 for a in x)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    left = sum((b - mean_y - slope * (a - mean_x)) ** 2 for a, b in zip(x, y, strict=True))
    return slope, math.sqrt(left / (len(x) - 2) / spread)
