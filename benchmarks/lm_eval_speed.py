"""Items per second of our evaluation against stock lm-evaluation-harness: `python benchmarks/lm_eval_speed.py`.

Both ask the same model, in float32 on the CPU, the same items of data/tasks: choices of knowledge questions are scored,
replies to instructions are written. Stock is the `hf` backend with tasks/, at each of the batch sizes given; the best
counts. What is timed starts with the items and the loaded model (and, of ours, openvino's graph; how long that takes is
recorded beside it) and ends with the verdicts. The order of the two
alternates from round to round, and verdicts are compared item by item: the same answers, or the ratio means nothing.
Run on a machine with nothing else to do. Needs requirements-lm-eval.txt.
"""

import argparse
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from lm_eval import evaluate as stock_evaluate  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402
from results import here, record  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from tuner import checks, evaluate, io, items, logps, model, params  # noqa: E402

SUITES = {"knowledge": "acc_norm", "instruction_following": "correct"}  # and the metric of the verdict


def ours(suite: str, rows: list[dict], loaded, sampler, runtime: params.Runtime) -> tuple[float, list[bool]]:
    """Return (seconds, verdicts)."""
    started, tokenizer = time.perf_counter(), sampler.tokenizer
    if suite == "knowledge":

        def scored(pairs, _):
            return [
                float(row.sum()) for row in logps.completion_logps(loaded, pairs, max_tokens=runtime.forward_tokens)
            ]

        found = evaluate.knowledge_rows(tokenizer, rows, scored)
    else:
        found = evaluate.written_rows(tokenizer, rows, sampler, lambda _: iter)
    return time.perf_counter() - started, [row["correct"] for row in found]


def stock(suite: str, folder: Path, loaded, tokenizer, batch: int) -> tuple[float, list[bool]]:
    """Return (seconds, verdicts)."""
    harness = HFLM(pretrained=loaded, tokenizer=tokenizer, batch_size=batch)
    manager = TaskManager(include_path=str(ROOT / "tasks"), include_defaults=False, metadata={"items": str(folder)})
    name = f"tuner_{suite}"
    task = manager.load([name])
    started = time.perf_counter()
    found = stock_evaluate(harness, task, bootstrap_iters=0, apply_chat_template=True, fewshot_as_multiturn=True)
    seconds = time.perf_counter() - started
    return seconds, [bool(sample[SUITES[suite]]) for sample in found["samples"][name]]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=Path, default=ROOT / "data/tasks", help="folder of the items' files")
    parser.add_argument("--model", type=Path, help="default: the student of params.yaml")
    parser.add_argument("--suites", nargs="+", choices=list(SUITES), default=list(SUITES))
    parser.add_argument("--knowledge", type=int, default=80)
    parser.add_argument("--instruction_following", type=int, default=48)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32], help="batch sizes of the stock harness")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-record", action="store_true", help="leave benchmarks/results.json as it is")
    arguments = parser.parse_args()
    found = params.load(ROOT / "params.yaml")
    student = arguments.model or ROOT / "models" / found.student
    tokenizer = model.load_tokenizer(student)
    loaded = model.load(student, device="cpu", dtype="float32")
    # With the checkpoint's own settings of `generate`, as its command line loads it: ours, which are none, would leave
    # its batches without an end of turn.
    theirs = AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32).eval()
    kind = found.evaluate.engine if "instruction_following" in arguments.suites else "transformers"
    started = time.perf_counter()
    sampler = evaluate.writer(loaded, student, kind, found.runtime, ROOT / ".work")
    made = time.perf_counter() - started
    every = checks.read(arguments.items)
    asked = {suite: every[suite][: getattr(arguments, suite)] for suite in arguments.suites}
    with tempfile.TemporaryDirectory() as folder:
        for suite, rows in (every | asked).items():
            io.write_jsonl(items.file_of(folder, suite), rows)
        for suite, rows in asked.items():
            ours(suite, every[suite][-2:], loaded, sampler, found.runtime)  # warm up
            seconds = {"ours": [], **{batch: [] for batch in arguments.batch}}
            apart = 0
            for round_ in range(arguments.rounds):
                order = list(seconds) if round_ % 2 == 0 else list(seconds)[::-1]
                verdicts = {}
                for side in order:
                    if side == "ours":
                        if round_ and suite != "knowledge":  # a new one, whose cache knows none of the prompts
                            sampler = evaluate.writer(loaded, student, kind, found.runtime, ROOT / ".work")
                        took, verdicts[side] = ours(suite, rows, loaded, sampler, found.runtime)
                    else:
                        took, verdicts[side] = stock(suite, Path(folder), theirs, tokenizer, side)
                    seconds[side].append(took)
                apart = max(apart, *(sum(a != b for a, b in zip(verdicts["ours"], verdicts[side], strict=True))
                                     for side in arguments.batch))  # fmt: skip
            rates = {side: len(rows) / median(took) for side, took in seconds.items()}
            best = max(arguments.batch, key=rates.get)
            shown = ", ".join(f"stock at batch {batch} {rates[batch]:.2f}" for batch in arguments.batch)
            print(f"{suite}, {len(rows)} items, {arguments.rounds} rounds: items/s ours {rates['ours']:.2f}, {shown}")
            print(f"ratio {rates['ours'] / rates[best]:.2f}; verdicts that differ in the worst round: {apart}")
            if not arguments.no_record:
                record(
                    here(f"lm_eval_speed_{suite}"),
                    value=round(rates["ours"] / rates[best], 3),
                    unit="ratio of items/s",
                    ours=round(rates["ours"], 3),
                    peer=round(rates[best], 3),
                    peer_version=f"lm_eval {version('lm_eval')}, hf backend, batch {best}",
                    items=len(rows),
                    differing_verdicts=apart,
                    **({"engine": sampler.name, "seconds_to_make_it": round(made, 1)} if suite != "knowledge" else {}),
                )
