"""Preference pairs from several answers to a prompt: which answer is chosen and which is rejected, by policy.

Policies of `prefer.policy`, all but the last on the same answers and rewards:

max_min             the best finished answer against the worst
margin              of all pairs that differ by `min_margin` or more, the one that differs least: the hardest pair that
                    is not noise. Small gaps teach more in arXiv 2501.18578 (the reward's) and 2508.04149 (DPO's own)
mean_minus_2_sigma  the best finished answer against the one whose reward is nearest to mean - 2 sigma of the prompt's:
                    with many samples the very worst is an outlier (arXiv 2502.16825)
rip                 the pairs of max_min without those that tell of a bad prompt: whose rejected answer has a low reward
                    or is short, or whose margin is wide (arXiv 2501.18578)
verified            an answer that follows its request's constraints against one that does not, as code has checked
                    (tuner/verify.py); no reward model has a say. `verified_pairs` of them join those of another policy

An answer is {"text", "finish", "reward"}, a judged one {"text", "finish", "met", "passed"}. Never chosen is an answer
that was cut at the token limit, for DPO would teach its end; no empty answer is in a pair, nor two of the same text.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import fmean, pstdev
from typing import Any

import numpy as np

from tuner.params import Prefer
from tuner.replies import words

Answer = dict[str, Any]
Pair = tuple[Answer, Answer]  # chosen, rejected

REASONS = (
    "no_finished_answer",
    "same_text",
    "small_margin",
    "low_rejected_reward",
    "short_rejected",
    "wide_margin",
    "nothing_passed",
    "nothing_failed",
)


def pairs(scored: Sequence[dict], judged: Sequence[dict], settings: Prefer) -> tuple[list[dict], dict]:
    """Return (preference rows, counts) by `settings.policy`: one row a prompt, or a reason why there is none.

    Scored rows, or for "verified" the judged requests, have `id`, `split`, `prompt` and `answers`. The counts have the
    same keys for every policy: in = kept + dropped, dropped = the sum of dropped_<reason>; and of the training pairs
    `mean_margin` (units of the reward) and the mean words of chosen and of rejected, whose difference is a bias that
    DPO learns too. For "verified" the reward is the share of its checks that an answer meets. None of this counts the
    `verified` pairs that join those of another policy: `verified_pairs` of those to train on, and as large a share of
    those to validate.
    """
    rows = judged if settings.policy == "verified" else scored
    kept, reasons = _chosen(rows, settings.policy, settings.min_margin)
    if settings.policy == "rip":
        kept, dropped = rip(kept, settings)
        reasons.update(dropped)
    total = sum(reasons.values())
    counts = {"in": len(kept) + total, "kept": len(kept), "dropped": total}
    counts |= {f"dropped_{reason}": reasons[reason] for reason in REASONS} | _means(kept)
    joined: list[dict] = []
    if settings.policy != "verified" and settings.verified_pairs:
        checked, _ = _chosen(judged, "verified", 0.0)
        train, validation = ([row for row in checked if row["split"] == name] for name in ("train", "validation"))
        share = min(1.0, settings.verified_pairs / max(1, len(train)))
        joined = [*train[: settings.verified_pairs], *validation[: math.ceil(share * len(validation))]]
    return [*kept, *joined], counts | {"verified": len(joined)}


def max_min(answers: Sequence[Answer], min_margin: float) -> Pair | str:
    """Return the pair of the highest and the lowest reward, or why there is none. Ties go to the first answer."""
    return _best_against(lambda other: other["reward"], answers, min_margin)


def margin(answers: Sequence[Answer], min_margin: float) -> Pair | str:
    """Return the pair of the least difference that is still `min_margin`, or why there is none."""
    if _best(answers) is None:
        return "no_finished_answer"
    differing = [(chosen, other) for chosen in _finished(answers) for other in _others(answers, chosen)]
    if not differing:
        return "same_text"
    # By what is enough first: where nothing is, this is a pair that is not, and the reason is the margin.
    return _if_wide(min(differing, key=lambda pair: (not _wide(pair, min_margin), _difference(pair))), min_margin)


def mean_minus_2_sigma(answers: Sequence[Answer], min_margin: float) -> Pair | str:
    """Return the pair of the highest reward and the one nearest to mean - 2 sigma, or why there is none.

    sigma is that of these answers, not an estimate from them. So of up to five answers none lies below the mark
    (Samuelson's inequality: none is further from the mean than sqrt(n - 1) sigma), and the pair is that of `max_min`.
    """
    rewards = [answer["reward"] for answer in answers if answer["text"]]
    mark = fmean(rewards) - 2 * pstdev(rewards) if rewards else 0.0
    return _best_against(lambda other: abs(other["reward"] - mark), answers, min_margin)


def verified(answers: Sequence[Answer], min_margin: float) -> Pair | str:
    """Return the first judged answer that passed against the first that did not, or why there is none.

    A failed answer that came to its own end is preferred: a cut one differs from the chosen by its length before all.
    `min_margin` is in units of another reward, and is not asked for.
    """
    checked = [answer | {"reward": _share_met(answer)} for answer in answers if answer["text"]]
    passed = [answer for answer in checked if answer["passed"]]
    if not passed:
        return "nothing_passed"
    failed = [answer for answer in _others(checked, passed[0]) if not answer["passed"]]
    if not failed:
        return "nothing_failed"
    return passed[0], min(failed, key=lambda answer: answer["finish"] != "stop")


def rip(rows: Sequence[dict], settings: Prefer) -> tuple[list[dict], Counter]:
    """Return (rows left by Rejecting Instruction Preferences, how many went for which reason).

    The three limits are quantiles of the training pairs, as in the paper. Validation pairs all stay: the rule says
    what to learn from, and accuracies on other prompts could not be compared with those of another policy.
    """
    train = [row for row in rows if row["split"] == "train"]
    if not train:
        return list(rows), Counter()
    least_reward = np.quantile([row["reward_rejected"] for row in train], settings.rip_rejected_reward)
    least_words = np.quantile([_words(row, "rejected") for row in train], settings.rip_rejected_words)
    widest = np.quantile([_margin(row) for row in train], settings.rip_margin)
    kept, reasons = [], Counter()
    for row in rows:
        if row["split"] != "train":
            kept.append(row)
        elif row["reward_rejected"] < least_reward:
            reasons["low_rejected_reward"] += 1
        elif _words(row, "rejected") < least_words:
            reasons["short_rejected"] += 1
        elif _margin(row) > widest:
            reasons["wide_margin"] += 1
        else:
            kept.append(row)
    return kept, reasons


CHOICES = {
    "max_min": max_min,
    "margin": margin,
    "mean_minus_2_sigma": mean_minus_2_sigma,
    "rip": max_min,
    "verified": verified,
}


def _chosen(rows: Sequence[dict], policy: str, min_margin: float) -> tuple[list[dict], Counter]:
    kept, reasons = [], Counter()
    for row in rows:
        found = CHOICES[policy](row["answers"], min_margin)
        if isinstance(found, str):
            reasons[found] += 1
        else:
            kept.append(_row(row, *found))
    return kept, reasons


def _finished(answers: Sequence[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer["finish"] == "stop" and answer["text"]]


def _best_against(least: Callable[[Answer], float], answers: Sequence[Answer], min_margin: float) -> Pair | str:
    """Return the best finished answer and, of the others, the one for which `least` is least."""
    chosen = _best(answers)
    if chosen is None:
        return "no_finished_answer"
    others = _others(answers, chosen)
    return _if_wide((chosen, min(others, key=least)), min_margin) if others else "same_text"


def _best(answers: Sequence[Answer]) -> Answer | None:
    return max(_finished(answers), key=_reward, default=None)


def _others(answers: Sequence[Answer], chosen: Answer) -> list[Answer]:
    return [answer for answer in answers if answer["text"] not in ("", chosen["text"])]


def _reward(answer: Answer) -> float:
    return answer["reward"]


def _share_met(answer: Answer) -> float:
    checks = [*answer["met"], answer["finish"] == "stop"]
    return round(sum(checks) / len(checks), 5)


def _difference(pair: Pair) -> float:
    return pair[0]["reward"] - pair[1]["reward"]


def _wide(pair: Pair, min_margin: float) -> bool:
    # A tie is no preference, even where any margin will do.
    return 0 < _difference(pair) >= min_margin


def _if_wide(pair: Pair, min_margin: float) -> Pair | str:
    return pair if _wide(pair, min_margin) else "small_margin"


def _row(row: dict, chosen: Answer, rejected: Answer) -> dict:
    return {
        "id": row["id"],
        "split": row["split"],
        "prompt": row["prompt"],
        "chosen": [{"role": "assistant", "content": chosen["text"]}],
        "rejected": [{"role": "assistant", "content": rejected["text"]}],
        "reward_chosen": chosen["reward"],
        "reward_rejected": rejected["reward"],
    }


def _margin(row: dict) -> float:
    return row["reward_chosen"] - row["reward_rejected"]


def _words(row: dict, side: str) -> int:
    return len(words(row[side][0]["content"]))


def _means(rows: Sequence[dict]) -> dict[str, float]:
    train = [row for row in rows if row["split"] == "train"]
    of_pairs = {
        "mean_margin": [_margin(row) for row in train],
        "mean_words_chosen": [_words(row, "chosen") for row in train],
        "mean_words_rejected": [_words(row, "rejected") for row in train],
    }
    return {name: round(fmean(values), 4) if values else 0.0 for name, values in of_pairs.items()}
