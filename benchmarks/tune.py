"""An equal grid of learning rates for every method, chosen on the validation loss: `make tune`.

python benchmarks/tune.py           queue one experiment a method and rate, run them, write docs/tune.csv and .png
python benchmarks/tune.py --table   the table and the figure alone, from the experiments there are

Each is `dvc exp run train@<method> -S <method>.learning_rate=<rate>`: the data is made once, and the adapter of the
rate that ends up in params.yaml is not trained again. The grid is `tune` in params.yaml.
"""

import argparse
import csv
import io as text
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tuner import io, params  # noqa: E402
from tuner.figure_style import MARKERS, canvas, method_colours, named, reference  # noqa: E402


def name(method: str, rate: float) -> str:
    """Return the name of an experiment; DVC allows no dot at its end and Git none in a row."""
    return f"tune-{method.replace('_', '-')}-{rate:g}".replace(".", "p")


def run(grid: dict[str, list[float]]) -> None:
    """Queue the experiments that are not there yet, and run what is queued, one after the other."""
    for method, rates in grid.items():
        for rate in rates:
            if experiment_reference(name(method, rate)) is None:
                change = f"{method}.learning_rate={rate}"
                wanted = ["--queue", "--name", name(method, rate), "-S", change, f"train@{method}"]
                subprocess.run(["dvc", "exp", "run", *wanted], check=True, cwd=ROOT)
    subprocess.run(["dvc", "exp", "run", "--run-all", "--jobs", "1"], check=True, cwd=ROOT)


def experiment_reference(experiment: str) -> str | None:
    """Return the Git reference of the newest experiment of that name on this commit, or None."""
    listed = subprocess.run(
        ["git", "for-each-ref", "--sort=-committerdate", "--format=%(refname)", "refs/exps"],
        check=True, cwd=ROOT, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], check=True, cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    own = (found for found in listed if found.endswith(f"/{head[:2]}/{head[2:]}/{experiment}"))
    return next(own, None)


def table(grid: dict[str, list[float]]) -> list[dict]:
    """Return a row a method and rate: validation loss before and after, steps, and whether it is the method's best."""
    rows = []
    for method, rates in grid.items():
        found = [row for rate in rates if (row := outcome(method, rate))]
        best = min((row["eval_loss"] for row in found), default=None)
        rows += [row | {"best": int(row["eval_loss"] == best)} for row in found]
    return rows


def outcome(method: str, rate: float) -> dict | None:
    """Return the row of one experiment, or None where it failed (a loss that came apart, most likely)."""
    found = experiment_reference(name(method, rate))
    if found is None:
        print(f"tune: {name(method, rate)} has no result: see `dvc queue logs`", file=sys.stderr)
        return None
    shown = subprocess.run(
        ["git", "show", f"{found}:plots/validation/{method}.csv"], check=True, cwd=ROOT, capture_output=True, text=True
    ).stdout
    curve = list(csv.DictReader(text.StringIO(shown)))
    losses = [float(row["loss"]) for row in curve]
    return {
        "method": method,
        "learning_rate": rate,
        "steps": int(curve[-1]["step"]),
        "first_eval_loss": losses[0],
        "eval_loss": losses[-1],
    }


def learning_rates(rows: list[dict], path: Path) -> None:
    """Validation loss against learning rate, a line a method, its best one ringed, and the level before training.

    Rows have ``method``, ``learning_rate``, ``first_eval_loss``, ``eval_loss`` and ``best``.
    """
    methods = list(dict.fromkeys(row["method"] for row in rows))
    colours = method_colours(methods)
    note = "Every method had as many rates. Validation loss after training, nats per completion token; lower is better."
    with canvas(path, 4.2, "Which learning rate suits which method", note) as figure:
        axes = figure.subplots()
        rates = [row["learning_rate"] for row in rows]
        axes.set_xscale("log")
        axes.set_xlim(min(rates) / 1.5, max(rates) * 1.5)
        for method in methods:
            own = [row for row in rows if row["method"] == method]
            x, y = ([row[name] for row in own] for name in ("learning_rate", "eval_loss"))
            colour = colours[method]
            axes.plot(x, y, color=colour, marker=MARKERS[colour], label=named(method))
            best = min(range(len(own)), key=y.__getitem__)
            axes.plot(x[best], y[best], "o", markersize=14, markerfacecolor="none", markeredgecolor=colour)
        before = [row["first_eval_loss"] for row in rows]
        reference(axes, min(before), "before training")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("validation loss")
        axes.legend(frameon=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    found = params.load(ROOT / "params.yaml")
    grid = found.tune
    if untrained := grid.keys() - set(found.methods):
        sys.exit(f"tune: {', '.join(sorted(untrained))}: add it to methods in params.yaml")
    if not arguments.table:
        run(grid)
    rows = table(grid)
    if not rows:
        sys.exit("tune: no experiment has a result")
    io.write_csv(ROOT / "docs/tune.csv", rows)
    learning_rates(rows, ROOT / "docs/tune.png")
    for row in rows:
        if row["best"]:
            edge = row["learning_rate"] in (min(grid[row["method"]]), max(grid[row["method"]]))
            hint = " (at the edge of the grid: widen it)" if edge else ""
            print(f"{row['method']}: learning_rate {row['learning_rate']:g}, eval_loss {row['eval_loss']:.4f}{hint}")
