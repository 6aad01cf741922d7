"""What the stage scripts declare to `_stage.run`, found by running them with a `run` that only takes notes."""

import functools
import runpy
import sys
from pathlib import Path
from types import ModuleType

from closure import ROOT

SCRIPTS = sorted(path.stem for path in (ROOT / "stages").glob("[!_]*.py"))


@functools.cache
def declared(script: str) -> dict[str, list[str]]:
    """Return the names in reads, may_read, writes and options of stages/<script>.py."""
    calls = []
    fake = ModuleType("_stage")
    fake.run = lambda main, about, **names: calls.append(names)
    fake.progress = None
    before = sys.modules.get("_stage")
    sys.modules["_stage"] = fake
    try:
        runpy.run_path(str(Path(ROOT, "stages", f"{script}.py")), run_name="__main__")
    finally:
        del sys.modules["_stage"]
        if before:
            sys.modules["_stage"] = before
    (call,) = calls
    return {"may_read": [], "options": [], **call}
