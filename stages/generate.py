"""Let the generator write instruction-response pairs the Magpie way."""

from _stage import progress, run


def main(paths, params, scratch):
    from tuner import engine, generate, io

    settings = params.generate
    kind = engine.choose(settings.engine, paths.model, params.runtime)
    key = generate.key(settings.model_dump(exclude={"engine"}), kind, params.seed, paths.model)
    with io.scratch(scratch, "generate", key) as folder:
        sampler = engine.load(kind, paths.model, params.runtime)
        bar = progress("generate")
        rows = generate.pairs(sampler, settings, seed=params.seed, folder=folder, progress=bar)
        io.write_jsonl(paths.raw, rows)
    answered = sum(row["response_finish"] == "stop" for row in rows)
    return f"{len(rows)} pairs by {kind}, {answered} with a finished response"


if __name__ == "__main__":
    run(main, __doc__, reads=["model"], writes=["raw"])
