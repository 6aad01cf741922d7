"""Build preference pairs from scored answers, or from answers that code has checked, by `prefer.policy`."""

from _stage import run


def main(paths, params, scratch):
    from tuner import io, prefer, rows
    from tuner.errors import UserError

    policy = params.prefer.policy
    scored = rows.read(paths.scored, rows.Scored)
    judged = rows.read(paths.judged, rows.Judged, may_be_empty=True)
    pairs, counts = prefer.pairs(scored, judged, params.prefer)
    splits = {split: [row for row in pairs if row["split"] == split] for split in ("train", "validation")}
    for split, found in splits.items():
        counts[split] = len(found)
        if not found:
            why = ", ".join(f"{reason} {n}" for reason in prefer.REASONS if (n := counts[f"dropped_{reason}"]))
            raise UserError(
                f"prefer.policy = {policy}: no {split} pairs from {counts['in']} prompts (dropped: {why or 'none'}); "
                "loosen prefer, choose another policy or generate more"
            )
    for split, found in splits.items():
        io.write_jsonl(getattr(paths, split), found)
    io.write_json(paths.metrics, counts)
    joined = f", {counts['verified']} of them verified" if counts["verified"] else ""
    return (
        f"{policy}, {counts['in']} prompts, {counts['train']} train and {counts['validation']} validation pairs{joined}"
    )


if __name__ == "__main__":
    run(main, __doc__, reads=["scored", "judged"], writes=["train", "validation", "metrics"])
