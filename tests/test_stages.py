"""What all stage scripts have in common: light to start, one line for a mistake, nothing left by an interrupt."""

import ast
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from closure import ROOT
from scripts import SCRIPTS, declared

from tuner import metrics

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
    for name in ("TOKENIZERS_PARALLELISM", "TRANSFORMERS_VERBOSITY", "HF_HUB_DISABLE_TELEMETRY"):
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
    for name in ("model", "validation", "pairs", "adapter", "record", "base"):
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


def main_of(script: str, monkeypatch):
    """Return the `main` of a script, to be called here."""
    monkeypatch.syspath_prepend(STAGES)
    return runpy.run_path(str(STAGES / f"{script}.py"))["main"]


def shipped(**changes):
    """Return params.yaml with some of its sections' values changed."""
    from tuner import params

    found = params.load(ROOT / "params.yaml")
    sections = {name: getattr(found, name).model_copy(update=new) for name, new in changes.items()}
    return found.model_copy(update=sections)


def put(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_candidates_are_sampled_under_the_prompt_for_answers_and_rows_hold_the_plain_one(
    tiny, tokenizer, loaded, runtime, monkeypatch, tmp_path
):
    from tuner import engine, io, template
    from tuner.params import Sampling

    sampling = Sampling(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=6)
    rows = [{"id": n, "prompt": [{"role": "user", "content": text}]} for n, text in enumerate(("read", "cook", "run"))]
    paths = SimpleNamespace(
        model=tiny,
        train=put(tmp_path / "train", rows[:2]),
        validation=put(tmp_path / "validation", rows[2:]),
        candidates=tmp_path / "candidates",
    )
    keys, scratch = [], io.scratch
    monkeypatch.setattr(io, "scratch", lambda root, name, key: keys.append(key) or scratch(root, name, key))
    main, found = main_of("candidates", monkeypatch), {}
    for system in ("You are a helpful garden model", "short", None):
        values = shipped(
            candidates={"prompts": 9, "per_prompt": 2, "engine": "transformers", "sampling": sampling},
            reward={"prompts": 1},
            generate={"response_system": system},
        ).model_copy(update={"runtime": runtime})
        main(paths, values, tmp_path / "work")
        found[system] = read(paths.candidates)
    sampler = engine.TransformersEngine(loaded, tokenizer, 8)
    for system, made in found.items():
        assert [(row["id"], row["split"]) for row in made] == [(1, "train"), (2, "validation")]
        for row in made:
            assert row["prompt"] == rows[row["id"]]["prompt"]
            before = [{"role": "system", "content": system}] if system else []
            ids = template.prompt_ids(tokenizer, [*before, *row["prompt"]])
            again = sampler.sample([ids] * 2, [answer["seed"] for answer in row["answers"]], [sampling] * 2)
            assert [tokenizer.decode(one.ids).strip() for one in again] == [one["text"] for one in row["answers"]]
    texts = {json.dumps([row["answers"] for row in made]) for made in found.values()}
    assert len(texts) == len(set(keys)) == 3


def test_no_validation_row_gets_from_a_request_into_the_training_rows(monkeypatch, tmp_path):
    from tuner import engine, generate

    texts = ("How do bees make honey?", "Why is the sky blue?", "How do I learn the guitar?", "What is a river?")
    kept = [{"id": n, "instruction": text, "response": "It is so. It was so."} for n, text in enumerate(texts)]
    plain = [
        {
            "id": row["id"],
            "prompt": [{"role": "user", "content": row["instruction"]}],
            "completion": [{"role": "assistant", "content": row["response"]}],
        }
        for row in kept
    ]

    def answered(sampler, prompts, sampling, **_):
        good, bad = (
            {"text": text, "finish": "stop", "seed": 1} for text in ("it is so because of many small things.", "Large.")
        )
        return [{**row, "answers": [good, bad]} for row in prompts]

    monkeypatch.setattr(generate, "answers", answered)
    monkeypatch.setattr(engine, "choose", lambda *_: "transformers")
    monkeypatch.setattr(engine, "load", lambda *_: None)
    (tmp_path / "model").mkdir()
    paths = SimpleNamespace(
        model=tmp_path / "model",
        kept=put(tmp_path / "kept", kept),
        train=put(tmp_path / "train", plain[:2]),
        validation=put(tmp_path / "validation", plain[2:]),
        **{name: tmp_path / name for name in ("sft_train", "sft_validation", "judged")},
    )
    values = shipped(verify={"requests": 2, "families": ["lowercase", "no_digits"]})
    main_of("verify", monkeypatch)(paths, values, tmp_path / "work")
    judged, learned = read(paths.judged), read(paths.sft_train)
    assert {row["split"] for row in judged if row["origin"] == "edited"} <= set(SPLITS)
    assert not any("draft" in row for row in learned)
    judged = [row for row in judged if row["origin"] == "sampled"]
    assert {(row["split"], row["source"] in (2, 3)) for row in judged} == {("train", False), ("validation", True)}
    assert sum(row["split"] == "validation" for row in judged) == 2
    assert any(answer["passed"] for row in judged if row["split"] == "validation" for answer in row["answers"])
    held_out = read(paths.sft_validation)
    assert held_out[:2] == plain[2:]
    assert {row["source"] for row in held_out[2:]} <= {2, 3} and held_out[2:]
    assert learned[:2] == plain[:2]
    assert "sampled" in {row["origin"] for row in learned[2:]}
    assert {row["source"] for row in learned[2:]} <= {0, 1}
    prompts = {split: {row["prompt"][0]["content"] for row in judged if row["split"] == split} for split in SPLITS}
    assert not prompts["validation"] & (prompts["train"] | {row["prompt"][0]["content"] for row in learned})


def preferred(monkeypatch, tmp_path, scored: list[dict], judged: list[dict], **prefer):
    paths = SimpleNamespace(
        scored=put(tmp_path / "scored", scored),
        judged=put(tmp_path / "judged", judged),
        **{name: tmp_path / f"{name}.out" for name in (*SPLITS, "metrics")},
    )
    said = main_of("prefer", monkeypatch)(paths, shipped(prefer=prefer), tmp_path)
    pairs = {split: read(getattr(paths, split)) for split in SPLITS}
    return said, pairs, json.loads(paths.metrics.read_text())


def prompt_of(name: str, split: str, *answers: dict) -> dict:
    return {"id": name, "split": split, "prompt": [{"role": "user", "content": name}], "answers": list(answers)}


def test_prefer_writes_the_pairs_of_its_policy_by_split(monkeypatch, tmp_path):
    good, bad = ({"text": text, "finish": "stop", "reward": reward} for text, reward in (("good", 2.0), ("bad", 0.0)))
    met, not_met = good | {"met": [True], "passed": True}, bad | {"met": [False], "passed": False}
    scored = [prompt_of(f"scored {split}", split, good, bad) for split in (*SPLITS, "train")]
    judged = [prompt_of(f"judged {split}", split, met, not_met) for split in SPLITS]
    said, pairs, counts = preferred(monkeypatch, tmp_path, scored, judged, verified_pairs=0)
    assert said == "max_min, 3 prompts, 2 train and 1 validation pairs"
    assert {split: [row["id"] for row in rows] for split, rows in pairs.items()} == {
        "train": ["scored train"] * 2,
        "validation": ["scored validation"],
    }
    assert (counts["in"], counts["train"], counts["validation"], counts["mean_margin"]) == (3, 2, 1, 2.0)
    said, pairs, counts = preferred(monkeypatch, tmp_path, scored, judged, policy="verified")
    assert said == "verified, 2 prompts, 1 train and 1 validation pairs"
    assert [rows[0]["id"] for rows in pairs.values()] == ["judged train", "judged validation"]
    said, pairs, counts = preferred(monkeypatch, tmp_path, scored, judged, verified_pairs=5)
    assert said == "max_min, 3 prompts, 3 train and 2 validation pairs, 2 of them verified"
    assert [row["id"] for row in pairs["validation"]] == ["scored validation", "judged validation"]
    assert all(type(value) in (int, float) for value in counts.values())


def test_prefer_says_what_it_dropped_where_a_split_has_no_pair(monkeypatch, tmp_path):
    from tuner.errors import UserError

    cut = {"text": "cut", "finish": "length", "reward": 0.0}
    with pytest.raises(UserError, match=r"no train pairs from 2 prompts \(dropped: no_finished_answer 2\)"):
        preferred(monkeypatch, tmp_path, [prompt_of(split, split, cut) for split in SPLITS], [])
    assert not list(tmp_path.glob("*.out"))


def evaluated(gain: float) -> list[dict]:
    """Return rows as the evaluation writes them; `gain` nats a token saved on the loss."""
    words = {
        "messages": [{"role": "user", "content": "Who?"}],
        "reference": {},
        "reply": "|```<b>",
        "valid_format": True,
    }
    axes = [("instruction_following", "title"), *(("agent", axis) for axis in metrics.AGENT_AXES)]
    rows = [{"id": f"loss-{n}", "suite": "loss", "axis": "loss", "nll": 9.0 + n - gain, "tokens": 9} for n in range(6)]
    rows += [{"id": f"knowledge-{n}", "suite": "knowledge", "axis": "units", "correct": n < 3} for n in range(6)]
    rows += [
        {"id": f"{axis}-{n}", "suite": suite, "axis": axis, "correct": n < 2, **words}
        for suite, axis in axes
        for n in range(4)
    ]
    logps = {"logp_chosen": gain - 3.0, "logp_rejected": -2.0}
    return [*rows, {"id": "preference-1", "suite": "preference", "axis": "preference", **logps}]


def trained(method: str) -> dict:
    numbers = {"rows": 340, "train_seconds": 150.0, "tokens_per_second": 80.0, "peak_memory_megabytes": 900}
    numbers |= {"trainable_parameters": 1000, "total_parameters": 101_000, "adapter_megabytes": 0.5}
    machine = {"device": "cpu", "device_name": "A processor", "threads": 2, "dtype": "float32"}
    return {"run_info": {"method": method}, "train_info": numbers, "meta_info": machine}


def comparing(monkeypatch, tmp_path: Path, **compare) -> SimpleNamespace:
    """Run the compare stage on made evaluations, without its figures; return its paths."""
    from tuner import figures

    names = declared("compare")
    paths = SimpleNamespace(**{name: tmp_path / name for name in (*names["reads"], *names["writes"])})
    values = shipped(compare=compare)
    folders = (paths.items, paths.records, paths.curves, paths.validation_curves)
    for folder in folders:
        folder.mkdir(exist_ok=True)
    for number, method in enumerate(["base", *values.methods, "dpo"]):
        put(paths.items / f"{method}.jsonl", evaluated(0.1 * number))
        if method == "base":
            continue
        record = trained(method)
        if method == "dpo":
            record["run_info"]["start"] = values.dpo.adapter
            record["train_info"] |= {"rows": 18, "train_seconds_with_start": 300.0}
        (paths.records / f"{method}.json").write_text(json.dumps(record))
        for folder in folders[2:]:
            (folder / f"{method}.csv").write_text("step,loss\n1,2.0\n")
    paths.filter.write_text(json.dumps({"in": 250, "kept": 100, "train": 85, "validation": 4}))
    paths.verified.write_text(json.dumps({"rows": 255}))
    monkeypatch.setattr(figures, "write_all", lambda folder, *_: folder.mkdir())
    main_of("compare", monkeypatch)(paths, values, tmp_path)
    return paths


def test_compare_writes_what_it_declares_and_tells_people_in_their_language(monkeypatch, tmp_path):
    from tuner.report_phrases import PHRASES

    pages = {}
    for language, words in PHRASES.items():
        paths = comparing(monkeypatch, tmp_path, language=language, price_per_hour=12.0)
        assert all(getattr(paths, name).exists() for name in declared("compare")["writes"])
        pages[language] = paths.report.read_text(encoding="utf-8")
        assert pages[language].startswith(f"# {words['title']}\n")
        assert paths.samples.read_text(encoding="utf-8").startswith(f"# {words['samples_title']}\n")
    model = shipped().student
    for part in (f"`{model}`", "100,000", "250", "255", "18", "300", "1.00"):  # 300 s at 12 an hour are 1.00
        assert all(part in page for page in pages.values()), part
    assert json.loads(paths.runs.read_text())["dpo"]["train_info"]["price"] == 0.5


def test_compare_writes_the_same_bytes_again(monkeypatch, tmp_path):
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        paths = comparing(monkeypatch, tmp_path / name)
        found.append([path.read_bytes() for path in (paths.report, paths.samples, paths.comparison)])
    assert found[0] == found[1]


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


def slow(folder: Path, action: str) -> subprocess.Popen:
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "slow.py").write_text(SLOW.format(stages=str(STAGES), action=action))
    command = [sys.executable, "slow.py", "--folder", "out/folder", "--file", "out/file"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


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


@pytest.mark.parametrize("given", [None, "root"])
def test_scratch_is_in_the_repository_that_dvc_names(monkeypatch, tmp_path, given):
    monkeypatch.syspath_prepend(STAGES)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    if given:
        monkeypatch.setenv("DVC_ROOT", str(tmp_path / given))
    import _stage

    assert _stage.scratch_root() == (tmp_path / "root" / ".work" if given else Path(".work"))
