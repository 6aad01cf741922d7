import csv
import io
import math
import struct
import warnings
from pathlib import Path

import matplotlib
import matplotlib.image
import numpy as np
import pytest

from tuner import figure_style, figures
from tuner.compare import compare, summary_rows

AXES = ("planning", "reasoning", "context", "feedback", "tool_use")
FOUR = ("base", "lora", "prompt_tuning", "dpo")
NINE = (*FOUR, "ia3", "full", "prefix_tuning", "dora", "a_method_nobody_knows")
COUNTS = {"in": 4000, "kept": 2712, "dropped": 1288, "dropped_length": 210, "dropped_near_duplicate": 1078}


def _results(methods: tuple[str, ...]) -> dict[str, dict]:
    rng = np.random.default_rng(0)
    results = {}
    for place, method in enumerate(methods):
        items = [
            {
                "id": f"{suite}{index}",
                "suite": suite,
                "axis": AXES[index % 5] if suite == "agent" else suite,
                "correct": bool(rng.random() < 0.2 + 0.05 * place),
                "valid_format": True,
            }
            for suite in ("instruction_following", "knowledge", "agent")
            for index in range(40)
        ]
        items += [
            {
                "id": f"l{index}",
                "suite": "loss",
                "tokens": 10 + index,
                "nll": float((10 + index) * (2 - 0.05 * place + rng.normal(0, 0.1))),
            }
            for index in range(30)
        ]
        trained = (
            {}
            if method == "base"
            else {
                "trainable_parameters": 10_000 * 3**place,
                "adapter_megabytes": 0.1 * 3**place,
                "train_seconds": 60.0 + 40 * place,
                "tokens_per_second": 900.0 - 50 * place,
            }
        )
        results[method] = {"items": items, "metrics": trained, "run": {}}
    return results


def _curve(points: int) -> list[dict]:
    return [
        {
            "step": 10 * index,
            "loss": 2 + math.exp(-index),
            "eval_loss": 2.2 if index % 4 == 0 else "",
            "learning_rate": 1e-4,
            "grad_norm": 1.0,
        }
        for index in range(points)
    ]


def _dpo(points: int) -> list[dict]:
    keys = ("loss", "accuracy", "margin", "logps_chosen", "logps_rejected")
    return [
        {
            "step": index,
            **{key: 0.5 + 0.01 * place * index for place, key in enumerate(keys)},
            **{f"eval_{key}": 0.4 if index % 5 == 0 else None for key in keys},
        }
        for index in range(points)
    ]


def _draw(folder: Path, methods: tuple[str, ...], points: int) -> dict[str, Path]:
    results = _results(methods)
    pairs = [("dpo", "lora")] if "dpo" in methods else []
    comparison = compare(results, pairs=pairs, seed=0, resamples=100, alpha=0.05)
    text = io.StringIO()
    rows = summary_rows(results, comparison)
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    rows = list(csv.DictReader(io.StringIO(text.getvalue())))  # as a stage reads them: all text
    trained = [method for method in methods if method not in ("base", "dpo")]
    paths = {
        name: folder / "made" / f"{name}.png"
        for name in ("filtering", "training", "dpo", "comparison", "efficiency", "axes", "tradeoff")
    }
    figures.filtering(COUNTS, paths["filtering"])
    figures.training_curves({method: _curve(points) for method in trained}, paths["training"])
    figures.dpo_curves(_dpo(points), paths["dpo"])
    figures.model_comparison(rows, comparison, paths["comparison"])
    figures.efficiency(rows, paths["efficiency"])
    figures.axes(rows, paths["axes"], {"knowledge": 0.25}, 0.05)
    figures.tradeoff(rows, paths["tradeoff"], 0.05, quality="agent")
    return paths


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return _draw(tmp_path_factory.mktemp("first"), FOUR, 20)


def _pixels(path: Path) -> np.ndarray:
    """Shape (height, width), 0 black to 1 white."""
    return matplotlib.image.imread(path)[:, :, :3].mean(axis=2)


def test_figures_are_not_blank(drawn: dict[str, Path]) -> None:
    for name, path in drawn.items():
        pixels = _pixels(path)
        assert 800 <= pixels.shape[1] <= 1000, name
        halves = [half for row in np.array_split(pixels, 2) for half in np.array_split(row, 2, axis=1)]
        assert min(half.std() for half in halves) > 0.02, name
        assert pixels[:28, :300].min() < 0.3, f"{name} has no title"


def test_nothing_is_cut_at_the_edge(drawn: dict[str, Path]) -> None:
    for name, path in drawn.items():
        pixels = _pixels(path)
        edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert edges.min() == 1.0, name


def test_same_data_same_bytes(drawn: dict[str, Path], tmp_path: Path) -> None:
    with matplotlib.rc_context({"font.size": 30, "savefig.dpi": 30}):  # settings of a caller have no effect
        again = _draw(tmp_path, FOUR, 20)
        assert matplotlib.rcParams["font.size"] == 30
    for name, path in drawn.items():
        assert path.read_bytes() == again[name].read_bytes(), name


def test_no_version_or_date_in_the_file(drawn: dict[str, Path]) -> None:
    for path in drawn.values():
        data, place, kinds = path.read_bytes(), 8, set()
        while place < len(data):
            length, kind = struct.unpack(">I4s", data[place : place + 8])
            kinds.add(kind)
            place += length + 12
        assert not kinds & {b"tEXt", b"iTXt", b"zTXt", b"tIME"}


@pytest.mark.parametrize(("methods", "points"), [(NINE, 20), (("base", "prompt_tuning"), 1), (("base",), 0)])
def test_many_methods_one_point_and_nothing_trained(tmp_path: Path, methods: tuple[str, ...], points: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # constrained layout warns when it has no room
        paths = _draw(tmp_path, methods, points)
    assert all(path.stat().st_size > 2000 for path in paths.values())


def test_colours_are_stable_and_distinct() -> None:
    colours = figure_style.method_colours(NINE[:8])
    assert len(set(colours.values())) == 8
    assert figure_style.method_colours(["dpo", "lora"]) == {name: colours[name] for name in ("dpo", "lora")}
    unknown = figure_style.method_colours(["base", "lora", "zeta"])
    assert unknown["zeta"] not in (unknown["base"], unknown["lora"])
    assert unknown["zeta"] == figure_style.method_colours(["zeta", "lora"])["zeta"]
    assert len(figure_style.method_colours([f"m{index}" for index in range(20)])) == 20


def test_pareto() -> None:
    """Equal points keep each other; dearer and equally good is beaten, so is anything below a free base."""
    assert figures.pareto([(0, 20), (1, 30), (1, 30), (2, 30), (3, 40), (4, 10)]) == [
        True,
        True,
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (11_520, "11.5 k"),
        (4_884_480, "4.88 M"),
        (134_515_008, "135 M"),
        (1418.2, "1,418"),
        (0.0461, "0.0461"),
        (19.52, "19.5"),
        (999_900, "1 M"),
        (60_000, "60 k"),
        (2.5e9, "2.5 G"),
        (9_999, "10 k"),
    ],
)
def test_short_numbers(value: float, text: str) -> None:
    assert figure_style.short(value) == text


def test_axis_follows_tokens_when_all_rows_have_them(tmp_path: Path) -> None:
    rows = _curve(8)
    figures.training_curves({"lora": rows}, tmp_path / "steps.png")
    figures.training_curves({"lora": [row | {"tokens": 5000 * row["step"]} for row in rows]}, tmp_path / "t.png")
    figures.training_curves({"lora": [rows[0] | {"tokens": 0}, *rows[1:]]}, tmp_path / "some.png")
    assert (tmp_path / "steps.png").read_bytes() == (tmp_path / "some.png").read_bytes()
    assert (tmp_path / "steps.png").read_bytes() != (tmp_path / "t.png").read_bytes()


def test_the_running_mean_is_that_of_the_last_tenth() -> None:
    assert figures.running_mean([]) == [] and figures.running_mean([3.0, 5.0]) == [3.0, 5.0]
    steps = [float(n) for n in range(30)]
    assert figures.running_mean(steps)[:4] == [0.0, 0.5, 1.0, 2.0] and figures.running_mean(steps)[-1] == 28.0
