"""Describe the data: what each filter removed, how diverse the rows are, a dataset card and Croissant metadata."""

from _stage import run


def main(paths, params, scratch):
    from tuner import attrition, data_figures, decontaminate, describe, filters, io, items, model, template

    rows, kept, dropped, judged = (io.read_jsonl(getattr(paths, name)) for name in ("raw", "kept", "dropped", "judged"))
    files = {"train": paths.train, "validation": paths.validation}
    sft = {split: io.read_jsonl(path) for split, path in files.items()}
    generator = io.read_json(paths.model / "source.json")
    special = template.special_tokens(model.load_tokenizer(paths.model))
    asked = items.read(paths.tasks)
    memory = filters.begin(params.filter, special, decontaminate.evaluation_index(asked))
    found = describe.attrition_of(rows, dropped, memory)
    diverse = describe.diversity_of(rows, kept, params.seed)
    verified = describe.verified_of(sft["train"], judged)
    text = describe.card_of(
        generator=generator,
        engine=" and ".join(dict.fromkeys(row["engine"] for row in (*rows, *judged) if "engine" in row)),
        params=params,
        counts=io.read_json(paths.filter),
        asked={suite: len(rows) for suite, rows in asked.items()},
        sft=sft,
        kept=kept,
        found=found,
        diverse=diverse,
        verified=verified,
    )
    io.write_json(paths.verified, verified)
    io.write_json(paths.attrition, found)
    io.write_csv(paths.attrition_csv, attrition.csv_rows(found))
    io.write_json(paths.diversity, diverse)
    io.write_text(paths.card, text)
    io.write_json(paths.croissant, describe.croissant_of(generator, files, params.filter.language))
    with io.atomic(paths.figures) as folder:
        folder.mkdir()
        data_figures.attrition(folder / "attrition.png", found)
        data_figures.cells(folder / "decoding_cells.png", diverse["cell"])
    most = max(found["filters"], key=lambda name: found["filters"][name]["in_sequence"])
    return f"kept {found['kept']} of {found['rows']} rows, most were dropped as {most}"


if __name__ == "__main__":
    run(
        main,
        __doc__,
        reads=["model", "tasks", "raw", "kept", "dropped", "filter", "judged", "train", "validation"],
        writes=["verified", "attrition", "attrition_csv", "diversity", "card", "croissant", "figures"],
    )
