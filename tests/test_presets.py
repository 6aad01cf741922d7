"""presets/: each is a complete params.yaml that DVC can draw a graph of."""

import shutil

import pytest
from closure import ROOT
from dvc.repo import Repo
from ruamel.yaml import YAML
from test_graph import index_of

from tuner import decontaminate, params, tasks

PRESETS = sorted((ROOT / "presets").glob("*.yaml"))
SHIPPED = YAML(typ="safe").load(ROOT / "params.yaml")
every_preset = pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)

# Their entries are the user's own, and their keys no part of the schema.
OPEN = {"models", "generate.domains"}


def keys(values: dict, above: str = "") -> set[str]:
    """Return the dotted keys of a mapping; of one whose entries are free, its own alone."""
    found = set()
    for name, value in values.items():
        key = f"{above}.{name}".removeprefix(".")
        found |= {key} | (keys(value, key) if isinstance(value, dict) and key not in OPEN else set())
    return found


def test_there_are_presets():
    assert {"quick", "full", "llama-3.2-3b-24gb", "llama-3.2-3b-80gb"} == {path.stem for path in PRESETS}


@every_preset
def test_it_loads_with_the_keys_of_the_shipped_file(preset):
    params.load(preset)
    assert keys(YAML(typ="safe").load(preset)) == keys(SHIPPED)


@every_preset
def test_there_are_as_many_items_as_it_asks_for(preset):
    loaded = params.load(preset)
    assert decontaminate.evaluation_texts(tasks.made(loaded.evaluate, loaded.seed))


@every_preset
def test_rows_are_left_for_each_stage(preset):
    """Of the rows that pass the filters, the reward takes the first and the candidates the next."""
    loaded = params.load(preset)
    train = loaded.generate.rows - round(loaded.generate.rows * loaded.filter.validation_share)
    assert loaded.reward.prompts + loaded.candidates.prompts <= train


@every_preset
def test_its_graph_is_that_of_the_shipped_file(preset, tmp_path):
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    shutil.copy(preset, tmp_path / "params.yaml")
    Repo.init(str(tmp_path), no_scm=True).close()
    _, stages = index_of(tmp_path)
    values = YAML(typ="safe").load(preset)
    shipped = {name for name in index_of(ROOT)[1] if not name.startswith("base@")}
    assert set(stages) == shipped | {f"base@{name}" for name in values["models"]}


@every_preset
def test_its_head_says_whether_it_was_run(preset):
    head = preset.read_text().partition("seed:")[0].lower()
    assert ("not run" in head) != ("run from end to end on" in head)
