"""benchmarks/results.json: what a machine is called, and where the speeds of narrow vectors stand."""

import json
import sys

import pytest

sys.path.insert(0, "benchmarks")

import results


@pytest.fixture
def cpu(tmp_path):
    def written(flags: str):
        path = tmp_path / "cpuinfo"
        path.write_text(f"processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: {flags}\n" * 2)
        return path

    return written


@pytest.mark.parametrize(
    ("flags", "kind", "name"),
    [
        ("fpu avx avx2 fma", "AVX2", "speed_avx2"),
        ("fpu avx avx2 avx512f", "AVX-512", "speed"),
        ("fpu avx avx2 avx512f avx512_bf16", "AVX-512 with bfloat16", "speed"),
        ("fpu avx avx2 avx512f avx512_bf16 amx_tile", "AMX", "speed"),
        ("fpu sse2", None, "speed"),
    ],
)
def test_the_widest_vectors_are_named_and_narrow_ones_stand_apart(cpu, flags, kind, name):
    info = cpu(flags)
    assert results.vectors(info) == kind
    assert results.machine(info).startswith("Some CPU, ")
    assert (results.machine(info).split(", ")[2:] or [None])[0] == kind
    assert results.here("speed", info) == name


def test_a_machine_that_says_nothing_has_a_name(tmp_path):
    assert "cores" in results.machine(tmp_path / "none")
    assert results.here("speed", tmp_path / "none") == "speed"


def test_a_claim_replaces_its_own_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "PATH", tmp_path / "results.json")
    monkeypatch.setattr(sys, "argv", ["benchmarks/speed.py", "--rows", "8"])
    for name, value in (("one", 1.0), ("other", 2.0), ("one", 3.0)):
        results.record(name, value=value, unit="s")
    found = json.loads(results.PATH.read_text())
    assert {name: claim["value"] for name, claim in found.items()} == {"one": 3.0, "other": 2.0}
    assert found["one"]["command"] == "python benchmarks/speed.py --rows 8"
