"""Evaluate the base or one method on the same items, and keep a row for every item, with several seeds for each."""

from _stage import progress, run


def main(paths, params, scratch):
    from functools import partial

    from tuner import checks, evaluate, ifbench, io, metrics, repeats, reply_judge, rows

    record = io.read_json(paths.record) if paths.record else None
    answer = partial(
        evaluate.rows,
        student=paths.model,
        quantize=record and record["run_info"]["quantize"],
        validation_rows=rows.read(paths.validation, rows.Completion),
        pair_rows=rows.read(paths.pairs, rows.Pair),
        tasks=checks.read(paths.tasks),
        lm_eval_tasks=params.evaluate.lm_eval_tasks,
        kind=params.evaluate.engine,
        runtime=params.runtime,
        scratch=scratch,
        progress=progress,
    )
    scored = reply_judge.scored(repeats.rows(answer, paths.adapter), params.judge, params.runtime, progress("judge"))
    base = io.read_jsonl(paths.base) if paths.base else scored
    found = metrics.of_method(scored, base, record)
    io.write_jsonl(paths.items, scored)
    io.write_json(paths.metrics, found)
    shown = ("eval_loss", "instruction_following", "knowledge", "agent")
    shares = ", ".join(f"{name} {found[name]:.3f}" for name in shown)
    return f"{paths.metrics.stem}, {len(scored)} items, {shares}{ifbench.told(scored)}"


if __name__ == "__main__":
    run(
        main,
        __doc__,
        reads=["model", "tasks", "validation", "pairs"],
        may_read=["adapter", "record", "base"],
        writes=["items", "metrics"],
    )
