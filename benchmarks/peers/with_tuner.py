"""The pipeline itself: one of its engines on a CPU, settings["engine"], in the pipeline's own batches."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from peer import serve

from tuner import engine, params


def load(job):
    found = params.load(Path(__file__).resolve().parent.parent.parent / "params.yaml")
    chunk = found.generate.chunk
    sampler = engine.load(job["settings"]["engine"], job["model"], found.runtime)

    def sample(part):
        sampling, samples = params.Sampling(**part["sampling"]), []
        for start in range(0, len(part["ids"]), chunk):
            ids, seeds = part["ids"][start : start + chunk], part["row_seeds"][start : start + chunk]
            samples += sampler.sample(ids, seeds, [sampling] * len(ids))
        # The end of turn is written out, as the peers do.
        return [sampler.tokenizer.decode(row.ids) + (job["stop"][0] if row.finish == "stop" else "") for row in samples]

    return sample


if __name__ == "__main__":
    serve(load)
