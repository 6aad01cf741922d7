import random

import numpy as np
import pytest

from tuner import duplicates
from tuner.duplicates import Index, band_keys, rows_per_band, shingles

WORDS = (
    "write list explain code story fox river stone bread summer winter garden market letter teacher simple short long "
    "python table number answer city train window paper music water light plant sugar engine pocket island orange"
).split()


def sentence(rng, length):
    return " ".join(rng.choice(WORDS) for _ in range(length))


def changed(rng, text, words):
    tokens = text.split()
    for place in rng.sample(range(len(tokens)), words):
        tokens[place] = rng.choice(WORDS)
    return " ".join(tokens)


def similarity(a, b):
    """Jaccard of word 3-grams, from the texts themselves."""
    a, b = (set(zip(t, t[1:], t[2:], strict=False)) for t in (a.split(), b.split()))
    return len(a & b) / len(a | b)


def test_shingles_are_of_words_in_long_texts_and_of_characters_in_short_ones():
    assert len(shingles("What is the capital of France?")) == 4  # six words
    assert len(shingles("Name a tree")) == 7  # eleven characters
    assert len(shingles("フランスの首都はどこですか")) == 9  # thirteen characters without blanks
    assert len(shingles("go")) == 1
    assert set(shingles("one two three four five six")) & set(shingles("zero one two three four five")) != set()
    assert not set(shingles("What is the capital of France?")) & set(shingles("Name a tree"))


def test_shingles_are_the_same_on_every_machine():
    # Python's own hash() would differ from run to run
    assert shingles("What is the capital of France?").tolist() == [2967440481, 3176311156, 3324760144, 3504778925]
    assert band_keys(shingles("What is the capital of France?"), 5).tolist()[:2] == [4022386455, 2712701496]


def test_similarity_is_that_of_the_texts():
    rng = random.Random(3)
    for _ in range(200):
        text = sentence(rng, rng.randint(8, 60))
        other = changed(rng, text, rng.randint(0, 2))
        index = Index(0.05)
        index.add(text, 4)
        expected = similarity(text, other)
        found = index.similar(other)
        if expected >= 0.05:
            assert found == (4, pytest.approx(expected))
        else:
            assert found is None


@pytest.mark.parametrize("jaccard", [0.6, 0.7, 0.8, 0.9])
def test_lsh_misses_at_most_one_in_a_hundred_of_pairs_at_the_limit(jaccard):
    rng, pairs, missed = random.Random(1), 0, 0
    while pairs < 400:
        text = sentence(rng, 60)
        other = changed(rng, text, rng.randint(1, 6))
        if not jaccard <= similarity(text, other) < jaccard + 0.06:
            continue
        pairs += 1
        index = Index(jaccard)
        index.add(text, 1)
        missed += index.similar(other) is None
    assert missed <= 12  # 1 % of 400 are 4; more than 12 would have p < 0.001


def test_rows_per_band_is_the_most_that_finds_enough():
    assert rows_per_band(0.8) == 5
    for jaccard in (0.3, 0.5, 0.7, 0.8, 0.9, 0.95):
        rows = rows_per_band(jaccard)
        assert 1 - (1 - jaccard**rows) ** duplicates.BANDS >= 0.99 or rows == 1
        assert rows == 16 or 1 - (1 - jaccard ** (rows + 1)) ** duplicates.BANDS < 0.99
    assert rows_per_band(1.0) == 16


def test_it_finds_what_brute_force_finds():
    """Of every cluster the lowest id stays, each row dropped has a kept twin, and no two kept rows are as similar."""
    rng = random.Random(7)
    texts = [sentence(rng, rng.randint(10, 40)) for _ in range(80)]
    texts += [changed(rng, rng.choice(texts), rng.randint(0, 3)) for _ in range(220)]
    rng.shuffle(texts)
    index, kept, missed = Index(0.8), [], 0
    for number, text in enumerate(texts):
        found = index.similar(text)
        best = max(((similarity(text, texts[k]), -k) for k in kept), default=(0, 0))
        if best[0] >= 0.8 and found is None:
            missed += 1
        elif best[0] >= 0.8:
            assert found == (-best[1], pytest.approx(best[0]))
            continue
        else:
            assert found is None
        kept.append(number)
        index.add(text, number)
    assert 80 < len(kept) < 260
    assert missed <= 3


def test_same_is_by_the_normalised_text():
    index = Index(0.8)
    index.add("Explain   PHOTOSYNTHESIS", 12)
    assert index.same("explain photosynthesis.") == 12
    assert index.same("Explain photosynthesis to me.") is None
    index.add("explain photosynthesis!", 9)
    assert index.same("explain photosynthesis.") == 9


def test_without_a_limit_only_equal_texts_are_found():
    index = Index(None)
    for number in range(2000):
        index.add(f"Write a story about the number {number}", number)
    assert index.same("write a story about the number 1234") == 1234
    assert index.similar("write a story about the number 1234") is None
    assert len(index.hashes) == 1024 * 16


def test_a_text_can_be_added_for_same_alone():
    index = Index(0.8)
    text = sentence(random.Random(2), 20)
    index.add(text, 1, near=False)
    assert index.same(text) == 1
    assert index.similar(text) is None


def test_it_grows_without_losing_a_row():
    rng = random.Random(11)
    index = Index(0.8)
    texts = [sentence(rng, 14) for _ in range(3000)]
    sizes = set()
    for number, text in enumerate(texts):
        assert index.same(text) is None
        index.add(text, number)
        sizes.add((len(index.table), len(index.hashes), len(index.ids)))
    assert len({table for table, _, _ in sizes}) >= 2
    assert [index.same(text) for text in texts] == list(range(3000))
    assert [index.similar(text) for text in texts[::10]] == [(number, 1.0) for number in range(0, 3000, 10)]
    assert index.count == 3000
    assert index.entries == np.count_nonzero(index.table) == 3000 * 15
    assert index.nbytes() < 3000 * 700


def test_rows_that_share_most_of_their_text_fill_no_more_than_256_places_of_a_key():
    rng = random.Random(5)
    opening = sentence(rng, 30) + " "
    index = Index(0.8)
    texts = [opening + f"about {number} {sentence(rng, 1)}" for number in range(700)]
    for number, text in enumerate(texts):
        index.add(text, number)
    _, shared = np.unique(index.table[index.table > 0] >> np.uint64(32), return_counts=True)
    assert 200 < shared.max() <= duplicates._WINDOW * duplicates._WINDOWS == 256
    assert index.entries == np.count_nonzero(index.table) < 700 * 15
    assert [index.same(text) for text in texts[::7]] == list(range(0, 700, 7))
    assert index.similar(opening + "about the sea")[1] >= 0.8


def test_huge_texts_are_read_in_part():
    text = "word " * 30_000
    index = Index(0.8)
    index.add(text + "one", 1)
    assert index.similar(text + "two") == (1, 1.0)
    assert index.same(text + "two") is None
