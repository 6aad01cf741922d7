"""Every sampled row has a seed of its own, so that batch size, order and resumes cannot change the data."""

import hashlib


def row_seed(seed: int, *name: object) -> int:
    """Return a seed in [0, 2^31) that depends on the run's seed and on the row's name alone."""
    text = "/".join(map(str, (seed, *name)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
