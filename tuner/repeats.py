"""Several adapters of one method, trained alike but for the seed: where they are, and their records as one.

The first one is the method's folder itself, which plain PEFT loads; the others are `seed-1`, `seed-2` ... in it.
"""

from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

MEANS = ("train_seconds", "train_seconds_with_start", "tokens_per_second", "peak_memory_megabytes", "energy_joules")


def folder(adapter: Path, number: int) -> Path:
    """Return where the adapter of repeat `number`, from 0, is or goes."""
    return adapter / f"seed-{number}" if number else adapter


def folders(adapter: Path) -> list[Path]:
    """Return the folders of a method's adapters, the first one's own first."""
    return [folder(adapter, number) for number in range(1 + len(list(adapter.glob("seed-*"))))]


def train(once: Callable[..., tuple[Any, dict]], *, count: int, seed: int, scratch: Path, destination: Path):
    """Call `once(seed=, scratch=, destination=)` with `count` seeds from `seed` on; return (first curve, record).

    The record is the first one's. With several there is a list `seeds` in it, the seed and `train_info` of each, and
    seconds, speed, memory and energy are their means. A run that was killed goes on: every repeat has a scratch folder
    of its own.
    """
    found = [
        once(seed=seed + number, scratch=scratch / str(number), destination=folder(destination, number))
        for number in range(count)
    ]
    curve, record = found[0]
    if count > 1:
        infos = [one["train_info"] for _, one in found]
        record["seeds"] = [{"seed": seed + number, **info} for number, info in enumerate(infos)]
        record["train_info"] = infos[0] | {
            name: round(mean(info[name] for info in infos), 2) for name in MEANS if all(name in info for info in infos)
        }
    return curve, record


def rows(answer: Callable[..., list[dict]], adapter: Path | None) -> list[dict]:
    """Return `answer(adapter=)` of the base (None) or of a method's adapters; with several, a row says its `seed`.

    That is the number of the repeat, from 0; the rows of one item have the same id in all of them.
    """
    if adapter is None or len(own := folders(adapter)) == 1:
        return answer(adapter=adapter)
    return [row | {"seed": number} for number, one in enumerate(own) for row in answer(adapter=one)]
