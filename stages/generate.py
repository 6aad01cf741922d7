"""Let the generator write instruction-response pairs the Magpie way, until enough of them pass the filters."""

from functools import cache, partial

from _stage import progress, run


def main(paths, params, scratch):
    from tuner import adapter_config, decontaminate, engine, filters, generate, io, items, judge, model, template

    for name in params.methods:  # a mistake in a method is told before the hours of sampling, not after
        adapter_config.of(name, params.adapters[name], paths.model)
    settings = params.generate
    tokenizer = model.load_tokenizer(paths.model)
    kind = engine.choose(settings.engine, paths.model, params.runtime)
    tests = decontaminate.evaluation_index(items.read(paths.tasks))
    memory = filters.begin(params.filter, template.special_tokens(tokenizer), tests)

    def objection(row):
        found = filters.verdict(row, memory)
        return found and found[0]

    wanted = judge.rows_to_judge(settings.rows, params.filter.judged_share)
    key = generate.pairs_key(settings, kind, params.seed, paths.model)
    # Kept when the stage ends: with other filters or a higher quota it goes on with what was sampled.
    with (
        io.scratch(scratch, "generate", key, keep=True) as folder,
        progress("generate")(total=wanted, smoothing=0) as bar,
    ):
        rows = generate.pairs(
            cache(partial(engine.load, kind, paths.model, params.runtime)),
            tokenizer,
            settings,
            objection=objection,
            rows=wanted,
            seed=params.seed,
            folder=folder,
            bar=bar,
        )
        io.write_jsonl(paths.raw, rows)
    return f"{len(rows)} pairs by {kind}, {wanted} pass the filters"


if __name__ == "__main__":
    run(main, __doc__, reads=["model", "tasks"], writes=["raw"])
