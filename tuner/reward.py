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
    "I cannot assist with that. Please ask something else.",
    "I don't know.",
    "Sorry, I don't have enough information to answer your question.",
)


def contrasts(rows: list[dict], engine, *, sampling: Sampling, seed: int) -> list[dict]:
    """Return pairs {"id", "kind", "prompt", "chosen", "rejected"} of texts: each row's answer against spoiled ones.

    Rows are prompt / completion rows. The kinds: another row's answer, the answer cut in the middle, a sentence of it
    said again and again, an answer drawn with `sampling` (too hot), a refusal.
    """
    seeds = [row_seed(seed, "hot", row["id"]) for row in rows]
    hot = engine.sample([template.prompt_ids(engine.tokenizer, row["prompt"]) for row in rows], seeds, sampling)
    texts = [(row["prompt"][0]["content"], row["completion"][0]["content"]) for row in rows]
    pairs = []
    for number, row in enumerate(rows):
        rng = random.Random(row_seed(seed, "contrast", row["id"]))
        prompt, good = texts[number]
        _, other = texts[(number + 1 + rng.randrange(len(rows) - 1)) % len(rows)]
        spoiled = {
            "mismatched": other,
            "truncated": truncate(good, rng),
            "repeated": repeat(good, rng),
            "hot": engine.tokenizer.decode(hot[number].ids).strip(),
            "refusal": rng.choice(REFUSALS),
        }
        for kind in KINDS:
            if spoiled[kind] and spoiled[kind] != good:
                texts_of_pair = {"prompt": prompt, "chosen": good, "rejected": spoiled[kind]}
                pairs.append({"id": row["id"], "kind": kind, **texts_of_pair})
    return pairs


def truncate(text: str, rng: random.Random) -> str:
    """Return the first 30 to 70 % of a text's words, cut inside a sentence."""
    words = text.split(" ")
    cut = " ".join(words[: max(1, int(len(words) * rng.uniform(0.3, 0.7)))])
    return cut.rstrip(".!?:;,\n ")


def repeat(text: str, rng: random.Random) -> str:
    """Return a text in which one of its sentences is said again two to four times, where it stood."""
    sentences = re.split(r"(?<=[.!?\n])\s+", text)
    place = rng.randrange(len(sentences))
    again = [sentences[place]] * rng.randint(2, 4)
    return " ".join([*sentences[: place + 1], *again, *sentences[place + 1 :]])


def conversation_ids(tokenizer, prompt: str, answer: str) -> list[int]:
    """Return the ids of a finished exchange, as reward models are trained to read it."""
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return list(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False))


def fit(
    base: Path,
    pairs: list[dict],
    *,
    regularization: float,
    validation_share: float,
    seed: int,
    device: str,
    dtype: str,
    max_tokens: int,
    destination: Path,
    progress: Callable[[Iterable], Iterable],
) -> list[dict]:
    """Fit the head on contrast pairs, write the checkpoint, return held-out accuracy {"kind", "accuracy", "pairs"}.

    Bradley-Terry: P(chosen over rejected) = sigmoid(w . (h_chosen - h_rejected)), h the final hidden state at an
    exchange's last token; so w is a logistic regression without intercept on differences. Whole prompts are
    held out, never pairs of a prompt that was fitted.
    """
    tokenizer = model.load_tokenizer(base)
    classifier = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=1, dtype=getattr(torch, dtype), pad_token_id=tokenizer.pad_token_id
    ).to(device)
    texts = list(dict.fromkeys((pair["prompt"], pair[side]) for pair in pairs for side in ("chosen", "rejected")))
    ids = [conversation_ids(tokenizer, *text) for text in texts]
    states = model.last_hidden_states(
        classifier, ids, pad_id=tokenizer.pad_token_id, max_tokens=max_tokens, progress=progress
    ).numpy()
    of_text = dict(zip(texts, states, strict=True))
    differences = np.stack(
        [of_text[pair["prompt"], pair["chosen"]] - of_text[pair["prompt"], pair["rejected"]] for pair in pairs]
    )
    prompts = sorted({pair["id"] for pair in pairs})
    random.Random(row_seed(seed, "reward")).shuffle(prompts)
    held_out = set(prompts[: max(1, round(len(prompts) * validation_share))])
    fitted = np.array([pair["id"] not in held_out for pair in pairs])
    weights = bradley_terry(differences[fitted], regularization)
    with torch.no_grad():
        classifier.score.weight.copy_(torch.from_numpy(weights)[None])
    classifier.to(torch.float16 if dtype == "float32" else getattr(torch, dtype)).save_pretrained(destination)
    tokenizer.save_pretrained(destination)
    right = differences @ weights > 0
    kinds = [pair["kind"] for pair in pairs]
    return [
        {"kind": kind, "accuracy": round(float(np.mean(of_kind)), 4), "pairs": len(of_kind)}
        for kind in ("all", *KINDS)
        if len(of_kind := [r for r, k, f in zip(right, kinds, fitted, strict=True) if not f and kind in ("all", k)])
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
