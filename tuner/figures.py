"""Figures of the README: every function takes values and a path and writes one PNG, 900 pixels wide.

Rows may come from a CSV: numbers may be text, and a blank is a value that does not exist. The same data gives
the same bytes: no date, no version, no random placement. Colours are Okabe and Ito's, which people with any
kind of colour blindness can tell apart (Wong 2011, Nature Methods 8:441); a method keeps its colour and its
marker in all figures, and nothing is told by colour alone.
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
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from tuner.compare import ACCURACIES, BASE, METRICS, TITLES

BLACK, GREY, LIGHT = "#000000", "#6E6E6E", "#D9D9D9"
# Known methods have fixed colours; yellow, hard to see on white, is the last to be given away.
KNOWN = {BASE: BLACK, "lora": "#0072B2", "prompt_tuning": "#E69F00", "dpo": "#CC79A7", "ia3": "#009E73",
         "full": "#D55E00", "prefix_tuning": "#56B4E9", "dora": "#F0E442"}
MARKERS = dict(zip(KNOWN.values(), "soD^vP*X", strict=True))
STYLE = {"font.size": 11, "axes.titlesize": 11.5, "axes.titlelocation": "left", "axes.labelsize": 10.5,
         "xtick.labelsize": 10, "ytick.labelsize": 10.5, "axes.spines.top": False, "axes.spines.right": False,
         "axes.edgecolor": GREY, "axes.axisbelow": True, "figure.titlesize": 13, "figure.titleweight": "bold",
         "savefig.facecolor": "white"}
LN2 = math.log(2)  # loss of DPO before the first step, when policy and reference are one model


def method_colours(methods: Sequence[str]) -> dict[str, str]:
    """Colour of each method. Unknown ones start at a place set by their name and take the next free colour."""
    free = [colour for name, colour in KNOWN.items() if name != BASE and name not in methods]
    colours = {method: KNOWN[method] for method in methods if method in KNOWN}
    for method in sorted(set(methods) - set(KNOWN)):
        pool = free or [colour for colour in KNOWN.values() if colour != BLACK]
        colours[method] = pool[zlib.crc32(method.encode()) % len(pool)]
        free = [colour for colour in free if colour != colours[method]]
    return {method: colours[method] for method in methods}


def _number(row: Mapping[str, Any], key: str) -> float:
    """Value as a float; NaN where it is absent, blank or None."""
    value = row.get(key)
    return math.nan if value is None or value == "" else float(value)


def _series(rows: Sequence[Mapping[str, Any]], x: str, y: str) -> tuple[np.ndarray, np.ndarray]:
    """The points that have both, shape (k,) each."""
    points = np.array([(_number(row, x), _number(row, y)) for row in rows], dtype=np.float64).reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    return points[:, 0], points[:, 1]


def _named(name: str) -> str:
    return TITLES.get(name, name.removeprefix("agent_").replace("_", " "))


@contextmanager
def _canvas(path: str | Path, height: float, title: str, note: str = "") -> Iterator[Figure]:
    """A figure of 9 x ``height`` inches at 100 dpi, written on leaving; settings of the caller are untouched."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        figure = Figure(figsize=(9, height), dpi=100, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06, wspace=0.03, hspace=0.03)
        figure.suptitle(title, x=0.008, ha="left")
        if note:
            figure.supxlabel(note, x=0.008, ha="left", fontsize=9.5, color=GREY)
        yield figure
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png", metadata={"Software": None})


def _rows_axis(axes: Axes, names: Sequence[str]) -> np.ndarray:
    """Methods as rows, the first on top; returns their heights, shape (len(names),)."""
    heights = np.arange(len(names), dtype=np.float64)
    axes.set_yticks(heights, [name.replace("_", " ") for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return heights


def _steps(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(axis="y", color=LIGHT, linewidth=0.6)


def filtering(counts: Mapping[str, int], path: str | Path) -> None:
    """Samples in, kept, and dropped by each reason (``dropped_<reason>``), as bars with counts and shares."""
    reasons = {key.removeprefix("dropped_").replace("_", " "): int(value) for key, value in counts.items()
               if key.startswith("dropped_")}
    bars = {"sampled": int(counts["in"]), "kept": int(counts["kept"]), "dropped": int(counts["dropped"])}
    bars |= {f"by {name}": reasons[name] for name in sorted(reasons, key=lambda name: (-reasons[name], name))}
    colours = [GREY, KNOWN["lora"], KNOWN["full"], *["#EBB28A"] * len(reasons)]
    with _canvas(path, 1.3 + 0.34 * len(bars), "Samples kept and dropped by the filters",
                 "Each sample counts once, under the first filter that dropped it.") as figure:
        axes = figure.subplots()
        heights = _rows_axis(axes, list(bars))
        axes.barh(heights, list(bars.values()), height=0.72, color=colours)
        for height, value in zip(heights, bars.values(), strict=True):
            share = f"  {value:,}  ({100 * value / max(bars['sampled'], 1):.1f} %)"
            axes.text(value, height, share, va="center")
        axes.set_xlim(0, 1.22 * max(1, *bars.values()))
        axes.set_xlabel("samples")


def training_curves(curves: Mapping[str, Sequence[Mapping[str, Any]]], path: str | Path) -> None:
    """Training loss (line) and validation loss (markers) of each method, nats per token, one panel each.

    Rows need ``step`` (or ``tokens`` in all rows of all methods, then that is the axis) and may have ``loss``
    and ``eval_loss``. Grey lines repeat the other methods' training loss, so that panels can be compared.
    """
    colours = method_colours(list(curves))
    rows = [row for method in curves for row in curves[method]]
    x = "tokens" if rows and all(math.isfinite(_number(row, "tokens")) for row in rows) else "step"
    wide = min(4, max(2, math.ceil(len(curves) / math.ceil(len(curves) / 4)))) if len(curves) > 1 else 1
    deep = math.ceil(max(len(curves), 1) / wide)
    with _canvas(path, 1.1 + 2.5 * deep, "Training and validation loss of each method",
                 "Line: training batches. Markers: validation set. Grey: training loss of the others.") as figure:
        panels = figure.subplots(deep, wide, sharex=True, sharey=True, squeeze=False).ravel()
        for panel, method in zip(panels, curves, strict=False):
            for other in curves:
                steps, loss = _series(curves[other], x, "loss")
                mine = other == method
                panel.plot(steps, loss, color=colours[method] if mine else LIGHT, linewidth=1.6 if mine else 1,
                           marker="." if len(steps) == 1 else None, zorder=3 if mine else 1)
            steps, loss = _series(curves[method], x, "eval_loss")
            panel.plot(steps, loss, color=BLACK, linewidth=0.8, linestyle=":", zorder=4)
            panel.plot(steps, loss, color=colours[method], linestyle="none", marker=MARKERS[colours[method]],
                       markersize=7, markeredgecolor=BLACK, zorder=5)
            last = f": validation {loss[-1]:.2f}" if len(loss) else ""
            panel.set_title(_named(method) + last)
            _steps(panel)
        for panel in panels[len(curves):]:
            panel.set_visible(False)
        for index, panel in enumerate(panels[:len(curves)]):
            panel.tick_params(labelbottom=index + wide >= len(curves))
            if index + wide >= len(curves):
                panel.set_xlabel("training tokens" if x == "tokens" else "optimizer steps")
            if index % wide == 0:
                panel.set_ylabel("loss, nats per token")


def dpo_curves(rows: Sequence[Mapping[str, Any]], path: str | Path, method: str = "dpo") -> None:
    """Loss, preference accuracy, reward margin and log-probabilities over the steps of one DPO run.

    Keys: ``step``, ``loss``, ``accuracy`` (fraction), ``margin`` (reward units), ``logps_chosen`` and
    ``logps_rejected`` (nats per reply), and ``eval_`` with each of them.
    """
    colour = method_colours([method])[method]
    with _canvas(path, 5.8, f"Preference training ({method.replace('_', ' ')})",
                 "Line: training batches. Markers: validation set.") as figure:
        panels = figure.subplots(2, 2, sharex=True).ravel()
        titles = ("loss", "accuracy: chosen reply preferred", "reward margin: chosen minus rejected",
                  "log-probability of the replies, nats")
        keys = (["loss"], ["accuracy"], ["margin"], ["logps_chosen", "logps_rejected"])
        for panel, title, group in zip(panels, titles, keys, strict=True):
            for key in group:
                rejected = key == "logps_rejected"
                line, marker = ("--", "o") if rejected else ("-", "D")
                shade = GREY if rejected else colour
                steps, values = _series(rows, "step", key)
                panel.plot(steps, values, line, color=shade, linewidth=1.6, marker="." if len(steps) == 1 else "")
                points, checks = _series(rows, "step", f"eval_{key}")
                panel.plot(points, checks, linestyle="none", marker=marker, color=shade, markersize=7,
                           markeredgecolor=BLACK, zorder=4)
                end = max(((x[-1], y[-1]) for x, y in ((steps, values), (points, checks)) if len(x)),
                          default=None)
                if len(group) > 1 and end:
                    panel.annotate(key.removeprefix("logps_"), end, xytext=(7, -10 if rejected else 6),
                                   textcoords="offset points", annotation_clip=False)
            panel.set_title(title)
            _steps(panel)
            panel.margins(y=0.15)
        _reference(panels[0], LN2, "ln 2: no preference")
        _reference(panels[1], 0.5, "chance")
        _reference(panels[2], 0.0, "")
        panels[3].margins(x=0.2)
        for panel in panels[2:]:
            panel.set_xlabel("optimizer steps")


def _reference(panel: Axes, value: float, text: str) -> None:
    panel.axhline(value, color=BLACK, linestyle=":", linewidth=1.2, zorder=2)
    panel.annotate(text, (0, value), xycoords=("axes fraction", "data"), xytext=(3, 3), fontsize=9.5,
                   textcoords="offset points", color=GREY)


def model_comparison(results_rows: Sequence[Mapping[str, Any]], comparison: Mapping[str, Any],
                     path: str | Path) -> None:
    """Difference of each method to base with its interval, one panel per metric; filled = evidence.

    ``comparison`` is what ``compare.compare`` returns; its pairs of methods stand below a line.
    ``results_rows`` (``compare.summary_rows``) sets the order of the methods.
    """
    order = [row["method"] for row in results_rows if row["method"] in comparison]
    others = [key for key in comparison if key not in (*order, "suites")]
    metrics = [metric for metric in METRICS if metric in comparison["suites"]]
    colours = method_colours([row["method"] for row in results_rows])
    deep = math.ceil(len(metrics) / 2)
    facts = next(iter(comparison["suites"].values()))
    note = (f"Bars: {100 * (1 - facts['alpha']):g} % intervals of the difference on the same items. Filled: better "
            f"or worse after Holm over {facts['tests']} tests.\nOpen: no evidence of a difference.")
    with _canvas(path, 1.2 + deep * (0.9 + 0.3 * len(order + others)), "Difference to the base model, by method",
                 note) as figure:
        panels = figure.subplots(deep, 2, sharey=True, squeeze=False).ravel()
        for panel in panels[len(metrics):]:
            panel.set_visible(False)
        for panel, metric in zip(panels, metrics, strict=False):
            scale = 1 if metric == "eval_loss" else 100
            names = order + [key.replace("_vs_", " vs ") for key in others]
            panel.axvline(0, color=BLACK, linewidth=1)
            for height, key in zip(_rows_axis(panel, names), order + others, strict=True):
                cell = comparison[key][metric]
                colour = colours.get(key) or colours.get(key.removesuffix(f"_vs_{cell['reference']}"), GREY)
                low, middle, high = (scale * cell[end] for end in ("low", "difference", "high"))
                filled = cell["verdict"] != "no evidence"
                panel.plot([low, high], [height, height], color=colour, linewidth=2.4, solid_capstyle="butt")
                panel.plot(middle, height, MARKERS.get(colour, "o"), color=colour, markersize=8.5, zorder=4,
                           markerfacecolor=colour if filled else "white", markeredgewidth=1.6,
                           markeredgecolor=BLACK if filled else colour)
                label = f"{middle:+.2f}" if scale == 1 else f"{middle:+.0f}"
                panel.annotate(label.replace("-", "\N{MINUS SIGN}"), (1.015, height), va="center", fontsize=9.5,
                               xycoords=("axes fraction", "data"), annotation_clip=False,
                               fontweight="bold" if filled else "normal")
            if others:
                panel.axhline(len(order) - 0.5, color=GREY, linewidth=0.8)
            floor = comparison["suites"][metric]["floor"]
            panel.set_title(f"{_named(metric)} (base {floor:.2f})" if scale == 1 else
                            f"{_named(metric)} (base {100 * floor:.0f} %)")
            panel.set_xlabel("nats per token; left is better" if scale == 1 else "points; right is better")
            panel.xaxis.set_major_locator(MaxNLocator(5))
            panel.grid(axis="x", color=LIGHT, linewidth=0.6)


def efficiency(rows: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Trainable parameters (log axis), adapter megabytes, training seconds and tokens per second, by method."""
    colours = method_colours([row["method"] for row in rows])
    rows = [row for row in rows if _number(row, "trainable_parameters") > 0]
    columns = {"trainable_parameters": "trainable parameters (log axis)", "adapter_megabytes": "adapter file, MB",
               "train_seconds": "training time, seconds", "tokens_per_second": "training tokens per second"}
    with _canvas(path, 1.4 + 2 * (0.5 + 0.32 * max(len(rows), 2)), "What each method costs to train and to keep",
                 "One training run each, measured once: no interval. The base model is not trained.") as figure:
        for panel, (key, title) in zip(figure.subplots(2, 2, sharey=True).ravel(), columns.items(), strict=True):
            values = np.array([_number(row, key) for row in rows], dtype=np.float64)
            heights = _rows_axis(panel, [row["method"] for row in rows])
            known = values[np.isfinite(values) & (values > 0)]
            left, right = 0.0, 1.3 * max(known, default=1.0)
            if key == "trainable_parameters" and len(known):
                panel.set_xscale("log")
                left = 10 ** (math.floor(math.log10(known.min())) - 0.5)
                right = known.max() * (known.max() / left) ** 0.3
            panel.set_xlim(left, right)
            panel.barh(heights, np.nan_to_num(values), height=0.7, edgecolor=GREY, linewidth=0.5,
                       color=[colours[row["method"]] for row in rows])
            for height, value in zip(heights, values, strict=True):
                text = "  not measured" if math.isnan(value) else f"  {_short(value)}"
                panel.text(left if math.isnan(value) else max(value, left), height, text, va="center", fontsize=10)
            panel.set_title(title)


def _short(value: float) -> str:
    """Three figures with k, M or G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g} {letter}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
