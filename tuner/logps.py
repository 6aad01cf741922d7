"""Log-probabilities of completions, in passes that compute no padding and every shared prefix once.

The rows of a pass are laid out as a trie: a token that several rows have in common, after the same tokens, is one
place of the sequence, and each place attends to its ancestors alone. Rows with one system prompt, the chosen and the
rejected answer to one prompt and the choices of one question are all read without computing anything twice, and
gradients add up as if each row had been alone.
"""

from collections.abc import Callable, Iterable, Iterator
from weakref import WeakKeyDictionary

import torch
from torch.autograd.function import once_differentiable
from transformers import Cache
from transformers.utils import ModelOutput

from tuner import attention
from tuner.model import virtual_tokens

Pair = tuple[list[int], list[int]]  # prompt ids (at least one) and completion ids


def completion_logps(
    model,
    pairs: list[Pair],
    *,
    max_tokens: int,
    progress: Callable[[Iterable], Iterable] = iter,
    distribution: bool = False,
) -> list:
    """Return for each (prompt ids, completion ids) a float32 tensor of the completion tokens' log-probabilities.

    Every token is scored given all before it. With `distribution`, the tensors have three rows: log-probabilities, and
    the entropy (nats) and the highest log-probability of the distribution each token was drawn from. `max_tokens`
    bounds the places of one pass; attention costs up to their square.
    """
    results: list = [torch.empty((3, 0) if distribution else 0)] * len(pairs)
    with torch.inference_mode():
        for numbers in progress(list(passes(pairs, max_tokens))):
            for number, found in zip(numbers, one_pass(model, [pairs[n] for n in numbers], distribution), strict=True):
                results[number] = found.cpu()
    return results


def passes(pairs: list[Pair], max_tokens: int) -> Iterator[list[int]]:
    """Yield lists of row numbers, rows that begin alike together, so that a pass has at most `max_tokens` places.

    A row that is longer goes alone; one without a completion goes nowhere.
    """
    rows = [prompt + completion for prompt, completion in pairs]
    together: list[int] = []
    places = 0
    for number in sorted((number for number, pair in enumerate(pairs) if pair[1]), key=rows.__getitem__):
        new = len(rows[number]) - (_common(rows[together[-1]], rows[number]) if together else 0)
        if together and places + new > max_tokens:
            yield together
            together, places, new = [], 0, len(rows[number])
        together.append(number)
        places += new
    if together:
        yield together


def one_pass(model, pairs: list[Pair], distribution: bool = False) -> list:
    """Return the tensors of `completion_logps` from one pass, with gradients where they are wanted."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    virtual = getattr(getattr(model, "active_peft_config", None), "num_virtual_tokens", None) or 0
    longest = virtual + max(len(prompt) + len(completion) for prompt, completion in pairs)
    if len(pairs) > 1 and not may_share(base, longest):
        return [found for pair in pairs for found in _pass(model, base, [pair], distribution)]
    return _pass(model, base, pairs, distribution)


def _pass(model, base, pairs: list[Pair], distribution: bool) -> list:
    trie = Trie(pairs)
    logits = forward(model, base, trie)[1].float()
    places = torch.tensor([place for own in trie.places for place in own], device=logits.device)
    tokens = torch.tensor([token for _, completion in pairs for token in completion], device=logits.device)
    if distribution:
        logps = logits.log_softmax(-1)
        every = torch.stack([-(logps.exp() * logps).sum(-1), logps.amax(-1)])
        found = torch.cat([logps[None, places, tokens], every[:, places]])
    else:
        found = _Picked.apply(logits, places, tokens)
    return list(found.split([len(completion) for _, completion in pairs], dim=-1))


class _Picked(torch.autograd.Function):
    """log_softmax(logits)[places, tokens] for logits (rows, vocabulary), with one array of that size for the gradient.

    Autograd takes four: zeros for what was picked of each row of data, their sum, and the softmax's own.
    """

    @staticmethod
    def forward(ctx, logits, places, tokens):
        logps = logits.log_softmax(-1)
        ctx.save_for_backward(logps, places, tokens)
        return logps[places, tokens]

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        logps, places, tokens = ctx.saved_tensors
        of_row = gradient.new_zeros(len(logps), 1).index_add_(0, places, gradient[:, None])
        of_logits = logps.exp().mul_(of_row.neg_())
        return of_logits.index_put_((places, tokens), gradient, accumulate=True), None, None


def forward(model, base, trie: "Trie", cache: Cache | None = None):
    """Return (the module that was called, logits (places read, vocabulary), virtual tokens before the first place).

    `base` is the model without its adapter. With an empty `cache`, the keys and values of the virtual tokens and of all
    places are left in it, as of one row.
    """
    ids = torch.tensor([trie.ids], device=base.device)
    positions = torch.tensor([trie.depths], device=base.device)
    sees = None if trie.is_chain() else trie.sees().to(base.device)
    keep = torch.tensor(list(trie.read), device=base.device)
    module, inputs, count = model, {"input_ids": ids}, 0
    soft = virtual_tokens(model)
    if soft is not None:  # PEFT's own forward takes no mask of this shape and drops the positions
        module = base
        count = soft.shape[1] if isinstance(soft, torch.Tensor) else soft.get_seq_length()
        positions = positions + count
        if sees is not None:
            sees = torch.cat([sees.new_ones(len(sees), count), sees], dim=1)
    if isinstance(soft, torch.Tensor):
        words = base.get_input_embeddings()(ids)  # PEFT keeps the virtual tokens in float32
        inputs = {"inputs_embeds": torch.cat([soft.to(words.dtype), words], dim=1)}
        positions = torch.cat([torch.arange(count, device=base.device)[None], positions], dim=1)
        keep = keep + count
        if sees is not None:
            before = sees.new_ones(count, sees.shape[1]).tril()
            sees = torch.cat([before, sees])
    elif soft is not None:
        inputs["past_key_values"] = soft
    if cache is not None:
        if "past_key_values" in inputs:
            for number, layer in enumerate(soft.layers):
                cache.update(layer.keys, layer.values, number)
        inputs["past_key_values"] = cache
    if sees is not None:
        inputs["attention_mask"] = attention.apart(sees, base.dtype)
    output = module(**inputs, position_ids=positions, logits_to_keep=keep, use_cache=cache is not None)
    return module, output.logits.squeeze(0), count


class Shared:
    """What TRL's trainers call in place of the model for a loss: the same log-probabilities by `one_pass`.

    TRL scores every place of a padded batch, prompts and padding included, and measures entropies and mean logits
    of the whole vocabulary at each; those fields are NaN here, since nothing reads them.
    """

    def __init__(self, model, max_tokens: int):
        self.model, self.max_tokens = model, max_tokens

    def __call__(self, *, input_ids, attention_mask, labels, **_) -> ModelOutput:
        """Take padded ids, mask and labels (rows, length); return TRL's fields, each (rows, length - 1)."""
        pairs = []
        for ids, mask, label in zip(input_ids, attention_mask.bool(), labels, strict=True):
            learned = label[mask] >= 0
            pairs.append((ids[mask][~learned].tolist(), ids[mask][learned].tolist()))
        supervised = labels[:, 1:] >= 0
        found: list = [None] * len(pairs)
        for numbers in passes(pairs, self.max_tokens):
            for number, logps in zip(numbers, one_pass(self.model, [pairs[n] for n in numbers]), strict=True):
                found[number] = logps
        log_probs = found[0].new_zeros(supervised.shape).masked_scatter(supervised, torch.cat(found))
        unknown = torch.full_like(log_probs, torch.nan).detach()
        return ModelOutput(
            log_probs=log_probs, label_mask=supervised, entropy=unknown, mean_logits=unknown, is_top1=unknown > 0
        )


class Trie:
    """Rows as a tree of tokens.

    `ids` and `depths` of its places, parents before children; `read`: the places whose next token is scored, in the
    order of their logits; `places`: for each row, which of these score its completion.
    """

    def __init__(self, pairs: list[Pair]):
        self.ids: list[int] = []
        self.depths: list[int] = []
        self.read: dict[int, int] = {}
        self.places: list[list[int]] = []
        self._parents: list[int] = []
        children: dict[tuple[int, int], int] = {}
        for prompt, completion in pairs:
            if not prompt or not completion:
                raise ValueError("a prompt or a completion without a token")
            place, own = -1, []
            for depth, token in enumerate((*prompt, *completion[:-1])):  # nothing reads what follows the last token
                if depth >= len(prompt):
                    own.append(self.read.setdefault(place, len(self.read)))
                if (place, token) not in children:
                    children[place, token] = len(self.ids)
                    self.ids.append(token)
                    self.depths.append(depth)
                    self._parents.append(place)
                place = children[place, token]
            own.append(self.read.setdefault(place, len(self.read)))
            self.places.append(own)

    def path(self, place: int) -> list[int]:
        """Return the places from the root to this one."""
        found = []
        while place >= 0:
            found.append(place)
            place = self._parents[place]
        return found[::-1]

    def is_chain(self) -> bool:
        """Return whether this is one row, for which every model has its own causal mask."""
        return self._parents == list(range(-1, len(self._parents) - 1))

    def sees(self):
        """Return which places (rows) attend to which (columns): themselves and their ancestors."""
        table = torch.eye(len(self.ids), dtype=torch.bool)
        for place, parent in enumerate(self._parents):
            if parent >= 0:
                table[place] |= table[parent]
        return table


def may_share(base, longest: int) -> bool:
    """Return whether rows of at most `longest` tokens, virtual ones included, are the same to this model in one pass.

    Not where they outgrow a window of attention, and not where layers carry something from place to place that no mask
    keeps apart (recurrent states, convolutions, distances by place). The second is measured, once for each model: two
    short rows that begin alike, in one pass and each by itself.
    """
    config = base.config.get_text_config()
    windows = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size", "window_size")]
    if any(window and longest > window for window in windows):  # 0: without one
        return False
    if base not in _SHARES:
        _SHARES[base] = _measured(base)
    return _SHARES[base]


_SHARES: WeakKeyDictionary = WeakKeyDictionary()


def _measured(base) -> bool:
    ids = [number % base.config.get_text_config().vocab_size for number in range(5, 21)]
    rows = [(ids[:6], ids[6:9]), (ids[:6], ids[9:13]), (ids[:3], ids[13:16])]
    training = base.training
    base.eval()
    try:
        with torch.inference_mode():
            alone = [_pass(base, base, [row], False)[0] for row in rows]
            together = _pass(base, base, rows, False)
    except (RuntimeError, ValueError, TypeError):  # a model that takes no mask of four dimensions
        return False
    finally:
        base.train(training)
    tolerance = 1e-3 if base.dtype == torch.float32 else 0.1
    return all(torch.allclose(one, other, atol=tolerance) for one, other in zip(alone, together, strict=True))


def _common(one: list[int], other: list[int]) -> int:
    """Return how many tokens two rows begin with alike."""
    same = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        same += 1
    return same
