"""How much memory will a preset take? Counted from the shapes: `python benchmarks/memory.py presets/<name>.yaml`.

For decoders of Llama's kind (grouped-query attention, gated MLP, RMSNorm) under LoRA on all linear layers, whose
training holds most; methods with fewer trained weights hold less. Counted are the tensors; what the CUDA context and a
fragmented allocator add, one or two gigabytes, is not. The upper bound is taken: every row as long as it may be.
"""

import argparse
import math
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tuner import io, params  # noqa: E402
from tuner.errors import UserError  # noqa: E402

# The model is gated, so its shapes are stated here, as public descriptions of its config.json give them.
SHAPES = {
    "meta-llama/Llama-3.2-3B-Instruct": {
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "num_hidden_layers": 28,
        "num_attention_heads": 24,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 128256,
        "tie_word_embeddings": True,
    }
}


def widths(config: dict) -> tuple[int, int]:
    """Return the widths of all query heads and of all key (or value) heads."""
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    return head * config["num_attention_heads"], head * config["num_key_value_heads"]


def linear_shapes(config: dict) -> list[tuple[int, int]]:
    """Return (inputs, outputs) of a layer's linear maps: q, k, v, o, gate, up, down."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    queries, keys = widths(config)
    attention = [(hidden, queries), (hidden, keys), (hidden, keys), (queries, hidden)]
    return [*attention, (hidden, inner), (hidden, inner), (inner, hidden)]


def parameters(config: dict) -> int:
    """Return how many weights the model has; tied embeddings count once."""
    embedding = config["vocab_size"] * config["hidden_size"]
    layer = sum(inputs * outputs for inputs, outputs in linear_shapes(config)) + 2 * config["hidden_size"]
    tables = 1 if config["tie_word_embeddings"] else 2
    return tables * embedding + config["num_hidden_layers"] * layer + config["hidden_size"]


def lora_parameters(config: dict, rank: int) -> int:
    """Return how many weights LoRA of this rank on all linear layers trains."""
    return config["num_hidden_layers"] * rank * sum(inputs + outputs for inputs, outputs in linear_shapes(config))


def activation_bytes(config: dict, width: int, rank: int) -> int:
    """Return the bytes a token leaves in the layers for the backward pass; `width`: bytes of a number (4, or 2).

    Frozen maps keep nothing of their input, but LoRA beside them does. Kept per layer are: what both norms read; the
    inputs of the seven linear maps; queries, keys and values (repeated for each query head, as they are under a mask)
    and what attention returns; gate, its activation and up; what the seven LoRA of this rank hand on. PEFT holds
    adapters in float32, so that at 2 bytes each map's input is a float32 copy of its own; the norms compute in float32.
    A test compares this with what autograd keeps.
    """
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    queries, _ = widths(config)
    if width == 4:  # maps with the same input share it, and what attention returns is the input of the next map
        layer = 4 * (4 * hidden + 4 * queries + 4 * inner + 7 * rank)
    else:
        inputs = sum(inputs for inputs, _ in linear_shapes(config))
        layer = 4 * (2 * hidden + inputs + 7 * rank) + width * (4 * queries + 3 * inner)
    return config["num_hidden_layers"] * layer


def training_megabytes(config: dict, *, width: int, rank: int, tokens: int, supervised: int) -> dict[str, float]:
    """Return megabytes (10^6 bytes) by purpose for a step that holds so many tokens, of which so many are learned.

    AdamW: weight, gradient and two moments, four bytes each. Logits: as they are, in float32 and as log-probabilities,
    and the gradients of both, before the smaller ones are let go.
    """
    logits = supervised * config["vocab_size"] * (16 if width == 4 else 16 + width)
    found = {
        "weights": width * parameters(config),
        "adapter and optimizer": 16 * lora_parameters(config, rank),
        "activations": tokens * activation_bytes(config, width, rank),
        "logits": logits,
    }
    return {name: size / 1e6 for name, size in found.items()}


def sampling_megabytes(config: dict, *, width: int, rows: int, tokens: int) -> dict[str, float]:
    """Return megabytes by purpose for sampling `rows` at once, each of up to `tokens` with its prompt.

    The cache counts twice: a grown or joined one is a copy beside the old one, and for a moment both are held, layer
    by layer less. Logits: the model's, in float32, and three working copies.
    """
    _, keys = widths(config)
    cache = 2 * config["num_hidden_layers"] * keys * width * rows * tokens
    logits = rows * config["vocab_size"] * (width + 16)
    found = {"weights": width * parameters(config), "cache": 2 * cache, "logits": logits}
    return {name: size / 1e6 for name, size in found.items()}


def config_of(found: params.Params, name: str) -> dict:
    """Return the shapes of a model: those stated here for the hub's, config.json for one that is there."""
    source = found.model(name)
    if source.source == "hub" and source.id in SHAPES:
        return SHAPES[source.id]
    return io.read_json(ROOT / "models" / name / "config.json")


def steps(found: params.Params, width: int) -> dict[str, dict[str, float]]:
    """Return stage -> megabytes by purpose, every row being as long as the parameters let it be."""
    student, generator = config_of(found, found.student), config_of(found, found.generator)
    rank = found.adapters[found.dpo.adapter].r
    rows = math.gcd(found.train.batch_size, found.runtime.train_rows)
    pair_rows = 2 * found.dpo.batch_size
    asked, answered = max(cell.max_new_tokens for cell in found.generate.instruction), found.generate.response
    prompt = asked + 128  # with the template and a system prompt
    long = prompt + answered.max_new_tokens
    common = {"width": width, "rank": rank}
    train = rows * found.train.max_tokens
    pairs = pair_rows * found.dpo.max_tokens
    learned = answered.max_new_tokens + 1
    return {
        "generate": sampling_megabytes(
            generator, width=width, rows=min(found.runtime.sample_rows, found.generate.chunk), tokens=long
        ),
        "train": training_megabytes(student, tokens=train, supervised=min(train, rows * learned), **common),
        "dpo": training_megabytes(student, tokens=pairs, supervised=min(pairs, pair_rows * learned), **common),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset", type=Path)
    parser.add_argument("--bytes", type=int, default=2, choices=(2, 4), help="of a number: 2 on a GPU, 4 on a CPU")
    arguments = parser.parse_args()
    try:
        found = steps(params.load(arguments.preset), arguments.bytes)
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
    print(f"{arguments.bytes} bytes a number (--bytes)")
    for stage, parts in found.items():
        shown = ", ".join(f"{name} {size / 1000:.1f}" for name, size in parts.items())
        print(f"{stage}: {sum(parts.values()) / 1000:.1f} GB ({shown})")
