"""Add rows whose instruction carries constraints that code has checked, so that there is something to learn."""

import math

from _stage import progress, run


def main(paths, params, scratch):
    from tuner import data, engine, generate, io, rows, verify

    settings = params.verify
    plain = {split: rows.read(getattr(paths, split), rows.Completion) for split in ("train", "validation")}
    ids = {split: {row["id"] for row in found} for split, found in plain.items()}
    kept = rows.read(paths.kept, rows.Kept)
    # Constraints are about one answer; a row of several turns stays plain.
    sources = {split: [row for row in kept if row["id"] in ids[split] and not row.get("history")] for split in plain}
    rules = {"seed": params.seed, "families": settings.families}
    asked = []
    for split, found in sources.items():
        count = math.ceil(settings.requests * len(found) / len(sources["train"]))
        asked += [row | {"split": split} for row in verify.requests(found, count=count, **rules)]
    kind = engine.choose(settings.engine, paths.model, params.runtime)
    sizes = {"per_prompt": settings.per_request, "chunk": params.generate.chunk}
    key = generate.key(settings.sampling.model_dump(), sizes, kind, params.seed, paths.model, asked)
    with io.scratch(scratch, "verify", key) as folder:
        sampled = generate.answers(
            engine.load(kind, paths.model, params.runtime),
            asked,
            settings.sampling,
            **sizes,
            seed=params.seed,
            folder=folder,
            progress=progress("verify"),
        )
        passed, judged = verify.judged(sampled)
        counts = {split: verify.rows_for_share(settings.share, len(rows)) for split, rows in plain.items()}
        made = {
            split: verify.rows(
                sources[split],
                [row for row in passed if row["split"] == split],
                count=counts[split],
                max_words=settings.max_words,
                weights=verify.need(judged),
                **rules,
            )
            for split in plain
        }
        contrasts = [row | {"split": split} for split, done in made.items() for row in verify.contrasts(done)]
        io.write_jsonl(paths.judged, [*judged, *contrasts])
        for split, path in (("train", paths.sft_train), ("validation", paths.sft_validation)):
            # Names for ids throughout: readers of JSON Lines want one type in a column.
            named = [row | {"id": str(row["id"])} for row in plain[split]]
            io.write_jsonl(path, [*named, *map(data.verified_conversation, made[split])])
    found, wanted = len(made["train"]), counts["train"]
    return f"{len(plain['train'])} plain rows and {found} of {wanted} wanted with checked constraints"


if __name__ == "__main__":
    inputs = ["model", "kept", "train", "validation"]
    run(main, __doc__, reads=inputs, writes=["sft_train", "sft_validation", "judged"])
