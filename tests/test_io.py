"""Files: nothing half-written carries an output's name, and a broken file says where it is broken."""

import math
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from closure import ROOT

from tuner import io
from tuner.errors import UserError


def tree(folder: Path) -> dict[str, str | None]:
    """Return every path below a folder with its text (None: a directory)."""
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_text()
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(params=[0o022, 0o027, 0o002])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_an_atomic_file_appears_when_the_block_ends_and_not_before(tmp_path):
    with io.atomic(tmp_path / "new" / "folder" / "a.txt") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "new" / "folder" / "a.txt").exists()
    assert tree(tmp_path) == {"new": None, "new/folder": None, "new/folder/a.txt": "new"}


def test_an_atomic_file_keeps_its_old_text_when_the_block_raises(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(ZeroDivisionError), io.atomic(file) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert tree(tmp_path) == {"a.txt": "old"}


def test_an_atomic_file_is_replaced(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")
    with io.atomic(file) as temporary:
        temporary.write_text("new")
        assert file.read_text() == "old"
    assert tree(tmp_path) == {"a.txt": "new"}


def test_an_atomic_directory_keeps_its_old_files_when_the_block_raises(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").write_text("old")
    with pytest.raises(KeyboardInterrupt), io.atomic(folder) as temporary:
        temporary.mkdir()
        (temporary / "half").write_text("half")
        raise KeyboardInterrupt
    assert tree(tmp_path) == {"model": None, "model/old": "old"}


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path):
    (tmp_path / ".model.abc123").mkdir()
    (tmp_path / ".model.abc123" / "half").touch()
    (tmp_path / ".gitignore").touch()
    (tmp_path / ".model2.abc123").mkdir()
    with io.atomic(tmp_path / "model") as temporary:
        temporary.touch()
    assert set(os.listdir(tmp_path)) == {"model", ".gitignore", ".model2.abc123"}


def test_an_atomic_directory_is_replaced_whole(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").write_text("old")
    with io.atomic(folder) as temporary:
        temporary.mkdir()
        (temporary / "new").write_text("new")
        assert (folder / "old").exists()
    assert tree(tmp_path) == {"model": None, "model/new": "new"}


def test_a_block_that_writes_nothing_is_an_error_and_costs_nothing(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").write_text("old")
    with pytest.raises(FileNotFoundError), io.atomic(folder):
        pass
    assert tree(tmp_path) == {"model": None, "model/old": "old"}


@pytest.mark.parametrize("old", ["file", "directory", "link to a directory", "link to a file", "link to nothing"])
@pytest.mark.parametrize("new", ["file", "directory"])
def test_an_output_of_any_kind_is_replaced_and_what_a_link_leads_to_is_left(tmp_path, old, new):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    real = elsewhere if old.startswith("link") else out
    if old.endswith("directory"):
        real.mkdir()
        (real / "old").touch()
    elif old.endswith("file"):
        real.touch()
    if old.startswith("link"):
        out.symlink_to(elsewhere)
    before = {} if real is out else tree(elsewhere)
    with io.atomic(out) as temporary:
        if new == "directory":
            temporary.mkdir()
            (temporary / "new").touch()
        else:
            temporary.touch()
    assert not out.is_symlink()
    assert tree(out) == ({"new": ""} if new == "directory" else {})
    assert out.is_dir() == (new == "directory")
    assert before == ({} if real is out else tree(elsewhere))
    assert set(os.listdir(tmp_path)) <= {"out", "elsewhere"}


def test_the_temporary_path_has_the_name_and_file_system_of_the_output(tmp_path):
    # libraries look at a name's ending, and a rename is atomic on one file system only
    with io.atomic(tmp_path / "figure.svg") as temporary:
        assert temporary.name == "figure.svg"
        assert tmp_path in temporary.parents
        temporary.touch()


def test_outputs_have_the_permissions_of_any_new_file(tmp_path, umask):
    io.write_json(tmp_path / "deep" / "a.json", {})
    with io.atomic(tmp_path / "model") as temporary:
        temporary.mkdir()
        (temporary / "weights").touch(mode=0o600)  # as safetensors makes it
    interrupted(tmp_path / "work", "stage", "key")
    modes = {path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    directories = {name for name in modes if (tmp_path / name).is_dir()}
    assert directories == {"deep", "model", "work", "work/stage", "work/stage/key"}
    assert modes == {name: (0o777 if name in directories else 0o666) & ~umask for name in modes}


def test_jsonl_round_trip_keeps_order_text_and_types(tmp_path):
    rows = [{"b": 1, "a": 'é\u2028\x85\r\n\t"\\ 日本'}, {"x": [1.5, None, True, {"y": ""}]}, {}]
    io.write_jsonl(tmp_path / "a.jsonl", iter(rows))
    found = io.read_jsonl(tmp_path / "a.jsonl")
    assert found == rows
    assert list(found[0]) == ["b", "a"]


def test_an_empty_jsonl_has_no_rows(tmp_path):
    io.write_jsonl(tmp_path / "a.jsonl", [])
    assert io.read_jsonl(tmp_path / "a.jsonl") == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("{oops}", "not JSON"),
        ('{"a": 1', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("", "not JSON"),
        ("[1]", "object, found list"),
        ("3", "found int"),
    ],
)
def test_a_broken_line_is_named_by_file_and_number(tmp_path, broken, said):
    file = tmp_path / "a.jsonl"
    file.write_text(f'{{"a": 1}}\n{{"a": 2}}\n{broken}\n{{"a": 3}}\n')
    with pytest.raises(UserError) as caught:
        io.read_jsonl(file)
    assert str(caught.value).startswith(f"{file}:3: ")
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_line_that_is_not_utf8_is_named_by_file_and_number(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n{"a": "\xff"}\n')
    with pytest.raises(UserError, match=r"a\.jsonl:2: not JSON"):
        io.read_jsonl(tmp_path / "a.jsonl")


def test_a_failing_source_of_rows_leaves_the_old_file(tmp_path):
    def rows():
        yield {"a": 1}
        raise RuntimeError

    io.write_jsonl(tmp_path / "a.jsonl", [{"old": 1}])
    with pytest.raises(RuntimeError):
        io.write_jsonl(tmp_path / "a.jsonl", rows())
    assert io.read_jsonl(tmp_path / "a.jsonl") == [{"old": 1}]
    assert os.listdir(tmp_path) == ["a.jsonl"]


def test_json_round_trip(tmp_path):
    io.write_json(tmp_path / "a.json", {"b": 1, "a": {"é": [0.1, None]}})
    assert io.read_json(tmp_path / "a.json") == {"b": 1, "a": {"é": [0.1, None]}}
    assert (tmp_path / "a.json").read_text().endswith("}\n")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_with_nan_or_infinity_is_refused_and_the_old_file_stays(tmp_path, value):
    io.write_json(tmp_path / "a.json", {"loss": 1.0})
    with pytest.raises(ValueError, match="JSON"):
        io.write_json(tmp_path / "a.json", {"metrics": [{"loss": value}]})
    assert io.read_json(tmp_path / "a.json") == {"loss": 1.0}
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("broken", [b"", b'{"a": ', b"\xff\xfe"])
def test_a_broken_json_file_is_named(tmp_path, broken):
    (tmp_path / "a.json").write_bytes(broken)
    with pytest.raises(UserError, match="a.json: not JSON"):
        io.read_json(tmp_path / "a.json")


def test_csv_round_trip_with_blanks(tmp_path):
    rows = [
        {"step": 1.0, "loss": 2.5},
        {"step": 2.0, "accuracy": 0.1 + 0.2},
        {"step": 3.0, "loss": 1e-12, "accuracy": -0.0},
    ]
    io.write_csv(tmp_path / "a.csv", rows)
    assert io.read_csv(tmp_path / "a.csv") == rows
    assert (tmp_path / "a.csv").read_bytes().splitlines()[:2] == [b"step,loss,accuracy", b"1.0,2.5,"]
    assert b"\r" not in (tmp_path / "a.csv").read_bytes()


def test_a_csv_without_rows_is_read_as_none(tmp_path):
    io.write_csv(tmp_path / "a.csv", [])
    assert io.read_csv(tmp_path / "a.csv") == []


def test_a_fingerprint_changes_with_values_their_place_and_their_type():
    objects = [{"a": 1, "b": 2}, {"a": 1, "b": 3}, {"a": 1}, {"a": "1"}, {"a": True}, {"a": None}]
    texts = [("a",), ("a", "b"), ("b", "a"), ("ab",), ("a", "b", ""), (["a", "b"],)]
    parts = [*((one,) for one in objects), *texts, (12,), (1, 2), ()]
    assert len({io.fingerprint(*one) for one in parts}) == len(parts)
    assert all(len(io.fingerprint(*one)) == 16 for one in parts)


def test_a_fingerprint_does_not_change_with_the_order_of_keys():
    assert io.fingerprint({"a": 1, "b": {"c": 1, "d": 2}}) == io.fingerprint({"b": {"d": 2, "c": 1}, "a": 1})


def test_a_fingerprint_is_the_same_in_every_process(tmp_path):
    (tmp_path / "file").write_text("x")
    code = """
import pathlib, sys
from tuner import io
print(io.fingerprint({"b": 1, "a": "é"}, pathlib.Path(sys.argv[1])))
"""
    command, environment = [sys.executable, "-c", code, tmp_path], os.environ | {"PYTHONHASHSEED": "7"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == io.fingerprint({"a": "é", "b": 1}, tmp_path)


def test_a_fingerprint_of_a_file_is_of_its_contents_not_its_name_or_age(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("one")
    b.write_text("one")
    os.utime(b, (0, 0))
    assert io.fingerprint(a) == io.fingerprint(b)
    b.write_text("two")
    assert io.fingerprint(a) != io.fingerprint(b)
    assert io.fingerprint(a) != io.fingerprint(str(a))


def test_a_fingerprint_of_a_directory_sees_text_names_and_depth(tmp_path):
    found = []
    for name, text in [("a", "1"), ("a", "2"), ("b", "2"), ("sub/b", "2")]:
        folder = tmp_path / str(len(found))
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
        found.append(io.fingerprint(folder))
    (tmp_path / "3" / "more").write_text("")
    found.append(io.fingerprint(tmp_path / "3"))
    assert len(set(found)) == 5


def test_a_fingerprint_of_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        io.fingerprint(tmp_path / "missing")


def interrupted(root, name, key):
    """Leave scratch with a file in it, as a stage that was killed does."""
    with pytest.raises(KeyboardInterrupt), io.scratch(root, name, key) as folder:
        (folder / "rows").write_text("work")
        raise KeyboardInterrupt


def test_interrupted_work_is_kept_for_the_same_key_and_removed_for_another(tmp_path):
    interrupted(tmp_path, "generate", "one")
    with pytest.raises(KeyboardInterrupt), io.scratch(tmp_path, "generate", "one") as folder:
        assert (folder / "rows").read_text() == "work"
        raise KeyboardInterrupt
    with io.scratch(tmp_path, "generate", "two") as folder:
        assert list(folder.iterdir()) == []
    assert not (tmp_path / "generate" / "one").exists()


def test_finished_work_is_removed_so_that_a_forced_run_runs(tmp_path):
    interrupted(tmp_path, "generate", "one")
    with io.scratch(tmp_path, "generate", "one"):
        pass
    with io.scratch(tmp_path, "generate", "one") as folder:
        assert list(folder.iterdir()) == []


def test_scratch_that_is_to_be_kept_is_there_the_next_time(tmp_path):
    with io.scratch(tmp_path, "generate", "one", keep=True) as folder:
        (folder / "chunk").touch()
    with io.scratch(tmp_path, "generate", "one", keep=True) as folder:
        assert (folder / "chunk").exists()
    with io.scratch(tmp_path, "generate", "two", keep=True) as folder:
        assert list(folder.iterdir()) == []
    assert not (tmp_path / "generate/one").exists()


def test_rows_are_read_one_at_a_time(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"id": 1}\n{"id": 2}\nnot JSON\n')
    rows = io.each_jsonl(file)
    assert [next(rows), next(rows)] == [{"id": 1}, {"id": 2}]
    with pytest.raises(UserError, match="rows.jsonl:3: not JSON"):
        next(rows)


def test_a_writer_shows_what_it_wrote_and_leaves_nothing_when_its_block_fails(tmp_path):
    file = tmp_path / "rows.jsonl"
    with pytest.raises(KeyboardInterrupt), io.jsonl_writer(file) as write:
        write({"id": 1})
        assert list(write.written()) == [{"id": 1}]
        write({"id": 2, "text": "caf\u00e9"})
        assert len(list(write.written())) == 2
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with io.jsonl_writer(file) as write:
        write({"id": 1})
        assert not file.exists()
    assert io.read_jsonl(file) == [{"id": 1}]


def test_scratch_of_another_stage_is_left_alone(tmp_path):
    interrupted(tmp_path, "generate", "one")
    with io.scratch(tmp_path, "candidates", "two"):
        pass
    assert (tmp_path / "generate" / "one" / "rows").exists()


def test_a_second_process_is_refused_while_scratch_is_locked_and_deletes_nothing(tmp_path):
    code = """
import sys
from tuner import io
from tuner.errors import UserError
try:
    with io.scratch(sys.argv[1], "generate", sys.argv[2]):
        print("entered")
except UserError as error:
    print(error)
"""

    def second(key: str) -> str:
        command = [sys.executable, "-c", code, tmp_path, key]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    with io.scratch(tmp_path, "generate", "one") as folder:
        (folder / "rows").write_text("work")
        refused = [second("one"), second("two")]
        message = f"{tmp_path / 'generate'}: another run of this stage is still at work; wait for it or kill it"
        assert refused == [message, message]
        assert (folder / "rows").read_text() == "work"
    assert second("one") == "entered"


def test_the_lock_ends_with_the_process_that_held_it(tmp_path):
    code = """
import os, signal, sys
from tuner import io
with io.scratch(sys.argv[1], "generate", "one"):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT)
    assert done.returncode == -9
    with io.scratch(tmp_path, "generate", "one"):
        pass
