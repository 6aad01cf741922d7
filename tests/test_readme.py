"""README and the other generated pages against the repository: their tables are what is committed."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text()

spec = importlib.util.spec_from_file_location("readme", ROOT / "docs/readme.py")
readme = importlib.util.module_from_spec(spec)
spec.loader.exec_module(readme)


@pytest.mark.parametrize("page", readme.PAGES)
def test_the_generated_blocks_show_the_committed_metrics(page):
    text = (ROOT / page).read_text()
    assert readme.filled(text, ROOT, page) == text, "run `make readme`"


def test_every_measured_claim_is_on_its_page():
    claims = json.loads((ROOT / "benchmarks/results.json").read_text())
    page = (ROOT / "benchmarks/README.md").read_text()
    for name, claim in claims.items():
        assert page.count(f"\n| {name} | ") == 1
        assert f"`{claim['command']}` ({claim['date']}; " in page


def test_a_stale_block_would_be_noticed():
    block = re.search(r"<!-- generated: results -->\n(.+?)<!-- end -->", TEXT, re.S)[1]
    number = re.search(r"\d\.\d{3}", block)[0]
    assert readme.filled(TEXT.replace(block, block.replace(number, "9.999")), ROOT) == TEXT


def test_every_stage_is_described():
    from ruamel.yaml import YAML

    stages = set(YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"])
    described = {name.strip() for row in re.findall(r"^\| ([a-z_, ]+) \|", TEXT, re.M) for name in row.split(",")}
    assert {name for name in stages if not name.startswith("evaluate_")} <= described


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)|`((?:tuner|stages|docs)/[\w./]+)`", TEXT)))
)
def test_every_file_it_names_exists(path):
    assert (ROOT / "".join(path)).exists()


def test_every_make_target_it_names_exists():
    targets = set(re.findall(r"^([a-z][a-z ]*):", (ROOT / "Makefile").read_text(), re.M))
    known = {name for target in targets for name in target.split()}
    assert set(re.findall(r"\bmake ([a-z]+)", TEXT)) - {"the"} <= known


def test_every_parameter_it_sets_exists():
    from ruamel.yaml import YAML

    values = YAML(typ="safe").load(ROOT / "params.yaml")
    for key in re.findall(r"-S '?([a-z_.]+)=", TEXT):
        value = values
        for part in key.split("."):
            value = value[part]
