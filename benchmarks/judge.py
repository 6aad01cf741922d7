"""Does any score at hand tell the rows that a reader would keep from the others?

    python benchmarks/judge.py [--model models/smollm2-135m] [--reward models/reward]

On the labelled rows of tests/labels that were answered: the area under the ROC curve (0.5 is chance) of the mean
log-likelihood of the answer (what filter.judged_share uses), of the mutual information of instruction and answer, and
of the contrast reward, for "useful to a reader" and for "no defect that a rule could see". Takes some three minutes.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import filter_quality, results  # noqa: E402
from tuner import judge, model, reward  # noqa: E402


def area(values: np.ndarray, good: np.ndarray, resamples: int = 2000) -> tuple[float, float, float]:
    """Return the share of (good, other) pairs in which the good row scores higher, with a bootstrap 95 % interval."""

    def share(chosen: np.ndarray, rest: np.ndarray) -> float:
        return float(np.mean((chosen[:, None] > rest) + 0.5 * (chosen[:, None] == rest)))

    chosen, rest, rng = values[good], values[~good], np.random.default_rng(0)
    drawn = [share(rng.choice(chosen, len(chosen)), rng.choice(rest, len(rest))) for _ in range(resamples)]
    return share(chosen, rest), *np.quantile(drawn, [0.025, 0.975])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=ROOT / "models/smollm2-135m")
    parser.add_argument("--reward", type=Path, default=ROOT / "models/reward")
    options = parser.parse_args()
    rows = [row for row in filter_quality.read_labels() if row["response"] and row["instruction_finish"] == "stop"]
    loaded = model.load(options.model, device="cpu", dtype="float32")
    tokenizer = model.load_tokenizer(options.model)
    asked = np.array(judge.scores(loaded, tokenizer, rows, max_tokens=2048))
    bare = np.array(judge.scores(loaded, tokenizer, [{**row, "instruction": ""} for row in rows], max_tokens=2048))
    rewards = reward.score(
        options.reward,
        [(row["instruction"], row["response"]) for row in rows],
        device="cpu",
        dtype="float32",
        max_tokens=2048,
        progress=iter,
    )
    scores = {"likelihood": asked, "mutual_information": asked - bare, "contrast_reward": np.array(rewards)}
    goods = {
        "useful": np.array([not row["useless"] for row in rows]),
        "no_defect": np.array([not row["defects"] for row in rows]),
    }
    for what, good in goods.items():
        for name, values in scores.items():
            value, low, high = (round(float(end), 3) for end in area(values, good))
            print(f"{name} for {what}: {value} [{low}, {high}], {good.sum()} of {len(rows)} rows")
            results.record(
                f"judge_{name}_{what}", value=value, unit="area under ROC", low=low, high=high, rows=len(rows)
            )


if __name__ == "__main__":
    main()
