"""Load a checkpoint, with or without an adapter, and read log-probabilities and hidden states from it."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.utils import logging

logging.disable_progress_bar()  # bars of a second each for loading weights, between those that tell something


def load_tokenizer(folder: str | Path):
    """Return the tokenizer of a checkpoint written by the base stage (it has a pad token of its own)."""
    return AutoTokenizer.from_pretrained(folder)


def load(folder: str | Path, *, device: str, dtype: str, adapter: str | Path | None = None):
    """Return the model in evaluation mode, with `adapter` on when one is given (a PEFT directory; never merged)."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).to(device)
    # `generate` fills whatever a configuration leaves open from the checkpoint's own: a repetition penalty, for one.
    model.generation_config = GenerationConfig()
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter).to(device)
    return model.eval()


def batches(lengths: list[int], max_tokens: int) -> Iterator[list[int]]:
    """Yield lists of row numbers, longest rows first, so that rows x longest row stays within `max_tokens`.

    Sorted by length, so that hardly any padding is computed. A row longer than `max_tokens` goes alone.
    """
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    while order:
        rows = max(1, max_tokens // max(1, lengths[order[0]]))
        yield order[:rows]
        order = order[rows:]


def left_padded(model, rows: list[list[int]], pad_id: int):
    """Return (the module to call, its keyword inputs) for rows of token ids, padded on the left.

    Soft prompts go between the padding and the text, where they were in training. PEFT's own forward puts them
    before the padding and drops `position_ids`, so a row's result would depend on how far it was padded.
    """
    longest = max(map(len, rows))
    ids = torch.tensor([[pad_id] * (longest - len(row)) + row for row in rows], device=model.device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=model.device)
    if not getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False):
        return model, {"input_ids": ids, "attention_mask": mask}
    base = model.get_base_model()
    words = base.get_input_embeddings()(ids)
    soft = model.get_prompt(1)[0].to(words.dtype)
    words = torch.stack(
        [torch.cat([w[: longest - len(r)], soft, w[longest - len(r) :]]) for w, r in zip(words, rows, strict=True)]
    )
    mask = torch.cat([mask, mask.new_ones(len(rows), len(soft))], dim=1).sort(dim=1).values
    return base, {"inputs_embeds": words, "attention_mask": mask}


def completion_logps(
    model,
    pairs: list[tuple[list[int], list[int]]],
    *,
    pad_id: int,
    max_tokens: int,
    progress: Callable[[Iterable], Iterable] = iter,
    entropy: bool = False,
) -> list:
    """Return for each (prompt ids, completion ids) a float32 tensor of the completion tokens' log-probabilities.

    Every token is scored given all before it. With `entropy`, the tensors have two rows: log-probabilities, and
    the entropy (nats) of the distribution each token was drawn from. `max_tokens` bounds rows x length of one
    forward pass. Logits are computed only from where the first completion of a batch begins.
    """
    results: list = [None] * len(pairs)
    plan = list(batches([len(prompt) + len(completion) for prompt, completion in pairs], max_tokens))
    with torch.inference_mode():
        for batch in progress(plan):
            rows = [pairs[number][0] + pairs[number][1] for number in batch]
            # Left padding puts all completions at the end, so one slice holds every logit that is needed.
            keep = max(len(pairs[number][1]) for number in batch) + 1
            module, inputs = left_padded(model, rows, pad_id)
            positions = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
            logits = module(**inputs, position_ids=positions, logits_to_keep=keep, use_cache=False).logits
            for number, row_logits in zip(batch, logits, strict=True):
                completion = torch.tensor(pairs[number][1], device=logits.device)
                logps = row_logits[-len(completion) - 1 : -1].float().log_softmax(-1)
                chosen = logps.gather(1, completion[:, None]).squeeze(1)
                if entropy:
                    chosen = torch.stack([chosen, -(logps.exp() * logps).sum(-1)])
                results[number] = chosen.cpu()
    return results


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
            positions = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
            states = module.base_model(**inputs, position_ids=positions, use_cache=False).last_hidden_state[:, -1]
            for number, state in zip(batch, states, strict=True):
                results[number] = state.float().cpu()
    return torch.stack(results)
