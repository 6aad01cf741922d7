"""How fast the filters are, and how their memory grows, from ten thousand rows to a million.

    python benchmarks/filter_scale.py --rows 10000 100000 1000000

Makes distinct rows out of data/raw.jsonl by putting words of the same data in the place of others (each row draws from
its own seed; 3 in 100 instructions are said again, 3 in 100 with one word changed), none of them truncated, so that
every filter has something to do. Streams them from a JSON Lines file through the filters into two others, in a process
of its own for each size, and records rows per second of CPU time (one core does it all), peak memory, bytes per row of
the duplicate index and the exponent k of time ~ rows^k. --peers also indexes the same instructions with datasketch and
rensa, which it installs into .work/peers: memory in use, and CPU time of look-up and insertion (theirs get the shingles
ready made).
"""

import argparse
import importlib
import json
import math
import multiprocessing
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import results  # noqa: E402
from benchmarks.filter_quality import SPECIAL_TOKENS  # noqa: E402
from tuner import duplicates, filters, io, params  # noqa: E402

AGAIN, ALMOST = 0.03, 0.03
PEERS = ("datasketch==2.0.0", "rensa==0.5.0")


def vocabulary(rows: list[dict]) -> list[str]:
    """Every word of the rows as often as it occurs, so that a draw from it is as common or rare as theirs."""
    return [w for row in rows for w in f"{row['instruction']} {row['response']}".split(" ") if w.isalpha()]


def with_other_words(rng: random.Random, text: str, share: float, words: list[str]) -> str:
    """The text with that share of its plain words replaced; line ends and marks stay."""
    return " ".join(rng.choice(words) if t.isalpha() and rng.random() < share else t for t in text.split(" "))


def make_rows(source: list[dict], count: int, seed: int):
    """Yield rows 0 to count - 1; row i depends on the seed and i alone, but for instructions that are said again."""
    words, earlier = vocabulary(source), []
    for number in range(count):
        rng = random.Random(f"{seed}-{number}")
        row = source[number % len(source)]
        instruction = with_other_words(rng, row["instruction"], rng.uniform(0.2, 0.6), words)
        kind = rng.random()
        if earlier and kind < AGAIN + ALMOST:
            instruction = rng.choice(earlier)
            if kind >= AGAIN:
                tokens = instruction.split(" ")
                tokens[rng.randrange(len(tokens))] = rng.choice(words)
                instruction = " ".join(tokens)
        elif len(earlier) < 1000:
            earlier.append(instruction)
        response = with_other_words(rng, row["response"], 0.15, words)
        yield {**row, "id": number, "instruction": instruction, "response": response} | {
            "instruction_finish": "stop",
            "response_finish": "stop",
        }


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def filter_file(path: Path, folder: Path, settings: params.Filter, answer) -> None:
    """Filter one file and put what was measured into `answer`. Runs in a process of its own: a peak never falls."""
    warm = filters.begin(settings, SPECIAL_TOKENS)
    filters.verdict(next(io.each_jsonl(path)), warm)  # the language model is loaded once, whatever the rows are
    before = peak_megabytes()
    memory = filters.begin(settings, SPECIAL_TOKENS)
    reasons = Counter()
    started, cpu = time.perf_counter(), time.process_time()
    with io.jsonl_writer(folder / "kept.jsonl") as keep, io.jsonl_writer(folder / "dropped.jsonl") as drop:
        for row, passed in filters.stream(io.each_jsonl(path), memory):
            (keep if passed else drop)(row)
            reasons[None if passed else row["reason"]] += 1
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    index = memory.index
    answer.put(
        {
            "rows": sum(reasons.values()),
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
            "peak_megabytes": peak_megabytes(),
            "before_megabytes": before,
            "index_megabytes": index.nbytes() / 2**20,
            "index_bytes_per_row": index.nbytes() / max(index.count, 1),
            "indexed": index.count,
            "dropped": {reason: n for reason, n in reasons.most_common() if reason},
        }
    )


def index_instructions(kind: str, path: Path, count: int, jaccard: float, answer) -> None:
    """Index `count` instructions with one library; (microseconds, bytes) a row, look-up included."""
    texts = [row["instruction"] for row, _ in zip(io.each_jsonl(path), range(count), strict=False)]
    sets = [[" ".join(t[i : i + 3]) for i in range(max(1, len(t) - 2))] for t in (x.lower().split() for x in texts)]
    library = importlib.import_module(kind) if kind != "ours" else None
    bands, per_band = duplicates.BANDS, duplicates.rows_per_band(jaccard)
    before = resident_bytes()
    started = time.process_time()
    if kind == "ours":
        index = duplicates.Index(jaccard)
        for number, text in enumerate(texts):
            if index.similar(text) is None:
                index.add(text, number)
    elif kind == "datasketch":
        index = library.MinHashLSH(num_perm=bands * per_band, params=(bands, per_band))
        for number, grams in enumerate(sets):
            sketch = library.MinHash(num_perm=bands * per_band, seed=1)
            sketch.update_batch([gram.encode() for gram in grams])
            if not index.query(sketch):
                index.insert(number, sketch)
    else:
        index = library.RMinHashLSH(jaccard, bands * per_band, bands)
        for number, grams in enumerate(sets):
            sketch = library.RMinHash(bands * per_band, 1)
            sketch.update(grams)
            if not index.query(sketch):
                index.insert(number, sketch)
    seconds = time.process_time() - started
    answer.put((1e6 * seconds / len(texts), (resident_bytes() - before) / len(texts)))
    del index


def resident_bytes() -> int:
    """Memory of this process that is in use now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def in_own_process(function, *arguments):
    """Call function(*arguments, queue) in a fresh process and return what it puts there."""
    context = multiprocessing.get_context("spawn")
    answer = context.SimpleQueue()
    process = context.Process(target=function, args=(*arguments, answer))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{function.__name__} failed with exit code {process.exitcode}")
    return answer.get()


def exponent(points: list[tuple[float, float]]) -> float:
    """The slope of the least-squares line through (log rows, log value)."""
    x, y = [math.log(rows) for rows, _ in points], [math.log(value) for _, value in points]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return above / sum((a - mean_x) ** 2 for a in x)


def write_rows(path: Path, rows) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000], metavar="N")
    parser.add_argument("--source", type=Path, default=ROOT / "data" / "raw.jsonl")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml", help="the file with the filter settings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peers", type=int, metavar="ROWS", help="measure the indices of datasketch and rensa, too")
    parser.add_argument("--no-record", action="store_true", help="leave benchmarks/results.json alone")
    options = parser.parse_args()
    settings = params.load(options.params).filter
    source = [row for row in io.each_jsonl(options.source) if row["response"]]
    measured = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in sorted(options.rows):
            write_rows(folder / "rows.jsonl", make_rows(source, count, options.seed))
            found = in_own_process(filter_file, folder / "rows.jsonl", folder, settings)
            measured.append(found)
            speed = round(count / found["cpu_seconds"])
            print(json.dumps(found | {"rows_per_cpu_second": speed}), flush=True)
            if not options.no_record:
                results.record(f"filter_rows_per_cpu_second_{count}", value=speed, unit="rows/CPU s")
                results.record(f"filter_peak_memory_{count}", value=round(found["peak_megabytes"]), unit="MiB")
        if measured and not options.no_record:
            per_row, indexed = round(measured[-1]["index_bytes_per_row"]), measured[-1]["indexed"]
            results.record("filter_index_bytes_per_row", value=per_row, unit="bytes/row", rows=indexed)
        if len(measured) > 1:
            slope = round(exponent([(m["rows"], m["cpu_seconds"]) for m in measured]), 3)
            print(f"CPU time ~ rows^{slope}")
            if not options.no_record:
                results.record("filter_time_exponent", value=slope, unit="k of CPU time ~ rows^k")
        if options.peers:
            write_rows(folder / "rows.jsonl", make_rows(source, options.peers, options.seed))
            compare_indices(folder / "rows.jsonl", options.peers, settings.near_duplicate_jaccard or 0.8, options)


def compare_indices(path: Path, count: int, jaccard: float, options: argparse.Namespace) -> None:
    """Print and record bytes and time a row of our index and of those libraries."""
    folder = ROOT / ".work/peers/duplicates"
    if not folder.exists():
        with io.atomic(folder) as new:
            subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", new, *PEERS], check=True)
    sys.path.append(str(folder))  # after everything else: what both need stays this environment's
    ours = in_own_process(index_instructions, "ours", path, count, jaccard)
    print(f"ours: {ours[0]:.0f} us and {ours[1]:.0f} bytes a row")
    for kind in ("datasketch", "rensa"):
        peer = in_own_process(index_instructions, kind, path, count, jaccard)
        print(f"{kind} {version(kind)}: {peer[0]:.0f} us and {peer[1]:.0f} bytes a row")
        if not options.no_record:
            for name, unit, a, b in (("bytes", "bytes/row", ours[1], peer[1]), ("time", "us/row", ours[0], peer[0])):
                results.record(
                    f"duplicate_index_{name}_against_{kind}",
                    value=round(a / b, 3),
                    unit=f"ratio of {unit}",
                    ours=round(a, 1),
                    peer=round(b, 1),
                    peer_version=f"{kind} {version(kind)}",
                )


if __name__ == "__main__":
    main()
