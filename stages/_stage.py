"""The shape every stage has. The only place that reads argv, params.yaml and the environment (but for a server's key).

A stage script says which files it reads and writes and has one `main(paths, params, scratch)`, which makes one to
three library calls and returns the line that sums the stage up.
"""

import argparse
import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tuner import malloc
from tuner import params as parameters
from tuner.errors import UserError

PARAMS = "params.yaml"
# How often a thread of torch looks whether the others of a matrix product are done, before it sleeps. By default so
# often that training beside another program takes 1.6 times as long; alone, sleeping costs up to 5 % of the time
# (benchmarks/shared_cores.py).
SPINS = "1000"


def run(
    main: Callable[[SimpleNamespace, parameters.Params, Path], str],
    about: str,
    *,
    reads: Sequence[str],
    writes: Sequence[str],
    may_read: Sequence[str] = (),
    options: Sequence[str] = (),
) -> None:
    """Parse `--name path` for each name, validate all of params.yaml, run `main`, print its line with the seconds.

    A missing input or any other UserError is one line on stderr and exit code 1. Names in `may_read` may be left
    out (None). `options` are plain strings, such as which method to train.
    """
    stage = Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(description=about)
    for name in options:
        parser.add_argument(f"--{name}", required=True)
    for name in reads:
        parser.add_argument(f"--{name}", required=True, type=Path, metavar="PATH", help="input")
    for name in may_read:
        parser.add_argument(f"--{name}", type=Path, metavar="PATH", help="input, may be left out")
    for name in writes:
        parser.add_argument(f"--{name}", required=True, type=Path, metavar="PATH", help="output")
    paths = SimpleNamespace(**vars(parser.parse_args()))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves by the door, so temporary files are removed
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns wherever it is installed, wanted or not
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    warnings.filterwarnings("ignore", category=FutureWarning)  # of libraries whose versions are pinned
    malloc.keep_freed()
    started = time.monotonic()
    try:
        settings = parameters.load(PARAMS)
        for name in (*reads, *may_read):
            path = getattr(paths, name)
            if path is not None and not path.exists():
                raise UserError(f"{path}: missing; `dvc repro` makes it, `dvc pull` fetches it")
        summary = main(paths, settings, scratch_root())
    except UserError as error:
        print(f"{stage}: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print(f"{stage}: interrupted; run it again", file=sys.stderr)
        sys.exit(130)
    print(f"{stage}: {summary} ({time.monotonic() - started:.0f} s)")


def scratch_root() -> Path:
    """Return the folder for unfinished work. In `dvc exp run --temp` it is the repository's own, so work is shared."""
    return Path(os.environ.get("DVC_ROOT", ".")) / ".work"


def progress(name: str) -> Callable:
    """Return a wrapper of an iterable that shows a progress bar of that name."""
    from tqdm import tqdm

    return partial(tqdm, desc=name, mininterval=1)
