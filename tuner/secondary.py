"""The measures beside the four that verdicts are about: differences with intervals, outside the Holm family.

They describe how a method has changed the model. Nobody is to pick the best-looking of them as a result, so they have
no verdict and no p-value, and each interval stands for itself.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tuner import intrinsic, statistics, win_rate
from tuner.compare import BASE

MEASURES = ("reply_tokens", "never_stops", "forgetting", "preference_accuracy", "win_rate_length_controlled")
# Instruction following once more: constraints of families that training rows have, of others, and scored loosely.
FOLLOWED = ("followed_seen", "followed_unseen", "followed_loosely")


def compare(
    results: Mapping[str, dict],
    *,
    families: Collection[str],
    pairs: Sequence[tuple[str, str]] = (),
    seed: int,
    resamples: int,
    alpha: float,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return {comparison: {measure: {"reference", "difference", "low", "high", "n"}}}, of those of `compare.compare`.

    `reply_tokens` (tokens) and `forgetting` (nats per token, windows weighted by tokens): paired bootstrap.
    `never_stops` (fraction): Tango's interval. `win_rate_length_controlled` has no difference: "value" (0 to 1, where
    0.5 is no preference) with its interval, and stands only where both were judged; so has `preference_accuracy`, the
    share of validation pairs whose chosen answer gained more log-probability than the rejected one (ties count half),
    by a bootstrap of whole sources: pairs made of one kept row go together. FOLLOWED: fractions of items,
    with "base" and "value" and Tango's interval of the difference; `families` are those that training rows have.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    options = {"seed": seed, "resamples": resamples, "alpha": alpha}
    contrasts = [(method, method, BASE) for method in results if method != BASE]
    for key, method, start in [*contrasts, *((f"{method}_vs_{start}", method, start) for method, start in pairs)]:
        rows, before = results[method]["items"], results[start]["items"]
        replies = _pairs(rows, before, "finish")
        windows = [pair for pair in _pairs(rows, before, "nll") if pair[0]["suite"] == "general_text"]
        tokens = _column(windows, 0, lambda row: row["tokens"])
        nats = [_column(windows, side, lambda row: row["nll"] / row["tokens"]) for side in (0, 1)]
        lengths = [_column(replies, side, lambda row: row["reply_tokens"]) for side in (0, 1)]
        endless = [_column(replies, side, lambda row: row["finish"] == "length") for side in (0, 1)]
        cells = {
            "reply_tokens": statistics.paired_bootstrap(*lengths, **options) | {"n": len(replies)},
            "never_stops": statistics.paired_proportions(*endless, alpha) | {"n": len(replies)},
            "forgetting": statistics.paired_bootstrap(*nats, weights=tokens, **options) | {"n": len(windows)},
        }
        if pairs_told := _pairs(rows, before, "logp_chosen"):
            cells["preference_accuracy"] = _preferred(pairs_told, options)
        if judged := intrinsic.judgements(rows, before):
            rate = win_rate.length_controlled(judged, alpha)
            cells["win_rate_length_controlled"] = {"value": rate.pop("win_rate"), **rate, "n": len(judged)}
        cells |= _followed(rows, before, families, alpha)
        for cell in cells.values():
            cell.pop("p", None)
        found[key] = {name: {"reference": start, **cell} for name, cell in cells.items()}
    return found


def _preferred(pairs: Sequence[tuple[dict, dict]], options: Mapping[str, Any]) -> dict[str, Any]:
    margins = [_column(pairs, side, lambda row: row["logp_chosen"] - row["logp_rejected"]) for side in (0, 1)]
    right = (1 + np.sign(margins[1] - margins[0])) / 2
    sources = [row["id"].removeprefix("preference-").split("-")[0] for row, _ in pairs]
    if len(set(sources)) < 2:
        return {"value": float(right.mean()), "low": 0.0, "high": 1.0, "n": len(pairs), "clusters": 1}
    found = statistics.paired_bootstrap(np.full(len(right), 0.5), right, clusters=sources, **options)
    ends = {end: min(1.0, max(0.0, 0.5 + found[end])) for end in ("low", "high")}
    return {"value": float(right.mean()), **ends, "n": len(pairs), "clusters": len(set(sources))}


def _followed(rows: Sequence[dict], before: Sequence[dict], families: Collection[str], alpha: float) -> dict:
    every = [pair for pair in _pairs(rows, before, "correct") if pair[0]["suite"] == "instruction_following"]
    groups = {
        "followed_seen": ([pair for pair in every if pair[0]["axis"] in families], "correct"),
        "followed_unseen": ([pair for pair in every if pair[0]["axis"] not in families], "correct"),
        "followed_loosely": (every, "correct_loose"),
    }
    cells = {}
    for name, (pairs, field) in groups.items():
        if pairs:
            a, b = (_column(pairs, side, lambda row, field=field: row[field]) for side in (0, 1))
            shares = {"base": float(a.mean()), "value": float(b.mean())}
            cells[name] = shares | statistics.paired_proportions(a, b, alpha) | {"n": len(pairs)}
    return cells


def _pairs(rows: Sequence[dict], before: Sequence[dict], field: str) -> list[tuple[dict, dict]]:
    """Return (start's row, method's row) of each item that has the field; ValueError where the items differ.

    Where a method has several training seeds, those of its first: these measures do not say how training varies.
    """
    mine, its = ({row["id"]: row for row in reversed(found) if field in row} for found in (rows, before))
    if mine.keys() != its.keys():
        odd = sorted(mine.keys() ^ its.keys())[0]
        raise ValueError(f"item {odd!r} was evaluated for one of two methods only; evaluate both again")
    return [(row, mine[key]) for key, row in its.items()]


def _column(pairs: Sequence[tuple[dict, dict]], side: int, value) -> np.ndarray:
    return np.array([float(value(pair[side])) for pair in pairs])
