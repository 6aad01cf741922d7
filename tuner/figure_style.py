"""What all figures share: colours, the canvas that writes the file, and reading numbers from CSV rows.

Colours are Okabe and Ito's, which people with any kind of colour blindness can tell apart (Wong 2011, Nature
Methods 8:441). A method keeps its colour and its marker in all figures; nothing is told by colour alone.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from tuner.compare import BASE, TITLES

BLACK, GREY, LIGHT = "#000000", "#6E6E6E", "#D9D9D9"
# Methods with a fixed colour. Yellow is hard to see on white, so it goes to the least likely one.
KNOWN = {
    BASE: BLACK,
    "lora": "#0072B2",
    "prompt_tuning": "#E69F00",
    "dpo": "#CC79A7",
    "ia3": "#009E73",
    "full": "#D55E00",
    "prefix_tuning": "#56B4E9",
    "dora": "#F0E442",
}
MARKERS = dict(zip(KNOWN.values(), "soD^vP*X", strict=True))
STYLE = {
    "font.size": 11,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 10.5,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "figure.titlesize": 13,
    "figure.titleweight": "bold",
    "savefig.facecolor": "white",
}


def method_colours(methods: Sequence[str]) -> dict[str, str]:
    """Colour of each method; unknown ones take free colours from a place set by their name.

    With more methods than colours, colours repeat: names beside bars and points still tell them apart.
    """
    colours = {method: KNOWN[method] for method in methods if method in KNOWN}
    free = [colour for colour in KNOWN.values() if colour != BLACK and colour not in colours.values()]
    for method in sorted(set(methods) - set(KNOWN)):
        pool = free or [colour for colour in KNOWN.values() if colour != BLACK]
        colours[method] = pool[zlib.crc32(method.encode()) % len(pool)]
        free = [colour for colour in free if colour != colours[method]]
    return {method: colours[method] for method in methods}


def number(row: Mapping[str, Any], key: str) -> float:
    """Value as a float; NaN where it is absent, blank or None."""
    value = row.get(key)
    return math.nan if value is None or value == "" else float(value)


def series(rows: Sequence[Mapping[str, Any]], x: str, y: str) -> tuple[np.ndarray, np.ndarray]:
    """The points of two columns that have both values, shape (k,) each."""
    points = np.array([(number(row, x), number(row, y)) for row in rows], dtype=np.float64).reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    return points[:, 0], points[:, 1]


def named(name: str) -> str:
    """Name of a metric, an axis (``agent_tool_use``) or a method as it is printed."""
    return TITLES.get(name, name.replace("agent_", "agent: ").replace("_", " "))


def short(value: float) -> str:
    """Three figures, large values with k, M or G: 4.88 M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= max(size, 1e4) * 0.9995:
            return f"{value / size:.3g} {letter}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


@contextmanager
def canvas(path: str | Path, height: float, title: str, note: str = "") -> Iterator[Figure]:
    """A figure of 9 x ``height`` inches at 100 dpi, written as PNG on leaving, ``note`` in grey at its foot.

    The caller's matplotlib settings are neither used nor changed, and no version is written into the file.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        figure = Figure(figsize=(9, height), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)  # Agg for this figure only, whatever backend the process uses
        figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06, wspace=0.03, hspace=0.03)
        figure.suptitle(title, x=0.008, ha="left")
        if note:
            figure.supxlabel(note, x=0.008, ha="left", fontsize=9.5, color=GREY)
        yield figure
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png", metadata={"Software": None})


def rows_axis(axes: Axes, names: Sequence[str]) -> np.ndarray:
    """Names as rows, the first on top; returns their heights, shape (len(names),)."""
    heights = np.arange(len(names), dtype=np.float64)
    axes.set_yticks(heights, [name.replace("_", " ") for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return heights


def log_axis(axes: Axes, low: float, high: float) -> None:
    """Horizontal log axis from ``low`` to ``high`` with a few plain numbers: 10k, 1M."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    decades = math.log10(high / low)
    factors = (1, 2, 5) if decades < 2 else (1,)
    ticks = [factor * 10.0**power for power in powers[:: max(1, round(decades / 5))] for factor in factors]
    axes.set_xticks([tick for tick in ticks if low <= tick <= high])
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(lambda value, _: "")


def steps_axis(axes: Axes) -> None:
    """Few whole-number ticks below, light lines across."""
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(axis="y", color=LIGHT, linewidth=0.6)


def reference(axes: Axes, value: float, text: str = "") -> None:
    """A dotted level across the panel, named at its right end."""
    axes.axhline(value, color=BLACK, linestyle=":", linewidth=1.2, zorder=2)
    axes.annotate(
        text,
        (1, value),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 3),
        fontsize=9.5,
        ha="right",
        textcoords="offset points",
        color=GREY,
    )


def place_labels(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    lines: Sequence[tuple[float, float, float, float]],
) -> None:
    """A label beside each point (data units), where it covers least of other labels, points and lines.

    ``lines`` are upright or level strokes, (left, bottom, right, top) each. Needs the final limits and layout.
    A label that had to move away keeps a thin line to its point.
    """
    figure = axes.figure
    figure.draw_without_rendering()  # settles the layout, so that data units have a place in pixels
    at = axes.transData.transform(np.asarray(points, dtype=np.float64).reshape(-1, 2))
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in at]
    for left, bottom, right, top in lines:
        corner, opposite = axes.transData.transform([(left, bottom), (right, top)])
        taken.append((corner[0] - 4, corner[1] - 3, opposite[0] + 4, opposite[1] + 3))
    frame, renderer = axes.get_window_extent().extents, figure.canvas.get_renderer()
    back = axes.transAxes.inverted()
    for (x, y), text in zip(at, texts, strict=True):
        probe = axes.text(0, 0, text, fontsize=10)
        size = probe.get_window_extent(renderer)
        probe.remove()
        boxes = [
            (x + side, y + up - size.height / 2, x + side + size.width, y + up + size.height / 2)
            for up in (0, 15, -15, 30, -30, 45, -45)
            for side in (9, -size.width - 9)
        ]
        best = min(
            boxes,
            key=lambda box: 10 * _outside(box, frame) + _overlap(box, taken) + 0.8 * abs((box[1] + box[3]) / 2 - y),
        )
        taken.append(best)
        middle = (best[1] + best[3]) / 2
        near = best[0] if best[0] > x else best[2]
        if abs(middle - y) > 20:
            ends = back.transform([(x, y), (near, middle)])
            axes.plot(*ends.T, color=GREY, linewidth=0.7, transform=axes.transAxes, zorder=3)
        axes.annotate(
            text,
            back.transform((best[0], middle)),
            xycoords="axes fraction",
            fontsize=10,
            va="center",
            annotation_clip=False,
            in_layout=False,
            zorder=6,
            bbox={"fc": "white", "ec": "none", "pad": 0, "alpha": 0.7},
        )


def _overlap(box: Sequence[float], others: Sequence[Sequence[float]]) -> float:
    """Area in square pixels that ``box`` (left, bottom, right, top) shares with the others."""
    return sum(
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in others
    )


def _outside(box: Sequence[float], frame: Sequence[float]) -> float:
    """Area in square pixels of ``box`` that lies outside the frame."""
    return (box[2] - box[0]) * (box[3] - box[1]) - _overlap(box, [frame])
