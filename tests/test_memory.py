"""The estimate of memory, against what a model's tensors really take."""

import subprocess
import sys

import pytest
import torch
from closure import ROOT

from benchmarks import memory
from tuner import attention, logps, model, params, train
from tuner.params import Method

RANK = 4
LORA = Method(peft_type="LORA", learning_rate=1e-3, r=RANK, lora_alpha=8, target_modules="all-linear")
PRESETS = sorted(path.name for path in (ROOT / "presets").glob("llama*.yaml"))


def adapted(tiny, dtype):
    return train.adapted(model.load(tiny, device="cpu", dtype=dtype), "lora", LORA, tiny)


def kept_bytes(adapted, tokens: int) -> int:
    """Return what autograd keeps for the backward pass of two rows that begin alike, of so many places together."""
    own = {weight.untyped_storage().data_ptr() for weight in adapted.parameters()}
    kept, held = {}, []

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and tokens in tensor.shape:  # without the few logits that are read
            kept[storage.data_ptr()] = storage.nbytes() if tensor.shape.count(tokens) == 1 else 0  # or the mask
            held.append(tensor)  # so that no other tensor takes its place
        return tensor

    half = tokens // 2
    rows = [([5] * half, [6]), ([5] + [7] * (tokens - half), [8])]
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        logps.one_pass(adapted, rows)
    return sum(kept.values())


def test_parameters_are_counted_as_the_model_counts_them(tiny):
    found = adapted(tiny, "float32")
    config = found.config.to_dict()
    trainable, _ = found.get_nb_trainable_parameters()
    assert memory.lora_parameters(config, RANK) == trainable
    assert memory.parameters(config) == found.get_base_model().num_parameters() - trainable


def test_the_reports_model_has_the_parameters_it_is_known_for():
    """3,212,749,824 by its card, and 12,156,928 under LoRA of rank 8 as the report that this project grew from says."""
    config = memory.SHAPES["meta-llama/Llama-3.2-3B-Instruct"]
    assert memory.parameters(config) == 3_212_749_824
    assert memory.lora_parameters(config, 8) == 12_156_928


@pytest.mark.parametrize(("dtype", "width"), [("float32", 4), ("bfloat16", 2)])
def test_a_token_leaves_what_is_estimated(tiny, dtype, width, monkeypatch):
    monkeypatch.setattr(attention, "_cost", lambda runs: float("inf"))  # the plain mask, as on a GPU
    found = adapted(tiny, dtype)
    kept = (kept_bytes(found, 400) - kept_bytes(found, 200)) / 200
    estimated = memory.activation_bytes(found.config.to_dict(), width, RANK)
    assert estimated == pytest.approx(kept, rel=0.05)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_fits_its_card(name):
    card = int(name.removesuffix("gb.yaml").rpartition("-")[2])
    stages = memory.steps(params.load(ROOT / "presets" / name), width=2)
    for stage, parts in stages.items():
        assert sum(parts.values()) / 1000 < 0.9 * card, (stage, parts)  # the rest is CUDA's and the allocator's


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["memory.py", "none.yaml"], "error: none.yaml: No such file"),
        (["cost_prediction.py", "--gpus", "none.csv"], "error: none.csv: No such file"),
        (["cost_prediction.py", "--gpus", "metrics/summary.csv"], "error: metrics/summary.csv: not a table like"),
    ],
)
def test_a_file_that_is_not_there_or_another_is_one_line(command, said):
    script, *options = command
    done = subprocess.run(
        [sys.executable, f"benchmarks/{script}", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
