"""Say which differences between the methods are real, in numbers and in figures."""

from _stage import run


def main(paths, params, scratch):
    from tuner import compare, figures, io, metrics

    methods = ["base", *params.methods, "dpo"]
    items = {method: io.read_jsonl(paths.items / f"{method}.jsonl") for method in methods}
    records = {method: io.read_json(paths.records / f"{method}.json") for method in methods[1:]}
    for record in records.values():
        record["train_info"]["price"] = round(
            record["train_info"]["train_seconds"] / 3600 * params.compare.price_per_hour, 4
        )
    results = {
        method: {"items": rows, "metrics": metrics.of_method(rows, items["base"], records.get(method))}
        for method, rows in items.items()
    }
    comparison = compare.compare(
        results,
        pairs=[("dpo", params.dpo.adapter)],
        seed=params.seed,
        resamples=params.compare.resamples,
        alpha=params.compare.alpha,
    )
    summary = compare.summary_rows(results, comparison)
    io.write_json(paths.comparison, comparison)
    io.write_json(paths.runs, records)
    io.write_csv(paths.summary, summary)
    curves = {
        method: [io.read_csv(folder / f"{method}.csv") for folder in (paths.curves, paths.validation_curves)]
        for method in methods[1:]
    }
    with io.atomic(paths.figures) as folder:
        figures.write_all(folder, io.read_json(paths.filter), curves, summary, comparison)
    cells = [cell for method in methods[1:] for cell in comparison[method].values()]
    found = sum(cell["verdict"] != "no evidence" for cell in cells)
    return f"{len(methods) - 1} methods against the base, {found} of {len(cells)} differences are clear of chance"


if __name__ == "__main__":
    run(
        main,
        __doc__,
        reads=["items", "records", "curves", "validation_curves", "filter"],
        writes=["comparison", "summary", "runs", "figures"],
    )
