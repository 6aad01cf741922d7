"""Train one method on the filtered data: an adapter, or one a seed."""

from _stage import run


def main(paths, params, scratch):
    from functools import partial

    from tuner import io, repeats, rows, train

    settings, schedule = params.method(paths.method), params.train
    values = [settings.model_dump(exclude_unset=True), schedule.model_dump(), params.seed]
    inputs = [paths.model, paths.train, paths.validation]
    with (
        io.scratch(scratch, f"train-{paths.method}", train.key(*values, *inputs)) as work,
        io.atomic(paths.adapter) as folder,
    ):
        fit = partial(
            train.fit,
            student=paths.model,
            method=paths.method,
            settings=settings,
            schedule=schedule,
            train_rows=rows.read(paths.train, rows.Completion),
            validation_rows=rows.read(paths.validation, rows.Completion),
            runtime=params.runtime,
            watch=scratch / "tensorboard" / paths.method if params.runtime.tensorboard else None,
        )
        curve, record = repeats.train(fit, count=schedule.seeds, seed=params.seed, scratch=work, destination=folder)
        record["meta_info"]["sha256"] = {path.name: io.sha256(path) for path in (paths.train, paths.validation)}
        io.write_csv(paths.curve, curve.training)
        io.write_csv(paths.validation_curve, curve.validation)
        io.write_json(paths.record, record)
    return train.summary(record)


if __name__ == "__main__":
    inputs = ["model", "train", "validation"]
    run(main, __doc__, options=["method"], reads=inputs, writes=["adapter", "record", "curve", "validation_curve"])
