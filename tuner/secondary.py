"""The measures beside the four that verdicts are about: differences with intervals, outside the Holm family.

They describe how a method has changed the model. Nobody is to pick the best-looking of them as a result, so they have
no verdict and no p-value, and each interval stands for itself.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tuner import intrinsic, metrics, statistics, win_rate
from tuner.compare import BASE

# Which way is worse, where one way is: above (+1) or below (-1) the start's value.
WORSE = {"never_stops": 1, "forgetting": 1, "valid_format": -1, "knowledge_raw": -1}
# Instruction following once more: constraints of families that training rows have, of others, scored loosely, and
# with whole families drawn: what could be said of families that nobody has tried.
FOLLOWED = ("followed_seen", "followed_unseen", "followed_loosely", "followed_by_family")


def compare(
    results: Mapping[str, dict],
    *,
    families: Collection[str],
    pairs: Sequence[tuple[str, str]] = (),
    seed: int,
    resamples: int,
    alpha: float,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return {comparison: {measure: {"reference", "base", "value", "difference", "low", "high", "n"}}}.

    The comparisons are those of `compare.compare`. Where methods have several training seeds, the first one's rows.

    `reply_tokens` (tokens) and `forgetting` (nats per token, windows weighted by tokens): paired bootstrap.
    `never_stops`, `valid_format` (of the agent's replies) and `knowledge_raw`: fractions with Tango's interval.
    `win_rate_length_controlled` has no difference: "value" (0 to 1, where
    0.5 is no preference) with its interval, and stands only where both were judged; so has `preference_accuracy`, the
    share of validation pairs whose chosen answer gained more log-probability than the rejected one (ties count half),
    by a bootstrap of whole sources: pairs made of one kept row go together. FOLLOWED: fractions of items by Tango's
    interval, the last by a bootstrap of whole families; `families` are those that training rows have.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    options = {"seed": seed, "resamples": resamples, "alpha": alpha}
    first = {method: metrics.by_seed(result["items"])[0] for method, result in results.items()}
    contrasts = [(method, method, BASE) for method in results if method != BASE]
    for key, method, start in [*contrasts, *((f"{method}_vs_{start}", method, start) for method, start in pairs)]:
        rows, before = first[method], first[start]
        replies = [pair for pair in _pairs(rows, before, "finish") if pair[0]["suite"] in intrinsic.REPLIED]
        windows = [pair for pair in _pairs(rows, before, "nll") if pair[0]["suite"] == "general_text"]
        agent = [pair for pair in replies if pair[0]["suite"] == "agent"]
        tokens = _column(windows, 0, lambda row: row["tokens"])
        nats = [_column(windows, side, lambda row: row["nll"] / row["tokens"]) for side in (0, 1)]
        cells = {
            "reply_tokens": _means(replies, lambda row: row["reply_tokens"], options),
            "never_stops": _shares(replies, lambda row: row["finish"] == "length", alpha),
            "valid_format": _shares(agent, lambda row: row["valid_format"], alpha),
            "knowledge_raw": _shares(_pairs(rows, before, "correct_raw"), lambda row: row["correct_raw"], alpha),
            "forgetting": statistics.paired_bootstrap(*nats, weights=tokens, **options) | {"n": len(windows)},
        }
        # Of the text, what it changed alone is told: the base's own nats depend on the text that was chosen.
        cells["forgetting"] |= {"base": 0.0, "value": cells["forgetting"]["difference"]}
        if pairs_told := _pairs(rows, before, "logp_chosen"):
            cells["preference_accuracy"] = _preferred(pairs_told, options)
        if judged := intrinsic.judgements(rows, before):
            rate = win_rate.length_controlled(judged, alpha)
            cells["win_rate_length_controlled"] = {"value": rate.pop("win_rate"), **rate, "n": len(judged)}
        cells |= _followed(rows, before, families, options)
        kept = ("base", "value", "difference", "low", "high", "n", "clusters")
        found[key] = {
            name: {"reference": start, **{field: cell[field] for field in kept if field in cell}}
            for name, cell in cells.items()
        }
    return found


def _means(pairs: Sequence[tuple[dict, dict]], value, options: Mapping[str, Any], **clusters) -> dict[str, Any]:
    before, after = (_column(pairs, side, value) for side in (0, 1))
    found = statistics.paired_bootstrap(before, after, **clusters, **options)
    return found | {"base": float(before.mean()), "value": float(after.mean()), "n": len(pairs)}


def _shares(pairs: Sequence[tuple[dict, dict]], value, alpha: float) -> dict[str, Any]:
    before, after = (_column(pairs, side, value) for side in (0, 1))
    found = statistics.paired_proportions(before, after, alpha)
    return found | {"base": float(before.mean()), "value": float(after.mean()), "n": len(pairs)}


def _preferred(pairs: Sequence[tuple[dict, dict]], options: Mapping[str, Any]) -> dict[str, Any]:
    margins = [_column(pairs, side, lambda row: row["logp_chosen"] - row["logp_rejected"]) for side in (0, 1)]
    right = (1 + np.sign(margins[1] - margins[0])) / 2
    sources = [row["id"].removeprefix("preference-").split("-")[0] for row, _ in pairs]
    if len(set(sources)) < 2:
        return {"value": float(right.mean()), "low": 0.0, "high": 1.0, "n": len(pairs), "clusters": 1}
    found = statistics.paired_bootstrap(np.full(len(right), 0.5), right, clusters=sources, **options)
    ends = {end: min(1.0, max(0.0, 0.5 + found[end])) for end in ("low", "high")}
    return {"value": float(right.mean()), **ends, "n": len(pairs), "clusters": len(set(sources))}


def _followed(
    rows: Sequence[dict], before: Sequence[dict], families: Collection[str], options: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    every = [pair for pair in _pairs(rows, before, "correct") if pair[0]["suite"] == "instruction_following"]
    groups = {
        "followed_seen": ([pair for pair in every if pair[0]["axis"] in families], "correct"),
        "followed_unseen": ([pair for pair in every if pair[0]["axis"] not in families], "correct"),
        "followed_loosely": (every, "correct_loose"),
    }
    cells = {
        name: _shares(pairs, lambda row, field=field: row[field], options["alpha"])
        for name, (pairs, field) in groups.items()
        if pairs
    }
    if len(kinds := {pair[0]["axis"] for pair in every}) > 1:
        drawn = _means(every, lambda row: row["correct"], options, clusters=[pair[0]["axis"] for pair in every])
        cells["followed_by_family"] = drawn | {"clusters": len(kinds)}
    return cells


def _pairs(rows: Sequence[dict], before: Sequence[dict], field: str) -> list[tuple[dict, dict]]:
    """Return (start's row, method's row) of each item that has the field; ValueError where the items differ."""
    mine, its = ({row["id"]: row for row in found if field in row} for found in (rows, before))
    if mine.keys() != its.keys():
        odd = sorted(mine.keys() ^ its.keys())[0]
        raise ValueError(f"item {odd!r} was evaluated for one of two methods only; evaluate both again")
    return [(row, mine[key]) for key, row in its.items()]


def _column(pairs: Sequence[tuple[dict, dict]], side: int, value) -> np.ndarray:
    return np.array([float(value(pair[side])) for pair in pairs])
