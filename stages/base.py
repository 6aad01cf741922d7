"""Fetch a base model, check it, and write it as an ordinary checkpoint with a pad token of its own."""

import tempfile

from _stage import progress, run


def main(paths, params, scratch):
    from tuner import base, io

    source = params.model(paths.name)
    scratch.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as work, io.atomic(paths.model) as folder:
        card = base.write(paths.name, source, folder, type(scratch)(work), progress)
    return f"{card['name']}, {card['parameters'] / 1e6:.0f}M parameters, licence {card['license']}"


if __name__ == "__main__":
    run(main, __doc__, options=["name"], reads=[], writes=["model"])
