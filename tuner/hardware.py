"""What this machine is, and the device and number format that suit it."""

import platform
import resource
import sys
from importlib.metadata import version
from pathlib import Path

import torch

PACKAGES = ("torch", "transformers", "peft", "trl", "datasets", "openvino-genai", "scikit-learn", "dvc")


def choose(device: str, dtype: str) -> tuple[str, str]:
    """Return (device, dtype) with "auto" resolved: CUDA when there is one; bfloat16 only where the hardware has it.

    On a CPU without AVX512-BF16 or AMX bfloat16 is emulated, five to ten times slower than float32.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if dtype == "auto":
        native = torch.cuda.is_bf16_supported() if device == "cuda" else _cpu_has_bfloat16()
        dtype = "bfloat16" if native else "float32"
    return device, dtype


def peak_memory_megabytes(device: str) -> float:
    """Return the process's peak so far: reserved accelerator memory, or resident set on a CPU (10^6 bytes)."""
    if device == "cuda":
        return torch.cuda.max_memory_reserved() / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


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


def _cpu_has_bfloat16() -> bool:
    return bool({"avx512_bf16", "amx_bf16"} & set(_cpuinfo("flags").split()))


def _cpu_name() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")
