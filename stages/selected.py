"""Copy one method's metrics, so that two experiments that select different methods are a table of the two."""

from _stage import run


def main(paths, params, scratch):
    from tuner import io

    io.write_json(paths.selected, io.read_json(paths.metrics))
    return params.selected


if __name__ == "__main__":
    run(main, __doc__, reads=["metrics"], writes=["selected"])
