"""What the pages for people are made of: tables, and numbers as the phrases of a language want them."""

from collections.abc import Iterator, Mapping
from typing import Any

from tuner.compare import MINUS, amount, contrasts

Words = Mapping[str, str]  # the phrases of one language


def cells(comparison: Mapping[str, Any]) -> Iterator[tuple[str, str, dict]]:
    """Yield (method, metric, cell) of the comparisons with base, metric by metric."""
    for metric in comparison["suites"]:
        for key in contrasts(comparison):
            yield key, metric, comparison[key][metric]


def against(words: Words, method: str, start: str) -> str:
    """Return what the comparison of two methods is called."""
    return words["against"].format(method=f"`{method}`", start=f"`{start}`")


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table; all columns but the first are numbers."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|:--" + "|--:" * (len(head) - 1) + "|", *lines[1:]])


def change(words: Words, metric: str, cell: Mapping[str, Any]) -> dict[str, str]:
    """Return a difference with its unit, and the ends of its interval without."""
    low, high = (amount(metric, cell[end], signed=True) for end in ("low", "high"))
    difference = amount(metric, cell["difference"], signed=True)
    unit = difference if metric == "eval_loss" else words["points"].format(value=difference)
    return {"difference": unit, "low": low, "high": high}


def judged(words: Words, metric: str, cell: Mapping[str, Any]) -> str:
    """Return a difference with its interval and its verdict, for a cell of a table."""
    verdict = words[cell["verdict"]]
    strong = verdict if cell["verdict"] == "no evidence" else f"**{verdict}**"
    return "{difference} [{low}, {high}]<br>{strong}".format(strong=strong, **change(words, metric, cell))


def value(words: Words, metric: str, found: float) -> str:
    """Return a loss, or an accuracy in percent."""
    shown = amount(metric, found)
    return shown if metric == "eval_loss" else words["percent"].format(value=shown)


def percent(words: Words, share: float) -> str:
    """Return a share in percent, one decimal."""
    return words["percent"].format(value=f"{100 * share:.1f}")


def measure(words: Words, name: str, found: float | None, *, signed: bool = False) -> str:
    """Return a secondary measure as text: tokens, percent (differences in points), a share or nats; None is a dash."""
    if found is None:
        return "\N{EN DASH}"
    if name not in PLACES:
        shown = amount("agent", found, signed=signed)
        return shown if signed else words["percent"].format(value=shown)
    text = f"{abs(found):.{PLACES[name]}f}"
    if float(text) == 0:
        return text
    return (MINUS if found < 0 else "+" if signed else "") + text


PLACES = {"reply_tokens": 1, "distinct_2": 3, "forgetting": 3}  # of the measures that are no shares


def measured(words: Words, name: str, cell: Mapping[str, Any], *, signed: bool = True) -> str:
    """Return a secondary difference (a share of its own where `signed` is false) with its interval."""
    middle, low, high = (
        measure(words, name, cell[end], signed=signed) if signed or end == "value" else amount("agent", cell[end])
        for end in ("difference" if signed else "value", "low", "high")
    )
    return f"{middle} [{low}, {high}]"


def count(words: Words, facts: Mapping[str, Any]) -> str:
    """Return the number of items, with that of the texts they were made from where it is smaller."""
    if "clusters" in facts:
        return words["from_sources"].format(n=f"{facts['n']:,}", sources=facts["clusters"])
    return f"{facts['n']:,}"


def findable(words: Words, metric: str, found: list[float | None]) -> str:
    """Return the smallest and the largest of differences that can be found, with their unit."""
    if any(one is None for one in found):
        return words["undetectable"]
    ends = [amount(metric, end) for end in (min(found), max(found))]
    shown = ends[0] if ends[0] == ends[1] else words["to"].format(low=ends[0], high=ends[1])
    return words["nats" if metric == "eval_loss" else "points"].format(value=shown)
