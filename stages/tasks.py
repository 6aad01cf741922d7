"""Write the evaluation's items: what is asked of every model, and looked for in the data."""

from _stage import run


def main(paths, params, scratch):
    from tuner import io, items, tasks

    made = tasks.made(params.evaluate, params.seed)
    with io.atomic(paths.tasks) as folder:
        for suite, rows in made.items():
            io.write_jsonl(items.file_of(folder, suite), rows)
    return ", ".join(f"{len(rows)} {suite}" for suite, rows in made.items())


if __name__ == "__main__":
    run(main, __doc__, reads=[], writes=["tasks"])
