"""Answers scored per second, one by one and in batches sorted by length: `python benchmarks/reward_batches.py`.

The pipeline's own reward (tuner/reward.py) on the pipeline's own candidates. Timed as the score stage runs it, with the
checkpoint's loading; the order of the settings alternates from round to round, and the medians count. The largest
difference of a score to that of a row by itself says whether padding and masks change anything.
Run on a machine with nothing else to do.
"""

import argparse
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from results import record  # noqa: E402

from tuner import io, params, reward  # noqa: E402

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reward", type=Path, default=Path("models/reward"))
    parser.add_argument("--candidates", type=Path, default=Path("data/candidates.jsonl"))
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--tokens", type=int, nargs="+", default=[2048, 8192], help="budgets of a batch to try as well")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--no-record", action="store_true", help="leave benchmarks/results.json as it is")
    arguments = parser.parse_args()
    every = [
        (row["prompt"][0]["content"], answer["text"])
        for row in io.read_jsonl(arguments.candidates)
        for answer in row["answers"]
    ]
    exchanges = every[: arguments.rows]
    default = params.load(ROOT / "params.yaml").runtime.forward_tokens
    seconds: dict[int, list[float]] = {tokens: [] for tokens in (1, default, *arguments.tokens)}
    scores = {}
    for number in range(arguments.rounds):
        for tokens in list(seconds)[:: 1 if number % 2 == 0 else -1]:
            started = time.perf_counter()
            scores[tokens] = reward.score(
                arguments.reward, exchanges, device="cpu", dtype="float32", max_tokens=tokens, progress=iter
            )
            seconds[tokens].append(time.perf_counter() - started)
    rates = {tokens: len(exchanges) / median(took) for tokens, took in seconds.items()}
    print(f"{len(exchanges)} rows; rows/s one by one {rates[1]:.2f}")
    for tokens in list(seconds)[1:]:
        apart = max(abs(one - other) for one, other in zip(scores[tokens], scores[1], strict=True))
        print(f"batches of {tokens} tokens: {rates[tokens]:.2f} rows/s, scores at most {apart:.2g} apart")
        if not arguments.no_record:
            record(
                f"reward_batches_{tokens}",
                value=round(rates[tokens] / rates[1], 3),
                unit="ratio of rows/s",
                ours=round(rates[tokens], 3),
                peer=round(rates[1], 3),
                peer_version="the same, one row a pass",
                rows=len(exchanges),
                largest_difference=round(apart, 7),
            )
