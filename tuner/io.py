"""Files: JSON Lines in and out, atomic writes, fingerprints, and the scratch folder of a long stage."""

import contextlib
import csv
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from tuner.errors import UserError

AGAIN = "correct it, or delete the file and `dvc repro` writes it again"


def read_jsonl(path: str | Path) -> list[dict]:
    """Return the rows of a JSON Lines file. A line that is not a JSON object is a UserError with its number."""
    return list(each_jsonl(path))


def each_jsonl(path: str | Path) -> Iterator[dict]:
    """Yield the rows of a JSON Lines file, one in memory at a time; errors as in `read_jsonl`."""
    with _present(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line.decode("utf-8"))
            except (ValueError, RecursionError) as error:  # the latter for brackets in brackets, thousands deep
                raise UserError(f"{path}:{number}: not JSON ({error}); {AGAIN}") from None
            if not isinstance(row, dict):
                raise UserError(f"{path}:{number}: expected a JSON object, found {type(row).__name__}")
            yield row


def read_json(path: str | Path) -> dict:
    """Return the object in a JSON file; a broken file is a UserError."""
    try:
        return json.loads(_present(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); {AGAIN}") from None


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and move it there when the block ends without an error.

    Works for a file and for a directory, so that nothing half-written ever carries an output's name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*"):  # by a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        temporary = folder / path.name
        yield temporary
        plain = folder / "plain file"
        plain.touch()
        for file in [temporary, *temporary.rglob("*")]:  # safetensors leaves files that only their owner can read
            if file.is_file() and not file.is_symlink():
                file.chmod(file.stat().st_mode | plain.stat().st_mode)
        temporary.stat()  # a block that wrote nothing must not cost the old output
        if path.is_dir() or temporary.is_dir():  # a rename does not replace these
            with contextlib.suppress(FileNotFoundError):
                os.replace(path, folder / "old output")
        os.replace(temporary, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_jsonl(path: str | Path, rows: Iterable[dict]) -> None:
    """Write rows as JSON Lines, atomically."""
    with jsonl_writer(path) as write:
        for row in rows:
            write(row)


class JsonlWriter:
    """Writes a row when called; `written` yields what was written so far."""

    def __init__(self, path: Path, file: TextIO):
        self.path, self.file = path, file

    def __call__(self, row: dict) -> None:
        self.file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def written(self) -> Iterator[dict]:
        self.file.flush()
        return each_jsonl(self.path)


@contextlib.contextmanager
def jsonl_writer(path: str | Path) -> Iterator[JsonlWriter]:
    """Yield a JsonlWriter; the file gets its name when the block ends without an error."""
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        yield JsonlWriter(temporary, file)


def write_text(path: str | Path, text: str) -> None:
    """Write a text, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: dict) -> None:
    """Write one object as indented JSON, atomically. NaN and infinity are refused: no metric may be one."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: str | Path, rows: list[dict]) -> None:
    """Write rows as CSV under the keys of all rows in order of appearance; a missing value is left blank."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path: str | Path) -> list[dict]:
    """Return the rows of a CSV of numbers; blanks are left out of their row."""
    with _present(path).open(encoding="utf-8", newline="") as file:
        return [{key: float(value) for key, value in row.items() if value != ""} for row in csv.DictReader(file)]


def _present(path: str | Path) -> Path:
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: missing; `dvc repro` makes it, `dvc pull` fetches it")
    return path


def fingerprint(*parts: object) -> str:
    """Return 16 hex digits of the SHA-256 of JSON values and of the contents of `Path`s (files or directories)."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            digest.update(sha256(part).encode())
        else:
            digest.update(json.dumps(part, sort_keys=True).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, or of the names and digests of all files below a directory."""
    path = Path(path)
    if path.is_dir():
        digest = hashlib.sha256()
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            digest.update(f"{file.relative_to(path).as_posix()}\0{sha256(file)}\n".encode())
        return digest.hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def scratch(root: str | Path, name: str, key: str, *, keep: bool = False) -> Iterator[Path]:
    """Yield `root/name/key`, the place where a long stage keeps unfinished work, locked against a second run.

    DVC deletes a stage's outputs before it starts, so work that should survive an interrupt lives here, under
    a key that changes with everything that changes the result. It is removed when the block ends without an error,
    unless it is to `keep`: whoever runs a finished stage again wants it run. Other keys of the same name are removed
    at the start. The lock matters because `kill` on `dvc` leaves the stage itself running (DVC does not pass SIGTERM).
    """
    parent = Path(root) / name
    folder = parent / key
    parent.mkdir(parents=True, exist_ok=True)
    with open(parent / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{parent}: another run of this stage is still at work; wait for it or kill it") from None
        for other in parent.iterdir():
            if other.is_dir() and other != folder:
                shutil.rmtree(other)
        folder.mkdir(exist_ok=True)
        yield folder
        if not keep:
            shutil.rmtree(folder)
