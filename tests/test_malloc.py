"""Freed memory is kept for the next array, counted in pages (small or huge) that the system had to map."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = """
import resource, sys
import numpy
from tuner import malloc
if sys.argv[1] == "keep" and not malloc.keep_freed():
    raise SystemExit(77)
numpy.ones(2**23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    numpy.ones(2**23)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def mapped(mode: str) -> int:
    """Return how many pages are mapped for 20 arrays of 64 MiB, one after another, after a first one."""
    done = subprocess.run([sys.executable, "-c", CODE, mode], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("this C library has no mallopt")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_arrays_one_after_another_share_the_memory_of_the_first():
    assert 10 * mapped("keep") < mapped("leave")
