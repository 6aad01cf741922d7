"""Time and peak memory of the pipeline's costly steps as the work grows, into docs/cost.csv.

    python benchmarks/cost.py device        # the rates of this machine that its times are predicted from
    python benchmarks/cost.py generate      # or filter, score, train, evaluate
    python benchmarks/cost_tables.py        # shows what was found; benchmarks/cost_figure.py draws it

Each measurement runs in a process of its own, since a peak never falls, and loading the model is not part of its time
(but for evaluate, which loads it itself). Rows have a fixed number of tokens, whatever the model would say: generation
goes on past the end of a turn, and what is scored and trained on are texts of data/raw.jsonl joined and cut. The rows
of docs/cost.csv that a run measures again are replaced. Run it on a machine with nothing else to do.
"""

import argparse
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import cost_model, filter_scale, results  # noqa: E402
from tuner import io, malloc, params  # noqa: E402

TABLE = ROOT / "docs" / "cost.csv"
# stage -> rows of the smallest job; the others have 4 and 16 times as many. Those of evaluate are found: its items.
ROWS = {"generate": 8, "filter": 1000, "score": 8, "train": 4, "evaluate": None}
TOKENS = (128, 512, 2048)
GROWTH = (1, 4, 16)
ALONG_TOKENS = ("generate", "score", "train")
EVALUATED = 1 / 4  # of the default evaluation's items in the largest job


def job_sizes(stage: str, along: str, rows: int | None) -> list[tuple[int | None, int | None]]:
    """Return (rows, tokens a row) of the jobs of a stage; None where the stage has no such size."""
    if along == "tokens":
        return [(rows, tokens) for tokens in TOKENS]
    return [(rows and rows * times, TOKENS[0] if stage in ALONG_TOKENS else None) for times in GROWTH]


def generate(job: argparse.Namespace, answer) -> None:
    """Sample rows of exactly `job.tokens` tokens with openvino after Magpie's prefix, in the stage's chunks."""
    from tuner import engine, template
    from tuner.model import load_tokenizer

    tokenizer = load_tokenizer(job.model)
    sampler = engine.load("openvino", job.model, job.params.runtime)
    config = sampler._config

    def endless(*arguments):
        found = config(*arguments)
        found.ignore_eos, found.eos_token_id, found.stop_token_ids = True, -1, set()
        return found

    sampler._config = endless
    prompt = template.pre_query_ids(tokenizer)
    sampling = job.params.generate.instruction[0].model_copy(update={"max_new_tokens": job.tokens})
    sampler.sample([prompt], [0], [sampling.model_copy(update={"max_new_tokens": 8})])  # the first call compiles
    before, started, written = peak_megabytes(), time.perf_counter(), 0
    chunk = job.params.generate.chunk
    for start in range(0, job.rows, chunk):
        seeds = list(range(start + 1, min(start + chunk, job.rows) + 1))
        samples = sampler.sample([prompt] * len(seeds), seeds, [sampling] * len(seeds))
        written += sum(len(sample.ids) for sample in samples)
    if written != job.rows * job.tokens:
        raise SystemExit(f"{written} tokens were sampled, {job.rows} rows of {job.tokens} were asked for")
    answer.put(measured(before, time.perf_counter() - started, job.rows, written))


def filter_rows(job: argparse.Namespace, answer) -> None:
    """Filter rows made of the data's words, from a file into two others."""
    from multiprocessing import SimpleQueue

    with tempfile.TemporaryDirectory() as name:
        source = [row for row in io.each_jsonl(job.data / "raw.jsonl") if row["response"]]
        filter_scale.write_rows(Path(name) / "rows.jsonl", filter_scale.make_rows(source, job.rows, seed=0))
        found = SimpleQueue()
        filter_scale.filter_file(Path(name) / "rows.jsonl", Path(name), job.params.filter, found)
        found = found.get()
    megabytes = {kind: found[f"{kind}_megabytes"] * 2**20 / 1e6 for kind in ("before", "peak")}
    answer.put(
        {"rows": found["rows"], "work": found["rows"], "seconds": found["seconds"]}
        | {f"{kind}_megabytes": round(size) for kind, size in megabytes.items()}
    )


def score(job: argparse.Namespace, answer) -> None:
    """Score answers with the reward checkpoint; loading it is timed with one short answer, and taken off."""
    from tuner import hardware, reward
    from tuner.model import load_tokenizer

    tokenizer, runtime = load_tokenizer(job.model), job.params.runtime
    device, dtype = hardware.choose(runtime.device, runtime.dtype)
    call = partial(
        reward.score, job.reward, device=device, dtype=dtype, max_tokens=runtime.forward_tokens, progress=iter
    )
    fixed = len(reward.conversation_ids(tokenizer, "Go on.", ""))
    exchanges = [("Go on.", text) for text in texts(tokenizer, job.data, job.rows, job.tokens - fixed)]
    done = sum(len(reward.conversation_ids(tokenizer, *exchange)) for exchange in exchanges)
    loading = []
    for _ in range(3):
        started = time.perf_counter()
        call([("Go on.", "Yes.")])
        loading.append(time.perf_counter() - started)
    before, started = peak_megabytes(), time.perf_counter()
    call(exchanges)
    answer.put(measured(before, time.perf_counter() - started - statistics.median(loading), job.rows, done))


def train(job: argparse.Namespace, answer) -> None:
    """Train LoRA for one epoch as the train stage does; its record leaves loading and validation out of the time."""
    from tuner import data, hardware, model, train

    tokenizer = model.load_tokenizer(job.model)

    def row(text: str) -> dict:
        asked = [{"role": "user", "content": "Go on."}]
        return {"id": 0, "prompt": asked, "completion": [{"role": "assistant", "content": text}]}

    ((prompt, end),) = data.tokenized(tokenizer, [row("")])
    rows = [row(text) for text in texts(tokenizer, job.data, job.rows, job.tokens - len(prompt) - len(end))]
    done = sum(len(prompt) + len(completion) for prompt, completion in data.tokenized(tokenizer, rows))
    schedule = job.params.train.model_copy(
        update={"epochs": 1.0, "max_tokens": 2 * job.tokens, "evaluate_every": 10**9, "seeds": 1}
    )
    device, dtype = hardware.choose(job.params.runtime.device, job.params.runtime.dtype)
    model.load(job.model, device=device, dtype=dtype)  # so that the peak before the work holds the model, as elsewhere
    before = peak_megabytes()
    with tempfile.TemporaryDirectory() as name:
        curve, _ = train.fit(
            student=job.model,
            method="lora",
            settings=job.params.adapters["lora"],
            schedule=schedule,
            train_rows=rows,
            validation_rows=[row("Yes, I will.")],
            seed=job.params.seed,
            runtime=job.params.runtime,
            scratch=Path(name) / "scratch",
            destination=Path(name) / "adapter",
        )
    answer.put(measured(before, curve.seconds, job.rows, done))


def evaluate(job: argparse.Namespace, answer) -> None:
    """Evaluate the base on a share of every suite's items, evenly spread; a suite keeps one item at least."""
    from tuner import checks, evaluate

    share = job.share

    def some(rows: list) -> list:
        count = max(1, round(len(rows) * share))
        return [rows[number * len(rows) // count] for number in range(count)]

    before, started = peak_megabytes(), time.perf_counter()
    rows = evaluate.rows(
        student=job.model,
        adapter=None,
        quantize=None,
        validation_rows=some(io.read_jsonl(job.data / "sft/validation.jsonl")),
        pair_rows=some(io.read_jsonl(job.data / "preference/validation.jsonl")),
        tasks={suite: some(items) for suite, items in checks.read(job.data / "tasks").items()},
        lm_eval_tasks=[],
        kind=job.params.evaluate.engine,
        scratch=ROOT / ".work",
        runtime=job.params.runtime,
        progress=lambda name: iter,
    )
    found = [row for row in rows if row["suite"] != "general_text"]  # always all of it
    answer.put(measured(before, time.perf_counter() - started, len(found), len(found)))


STAGES = {"generate": generate, "filter": filter_rows, "score": score, "train": train, "evaluate": evaluate}


def as_stage(job: argparse.Namespace, answer) -> None:
    """Do a job in a process that keeps freed memory, as the stages do."""
    malloc.keep_freed()
    STAGES[job.stage](job, answer)


def texts(tokenizer, data: Path, count: int, tokens: int) -> list[str]:
    """Return texts of about so many tokens, each beginning elsewhere in the generated responses."""
    ids = tokenizer.encode(" ".join(row["response"] for row in io.each_jsonl(data / "raw.jsonl")))
    if tokens < 1 or len(ids) < 2 * tokens:
        raise SystemExit(f"{data}/raw.jsonl: {len(ids)} tokens are too few to cut texts of {tokens} from")
    starts = [number * (len(ids) - tokens) // count for number in range(count)]
    return [tokenizer.decode(ids[start : start + tokens]) for start in starts]


def peak_megabytes() -> float:
    """Return this process's peak resident set in 10^6 bytes."""
    return filter_scale.peak_megabytes() * 2**20 / 1e6


def measured(before: float, seconds: float, rows: int, work: int) -> dict:
    """Return a job's values: `work` is tokens (rows for filter and evaluate), `before` the peak when it began."""
    sizes = {"before_megabytes": round(before), "peak_megabytes": round(peak_megabytes())}
    return {"rows": rows, "work": work, "seconds": seconds, **sizes}


def measure_device(no_record: bool) -> None:
    """Print and record the best rates of float32 matrix products (as layers of the model) and of reading memory."""
    import torch

    from benchmarks.ceiling import ceiling

    weights, vector = torch.randn(16384, 8192), torch.randn(8192)  # 512 MiB, far beyond any cache
    best = 0.0
    for _ in range(10):
        started = time.perf_counter()
        torch.mv(weights, vector)
        best = max(best, weights.numel() * 4 / (time.perf_counter() - started) / 1e9)
    products = ceiling()
    print(f"{products:.1f} GFLOP/s in float32 products, {best:.2f} GB/s read by a product of matrix and vector")
    if no_record:
        return
    results.record("device_matrix_products", value=round(products, 1), unit="GFLOP/s, float32")
    results.record("device_memory_bandwidth", value=round(best, 2), unit="GB/s read, float32 matrix by vector")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=["device", *STAGES])
    parser.add_argument("--along", choices=["rows", "tokens"], default="rows", help="what grows; tokens are of a row")
    parser.add_argument("--rows", type=int, help="of the smallest job, where they grow; of every one, where not")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--model", type=Path, default=ROOT / "models/smollm2-135m")
    parser.add_argument("--reward", type=Path, default=ROOT / "models/reward")
    parser.add_argument("--data", type=Path, default=ROOT / "data")
    parser.add_argument(
        "--no-record", action="store_true", help="leave docs/cost.csv and benchmarks/results.json alone"
    )
    options = parser.parse_args()
    if options.stage == "device":
        return measure_device(options.no_record)
    stage, along = options.stage, options.along
    if along == "tokens" and stage not in ALONG_TOKENS:
        parser.error(f"the rows of {stage} have no fixed tokens; --along tokens is for {', '.join(ALONG_TOKENS)}")
    found = []
    for run in range(options.repeats):
        sizes = job_sizes(stage, along, options.rows or ROWS[stage])
        for place, (rows, tokens) in enumerate(sizes):
            share = EVALUATED * GROWTH[place] / GROWTH[-1]
            job = argparse.Namespace(stage=stage, rows=rows, tokens=tokens, share=share)
            job.params = params.load(ROOT / "params.yaml")
            job.model, job.reward, job.data = options.model, options.reward, options.data
            values = filter_scale.in_own_process(as_stage, job)
            values["seconds"] = round(values["seconds"], 3)
            found.append({"stage": stage, "along": along, "tokens": tokens, "run": run, **values})
            print(found[-1], flush=True)
    if options.no_record:
        return
    others = cost_model.read_table(TABLE) if TABLE.exists() else []
    table = [row for row in others if (row["stage"], row["along"]) != (stage, along)] + found
    io.write_csv(TABLE, sorted(table, key=lambda row: (list(STAGES).index(row["stage"]), row["along"])))
    for value, unit in (("seconds", "k of seconds ~ size^k"), ("peak_megabytes", "k of peak memory ~ size^k")):
        exponent, error = cost_model.exponent(cost_model.points(found, stage, along, value))
        name = f"cost_{'time' if value == 'seconds' else 'memory'}_exponent_{stage}_{along}"
        results.record(name, value=round(exponent, 3), unit=unit, standard_error=round(error, 3), jobs=len(found))


if __name__ == "__main__":
    main()
