"""What each filter removes: in the order they run, by itself, and which rows no other filter would have removed.

The order hides most of it: a row that three filters object to counts for the first alone, so a filter far down the
list looks idle. All counts here are of rows, all shares are fractions.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

EXAMPLES = 3
CLIP = 200  # characters of a text in an example
OTHER_ROW = "duplicate_of"  # in `measured`: the verdict hangs on which other rows were kept

Row = Mapping[str, Any]
Objections = Sequence[tuple[int, Mapping[str, Mapping[str, Any]]]]


def report(order: Sequence[str], objections: Objections, dropped: Sequence[Row], rows: Iterable[Row]) -> dict:
    """Counts by filter, overlaps of two filters, and examples.

    ``order`` holds the filters' names as they run. ``objections`` has (id, {name: measured}) of every raw row: the
    filters that object to it when each is asked alone. ``dropped`` are the rows that were dropped, with ``reason``
    and ``measured``. ``rows`` are all raw rows, read once.

    Returns ``rows``, ``kept``, ``dropped``; ``filters``: name -> ``in_sequence`` (rows it dropped), ``alone`` (rows it
    objects to), ``only_this`` (rows nothing else objects to: what would come back without it), ``kept_after`` and
    ``kept_share`` (of all rows, after it and those before it); ``overlap``: for every two filters that object to the
    same row, ``rows`` (both) and ``jaccard`` (both over either); ``examples``: name -> up to three rows it dropped,
    spread over the ids, or, where it dropped none, rows it objects to (``dropped_by`` says who did).

    ValueError where the counts cannot be: a row lost, doubled or unknown, a name that is no filter, or verdicts that
    contradict what was dropped. Duplicates are excused from the last: whose twin was kept depends on the order.
    """
    verdicts = _by_id(objections, "objections")
    gone = _by_id(((row["id"], row) for row in dropped), "dropped rows")
    _check(order, verdicts, gone)
    alone = {name: sorted(place for place, found in verdicts.items() if name in found) for name in order}
    in_sequence = Counter(row["reason"] for row in dropped)
    only = Counter(name for found in verdicts.values() if len(found) == 1 for name in found)
    filters, left = {}, len(verdicts)
    for name in order:
        left -= in_sequence[name]
        filters[name] = {
            "in_sequence": in_sequence[name],
            "alone": len(alone[name]),
            "only_this": only[name],
            "kept_after": left,
            "kept_share": round(left / len(verdicts), 4) if verdicts else 0.0,
        }
    return {
        "rows": len(verdicts),
        "kept": len(verdicts) - len(gone),
        "dropped": len(gone),
        "filters": filters,
        "overlap": _overlaps(alone),
        "examples": _examples(alone, verdicts, gone, rows),
    }


def csv_rows(report: Mapping[str, Any]) -> list[dict]:
    """One row a filter, in their order: ``filter`` and its counts."""
    return [{"filter": name, **counts} for name, counts in report["filters"].items()]


def _by_id(pairs: Iterable[tuple[Any, Any]], what: str) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for name, value in pairs:
        if int(name) in found:
            raise ValueError(f"{what}: row {name} is there twice")
        found[int(name)] = value
    return found


def _check(order: Sequence[str], verdicts: Mapping[int, Mapping], gone: Mapping[int, Row]) -> None:
    named = {name for found in verdicts.values() for name in found} | {row["reason"] for row in gone.values()}
    if unknown := named - set(order):
        raise ValueError(f"no such filter: {', '.join(sorted(unknown))}")
    if lost := gone.keys() - verdicts.keys():
        raise ValueError(f"row {min(lost)} was dropped and is not among the {len(verdicts)} rows judged")
    for place, found in verdicts.items():
        first = next((name for name in order if name in found and OTHER_ROW not in found[name]), None)
        row = gone.get(place)
        reason = row and row["reason"]
        if row and OTHER_ROW in row["measured"]:
            agrees = first is None or order.index(reason) < order.index(first)
        else:
            agrees = reason == first
        if not agrees:
            was, should = reason or "nothing", first or "nothing"
            raise ValueError(f"row {place}: {was} dropped it, by its verdicts {should} does")


def _overlaps(alone: Mapping[str, Sequence[int]]) -> list[dict]:
    sets = {name: set(places) for name, places in alone.items()}
    pairs = ((a, b, len(sets[a] & sets[b])) for a, b in combinations(sets, 2))
    return [
        {"first": a, "second": b, "rows": both, "jaccard": round(both / (len(sets[a]) + len(sets[b]) - both), 4)}
        for a, b, both in pairs
        if both
    ]


def _examples(
    alone: Mapping[str, Sequence[int]], verdicts: Mapping[int, Mapping], gone: Mapping[int, Row], rows: Iterable[Row]
) -> dict[str, list[dict]]:
    picked = {}
    for name, objected in alone.items():
        pool = sorted(place for place, row in gone.items() if row["reason"] == name) or objected
        count = min(EXAMPLES, len(pool))
        picked[name] = [pool[(2 * turn + 1) * len(pool) // (2 * count)] for turn in range(count)]  # middles of thirds
    wanted = {place for places in picked.values() for place in places}
    texts, seen = {}, set()
    for row in rows:
        place = int(row["id"])
        seen.add(place)
        if place in wanted:
            texts[place] = {side: _clip(row.get(side)) for side in ("instruction", "response")}
    if seen != verdicts.keys():
        raise ValueError(f"{len(verdicts)} rows were judged, which are not the {len(seen)} rows given")

    def example(name: str, place: int) -> dict:
        by = gone[place]["reason"] if place in gone else None
        measured = gone[place]["measured"] if by == name else verdicts[place][name]
        return {"id": place, **texts[place], "measured": dict(measured), "dropped_by": by}

    return {name: [example(name, place) for place in places] for name, places in picked.items() if places}


def _clip(text: Any) -> str:
    text = text if isinstance(text, str) else repr(text)  # a malformed row may hold anything, or nothing
    return text if len(text) <= CLIP else text[: CLIP - 1].rstrip() + "\u2026"
