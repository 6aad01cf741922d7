"""Score every candidate answer with the reward model."""

from _stage import progress, run


def main(paths, params, scratch):
    from tuner import hardware, io, reward, rows

    sampled = rows.read(paths.candidates, rows.Candidates)
    device, dtype = hardware.choose(params.runtime.device, params.runtime.dtype)
    answers = [(row["prompt"][0]["content"], answer) for row in sampled for answer in row["answers"]]
    rewards = reward.score(
        paths.reward,
        [(prompt, answer["text"]) for prompt, answer in answers],
        device=device,
        dtype=dtype,
        max_tokens=params.runtime.forward_tokens,
        progress=progress("score"),
    )
    for (_, answer), value in zip(answers, rewards, strict=True):
        answer["reward"] = round(value, 5)
    io.write_jsonl(paths.scored, sampled)
    return f"{len(rewards)} answers to {len(sampled)} prompts"


if __name__ == "__main__":
    run(main, __doc__, reads=["reward", "candidates"], writes=["scored"])
