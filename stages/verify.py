"""Add rows whose instruction carries constraints that code has checked, so that there is something to learn."""

from _stage import progress, run


def main(paths, params, scratch):
    from tuner import data, engine, generate, io, verify

    settings = params.verify
    train = io.read_jsonl(paths.train)
    plain = {row["id"] for row in train}
    rows = [row for row in io.read_jsonl(paths.kept) if row["id"] in plain]
    rules = {"seed": params.seed, "families": settings.families}
    asked = verify.requests(rows, count=settings.requests, **rules)
    kind = engine.choose(settings.engine, paths.model, params.runtime)
    key = generate.key(settings.sampling.model_dump(), settings.per_request, kind, params.seed, paths.model, asked)
    with io.scratch(scratch, "verify", key) as folder:
        sampled = generate.answers(
            engine.load(kind, paths.model, params.runtime),
            asked,
            settings.sampling,
            per_prompt=settings.per_request,
            seed=params.seed,
            folder=folder,
            progress=progress("verify"),
        )
        passed, judged = verify.judged(sampled)
        count = verify.rows_for_share(settings.share, len(train))
        supply = 4 * count  # to choose from, so that many source rows have their turn
        chosen = verify.balanced(
            {
                "sampled": passed,
                "back_translated": verify.back_translated(rows, count=supply, max_words=settings.max_words, **rules),
                "edited": verify.edited(rows, count=supply, **rules),
            },
            count=count,
            seed=params.seed,
        )
        io.write_jsonl(paths.judged, judged)
        io.write_jsonl(paths.sft_train, [*train, *map(data.verified_conversation, chosen)])
        io.write_jsonl(paths.sft_validation, io.read_jsonl(paths.validation))
    return f"{len(train)} plain rows and {len(chosen)} of {count} wanted with checked constraints"


if __name__ == "__main__":
    run(
        main,
        __doc__,
        reads=["model", "kept", "train", "validation"],
        writes=["sft_train", "sft_validation", "judged"],
    )
