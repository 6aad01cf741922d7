"""Figures about the data itself: what each filter removes, and what each decoding cell yields.

As in figures.py: values and a path in, one PNG of 900 pixels' width out, the same bytes for the same values.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from tuner.figure_style import BLACK, GREY, KNOWN, LIGHT, canvas, number, place_labels, rows_axis

BARS = {"alone": "#CFCFCF", "in_sequence": "#0072B2", "only_this": "#E69F00"}
TEXTS = {
    "alone": "would drop by itself",
    "in_sequence": "drops in this order",
    "only_this": "no other objects",
}
# Cooler to hotter sampling; each temperature also has a marker of its own.
HEAT = (("#0072B2", "o"), ("#56B4E9", "s"), ("#009E73", "D"), ("#E69F00", "^"), ("#D55E00", "v"), ("#CC79A7", "P"))


def filtering(counts: Mapping[str, int], path: str | Path) -> None:
    """Samples in, kept, and dropped by each reason (``dropped_<reason>``), as bars with counts and shares."""
    reasons = {
        key.removeprefix("dropped_").replace("_", " "): int(value)
        for key, value in counts.items()
        if key.startswith("dropped_")
    }
    bars = {"in": int(counts["in"]), "kept": int(counts["kept"]), "dropped, all": int(counts["dropped"])}
    bars |= {f"dropped: {name}": value for name, value in sorted(reasons.items(), key=lambda it: -it[1]) if value}
    colours = [GREY, KNOWN["lora"], KNOWN["full"], *["#EBB28A"] * len(reasons)]
    idle = ", ".join(name for name, value in reasons.items() if not value)
    once = sum(reasons.values()) == bars["dropped, all"]
    note = "Each dropped sample counts under one reason." if once else "Samples may have several reasons."
    note += " All samples are counted, so there is no interval."
    note += "".join(f"\n{line}" for line in textwrap.wrap(f"Dropped nothing: {idle}.", 120)) if idle else ""
    height = 1.3 + 0.34 * len(bars) + 0.18 * note.count("\n")
    with canvas(path, height, "Samples kept and dropped by the filters", note) as figure:
        axes = figure.subplots()
        heights = rows_axis(axes, list(bars))
        axes.barh(heights, list(bars.values()), height=0.72, color=colours)
        for height, value in zip(heights, bars.values(), strict=True):
            share = f"  {value:,}  ({100 * value / max(bars['in'], 1):.1f} %)"
            axes.text(value, height, share, va="center")
        axes.set_xlim(0, 1.22 * max(1, *bars.values()))
        axes.set_xlabel("samples")


def attrition(path: str | Path, report: Mapping[str, Any]) -> None:
    """Rows each filter would drop by itself, drops, and drops that no other would; and what is left after it.

    ``report`` is what ``attrition.report`` returns.
    """
    filters = report["filters"]
    title = f"What each filter removes of {report['rows']:,} rows"
    note = (
        "Filters run from top to bottom; the first that objects to a row drops it. "
        "Orange: rows that would come back\nwithout this filter."
    )
    with canvas(path, 1.75 + 0.56 * len(filters), title, note) as figure:
        bars, left = figure.subplots(1, 2, sharey=True, width_ratios=(3.6, 1))
        heights = rows_axis(bars, list(filters))
        for place, (kind, colour) in enumerate(BARS.items()):
            values = [counts[kind] for counts in filters.values()]
            at = heights + 0.27 * (place - 1)
            bars.barh(at, values, height=0.25, color=colour, label=TEXTS[kind], edgecolor=GREY, linewidth=0.4)
            for height, value in zip(at, values, strict=True):
                bars.text(value, height, f" {value:,}", va="center", fontsize=9, color="black" if value else GREY)
        bars.set_xlim(0, 1.14 * max(1, *(counts["alone"] for counts in filters.values())))
        bars.set_xlabel("rows")
        shares = [100 * counts["kept_share"] for counts in filters.values()]
        left.barh(heights, shares, height=0.5, color=GREY)
        for height, share in zip(heights, shares, strict=True):
            left.text(share, height, f" {share:.1f}", va="center", fontsize=9.5)
        left.set_xlim(0, 128)
        left.set_xticks([0, 50, 100])
        left.set_xlabel("percent left after it")
        left.tick_params(axis="y", length=0)
        left.spines["left"].set_visible(False)
        for panel in (bars, left):
            panel.hlines(heights[1:] - 0.5, 0, panel.get_xlim()[1], color=LIGHT, linewidth=0.6, zorder=0)
        _key(bars)


def cells(path: str | Path, by_cell: Mapping[str, Mapping[str, Any]]) -> None:
    """Kept share (Wilson interval) against the kept instructions' distance to their nearest neighbour, by cell.

    ``by_cell`` is what ``diversity.by_group`` returns for "cell". Cells with too few kept rows for a distance are
    named at the foot.
    """
    drawn = {name: row for name, row in by_cell.items() if math.isfinite(number(row, "nearest_cosine"))}
    missing = [f"{name} ({row['kept']} kept)" for name, row in by_cell.items() if name not in drawn]
    size = next((row["similarity_texts"] for row in drawn.values()), 0)
    note = (
        "Right: kept instructions differ more (1 - cosine of character n-gram counts, to the nearest in "
        f"samples of {size}).\nUp: more rows pass the filters. Bars: 95 % intervals."
    )
    if missing:
        note += "".join(f"\nToo few rows: {', '.join(missing[at : at + 4])}" for at in range(0, len(missing), 4))
    groups = {}
    for name in drawn:
        groups.setdefault(name.partition(" ")[0], []).append(name)
    one_rest = len({name.partition(" ")[2] for name in drawn}) == 1  # then the heat alone tells cells apart
    with canvas(path, 5.2 + 0.18 * note.count("\n"), "Yield and diversity of each decoding cell", note) as figure:
        axes = figure.subplots()
        points, strokes, labels = [], [], []
        for place, (heat, names) in enumerate(groups.items()):
            colour, marker = HEAT[place % len(HEAT)]
            for name in names:
                row = drawn[name]
                x, low, high = (1 - number(row, f"nearest_{end}") for end in ("cosine", "high", "low"))
                y, bottom, top = (100 * number(row, f"kept_{end}") for end in ("share", "low", "high"))
                axes.plot([low, high], [y, y], color=colour, linewidth=1.2, alpha=0.7)
                axes.plot([x, x], [bottom, top], color=colour, linewidth=1.2, alpha=0.7)
                axes.plot(
                    x,
                    y,
                    marker,
                    color=colour,
                    markersize=9,
                    markeredgecolor=BLACK,
                    zorder=4,
                    linestyle="none",
                    label=heat if name == names[0] else None,
                )
                points.append((x, y))
                strokes += [(low, y, high, y), (x, bottom, x, top)]
                labels.append(heat if one_rest else name.partition(" ")[2] if len(groups) > 1 else name)
        axes.set_xlabel("distance to the nearest kept instruction")
        axes.set_ylabel("percent of rows kept")
        axes.grid(color=LIGHT, linewidth=0.6)
        axes.margins(x=0.12, y=0.08)
        if len(groups) > 1:
            _key(axes)
        place_labels(axes, points, labels, strokes)


def _key(axes: Axes) -> None:
    """What the colours mean, in one line above the panel."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=6,
        frameon=False,
        fontsize=10,
        borderaxespad=0.2,
        handletextpad=0.4,
        columnspacing=1.5,
        handlelength=1.2,
    )
