import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from tuner import statistics


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (5, 5), (3, 8), (40, 200), (1, 1)])
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_wilson_is_scipys(successes: int, n: int, alpha: float) -> None:
    expected = stats.binomtest(successes, n).proportion_ci(1 - alpha, method="wilson")
    assert statistics.wilson(successes, n, alpha) == pytest.approx((expected.low, expected.high), abs=1e-12)
    others = proportion_confint(successes, n, alpha, method="wilson")
    assert statistics.wilson(successes, n, alpha) == pytest.approx(others, abs=1e-12)


def test_wilson_ends() -> None:
    assert statistics.wilson(0, 0) == (0.0, 1.0)
    assert statistics.wilson(0, 10)[0] == 0.0
    assert statistics.wilson(10, 10)[1] == 1.0
    with pytest.raises(ValueError, match="11 successes out of 10"):
        statistics.wilson(11, 10)


def _columns(gains: int, losses: int, n: int) -> tuple[list[int], list[int]]:
    same = n - gains - losses
    return [0] * gains + [1] * losses + [1] * same, [1] * gains + [0] * losses + [1] * same


@pytest.mark.parametrize(("gains", "losses"), [(0, 0), (3, 3), (7, 1), (1, 7), (20, 4), (6, 0)])
def test_mcnemar_is_scipys_binomial(gains: int, losses: int) -> None:
    expected = stats.binomtest(gains, gains + losses).pvalue if gains + losses else 1.0
    found = statistics.mcnemar_exact(*_columns(gains, losses, 40))
    assert found == pytest.approx(expected)
    if gains + losses:  # statsmodels divides by their number
        assert found == pytest.approx(mcnemar([[40 - gains - losses, gains], [losses, 0]], exact=True).pvalue)


@pytest.mark.parametrize("bad", [([0, 1], [1]), ([0, 2], [1, 1]), ([], [])])
def test_paired_proportions_refuses(bad: tuple[list[int], list[int]]) -> None:
    for function in (statistics.mcnemar_exact, statistics.paired_proportions):
        with pytest.raises(ValueError, match="paired"):
            function(*bad)


def _uncorrected(gains: int, losses: int) -> float:
    return (gains - losses) / math.sqrt(gains + losses)


@pytest.mark.parametrize(("gains", "losses", "n"), [(9, 2, 40), (2, 9, 40), (14, 3, 60), (30, 9, 200)])
def test_tango_interval_inverts_the_score_test(gains: int, losses: int, n: int) -> None:
    """At a difference of 0 Tango's score is the uncorrected McNemar statistic (Tango 1998)."""
    level = 2 * stats.norm.sf(abs(_uncorrected(gains, losses)))
    for alpha, outside in ((level * 1.02, True), (level * 0.98, False)):
        low, high = statistics.tango_interval(gains, losses, n, alpha)
        assert low <= (gains - losses) / n <= high
        assert (low > 0 or high < 0) == outside


def test_tango_interval_mirrors_and_has_width_without_discordant_pairs() -> None:
    low, high = statistics.tango_interval(7, 2, 50)
    assert statistics.tango_interval(2, 7, 50) == pytest.approx((-high, -low), abs=1e-12)
    low, high = statistics.tango_interval(0, 0, 50)
    z2 = stats.norm.isf(0.025) ** 2
    assert (low, high) == pytest.approx((-z2 / (50 + z2), z2 / (50 + z2)))  # closed form in this case
    assert statistics.tango_interval(8, 0, 8)[1] == 1.0
    assert statistics.tango_interval(0, 8, 8)[0] == -1.0


def _coverage(n: int, discordance: float, difference: float) -> float:
    """Exact coverage of the interval: a sum over all possible counts."""
    gain, loss = (discordance + difference) / 2, (discordance - difference) / 2
    covered = 0.0
    for gains in range(n + 1):
        for losses in range(n + 1 - gains):
            chance = _trinomial(n, gains, losses, gain, loss)
            if chance > 1e-9:
                low, high = statistics.tango_interval(gains, losses, n)
                covered += chance * (low <= difference <= high)
    return covered


def _trinomial(n: int, gains: int, losses: int, gain: float, loss: float) -> float:
    rest = n - gains - losses
    log = math.lgamma(n + 1) - math.lgamma(gains + 1) - math.lgamma(losses + 1) - math.lgamma(rest + 1)
    return math.exp(log + gains * math.log(gain) + losses * math.log(loss) + rest * math.log(1 - gain - loss))


@pytest.mark.parametrize(
    ("n", "discordance", "difference"),
    [(40, 0.2, 0.0), (40, 0.3, 0.1), (40, 0.4, 0.2), (80, 0.2, 0.1), (200, 0.1, 0.05)],
)
def test_coverage_of_paired_proportions(n: int, discordance: float, difference: float) -> None:
    assert 0.93 <= _coverage(n, discordance, difference) <= 0.97


@pytest.mark.parametrize(("discordance", "difference"), [(0.2, 0.0), (0.4, 0.1)])
def test_coverage_with_eight_items_is_not_too_small(discordance: float, difference: float) -> None:
    assert _coverage(8, discordance, difference) >= 0.94


def test_simulated_coverage_agrees() -> None:
    """Draws of whole columns instead of sums over counts, against the same limits."""
    rng = np.random.default_rng(0)
    cells = rng.choice(3, size=(1500, 60), p=[0.2, 0.1, 0.7])  # gain, loss, same
    hits = 0
    for row in cells:
        found = statistics.paired_proportions(row == 1, row == 0)
        hits += found["low"] <= 0.1 <= found["high"]
    assert 0.93 <= hits / len(cells) <= 0.97


def test_mcnemar_false_positives() -> None:
    rng = np.random.default_rng(1)
    rejections = [statistics.mcnemar_exact(*(rng.random((2, 60)) < 0.4)) < 0.05 for _ in range(2000)]
    assert np.mean(rejections) <= 0.05 + 0.01


def _loss_columns(rng: np.random.Generator, n: int, shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    tokens = rng.integers(5, 200, n)
    a = rng.normal(2.0, 0.5, n)
    return a, a + shift + rng.normal(0, 0.3, n) / np.sqrt(tokens / 50), tokens


@pytest.mark.parametrize("n", [8, 40])
def test_bootstrap_coverage_and_false_positives(n: int) -> None:
    rng = np.random.default_rng(2)
    covered, rejected, runs = 0, 0, 1000
    for run in range(runs):
        a, b, tokens = _loss_columns(rng, n, 0.0)
        found = statistics.paired_bootstrap(a, b, weights=tokens, seed=run, resamples=4999, alpha=0.05)
        covered += found["low"] <= 0 <= found["high"]
        rejected += found["p"] < 0.05
        assert (found["p"] < 0.05) == (not found["low"] <= 0 <= found["high"])
    assert 0.93 <= covered / runs <= 0.97
    assert rejected / runs <= 0.05 + 0.015


def test_bootstrap_weights() -> None:
    a, b, tokens = _loss_columns(np.random.default_rng(3), 50, 0.1)
    options = {"seed": 0, "resamples": 2000, "alpha": 0.05}
    found = statistics.paired_bootstrap(a, b, weights=tokens, **options)
    assert found["difference"] == pytest.approx(np.average(b, weights=tokens) - np.average(a, weights=tokens))
    assert found["low"] < found["difference"] < found["high"]
    plain = statistics.paired_bootstrap(a, b, **options)
    assert plain == statistics.paired_bootstrap(a, b, weights=np.full(50, 7.0), **options) | {
        key: pytest.approx(plain[key]) for key in ("difference", "low", "high")
    }
    mirrored = statistics.paired_bootstrap(b, a, weights=tokens, **options)
    assert mirrored["p"] == found["p"]
    assert mirrored["low"] == pytest.approx(-found["high"])


def test_bootstrap_is_the_t_test_for_many_items() -> None:
    rng = np.random.default_rng(4)
    a = rng.normal(size=400)
    b = a + rng.normal(0.1, 1.0, size=400)
    found = statistics.paired_bootstrap(a, b, seed=0, resamples=20000, alpha=0.05)
    expected = stats.ttest_rel(b, a)
    interval = expected.confidence_interval(0.95)
    assert found["p"] == pytest.approx(expected.pvalue, rel=0.25)
    assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high), abs=0.012)


def test_bootstrap_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, tokens = _loss_columns(np.random.default_rng(5), 30, 0.1)
    whole = statistics.paired_bootstrap(a, b, weights=tokens, seed=9, resamples=1001, alpha=0.05)
    monkeypatch.setattr(statistics, "BLOCK_CELLS", 100)
    assert statistics.paired_bootstrap(a, b, weights=tokens, seed=9, resamples=1001, alpha=0.05) == whole


def test_a_family_of_tests_gets_the_resamples_that_its_strictest_step_takes() -> None:
    rng = np.random.default_rng(5)
    a = rng.normal(size=30)
    b = a + 1 + rng.normal(0, 0.01, 30)  # each resample is above 0: p is as small as it can get
    options = {"seed": 0, "resamples": 100, "alpha": 0.05}
    for tests in (1, 16, 400):
        found = statistics.paired_bootstrap(a, b, **options, tests=tests)
        assert found["resamples"] == statistics.enough_resamples(30, 0.05 / tests)
        assert found["p"] < 0.05 / tests
    assert statistics.paired_bootstrap(a[:5], b[:5], **options, tests=400)["p"] > 0.05 / 400
    assert statistics.enough_resamples(5, 0.05 / 400) is None
    assert statistics.minimum_detectable_mean((b - a)[None, :5], alpha=0.05 / 400) == math.inf


def test_bootstrap_of_identical_columns_and_refusals() -> None:
    a = np.arange(6.0)
    same = statistics.paired_bootstrap(a, a, seed=0, resamples=100, alpha=0.05)
    assert same == {"difference": 0.0, "low": 0.0, "high": 0.0, "p": 1.0, "resamples": 100}
    options = {"seed": 0, "resamples": 10, "alpha": 0.05}
    for bad in ((a, a[:3]), (a[:1], a[:1])):
        with pytest.raises(ValueError, match="equal columns"):
            statistics.paired_bootstrap(*bad, **options)
    with pytest.raises(ValueError, match="weights"):
        statistics.paired_bootstrap(a, a, weights=[0, 1, 1, 1, 1, 1], **options)
    with pytest.raises(ValueError, match="finite"):
        statistics.paired_bootstrap(a, a * math.nan, **options)


def test_holm_by_hand() -> None:
    """0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1 lifted to the 0.06 before it."""
    adjusted = statistics.holm({"b": 0.04, "a": 0.005, "d": 0.03, "c": 0.01})
    assert list(adjusted) == ["b", "a", "d", "c"]
    assert adjusted == pytest.approx({"a": 0.02, "c": 0.03, "d": 0.06, "b": 0.06})
    assert statistics.holm({"x": 0.6, "y": 0.9}) == {"x": 1.0, "y": 1.0}
    assert statistics.holm({}) == {}


def test_holm_is_statsmodels() -> None:
    p_values = np.random.default_rng(11).random(40) ** 3
    expected = multipletests(p_values, method="holm")[1]
    assert list(statistics.holm(dict(enumerate(p_values))).values()) == pytest.approx(expected)


def test_holm_family_false_positives() -> None:
    """The chance of any rejection among 12 true nulls that share a base stays at alpha."""
    rng = np.random.default_rng(6)
    families = 0
    for _ in range(600):
        base = rng.random(50) < 0.4
        arms = [np.where(rng.random(50) < 0.4, rng.random(50) < 0.4, base) for _ in range(12)]
        p_values = {str(arm): statistics.mcnemar_exact(base, arms[arm]) for arm in range(12)}
        families += min(statistics.holm(p_values).values()) < 0.05
    assert families / 600 <= 0.05 + 0.02


def test_minimum_detectable_effect_has_that_power() -> None:
    rng = np.random.default_rng(7)
    n, discordance = 120, 0.25
    effect = statistics.minimum_detectable_effect(n, discordance)
    gain = (discordance + effect) / 2
    counts = rng.multinomial(n, [gain, discordance - gain, 1 - discordance], size=4000)
    smaller, both = counts[:, :2].min(axis=1), counts[:, :2].sum(axis=1)
    assert np.mean(2 * stats.binom.cdf(smaller, both, 0.5) < 0.05) == pytest.approx(0.8, abs=0.025)


def test_minimum_detectable_effect_against_connor() -> None:
    """Connor 1987, solved for the difference; the exact test needs a little more, less so with more items."""
    for n, tolerance in ((200, 0.06), (2000, 0.03)):
        n_root, z, power = math.sqrt(n), stats.norm.isf(0.025), stats.norm.ppf(0.8)
        normal = math.sqrt(0.2) * (n_root * z + power * math.sqrt(n - z**2 + power**2)) / (n + power**2)
        assert statistics.minimum_detectable_effect(n, 0.2) == pytest.approx(normal, rel=tolerance)


def test_minimum_detectable_effect_falls_with_items_and_stays_possible() -> None:
    effects = [statistics.minimum_detectable_effect(n, 0.2) for n in (3, 8, 40, 200, 1000)]
    assert effects[0] == 1.0  # three pairs give p = 0.25 at best
    assert all(first > second for first, second in zip(effects, effects[1:], strict=False))
    assert statistics.minimum_detectable_effect(40, 0.0) < 1.0
    assert statistics.minimum_detectable_effect(40, 0.2, 0.001) > effects[2]
    with pytest.raises(ValueError, match="discordance"):
        statistics.minimum_detectable_effect(40, 1.2)


def test_minimum_detectable_mean() -> None:
    rng = np.random.default_rng(8)
    b = rng.normal(size=500)
    expected = (stats.t.isf(0.025, 499) + stats.t.ppf(0.8, 499)) * b.std(ddof=1) / math.sqrt(500)
    assert statistics.minimum_detectable_mean(b[None]) == pytest.approx(expected)
    weighted = statistics.minimum_detectable_mean(b[None], weights=np.full(500, 3.0))
    assert weighted == pytest.approx(expected)


OPTIONS = {"seed": 3, "resamples": 2000, "alpha": 0.05}


def test_clusters_of_one_are_items_and_the_order_of_items_does_not_matter() -> None:
    a, b, tokens = _loss_columns(np.random.default_rng(12), 30, 0.1)
    plain = statistics.paired_bootstrap(a, b, weights=tokens, **OPTIONS)
    names = [f"{index:02d}" for index in range(30)]
    assert statistics.paired_bootstrap(a, b, weights=tokens, clusters=names, **OPTIONS) == pytest.approx(plain)
    clusters, order = np.arange(30) % 7, np.random.default_rng(0).permutation(30)
    one = statistics.paired_bootstrap(a, b, weights=tokens, clusters=clusters, **OPTIONS)
    other = statistics.paired_bootstrap(a[order], b[order], weights=tokens[order], clusters=clusters[order], **OPTIONS)
    assert one == pytest.approx(other)
    assert one["difference"] == pytest.approx(plain["difference"])


def test_items_said_again_add_nothing() -> None:
    a, b, tokens = _loss_columns(np.random.default_rng(13), 20, 0.1)
    once = statistics.paired_bootstrap(a, b, weights=tokens, **OPTIONS)
    four = {name: np.tile(column, 4) for name, column in {"a": a, "b": b, "weights": tokens}.items()}
    clustered = statistics.paired_bootstrap(**four, clusters=np.tile(np.arange(20), 4), **OPTIONS)
    assert clustered == pytest.approx(once)
    blind = statistics.paired_bootstrap(**four, **OPTIONS)
    assert blind["high"] - blind["low"] < 0.6 * (once["high"] - once["low"])


def test_effective_number() -> None:
    assert statistics.effective_number(np.full(9, 3.0)) == pytest.approx(9)
    assert statistics.effective_number(np.array([1e6, 1.0, 1.0])) == pytest.approx(1, abs=1e-4)


def test_one_seed_is_the_paired_bootstrap() -> None:
    a, b, tokens = _loss_columns(np.random.default_rng(14), 40, 0.1)
    clusters = np.arange(40) // 3
    for options in ({}, {"weights": tokens}, {"weights": tokens, "clusters": clusters}):
        found = statistics.over_seeds_and_items((b - a)[None], **options, **OPTIONS)
        assert found == pytest.approx(statistics.paired_bootstrap(a, b, **options, **OPTIONS))


def test_seeds_that_agree_are_one_seed_and_seeds_that_differ_widen() -> None:
    values = np.random.default_rng(15).normal(0.1, 1.0, 285)
    same = statistics.over_seeds_and_items(np.tile(values, (3, 1)), **OPTIONS)
    expected = stats.ttest_1samp(values, 0.0)
    interval = expected.confidence_interval(0.95)
    assert (same["low"], same["high"], same["p"]) == pytest.approx((interval.low, interval.high, expected.pvalue))
    apart = statistics.over_seeds_and_items(values + np.array([[-0.5], [0.0], [0.5]]), **OPTIONS)
    assert apart["difference"] == pytest.approx(same["difference"])
    seeds_alone = stats.t.isf(0.025, 2) * 0.5 / math.sqrt(3)
    assert apart["high"] - apart["low"] == pytest.approx(
        2 * math.hypot(seeds_alone, (interval.high - interval.low) / 2)
    )


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_crossed_adds_the_parts_of_the_analysis_of_variance(seeds: int) -> None:
    """Mean squares of the two-way table without replication, as any textbook computes them."""
    values = np.random.default_rng(seeds).normal(size=(seeds, 12)) + np.arange(seeds)[:, None]
    n, mean = 12, values.mean()
    of_seeds = n * np.sum((values.mean(axis=1) - mean) ** 2) / (seeds - 1)
    of_items = seeds * np.sum((values.mean(axis=0) - mean) ** 2) / (n - 1)
    whole = np.sum((values - mean) ** 2)
    rest = (whole - (seeds - 1) * of_seeds - (n - 1) * of_items) / ((seeds - 1) * (n - 1))
    found, half = statistics.crossed(values, np.full(n, 2.0))
    for alpha in (0.05, 0.4):
        parts = stats.t.isf(alpha / 2, n - 1) ** 2 * of_items + stats.t.isf(alpha / 2, seeds - 1) ** 2 * (
            of_seeds - rest
        )
        assert (found, half(alpha)) == pytest.approx((mean, math.sqrt(parts / (seeds * n))))
    for alpha in (0.05, 0.01, 0.001, 1e-6):  # ever wider
        assert half(alpha / 2) > half(alpha)


def test_seeds_that_differ_no_more_than_chance_still_count_far_out() -> None:
    """A spread a little below that of the rest adds nothing to the 95 % interval; it must to a rarer one."""
    items, rest = np.tile([1.0, -1.0], 50), np.resize([0.3, -0.3, 0.3, -0.3, -0.3, 0.3, -0.3, 0.3], 100)
    values = items + np.stack([rest, -rest]) + np.array([[-0.02], [0.02]])
    mean, half = statistics.crossed(values, np.ones(100))
    only_items = values.mean(axis=0).std(ddof=1) / 10
    assert half(0.05) == pytest.approx(stats.t.isf(0.025, 99) * only_items)
    assert half(0.002) > 2 * stats.t.isf(0.001, 99) * only_items


def test_two_uneven_clusters_have_an_interval_and_a_p_that_agree() -> None:
    values = np.array([[0.5, -0.1], [-0.1, 0.5], [0.45, 0.45]])
    _, half = statistics.crossed(values, np.array([1.0, 4.0]))
    widths = [half(alpha) for alpha in (0.3, 0.1, 0.05, 0.01, 1e-4)]
    assert widths == sorted(widths)
    found = statistics.over_seeds_and_items(values, weights=[1.0, 4.0], **OPTIONS)
    assert (found["p"] < 0.05) == (not found["low"] <= 0 <= found["high"])


@pytest.mark.parametrize(("seeds", "spread"), [(3, 0.0), (3, 0.03), (3, 0.2), (5, 0.0), (5, 0.03), (5, 0.2)])
def test_coverage_over_seeds_and_items(seeds: int, spread: float) -> None:
    rng = np.random.default_rng(16)
    covered, runs = 0, 1500
    for _ in range(runs):
        item, seed = rng.normal(0, 0.4, 285), rng.normal(0, spread, (seeds, 1))
        found = statistics.over_seeds_and_items(item + seed + rng.normal(0, 0.3, (seeds, 285)), **OPTIONS)
        covered += found["low"] <= 0 <= found["high"]
        assert (found["p"] < 0.05) == (not found["low"] <= 0 <= found["high"])
    assert 0.93 <= covered / runs <= 0.97


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (np.zeros(5), {}, "shape"),
        (np.zeros((3, 1)), {}, "shape"),
        (np.zeros((3, 4)), {"clusters": ["x"] * 4}, "share one"),
        (np.zeros((1, 4)), {"clusters": ["x"] * 4}, "share one"),
        (np.zeros((3, 4)), {"clusters": ["x"] * 3}, "one name for each"),
        (np.full((3, 4), math.nan), {}, "finite"),
    ],
)
def test_differences_over_seeds_are_refused(values: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        statistics.over_seeds_and_items(values, **options, **OPTIONS)


def test_minimum_detectable_mean_with_clusters_has_that_power() -> None:
    rng = np.random.default_rng(17)
    clusters, sd = np.arange(60) // 5, 0.3

    def drawn() -> np.ndarray:
        return rng.normal(0, sd, 12)[clusters] + rng.normal(0, 0.1, 60)

    effect = float(np.mean([statistics.minimum_detectable_mean(drawn()[None], clusters=clusters) for _ in range(300)]))
    options = OPTIONS | {"resamples": 1500}
    hits = [
        statistics.over_seeds_and_items((drawn() + effect)[None], clusters=clusters, **options)["p"] < 0.05
        for _ in range(500)
    ]
    assert np.mean(hits) == pytest.approx(0.8, abs=0.06)
