"""Fit the contrast reward: a linear head on the frozen base that tells real answers from spoiled ones."""

from _stage import progress, run


def main(paths, params, scratch):
    from tuner import engine, hardware, io, reward, rows

    settings = params.reward
    device, dtype = hardware.choose(params.runtime.device, params.runtime.dtype)
    answered = rows.read(paths.train, rows.Completion)[: settings.prompts]
    kind = engine.choose(settings.engine, paths.model, params.runtime)
    sampler = engine.load(kind, paths.model, params.runtime)
    fitted, held_out = reward.split(answered, settings.validation_share, params.seed)
    hot = {"sampling": settings.hot_sampling, "seed": params.seed}
    pairs = reward.contrasts(fitted, sampler, refusals=reward.REFUSALS, **hot)
    held_out = reward.contrasts(held_out, sampler, refusals=reward.OTHER_REFUSALS, **hot)
    with io.atomic(paths.reward) as folder:
        accuracy = reward.fit(
            paths.model,
            pairs,
            held_out,
            regularization=settings.regularization,
            device=device,
            dtype=dtype,
            max_tokens=params.runtime.forward_tokens,
            destination=folder,
            progress=progress("reward"),
        )
    io.write_csv(paths.accuracy, accuracy)
    return f"fitted on {len(pairs)} pairs, accuracy {accuracy[0]['accuracy']:.2f} on {len(held_out)} held out"


if __name__ == "__main__":
    run(main, __doc__, reads=["model", "train"], writes=["reward", "accuracy"])
