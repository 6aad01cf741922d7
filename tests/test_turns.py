"""Jobs that are timed in turns never work at the same time."""

import sys
import time

import pytest

sys.path.insert(0, "benchmarks")

from turns import answer, in_turns


def naps(pipe, kind, count):
    """Sleep `count` times, and tell when; all jobs read one clock."""
    answer(pipe, 0.0)
    spans = []
    for _ in range(count):
        pipe.recv()
        started = time.monotonic()
        time.sleep(0.02 if kind == "short" else 0.05)
        spans.append((started, time.monotonic()))
        pipe.send(spans[-1][1] - started)
    answer(pipe, {"spans": spans})


def fails(pipe, kind):
    answer(pipe, 0.0)
    if kind == "second":
        sys.exit(1)
    answer(pipe, {})


def test_one_turn_of_each_at_a_time():
    found = in_turns(naps, ["short", "long"], 4)
    spans = {kind: result["spans"] for kind, (_, result) in found.items()}
    order = [span for both in zip(spans["short"], spans["long"], strict=True) for span in both]
    assert len(order) == 8
    assert all(earlier[1] <= later[0] for earlier, later in zip(order, order[1:], strict=False))
    for kind, (seconds, _) in found.items():
        assert seconds == pytest.approx(sum(end - start for start, end in spans[kind]))


def test_a_job_that_fails_is_one_line():
    with pytest.raises(SystemExit, match="fails: second failed"):
        in_turns(fails, ["first", "second"])
