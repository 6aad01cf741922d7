"""A score for rows that passed every rule: how likely the generator finds its own answer, a token.

Off by default, because on labelled rows no score at hand tells what a reader would keep: benchmarks/judge.py has this
one beside the contrast reward and the mutual information of instruction and answer. Filters by perplexity gained
nothing in RIP (arXiv 2501.18578) either.
"""

import math
from collections.abc import Callable, Iterable
from pathlib import Path

from tuner import data, hardware, logps, model, template
from tuner.params import Runtime


def scores(
    loaded, tokenizer, rows: list[dict], *, max_tokens: int, progress: Callable[[Iterable], Iterable] = iter
) -> list[float]:
    """Return mean log p(token | what was asked, answer so far), in nats, for each row.

    A row has `instruction`, `response` and perhaps `history`. `max_tokens` bounds the tokens of one forward pass. An
    empty answer scores minus infinity.
    """
    pairs = [
        (
            template.prompt_ids(tokenizer, data.messages(row)),
            tokenizer.encode(row["response"], add_special_tokens=False),
        )
        for row in rows
    ]
    found = logps.completion_logps(loaded, pairs, max_tokens=max_tokens, progress=progress)
    return [float(row.mean()) if len(row) else -math.inf for row in found]


def lowest_rows(
    rows: Callable[[], Iterable[dict]], generator: Path, share: float, runtime: Runtime, progress: Callable
) -> dict[int, float]:
    """The lowest judged_share of the rows that passed, by how likely the generator finds their answer.

    Returns id -> score. A share of 0 loads no model and reads no row.
    """
    if not share:
        return {}
    several = list(rows())
    device, dtype = hardware.choose(runtime.device, runtime.dtype)
    found = scores(
        model.load(generator, device=device, dtype=dtype),
        model.load_tokenizer(generator),
        several,
        max_tokens=runtime.forward_tokens,
        progress=progress("judge"),
    )
    return {several[place]["id"]: round(found[place], 4) for place in sorted(lowest(found, share))}


def lowest(scores: list[float], share: float) -> set[int]:
    """Return the places of the lowest `share` (0 to below 1) of scores, rounded down; of equal ones the later go."""
    order = sorted(range(len(scores)), key=lambda place: (scores[place], -place))
    return set(order[: int(share * len(scores))])


def rows_to_judge(wanted: int, share: float) -> int:
    """Return how many rows must be judged so that `wanted` are left when the lowest `share` has gone."""
    judged = wanted
    while judged - int(share * judged) < wanted:
        judged += 1
    return judged
