"""What a training step takes while another program works on the same cores: `python benchmarks/shared_cores.py`.

Of the threads that share a matrix product, those that are done wait for the last. By GNU's OpenMP, which torch uses,
they spin first, on a core that the last one may need. The stages let them spin less
(SPINS in stages/_stage.py). Timed are steps of LoRA on random rows of the default run's usual length, in a process of
its own: as the stages and as the library would have it, alone and beside a program that never rests. Run on a machine
with nothing else to do.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "stages")]

from _stage import SPINS  # noqa: E402
from results import here, record  # noqa: E402

PROMPT, COMPLETION = 85, 63  # tokens of a row
WARM = 2  # steps that do not count


def seconds_a_step(count: int) -> float:
    """Train for some steps of two rows in this process, and return what one takes."""
    import torch

    from tuner import linear, logps, malloc, model, params, train

    malloc.keep_freed()
    found = params.load(ROOT / "params.yaml")
    student = ROOT / "models" / found.student
    torch.manual_seed(0)
    adapted = train.adapted(model.load(student, device="cpu", dtype="float32"), "lora", found.adapters["lora"], student)
    linear.fuse(adapted)
    words = adapted.get_base_model().config.vocab_size
    optimizer = torch.optim.AdamW([weight for weight in adapted.parameters() if weight.requires_grad], fused=True)
    ends = []
    for _ in range(WARM + count):
        rows = torch.randint(words, (2, PROMPT + COMPLETION)).tolist()
        scored = logps.one_pass(adapted, [(row[:PROMPT], row[PROMPT:]) for row in rows])
        (-torch.cat(scored).mean()).backward()
        optimizer.step()
        optimizer.zero_grad()
        ends.append(time.perf_counter())
    return (ends[-1] - ends[WARM - 1]) / count


def measured(count: int, busy: bool, waiting: dict[str, str]) -> float:
    """Return the seconds of a step in a new process with `waiting` in its environment; `busy`: beside a program."""
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    own = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    try:
        command = [sys.executable, __file__, "--steps", str(count), "--alone"]
        done = subprocess.run(command, env=own | waiting, check=True, stdout=subprocess.PIPE, text=True)
    finally:
        if other:
            other.kill()
            other.wait()
    return float(done.stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--alone", action="store_true", help="only print what a step takes")
    parser.add_argument("--no-record", action="store_true", help="leave benchmarks/results.json as it is")
    arguments = parser.parse_args()
    if arguments.alone:
        print(seconds_a_step(arguments.steps))
        sys.exit()
    for name, busy in (("alone", False), ("beside_another_program", True)):
        stages, library = (measured(arguments.steps, busy, waiting) for waiting in ({"GOMP_SPINCOUNT": SPINS}, {}))
        print(f"{name}: {stages:.2f} s a step, with the library's waiting {library:.2f}: {library / stages:.2f} times")
        if not arguments.no_record:
            record(
                here(f"train_step_{name}"),
                value=round(library / stages, 3),
                unit="ratio of seconds a step",
                ours=round(stages, 3),
                peer=round(library, 3),
                peer_version="GNU OpenMP's own waiting",
                steps=arguments.steps,
            )
