"""Evaluate the base or one method on the same items, and keep a row for every item."""

from _stage import progress, run


def main(paths, params, scratch):
    from tuner import evaluate, io, metrics, reply_judge

    record = io.read_json(paths.record) if paths.record else None
    rows = evaluate.rows(
        student=paths.model,
        adapter=paths.adapter,
        quantize=record and record["run_info"]["quantize"],
        validation_rows=io.read_jsonl(paths.validation),
        pair_rows=io.read_jsonl(paths.pairs),
        settings=params.evaluate,
        seed=params.seed,
        runtime=params.runtime,
        progress=progress,
    )
    rows = reply_judge.scored(rows, params.judge, params.runtime, progress("judge"))
    base = io.read_jsonl(paths.base) if paths.base else rows
    found = metrics.of_method(rows, base, record)
    io.write_jsonl(paths.items, rows)
    io.write_json(paths.metrics, found)
    shown = ("eval_loss", "instruction_following", "knowledge", "agent")
    return f"{paths.metrics.stem}, {len(rows)} items, " + ", ".join(f"{name} {found[name]:.3f}" for name in shown)


if __name__ == "__main__":
    run(
        main,
        __doc__,
        reads=["model", "validation", "pairs"],
        may_read=["adapter", "record", "base"],
        writes=["items", "metrics"],
    )
