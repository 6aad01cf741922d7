"""All secondary measures as a page of tables, behind the one that ``report`` writes."""

from collections.abc import Mapping
from typing import Any

from tuner.compare import BASE, amount, contrasts
from tuner.params import Compare
from tuner.report import in_language
from tuner.report_parts import Words, against, count, measure, measured, percent, table
from tuner.secondary import FOLLOWED


def page(
    settings: Compare,
    *,
    comparison: Mapping[str, Any],
    metrics: Mapping[str, Mapping[str, float | None]],
    secondary: Mapping[str, Any],
    engines: Mapping[str, str],
) -> str:
    """Return the page in Markdown; `engines`: method -> what wrote its replies, the others as in ``report.page``."""
    words = in_language(settings, comparison)
    methods = [method for method in metrics if method != BASE]
    sections = {
        "beside": _beside(words, methods, metrics, secondary),
        "followed": _followed(words, secondary),
        "by_axis": _by_axis(words, metrics),
        "findable": _findable(words, comparison),
    }
    blocks = [f"# {words['details_title']}", words["details_about"], _written_by(words, engines)]
    for name, found in sections.items():
        blocks += [f"## {words[name]}", *found] if found else []
    return "\n\n".join(blocks) + "\n"


def _written_by(words: Words, engines: Mapping[str, str]) -> str:
    """Which engine wrote whose replies."""
    names: dict[str, list[str]] = {}
    for method, engine in engines.items():
        names.setdefault(engine, []).append(f"`{method}`")
    return "; ".join(words["written_by"].format(engine=name, methods=", ".join(of)) for name, of in names.items()) + "."


def _named(words: Words, key: str, cells: Mapping[str, dict]) -> str:
    start = next(iter(cells.values()))["reference"]
    return f"`{key}`" if start == BASE else against(words, key.removesuffix(f"_vs_{start}"), start)


def _beside(words, methods, metrics, secondary) -> list[str]:
    """What has changed beside the four measures: a table, and how to read it."""
    has_judge = all(found["win_rate"] is not None for found in metrics.values())
    names = ["reply_tokens", "never_stops", "valid_format", "knowledge_raw", "distinct_2", "forgetting"]
    names += ["preference_accuracy", *["win_rate_length_controlled"] * has_judge]
    rows = [[f"`{BASE}`", *(measure(words, name, metrics[BASE][name]) for name in names)]]
    for key, cells in secondary.items():
        row = [_named(words, key, cells)]
        for name in names:
            cell = cells.get(name)
            if cell is None:  # without an interval; of two methods, no value is shown
                row.append(measure(words, name, metrics[key][name]) if key in methods else "")
            elif "difference" not in cell:  # a share of its own
                row.append(measured(words, name, cell, signed=False).replace(" [", "<br>["))
            else:
                shown = f"{measure(words, name, cell['value'])}<br>" if key in methods else ""
                row.append(shown + measured(words, name, cell))
        rows.append(row)
    one = next(iter(secondary.values()))
    counts = {"windows": one["forgetting"]["n"], "pairs": one["preference_accuracy"]["n"]}
    counts["sources"] = one["preference_accuracy"]["clusters"]
    reading = [words["beside_reading"].format(**counts), words["judged" if has_judge else "not_judged"]]
    return [table([words["method"], *(words[name] for name in names)], rows), " ".join(reading)]


def _followed(words: Words, secondary: Mapping[str, Any]) -> list[str]:
    """Constraints followed: of families that were trained on, of others, read loosely, with whole families drawn."""
    first = next(iter(secondary.values()))
    names = [name for name in FOLLOWED if name in first]
    rows = [[f"`{BASE}`", *(percent(words, first[name]["base"]) for name in names)]]
    for key, cells in secondary.items():
        alone = cells[names[0]]["reference"] == BASE if names else False
        values = [f"{percent(words, cells[name]['value'])}<br>" if alone else "" for name in names]
        shown = [text + measured(words, name, cells[name]) for text, name in zip(values, names, strict=True)]
        rows.append([_named(words, key, cells), *shown])
    heads = [f"{words[name]} (n = {count(words, first[name])})" for name in names]
    return [words["followed_label"], table([words["method"], *heads], rows)] if names else []


def _by_axis(words: Words, metrics: Mapping[str, Mapping[str, float]]) -> list[str]:
    axes = [name for name in metrics[BASE] if name.startswith("agent_")]
    rows = [[f"`{method}`", *(percent(words, found[axis]) for axis in axes)] for method, found in metrics.items()]
    return [table([words["method"], *(words[axis] for axis in axes)], rows)]


def _findable(words: Words, comparison: Mapping[str, Any]) -> list[str]:
    """The smallest differences that each comparison with base would have found."""
    metrics = list(comparison["suites"])

    def shown(cell: Mapping[str, Any], metric: str) -> str:
        found = [cell[name] for name in ("detectable_adjusted", "detectable")]
        strict, single = (words["undetectable"] if one is None else amount(metric, one) for one in found)
        return f"{strict} ({single})"

    rows = [
        [f"`{key}`", *(shown(comparison[key][metric], metric) for metric in metrics)] for key in contrasts(comparison)
    ]
    heads = [f"{words[metric]} (n = {count(words, comparison['suites'][metric])})" for metric in metrics]
    return [words["undecided"], table([words["method"], *heads], rows)]
