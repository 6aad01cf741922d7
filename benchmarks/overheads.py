"""What DVC and the stage scripts cost when there is nothing to do: `python benchmarks/overheads.py`.

Clones this repository, takes its outputs out of the cache with `dvc checkout`, and times `dvc repro`, which finds all
up to date, against `dvc status` alone (aim: within 1.5 times), in turns. Then each stage script's `--help` (aim: below
half a second; tests/test_stages.py sees that none imports anything heavy). Medians. Run with nothing else to do.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import results  # noqa: E402

SCRIPTS = sorted((ROOT / "stages").glob("[!_]*.py"))


def timed(command: list[str], folder: Path) -> tuple[float, str]:
    """Return (seconds, what was printed); a command that fails ends the run."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return seconds, done.stdout


def clone(folder: Path, cache: Path) -> None:
    """Clone the repository with its outputs; whatever is not up to date ends the run, since it would be computed."""
    timed(["git", "clone", "--quiet", str(ROOT), str(folder)], ROOT)
    (folder / ".dvc/config.local").write_text(f"[cache]\n    dir = {cache}\n")
    timed(["dvc", "checkout", "--quiet"], folder)
    _, said = timed(["dvc", "repro", "--dry"], folder)
    if "up to date" not in said:
        raise SystemExit(f"dvc repro has something to do, so there is nothing to time:\n{said}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=ROOT / ".dvc/cache", help="DVC's cache, with all outputs in it")
    parser.add_argument("--no-record", action="store_true", help="leave benchmarks/results.json as it is")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "clone"
        clone(folder, options.cache.resolve())
        runs = [[timed(["dvc", what], folder)[0] for what in ("status", "repro")] for _ in range(options.runs)]
    status, repro = (median(times) for times in zip(*runs, strict=True))
    print(f"dvc status {status:.2f} s, dvc repro {repro:.2f} s: {repro / status:.2f} times")
    helps = {
        script.stem: median(timed([sys.executable, str(script), "--help"], ROOT)[0] for _ in range(options.runs))
        for script in SCRIPTS
    }
    slowest = max(helps, key=helps.get)
    print(", ".join(f"{script} {seconds:.2f}" for script, seconds in helps.items()))
    if options.no_record:
        return
    results.record(
        "dvc_repro_with_nothing_to_do",
        value=round(repro / status, 3),
        unit="ratio of seconds to dvc status",
        ours=round(repro, 3),
        peer=round(status, 3),
        peer_version=f"dvc status, dvc {version('dvc')}",
        runs=options.runs,
    )
    results.record(
        "stage_help_slowest",
        value=round(helps[slowest], 3),
        unit="s, the slowest stage script's --help",
        script=slowest,
        median_of_scripts=round(median(helps.values()), 3),
        scripts=len(helps),
        runs=options.runs,
    )


if __name__ == "__main__":
    main()
