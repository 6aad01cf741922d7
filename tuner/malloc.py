"""What this process does with memory that is freed."""

import ctypes

# glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT = 2**31 - 1  # bytes, the largest that mallopt takes
LARGEST = 2**30  # bytes of an array that comes from what was kept


def keep_freed() -> bool:
    """Let malloc keep up to 2 GiB of freed memory for the next arrays; return whether it can.

    Otherwise glibc gives large arrays back to the system at once, and each new one is mapped and cleared page by page:
    training took a tenth longer in the default run on one CPU, 3 % in benchmarks/train_speed.py. Results are the same.
    False, and nothing changed, with another C library (musl, macOS).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_MMAP_THRESHOLD, LARGEST)) and bool(mallopt(M_TRIM_THRESHOLD, KEPT))
