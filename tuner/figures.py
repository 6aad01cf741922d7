"""Figures of the README: every function takes values and a path and writes one PNG, 900 pixels wide.

Rows may come from a CSV: numbers may be text, and a blank is a value that does not exist. The same data gives
the same bytes: no date, no version, no random placement.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from tuner.compare import ACCURACIES, BASE, compared, pareto
from tuner.data_figures import filtering
from tuner.figure_style import (
    BLACK,
    GREY,
    LIGHT,
    MARKERS,
    canvas,
    log_axis,
    method_colours,
    named,
    number,
    place_labels,
    reference,
    rows_axis,
    series,
    short,
    steps_axis,
)

Rows = Sequence[Mapping[str, Any]]
LN2 = math.log(2)  # loss of DPO before the first step, when policy and reference are one model


def running_mean(values: Sequence[float]) -> list[float]:
    """Return for each value the mean of the last ones up to it: a tenth of all, of fewer at the beginning."""
    window = max(1, len(values) // 10)
    return [float(np.mean(values[max(0, end - window) : end])) for end in range(1, len(values) + 1)]


def training_curves(curves: Mapping[str, Rows], path: str | Path) -> None:
    """Training loss (thin; thick its mean over a tenth of all steps) and validation loss (markers), a panel each.

    Nats per token. Rows need ``step`` (or ``tokens`` in all rows of all methods, then that is the axis) and may have
    ``loss`` and ``eval_loss``. Grey lines repeat the other methods' means, so that panels can be compared. The frame
    is that of the means, after a twentieth of the steps, and the validation: what leaves it is cut off.
    """
    colours = method_colours(list(curves))
    rows = [row for method in curves for row in curves[method]]
    x = "tokens" if rows and all(math.isfinite(number(row, "tokens")) for row in rows) else "step"
    wide = min(4, max(2, math.ceil(len(curves) / math.ceil(len(curves) / 4)))) if len(curves) > 1 else 1
    deep = math.ceil(max(len(curves), 1) / wide)
    with canvas(
        path,
        1.1 + 2.5 * deep,
        "Training and validation loss of each method",
        "Thin: training batches. Thick: their mean over a tenth of the steps, grey that of the others. "
        "Markers: validation set.\nSingle batches may lie outside of the frame.",
    ) as figure:
        panels = figure.subplots(deep, wide, sharex=True, sharey=True, squeeze=False).ravel()
        means = [running_mean(series(found, x, "loss")[1]) for found in curves.values()]
        framed = [values[len(values) // 20 :] for values in means]  # the first batches would set the frame
        framed += [list(series(found, x, "eval_loss")[1]) for found in curves.values()]
        inside = [value for values in framed for value in values]
        if inside and max(inside) > min(inside):
            margin = 0.08 * (max(inside) - min(inside))
            panels[0].set_ylim(min(inside) - margin, max(inside) + margin)
        for panel, method in zip(panels, curves, strict=False):
            for other in curves:
                steps, loss = series(curves[other], x, "loss")
                mine = other == method
                if mine:
                    panel.plot(steps, loss, color=colours[method], linewidth=0.5, alpha=0.45, zorder=2)
                panel.plot(
                    steps,
                    running_mean(loss),
                    color=colours[method] if mine else "#B8B8B8",
                    zorder=3 if mine else 1,
                    linewidth=2 if mine else 1.2,
                    marker="_" if len(steps) == 1 else "",
                    markersize=18,
                )
            steps, loss = series(curves[method], x, "eval_loss")
            panel.plot(steps, loss, color=BLACK, linewidth=0.8, linestyle=":", zorder=4)
            look = {"marker": MARKERS[colours[method]], "color": colours[method], "markeredgecolor": BLACK}
            panel.plot(steps, loss, linestyle="none", markersize=7, zorder=5, **look)
            last = f"last validation {loss[-1]:.2f}" if len(loss) else "not validated"
            panel.set_title(f"{named(method)}\n{last}", fontsize=10.5)
            steps_axis(panel)
        for panel in panels[len(curves) :]:
            panel.set_visible(False)
        for index, panel in enumerate(panels[: len(curves)]):
            panel.tick_params(labelbottom=index + wide >= len(curves))
            if index + wide >= len(curves):
                panel.set_xlabel("training tokens" if x == "tokens" else "optimizer steps")
            if index % wide == 0:
                panel.set_ylabel("loss, nats per token")


def dpo_curves(rows: Rows, path: str | Path, method: str = "dpo") -> None:
    """Loss, preference accuracy, reward margin and log-probabilities over the steps of one DPO run.

    Keys: ``step``, ``loss``, ``accuracy`` (fraction), ``margin`` (reward units), ``logps_chosen`` and
    ``logps_rejected`` (nats per reply), and ``eval_`` with each of them.
    """
    colour = method_colours([method])[method]
    with canvas(
        path,
        5.8,
        f"Preference training ({method.replace('_', ' ')})",
        "Line: training batches. Markers: validation set.",
    ) as figure:
        panels = figure.subplots(2, 2, sharex=True).ravel()
        titles = (
            "loss",
            "accuracy: chosen reply preferred",
            "reward margin: chosen minus rejected",
            "log-probability of the replies, nats",
        )
        keys = (["loss"], ["accuracy"], ["margin"], ["logps_chosen", "logps_rejected"])
        for panel, title, group in zip(panels, titles, keys, strict=True):
            for key in group:
                rejected = key == "logps_rejected"
                line, marker = ("--", "o") if rejected else ("-", "D")
                shade = GREY if rejected else colour
                steps, values = series(rows, "step", key)
                panel.plot(
                    steps,
                    values,
                    line,
                    color=shade,
                    linewidth=1.6,
                    marker="_" if len(steps) == 1 else "",
                    markersize=18,
                )
                points, checks = series(rows, "step", f"eval_{key}")
                look = {"marker": marker, "color": shade, "markersize": 7, "markeredgecolor": BLACK}
                panel.plot(points, checks, linestyle="none", zorder=4, **look)
                panel.plot([], [], line, label=key.removeprefix("logps_"), **look)  # in the legend, line and marker
            panel.set_title(title)
            steps_axis(panel)
            panel.margins(y=0.15)
        reference(panels[0], LN2, "ln 2")
        reference(panels[1], 0.5, "chance")
        reference(panels[2], 0.0, "")
        low, high = panels[3].get_ylim()
        panels[3].set_ylim(low - 0.2 * (high - low), high)  # room for the names of the lines
        panels[3].legend(loc="lower left", ncols=2, frameon=False)
        left, right = panels[3].get_xlim()  # shared; the room on the right is for names of levels
        panels[3].set_xlim(left, right + 0.18 * (right - left))
        for panel in panels[2:]:
            panel.set_xlabel("optimizer steps")


def model_comparison(results_rows: Rows, comparison: Mapping[str, Any], path: str | Path) -> None:
    """Difference of each method to base with its interval, one panel per metric; filled = evidence.

    ``comparison`` is what ``compare.compare`` returns, whose pairs of methods are left out.
    ``results_rows`` (``compare.summary_rows``) sets the order of the methods.
    """
    order = [row["method"] for row in results_rows if row["method"] in comparison]
    metrics = compared(comparison)
    colours = method_colours([row["method"] for row in results_rows])
    deep = math.ceil(len(metrics) / 2)
    facts = next(iter(comparison["suites"].values()))
    note = (
        f"Bars: {100 * (1 - facts['alpha']):g} % intervals of the difference, on the same items. Filled: "
        f"better or worse after Holm over {facts['tests']} tests.\nOpen: no evidence of a difference."
    )
    height = 1.2 + deep * (0.9 + 0.3 * len(order))
    with canvas(path, height, "Difference to the base model, by method", note) as figure:
        panels = figure.subplots(deep, 2, sharey=True, squeeze=False).ravel()
        for panel in panels[len(metrics) :]:
            panel.set_visible(False)
        for panel, metric in zip(panels, metrics, strict=False):
            scale = 1 if metric == "eval_loss" else 100
            panel.axvline(0, color=BLACK, linewidth=1)
            for height, key in zip(rows_axis(panel, order), order, strict=True):
                cell, colour = comparison[key][metric], colours[key]
                low, middle, high = (scale * cell[end] for end in ("low", "difference", "high"))
                filled = cell["verdict"] != "no evidence"
                panel.plot([low, high], [height, height], color=colour, linewidth=2.4, solid_capstyle="butt")
                panel.plot(
                    middle,
                    height,
                    MARKERS.get(colour, "o"),
                    color=colour,
                    markersize=8.5,
                    zorder=4,
                    markerfacecolor=colour if filled else "white",
                    markeredgewidth=1.6,
                    markeredgecolor=BLACK if filled else colour,
                )
                label = f"{middle:+.3f}" if scale == 1 else f"{middle:+.1f}"
                label = "0" if float(label) == 0 else label.replace("-", "\N{MINUS SIGN}")
                panel.annotate(
                    label,
                    (1.015, height),
                    va="center",
                    xycoords=("axes fraction", "data"),
                    annotation_clip=False,
                    fontsize=9.5,
                    fontweight="bold" if filled else "normal",
                )
            floor = comparison["suites"][metric]["floor"]
            panel.set_title(
                f"{named(metric)} (base {floor:.3f})" if scale == 1 else f"{named(metric)} (base {100 * floor:.0f} %)"
            )
            panel.set_xlabel("nats per token; left is better" if scale == 1 else "points; right is better")
            panel.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
            panel.grid(axis="x", color=LIGHT, linewidth=0.6)


def efficiency(rows: Rows, path: str | Path) -> None:
    """Trainable parameters (log axis), adapter megabytes, training seconds, tokens per second by method."""
    colours = method_colours([row["method"] for row in rows])
    rows = [row for row in rows if number(row, "trainable_parameters") > 0]
    titles = {
        "trainable_parameters": "trainable parameters (log axis)",
        "adapter_megabytes": "adapter file, MB",
        "train_seconds": "training time, seconds",
        "tokens_per_second": "training tokens per second",
    }
    note = (
        "Measured once: no interval. The base model is not trained. Time of a method that goes on from another's\n"
        "adapter: both together; its tokens per second are its own."
    )
    height = 1.4 + 2 * (0.5 + 0.32 * max(len(rows), 2))
    with canvas(path, height, "Cost of training and keeping each method", note) as figure:
        panels = figure.subplots(2, 2, sharey=True).ravel()
        for panel, (key, title) in zip(panels, titles.items(), strict=True):
            values = np.array([number(row, key) for row in rows], dtype=np.float64)
            heights = rows_axis(panel, [row["method"] for row in rows])
            known = values[np.isfinite(values) & (values > 0)]
            left, right = 0.0, 1.3 * max(known, default=1.0)
            if key == "trainable_parameters" and len(known):
                left = 10 ** (math.floor(math.log10(known.min())) - 0.5)
                log_axis(panel, left, known.max() * (known.max() / left) ** 0.35)
            else:
                panel.set_xlim(left, right)
            panel.barh(
                heights,
                np.nan_to_num(values),
                height=0.7,
                edgecolor=GREY,
                linewidth=0.5,
                color=[colours[row["method"]] for row in rows],
            )
            for height, value in zip(heights, values, strict=True):
                text = "  not measured" if math.isnan(value) else f"  {short(value)}"
                panel.text(left if math.isnan(value) else max(value, left), height, text, va="center")
            panel.set_title(title)


def axes(rows: Rows, path: str | Path, chance: Mapping[str, float], alpha: float) -> None:
    """Accuracy with its interval per suite and per agent axis: one panel each, one bar per method.

    ``chance`` is the accuracy of random guesses where there is such a thing. A ring shows the share of the agent's
    replies that were in the form asked for, right or wrong.
    """
    found = dict.fromkeys(key.removesuffix("_low") for row in rows for key in row if key.endswith("_low"))
    names = [
        name
        for name in (*ACCURACIES, *(one for one in found if one not in ACCURACIES))
        if any(math.isfinite(number(row, name)) for row in rows)
    ]
    colours = method_colours([row["method"] for row in rows])
    deep = math.ceil(len(names) / 4)
    note = (
        f"Bars, numbers: items answered right. Black: the {100 * (1 - alpha):g} % interval. Dotted: random guesses.\n"
        "Ring: items whose reply was in the form that was asked for, right or wrong."
    )
    with canvas(path, 1.2 + deep * (0.75 + 0.3 * len(rows)), "Accuracy by suite and by agent axis", note) as figure:
        panels = figure.subplots(deep, 4, sharex=True, sharey=True, squeeze=False).ravel()
        for panel in panels[len(names) :]:
            panel.set_visible(False)
        for index, (panel, name) in enumerate(zip(panels, names, strict=False)):
            for height, row in zip(rows_axis(panel, [row["method"] for row in rows]), rows, strict=True):
                value, low, high = (100 * number(row, name + end) for end in ("", "_low", "_high"))
                panel.barh(height, value, height=0.72, color=colours[row["method"]], alpha=0.75)
                panel.plot([low, high], [height, height], color=BLACK, linewidth=1.4)
                panel.plot([low, high], [height, height], "|", color=BLACK, markersize=6)
                form = 100 * number(row, f"{name}_valid_format")
                panel.plot(form, height, "o", color=BLACK, markerfacecolor="none", markersize=5, linestyle="none")
                panel.annotate(
                    f"{value:.1f}",
                    (1, height),
                    xycoords=("axes fraction", "data"),
                    ha="right",
                    va="center",
                    fontsize=9.5,
                    bbox={"fc": "white", "ec": "none", "pad": 0.6},
                )
            if name in chance:
                panel.axvline(100 * chance[name], color=BLACK, linestyle=":", linewidth=1.4)
            panel.set_title(named(name) + (f" (guess {100 * chance[name]:.0f})" if name in chance else ""))
            panel.set_xlim(0, 138)  # room for the numbers
            panel.set_xticks([0, 50, 100])
            panel.tick_params(labelbottom=index + 4 >= len(names))
            if index + 4 >= len(names):
                panel.set_xlabel("percent of items")


def tradeoff(rows: Rows, path: str | Path, alpha: float, quality: str = "instruction_following") -> None:
    """Accuracy ``quality`` (with intervals) against trainable parameters and against training seconds.

    The line joins the methods that none is both cheaper and better than, by point estimates; the others are
    grey. The base model costs nothing, so the line starts at its level and a method below that is grey.
    """
    colours = method_colours([row["method"] for row in rows])
    level = next((100 * number(row, quality) for row in rows if row["method"] == BASE), math.nan)
    note = (
        "Line and colour: no other method is as cheap or cheaper, and better, by the values measured. Grey: some "
        f"other is.\nBars: {100 * (1 - alpha):g} % intervals of the accuracy. Points of equal cost stand side by side."
    )
    with canvas(path, 4.6, f"Quality against cost: {named(quality)}", note) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        texts = {"trainable_parameters": "trainable parameters", "train_seconds": "training time, seconds"}
        labels = []
        for panel, (key, text) in zip(panels, texts.items(), strict=True):
            shown = [
                row
                for row in rows
                if row["method"] != BASE and number(row, key) > 0 and math.isfinite(number(row, quality))
            ]
            points = [(number(row, key), 100 * number(row, quality)) for row in shown]
            bars = [(100 * number(row, quality + "_low"), 100 * number(row, quality + "_high")) for row in shown]
            origin = [(0.0, level)] if math.isfinite(level) else []
            best = pareto(origin + points)[len(origin) :]
            low, high = (min(x for x, _ in points), max(x for x, _ in points)) if points else (1.0, 10.0)
            margin = max(high / low, 10.0) ** 0.3
            places = [x * 1.12 ** [other for other, _ in points[:at]].count(x) for at, (x, _) in enumerate(points)]
            log_axis(panel, low / margin, high * margin)
            front = sorted(point for point, keep in zip(points, best, strict=True) if keep)
            corners = [(low / margin, level)] * len(origin) + front
            if corners:
                corners.append((high * margin, corners[-1][1]))
                panel.step(*zip(*corners, strict=True), where="post", color=BLACK, linewidth=1, zorder=1)
            for row, x, (_, y), bar, keep in zip(shown, places, points, bars, best, strict=True):
                colour = colours[row["method"]] if keep else "#A8A8A8"
                panel.plot([x, x], bar, color=colour, linewidth=2)
                panel.plot(
                    x,
                    y,
                    MARKERS.get(colours[row["method"]], "o"),
                    color=colour,
                    markersize=9,
                    markeredgecolor=BLACK if keep else GREY,
                    zorder=4,
                )
            if origin:
                reference(panel, level, "base")
            panel.set_xlabel(f"{text} (log axis)")
            panel.grid(axis="y", color=LIGHT, linewidth=0.6)
            strokes = [(x, bottom, x, top) for x, (bottom, top) in zip(places, bars, strict=True)]
            strokes += [(a, y, b, y) for (a, y), (b, _) in zip(corners, corners[1:], strict=False)]
            drawn = [(x, y) for x, (_, y) in zip(places, points, strict=True)]
            labels.append((panel, drawn, [named(row["method"]) for row in shown], strokes))
        panels[0].set_ylabel("percent of items right")
        for one in labels:  # after both panels are complete: they share the vertical axis and the layout
            place_labels(*one)


def write_all(
    folder: Path,
    counts: Mapping[str, int],
    curves: Mapping[str, Sequence[Rows]],
    rows: Rows,
    comparison: Mapping[str, Any],
) -> None:
    """Write all seven figures to ``folder``; ``curves`` holds (training rows, validation rows) of each method."""
    merged = {
        method: [
            *trained,
            *({"step": row["step"]} | {f"eval_{key}": value for key, value in row.items()} for row in validated),
        ]
        for method, (trained, validated) in curves.items()
    }
    filtering(counts, folder / "filtering.png")
    training_curves(
        {method: found for method, found in merged.items() if method != "dpo"}, folder / "training_curves.png"
    )
    dpo_curves(merged["dpo"], folder / "dpo_curves.png")
    model_comparison(rows, comparison, folder / "model_comparison.png")
    efficiency(rows, folder / "efficiency.png")
    facts = comparison["suites"]
    alpha = next(iter(facts.values()))["alpha"]
    axes(rows, folder / "axes.png", {name: one["chance"] for name, one in facts.items() if one["chance"]}, alpha)
    tradeoff(rows, folder / "tradeoff.png", alpha)
