"""What every peer's script does: read a job, time its parts, write the texts. Needs Python alone.

    python with_<peer>.py JOB RESULT

The job is JSON: `model` (checkpoint folder) and `gguf`, `stop` and `stop_ids` (what ends a text), `settings` (the
peer's own) and `parts`, each with `ids` (prompts as token ids), `messages` (the same as conversations), `row_seeds` and
`sampling`. The result has for each part `texts` and `seconds`: from the loaded and warm model to the last text.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path


def serve(load: Callable[[dict], Callable[[dict], list[str]]]) -> None:
    """Run the job of the command line. `load(job)` returns a function from a part to its texts, in order."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sample = load(job)
    for part in job["parts"].values():  # warm up
        few = {key: value[:2] for key, value in part.items() if key != "sampling"}
        sample({**few, "sampling": part["sampling"] | {"max_new_tokens": 4}})
    parts = {}
    for name, part in job["parts"].items():
        started = time.perf_counter()
        texts = sample(part)
        parts[name] = {"seconds": time.perf_counter() - started, "texts": texts}
    Path(sys.argv[2]).write_text(json.dumps(parts, ensure_ascii=False), encoding="utf-8")
