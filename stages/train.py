"""Train one adapter on the filtered data."""

import tempfile

from _stage import run


def main(paths, params, scratch):
    from tuner import io, train

    settings = params.method(paths.method)
    scratch.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as work, io.atomic(paths.adapter) as folder:
        curve, record = train.fit(
            student=paths.model,
            method=paths.method,
            settings=settings,
            schedule=params.train,
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
    inputs = ["model", "train", "validation"]
    run(main, __doc__, options=["method"], reads=inputs, writes=["adapter", "record", "curve", "validation_curve"])
