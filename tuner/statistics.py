"""Intervals and tests for results measured on the same items by every method.

Everything is paired: item i of ``a`` and item i of ``b`` are one question, answered by two models. All
proportions and differences are fractions (0.03 is three percentage points), all p-values are two-sided.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

SMALLEST_P = 1e-12  # of an interval over seeds and items, whose tails are not known that far out
LEVEL = 0.05  # of an interval over seeds and items, from which on the tail begins
MOST_RESAMPLES = 10_000_000  # some seconds of work
FEW = 25  # resamples beyond 0, from which on more of them would not change what p says
BEYOND = 5  # resamples that should lie beyond the smallest p that is asked for, so that their number tells something
BLOCK_CELLS = 1_000_000  # item draws held at once by the bootstrap: 8 MB of indices and two arrays like it


def wilson(successes: int, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """Score interval (low, high) of one proportion; Wilson 1927, JASA 22:209, without continuity correction.

    ``n == 0`` gives (0, 1): nothing was measured, so nothing is excluded.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes out of {n}")
    if n == 0:
        return 0.0, 1.0
    z = float(stats.norm.isf(alpha / 2))
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # The ends are exactly 0 and 1 in theory; rounding would leave 1e-17 or 0.9999999999999999.
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == n else centre + half)


def _zero_one(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or a.size == 0:
        raise ValueError(f"paired results need two equal, non-empty columns, got {a.shape} and {b.shape}")
    if not (np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all()):
        raise ValueError("paired proportions need results that are 0 or 1")
    return a, b


def mcnemar_exact(a: ArrayLike, b: ArrayLike) -> float:
    """Exact McNemar p of two 0/1 arrays, shape (n,) each: a two-sided binomial on the discordant pairs.

    Without a difference each discordant pair falls either way with probability 1/2 (McNemar 1947,
    Psychometrika 12:153). No discordant pair says nothing: p = 1.
    """
    a, b = _zero_one(a, b)
    gains, losses = int(np.sum(b > a)), int(np.sum(a > b))
    # The null is symmetric, so doubling the smaller tail is the two-sided binomial test.
    return min(1.0, 2 * float(stats.binom.cdf(min(gains, losses), gains + losses, 0.5)))


def paired_proportions(a: ArrayLike, b: ArrayLike, alpha: float = 0.05) -> dict[str, float]:
    """Difference of two paired proportions, mean(b) - mean(a), with Tango's score interval.

    Tango 1998, Statistics in Medicine 17:891: the differences that the score test does not reject, the
    nuisance probability being estimated under each of them. Chosen over the paired bootstrap, whose interval
    has width zero when no pair is discordant, and over a Wald interval, which covers too little when items
    are few; tests/test_statistics.py computes the coverage from n = 8 to 200.
    """
    a, b = _zero_one(a, b)
    n, gains, losses = a.size, int(np.sum(b > a)), int(np.sum(a > b))
    low, high = tango_interval(gains, losses, n, alpha)
    return {"difference": (gains - losses) / n, "low": low, "high": high}


def tango_interval(gains: int, losses: int, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """Tango's interval (low, high) of (gains - losses) / n from the counts of the two discordant cells."""
    z = float(stats.norm.isf(alpha / 2))

    def score(delta: float) -> float:
        linear = (2 * n - gains + losses) * delta - gains - losses
        root = math.sqrt(max(linear * linear + 8 * n * losses * delta * (1 - delta), 0.0))
        variance = n * ((root - linear) / (2 * n) + delta * (1 - delta))
        top = gains - losses - n * delta
        return top / math.sqrt(variance) if variance > 1e-12 else math.copysign(math.inf, top)

    estimate = (gains - losses) / n

    def end(limit: float, bound: float) -> float:
        inside, outside = estimate, bound
        for _ in range(60):  # bisection: the score falls steadily in delta and may be infinite at the bounds
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if abs(score(middle)) <= limit else (inside, middle)
        return inside

    low = -1.0 if losses == n else end(z, -1.0)
    return low, (1.0 if gains == n else end(z, 1.0))


def by_cluster(
    values: ArrayLike, weights: ArrayLike | None, clusters: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return (weighted mean of each cluster, its weight) of values (..., items): shapes (..., clusters), (clusters,).

    ``weights`` (items,) are positive, None for 1 each; ``clusters`` (items,) names what each item was made from,
    None where no two share it. The weighted mean over clusters is that over items, so resampling these columns
    is the cluster bootstrap of a ratio (Davison & Hinkley 1997, Bootstrap Methods, section 3.8).
    """
    found = np.asarray(values, dtype=np.float64)
    n = found.shape[-1]
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != (n,) or not np.all(w > 0):
        raise ValueError("weights must be positive, one for each item")
    if not (np.isfinite(found).all() and np.isfinite(w).all()):
        raise ValueError("values and weights must be finite")
    if clusters is None:
        return found, w
    names, place = np.unique(np.asarray(clusters), return_inverse=True)
    if place.shape != (n,):
        raise ValueError(f"clusters need one name for each of the {n} items")
    member = place[:, None] == np.arange(len(names))
    total = w @ member
    return (found * w) @ member / total, total


def effective_number(weights: np.ndarray) -> float:
    """How many equal weights give a mean as certain as these, sum(w)^2 / sum(w^2); Kish 1965, Survey Sampling."""
    return float(weights.sum() ** 2 / np.sum(weights**2))


def _expansion(effective: float) -> float:
    return math.sqrt(effective / (effective - 1))


def bootstrap_tail(effective: float, p: float) -> float:
    """The share of resamples beyond 0 that ``paired_bootstrap`` turns into ``p``; see there."""
    return float(stats.norm.cdf(_expansion(effective) * stats.t.ppf(p / 2, effective - 1)))


def enough_resamples(effective: float, p: float) -> int | None:
    """How many resamples can tell a p of this size, None where it takes more than MOST_RESAMPLES.

    The fewer and the more uneven the items, the further out in the tail: 60 equal items need some 7 thousand for
    p = 0.0025, the 12 sources of the default run (as good as 9 equal ones) 3 million, 8 sources more than there can be.
    """
    tail = bootstrap_tail(effective, p)
    return math.ceil(BEYOND / tail) if tail * MOST_RESAMPLES >= BEYOND else None


def _resampled(rng: np.random.Generator, weighted: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """Weighted means of so many draws of all items, shape (count,)."""
    n, means = weights.size, np.empty(count)
    block = max(1, BLOCK_CELLS // n)
    for start in range(0, count, block):
        drawn = rng.integers(0, n, size=(min(block, count - start), n))
        means[start : start + len(drawn)] = weighted[drawn].sum(axis=1) / weights[drawn].sum(axis=1)
    return means


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    seed: int,
    resamples: int,
    alpha: float,
    tests: int = 1,
) -> dict[str, float]:
    """Mean of b - a over items (shape (n,) each) with a bootstrap interval and p; items are resampled.

    With ``weights`` (shape (n,), positive, e.g. tokens of each item) it is the difference of the weighted
    means, sum(w (b - a)) / sum(w), and an item is drawn together with its weight. With ``clusters`` (see
    ``by_cluster``) whole clusters are drawn.

    Interval: the *expanded* percentile interval (Hesterberg 2015, The American Statistician 69:371):
    percentiles at Phi(-sqrt(n/(n-1)) t[n-1]) instead of alpha/2, because the plain percentile interval is
    too short by about that factor when items are few. n is their ``effective_number``, which is smaller than their
    number where a few weigh most (12 clusters as uneven as 11 to 1: coverage 0.95, with n = 12 it was 0.93).

    p: the smallest alpha whose interval excludes 0, so p and interval always agree. The share of resampled
    differences at or beyond 0, on the rarer side and with one added to both counts (Davison & Hinkley 1997,
    Bootstrap Methods, chapter 4), is turned into a t statistic with the same expansion and doubled. Ties
    count on both sides: identical columns give p = 1.

    ``resamples`` is a minimum. Where this is one of ``tests`` in a Holm family, and fewer than FEW of the first lie
    beyond 0, as many are drawn as a p below alpha / tests takes (``enough_resamples``; stopping by the count is Besag
    & Clifford's, 1991, Biometrika 78:301): with fewer no difference could get there, however large. Returned as
    ``resamples``, with ``difference``, ``low``, ``high`` and ``p``.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or a.size < 2:
        raise ValueError(f"the bootstrap needs two equal columns of 2+ items, got {a.shape}, {b.shape}")
    values, w = by_cluster(b - a, weights, clusters)
    if values.size < 2:
        raise ValueError("the bootstrap needs 2+ clusters: all items share one")
    weighted, effective = w * values, effective_number(w)
    rng = np.random.default_rng(seed)
    means = _resampled(rng, weighted, w, resamples)
    enough = enough_resamples(effective, alpha / tests) or 0
    if resamples < enough and min(np.count_nonzero(means <= 0), np.count_nonzero(means >= 0)) < FEW:
        means = np.concatenate([means, _resampled(rng, weighted, w, enough - resamples)])
        resamples = enough
    tail = bootstrap_tail(effective, alpha)
    # Order statistics, counted as p counts them, so that p < alpha exactly where the interval excludes 0.
    # With 2 or 3 items (or too few resamples) none is far enough out: then it is the range; p stays above.
    edge = max(1, math.floor(tail * (resamples + 1)))
    low, high = np.partition(means, [edge - 1, resamples - edge])[[edge - 1, resamples - edge]]
    rarer = min(np.count_nonzero(means <= 0), np.count_nonzero(means >= 0))
    z = float(stats.norm.ppf(min((rarer + 1) / (resamples + 1), 0.5)))
    p = min(1.0, 2 * float(stats.t.cdf(z / _expansion(effective), effective - 1)))
    found = {"difference": float(weighted.sum() / w.sum()), "low": float(low), "high": float(high), "p": p}
    return found | {"resamples": resamples}


def _t_of(alpha: float, freedom: float) -> float:
    return float(stats.t.isf(alpha / 2, freedom))


def crossed(values: np.ndarray, weights: np.ndarray) -> tuple[float, Callable[[float], float]]:
    """Return (mean, half width of its interval as a function of alpha) of paired differences (2+ seeds, items).

    A training seed and an item each leave their mark on a difference: d[s, i] = mean + seed + item + rest, all drawn
    at random. The variance of the (weighted) mean has two parts: that between items, and that between seeds minus
    that of the rest, which both contain (Searle, Casella & McCulloch 1992, Variance Components, chapter 4). Each part
    has a t half width of its own degrees of freedom, and their squares add up (MOVER; Zou & Donner 2008, Statistics in
    Medicine 27:1693). One t with Satterthwaite's degrees of freedom covered 92 % with 3 seeds that differ much.

    Beyond LEVEL, where Holm's correction looks, what the rest takes off grows with its own t, not with that of the
    seeds: the difference of two estimates is 0 too often by chance, and then seeds would count for nothing however far
    out in the tail. Without this one family in ten between methods of 3 seeds had a false verdict, with it one in a
    hundred (benchmarks/coverage.py families).
    """
    seeds, n = len(values), effective_number(weights)
    share = weights / weights.sum()
    of_seed, of_item = values @ share, values.mean(axis=0)
    mean = float(of_seed.mean())
    rest = (values - of_seed[:, None] - of_item + mean) * share
    between_seeds = float(np.sum((of_seed - mean) ** 2)) / (seeds * (seeds - 1))
    between_items = n / (n - 1) * float(np.sum(((of_item - mean) * share) ** 2))
    left = n / (n - 1) * float(np.sum(rest**2)) / (seeds * (seeds - 1))
    freedoms = n - 1, seeds - 1, max(n - 1, 1.0) * (seeds - 1)  # below n = 2 the rest would have fewer than the seeds

    def half(alpha: float) -> float:
        of_items, of_seeds, of_rest = (_t_of(alpha, freedom) for freedom in freedoms)
        taken_off = min(of_seeds, _t_of(LEVEL, freedoms[1]) / _t_of(LEVEL, freedoms[2]) * of_rest) ** 2
        return math.sqrt(of_items**2 * between_items + max(of_seeds**2 * between_seeds - taken_off * left, 0.0))

    return mean, half


def over_seeds_and_items(
    values: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    seed: int,
    resamples: int,
    alpha: float,
    tests: int = 1,
) -> dict[str, float]:
    """Mean of paired differences of shape (training seeds, items), with an interval over seeds and items and p.

    One seed: ``paired_bootstrap`` of that row. Several: the interval of ``crossed``. Resampling seeds and
    items together (the hierarchical bootstrap) would be simpler and is not used: of the few values that 3 seeds can
    take it cannot draw the tails, and it covers too little where seeds matter (benchmarks/coverage.py has both).
    """
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 2 or found.shape[0] < 1 or found.shape[1] < 2:
        raise ValueError(f"differences need the shape (seeds, 2+ items), got {found.shape}")
    if len(found) == 1:
        return paired_bootstrap(
            np.zeros(found.shape[1]),
            found[0],
            weights=weights,
            clusters=clusters,
            seed=seed,
            resamples=resamples,
            alpha=alpha,
            tests=tests,
        )
    means, w = by_cluster(found, weights, clusters)
    if len(w) < 2:
        raise ValueError("an interval over items needs 2+ clusters: all items share one")
    mean, half = crossed(means, w)
    if half(SMALLEST_P) <= abs(mean):
        p = SMALLEST_P if mean else 1.0
    else:  # the smallest alpha whose interval excludes 0
        p = float(optimize.brentq(lambda level: half(level) - abs(mean), SMALLEST_P, 1.0, xtol=1e-15))
    return {"difference": mean, "low": mean - half(alpha), "high": mean + half(alpha), "p": p}


def holm(p_values: dict[str, float]) -> dict[str, float]:
    """Holm's adjusted p-values, in the order given; Holm 1979, Scandinavian Journal of Statistics 6:65.

    The k-th smallest of m is multiplied by m - k + 1, never falls below an earlier one, and stops at 1.
    Rejecting those below alpha keeps the chance of *any* false rejection below alpha, whatever the
    dependence between the tests (here strong: one base model, the same items).
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, key in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[key]))
        adjusted[key] = largest
    return {key: adjusted[key] for key in p_values}


def mcnemar_power(n: int, discordance: float, difference: float, alpha: float = 0.05) -> float:
    """Power of the exact McNemar test on ``n`` pairs for a true difference (fraction, >= 0).

    The number of discordant pairs is binomial(n, discordance); given it, gains are binomial with
    probability (discordance + difference) / (2 discordance) (Duffy 1984, Biometrics 40:1005).
    """
    if discordance <= 0:
        return 0.0
    pairs = np.arange(n + 1)
    # Largest count of the smaller cell that still rejects. ppf gives the first count whose cdf reaches
    # alpha / 2; the one before it is safe, and so is the count itself where the cdf is exactly alpha / 2.
    critical = stats.binom.ppf(alpha / 2, pairs, 0.5)
    critical = np.where(2 * stats.binom.cdf(critical, pairs, 0.5) < alpha, critical, critical - 1)
    gain = min(1.0, (discordance + difference) / (2 * discordance))
    rejects = stats.binom.cdf(critical, pairs, gain) + stats.binom.cdf(critical, pairs, 1 - gain)
    return float(np.sum(stats.binom.pmf(pairs, n, min(discordance, 1.0)) * rejects))


def minimum_detectable_effect(n: int, discordance: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest true difference of two paired proportions (fraction) that ``n`` pairs detect with ``power``.

    ``discordance`` is the share of items on which the two models disagree, from a pilot or from the results.
    Solved with the exact power of the exact test, because the usual normal formula (Connor 1987, Biometrics
    43:207) is optimistic for few items. A difference cannot exceed the discordance, so where even all
    disagreements in one direction are too few, the discordance is raised along with the difference.
    1.0 means that no difference is detectable with this many items.
    """
    if n < 1 or not 0 <= discordance <= 1:
        raise ValueError(f"n = {n}, discordance = {discordance}")

    def missing(difference: float) -> float:
        return mcnemar_power(n, max(discordance, difference), difference, alpha) - power

    if missing(1.0) <= 0:
        return 1.0
    return float(optimize.brentq(missing, 0.0, 1.0, xtol=1e-6))


def minimum_detectable_mean(
    values: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """Smallest true (weighted) mean, in the unit of ``values`` (seeds, items), that these detect with ``power``.

    ``values`` are paired differences. (t[1-alpha/2] + t[power]) times the standard error: with one seed that of
    the ratio sum(w d) / sum(w), linearised (Cochran 1977, Sampling Techniques, chapter 6), with several that of
    ``crossed``, which is then optimistic, its t of few degrees of freedom being estimated from the same seeds: at
    0.05/16 a power of 0.8 was 0.55 to 0.6 with 3 seeds and 0.67 to 0.76 with 5, simulated. The spread is the one seen
    in these values. inf where one seed and so few items cannot give a p
    below ``alpha`` (``enough_resamples``).
    """
    found, w = by_cluster(values, weights, clusters)
    if len(found) == 1:
        n = effective_number(w)
        if enough_resamples(n, alpha) is None:
            return math.inf
        residual = w * (found[0] - float(np.average(found[0], weights=w)))
        error, freedom = math.sqrt(n / (n - 1) * float(np.sum(residual**2))) / w.sum(), n - 1
        return float((stats.t.isf(alpha / 2, freedom) + stats.t.ppf(power, freedom)) * error)
    _, half = crossed(found, w)
    return half(alpha) + half(2 * (1 - power))
