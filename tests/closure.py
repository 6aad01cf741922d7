"""The modules of this repository that a stage script imports, directly or through others."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# They check, report and set how memory is kept; no value a stage computes can change with them. Tracking them would
# repeat hours of sampling for a better error message.
UNTRACKED = {
    "stages/_stage.py",
    "tuner/__init__.py",
    "tuner/errors.py",
    "tuner/malloc.py",
    "tuner/params.py",
    "tuner/params_errors.py",
}


def imports(file: Path) -> set[Path]:
    """Return the repository's own files that one file imports, at its top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            path = ROOT / (name.replace(".", "/") + ".py")
            beside = ROOT / "stages" / f"{name}.py"  # where a script finds its neighbours; the library is a package
            candidates = (path, beside) if file.parent.name == "stages" else (path,)
            found |= {candidate for candidate in candidates if candidate.exists()}
    return found


def closure(script: Path) -> set[str]:
    """Return the repository paths of a script and of all it imports, without those in UNTRACKED."""
    seen: set[Path] = set()
    todo = {script}
    while todo:
        file = todo.pop()
        seen.add(file)
        todo |= imports(file) - seen
    return {file.relative_to(ROOT).as_posix() for file in seen} - UNTRACKED
