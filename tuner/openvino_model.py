"""The graph that openvino computes, with an adapter in it.

openvino-genai builds the graph from a GGUF, whose matrices are float16. Matrices that an adapter was worked into take
their place in float32, so that nothing of it is rounded away. Virtual tokens become rows of the embedding table beyond
the vocabulary, which no logit belongs to: their ids stand before every prompt.
"""

import tempfile
from pathlib import Path

import numpy as np
import openvino
import openvino_genai as genai
import torch
from openvino import opset13 as operations
from peft import PeftModel
from safetensors.torch import load_file

from tuner.model import virtual_tokens

EMBEDDINGS = "model.embed_tokens.weight"


def written(checkpoint: Path, gguf: Path, loaded, folder: Path) -> tuple[Path, list[int]] | None:
    """Return what openvino reads `loaded` from, and the ids of its virtual tokens, if any.

    `loaded` is the torch model of `checkpoint` in float32, either without PEFT's layers (an adapter worked into its
    weights) or with prompt tuning on; `gguf` holds the weights of `checkpoint`. An unchanged model is read from `gguf`,
    any other from a graph that is written to `folder`. Returns None for what a graph cannot take: other adapters, and
    changes of anything but matrices inside the layers.
    """
    soft = virtual_tokens(loaded)
    if isinstance(loaded, PeftModel) and not isinstance(soft, torch.Tensor):
        return None
    base = loaded if soft is None else loaded.get_base_model()
    before = {
        name: tensor for file in sorted(checkpoint.glob("*.safetensors")) for name, tensor in load_file(file).items()
    }
    after = dict(base.named_parameters())
    if after.keys() != before.keys():
        return None
    changed = [name for name, tensor in before.items() if not torch.equal(tensor.float(), after[name])]
    if soft is None and not changed:
        return gguf, []
    graph = _built(gguf, folder)
    constants = {
        node.get_friendly_name().replace("[", ".").replace("]", ""): node  # model.layers[0].mlp.up_proj.weight
        for node in graph.get_ops()
        if node.get_type_name() == "Constant"
    }
    matrices = [name for name, tensor in before.items() if tensor.ndim == 2]
    held = all(name in constants and np.array_equal(constants[name].data, before[name].numpy()) for name in matrices)
    if not held or EMBEDDINGS in changed or not set(changed) <= set(matrices) or not _mended(constants, base):
        return None
    for name in changed:
        _replace(constants[name], after[name].detach().numpy())
    ids = []
    if soft is not None:
        words = base.get_input_embeddings().weight
        _replace(constants[EMBEDDINGS], torch.cat([words, soft[0]]).detach().numpy(), only="Gather")
        ids = list(range(len(words), len(words) + soft.shape[1]))
    graph.validate_nodes_and_infer_types()
    openvino.save_model(graph, folder / "openvino_model.xml", compress_to_fp16=False)
    return folder, ids


def _built(gguf: Path, work: Path):
    with tempfile.TemporaryDirectory(dir=work) as folder:
        link = Path(folder) / gguf.name
        link.symlink_to(gguf.resolve())
        genai.LLMPipeline(str(link), "CPU", enable_save_ov_model=True)  # writes the graph beside the file it was given
        return openvino.Core().read_model(Path(folder) / "openvino_model.xml")


def _mended(constants: dict, base) -> bool:
    """Put back the rotary frequencies, which openvino-genai rounds to float16 when it saves a graph.

    Rounded, they turn a place 1,000 tokens on by a tenth of a radian too much. Returns whether they were there; all
    else that is rounded are whole numbers, and what the checkpoint has in float16 as well.
    """
    exact = [module.inv_freq.float().numpy() for module in base.modules() if hasattr(module, "inv_freq")]
    rounded = [
        node
        for node in constants.values()
        if node.get_element_type() == openvino.Type.f16
        and node.data.size == exact[0].size
        and np.allclose(node.data.ravel(), exact[0], rtol=1e-3, atol=1e-6)
    ]
    if len(exact) != 1 or len(rounded) != 1:
        return False
    _replace(rounded[0], exact[0].reshape(rounded[0].data.shape))
    return True


def _replace(constant, values: np.ndarray, only: str | None = None) -> None:
    """Let what reads a constant through its conversion to float32 read `values`; `only` operations of that type."""
    (conversion,) = (target.get_node() for target in constant.output(0).get_target_inputs())
    new = operations.constant(np.ascontiguousarray(values))
    for target in conversion.output(0).get_target_inputs():
        if only in (None, target.get_node().get_type_name()):
            target.replace_source_output(new.output(0))
