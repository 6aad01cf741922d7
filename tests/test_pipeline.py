"""The whole graph by the real dvc, in a clone, on a tiny model: what a user does, and what must run again."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tuner import base, constraints

ROOT = Path(__file__).resolve().parent.parent
DVC = [sys.executable, "-m", "dvc"]
ROWS = 36  # that pass the filters
METHODS = ("base", "lora", "ia3", "prompt_tuning", "dpo")
STAGES = [
    "base@tiny",
    "tasks",
    "generate",
    "filter",
    "verify",
    "describe",
    "reward",
    "candidates",
    "score",
    "prefer",
    "train@lora",
    "train@ia3",
    "train@prompt_tuning",
    "dpo",
    "evaluate_base",
    "evaluate@lora",
    "evaluate@ia3",
    "evaluate@prompt_tuning",
    "evaluate_dpo",
    "compare",
    "select",
]


def run(cwd, *command, fails=False):
    """Run a command as a user would and return all it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env=os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
    )
    output = done.stdout + done.stderr
    assert (done.returncode != 0) == fails, output[-5000:]
    return output


def ran(output):
    return re.findall(r"^Running stage '(.+)':", output, re.M)


def tiny_params(model: Path) -> dict:
    """Return the shipped params with what a tiny model of random words needs."""
    yaml = YAML()
    values = yaml.load(ROOT / "params.yaml")
    sampling = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0, "max_new_tokens": 60}
    source = {"source": "directory", "path": str(model), "sha256": base.weights_sha256(model), "license": "mit"}
    values |= {"models": {"tiny": source}, "generator": "tiny", "student": "tiny"}
    garden = {"weight": 1, "system": "You are a helpful garden model"}
    domains = {"any": {"weight": 2, "system": None}, "garden": garden}
    values["generate"] |= {"rows": ROWS, "max_rows": 4000, "domains": domains}
    cells = [sampling, sampling | {"temperature": 0.9}]
    values["generate"] |= {"instruction": cells, "response": sampling, "response_system": None}
    values["filter"] |= {
        "language": None,
        "max_repeated_ngram_share": 1.0,
        "max_duplicate_sentence_share": 1.0,
        "max_echo": 1.0,
        "validation_share": 0.25,
    }
    values["verify"] |= {"requests": 8, "per_request": 2, "sampling": sampling}
    values["reward"] |= {"prompts": 12, "hot_sampling": sampling | {"temperature": 2.0}}
    values["candidates"] |= {"prompts": 12, "per_prompt": 3, "sampling": sampling}
    values["prefer"] |= {"min_margin": 0.0}
    values["train"] |= {"evaluate_every": 4}
    values["evaluate"] |= {"instruction_following": 4, "knowledge": 8, "agent_per_axis": 1}
    values["compare"] |= {"resamples": 200}
    return values


@pytest.fixture(scope="module")
def project(raw_tiny, tmp_path_factory):
    """A clone of this repository with the tiny model's params, run once and committed."""
    folder = tmp_path_factory.mktemp("project") / "clone"
    folder.mkdir()
    for name in run(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if not name.startswith((".dvc/", "metrics/", "plots/")) and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    YAML().dump(tiny_params(raw_tiny), folder / "params.yaml")
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "config", "user.email", "test@example.org")
    run(folder, "git", "config", "user.name", "Test")
    run(folder, *DVC, "init", "--quiet")
    output = run(folder, *DVC, "repro")
    assert sorted(ran(output)) == sorted(STAGES)
    for stage in {name.split("@")[0].split("_")[0] for name in STAGES} - {"select"}:
        assert re.search(rf"^{stage}: .+ \(\d+ s\)$", output, re.M), f"{stage} has no summary line"
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "run")
    return folder


def show(project, *arguments):
    return json.loads(run(project, *DVC, *arguments, "--json").splitlines()[-1])


def test_only_small_results_are_in_git(project):
    tracked = run(project, "git", "ls-files", "data", "models", "metrics", "plots").split()
    assert [name for name in tracked if name.startswith(("data", "models"))] == ["data/.gitignore", "models/.gitignore"]
    assert {"metrics/comparison.json", "metrics/dpo.json", "plots/train/lora.csv"} <= set(tracked)
    assert run(project, "git", "status", "--porcelain") == ""


def test_nothing_is_lost_on_the_way(project):
    def rows(name):
        return [json.loads(line) for line in (project / "data" / name).read_text().splitlines()]

    counts = json.loads((project / "metrics/filter.json").read_text())
    kept, dropped = rows("filtered/kept.jsonl"), rows("filtered/dropped.jsonl")
    assert counts["in"] == len(rows("raw.jsonl"))
    assert (counts["kept"], counts["dropped"]) == (len(kept), len(dropped))
    assert len(kept) == ROWS and kept[-1]["id"] == rows("raw.jsonl")[-1]["id"]  # exactly the quota
    assert all(row["reason"] for row in dropped)
    train, validation = rows("filtered/train.jsonl"), rows("filtered/validation.jsonl")
    assert len(train) + len(validation) == len(kept)
    for split, plain in (("train", train), ("validation", validation)):
        learned, sources = rows(f"sft/{split}.jsonl"), {row["id"] for row in plain}
        assert learned[: len(plain)] == [row | {"id": str(row["id"])} for row in plain]  # text, as the others' ids
        for row in learned[len(plain) :]:
            assert row["source"] in sources
            asked, said = row["prompt"][0]["content"], row["completion"][0]["content"]
            assert all(
                constraints.describe(one) in asked and constraints.check(one, said) for one in row["constraints"]
            )
    seen = [{row["prompt"][0]["content"] for row in side} for side in (train, validation)]
    assert not seen[0] & seen[1]
    trained_on = {row["prompt"][0]["content"] for row in rows("sft/train.jsonl")}
    for split, prompts in zip(("train", "validation"), seen, strict=True):
        pairs = rows(f"preference/{split}.jsonl")
        judged = {row["prompt"][0]["content"] for row in rows("verified.jsonl") if row["split"] == split}
        asked = {row["prompt"][0]["content"] for row in pairs}
        assert asked & prompts and asked <= prompts | judged
        # Random words can be edited in no way, so that few requests have an answer that passed and one that did not.
        assert asked & judged if split == "train" else not asked & trained_on
        assert all(row["reward_chosen"] > row["reward_rejected"] for row in pairs)


def test_the_reports_tell_of_this_data(project):
    counts = json.loads((project / "metrics/filter.json").read_text())
    attrition = json.loads((project / "metrics/attrition.json").read_text())
    assert (attrition["rows"], attrition["kept"]) == (counts["in"], counts["kept"])
    for name, found in attrition["filters"].items():
        assert found["in_sequence"] == counts[f"dropped_{name}"]
    diversity = json.loads((project / "metrics/diversity.json").read_text())
    assert sum(found["rows"] for found in diversity["domain"].values()) == counts["in"]
    assert set(diversity["domain"]) == {"any", "garden"} and len(diversity["cell"]) == 2
    card = (project / "data/sft/README.md").read_text()
    assert "license: mit" in card and f"{counts['in']:,}" in card
    from datasets import load_dataset

    loaded = load_dataset(str(project / "data/sft"), cache_dir=str(project / ".work/datasets"))
    assert len(loaded["train"]) == len((project / "data/sft/train.jsonl").read_text().splitlines())
    assert {"prompt", "completion"} <= set(loaded["validation"].column_names)


def test_a_killed_generation_goes_on_to_the_same_bytes(project, tmp_path):
    """SIGKILL at random points; DVC removes the output before it starts the stage again, and so does this."""
    shutil.rmtree(project / ".work/generate")
    command = [sys.executable, "stages/generate.py", "--model", "models/tiny", "--tasks", "data/tasks"]
    command += ["--raw", tmp_path / "raw.jsonl"]
    chances, killed = random.Random(0), 0
    while not (tmp_path / "raw.jsonl").exists():
        process = subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE)
        before = len(list((project / ".work/generate").glob("*/*.jsonl")))
        while process.poll() is None and len(list((project / ".work/generate").glob("*/*.jsonl"))) == before:
            time.sleep(0.01)
        time.sleep(chances.uniform(0, 0.05))
        process.kill()
        killed += process.wait() == -signal.SIGKILL and not (tmp_path / "raw.jsonl").exists()
        process.stderr.close()
    assert killed >= 2
    assert (tmp_path / "raw.jsonl").read_bytes() == (project / "data/raw.jsonl").read_bytes()


@pytest.mark.parametrize("method", ["lora", "prompt_tuning"])
def test_a_killed_training_goes_on_to_the_same_adapter(project, tmp_path, method):
    outputs = {name: tmp_path / name for name in ("adapter", "record", "curve", "validation_curve")}
    command = [sys.executable, "stages/train.py", "--method", method, "--model", "models/tiny"]
    command += ["--train", "data/sft/train.jsonl", "--validation", "data/sft/validation.jsonl"]
    command += [part for name, path in outputs.items() for part in (f"--{name}", path)]
    process = subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE)
    pattern = f"train-{method}/*/0/checkpoint-*/curve.json"
    while process.poll() is None and not list((project / ".work").glob(pattern)):
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.stderr.close()
    assert not any(path.exists() for path in outputs.values())
    assert list((project / ".work").glob(pattern)), "nothing to go on from"
    output = run(project, *command)
    steps = len((project / f"plots/train/{method}.csv").read_text().splitlines()) - 1
    assert f" 0/{steps} [" not in output, "it started over"
    assert outputs["curve"].read_bytes() == (project / f"plots/train/{method}.csv").read_bytes()
    names = ("adapter_model.safetensors", "adapter_config.json")
    for name in names:
        assert (outputs["adapter"] / name).read_bytes() == (project / f"models/{method}/{name}").read_bytes()
    assert not list((project / ".work").glob(f"train-{method}/*/"))


def test_a_second_run_runs_nothing(project):
    assert ran(run(project, *DVC, "repro")) == []
    assert run(project, "git", "status", "--porcelain") == ""


def test_one_row_a_method_with_the_same_columns(project):
    files = show(project, "metrics", "show")[""]["data"]
    names = {f"metrics/{method}.json" for method in (*METHODS, "selected")}
    assert set(files) == names
    columns = {tuple(found["data"]) for found in files.values()}
    assert len(columns) == 1
    assert files["metrics/selected.json"]["data"] == files["metrics/base.json"]["data"]
    assert files["metrics/base.json"]["data"]["trainable_parameters"] == 0
    assert files["metrics/dpo.json"]["data"]["train_seconds"] > files["metrics/lora.json"]["data"]["train_seconds"] > 0


def test_every_method_is_compared_with_the_base_and_with_every_other(project):
    comparison = json.loads((project / "metrics/comparison.json").read_text())
    methods = ["lora", "ia3", "prompt_tuning", "dpo"]
    pairs = {f"{later}_vs_{earlier}" for earlier, later in combinations(methods, 2)}
    assert set(comparison) == {*methods, *pairs, "suites"}
    for cell in comparison["dpo"].values():
        assert {"difference", "low", "high", "p_adjusted", "verdict"} <= set(cell)
    runs = json.loads((project / "metrics/runs.json").read_text())
    assert {run["run_info"]["reply_engine"] for run in runs.values()} == {"transformers"}
    names = {file.name for file in (project / "plots/figures").iterdir()}
    assert names == {
        f"{name}.png"
        for name in ("filtering training_curves dpo_curves model_comparison efficiency axes tradeoff".split())
    }


def test_the_curves_of_the_methods_are_in_one_plot(project):
    found = show(project, "plots", "show")["data"]["Training loss of the methods"]
    files = {point["filename"] for plot in found for point in plot["content"]["data"]["values"]}
    assert files == {"lora.csv", "ia3.csv", "prompt_tuning.csv"}
    page = run(project, *DVC, "plots", "show").strip().splitlines()[-1]
    assert "Training loss of the methods" in Path(page.removeprefix("file://")).read_text()


def test_a_changed_rank_runs_what_depends_on_it_and_the_diff_says_what_changed(project):
    output = run(project, *DVC, "exp", "run", "--name", "rank", "--set-param", "lora.r=4")
    assert sorted(ran(output)) == sorted(["train@lora", "dpo", "evaluate@lora", "evaluate_dpo", "compare"])
    changed = show(project, "metrics", "diff", "HEAD", "rank")
    assert set(changed) == {"metrics/lora.json", "metrics/dpo.json"}
    assert changed["metrics/lora.json"]["trainable_parameters"]["diff"] < 0
    run(project, "git", "checkout", "--quiet", "--", ".")
    run(project, *DVC, "checkout", "--quiet")


def test_a_learning_rate_in_scientific_notation_arrives_as_a_number(project):
    output = run(project, *DVC, "exp", "run", "--name", "rate", "--set-param", "lora.learning_rate=1e-5")
    assert "train@lora" in ran(output)
    assert "learning_rate: 1e-05" in (project / "params.yaml").read_text()
    assert (
        max(float(line.split(",")[2]) for line in (project / "plots/train/lora.csv").read_text().splitlines()[1:])
        <= 1e-5
    )
    run(project, "git", "checkout", "--quiet", "--", ".")
    run(project, *DVC, "checkout", "--quiet")


def test_several_seeds_are_trained_evaluated_and_compared(project):
    output = run(project, *DVC, "exp", "run", "--name", "seeds", "--set-param", "train.seeds=2")
    assert "generate" not in ran(output) and {"train@lora", "dpo", "compare"} <= set(ran(output))
    digests = set()
    for method in ("lora", "prompt_tuning", "dpo"):
        folders = [project / "models" / method, project / "models" / method / "seed-1"]
        digests |= {(folder / "adapter_model.safetensors").read_bytes() for folder in folders}
        rows = [json.loads(line) for line in (project / f"data/evaluate/{method}.jsonl").read_text().splitlines()]
        assert {row["seed"] for row in rows} == {0, 1}
        cells = json.loads((project / "metrics/comparison.json").read_text())[method]
        assert {cell["seeds"] for cell in cells.values()} == {2}
        record = json.loads((project / f"data/train/{method}.json").read_text())
        assert [one["seed"] for one in record["seeds"]] == [0, 1]
    assert len(digests) == 6
    run(project, "git", "checkout", "--quiet", "--", ".")
    run(project, *DVC, "checkout", "--quiet")


def test_two_methods_are_compared_without_training(project):
    for method in ("lora", "dpo"):
        output = run(project, *DVC, "exp", "run", "--name", method, "--set-param", f"selected={method}")
        assert ran(output) == ["select"]
    changed = show(project, "metrics", "diff", "lora", "dpo")
    assert set(changed) == {"metrics/selected.json"}
    lora, dpo = (json.loads((project / f"metrics/{method}.json").read_text()) for method in ("lora", "dpo"))
    found = changed["metrics/selected.json"]["train_seconds"]
    assert (found["old"], found["new"]) == (lora["train_seconds"], dpo["train_seconds"])
    run(project, "git", "checkout", "--quiet", "--", ".")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("lora.r=many", "lora.r = 'many'"),
        ("dpo.adapter=prompt_tuning", "dpo.adapter = 'prompt_tuning'"),
        ("train.warmup_share=2", "train.warmup_share = 2"),
    ],
)
def test_a_mistake_in_params_is_one_line_before_any_work(project, change, message):
    output = run(project, *DVC, "exp", "run", "--set-param", change, fails=True)
    assert sum(message in line for line in output.splitlines()) == 1
    assert "Traceback" not in output
    run(project, "git", "checkout", "--quiet", "--", ".")
    run(project, *DVC, "checkout", "--quiet")


def test_push_and_pull_bring_everything_back(project, tmp_path):
    run(project, *DVC, "remote", "add", "--default", "--force", "--local", "storage", tmp_path / "storage")
    run(project, *DVC, "push", "--quiet")
    clone = tmp_path / "clone"
    run(tmp_path, "git", "clone", "--quiet", project, clone)
    run(clone, *DVC, "remote", "add", "--default", "--local", "storage", tmp_path / "storage")
    run(clone, *DVC, "pull", "--quiet")
    for name in ("models/lora/adapter_model.safetensors", "models/dpo/adapter_model.safetensors", "data/raw.jsonl"):
        assert (clone / name).read_bytes() == (project / name).read_bytes()
    assert ran(run(clone, *DVC, "repro")) == []
