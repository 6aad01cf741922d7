"""The contrast reward: a linear head on the frozen base that tells real answers from spoiled ones.

It is fitted by the pipeline itself, needs no human labels and no judge, and is named for what it is: it knows
the ways of spoiling an answer listed here and nothing of taste. Any sequence-classification checkpoint scores
in its place (`score`).
"""

import random
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tuner import model, template
from tuner.errors import UserError
from tuner.params import Sampling
from tuner.seeds import row_seed

KINDS = ("mismatched", "truncated", "repeated", "hot", "refusal")
REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "As an AI language model, I am not able to answer this request.",
    "I don't know.",
    "Sorry, I don't have enough information to answer your question.",
    "Unfortunately, this is not something I can do.",
)
# For the held-out prompts, so that a refusal is not known by its words.
OTHER_REFUSALS = (
    "I cannot assist with that. Please ask something else.",
    "I'm unable to provide an answer to this.",
    "I have no information about that, sorry.",
)


def split(rows: list[dict], validation_share: float, seed: int) -> tuple[list[dict], list[dict]]:
    """Return (rows to fit on, rows held out); at least two on each side, since answers are swapped within a side."""
    if len(rows) < 4:
        raise UserError(f"the reward needs at least 4 train rows, found {len(rows)}; generate more")
    order = sorted(rows, key=lambda row: row_seed(seed, "reward", row["id"]))
    held_out = min(max(2, round(len(rows) * validation_share)), len(rows) - 2)
    return order[held_out:], order[:held_out]


def contrasts(rows: list[dict], engine, *, refusals: tuple[str, ...], sampling: Sampling, seed: int) -> list[dict]:
    """Return pairs {"kind", "prompt", "chosen", "rejected"} of texts: each row's answer against spoiled ones.

    Rows are prompt / completion rows. The kinds: another row's answer, the answer cut in the middle, a sentence of it
    said again and again, an answer drawn with `sampling` (too hot), one of `refusals`.
    """
    seeds = [row_seed(seed, "hot", row["id"]) for row in rows]
    hot = engine.sample(
        [template.prompt_ids(engine.tokenizer, row["prompt"]) for row in rows], seeds, [sampling] * len(rows)
    )
    texts = [(row["prompt"][0]["content"], row["completion"][0]["content"]) for row in rows]
    pairs = []
    for number, (prompt, good) in enumerate(texts):
        rng = random.Random(row_seed(seed, "contrast", rows[number]["id"]))
        _, other = texts[(number + 1 + rng.randrange(len(rows) - 1)) % len(rows)]
        spoiled = {
            "mismatched": other,
            "truncated": truncate(good, rng),
            "repeated": repeat(good, rng),
            "hot": engine.tokenizer.decode(hot[number].ids).strip(),
            "refusal": rng.choice(refusals),
        }
        for kind in KINDS:
            if spoiled[kind] and spoiled[kind] != good:
                pairs.append({"kind": kind, "prompt": prompt, "chosen": good, "rejected": spoiled[kind]})
    return pairs


def truncate(text: str, rng: random.Random) -> str:
    """Return the first 30 to 70 % of a text's words, cut inside a sentence."""
    words = text.split(" ")
    cut = " ".join(words[: max(1, int(len(words) * rng.uniform(0.3, 0.7)))])
    return cut.rstrip(".!?:;,\n ")


def repeat(text: str, rng: random.Random) -> str:
    """Return a text in which one of its sentences is said again two to four times, where it stood."""
    # Sentences at even places, the white space behind them at odd ones: line breaks stay.
    pieces = re.split(r"((?<=[.!?\n])\s+)", text)
    place = 2 * rng.randrange((len(pieces) + 1) // 2)
    space = pieces[place + 1] if place + 1 < len(pieces) else " "
    again = (space + pieces[place]) * rng.randint(2, 4)
    return "".join([*pieces[: place + 1], again, *pieces[place + 1 :]])


def conversation_ids(tokenizer, prompt: str, answer: str) -> list[int]:
    """Return the ids of a finished exchange, as reward models are trained to read it."""
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return list(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False))


def fit(
    base: Path,
    pairs: list[dict],
    held_out: list[dict],
    *,
    regularization: float,
    device: str,
    dtype: str,
    max_tokens: int,
    destination: Path,
    progress: Callable[[Iterable], Iterable],
) -> list[dict]:
    """Fit the head on `pairs`, write the checkpoint, return rows {"kind", "accuracy", "pairs"} on `held_out`.

    Bradley-Terry: P(chosen over rejected) = sigmoid(w . (h_chosen - h_rejected)), h the final hidden state at an
    exchange's last token; so w is a logistic regression without intercept on differences.
    """
    tokenizer = model.load_tokenizer(base)
    classifier = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=1, dtype=getattr(torch, dtype), pad_token_id=tokenizer.pad_token_id
    ).to(device)
    both = [*pairs, *held_out]
    texts = list(dict.fromkeys((pair["prompt"], pair[side]) for pair in both for side in ("chosen", "rejected")))
    ids = [conversation_ids(tokenizer, *text) for text in texts]
    states = model.last_hidden_states(
        classifier, ids, pad_id=tokenizer.pad_token_id, max_tokens=max_tokens, progress=progress
    ).numpy()
    of_text = dict(zip(texts, states, strict=True))

    def differences(found: list[dict]) -> np.ndarray:
        return np.stack([of_text[p["prompt"], p["chosen"]] - of_text[p["prompt"], p["rejected"]] for p in found])

    weights = bradley_terry(differences(pairs), regularization)
    with torch.no_grad():
        classifier.score.weight.copy_(torch.from_numpy(weights)[None])
    classifier.to(torch.float16 if dtype == "float32" else getattr(torch, dtype)).save_pretrained(destination)
    tokenizer.save_pretrained(destination)
    right = differences(held_out) @ weights > 0
    kinds = [pair["kind"] for pair in held_out]
    return [
        {"kind": kind, "accuracy": round(float(np.mean(of_kind)), 4), "pairs": len(of_kind)}
        for kind in ("all", *KINDS)
        if len(of_kind := [r for r, k in zip(right, kinds, strict=True) if kind in ("all", k)])
    ]


def bradley_terry(differences: np.ndarray, regularization: float) -> np.ndarray:
    """Return weights (features,) that maximise the likelihood of positive differences (pairs, features).

    L2-penalised with `regularization` on features scaled to unit spread; the scale is folded into the weights.
    """
    scale = differences.std(axis=0) + 1e-6
    scaled = differences / scale
    both = np.concatenate([scaled, -scaled])
    labels = np.concatenate([np.ones(len(scaled)), np.zeros(len(scaled))])
    fitted = LogisticRegression(C=1 / regularization, fit_intercept=False, max_iter=1000).fit(both, labels)
    return (fitted.coef_[0] / scale).astype(np.float32)


def score(
    checkpoint: Path,
    exchanges: list[tuple[str, str]],
    *,
    device: str,
    dtype: str,
    max_tokens: int,
    progress: Callable[[Iterable], Iterable],
) -> list[float]:
    """Return the reward of each (prompt, answer) under a sequence-classification checkpoint with one output."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    classifier = AutoModelForSequenceClassification.from_pretrained(checkpoint, dtype=getattr(torch, dtype))
    classifier = classifier.to(device).eval()
    ids = [conversation_ids(tokenizer, *exchange) for exchange in exchanges]
    rewards = [0.0] * len(ids)
    with torch.inference_mode():
        for batch in progress(list(model.batches(list(map(len, ids)), max_tokens))):
            longest = max(len(ids[row]) for row in batch)
            # Padded on the right: the classifier reads the last token that is not padding.
            inputs = torch.tensor([ids[row] + [tokenizer.pad_token_id] * (longest - len(ids[row])) for row in batch])
            mask = torch.tensor([[1] * len(ids[row]) + [0] * (longest - len(ids[row])) for row in batch])
            logits = classifier(input_ids=inputs.to(device), attention_mask=mask.to(device), use_cache=False).logits
            for row, logit in zip(batch, logits[:, 0].tolist(), strict=True):
                rewards[row] = logit
    if not np.isfinite(rewards).all():
        raise UserError(f"{checkpoint}: a reward is not a number; the reward model is broken or its dtype too narrow")
    return rewards
