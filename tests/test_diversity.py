"""Diversity: exact expectations against enumeration, and numbers that move with what they name and not with size."""

import random
from itertools import combinations

import numpy as np
import pytest

from tuner import diversity
from tuner.statistics import wilson

VERBS = "explain describe compare list summarise outline plan design review test translate rewrite".split()
THINGS = (
    "volcano sonnet budget violin harbour tax recipe glacier treaty enzyme bridge novel orchard engine "
    "market satellite garden kitchen marathon museum"
).split()
PEOPLE = "child pilot nurse farmer lawyer student chef tourist".split()
REASONS = "quickly|for a school project|in simple words|with two examples|before tomorrow|without jargon".split("|")


def _varied(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [
        f"{rng.choice(VERBS)} the {rng.choice(THINGS)} and the {rng.choice(THINGS)} to a {rng.choice(PEOPLE)} "
        f"{rng.choice(REASONS)}"
        for _ in range(count)
    ]


def _collapsed(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [f"Can you provide a summary of the main features of a {rng.choice(THINGS)}?" for _ in range(count)]


def test_distinct_is_the_mean_over_all_samples() -> None:
    counts = [4, 2, 1, 1]
    items = [item for item, count in enumerate(counts) for _ in range(count)]
    for sample in (1, 3, 5, 8):
        shares = [len(set(drawn)) / sample for drawn in combinations(items, sample)]
        assert diversity.distinct(counts, sample) == pytest.approx(np.mean(shares), abs=1e-12)
    assert diversity.distinct(counts, 8) == pytest.approx(4 / 8)  # the whole set: Li et al.'s distinct-n itself
    assert diversity.distinct(counts, 9) is None


def test_nearest_in_sample_is_the_mean_over_all_samples() -> None:
    cosines = np.random.default_rng(0).random((7, 7))
    cosines = (cosines + cosines.T) / 2
    for sample in (2, 4, 7):
        expected = [
            np.mean([max(cosines[i, j] for j in drawn) for drawn in combinations(others, sample - 1)])
            for i in range(7)
            for others in [[j for j in range(7) if j != i]]
        ]
        assert diversity.nearest_in_sample(cosines, sample) == pytest.approx(expected, abs=1e-12)


def test_vendi_counts_the_different() -> None:
    assert diversity.vendi(np.ones((6, 6))) == pytest.approx(1)
    assert diversity.vendi(np.eye(6)) == pytest.approx(6)
    two_kinds = np.kron(np.eye(2), np.ones((3, 3)))
    assert diversity.vendi(two_kinds) == pytest.approx(2)
    one_rare = np.block([[np.ones((5, 5)), np.zeros((5, 1))], [np.zeros((1, 5)), np.ones((1, 1))]])
    entropy = -(5 / 6 * np.log(5 / 6) + 1 / 6 * np.log(1 / 6))
    assert diversity.vendi(one_rare) == pytest.approx(np.exp(entropy))


def test_size_alone_changes_nothing_and_collapse_changes_all() -> None:
    small, large = (diversity.measure(_varied(count, seed)) for count, seed in ((150, 1), (900, 2)))
    collapsed = diversity.measure(_collapsed(900, 3))
    plain = [len(set(" ".join(_varied(n, s)).split())) / (12 * n) for n, s in ((150, 1), (900, 2))]
    assert plain[0] > 3 * plain[1]  # what distinct-1 would be without a common sample
    for key, slack in (("distinct_1", 0.01), ("distinct_2", 0.02), ("nearest_cosine", 0.03), ("pairwise_cosine", 0.01)):
        assert small[key] == pytest.approx(large[key], abs=slack)
    assert small["vendi"] == pytest.approx(large["vendi"], abs=3)
    assert (small["texts"], large["texts"]) == (150, 900)
    for key in ("distinct_1", "distinct_2", "distinct_3", "vendi"):
        assert collapsed[key] < 0.5 * large[key]
    for key in ("nearest_cosine", "pairwise_cosine"):
        assert collapsed[key] > large[key] + 0.2
    assert collapsed["vendi"] < 4  # inverse document frequencies learned from the set would hide it: 12
    assert collapsed["opener"] == "can you provide" and collapsed["opener_share"] == 1.0
    assert large["nearest_low"] < large["nearest_cosine"] < large["nearest_high"]


def test_repeated_texts_have_a_neighbour_at_no_distance() -> None:
    texts = _varied(60, 4)
    once, twice = (diversity.measure(some, sample_texts=60) for some in (texts, texts * 2))
    whole = diversity.measure(texts * 2, sample_texts=120)
    assert whole["nearest_cosine"] == 1.0
    assert once["nearest_cosine"] < twice["nearest_cosine"] < 1.0  # half of the twins are in a sample of half


@pytest.mark.parametrize(
    ("alike", "others", "alarm"), [(5, 95, False), (6, 94, True), (2, 8, False), (3, 7, True), (100, 0, True)]
)
def test_opener_alarm(alike: int, others: int, alarm: bool) -> None:
    texts = [f'"Tell me about, {n}' for n in range(alike)]
    texts += [f"{'abcdefghij'[n % 10]}{n} {n} one" for n in range(others)]
    found = diversity.measure(texts)
    assert found["opener"] == "tell me about"
    assert found["opener_share"] == alike / (alike + others)
    assert found["opener_alarm"] is alarm


def test_lengths_and_texts_without_words() -> None:
    found = diversity.measure(["", "  \n", "...", "one", "one two three", "one two three four five"])
    assert found["texts"] == 3
    assert (found["words_mean"], found["words_median"]) == (3.0, 3.0)
    assert found["distinct_1"] is None and found["nearest_cosine"] is None and found["vendi"] is None
    assert found["pairwise_cosine"] is not None
    nothing = diversity.measure([])
    assert nothing["texts"] == 0 and nothing["words_mean"] is None and nothing["opener_alarm"] is False


def test_the_numbers_of_a_set_small_enough_to_count() -> None:
    found = diversity.measure(["abcd efgh", "ABCD efgh", "ijkl mnop"], sample_words=3, sample_texts=3)
    assert found["distinct_2"] == pytest.approx(2 / 3, abs=1e-4)  # three bigrams, two of them different
    assert found["pairwise_cosine"] == pytest.approx(1 / 3, abs=1e-4)  # one pair of three is the same
    assert found["vendi"] < 2.1
    assert diversity.measure(["abcd efgh"] * 2 + ["ijkl mnop"], sample_texts=3)["nearest_cosine"] == 0.6667


def test_above_a_thousand_texts_a_seeded_sample_is_compared() -> None:
    texts = _varied(diversity.MOST_TEXTS + 300, 5)
    first, again, other = (diversity.similarity(texts, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert first["nearest_cosine"] == pytest.approx(other["nearest_cosine"], abs=0.02)


def _rows(sizes: dict[tuple[float, float], int]) -> list[dict]:
    texts = iter(_varied(sum(sizes.values()), 6))
    cells = [cell for cell, count in sizes.items() for _ in range(count)]
    return [
        {
            "id": place,
            "instruction": next(texts),
            "domain": "coding" if place % 2 else None,
            "instruction_sampling": {"temperature": temperature, "top_p": top_p, "top_k": 0},
        }
        for place, (temperature, top_p) in enumerate(cells)
    ]


def test_by_cell_has_kept_shares_and_samples_of_one_size() -> None:
    rows = _rows({(1.25, 1.0): 40, (1.0, 0.995): 80, (1.1, 1.0): 30})
    kept = rows[:20] + rows[40:100] + rows[120:123]
    table = diversity.by_group(iter(rows), kept, "cell")
    assert list(table) == ["T=1 top_p=0.995", "T=1.1 top_p=1", "T=1.25 top_p=1"]
    cool = table["T=1 top_p=0.995"]
    assert (cool["rows"], cool["kept"], cool["kept_share"]) == (80, 60, 0.75)
    assert (cool["kept_low"], cool["kept_high"]) == pytest.approx(wilson(60, 80), abs=1e-4)
    assert {found["similarity_texts"] for found in table.values()} == {20}  # the three rows of 1.1 are too few to count
    assert table["T=1.1 top_p=1"]["vendi"] is None and table["T=1.1 top_p=1"]["distinct_2"] is None
    assert cool["vendi"] is not None and cool["distinct_3"] is not None
    assert len({found["distinct_words"] for found in table.values()}) == 1


def test_sets_are_compared_in_samples_of_one_size() -> None:
    sets = {"all": [*_varied(300, 7), "", "..."], "kept": _varied(60, 8), "few": _varied(4, 9)}
    found = diversity.compare(sets)
    assert {name: one["texts"] for name, one in found.items()} == {"all": 300, "kept": 60, "few": 4}
    assert {one["similarity_texts"] for one in found.values()} == {60}
    assert found["few"]["vendi"] is None and found["few"]["distinct_1"] is None
    assert found["kept"]["vendi"] == pytest.approx(found["all"]["vendi"], abs=3)
    large = diversity.compare({"a": _varied(150, 1), "b": _varied(200, 2)})
    assert {one["similarity_texts"] for one in large.values()} == {diversity.SAMPLE_TEXTS}
    assert {one["distinct_words"] for one in large.values()} == {diversity.SAMPLE_WORDS}


def test_one_group_is_the_whole_set() -> None:
    rows = [row | {"domain": "any"} for row in _rows({(1.0, 1.0): 200})]
    table = diversity.by_group(rows, rows[:150], "domain")
    assert table["any"].items() >= diversity.measure([row["instruction"] for row in rows[:150]]).items()


def test_group_without_kept_rows_and_rows_without_a_domain() -> None:
    rows = _rows({(1.0, 1.0): 40})
    table = diversity.by_group(rows, [row for row in rows if row["domain"]], "domain")
    assert list(table) == ["coding", "none"]
    assert (table["none"]["kept"], table["none"]["kept_share"], table["none"]["texts"]) == (0, 0.0, 0)
    assert table["none"]["kept_low"] == 0.0 < table["none"]["kept_high"]


def test_rows_that_do_not_belong_are_refused() -> None:
    rows = _rows({(1.0, 1.0): 10})
    with pytest.raises(ValueError, match="row 0 has no subject"):
        diversity.by_group(rows, rows, "subject")
    with pytest.raises(ValueError, match="row 0 was kept, but no row in has its domain, physics"):
        diversity.by_group(rows, [rows[0] | {"domain": "physics"}], "domain")
    with pytest.raises(ValueError, match="domain coding: 6 rows kept of 5"):
        diversity.by_group(rows, [rows[1]] * 6, "domain")
