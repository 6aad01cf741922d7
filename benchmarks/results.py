"""benchmarks/results.json: one entry a measured claim, written by the script that measured it."""

import datetime
import json
import os
import platform
import sys
from pathlib import Path

PATH = Path(__file__).with_name("results.json")


def machine() -> str:
    """The processor's name and how many of its cores this process may use."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{names[0] if names else platform.processor() or platform.machine()}, {cores} cores"


def record(
    name: str,
    *,
    value: float,
    unit: str,
    ours: float | None = None,
    peer: float | None = None,
    peer_version: str | None = None,
    command: str | None = None,
    **more: object,
) -> None:
    """Put one claim into the file; those of other names stay.

    With a peer, `value` is what is claimed (a ratio, say), and `ours` and `peer` are the two measurements. `command`
    is this script's own command line unless it is given.
    """
    script = Path(sys.argv[0])
    claim = {
        "value": value,
        "unit": unit,
        "ours": value if ours is None else ours,
        "peer": peer,
        "peer_version": peer_version,
        "machine": machine(),
        "command": command or " ".join(["python", f"{script.parent.name}/{script.name}", *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
        **more,
    }
    known = json.loads(PATH.read_text(encoding="utf-8")) if PATH.exists() else {}
    text = json.dumps(dict(sorted({**known, name: claim}.items())), indent=2, ensure_ascii=False, allow_nan=False)
    PATH.write_text(text + "\n", encoding="utf-8")
