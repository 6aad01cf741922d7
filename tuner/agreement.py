"""Does a fast engine sample from the model it was given? A number tells; the text does not.

If an engine draws each token from the reference distribution p, the surprisal -log p(token) exceeds the entropy
of p by zero on average, at every position, whatever came before. So the mean of (surprisal - entropy) over the
engine's own pure samples (temperature 1, nothing cut off), both read from the torch reference in one forward
pass, says what the engine does wrong, in nats a token, and needs no samples of the reference. Its variance is
estimated from the differences themselves. (The draw that ends a turn is not scored, which shifts the mean by
far less than the tolerance.)
"""

import math
from collections.abc import Callable, Iterable

import torch

from tuner import template
from tuner.engine import TransformersEngine
from tuner.errors import UserError
from tuner.logps import completion_logps
from tuner.params import Sampling

REQUESTS = (  # any ordinary ones would do
    "What is the capital of France?",
    "Write a haiku about rain.",
    "List three uses of a brick.",
    "Explain photosynthesis to a child.",
    "Give me a recipe for pancakes.",
    "How do I reverse a list in Python?",
    "Why is the sky blue?",
)
TOLERANCE = 0.25  # nats a token; openvino on the F16 file measures 0.00 +- 0.08, on the misread Q4_1 file 0.82 +- 0.12
NEAR = 0.02  # nats below the likeliest token that a greedy one may be; rounding in float32 makes it some 1e-3
MIN_GREEDY = 0.5  # mean share of greedy tokens before the first difference; rounding alone flips near-ties


def measure(
    engine,
    reference,
    prompts: list[list[int]],
    *,
    max_tokens: int,
    tokens: int,
    progress: Callable[[str], Callable[[Iterable], Iterable]] = lambda name: iter,
) -> dict:
    """Return what an engine's samples cost: `excess_nats` with its 95 % interval, and `greedy_agreement`.

    `reference` is the torch model; `tokens` are drawn after each prompt. The stop token is not scored: the
    engine does not hand it back, so rows that stopped are scored up to it. `progress(name)` returns a wrapper that
    shows a bar of that name.
    """
    pure = Sampling(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=tokens)
    greedy = Sampling(temperature=0.0, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=tokens)
    named = f"check of {engine.name}"
    samples = engine.sample(prompts, list(range(len(prompts))), [pure] * len(prompts), progress(f"{named}, samples"))
    pairs = [(prompt, sample.ids) for prompt, sample in zip(prompts, samples, strict=True) if sample.ids]
    bar = progress(f"{named}, torch reads")
    scored = completion_logps(reference, pairs, max_tokens=max_tokens, distribution=True, progress=bar)
    excess = torch.cat([-logps - entropies for logps, entropies, _ in scored])
    half = 1.96 * float(excess.std()) / math.sqrt(len(excess))
    few = [list(prompt) for prompt in sorted({tuple(prompt) for prompt in prompts})]
    rows = (few, [0] * len(few), [greedy] * len(few))
    wanted = TransformersEngine(reference, engine.tokenizer, len(few)).sample(*rows, progress(f"{named}, torch writes"))
    found = engine.sample(*rows)
    shares = [_common(a.ids, b.ids) for a, b in zip(wanted, found, strict=True)]
    result = {
        "tokens": len(excess),
        "nats_per_token": round(float(-torch.cat([logps for logps, *_ in scored]).mean()), 4),
        "excess_nats": round(float(excess.mean()), 4),
        "excess_low": round(float(excess.mean()) - half, 4),
        "excess_high": round(float(excess.mean()) + half, 4),
        "greedy_agreement": round(sum(shares) / len(shares), 4),
    }
    within = result["excess_low"] >= -TOLERANCE and result["excess_high"] <= TOLERANCE
    return {**result, "agrees": within and result["greedy_agreement"] >= MIN_GREEDY}


def require_greedy(engine, reference, prompts: list[list[int]], *, max_tokens: int, tokens: int = 48) -> None:
    """Raise UserError unless the engine's greedy replies to `prompts` are those of `reference`, the torch model.

    Each token of the first `tokens`, and the end of a reply that has ended, has to be the likeliest after those before
    it, within NEAR nats: a near tie does not count for all that follows it.
    """
    greedy = Sampling(temperature=0.0, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=tokens)
    samples = engine.sample(prompts, [0] * len(prompts), [greedy] * len(prompts))
    gaps = []
    for prompt, sample in zip(prompts, samples, strict=True):
        ends = [[stop] for stop in engine.stop_ids] if sample.finish == "stop" else [[]]
        pairs = [(prompt, sample.ids + end) for end in ends]
        scored = completion_logps(reference, pairs, max_tokens=max_tokens, distribution=True)
        missed = torch.stack([highest - logps for logps, _, highest in scored])
        gaps.append(missed.amin(0))  # of several ends, the likeliest
    near = torch.cat(gaps) <= NEAR
    if not near.all():
        raise UserError(
            f"{engine.name} writes other replies than torch: {int((~near).sum())} of {len(near)} tokens are not the "
            "likeliest; set evaluate.engine: transformers"
        )


def probes(tokenizer, rows: int) -> list[list[int]]:
    """Return `rows` prompts: in turn the bare pre-query prefix and a few ordinary requests."""
    few = [template.pre_query_ids(tokenizer)]
    few += [template.prompt_ids(tokenizer, [{"role": "user", "content": text}]) for text in REQUESTS]
    return [few[number % len(few)] for number in range(rows)]


def _common(wanted: list[int], found: list[int]) -> float:
    """Return the share of `wanted` that `found` begins with; two empty texts agree."""
    same = 0
    while same < min(len(wanted), len(found)) and wanted[same] == found[same]:
        same += 1
    return 1.0 if wanted == found else same / max(len(wanted), len(found))
