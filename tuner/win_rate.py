"""Win rate with length control (AlpacaEval-LC, arXiv 2404.04475): what the judge would say of equally long replies."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats
from sklearn.linear_model import LogisticRegression


def length_controlled(judged: Sequence[tuple[float, float]], alpha: float = 0.05) -> dict[str, float]:
    """Return {"win_rate", "low", "high"} (0 to 1) from (won: 1, 0.5 or 0; how many tokens longer) of each item.

    Logistic regression of winning on an intercept and tanh of the length difference over its standard deviation; the
    win rate at no difference is sigmoid(intercept), with the Wald interval of the intercept. Half a win and half a loss
    of no length difference are added, so that a method that always wins has an end to its interval, too.
    """
    won = np.array([one for one, _ in judged] + [0.5], dtype=np.float64)
    longer = np.array([one for _, one in judged], dtype=np.float64)
    spread = float(longer.std())
    control = np.append(np.tanh(longer / spread) if spread else np.zeros_like(longer), 0.0)
    design = np.stack([np.ones_like(control), control], axis=1) if spread else np.ones((len(control), 1))
    # A tie is half a win and half a loss: each item twice, weighted by both.
    labels, weights = np.repeat([1, 0], len(won)), np.concatenate([won, 1 - won])
    fitted = LogisticRegression(C=1e6, fit_intercept=False, tol=1e-8, max_iter=1000).fit(
        np.tile(design, (2, 1)), labels, sample_weight=weights
    )
    chance = 1 / (1 + np.exp(-design @ fitted.coef_[0]))
    information = design.T @ (design * (chance * (1 - chance))[:, None])
    error = math.sqrt(np.linalg.inv(information)[0, 0])
    half = float(stats.norm.isf(alpha / 2)) * error
    ends = {"win_rate": 0.0, "low": -half, "high": half}
    return {name: 1 / (1 + math.exp(-(float(fitted.coef_[0, 0]) + shift))) for name, shift in ends.items()}
