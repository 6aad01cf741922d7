"""What this machine is, and the device and number format that suit it."""

import platform
import resource
import sys
from importlib.metadata import version
from pathlib import Path

import torch

from tuner.errors import UserError

PACKAGES = ("torch", "transformers", "peft", "trl", "datasets", "openvino", "openvino-genai", "scikit-learn", "dvc")


def choose(device: str, dtype: str) -> tuple[str, str]:
    """Return (device, dtype) with "auto" resolved: CUDA when there is one; bfloat16 on a GPU that has it, else float32.

    Float32 on every CPU: bfloat16 is emulated on most (five to ten times slower), gains a third where it is native, and
    would make results differ between the two kinds. UserError for several CUDA devices: the trainers would spread a
    batch over all of them, and another batch is another result.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("runtime.device is cuda, and torch finds no CUDA device here; use auto or cpu")
    if device == "cuda" and (count := torch.cuda.device_count()) > 1:
        raise UserError(f"{count} CUDA devices, and one is used: name it by CUDA_VISIBLE_DEVICES=0, for example")
    if dtype == "auto":
        native = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        dtype = "bfloat16" if native else "float32"
    return device, dtype


def peak_memory_megabytes(device: str) -> float:
    """Return the process's peak so far: reserved accelerator memory, or resident set on a CPU (10^6 bytes)."""
    if device == "cuda":
        return torch.cuda.max_memory_reserved() / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def energy_joules() -> float | None:
    """Return what the processor packages have used since some moment, or None where the system does not tell.

    Linux's powercap counters (RAPL), which most systems let only root read; other accelerators are not counted.
    """
    try:
        counters = [int((zone / "energy_uj").read_text()) for zone in Path("/sys/class/powercap").glob("intel-rapl:?")]
    except OSError:
        return None
    return sum(counters) / 1e6 if counters else None


def describe(device: str, dtype: str) -> dict:
    """Return what a reader needs to judge a timing: processor or GPU, threads, formats and package versions."""
    name = torch.cuda.get_device_name() if device == "cuda" else _cpu_name()
    return {
        "device": device,
        "device_name": name,
        "threads": torch.get_num_threads(),
        "dtype": dtype,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {package: version(package) for package in PACKAGES},
    }


def _cpu_name() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
