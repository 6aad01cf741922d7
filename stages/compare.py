"""Say which differences between the methods are real, in numbers and in figures."""

from itertools import combinations

from _stage import run


def main(paths, params, scratch):
    from tuner import compare, figures, io, metrics, report, report_details, samples, secondary

    methods = ["base", *params.methods, "dpo"]
    items = {method: io.read_jsonl(paths.items / f"{method}.jsonl") for method in methods}
    records = {method: io.read_json(paths.records / f"{method}.json") for method in methods[1:]}
    engines = {method: next(row["engine"] for row in rows if "engine" in row) for method, rows in items.items()}
    for method, record in records.items():
        hours = record["train_info"]["train_seconds"] / 3600
        record["train_info"]["price"] = round(hours * params.compare.price_per_hour, 4)
        record["run_info"]["reply_engine"] = engines[method]
    results = {
        method: {"items": rows, "metrics": metrics.of_method(rows, items["base"], records.get(method))}
        for method, rows in items.items()
    }
    options = {"seed": params.seed, "resamples": params.compare.resamples, "alpha": params.compare.alpha}
    pairs = [(later, earlier) for earlier, later in combinations(methods[1:], 2)]
    comparison = compare.compare(results, pairs=pairs, **options)
    started = [("dpo", params.dpo.adapter)]
    others = secondary.compare(results, families=params.verify.families, pairs=started, **options)
    counts = io.read_json(paths.filter)
    summary = compare.summary_rows(results, comparison)
    io.write_json(paths.comparison, comparison)
    io.write_json(paths.secondary, others)
    io.write_json(paths.runs, records)
    io.write_csv(paths.summary, summary)
    curves = {
        method: [io.read_csv(folder / f"{method}.csv") for folder in (paths.curves, paths.validation_curves)]
        for method in methods[1:]
    }
    with io.atomic(paths.figures) as folder:
        figures.write_all(folder, counts, curves, summary, comparison)
    flat = {method: result["metrics"] for method, result in results.items()}
    told = {"comparison": comparison, "metrics": flat, "secondary": others}
    made = {"generator": params.generator, "student": params.student, "seed": params.seed, "records": records}
    made |= {"counts": counts, "verified": io.read_json(paths.verified)}
    io.write_text(paths.report, report.page(params.compare, **told, **made))
    io.write_text(paths.details, report_details.page(params.compare, engines=engines, **told))
    io.write_text(paths.samples, samples.page(params.compare.language, items, params.seed))
    cells = [cell for method in methods[1:] for cell in comparison[method].values()]
    found = sum(cell["verdict"] != "no evidence" for cell in cells)
    return f"{len(methods) - 1} methods against the base, {found} of {len(cells)} differences are clear of chance"


if __name__ == "__main__":
    run(
        main,
        __doc__,
        reads=["items", "records", "curves", "validation_curves", "filter", "verified"],
        writes=["comparison", "summary", "runs", "figures", "secondary", "report", "details", "samples"],
    )
