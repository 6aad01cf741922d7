"""Which differences between methods are real: paired tests per metric, Holm's correction, tables for people.

``results`` maps a method to ``{"items": rows, "metrics": flat dict, "run": dict}`` and holds "base" too. A
row is ``{"id", "suite", "axis", "correct", "valid_format"}``, or ``{"id", "suite": "loss", "nll", "tokens"}``
with nll in nats, summed over the completion tokens. Every method answered exactly the same items. A method that
was trained several times has each item once for each ``seed`` (a field of the row). Rows with the same ``source``
(a field, too) were made from one text, and count as one draw.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tuner import statistics

BASE = "base"
ACCURACIES = ("instruction_following", "knowledge", "agent")  # fractions of items, higher is better
METRICS = ("eval_loss", *ACCURACIES)  # eval_loss in nats per token, lower is better
RUN_COLUMNS = (
    "trainable_parameters",
    "adapter_megabytes",
    "train_seconds",
    "tokens_per_second",
    "peak_memory_megabytes",
)
TITLES = {
    "eval_loss": "validation loss",
    "instruction_following": "instruction following",
    "knowledge": "knowledge",
    "agent": "agent",
}
TOLERANCE = 0.005  # a metrics file that is rounded agrees with its items this closely
MINUS = "\N{MINUS SIGN}"


def _items(results: Mapping[str, dict], method: str, metric: str) -> dict[int, dict[str, dict]]:
    """Rows of one method and metric by training seed (0 where rows state none) and id; empty without rows."""
    suite = "loss" if metric == "eval_loss" else metric
    rows: dict[int, dict[str, dict]] = {}
    for row in results[method]["items"]:
        if row["suite"] != suite:
            continue
        of_seed = rows.setdefault(row.get("seed", 0), {})
        if row["id"] in of_seed:
            raise ValueError(f"item {row['id']!r} of suite {suite!r} appears twice for method {method!r}")
        of_seed[row["id"]] = row
    return dict(sorted(rows.items()))


def _rows(items: Mapping[int, dict[str, dict]]) -> list[dict]:
    return [row for of_seed in items.values() for row in of_seed.values()]


def _value(rows: Sequence[dict], metric: str) -> float:
    if metric == "eval_loss":
        nll, tokens = (sum(float(row[key]) for row in rows) for key in ("nll", "tokens"))
        return nll / tokens
    return sum(bool(row["correct"]) for row in rows) / len(rows)


def _paired(results: Mapping[str, dict], method: str, start: str, metric: str) -> list[list[tuple[dict, dict]]]:
    """Rows (start, method) of the same item, in the order of the start's items: one list for each seed of the method.

    The start has the method's seeds, or one alone (as base, which is not trained), which then stands for each.
    """
    before, after = _items(results, start, metric), _items(results, method, metric)
    if len(before) > 1 and before.keys() != after.keys():
        raise ValueError(
            f"{metric}: method {method!r} has the seeds {list(after)} and {start!r}, which it is compared with, "
            f"{list(before)}; train both with the same seeds"
        )
    found = []
    for seed in after or before:
        one, other = before.get(seed) or next(iter(before.values()), {}), after.get(seed, {})
        for ids, others, lacking in ((one, other, method), (other, one, start)):
            missing = [key for key in ids if key not in others]
            if missing:
                raise ValueError(
                    f"item {missing[0]!r} of {metric} is missing for method {lacking!r} "
                    f"({len(missing)} missing in all; {method!r} is compared with {start!r})"
                )
        pairs = [(row, other[key]) for key, row in one.items()]
        for mine, its in pairs if metric == "eval_loss" else ():
            if int(mine["tokens"]) != int(its["tokens"]):
                raise ValueError(
                    f"item {mine['id']!r}: {mine['tokens']} tokens for method {start!r}, "
                    f"{its['tokens']} for {method!r}; these are not the same targets"
                )
        found.append(pairs)
    return found


def _columns(pairs: Sequence[Sequence[tuple[dict, dict]]], metric: str) -> tuple[np.ndarray, np.ndarray, dict]:
    """Start and method, shape (seeds, items), with {"weights", "clusters"} of the items.

    The loss is in nats per token, weighted by tokens; the accuracies are 0/1 without weights.
    """
    first = [row for row, _ in pairs[0]]
    sources = [str(row.get("source", row["id"])) for row in first]
    options = {"weights": None, "clusters": sources if len(set(sources)) < len(sources) else None}
    if metric == "eval_loss":
        tokens = np.array([int(row["tokens"]) for row in first], dtype=np.float64)
        nll = np.array([[(float(row["nll"]), float(other["nll"])) for row, other in one] for one in pairs])
        return nll[..., 0] / tokens, nll[..., 1] / tokens, options | {"weights": tokens}
    correct = np.array([[(bool(row["correct"]), bool(other["correct"])) for row, other in one] for one in pairs])
    return correct[..., 0].astype(np.float64), correct[..., 1].astype(np.float64), options


def _measured(results: Mapping[str, dict]) -> list[str]:
    """METRICS that have items, and after them the public benchmarks that have a verdict on each item."""
    suites = dict.fromkeys(row["suite"] for method in results for row in results[method]["items"] if "correct" in row)
    named = (*METRICS, *(suite for suite in suites if suite not in METRICS))
    return [metric for metric in named if any(_items(results, method, metric) for method in results)]


def compared(comparison: Mapping[str, Any]) -> list[str]:
    """The metrics that were compared: METRICS in their order, then public benchmarks."""
    found = comparison["suites"]
    return [*(metric for metric in METRICS if metric in found), *(metric for metric in found if metric not in METRICS)]


def title(metric: str) -> str:
    """What a table calls a metric; a public benchmark has its own name."""
    return TITLES.get(metric, metric)


def _check_metrics(results: Mapping[str, dict]) -> None:
    """A metrics file that disagrees with the items beside it comes from another run: refuse both."""
    for method in results:
        for metric in _measured(results):
            stated, rows = results[method].get("metrics", {}).get(metric), _rows(_items(results, method, metric))
            if rows and stated is not None and abs(float(stated) - _value(rows, metric)) > TOLERANCE:
                raise ValueError(
                    f"method {method!r}: {metric} is {float(stated):.4f} in the metrics but "
                    f"{_value(rows, metric):.4f} over its items"
                )


def compare(
    results: Mapping[str, dict], *, pairs: Sequence[tuple[str, str]] = (), seed: int, resamples: int, alpha: float
) -> dict[str, Any]:
    """Each method against base, and each (method, start) of ``pairs`` against its start.

    Returns ``{method: {metric: cell}, "<method>_vs_<start>": {metric: cell}, "suites": {metric: facts}}``. A
    cell has ``reference`` (whose value is under ``base``), ``base``, ``value``, ``difference`` = value - base
    with ``low`` and ``high`` (each interval covers 1 - alpha on its own, so it may exclude 0 where the
    verdict, which counts all tests, is "no evidence"), ``p``, ``p_adjusted``, ``n`` items and ``verdict``.
    Two questions, two families of Holm's correction: did it help (methods against base), and which one (``pairs``).
    Loss: bootstrap over items weighted by tokens, whole sources at a time where items share one (`clusters` of
    them). Accuracies: exact McNemar p and Tango's interval. Where a method has several ``seeds``, or items of an
    accuracy share a source: ``statistics.over_seeds_and_items``. ``resamples`` is a minimum.

    ``detectable`` and ``detectable_adjusted`` are the smallest true differences that such a comparison finds with
    power 0.8, as the only one and at alpha / tests, the strictest step of Holm; None where none is found.

    A metric is ``eval_loss``, a suite of ours, or a public benchmark with a verdict on each item, under its own name.

    ``facts`` per metric: ``n``, ``floor`` (value of base), ``chance`` (what guessing gets right; None where there is
    no such thing), ``seeds``, ``clusters`` where items share sources, ``alpha``, ``tests`` against base and
    ``pair_tests``. A metric without items is left out.
    """
    if BASE not in results or "suites" in results:
        raise ValueError('results need "base", and no method may be called "suites"')
    families = [[(method, method, BASE) for method in results if method != BASE], []]
    for method, start in pairs:
        if method not in results or start not in results:
            raise ValueError(f"pair ({method!r}, {start!r}): no results for one of them")
        families[1].append((f"{method}_vs_{start}", method, start))
    keys = [key for family in families for key, _, _ in family]
    if len(set(keys)) < len(keys):
        raise ValueError(f"two comparisons have the same name: {keys}")
    _check_metrics(results)
    metrics = _measured(results)
    table: dict[str, Any] = {}
    for family in families:
        tests = len(family) * len(metrics)
        options = {"seed": seed, "resamples": resamples, "alpha": alpha, "tests": tests}
        for key, method, start in family:
            table[key] = {metric: _cell(results, method, start, metric, options) for metric in metrics}
        cells = {f"{key}\n{metric}": table[key][metric] for key, _, _ in family for metric in metrics}
        adjusted = statistics.holm({name: cell["p"] for name, cell in cells.items()})
        for name, cell in cells.items():
            cell["p_adjusted"] = adjusted[name]
            cell["verdict"] = _verdict(name.split("\n")[1], cell["difference"], cell["p_adjusted"], alpha)
    tests = {"tests": len(families[0]) * len(metrics), "pair_tests": len(families[1]) * len(metrics)}
    table["suites"] = {metric: _facts(results, metric) | {"alpha": alpha, **tests} for metric in metrics}
    return table


def _cell(results: Mapping[str, dict], method: str, start: str, metric: str, options: dict) -> dict[str, Any]:
    """One comparison of one metric, see ``compare``, without ``p_adjusted`` and ``verdict``."""
    before, after, drawn = _columns(_paired(results, method, start, metric), metric)
    alpha, tests = options["alpha"], options["tests"]
    by_draw = metric == "eval_loss" or len(after) > 1 or drawn["clusters"]
    if by_draw:
        found = statistics.over_seeds_and_items(after - before, **drawn, **options)
    else:
        found = statistics.paired_proportions(before[0], after[0], alpha)
        found["p"] = statistics.mcnemar_exact(before[0], after[0])
    for name, level in (("detectable", alpha), ("detectable_adjusted", alpha / tests)):
        if by_draw:
            effect = statistics.minimum_detectable_mean(after - before, **drawn, alpha=level)
        else:
            effect = statistics.minimum_detectable_effect(after.shape[1], float(np.mean(before != after)), level)
        found[name] = None if effect >= (math.inf if metric == "eval_loss" else 1.0) else effect
    return {
        "reference": start,
        "base": float(np.average(before.mean(axis=0), weights=drawn["weights"])),
        "value": float(np.average(after.mean(axis=0), weights=drawn["weights"])),
        **found,
        "n": after.shape[1],
        **({"clusters": len(set(drawn["clusters"]))} if drawn["clusters"] else {}),
        **({"seeds": len(after)} if len(after) > 1 else {}),
    }


def _verdict(metric: str, difference: float, p_adjusted: float, alpha: float) -> str:
    if p_adjusted >= alpha or difference == 0:
        return "no evidence"
    return "better" if (difference < 0) == (metric == "eval_loss") else "worse"


def _facts(results: Mapping[str, dict], metric: str) -> dict[str, Any]:
    """What the items of a metric are, see ``compare``."""
    base = _items(results, BASE, metric)
    rows = _rows(base)
    choices = [len(row["choices"]) for row in rows if "choices" in row]
    sources = {row.get("source", row["id"]) for row in rows}
    n = len(next(iter(base.values())))
    return {
        "n": n,
        "floor": _value(rows, metric),
        "chance": sum(1 / count for count in choices) / len(choices) if choices else None,
        "seeds": max(len(_items(results, method, metric)) for method in results),
        **({"clusters": len(sources)} if len(sources) < n else {}),
    }


def contrasts(comparison: Mapping[str, Any]) -> list[str]:
    """Keys of the comparisons with base."""
    return [key for key in comparison if key != "suites" and _reference(comparison, key) == BASE]


def paired_contrasts(comparison: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(key, method, start) of each comparison of two methods."""
    starts = {key: _reference(comparison, key) for key in comparison if key != "suites"}
    return [(key, key.removesuffix(f"_vs_{start}"), start) for key, start in starts.items() if start != BASE]


def _reference(comparison: Mapping[str, Any], key: str) -> str:
    return next(iter(comparison[key].values()))["reference"]


def summary_rows(results: Mapping[str, dict], comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per method with the same columns in each; blank ("") where a method has no such value.

    Accuracies are fractions with Wilson intervals ``_low`` and ``_high`` (also of each agent axis),
    ``<metric>_verdict`` is against base, and ``<agent or axis>_valid_format`` the share of replies in the form that
    was asked for. Parameters are counts; the rest is in the unit that the column names.
    """
    alpha = next((facts["alpha"] for facts in comparison["suites"].values()), 0.05)
    metrics = [*METRICS, *(metric for metric in compared(comparison) if metric not in METRICS)]
    items = {method: {metric: _rows(_items(results, method, metric)) for metric in metrics} for method in results}
    axes = list(dict.fromkeys(row["axis"] for method in results for row in items[method]["agent"]))
    table = []
    for method, result in results.items():
        loss = items[method]["eval_loss"]
        row: dict[str, Any] = {"method": method, "eval_loss": _value(loss, "eval_loss") if loss else ""}
        groups = {metric: items[method][metric] for metric in metrics[1:]}
        groups |= {f"agent_{axis}": [one for one in items[method]["agent"] if one["axis"] == axis] for axis in axes}
        for name, rows in groups.items():
            right = sum(bool(one["correct"]) for one in rows)
            low, high = _share_interval(rows, alpha)
            row |= {
                name: right / len(rows) if rows else "",
                f"{name}_low": low if rows else "",
                f"{name}_high": high if rows else "",
            }
            if name.startswith("agent"):
                row[f"{name}_valid_format"] = sum(one["valid_format"] for one in rows) / len(rows) if rows else ""
        row |= {name: result.get("metrics", {}).get(name, "") for name in RUN_COLUMNS}
        cells = comparison.get(method, {})
        row |= {f"{metric}_verdict": cells.get(metric, {}).get("verdict", "") for metric in metrics}
        table.append(row)
    return table


def _share_interval(rows: Sequence[dict], alpha: float) -> tuple[float, float]:
    """Wilson's interval of the share right, or with several training seeds that over seeds and items, within [0, 1]."""
    by_seed: dict[int, list[bool]] = {}
    for row in sorted(rows, key=lambda row: row["id"]):  # the same item in the same column for each seed
        by_seed.setdefault(row.get("seed", 0), []).append(bool(row["correct"]))
    if len(by_seed) < 2:
        return statistics.wilson(sum(map(sum, by_seed.values())), len(rows), alpha)
    if len(rows) == len(by_seed):
        return 0.0, 1.0  # a single item, however often it is answered, says nothing of the others
    found = statistics.over_seeds_and_items(list(by_seed.values()), seed=0, resamples=0, alpha=alpha)
    return max(0.0, found["low"]), min(1.0, found["high"])


def amount(metric: str, value: float, *, signed: bool = False) -> str:
    """A loss with three decimals, an accuracy in percent (a difference in percentage points)."""
    text = f"{value:+.3f}" if metric == "eval_loss" else f"{100 * value:+.1f}"
    text = text.removeprefix("-").removeprefix("+")
    if float(text) == 0:
        return text
    return (MINUS if value < 0 else "+" if signed else "") + text


def pareto(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which (cost, quality) points no other beats: none is as cheap and as good and better in one of them."""
    return [
        not any(other[0] <= cost and other[1] >= quality and other != (cost, quality) for other in points)
        for cost, quality in points
    ]
