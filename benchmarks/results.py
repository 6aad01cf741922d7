"""benchmarks/results.json: one entry a measured claim, written by the script that measured it."""

import datetime
import json
import os
import platform
import sys
from pathlib import Path

PATH = Path(__file__).with_name("results.json")

# Heading of benchmarks/README.md -> the scripts whose claims stand under it; those of all others stand under the last.
TOPICS = {
    "Generation": ("agreement", "row_stability", "generation", "adapter_sampling", "sampling_ceiling"),
    "Filtering": ("filter_quality", "filter_scale", "judge"),
    "Training": ("train_speed", "shared_cores", "prompt_tuning", "tune"),
    "Evaluation": ("lm_eval_speed", "reward_batches", "ifbench"),
    "Statistics": ("coverage", "clusters"),
    "Cost": ("cost", "overheads"),
    "Other": (),
}

CPUINFO = Path("/proc/cpuinfo")
# The widest vectors, by the flag that tells of them in /proc/cpuinfo: they decide what a CPU computes a second.
VECTORS = {"amx_tile": "AMX", "avx512_bf16": "AVX-512 with bfloat16", "avx512f": "AVX-512", "avx2": "AVX2"}


def machine(info: Path = CPUINFO) -> str:
    """The processor's name, how many of its cores this process may use, and its widest vectors."""
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts = [names[0] if names else platform.processor() or platform.machine(), f"{cores} cores", vectors(info)]
    return ", ".join(part for part in parts if part)


def vectors(info: Path = CPUINFO) -> str | None:
    """Return which of VECTORS this CPU has, the widest; None where it says nothing of them."""
    lines = info.read_text().splitlines() if info.exists() else []
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return next((kind for flag, kind in VECTORS.items() if flag in flags), None)


def here(name: str, info: Path = CPUINFO) -> str:
    """Return the name under which a speed that was measured on this machine stands.

    A CPU without AVX-512 has claims of its own, `<name>_avx2`, beside those of wider ones.
    """
    return f"{name}_avx2" if vectors(info) == "AVX2" else name


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


def page(claims: dict[str, dict]) -> str:
    """Return all claims as Markdown: by topic, and there by the run they came from."""
    topic_of = {script: topic for topic, scripts in TOPICS.items() for script in scripts}
    runs: dict[str, dict[tuple, list[str]]] = {topic: {} for topic in TOPICS}
    for name, claim in sorted(claims.items()):
        script = next((Path(word).stem for word in claim["command"].split() if word.endswith(".py")), None)
        run = (claim["command"], claim["date"], claim["machine"])
        runs[topic_of.get(script, "Other")].setdefault(run, []).append(name)
    parts = []
    for topic, found in runs.items():
        parts += [f"## {topic}\n"] if found else []
        for (command, date, machine), names in found.items():
            rows = [_row(name, claims[name]) for name in names]
            head = ["| claim | value | unit | ours | peer | more |", "|:--|--:|:--|--:|--:|:--|"]
            parts.append(f"`{command}` ({date}; {machine})\n\n" + "\n".join([*head, *rows]) + "\n")
    return "\n".join(parts)


def _row(name: str, claim: dict) -> str:
    known = ("value", "unit", "ours", "peer", "peer_version", "machine", "command", "date")
    peer = "" if claim["peer"] is None else f"{_shown(claim['peer'])} ({claim['peer_version']})"
    ours = "" if claim["peer"] is None else _shown(claim["ours"])
    more = ", ".join(f"{key.replace('_', ' ')} {_shown(value)}" for key, value in claim.items() if key not in known)
    cells = [name, _shown(claim["value"]), claim["unit"], ours, peer, more]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
