"""Sample several answers to every prompt that preference pairs are to be built from."""

from _stage import progress, run


def main(paths, params, scratch):
    from tuner import engine, generate, io, rows
    from tuner.errors import UserError

    settings, system, chunk = params.candidates, params.generate.response_system, params.generate.chunk
    # The reward was fitted on the first rows, and would know their answers again.
    train = rows.read(paths.train, rows.Completion)[params.reward.prompts :][: settings.prompts]
    if not train:
        raise UserError("no train rows are left after reward.prompts; generate more or lower it")
    prompts = [{"id": row["id"], "split": "train", "prompt": row["prompt"]} for row in train]
    for row in rows.read(paths.validation, rows.Completion):
        prompts.append({"id": row["id"], "split": "validation", "prompt": row["prompt"]})
    kind = engine.choose(settings.engine, paths.model, params.runtime)
    key = generate.key(settings.model_dump(exclude={"engine"}), system, chunk, kind, params.seed, paths.model, prompts)
    with io.scratch(scratch, "candidates", key) as folder:
        sampler = engine.load(kind, paths.model, params.runtime)
        found = generate.answers(
            sampler,
            prompts,
            settings.sampling,
            per_prompt=settings.per_prompt,
            chunk=chunk,
            system=system,  # answers are to be like those that were learned, and to end as often
            seed=params.seed,
            folder=folder,
            progress=progress("candidates"),
        )
        io.write_jsonl(paths.candidates, found)
    return f"{settings.per_prompt} answers to each of {len(found)} prompts by {kind}"


if __name__ == "__main__":
    run(main, __doc__, reads=["model", "train", "validation"], writes=["candidates"])
