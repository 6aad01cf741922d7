"""dvc.yaml, without running it: what a stage declares is what its command and its script use."""

import copy
import re
import shutil
import warnings
from itertools import pairwise
from pathlib import Path

import networkx
import pytest
from closure import ROOT, closure
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from ruamel.yaml import YAML
from scripts import SCRIPTS, declared

RAW = YAML(typ="safe").load(ROOT / "dvc.yaml")
PARAMS = YAML(typ="safe").load(ROOT / "params.yaml")

NAMES = {
    "base@smollm2-135m",
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
}


def index_of(folder: Path):
    """Return (graph, stages by name) as DVC resolves the dvc.yaml of a folder."""
    with Repo(str(folder)) as repo, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # DVC's own, about the tries it keeps paths in
        index = repo.index
        return index.graph, {stage.name: stage for stage in index.stages}


GRAPH, STAGES = index_of(ROOT)
every_stage = pytest.mark.parametrize("stage", STAGES.values(), ids=list(STAGES))


def script(stage) -> str:
    return Path(stage.cmd.split()[1]).stem


def arguments(stage) -> dict[str, str]:
    """Return the command's options with their values."""
    python, path, *rest = stage.cmd.split()
    assert python == "python"
    assert path == f"stages/{script(stage)}.py"
    names, values = rest[::2], rest[1::2]
    assert len(names) == len(values)
    assert all(name.startswith("--") for name in names), stage.cmd
    assert not any(value.startswith("-") for value in values), stage.cmd
    assert len(set(names)) == len(names), "an option is given twice"
    return {name[2:]: value for name, value in zip(names, values, strict=True)}


def deps(stage) -> set[str]:
    return {dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency)}


def tracked(stage) -> list[str]:
    return [name for dep in stage.deps if isinstance(dep, ParamsDependency) for name in dep.params]


def downstream(graph, starts: set) -> set[str]:
    """Return the names of some stages and of all that depend on them (an edge leads to what a stage needs)."""
    return {stage.name for start in starts for stage in (start, *networkx.ancestors(graph, start))}


def value_at(values: dict, dotted: str) -> object:
    for part in dotted.split("."):
        values = values[part]
    return values


@pytest.fixture
def project(tmp_path):
    """A function that resolves dvc.yaml with edited parameters in a folder of its own: (graph, stages)."""

    def resolve(**changes):
        values = copy.deepcopy(PARAMS) | changes
        shutil.copy(ROOT / "dvc.yaml", tmp_path)
        YAML().dump(values, tmp_path / "params.yaml")
        Repo.init(str(tmp_path), no_scm=True, force=True).close()
        return index_of(tmp_path)

    return resolve


def test_the_stages_are_these():
    assert set(STAGES) == NAMES
    assert {name.split("@")[0] for name in NAMES} == set(RAW["stages"])


def test_every_script_has_a_stage_and_every_stage_a_script():
    assert {script(stage) for stage in STAGES.values()} == set(SCRIPTS)


@every_stage
def test_python_dependencies_are_the_closure_of_the_imports(stage):
    stated = {path for path in deps(stage) if path.endswith(".py")}
    needed = closure(ROOT / "stages" / f"{script(stage)}.py")
    assert stated == needed, f"missing: {sorted(needed - stated)}, superfluous: {sorted(stated - needed)}"


@every_stage
def test_options_are_those_the_script_accepts_and_all_required_ones_are_given(stage):
    names, given = declared(script(stage)), set(arguments(stage))
    required = {*names["options"], *names["reads"], *names["writes"]}
    accepted = required | set(names["may_read"])
    assert given <= accepted, f"not accepted: {sorted(given - accepted)}"
    assert required <= given, f"not given: {sorted(required - given)}"


@every_stage
def test_what_the_command_reads_is_a_dependency_and_what_it_writes_an_output(stage):
    names, given = declared(script(stage)), arguments(stage)
    reads = {given[name] for name in (*names["reads"], *names["may_read"]) if name in given}
    writes = {given[name] for name in names["writes"]}
    assert reads == {path for path in deps(stage) if not path.endswith(".py")}
    assert writes == {out.def_path for out in stage.outs}
    assert not reads & writes


@every_stage
def test_an_option_that_is_no_path_names_what_the_stage_is_made_for(stage):
    for name in declared(script(stage))["options"]:
        assert arguments(stage)[name] == stage.name.split("@")[1]


@every_stage
def test_tracked_params_exist_and_runtime_is_not_one(stage):
    names = tracked(stage)
    assert len(names) == len(set(names))
    for name in names:
        value_at(PARAMS, name)  # a KeyError names what is missing
        assert name.split(".")[0] != "runtime"


def test_every_section_but_runtime_is_tracked_or_chooses_paths():
    used = {name.split(".")[0] for stage in STAGES.values() for name in tracked(stage)}
    off = {name for name, section in PARAMS.items() if isinstance(section, dict) and "peft_type" in section} - set(
        PARAMS["methods"]
    )
    assert set(PARAMS) - used - off == {"runtime", "tune", "selected"}
    text = (ROOT / "dvc.yaml").read_text()
    for name in ("generator", "student", "selected"):
        assert f"${{{name}}}" in text


def test_a_stage_reads_no_section_that_it_does_not_track():
    # `params.<section>` in a script's main; methods and options are looked up under the name of the stage
    for stage in STAGES.values():
        text = (ROOT / "stages" / f"{script(stage)}.py").read_text()
        sections = {name.split(".")[0] for name in tracked(stage)}
        # What generate reads of methods tells a mistake early, and changes no row.
        checked = {"methods"} if stage.name == "generate" else set()
        for section in set(re.findall(r"params\.(\w+)", text)) & (set(PARAMS) - {"runtime", "selected"} - checked):
            assert section in sections, f"{stage.name} reads {section}"


def test_a_changed_rank_repeats_what_is_made_from_the_lora_adapter():
    starts = {s for s in STAGES.values() if any(name.split(".")[0] == "lora" for name in tracked(s))}
    assert {stage.name for stage in starts} == {"train@lora"}
    assert downstream(GRAPH, starts) == {"train@lora", "dpo", "evaluate@lora", "evaluate_dpo", "compare"}


def test_a_changed_margin_repeats_what_reads_the_pairs_and_not_the_training_on_data():
    starts = {STAGES["prefer"]}
    evaluations = {f"evaluate@{method}" for method in PARAMS["methods"]} | {"evaluate_base", "evaluate_dpo"}
    assert downstream(GRAPH, starts) == {"prefer", "dpo", "compare", "select"} | evaluations


def test_pairs_can_be_built_from_scored_and_from_verified_answers():
    assert {stage.name for stage in GRAPH.successors(STAGES["prefer"])} == {"score", "verify"}
    assert tracked(STAGES["prefer"]) == ["prefer"]  # a policy repeats no sampling
    for name in ("candidates", "score", "verify"):
        assert "prefer" not in tracked(STAGES[name])


def test_a_changed_prompt_for_answers_repeats_the_candidates():
    sections = {name for name in tracked(STAGES["candidates"]) if name.split(".")[0] == "generate"}
    assert sections == {"generate.response_system", "generate.chunk"}  # and no other key of generate does


def test_every_stage_but_the_last_of_each_branch_is_needed_and_all_but_the_items_start_from_a_base_model():
    base = STAGES["base@smollm2-135m"]
    assert downstream(GRAPH, {base}) == NAMES - {"tasks"}
    assert {stage.name for stage in STAGES.values() if not GRAPH.in_degree(stage)} == {"compare", "select"}


def test_compare_waits_for_every_evaluation_and_training():
    needed = {stage.name for stage in GRAPH.successors(STAGES["compare"])}
    assert needed >= {name for name in NAMES if name.split("@")[0] in ("train", "evaluate")}
    assert needed >= {"dpo", "evaluate_base", "evaluate_dpo", "filter", "describe"}


def test_no_output_has_two_stages_or_lies_in_another():
    outs = sorted(Path(out.def_path).parts for stage in STAGES.values() for out in stage.outs)
    for one, other in pairwise(outs):
        assert other[: len(one)] != one


def test_small_results_are_in_git_and_the_rest_in_the_cache():
    for stage in STAGES.values():
        for out in stage.outs:
            small = out.def_path.startswith(("metrics/", "plots/"))
            assert out.use_cache != small, out.def_path
            assert not out.persist, out.def_path


def test_plots_at_the_top_show_columns_of_files_that_a_stage_writes():
    outs = {out.def_path for stage in STAGES.values() for out in stage.outs}
    shown = [path for plot in RAW["plots"] for settings in plot.values() for path in settings["y"]]
    assert shown
    assert set(shown) <= outs


def test_no_stage_names_a_model_or_a_method():
    text = str(RAW["stages"])
    for name in (*PARAMS["models"], *PARAMS["methods"]):
        assert f"/{name}" not in text
        assert f"'{name}'" not in text


def test_items_are_made_once_and_read_by_the_decontamination_and_every_evaluation():
    needing = {stage.name for stage in GRAPH.predecessors(STAGES["tasks"])}
    evaluations = {name for name in NAMES if name.split("@")[0].startswith("evaluate")}
    assert needing == {"generate", "filter", "describe"} | evaluations
    for name in needing:
        assert not deps(STAGES[name]) & {"tuner/tasks.py", "tuner/instruction_following.py", "tuner/knowledge.py"}
    for name in needing - evaluations:
        assert "tuner/agent.py" not in deps(STAGES[name])


def test_a_second_model_is_fetched_and_only_the_student_changes(project):
    models = PARAMS["models"] | {"other": PARAMS["models"]["smollm2-135m"]}
    graph, stages = project(models=models, student="other")
    assert set(stages) == NAMES | {"base@other"}
    assert downstream(graph, {stages["base@other"]}) == {
        "base@other",
        *(name for name in NAMES if name.split("@")[0] in ("train", "evaluate")),
        *("dpo", "evaluate_base", "evaluate_dpo", "compare", "select"),
    }
    assert tracked(stages["base@other"]) == ["models.other"]


def test_selecting_a_method_makes_select_wait_for_it(project):
    graph, stages = project(selected="dpo")
    assert {stage.name for stage in graph.successors(stages["select"])} == {"evaluate_dpo"}


def test_one_method_alone_leaves_no_trace_of_the_other(project):
    _, stages = project(methods=["lora"])
    assert set(stages) == {name for name in NAMES if name.partition("@")[2] not in ("ia3", "prompt_tuning")}
    assert not any("prompt_tuning" in stage.cmd for stage in stages.values())
