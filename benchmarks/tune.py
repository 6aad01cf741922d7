"""An equal grid of learning rates for every method, chosen on validation: `make tune`.

python benchmarks/tune.py           queue one experiment a method and rate, run them, write docs/tune.csv and .png
python benchmarks/tune.py --table   the table and the figure alone, from the experiments there are

Each is `dvc exp run train@<method> -S <method>.learning_rate=<rate>`: the data is made once, and the adapter of the
rate that ends up in params.yaml is not trained again. The grid is `tune` in params.yaml.

Two things are looked at, and they pull apart: the validation loss, and how often the adapter follows the constraint of
validation items (made as the evaluation's are, from another seed, and none of them among those). High rates teach
constraints at the cost of the text. So a rate must leave the loss below the untouched model's; of these, all within one
standard error of the best instruction following are as good, and the one with the lowest loss of them is taken.
"""

import argparse
import csv
import io as text
import math
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tuner import instruction_following, io, params  # noqa: E402
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


VALIDATION_ITEMS = 190  # ten of each family of constraints


def validation_items(settings: params.Params) -> list[dict]:
    """Return items from another seed than the evaluation's, without any that is asked there."""
    asked = instruction_following.items(settings.evaluate.instruction_following, settings.seed)
    prompts = {item["messages"][0]["content"] for item in asked}
    made = instruction_following.items(VALIDATION_ITEMS, settings.seed + 1)
    return [item for item in made if item["messages"][0]["content"] not in prompts]


def followed(settings: params.Params, adapters: dict[str, Path | None]) -> dict[str, float]:
    """Return the share of validation items that the student answers rightly with each adapter (None: without one)."""
    from tqdm import tqdm

    from tuner import evaluate, hardware, model

    student = ROOT / "models" / settings.student
    device, dtype = hardware.choose(settings.runtime.device, settings.runtime.dtype)
    tokenizer, items, shares = model.load_tokenizer(student), validation_items(settings), {}
    for label, adapter in adapters.items():
        loaded = model.load(student, device=device, dtype=dtype, adapter=adapter)
        loaded = evaluate.merged(loaded)
        writer = evaluate.writer(loaded, student, settings.evaluate.engine, settings.runtime, ROOT / ".work")
        rows = evaluate.written_rows(tokenizer, items, writer, lambda _, label=label: lambda it: tqdm(it, desc=label))
        shares[label] = sum(row["correct"] for row in rows) / len(rows)
    return shares


def table(grid: dict[str, list[float]], shares: dict[str, float], items: int) -> list[dict]:
    """Return a row a method and rate: loss before and after, validation items followed, whether it is the one to take.

    `shares` has those of the experiments by name and of "base", each over so many `items`.
    """
    rows = []
    for method, rates in grid.items():
        found = [row for rate in rates if (row := outcome(method, rate))]
        for row in found:
            row["instruction_following"] = round(shares[name(method, row["learning_rate"])], 4)
            row["instruction_following_base"] = round(shares["base"], 4)
        taken = best(found, items)
        rows += [row | {"best": int(row is taken)} for row in found]
    return rows


def best(rows: list[dict], items: int) -> dict | None:
    """Return the row of one method to take, by the rule above; None where every rate leaves the loss no lower."""
    sound = [row for row in rows if row["eval_loss"] < row["first_eval_loss"]]
    if not sound:
        return None
    highest = max(row["instruction_following"] for row in sound)
    error = math.sqrt(highest * (1 - highest) / items)
    near = [row for row in sound if row["instruction_following"] >= highest - error]
    return min(near, key=lambda row: row["eval_loss"])


def fetched(grid: dict[str, list[float]], folder: Path) -> dict[str, Path | None]:
    """Fetch the adapters of the experiments that have a result; return where each is, and "base": None."""
    found: dict[str, Path | None] = {"base": None}
    for method, rates in grid.items():
        for rate in rates:
            experiment = name(method, rate)
            if reference_of := experiment_reference(experiment):
                wanted = [
                    "get",
                    "--quiet",
                    "--rev",
                    reference_of,
                    "--out",
                    str(folder / experiment),
                    ".",
                    f"models/{method}",
                ]
                subprocess.run(["dvc", *wanted], check=True, cwd=ROOT)
                found[experiment] = folder / experiment
    return found


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
    """Validation loss and instruction following against learning rate, a line a method, what is taken ringed.

    Rows are those of `table`. The dotted lines are the levels before training.
    """
    methods = list(dict.fromkeys(row["method"] for row in rows))
    colours = method_colours(methods)
    note = "Every method had as many rates. Dotted: before training. Ringed: what is taken (benchmarks/tune.py)."
    with canvas(path, 4.2, "Which learning rate suits which method", note) as figure:
        panels = figure.subplots(1, 2)
        rates = [row["learning_rate"] for row in rows]
        before = (min(row["first_eval_loss"] for row in rows), 100 * rows[0]["instruction_following_base"])
        shown = (
            ("validation loss, nats per token", "eval_loss", 1),
            ("validation items followed, %", "instruction_following", 100),
        )
        for axes, level, (title, column, scale) in zip(panels, before, shown, strict=True):
            axes.set_xscale("log")
            axes.set_xlim(min(rates) / 1.5, max(rates) * 1.5)
            for method in methods:
                own = [row for row in rows if row["method"] == method]
                x, y = [row["learning_rate"] for row in own], [scale * row[column] for row in own]
                colour = colours[method]
                axes.plot(x, y, color=colour, marker=MARKERS[colour], label=named(method))
                for row, value in zip(own, y, strict=True):
                    if row["best"]:
                        ring = {"markersize": 14, "markerfacecolor": "none", "markeredgecolor": colour}
                        axes.plot(row["learning_rate"], value, "o", **ring)
            reference(axes, level)
            axes.set_xlabel("learning rate")
            axes.set_title(title)
        panels[0].legend(frameon=False)


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
    with tempfile.TemporaryDirectory() as folder:
        shares = followed(found, fetched(grid, Path(folder)))
    rows = table(grid, shares, len(validation_items(found)))
    if not rows:
        sys.exit("tune: no experiment has a result")
    io.write_csv(ROOT / "docs/tune.csv", rows)
    learning_rates(rows, ROOT / "docs/tune.png")
    for row in rows:
        if row["best"]:
            edge = row["learning_rate"] in (min(grid[row["method"]]), max(grid[row["method"]]))
            hint = " (at the edge of the grid: widen it)" if edge else ""
            print(
                f"{row['method']}: learning_rate {row['learning_rate']:g}, eval_loss {row['eval_loss']:.4f}, "
                f"{100 * row['instruction_following']:.1f} % of the validation items followed{hint}"
            )
