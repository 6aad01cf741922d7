"""Load a checkpoint, with or without an adapter, pad rows for it, and read hidden states from it."""

import importlib.util
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from peft import PeftConfig, PeftModel, get_peft_model_state_dict
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, GenerationConfig
from transformers.utils import logging

from tuner.cache import RoomyCache
from tuner.errors import UserError

logging.disable_progress_bar()  # bars of a second each for loading weights, between those that tell something


def load_tokenizer(folder: str | Path):
    """Return the tokenizer of a checkpoint written by the base stage (it has a pad token of its own)."""
    return AutoTokenizer.from_pretrained(folder)


def load(
    folder: str | Path, *, device: str, dtype: str, adapter: str | Path | None = None, quantize: str | None = None
):
    """Return the model in evaluation mode, with `adapter` on when one is given (a PEFT directory; never merged).

    `quantize`: None, or "nf4" for weights of four bits, doubly quantized, that are computed with in `dtype` (QLoRA,
    arXiv 2305.14314). UserError where bitsandbytes is not installed.
    """
    if quantize is None:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).to(device)
    else:
        if importlib.util.find_spec("bitsandbytes") is None:
            raise UserError(f"quantize = {quantize!r} needs bitsandbytes: pip install -r requirements-qlora.txt")
        bits = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=quantize,
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, dtype),
        )
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, dtype), quantization_config=bits, device_map=device
        )
        # On some CPUs the first evaluation would pack the weights anew, with coarser scales: training would go on with
        # others than it began with, and a resumed run, which has not evaluated yet, with others than an unbroken one.
        for layer in model.modules():
            if hasattr(layer, "support_avx512bf16_for_cpu"):
                layer.support_avx512bf16_for_cpu = False
    # `generate` fills whatever a configuration leaves open from the checkpoint's own: a repetition penalty, for one.
    model.generation_config = GenerationConfig()
    if adapter is not None:
        model = with_adapter(model, Path(adapter), Path(folder)).to(device)
    return model.eval()


def with_adapter(model, adapter: Path, folder: Path):
    """Return the model of `folder` with an adapter on; one that is missing, damaged or not for it is a UserError."""
    again = "train it again (`dvc repro`) or fetch it (`dvc pull`)"
    for kind, pattern in (("configuration", "adapter_config.json"), ("weights", "adapter_model.*")):
        if not any(adapter.glob(pattern)):  # PEFT would look for them on the hub
            raise UserError(f"{adapter}: an adapter without {kind} ({pattern}); {again}")
    try:
        config = PeftConfig.from_pretrained(adapter)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{adapter}/adapter_config.json: PEFT cannot read it ({_short(error)}); {again}") from None
    base = config.base_model_name_or_path
    if base and Path(base).name != folder.name:
        raise UserError(f"{adapter}: made for the model {base}, not for {folder}; train it on this one")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", ".*Found missing adapter keys")  # they would stay as they began
            found = PeftModel.from_pretrained(model, adapter, config=config)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError, UserWarning) as error:
        if "size mismatch" in str(error) or "missing adapter keys" in str(error):
            raise UserError(f"{adapter}: its weights do not fit the layers of {folder}; {again}") from None
        raise UserError(f"{adapter}: its weights cannot be read ({_short(error)}); {again}") from None
    weights = get_peft_model_state_dict(found, save_embedding_layers=False)
    if not all(weight.isfinite().all() for weight in weights.values()):
        raise UserError(f"{adapter}: NaN or infinity among its weights; a lower learning_rate may train without")
    return found


def check_tokenizer(model, tokenizer, folder: str | Path) -> None:
    """Raise UserError where the tokenizer has tokens that the model in `folder` has no embeddings for."""
    places = model.get_input_embeddings().num_embeddings
    highest = max(tokenizer.get_vocab().values())
    if highest >= places:
        what = f"the tokenizer's last token is {highest}, and the model has embeddings up to {places - 1}"
        raise UserError(f"{folder}: {what}; they are not of one model, so fetch it again (`dvc repro` or `dvc pull`)")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120]


def batches(lengths: list[int], max_tokens: int) -> Iterator[list[int]]:
    """Yield lists of row numbers, longest rows first, so that rows x longest row stays within `max_tokens`.

    Sorted by length, so that hardly any padding is computed. A row longer than `max_tokens` goes alone.
    """
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    while order:
        rows = max(1, max_tokens // max(1, lengths[order[0]]))
        yield order[:rows]
        order = order[rows:]


def virtual_tokens(model):
    """Return what an adapter of virtual tokens puts before the text, for one row, or None where there is none.

    Embeddings (1, tokens, hidden size) of prompt tuning, or the cache of keys and values that prefix tuning learns.
    """
    if not getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False):
        return None
    return model.get_prompt(1)


def left_padded(model, rows: list[list[int]], pad_id: int):
    """Return (the module to call, its inputs) for rows of token ids, padded on the left, with a cache to fill.

    Soft prompts go between the padding and the text, where they were in training. PEFT's own forward puts them
    before the padding and drops `position_ids`, so a row's result would depend on how far it was padded.
    """
    longest = max(map(len, rows))
    ids = torch.tensor([[pad_id] * (longest - len(row)) + row for row in rows], device=model.device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=model.device)
    soft, cache = virtual_tokens(model), RoomyCache()
    module, text = model, {"input_ids": ids}
    if isinstance(soft, torch.Tensor):
        module = model.get_base_model()
        words = module.get_input_embeddings()(ids)
        soft = soft[0].to(words.dtype)
        text = {
            "inputs_embeds": torch.stack(
                [
                    torch.cat([w[: longest - len(r)], soft, w[longest - len(r) :]])
                    for w, r in zip(words, rows, strict=True)
                ]
            )
        }
        mask = torch.cat([mask, mask.new_ones(len(rows), len(soft))], dim=1).sort(dim=1).values
    elif soft is not None:  # learned keys and values stand before the padding, which the mask hides
        module = model.get_base_model()
        for number, layer in enumerate(soft.layers):
            cache.update(*(states.expand(len(rows), -1, -1, -1) for states in (layer.keys, layer.values)), number)
        mask = torch.cat([mask.new_ones(len(rows), soft.get_seq_length()), mask], dim=1)
    positions = (mask.cumsum(1) - 1).clamp(min=0)[:, cache.get_seq_length() :]
    return module, {**text, "attention_mask": mask, "position_ids": positions, "past_key_values": cache}


def last_hidden_states(
    model,
    rows: list[list[int]],
    *,
    pad_id: int,
    max_tokens: int,
    progress: Callable[[Iterable], Iterable] = iter,
):
    """Return a float32 tensor (rows, hidden size): the final layer's state at each row's last token."""
    results: list = [None] * len(rows)
    plan = list(batches(list(map(len, rows)), max_tokens))
    with torch.inference_mode():
        for batch in progress(plan):
            module, inputs = left_padded(model, [rows[number] for number in batch], pad_id)
            states = module.base_model(**inputs | {"past_key_values": None}, use_cache=False).last_hidden_state[:, -1]
            for number, state in zip(batch, states, strict=True):
                results[number] = state.float().cpu()
    return torch.stack(results)
