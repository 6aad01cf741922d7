"""tasks/: stock lm-evaluation-harness on our items files comes to our verdicts, item by item."""

import re

import ifbench_release
import pytest
from closure import ROOT
from test_bfcl import files

from tuner import bfcl, checks, evaluate, ifbench, io, items, model, tasks
from tuner.params import Evaluate

COUNTS = {"instruction_following": 10, "knowledge": 21, "agent_per_axis": 3, "bfcl": 0, "ifbench": 0}
SETTINGS = Evaluate(**COUNTS, lm_eval_tasks=[], engine="auto")
NAMES = {suite: f"tuner_{suite}" for suite in items.SUITES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("items")
    for suite, rows in tasks.made(SETTINGS, 0).items():
        io.write_jsonl(items.file_of(made, suite), rows)
    release = tmp_path_factory.mktemp("release")
    for name, text in files().items():
        (release / name).parent.mkdir(parents=True, exist_ok=True)
        (release / name).write_text(text)
    io.write_jsonl(items.file_of(made, "bfcl"), bfcl.items(6, 0, release))
    with pytest.MonkeyPatch.context() as patch:
        ifbench_release.pinned(patch, release)
        # Loaded once a process: the checkers of this folder stay the pinned ones when the patch is gone.
        rows = [row | {"max_tokens": 48} for row in ifbench.items(6, 0, ifbench.fetch(made))]
    io.write_jsonl(items.file_of(made, "ifbench"), rows)
    return made


@pytest.fixture(scope="module")
def student(tiny, tokenizer, tmp_path_factory):
    """The tiny model, but with a head that does not write control tokens: no trained model writes them mid-reply."""
    import torch

    loaded = model.load(tiny, device="cpu", dtype="float32")
    silent = sorted(set(tokenizer.all_special_ids) - {tokenizer.eos_token_id})
    with torch.no_grad():
        loaded.get_input_embeddings().weight[silent] = 0
    made = tmp_path_factory.mktemp("student") / "model"
    loaded.save_pretrained(made)
    tokenizer.save_pretrained(made)
    return made


@pytest.fixture(scope="module")
def adapter(student, tmp_path_factory):
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    loaded = model.load(student, device="cpu", dtype="float32")
    adapted = get_peft_model(
        loaded, LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    )
    made = tmp_path_factory.mktemp("adapter") / "lora"
    adapted.save_pretrained(made)
    return made


@pytest.fixture(scope="module")
def theirs(student, adapter, folder):
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(ROOT / "tasks"), include_defaults=False, metadata={"items": str(folder)})
    arguments = {"pretrained": str(student), "peft": str(adapter), "dtype": "float32", "add_bos_token": None}
    return simple_evaluate(
        "hf",
        model_args=arguments,
        tasks=list(NAMES.values()),
        task_manager=manager,
        device="cpu",
        batch_size=4,
        apply_chat_template=True,
        bootstrap_iters=0,
    )


@pytest.fixture(scope="module")
def ours(student, adapter, folder, runtime):
    rows = evaluate.rows(
        student=student,
        adapter=adapter,
        quantize=None,
        validation_rows=[],
        pair_rows=[],
        tasks=checks.read(folder),
        lm_eval_tasks=[],
        kind="auto",
        scratch=folder,
        runtime=runtime,
        progress=lambda _: iter,
    )
    return {row["id"]: row for row in rows}


def of_suite(rows, suite):
    return [row for row in rows.values() if row["suite"] == suite and row["axis"] != "feedback"]


def plain(text: str) -> str:
    """Return a reply without control tokens, which stock lm-evaluation-harness does not decode."""
    return " ".join(re.sub(r"<\|\w+\|>", " ", text).split())


def test_knowledge_is_scored_alike(theirs, ours):
    samples = theirs["samples"]["tuner_knowledge"]
    rows = of_suite(ours, "knowledge")
    assert [sample["doc"]["id"] for sample in samples] == [row["id"] for row in rows]
    for sample, row in zip(samples, rows, strict=True):
        assert sample["arguments"][0][0] == f"Question: {row['question']}\nAnswer:"
        assert [logp for logp, _ in sample["filtered_resps"]] == pytest.approx(row["logps"], abs=1e-3)
        assert (sample["acc_norm"], sample["acc"]) == (row["correct"], row["correct_raw"])
    assert 0 < sum(row["correct"] for row in rows) < len(rows)
    found = theirs["results"]["tuner_knowledge"]["acc_norm,none"]
    assert found == pytest.approx(sum(row["correct"] for row in rows) / len(rows))


@pytest.mark.parametrize("suite", ["instruction_following", "agent", "bfcl", "ifbench"])
def test_replies_are_written_and_judged_alike(theirs, ours, suite):
    samples = theirs["samples"][NAMES[suite]]
    rows = of_suite(ours, suite)
    assert [sample["doc"]["id"] for sample in samples] == [row["id"] for row in rows]
    for sample, row in zip(samples, rows, strict=True):
        assert plain(sample["filtered_resps"][0]) == plain(row["reply"])
        assert [sample[name] for name in ("correct", "valid_format")] == [row["correct"], row["valid_format"]]
    assert len({row["reply"] for row in rows}) > 1
    found = theirs["results"][NAMES[suite]]
    for name in ("correct", "valid_format"):
        assert found[f"{name},none"] == pytest.approx(sum(row[name] for row in rows) / len(rows))
    for axis in {row["axis"] for row in rows} if suite == "agent" else ():
        right = [row["correct"] for row in rows if row["axis"] == axis]
        assert found[f"agent_{axis},none"] == pytest.approx(sum(right) / len(right))


def test_earlier_turns_and_limits_of_tokens_are_those_of_the_item(theirs, folder, tokenizer):
    asked = {item["id"]: item for suite in ("instruction_following", "agent") for item in items.read(folder)[suite]}
    seen = set()
    for name in ("tuner_instruction_following", "tuner_agent"):
        for sample in theirs["samples"][name]:
            item = asked[sample["doc"]["id"]]
            prompt, settings = sample["arguments"][0]
            rendered = tokenizer.apply_chat_template(item["messages"], tokenize=False, add_generation_prompt=True)
            assert (prompt, settings["max_gen_toks"]) == (rendered, item["max_tokens"])
            seen |= {len(item["messages"]), settings["max_gen_toks"]}
    assert {1, 7} <= seen and len(seen) > 4  # messages of a conversation, and limits


def test_conversations_without_a_chat_template_are_refused(student, folder):
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(ROOT / "tasks"), include_defaults=False, metadata={"items": str(folder)})
    loaded = HFLM(pretrained=model.load(student, device="cpu", dtype="float32"), tokenizer=str(student))
    with pytest.raises(ValueError, match="tuner_agent is asked under the chat template: add --apply_chat_template"):
        simple_evaluate(loaded, tasks=["tuner_agent"], task_manager=manager)


def test_the_default_folder_is_the_tasks_stages():
    from ruamel.yaml import YAML

    outs = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]["tasks"]["outs"]
    text = (ROOT / "tasks/checks.py").read_text()
    assert outs == ["data/tasks"] and 'items: str = "data/tasks"' in text
    named = {re.search(r"^task: (\w+)$", path.read_text(), re.M)[1] for path in (ROOT / "tasks").glob("*.yaml")}
    assert named == set(NAMES.values())
