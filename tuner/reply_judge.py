"""Score the instruction-following replies with a checkpoint that the user names and that built no preference pairs."""

from collections.abc import Callable, Iterable
from pathlib import Path

from tuner import base, hardware, reward
from tuner.errors import UserError
from tuner.params import Judge, Runtime

BUILDER = Path("models/reward")


def scored(
    rows: list[dict], judge: Judge | None, runtime: Runtime, progress: Callable[[Iterable], Iterable]
) -> list[dict]:
    """Return the rows, those of instruction following with `judge_score` (higher is better); unchanged without a judge.

    The judge reads the request and the first reply. UserError for a folder that is missing or is not the pinned one,
    and for the reward that has built the preference pairs: DPO was trained to please it.
    """
    if judge is None:
        return rows
    folder = Path(judge.path)
    if not folder.is_dir():
        raise UserError(f"judge.path = {judge.path!r}: no such folder; name a checkpoint, or set judge: null")
    if (found := base.weights_sha256(folder)) != judge.sha256:
        raise UserError(f"judge.path = {judge.path!r}: SHA-256 is {found}, params.yaml pins {judge.sha256}")
    if folder.resolve() == BUILDER.resolve() or (BUILDER.is_dir() and base.weights_sha256(BUILDER) == found):
        raise UserError(f"judge.path = {judge.path!r}: {BUILDER} has built the preference pairs; name another judge")
    device, dtype = hardware.choose(runtime.device, runtime.dtype)
    asked = [row for row in rows if row["suite"] == "instruction_following"]
    exchanges = [(row["messages"][-1]["content"], row["reply"]) for row in asked]
    options = {"device": device, "dtype": dtype, "max_tokens": runtime.forward_tokens, "progress": progress}
    scores = dict(zip((row["id"] for row in asked), reward.score(folder, exchanges, **options), strict=True))
    return [row | {"judge_score": scores[row["id"]]} if row["id"] in scores else row for row in rows]
