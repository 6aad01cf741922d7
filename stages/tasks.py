"""Write the evaluation's items: what is asked of every model, and looked for in the data."""

from _stage import run


def main(paths, params, scratch):
    from tuner import io, tasks

    with io.atomic(paths.tasks) as folder:
        written = tasks.write(params.evaluate, params.seed, folder)
    return ", ".join(f"{count} {suite}" for suite, count in written.items())


if __name__ == "__main__":
    run(main, __doc__, reads=[], writes=["tasks"])
