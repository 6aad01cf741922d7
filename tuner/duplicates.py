"""Exact and near duplicates of instructions, in an index that a million rows fit into.

A row costs about 0.4 kB where instructions have 35 words: 24 bytes for its id, the hash of its text and where its
shingles end, 4 a shingle, 15 entries of 8 bytes in a hash table that is 0.44 to 0.7 full, and the room that arrays
keep to grow. `benchmarks/filter_scale.py` measures it, and beside it what datasketch and rensa need.
"""

import hashlib
import math
import zlib
from functools import lru_cache

import numpy as np

from tuner.texts import mostly_unspaced, normalise

SHINGLE = 3  # words; single words would call "capital of France" and "capital of Spain" duplicates
SHINGLE_CHARACTERS = 5  # in short texts and in scripts without blanks
SHORT_WORDS = 5  # fewer words than this have hardly a 3-gram to compare
READ_CHARACTERS = 20_000  # of an instruction: bounds what one row's sketch takes to 11 MB
BANDS = 14  # as in FineWeb's deduplication (datatrove)
FOUND = 0.99  # probability with which LSH must propose a pair exactly as similar as the limit
FULLEST = 0.7  # share of the table's places in use before it grows
GROWTH = 1.6
_WINDOW = 8  # places of the table read at once
_WINDOWS = 32  # read for one key at most: a phrase that opens every tenth row must not make the job quadratic
_CHUNK = 1 << 16  # entries moved at once when it grows
_STEPS = np.arange(_WINDOW)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


@lru_cache(maxsize=16)
def _random(*shape: int) -> np.ndarray:
    # RandomState, unlike Generator, draws the same numbers in every version of numpy
    drawn = np.random.RandomState(1).randint(0, 2**63, size=(2, *shape), dtype=np.uint64)
    return drawn[0] << np.uint64(1) ^ drawn[1]


@lru_cache(maxsize=16)
def _minhash(permutations: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    a, b, join = _random(3, permutations, 1)
    return a | np.uint64(1), b, join


def shingles(text: str) -> np.ndarray:
    """Sorted distinct 32-bit hashes of a text's shingles: 3-grams of words, or 5-grams of characters.

    Characters where there are fewer than five words or most letters are of a script without blanks. A shingle is
    hashed as (m0 + m1 w1 + m2 w2 + …) mod 2^64 / 2^32 of the CRC-32 of its words or of its code points, which is
    strongly universal (Lemire and Kaser 2014, arXiv 1202.4961): two shingles collide with probability 2^-32.
    """
    plain = normalise(text[:READ_CHARACTERS])
    tokens = plain.split()
    if len(tokens) < SHORT_WORDS or mostly_unspaced(plain):
        units, size = np.frombuffer(plain.encode("utf-32-le"), np.uint32).astype(np.uint64), SHINGLE_CHARACTERS
    else:
        units, size = np.array([zlib.crc32(token.encode()) for token in tokens], np.uint64), SHINGLE
    count, multipliers = max(1, len(units) - size + 1), _random(1 + SHINGLE_CHARACTERS)
    mixed = np.full(count, multipliers[0])
    for k in range(min(size, len(units))):
        mixed += units[k : k + count] * multipliers[k + 1]
    return np.unique((mixed >> _HALF).astype(np.uint32))


def rows_per_band(jaccard: float) -> int:
    """The most MinHash values a band may join so that 14 bands still propose a pair of that similarity.

    A pair of Jaccard J shares a band of r values with probability J^r, and one of b bands with 1 - (1 - J^r)^b
    (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, 3.4.2); that must reach 0.99. At 0.8 they are 5.
    """
    if jaccard >= 1:
        return 16
    needed = 1 - (1 - FOUND) ** (1 / BANDS)
    return max(1, min(16, int(math.log(needed) / math.log(jaccard))))


def band_keys(hashes: np.ndarray, per_band: int) -> np.ndarray:
    """The 14 keys (32 bits, as uint64) of a set of shingles: MinHash values, joined by `per_band`."""
    a, b, join = _minhash(BANDS * per_band)
    lowest = (hashes.astype(np.uint64) * a + b).min(axis=1, keepdims=True) >> _HALF
    return (lowest * join).reshape(BANDS, per_band).sum(axis=1) >> _HALF


class Index:
    """Instructions seen so far. Look a text up with `same` and `similar`; `add` it or not.

    All lives in five numpy arrays. The table maps a 32-bit key (of a band, or of the whole text) to the rows that
    have it: an entry is `key << 32 | row + 1`, in the first free place from `key % places` on, at most 256 further.
    A key that more than about 256 rows share proposes only the first of them; a pair has 13 other bands.
    """

    def __init__(self, jaccard: float | None) -> None:
        """`jaccard` is the least similarity (0-1) of near duplicates; with None only equal texts are found."""
        self.jaccard = jaccard
        self.per_band = rows_per_band(jaccard or 1)
        self.count = self.entries = 0
        self.ids = np.zeros(1024, np.int64)
        self.texts = np.zeros(1024, np.uint64)
        self.ends = np.zeros(1024, np.int64)
        self.hashes = np.zeros(1024 * 16, np.uint32)
        self.table = np.zeros(1024 * 32 + _WINDOW, np.uint64)
        self._last: tuple = (None,)

    def nbytes(self) -> int:
        """Bytes of the arrays, with the room that is kept for growth."""
        return sum(a.nbytes for a in (self.ids, self.texts, self.ends, self.hashes, self.table))

    def same(self, text: str) -> int | None:
        """The lowest id whose normalised text is the same, or None."""
        _, _, whole, rows = self._looked_up(text)
        rows = rows[self.texts[rows] == whole]
        return int(self.ids[rows].min()) if len(rows) else None

    def similar(self, text: str) -> tuple[int, float] | None:
        """The id of the most similar text (the lowest of equals) and the Jaccard similarity (0-1), or None.

        LSH only proposes, at the limit with probability 0.99 or more; the similarity is that of all shingles.
        """
        if self.jaccard is None:
            return None
        own, _, _, rows = self._looked_up(text)
        starts = np.where(rows > 0, self.ends[rows - 1], 0)
        sizes = self.ends[rows] - starts
        # sets whose sizes are further apart than the limit cannot be as similar as it
        close = (sizes >= self.jaccard * len(own)) & (sizes * self.jaccard <= len(own))
        rows, starts, sizes = rows[close], starts[close], sizes[close]
        if not len(rows):
            return None
        before = np.cumsum(sizes) - sizes
        theirs = self.hashes[np.repeat(starts - before, sizes) + np.arange(sizes.sum())]
        shared = np.add.reduceat(own[np.minimum(own.searchsorted(theirs), len(own) - 1)] == theirs, before, dtype=int)
        similarity = shared / (sizes + len(own) - shared)
        best = np.lexsort((self.ids[rows], -similarity))[0]
        if similarity[best] < self.jaccard:
            return None
        return int(self.ids[rows[best]]), float(similarity[best])

    def add(self, text: str, id: int, near: bool = True) -> None:
        """Remember a text under an id; with `near` False only for `same`."""
        own, keys, whole, _ = self._looked_up(text)
        self._last = (None,)  # what was looked up is no longer all there is
        if not near:
            own, keys = own[:0], keys[-1:]
        row = self.count
        start = int(self.ends[row - 1]) if row else 0
        end = start + len(own)
        for array, needed in ((self.ids, row), (self.texts, row), (self.ends, row), (self.hashes, end)):
            if needed >= len(array):  # in place: realloc moves pages where a second array would double the memory
                array.resize(int(max(needed + 1, len(array) * GROWTH)), refcheck=False)
        self.ids[row], self.texts[row], self.ends[row] = id, whole, end
        self.hashes[start:end] = own
        self.count += 1
        if self.entries + len(keys) > FULLEST * len(self.table):
            self._grow()
        self._insert(keys << _HALF | np.uint64(row + 1))

    def _looked_up(self, text: str) -> tuple[np.ndarray, np.ndarray, np.uint64, np.ndarray]:
        """Shingles, keys (the last is the whole text's) and 64-bit hash of a text, and the rows that share a key."""
        if self._last[0] != text:
            whole = np.uint64(int.from_bytes(hashlib.blake2b(normalise(text).encode(), digest_size=8).digest()))
            own, keys = np.zeros(0, np.uint32), np.array([whole & _LOW])
            if self.jaccard is not None:
                own = shingles(text)
                keys = np.append(band_keys(own, self.per_band), keys)
            self._last = text, own, keys, whole, self._rows(keys)
        return self._last[1:]

    def _rows(self, keys: np.ndarray) -> np.ndarray:
        """Rows entered under any of the keys, each once."""
        size = len(self.table) - _WINDOW
        at, found = (keys % np.uint64(size)).astype(np.int64), []
        for _ in range(_WINDOWS):
            entries = self.table[at[:, None] + _STEPS]
            found.append(entries[(entries >> _HALF == keys[:, None]) & (entries > 0)])
            full = entries.all(axis=1)  # a free place ends the search
            if not full.any():
                break
            at, keys = (at[full] + _WINDOW) % size, keys[full]
        rows = found[0] if len(found) == 1 else np.concatenate(found)
        return np.unique(rows & _LOW).astype(np.int64) - 1 if len(rows) else rows.astype(np.int64)

    def _insert(self, entries: np.ndarray) -> None:
        size = len(self.table) - _WINDOW
        at = ((entries >> _HALF) % np.uint64(size)).astype(np.int64)
        windows = np.zeros(len(at), int)
        while len(at):
            taken = self.table[at[:, None] + _STEPS] != 0
            place = at + taken.argmin(axis=1)
            full = taken.all(axis=1)
            self.table[place[~full]] = entries[~full]
            # full windows, and entries that another one of this call overwrote
            left = self.table[place] != entries
            self.entries += len(left) - int(left.sum())
            left &= windows + full < _WINDOWS
            at = np.where(full, (at + _WINDOW) % size, at)[left]
            windows, entries = (windows + full)[left], entries[left]

    def _grow(self) -> None:
        old = self.table
        self.table, self.entries = np.zeros(int(len(old) * GROWTH), np.uint64), 0
        for start in range(0, len(old), _CHUNK):
            part = old[start : start + _CHUNK]
            self._insert(part[part > 0])
