"""How different the instructions of a set are from each other: openers, distinct n-grams, neighbours, Vendi score.

Most such numbers change with the size of the set alone: a large set repeats more words and has nearer neighbours. Here
they are what a sample of a stated size shows, the same for every set that is compared (rarefaction; Hurlbert 1971,
Ecology 52:577). For distinct-n and neighbours that is an exact expectation over all such samples, so it has no noise of
its own; a set too small for the sample gets None, never a number that looks comparable.

Texts are embedded without a model, as counts of hashed character n-grams. They see shared words and phrasing, not
meaning: two wordings of one question count as different. Counts are not weighed by inverse document frequency, because
a phrase that all texts share would weigh least where it matters: with it, 100 texts of one template with 20 nouns score
a Vendi of 12, without 2.4; and weights learned from each set would make sets and runs incomparable. Longer texts share
more n-grams, so read cosines beside the lengths.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse, stats
from scipy.special import gammaln
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

from tuner.statistics import wilson
from tuner.texts import normalise, words

OPENER_WORDS = 3
OPENER_ALARM = 0.05  # a choice of this project: no publication sets a limit
OPENER_REPEATS = 3  # in a small group two alike are chance
SAMPLE_WORDS = 1000
SAMPLE_TEXTS = 100
SMALLEST_WORDS, SMALLEST_TEXTS = 100, 10  # groups below are not given such numbers, and do not lower the others' sample
MOST_TEXTS = 1000  # embedded at once: a dense matrix of similarities, 8 MB
DRAWS = 8  # of the Vendi score, which has no closed form for a sample


def measure(
    texts: Sequence[str],
    *,
    sample_words: int = SAMPLE_WORDS,
    sample_texts: int = SAMPLE_TEXTS,
    seed: int = 0,
) -> dict[str, Any]:
    """Diversity of a set of texts; texts without a word are left out. All shares and cosines are fractions (0-1).

    ``texts``, ``words_mean``, ``words_median``, ``words_p10``, ``words_p90``: how many, and their lengths in words.
    ``opener``, ``opener_share``: the commonest three first words and the share of texts that begin so.
    ``opener_alarm``: that share is above 5 % (and of three texts or more).
    ``distinct_1``, ``_2``, ``_3``: different n-grams over n-grams (Li et al. 2016, arXiv 1510.03055), expected in
    ``sample_words`` n-grams drawn from the set without replacement. ``distinct_words`` repeats that number.
    ``nearest_cosine`` with ``nearest_low`` and ``nearest_high``: cosine of a text and its nearest neighbour, mean over
    the texts, expected in a sample of ``sample_texts`` texts; the 95 % interval is Student's.
    ``pairwise_cosine``: mean cosine of two different texts.
    ``vendi``: effective number of different texts among ``sample_texts``, exp of the entropy of the eigenvalues of
    K / n, K the cosines (Friedman and Dieng 2022, arXiv 2210.02410); mean of up to eight samples.
    ``similarity_texts`` repeats their number.

    Above 1000 texts similarities are those of 1000 drawn with ``seed``.
    """
    used = [text for text in texts if plain_words(text)]
    tokens = [plain_words(text) for text in used]
    lengths = [len(own) for own in tokens]
    found: dict[str, Any] = {"texts": len(used)}
    spread = np.percentile(lengths, [10, 50, 90]) if used else [None] * 3
    found["words_mean"] = round(float(np.mean(lengths)), 1) if used else None
    for name, value in zip(("words_p10", "words_median", "words_p90"), spread, strict=True):
        found[name] = None if value is None else round(float(value), 1)
    found |= opener(tokens)
    for n in (1, 2, 3):
        grams = Counter(tuple(own[i : i + n]) for own in tokens for i in range(len(own) - n + 1))
        share = distinct(list(grams.values()), sample_words)
        found[f"distinct_{n}"] = None if share is None else round(share, 4)
    found["distinct_words"] = sample_words
    return found | similarity(used, sample_texts=sample_texts, seed=seed)


def compare(sets: Mapping[str, Sequence[str]], *, seed: int = 0) -> dict[str, dict[str, Any]]:
    """``measure`` of each of several sets of texts, in samples of one size, so that the numbers can be compared.

    The sizes are those of the smallest set, at most the usual ones; a set of fewer than 10 texts (or 100 trigrams) does
    not lower them and gets None.
    """
    texts = {name: [text for text in found if plain_words(text)] for name, found in sets.items()}
    counts = [len(found) for found in texts.values()]
    # a text of n words has n - 2 trigrams: the scarcest of what is counted
    grams = [sum(max(0, len(plain_words(text)) - 2) for text in found) for found in texts.values()]
    sample_words = min([SAMPLE_WORDS, *(n for n in grams if n >= SMALLEST_WORDS)])
    sample_texts = min([SAMPLE_TEXTS, *(n for n in counts if n >= SMALLEST_TEXTS)])
    return {
        name: measure(found, sample_words=sample_words, sample_texts=sample_texts, seed=seed)
        for name, found in texts.items()
    }


def by_group(
    rows: Iterable[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]], key: str, *, seed: int = 0
) -> dict[str, dict]:
    """Kept share and the diversity of the kept instructions, by group, in the groups' alphabetical order.

    ``key``: a column, or "cell" for the temperature and top_p of the row's ``instruction_sampling``. A group has
    ``rows``, ``kept``, ``kept_share`` with ``kept_low`` and ``kept_high`` (Wilson, 95 %), and all that
    ``compare`` finds. Kept rows alone are measured: word salad has no near neighbours and would make the worst sampling
    look the most diverse.

    ValueError if a row has no such column, or a kept row's group has no rows.
    """
    group = cell if key == "cell" else _column(key)
    sizes = Counter(map(group, rows))
    texts: dict[str, list[str]] = {name: [] for name in sorted(sizes)}
    for row in kept:
        if (name := group(row)) not in texts:
            raise ValueError(f"row {row['id']} was kept, but no row in has its {key}, {name}")
        texts[name].append(row["instruction"])
    if over := [name for name in texts if len(texts[name]) > sizes[name]]:
        raise ValueError(f"{key} {over[0]}: {len(texts[over[0]])} rows kept of {sizes[over[0]]}")
    measured = compare(texts, seed=seed)
    table = {}
    for name, found in texts.items():
        low, high = wilson(len(found), sizes[name])
        table[name] = {
            "rows": sizes[name],
            "kept": len(found),
            "kept_share": round(len(found) / sizes[name], 4),
            "kept_low": round(low, 4),
            "kept_high": round(high, 4),
        } | measured[name]
    return table


def cell(row: Mapping[str, Any]) -> str:
    """Name of the decoding cell an instruction was sampled in: "T=1.1 top_p=0.995"."""
    sampling = row["instruction_sampling"]
    return f"T={sampling['temperature']:g} top_p={sampling['top_p']:g}"


def plain_words(text: str) -> tuple[str, ...]:
    """The words of a text as the filters compare them: casefolded, without marks at their ends."""
    return words(normalise(text))


def opener(tokens: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The commonest three first words (all of a shorter text) of texts given as lists of words; first in a tie."""
    counts = Counter(" ".join(text[:OPENER_WORDS]) for text in tokens)
    if not counts:
        return {"opener": None, "opener_share": None, "opener_alarm": False}
    commonest, count = counts.most_common(1)[0]
    share = count / len(tokens)
    alarm = share > OPENER_ALARM and count >= OPENER_REPEATS
    return {"opener": commonest, "opener_share": round(share, 4), "opener_alarm": alarm}


def distinct(counts: Sequence[int], sample: int) -> float | None:
    """Expected share of different items among ``sample`` drawn without replacement; None where there are fewer.

    ``counts`` says how often each item occurs. An item is missed with probability C(N - c, s) / C(N, s).
    """
    total = sum(counts)
    if total < sample or sample < 1:
        return None
    sizes, times = np.unique(np.asarray(counts), return_counts=True)
    return float(times @ (1 - _missed(total, sizes, sample)) / sample)


def similarity(texts: Sequence[str], *, sample_texts: int = SAMPLE_TEXTS, seed: int = 0) -> dict[str, Any]:
    """The part of ``measure`` that compares embeddings; two texts at least, else None."""
    names = ("nearest_cosine", "nearest_low", "nearest_high", "pairwise_cosine", "vendi")
    found: dict[str, Any] = dict.fromkeys(names) | {"similarity_texts": sample_texts}
    if len(texts) < 2:
        return found
    draw = np.random.default_rng(seed)
    if len(texts) > MOST_TEXTS:
        texts = [texts[place] for place in np.sort(draw.choice(len(texts), MOST_TEXTS, replace=False))]
    vectors = embed(texts)
    cosines = np.clip((vectors @ vectors.T).toarray(), 0.0, 1.0)
    n = len(texts)
    found["pairwise_cosine"] = round(float((cosines.sum() - n) / (n * (n - 1))), 4)
    if n < sample_texts or sample_texts < 2:
        return found
    nearest = nearest_in_sample(cosines, sample_texts)
    half = stats.t.ppf(0.975, n - 1) * nearest.std(ddof=1) / np.sqrt(n)
    values = nearest.mean(), max(0.0, nearest.mean() - half), min(1.0, nearest.mean() + half)
    found |= {name: round(float(value), 4) for name, value in zip(names, values, strict=False)}
    drawn = [np.arange(n)] if n == sample_texts else [draw.permutation(n)[:sample_texts] for _ in range(DRAWS)]
    found["vendi"] = round(float(np.mean([vendi(cosines[np.ix_(own, own)]) for own in drawn])), 2)
    return found


def embed(texts: Sequence[str]) -> sparse.csr_matrix:
    """Unit vectors of the texts, shape (len(texts), 2**18): 1 + log of the counts of 3- to 5-grams within words."""
    hashed = HashingVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), n_features=2**18, norm=None, alternate_sign=False
    )
    return TfidfTransformer(sublinear_tf=True, use_idf=False).fit_transform(hashed.transform(texts))


def nearest_in_sample(cosines: np.ndarray, sample: int) -> np.ndarray:
    """For each of n texts, shape (n,): its expected largest cosine to ``sample`` - 1 of the n - 1 others.

    ``cosines`` has shape (n, n); its diagonal is not read. The k-th nearest of the others is the nearest in the sample
    if it is drawn and none before it is.
    """
    n = len(cosines)
    others = cosines[~np.eye(n, dtype=bool)].reshape(n, n - 1)
    ordered = -np.sort(-others, axis=1)
    unseen = np.array([1.0, *_missed(n - 1, np.arange(1, n), sample - 1)])  # the nearest k are all outside
    return ordered @ -np.diff(unseen)


def vendi(cosines: np.ndarray) -> float:
    """Vendi score of a matrix of cosines, shape (n, n) with ones on the diagonal: 1 (all the same) to n."""
    values = np.linalg.eigvalsh(cosines / len(cosines))
    values = values[values > 1e-12]
    return float(np.exp(-np.sum(values * np.log(values))))


def _missed(total: int, sizes: np.ndarray, sample: int) -> np.ndarray:
    """Probability that a sample of ``total`` items holds none of a group, for groups of ``sizes``."""
    possible = total - sizes >= sample
    left = np.where(possible, total - sizes, sample)
    log = gammaln(left + 1) - gammaln(left - sample + 1) - gammaln(total + 1) + gammaln(total - sample + 1)
    return np.where(possible, np.exp(np.minimum(log, 0.0)), 0.0)


def _column(key: str) -> Callable[[Mapping[str, Any]], str]:
    def value(row: Mapping[str, Any]) -> str:
        if key not in row:
            raise ValueError(f"row {row['id']} has no {key}")
        return "none" if row[key] is None else str(row[key])

    return value
