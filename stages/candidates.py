"""Sample several answers to every prompt that preference pairs are to be built from."""

from _stage import progress, run


def main(paths, params, scratch):
    from tuner import engine, generate, io

    settings = params.candidates
    train = [row | {"split": "train"} for row in io.read_jsonl(paths.train)[: settings.prompts]]
    validation = [row | {"split": "validation"} for row in io.read_jsonl(paths.validation)]
    prompts = [{name: row[name] for name in ("id", "split", "prompt")} for row in train + validation]
    kind = engine.choose(settings.engine, paths.model, params.runtime)
    key = io.fingerprint(
        settings.model_dump(exclude={"engine"}), kind, params.seed, paths.model, paths.train, paths.validation
    )
    with io.scratch(scratch, "candidates", key) as folder:
        sampler = engine.load(kind, paths.model, params.runtime)
        rows = generate.answers(
            sampler,
            prompts,
            settings.sampling,
            per_prompt=settings.per_prompt,
            seed=params.seed,
            folder=folder,
            progress=progress("candidates"),
        )
        io.write_jsonl(paths.candidates, rows)
    return f"{settings.per_prompt} answers to each of {len(rows)} prompts by {kind}"


if __name__ == "__main__":
    run(main, __doc__, reads=["model", "train", "validation"], writes=["candidates"])
