"""Fit the contrast reward: a linear head on the frozen base that tells real answers from spoiled ones."""

from _stage import progress, run


def main(paths, params, scratch):
    from tuner import engine, hardware, io, reward

    settings, runtime = params.reward, params.runtime
    device, dtype = hardware.choose(runtime.device, runtime.dtype)
    rows = io.read_jsonl(paths.train)[: settings.prompts]
    kind = engine.choose(settings.engine, paths.model, params.runtime)
    sampler = engine.load(kind, paths.model, params.runtime)
    pairs = reward.contrasts(rows, sampler, sampling=settings.hot_sampling, seed=params.seed)
    with io.atomic(paths.reward) as folder:
        accuracy = reward.fit(
            paths.model,
            pairs,
            regularization=settings.regularization,
            validation_share=settings.validation_share,
            seed=params.seed,
            device=device,
            dtype=dtype,
            max_tokens=runtime.forward_tokens,
            destination=folder,
            progress=progress("reward"),
        )
    io.write_csv(paths.accuracy, accuracy)
    return f"{len(pairs)} contrast pairs, accuracy {accuracy[0]['accuracy']:.2f} on {accuracy[0]['pairs']} held out"


if __name__ == "__main__":
    run(main, __doc__, reads=["model", "train"], writes=["reward", "accuracy"])
