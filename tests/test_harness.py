"""Public benchmarks: lm-evaluation-harness on the model at hand, from tasks that need no hub."""

import json

import pytest

from tuner import harness, metrics
from tuner.errors import UserError

CHOICES = ("a song", "a story", "the sea")
DOCS = [
    {"question": f"tell me {word}", "choices": [*CHOICES], "answer": number % 3, "text": f"{word} in the garden"}
    for number, word in enumerate("walk read run cook travel open paint".split())
]
CHOSEN = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {docs}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: choices
doc_to_target: answer
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
"""
WRITTEN = """
task: tiny_written
dataset_path: json
dataset_kwargs: {{data_files: {{test: {docs}}}}}
test_split: test
output_type: generate_until
generation_kwargs: {{until: [], max_gen_toks: 4}}
doc_to_text: "{{{{question}}}}"
doc_to_target: "story"
metric_list: [{{metric: exact_match}}]
"""
TEXTS = """
task: tiny_texts
dataset_path: json
dataset_kwargs: {{data_files: {{test: {docs}}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list: [{{metric: word_perplexity}}]
"""


@pytest.fixture
def task(tmp_path, monkeypatch):
    """A function that writes a task's file and returns its path."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "docs.jsonl").write_text("".join(json.dumps(doc) + "\n" for doc in DOCS))

    def written(text: str, name: str = "tiny_chosen") -> str:
        path = tmp_path / f"{name}.yaml"
        path.write_text(text.format(name=name, docs=tmp_path / "docs.jsonl"))
        return str(path)

    return written


def test_nothing_is_loaded_where_nothing_is_asked_for():
    assert harness.load([], metrics.NAMES) == {}
    assert harness.rows({}, None, None, 512) == []


def test_choices_are_scored_item_by_item(task, loaded, tokenizer):
    from tuner import logps

    score, *rows = harness.rows(harness.load([task(CHOSEN)], metrics.NAMES), loaded, tokenizer, 512)
    assert {row["suite"] for row in rows} == {"tiny_chosen"}
    assert [row["id"] for row in rows] == [f"tiny_chosen-{number}" for number in range(len(DOCS))]
    pairs = [
        (tokenizer.encode(doc["question"]), tokenizer.encode(choice, add_special_tokens=False))
        for doc in DOCS
        for choice in CHOICES
    ]
    found = [float(row.sum()) for row in logps.completion_logps(loaded, pairs, max_tokens=512)]
    for number, (doc, row) in enumerate(zip(DOCS, rows, strict=True)):
        shares = [found[3 * number + place] / len(choice) for place, choice in enumerate(CHOICES)]
        assert row["correct"] == (shares.index(max(shares)) == doc["answer"])
    assert 0 < sum(row["correct"] for row in rows) < len(rows)
    assert (score["suite"], score["axis"], score["metric"]) == ("lm_eval", "tiny_chosen", "acc_norm")
    assert score["value"] == pytest.approx(sum(row["correct"] for row in rows) / len(rows))
    assert score["higher_is_better"] and score["shots"] == 0


def test_replies_are_asked_for_under_the_chat_template(task, loaded, tokenizer, monkeypatch):
    seen = []
    apply = type(tokenizer).apply_chat_template
    monkeypatch.setattr(
        type(tokenizer),
        "apply_chat_template",
        lambda self, chat, **more: seen.append(chat) or apply(self, chat, **more),
    )
    harness.rows(harness.load([task(WRITTEN, "tiny_written")], metrics.NAMES), loaded, tokenizer, 512)
    assert [{"role": "user", "content": doc["question"]} for doc in DOCS] == [chat[-1] for chat in seen]


def test_a_task_without_a_verdict_on_each_item_has_its_score_alone(task, loaded, tokenizer):
    (score,) = harness.rows(harness.load([task(TEXTS, "tiny_texts")], metrics.NAMES), loaded, tokenizer, 512)
    assert score["metric"] == "word_perplexity" and score["value"] > 1 and not score["higher_is_better"]


@pytest.mark.parametrize("name", ["knowledge", "agent_planning", "train_seconds"])
def test_a_task_may_not_be_called_as_a_metric_of_ours(task, name):
    with pytest.raises(UserError, match=f"a metric of this project is called '{name}'"):
        harness.load([task(CHOSEN, name)], metrics.NAMES)


def test_an_unknown_task_is_one_line():
    with pytest.raises(UserError, match="no task, group or file is called 'arc_eazy'") as caught:
        harness.load(["arc_eazy"], metrics.NAMES)
    assert "\n" not in str(caught.value)


def test_data_that_cannot_be_had_are_one_line(task, monkeypatch):
    import datasets

    def unreachable(*_, **__):
        raise ConnectionError("Couldn't reach 'x' on the Hub\n(LocalEntryNotFoundError)")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(UserError) as caught:
        harness.load(["arc_easy"], metrics.NAMES)
    assert str(caught.value) == (
        "evaluate.lm_eval_tasks: the data of arc_easy cannot be had from the hub: Couldn't reach 'x' on the Hub "
        "(LocalEntryNotFoundError)"
    )


def test_without_the_harness_one_line_says_how_to_get_it(monkeypatch):
    find = harness.importlib.util.find_spec
    monkeypatch.setattr(harness.importlib.util, "find_spec", lambda name: None if name == "lm_eval" else find(name))
    with pytest.raises(UserError) as caught:
        harness.load(["arc_easy"], metrics.NAMES)
    assert str(caught.value) == (
        "evaluate.lm_eval_tasks = ['arc_easy']: lm-evaluation-harness is not installed; "
        "pip install -r requirements-lm-eval.txt"
    )


def test_code_that_a_model_wrote_is_not_run(task, loaded):
    path = task(WRITTEN + "unsafe_code: true\n", "tiny_written")
    with pytest.raises(UserError, match="runs code that the model writes"):
        harness.load([path], metrics.NAMES)
