"""The tables of the README, from what ``compare.compare`` returned."""

from collections.abc import Mapping, Sequence
from typing import Any

from tuner.compare import BASE, amount, compared, contrasts, paired_contrasts, title


def methods(metrics: Mapping[str, Mapping[str, float]], comparison: Mapping[str, Any]) -> str:
    """Results table for the README: ``metrics`` of each method (flat dicts) and what ``compare`` returned.

    Under each value stands its difference to base with the interval and the verdict. Two sentences below the table
    say how to read it.
    """
    shown = compared(comparison)
    percent = {metric: "" if metric == "eval_loss" else " %" for metric in shown}
    arrow = {metric: "lower" if metric == "eval_loss" else "higher" for metric in shown}
    head = [
        "method",
        *(f"{title(metric)} ({arrow[metric]} is better)" for metric in shown),
        "trainable parameters",
        "training time",
    ]
    lines = ["| " + " | ".join(head) + " |", "|:--" + "|--:" * (len(head) - 1) + "|"]
    for method in sorted(metrics, key=lambda name: name != BASE):
        cells = [method]
        for metric in shown:
            cell = comparison.get(method, {}).get(metric)
            value = comparison["suites"][metric]["floor"] if cell is None else cell["value"]
            if cell is None and method != BASE:
                raise ValueError(f"method {method!r} has metrics but no comparison of {metric}")
            cells.append(
                amount(metric, value) + percent[metric] + ("" if cell is None else f"<br>{_change(metric, cell)}")
            )
        trained = float(metrics[method].get("trainable_parameters") or 0)
        cells += (
            [f"{trained:,.0f}", _duration(float(metrics[method].get("train_seconds") or 0))]
            if trained
            else ["none", "none"]
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *_reading(comparison, shown)]) + "\n"


def pairs(comparison: Mapping[str, Any]) -> str:
    """Table of the comparisons between methods for the README: differences with intervals and verdicts."""
    shown = compared(comparison)
    lines = ["| methods | " + " | ".join(map(title, shown)) + " |", "|:--" + "|--:" * len(shown) + "|"]
    for key, method, start in paired_contrasts(comparison):
        cells = [_change(metric, comparison[key][metric]) for metric in shown]
        lines.append("| " + " | ".join([f"{method} against {start}", *cells]) + " |")
    tests = comparison["suites"][shown[0]]["pair_tests"]
    return "\n".join(lines) + f"\n\nThe {tests} tests of this table are a family of their own.\n"


def findable(comparison: Mapping[str, Any], metric: str) -> str:
    """The smallest true differences to base that Holm's strictest step finds, over methods: "7.1 to 9.2", or "none"."""
    values = [comparison[key][metric]["detectable_adjusted"] for key in contrasts(comparison)]
    if any(value is None for value in values):
        return "none"
    ends = [amount(metric, end) for end in (min(values), max(values))]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _change(metric: str, cell: Mapping[str, Any]) -> str:
    unit = "" if metric == "eval_loss" else " points"
    low, high = (amount(metric, cell[end], signed=True) for end in ("low", "high"))
    verdict = cell["verdict"] if cell["verdict"] == "no evidence" else f"**{cell['verdict']}**"
    return f"{amount(metric, cell['difference'], signed=True)}{unit} [{low}, {high}], {verdict}"


def _duration(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _count(facts: Mapping[str, Any]) -> str:
    """The number of items, with that of the texts they were made from where it is smaller."""
    return f"{facts['n']}" + (f" from {facts['clusters']} sources" if "clusters" in facts else "")


def _reading(comparison: Mapping[str, Any], shown: Sequence[str]) -> list[str]:
    facts = comparison["suites"]
    if not shown or not facts[shown[0]]["tests"]:
        return []
    alpha, tests = facts[shown[0]]["alpha"], facts[shown[0]]["tests"]
    smallest = "; ".join(
        f"{title(metric)} {findable(comparison, metric)}"
        f"{'' if metric == 'eval_loss' else ' points'} (n = {_count(facts[metric])})"
        for metric in shown
    )
    return [
        f"In brackets: {100 * (1 - alpha):g} % interval of the difference, on the same items. Verdicts "
        f"use p-values adjusted for all {tests} tests (Holm, {alpha:g}), so an interval can exclude 0 "
        'where the verdict is "no evidence".',
        "",
        f"Smallest true difference that is found in 4 of 5 such evaluations, the correction counted: {smallest}.",
    ]
