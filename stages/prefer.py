"""Build preference pairs: the best finished answer against the worst one, where the margin is wide enough."""

from _stage import run


def main(paths, params, scratch):
    from tuner import io, prefer

    pairs, counts = prefer.pairs(io.read_jsonl(paths.scored), params.prefer.min_margin)
    for split in ("train", "validation"):
        of_split = [{name: row[name] for name in row if name != "split"} for row in pairs if row["split"] == split]
        io.write_jsonl(getattr(paths, split), of_split)
        counts[split] = len(of_split)
    io.write_json(paths.metrics, counts)
    return f"{counts['in']} prompts, {counts['train']} train and {counts['validation']} validation pairs"


if __name__ == "__main__":
    run(main, __doc__, reads=["scored"], writes=["train", "validation", "metrics"])
