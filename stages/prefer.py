"""Build preference pairs: the best finished answer against the worst one, where the margin is wide enough."""

from _stage import run


def main(paths, params, scratch):
    from tuner import io, prefer
    from tuner.errors import UserError

    pairs, counts = prefer.pairs(io.read_jsonl(paths.scored), params.prefer.min_margin)
    splits = {split: [row for row in pairs if row["split"] == split] for split in ("train", "validation")}
    for split, rows in splits.items():
        counts[split] = len(rows)
        if not rows:
            raise UserError(f"no {split} pairs from {counts['in']} prompts; lower prefer.min_margin or generate more")
    for split, rows in splits.items():
        io.write_jsonl(getattr(paths, split), rows)
    io.write_json(paths.metrics, counts)
    return f"{counts['in']} prompts, {counts['train']} train and {counts['validation']} validation pairs"


if __name__ == "__main__":
    run(main, __doc__, reads=["scored"], writes=["train", "validation", "metrics"])
