import struct
import warnings
from pathlib import Path

import matplotlib
import matplotlib.image
import numpy as np
import pytest

from tuner import data_figures
from tuner.statistics import wilson

NAMES = (
    "truncated length template_leak exact_duplicate incomplete_instruction refusal identity personal_data echo "
    "repetition language contaminated near_duplicate opener"
).split()


def _report(names: list[str], rows: int) -> dict:
    rng = np.random.default_rng(0)
    left, filters = rows, {}
    for place, name in enumerate(names):
        alone = int(rows * 0.4 / (1 + place) ** 2) if place % 3 < 2 else 0
        dropped = min(int(alone * rng.uniform(0.3, 1)), left)
        left -= dropped
        filters[name] = {
            "in_sequence": dropped,
            "alone": alone,
            "only_this": dropped // 2,
            "kept_after": left,
            "kept_share": left / rows if rows else 0.0,
        }
    return {"rows": rows, "filters": filters}


def _cells(temperatures: tuple[float, ...], shares: tuple[float, ...] = (0.99, 0.995, 1.0)) -> dict:
    table = {}
    for temperature in temperatures:
        for top_p in shares:
            kept = int(500 * (0.6 - 0.3 * temperature + (1 - top_p)))
            low, high = wilson(kept, 500)
            cosine = 0.9 - 0.4 * temperature + 2 * (1 - top_p)
            table[f"T={temperature:g} top_p={top_p:g}"] = {
                "rows": 500,
                "kept": kept,
                "kept_share": kept / 500,
                "kept_low": low,
                "kept_high": high,
                "nearest_cosine": cosine,
                "nearest_low": cosine - 0.01,
                "nearest_high": cosine + 0.01,
                "similarity_texts": 100,
            }
    return table


def _draw(folder: Path) -> dict[str, Path]:
    paths = {name: folder / "made" / f"{name}.png" for name in ("attrition", "cells")}
    data_figures.attrition(paths["attrition"], _report(NAMES[:10], 3200))
    data_figures.cells(paths["cells"], _cells((1.0, 1.1, 1.2, 1.25)))
    return paths


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return _draw(tmp_path_factory.mktemp("first"))


def _pixels(path: Path) -> np.ndarray:
    """Shape (height, width, 3), 0 black to 1 white."""
    return matplotlib.image.imread(path)[:, :, :3]


def test_figures_are_not_blank_and_nothing_is_cut(drawn: dict[str, Path]) -> None:
    for name, path in drawn.items():
        pixels = _pixels(path).mean(axis=2)
        assert pixels.shape[1] == 900 and pixels.shape[0] < 1000, name
        halves = [half for row in np.array_split(pixels, 2) for half in np.array_split(row, 2, axis=1)]
        assert min(half.std() for half in halves) > 0.02, name
        assert pixels[:28, :300].min() < 0.3, f"{name} has no title"
        edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert edges.min() == 1.0, name


def test_the_key_is_below_the_title(drawn: dict[str, Path]) -> None:
    """Titles are black; colours appear further down only."""
    for name, path in drawn.items():
        colour = np.ptp(_pixels(path), axis=2).max(axis=1)
        assert colour[:30].max() < 0.05, name
        assert colour[30:70].max() > 0.5, name


def test_same_data_same_bytes_without_version_or_date(drawn: dict[str, Path], tmp_path: Path) -> None:
    with matplotlib.rc_context({"font.size": 30, "savefig.dpi": 30}):
        again = _draw(tmp_path)
    for name, path in drawn.items():
        assert path.read_bytes() == again[name].read_bytes(), name
        data, place, kinds = path.read_bytes(), 8, set()
        while place < len(data):
            length, kind = struct.unpack(">I4s", data[place : place + 8])
            kinds.add(kind)
            place += length + 12
        assert not kinds & {b"tEXt", b"iTXt", b"zTXt", b"tIME"}


def test_bars_are_as_long_as_their_counts(tmp_path: Path) -> None:
    """Blue pixels of the first filter's bar against those of the second, which drops a quarter as many."""
    report = _report(["one", "two"], 1000)
    report["filters"]["one"] |= {"alone": 400, "in_sequence": 400, "only_this": 0}
    report["filters"]["two"] |= {"alone": 400, "in_sequence": 100, "only_this": 0}
    data_figures.attrition(tmp_path / "a.png", report)
    pixels = (255 * _pixels(tmp_path / "a.png")).round()
    blue = (pixels == [0x00, 0x72, 0xB2]).all(axis=2)[70:]  # below the key
    lengths = sorted({int(row.sum()) for row in blue if row.sum() > 20})
    assert lengths[-1] / lengths[0] == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize(("count", "rows"), [(14, 2_000_000), (1, 5), (3, 0)])
def test_many_filters_one_filter_and_no_rows(tmp_path: Path, count: int, rows: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # constrained layout warns when it has no room
        data_figures.attrition(tmp_path / "a.png", _report(NAMES[:count], rows))
    assert (tmp_path / "a.png").stat().st_size > 2000


def test_one_cell_more_cells_than_colours_and_cells_that_are_too_small(tmp_path: Path) -> None:
    some = _cells((1.0, 1.1))
    some["T=1 top_p=1"]["nearest_cosine"] = None
    none = {name: row | {"nearest_cosine": None, "kept": 2} for name, row in some.items()}
    tables = [_cells((1.0,), (1.0,)), _cells(tuple(0.7 + 0.1 * n for n in range(8))), some, none]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for place, table in enumerate(tables):
            data_figures.cells(tmp_path / f"{place}.png", table)
    heights = [_pixels(tmp_path / f"{place}.png").shape[0] for place in range(4)]
    assert heights[2] > heights[0], "the cell left out is not named"
