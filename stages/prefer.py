"""Build preference pairs from scored answers, or from answers that code has checked, by `prefer.policy`."""

from _stage import run


def main(paths, params, scratch):
    from tuner import io, prefer
    from tuner.errors import UserError

    policy = params.prefer.policy
    pairs, counts = prefer.pairs(io.read_jsonl(paths.scored), io.read_jsonl(paths.judged), params.prefer)
    splits = {split: [row for row in pairs if row["split"] == split] for split in ("train", "validation")}
    for split, rows in splits.items():
        counts[split] = len(rows)
        if not rows:
            why = ", ".join(f"{reason} {n}" for reason in prefer.REASONS if (n := counts[f"dropped_{reason}"]))
            raise UserError(
                f"prefer.policy = {policy}: no {split} pairs from {counts['in']} prompts (dropped: {why or 'none'}); "
                "loosen prefer, choose another policy or generate more"
            )
    for split, rows in splits.items():
        io.write_jsonl(getattr(paths, split), rows)
    io.write_json(paths.metrics, counts)
    joined = f", {counts['verified']} of them verified" if counts["verified"] else ""
    return (
        f"{policy}, {counts['in']} prompts, {counts['train']} train and {counts['validation']} validation pairs{joined}"
    )


if __name__ == "__main__":
    run(main, __doc__, reads=["scored", "judged"], writes=["train", "validation", "metrics"])
