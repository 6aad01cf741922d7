"""Train an adapter further on preference pairs, with itself as the reference (DPO)."""

import tempfile

from _stage import run


def main(paths, params, scratch):
    from tuner import dpo, io, train

    scratch.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as work, io.atomic(paths.adapter) as folder:
        curve, record = dpo.fit(
            student=paths.model,
            start=paths.start,
            start_record=io.read_json(paths.start_record),
            settings=params.dpo,
            train_rows=io.read_jsonl(paths.train),
            validation_rows=io.read_jsonl(paths.validation),
            seed=params.seed,
            runtime=params.runtime,
            scratch=work,
            destination=folder,
        )
    io.write_csv(paths.curve, curve.training)
    io.write_csv(paths.validation_curve, curve.validation)
    io.write_json(paths.record, record)
    return train.summary(record)


if __name__ == "__main__":
    inputs = ["model", "start", "start_record", "train", "validation"]
    run(main, __doc__, reads=inputs, writes=["adapter", "record", "curve", "validation_curve"])
