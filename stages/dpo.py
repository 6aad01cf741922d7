"""Train an adapter further on preference pairs, with itself as the reference (DPO): one, or one a seed."""

from _stage import run


def main(paths, params, scratch):
    from tuner import dpo, io, repeats, rows, train

    starts, start_record = repeats.folders(paths.start), io.read_json(paths.start_record)
    watch = scratch / "tensorboard" / "dpo" if params.runtime.tensorboard else None
    pairs = {f"{split}_rows": rows.read(getattr(paths, split), rows.Pair) for split in ("train", "validation")}

    def fit(seed, **places):
        start = starts[seed - params.seed]
        own = {
            "start": start,
            "start_record": start_record,
            "settings": params.dpo,
            "runtime": params.runtime,
            "watch": watch,
        }
        return dpo.fit(student=paths.model, seed=seed, **own, **pairs, **places)

    values = [params.dpo.model_dump(), params.seed, io.sha256(dpo.__file__)]
    inputs = [paths.model, paths.start, paths.train, paths.validation]
    with (
        io.scratch(scratch, "dpo", train.key(*values, *inputs)) as work,
        io.atomic(paths.adapter) as folder,
    ):
        curve, record = repeats.train(fit, count=len(starts), seed=params.seed, scratch=work, destination=folder)
        record["meta_info"]["sha256"] = {path.name: io.sha256(path) for path in (paths.train, paths.validation)}
        io.write_csv(paths.curve, curve.training)
        io.write_csv(paths.validation_curve, curve.validation)
        io.write_json(paths.record, record)
    return train.summary(record)


if __name__ == "__main__":
    inputs = ["model", "start", "start_record", "train", "validation"]
    run(main, __doc__, reads=inputs, writes=["adapter", "record", "curve", "validation_curve"])
