"""docs/cost.png: time and peak memory against rows and tokens a row, from docs/cost.csv.

python benchmarks/cost_figure.py
"""

import math
import sys
from pathlib import Path

from matplotlib.ticker import LogLocator

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import cost_model  # noqa: E402
from tuner import figure_style  # noqa: E402

# Okabe and Ito's colours, as in all figures; a stage keeps its colour, its marker and its line.
LOOKS = {
    "generate": ("#0072B2", "s", "-"),
    "filter": ("#6E6E6E", "D", ":"),
    "score": ("#E69F00", "o", "--"),
    "train": ("#D55E00", "^", "-."),
    "evaluate": ("#009E73", "v", (0, (5, 1, 1, 1, 1, 1))),
}


def draw(measured: list[dict], path: Path) -> None:
    """Write the figure: rows of panels are time and memory, columns are what was made to grow; lines are the fits."""
    grown = [along for along in ("rows", "tokens") if any(row["along"] == along for row in measured)]
    note = "Log axes. Points: each run. Lines: least squares on logarithms; k ± standard error of value ~ size^k."
    with figure_style.canvas(path, 7.4, "Cost as the work grows (two CPU cores, 135M parameters)", note) as figure:
        panels = figure.subplots(2, len(grown), sharex="col", squeeze=False)
        for line, (value, label) in zip(
            panels, (("seconds", "seconds"), ("peak_megabytes", "peak memory, MB")), strict=True
        ):
            for axes, along in zip(line, grown, strict=True):
                _panel(axes, measured, along, value)
                axes.set_title(f"{label}, as {'rows grow' if along == 'rows' else 'rows get longer'}")
        for axes, along in zip(panels[1], grown, strict=True):
            axes.set_xlabel("rows, in multiples of the smallest job" if along == "rows" else "tokens a row")


def _panel(axes, measured: list[dict], along: str, value: str) -> None:
    for stage, (colour, marker, dashes) in LOOKS.items():
        found = cost_model.points(measured, stage, along, value)
        if not found:
            continue
        least = min(size for size, _ in found) if along == "rows" else 1
        found = sorted((size / least, height) for size, height in found)
        slope, error = cost_model.exponent(found)
        middle = [sum(math.log(pair[side]) for pair in found) / len(found) for side in (0, 1)]
        ends = [found[0][0], found[-1][0]]
        line = [math.exp(middle[1] + slope * (math.log(end) - middle[0])) for end in ends]
        axes.plot(ends, line, color=colour, linestyle=dashes, linewidth=1.6)
        axes.plot(*zip(*found, strict=True), marker, color=colour, markersize=6, markeredgecolor="white")
        axes.plot([], [], color=colour, linestyle=dashes, marker=marker, label=f"{stage}, k {slope:.2f} ± {error:.2f}")
    axes.set_yscale("log")
    if along == "rows":
        axes.set_xscale("log", base=2)
        axes.set_xticks([1, 4, 16], ["1×", "4×", "16×"])
    else:
        axes.set_xscale("log", base=2)
        axes.set_xticks([128, 512, 2048], ["128", "512", "2,048"])
    low, high = axes.get_ylim()
    high = max(high, 10 * low)  # so that small differences look small
    axes.set_ylim(low, high * (high / low) ** 0.6)  # room for the legend
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 30 * low else (1,)))
    axes.yaxis.set_major_formatter(lambda height, _: f"{height:,.15g}")
    axes.yaxis.set_minor_formatter(lambda height, _: "")
    axes.grid(axis="y", color=figure_style.LIGHT, linewidth=0.6)
    axes.legend(fontsize=9.5, frameon=False, loc="upper left", handlelength=3)


if __name__ == "__main__":
    draw(cost_model.read_table(ROOT / "docs/cost.csv"), ROOT / "docs/cost.png")
