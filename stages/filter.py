"""Keep the rows that pass every rule, say why the others were dropped, and split the kept ones by prompt."""

from collections import Counter

from _stage import progress, run


def main(paths, params, scratch):
    from tuner import data, decontaminate, filters, io, items, judge, model, template
    from tuner.errors import UserError

    tokenizer = model.load_tokenizer(paths.model)
    tests = decontaminate.evaluation_index(items.read(paths.tasks))
    memory = filters.begin(params.filter, template.special_tokens(tokenizer), tests)
    reasons, sides = Counter(), Counter()
    scratch.mkdir(exist_ok=True)
    # Row by row, so that a million rows need no more memory than the index of duplicates.
    with (
        io.jsonl_writer(scratch / "passed.jsonl") as passing,
        io.jsonl_writer(paths.kept) as keep,
        io.jsonl_writer(paths.dropped) as drop,
        io.jsonl_writer(paths.train) as train,
        io.jsonl_writer(paths.validation) as validate,
    ):
        for row, passed in filters.stream(progress("filter")(io.each_jsonl(paths.raw)), memory, paths.raw):
            (passing if passed else drop)(row)
            reasons[None if passed else row["reason"]] += 1
        low = judge.lowest_rows(passing.written, paths.model, params.filter.judged_share, params.runtime, progress)
        for row in passing.written():
            if row["id"] in low:
                drop({**row, "reason": "judged", "measured": {"score": low[row["id"]]}})
            else:
                keep(row)
        counts = filters.tally(reasons, judged=len(low))
        if not counts["in"]:
            raise UserError(f"{paths.raw}: no rows; run the stage that writes it again")
        if counts["kept"] < 2:
            most = max((name for name in counts if name.startswith("dropped_")), key=counts.get)
            found = f"only {counts['kept']} of {counts['in']} rows passed"
            raise UserError(f"{found}; most often {most} ({counts[most]}): generate more")

        def place(row):
            return filters.split_place(filters.turns(row)[0]["instruction"], params.seed)

        limit = filters.split_limit(map(place, keep.written()), params.filter.validation_share)
        for row in keep.written():
            side = "validation" if place(row) < limit else "train"
            (validate if side == "validation" else train)(data.conversation(row))
            sides[side] += 1
    (scratch / "passed.jsonl").unlink()
    io.write_json(paths.metrics, counts | {"train": sides["train"], "validation": sides["validation"]})
    return f"{counts['in']} rows, kept {counts['kept']} ({sides['train']} train, {sides['validation']} validation)"


if __name__ == "__main__":
    run(main, __doc__, reads=["model", "tasks", "raw"], writes=["kept", "dropped", "train", "validation", "metrics"])
