"""What all stage scripts have in common: light to start, one line for a mistake, nothing left by an interrupt."""

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from closure import ROOT
from scripts import SCRIPTS, declared

STAGES = ROOT / "stages"
HEAVY = {"torch", "transformers", "openvino", "openvino_genai", "peft", "trl", "datasets", "numpy", "dvc", "matplotlib"}
READERS = [script for script in SCRIPTS if declared(script)["reads"]]
SPLITS = ("train", "validation")
every_script = pytest.mark.parametrize("script", SCRIPTS)


def run(script: str, arguments: list[str], folder: Path, *python: str) -> subprocess.CompletedProcess:
    command = [sys.executable, *python, STAGES / f"{script}.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def runs(scripts: list[str], arguments, folder: Path, *python: str) -> dict[str, subprocess.CompletedProcess]:
    """Run scripts two at a time; they spend their time in starting Python."""
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda script: run(script, arguments(script), folder, *python), scripts)
        return dict(zip(scripts, done, strict=True))


def all_options(script: str) -> list[str]:
    """Every option of a script, each path in a folder of its own that does not exist."""
    names = declared(script)
    paths = [
        word for kind in ("reads", "may_read", "writes") for name in names[kind] for word in (f"--{name}", f"no/{name}")
    ]
    return [*paths, *(word for name in names["options"] for word in (f"--{name}", "lora"))]


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture(scope="module")
def helps(tmp_path_factory):
    return runs(SCRIPTS, lambda _: ["--help"], tmp_path_factory.mktemp("help"), "-X", "importtime")


@pytest.fixture(scope="module")
def without_inputs(tmp_path_factory):
    """Every script that reads, started with sound parameters and no input: (folder, results)."""
    folder = tmp_path_factory.mktemp("missing")
    shutil.copy(ROOT / "params.yaml", folder)
    return folder, runs(READERS, all_options, folder)


@pytest.fixture(scope="module")
def with_bad_params(tmp_path_factory):
    """Every script, started with a broken parameter and no input: (folder, results)."""
    folder = tmp_path_factory.mktemp("params")
    text = (ROOT / "params.yaml").read_text()
    assert text.count("\n  r: 32\n") == 1
    (folder / "params.yaml").write_text(text.replace("\n  r: 32\n", "\n  r: eight\n"))
    return folder, runs(SCRIPTS, all_options, folder)


def test_there_are_scripts():
    assert {"base", "generate", "train", "dpo", "evaluate", "compare"} <= set(SCRIPTS)


@every_script
def test_help_exits_zero_and_names_every_option(helps, script):
    done = helps[script]
    assert done.returncode == 0
    names = declared(script)
    assert set(re.findall(r"--([a-z_]+)", done.stdout)) == {"help", *(name for kind in names.values() for name in kind)}


@every_script
def test_help_says_what_the_stage_does(helps, script):
    about = ast.get_docstring(ast.parse((STAGES / f"{script}.py").read_text()))
    assert " ".join(about.split()) in " ".join(helps[script].stdout.split())


@every_script
def test_help_imports_nothing_heavy(helps, script):
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in helps[script].stderr.splitlines()}
    assert "pydantic" in imported, "the list of imports was not read"
    assert not imported & HEAVY


@pytest.mark.parametrize("script", READERS)
def test_a_missing_input_is_one_line_and_nothing_is_written(without_inputs, script):
    folder, results = without_inputs
    done = results[script]
    assert done.returncode == 1
    assert done.stdout == ""
    first = declared(script)["reads"][0]
    assert done.stderr == f"{script}: no/{first}: missing; `dvc repro` makes it, `dvc pull` fetches it\n"
    assert files(folder) == ["params.yaml"]


@every_script
def test_bad_params_are_one_line_before_any_input_is_looked_at(with_bad_params, script):
    folder, results = with_bad_params
    done = results[script]
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"{script}: params.yaml: rslora.r = 'eight': must be a whole number\n"
    assert files(folder) == ["params.yaml"]


def test_outside_the_project_a_script_says_where_to_run_it(tmp_path):
    done = run("prefer", all_options("prefer"), tmp_path)
    assert done.returncode == 1
    assert done.stderr == "prefer: params.yaml: No such file or directory; run this in the project's top folder\n"


def test_a_missing_or_unknown_option_is_said_by_the_parser(tmp_path):
    for arguments in (["--scored", "x"], [*all_options("prefer"), "--rank", "8"]):
        done = run("prefer", arguments, tmp_path)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


@pytest.fixture
def in_process(monkeypatch, tmp_path):
    """Call `_stage.run` here with the names of a real script, in a folder with the shipped parameters."""
    for name in ("TOKENIZERS_PARALLELISM", "TRANSFORMERS_VERBOSITY", "HF_HUB_DISABLE_TELEMETRY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "x")
    monkeypatch.syspath_prepend(STAGES)
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    import _stage

    def call(script: str, main) -> None:
        monkeypatch.setattr(sys, "argv", [f"stages/{script}.py", *all_options(script)])
        _stage.run(main, "about", **declared(script))

    before = signal.getsignal(signal.SIGTERM)
    yield call
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("script", "missing"),
    [(script, name) for script in READERS for kind in ("reads", "may_read") for name in declared(script)[kind]],
)
def test_each_single_missing_input_is_named(in_process, tmp_path, capsys, script, missing):
    names = declared(script)
    for name in (*names["reads"], *names["may_read"]):
        if name != missing:
            (tmp_path / "no" / name).mkdir(parents=True)
    with pytest.raises(SystemExit) as caught:
        in_process(script, lambda *_: pytest.fail("main was run"))
    assert caught.value.code == 1
    assert capsys.readouterr() == (
        "",
        f"{script}: no/{missing}: missing; `dvc repro` makes it, `dvc pull` fetches it\n",
    )


def test_a_stage_that_succeeds_prints_one_line_with_its_seconds(in_process, tmp_path, capsys):
    for name in ("model", "tasks", "validation", "pairs", "adapter", "record", "base"):
        (tmp_path / "no" / name).mkdir(parents=True)
    seen = []
    in_process("evaluate", lambda paths, params, scratch: seen.append((paths, params, scratch)) or "12 items")
    out, err = capsys.readouterr()
    assert re.fullmatch(r"evaluate: 12 items \(\d+ s\)\n", out)
    assert err == ""
    ((paths, params, scratch),) = seen
    assert paths.items == Path("no/items")
    assert params.adapters["lora"].r
    assert scratch == Path(".work")


@every_script
def test_a_script_is_short_and_has_a_docstring(script):
    text = (STAGES / f"{script}.py").read_text()
    assert len(text.splitlines()) <= 60
    assert ast.get_docstring(ast.parse(text))


@every_script
def test_a_script_imports_at_its_top_only_the_standard_library_and_the_stage_module(script):
    for node in ast.parse((STAGES / f"{script}.py").read_text()).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names | {"_stage"}


@every_script
def test_a_script_does_not_hide_a_standard_module(script):
    # Python puts the script's folder first on the path: stages/select.py would break `import subprocess`
    assert script not in sys.stdlib_module_names


# A stage that is at work inside an atomic file, an atomic directory and its scratch until it is stopped.
SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background may ignore it
sys.path.insert(0, {stages!r})
from _stage import run

def main(paths, params, scratch):
    from tuner import io
    with io.scratch(scratch, "slow", "key") as work, io.atomic(paths.folder) as folder, io.atomic(paths.file) as file:
        (work / "part").write_text("kept")
        folder.mkdir()
        (folder / "half").write_text("half")
        file.write_text("half")
        print("at work", flush=True)
        {action}
    return "done"

run(main, "about", reads=[], writes=["folder", "file"])
"""


def slow(folder: Path, action: str, **environment: str) -> subprocess.Popen:
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "slow.py").write_text(SLOW.format(stages=str(STAGES), action=action))
    command = [sys.executable, "slow.py", "--folder", "out/folder", "--file", "out/file"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, env=os.environ | environment, **pipes, text=True)


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "slow: interrupted; run it again\n"), (signal.SIGTERM, 143, "")],
)
def test_a_stopped_stage_leaves_no_output_and_keeps_its_scratch(tmp_path, number, code, said):
    process = slow(tmp_path, "time.sleep(60)")
    assert process.stdout.readline() == "at work\n"
    started = time.monotonic()
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - started < 20
    assert (process.returncode, out, err) == (code, "", said)
    assert files(tmp_path / "out") == []
    assert files(tmp_path / ".work") == ["slow", "slow/key", "slow/key/part", "slow/lock"]


def test_a_stage_that_is_not_stopped_writes_its_outputs(tmp_path):
    out, err = slow(tmp_path, "pass").communicate(timeout=30)
    assert re.fullmatch(r"at work\nslow: done \(\d+ s\)\n", out)
    assert err == ""
    assert files(tmp_path / "out") == ["file", "folder", "folder/half"]


def test_a_mistake_of_the_user_is_one_line_and_leaves_no_output(tmp_path):
    process = slow(tmp_path, "from tuner.errors import UserError; raise UserError('no such thing; make one')")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (1, "at work\n", "slow: no such thing; make one\n")
    assert files(tmp_path / "out") == []


def test_a_defect_keeps_its_traceback_and_leaves_no_output(tmp_path):
    process = slow(tmp_path, "1 / 0")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err.startswith("Traceback")
    assert files(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("given", "spins"), [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "passive"}, "0")]
)
def test_waiting_threads_leave_their_core_to_others_soon(monkeypatch, tmp_path, given, spins):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    _, err = slow(tmp_path, "import torch", OMP_DISPLAY_ENV="verbose", **given).communicate(timeout=60)
    if "OPENMP DISPLAY ENVIRONMENT" not in err:
        pytest.skip("this torch uses another OpenMP than GNU's")
    assert set(re.findall(r"GOMP_SPINCOUNT = '(\d+)'", err)) == {spins}


@pytest.mark.parametrize("given", [None, "root"])
def test_scratch_is_in_the_repository_that_dvc_names(monkeypatch, tmp_path, given):
    monkeypatch.syspath_prepend(STAGES)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    if given:
        monkeypatch.setenv("DVC_ROOT", str(tmp_path / given))
    import _stage

    assert _stage.scratch_root() == (tmp_path / "root" / ".work" if given else Path(".work"))
