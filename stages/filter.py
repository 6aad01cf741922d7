"""Keep the rows that pass every rule, say why the others were dropped, and split the kept ones by prompt."""

from _stage import progress, run


def main(paths, params, scratch):
    from tuner import data, filters, io, model, template
    from tuner.errors import UserError

    rows = io.read_jsonl(paths.raw)
    special = template.special_tokens(model.load_tokenizer(paths.model))
    kept, dropped = filters.apply(rows, params.filter, special, progress("filter"))
    train, validation = filters.split(kept, params.filter.validation_share, params.seed)
    counts = filters.counts(rows, kept, dropped)
    if not (train and validation):
        most = max((name for name in counts if name.startswith("dropped_")), key=counts.get)
        raise UserError(
            f"only {len(kept)} of {len(rows)} rows passed; most often {most} ({counts[most]}): generate more"
        )
    io.write_jsonl(paths.kept, kept)
    io.write_jsonl(paths.dropped, dropped)
    io.write_jsonl(paths.train, map(data.conversation, train))
    io.write_jsonl(paths.validation, map(data.conversation, validation))
    io.write_json(paths.metrics, counts | {"train": len(train), "validation": len(validation)})
    return f"{len(rows)} rows, kept {len(kept)} ({len(train)} train, {len(validation)} validation)"


if __name__ == "__main__":
    run(main, __doc__, reads=["model", "raw"], writes=["kept", "dropped", "train", "validation", "metrics"])
