import pytest

from tuner import evaluate, metrics, model, tasks, template
from tuner.params import Evaluate

ROWS = [
    {
        "id": number,
        "prompt": [{"role": "user", "content": f"tell a {word}"}],
        "completion": [{"role": "assistant", "content": f"a good {word}"}],
    }
    for number, word in enumerate("story song plan".split())
]
PAIRS = [
    {
        "id": row["id"],
        "prompt": row["prompt"],
        "chosen": row["completion"],
        "rejected": [{"role": "assistant", "content": "no"}],
    }
    for row in ROWS
]
NUMBERS = ("nll", "logps", "logp_chosen", "logp_rejected")
COUNTS = {"instruction_following": 6, "knowledge": 8, "agent_per_axis": 2, "bfcl": 0, "ifbench": 0}
TASKS = tasks.made(Evaluate(**COUNTS, lm_eval_tasks=[], engine="auto"), 0)


def evaluated(tiny, runtime, **changes):
    shown = []

    def progress(name):
        shown.append(name)
        return iter

    rows = evaluate.rows(
        student=tiny,
        adapter=None,
        quantize=None,
        validation_rows=ROWS,
        pair_rows=PAIRS,
        tasks=TASKS,
        lm_eval_tasks=[],
        kind="auto",
        scratch=None,  # only openvino writes there, and this model has no GGUF
        runtime=runtime.model_copy(update=changes),
        progress=progress,
    )
    assert shown == ["validation loss", "general text", "preference pairs", "knowledge", "answers", "second turns"]
    return rows


@pytest.fixture(scope="module")
def rows(tiny, runtime):
    return evaluated(tiny, runtime)


def test_every_suite_has_its_items(rows):
    counts = {
        suite: sum(row["suite"] == suite for row in rows) for suite in dict.fromkeys(row["suite"] for row in rows)
    }
    assert counts.pop("general_text") > 5
    assert counts == {"loss": 3, "preference": 3, "knowledge": 8, "instruction_following": 6, "agent": 10}
    assert len({row["id"] for row in rows}) == len(rows)


def test_a_row_does_not_depend_on_the_batch(rows, tiny, runtime):
    for one, other in zip(rows, evaluated(tiny, runtime, sample_rows=1, forward_tokens=1), strict=True):
        for name, value in one.items():
            wanted = pytest.approx(other[name], abs=1e-3) if name in NUMBERS else other[name]
            assert value == wanted, name


def test_the_loss_is_the_librarys(rows, tiny, tokenizer):
    import torch

    loaded = model.load(tiny, device="cpu", dtype="float32")
    for row, found in zip(ROWS, (row for row in rows if row["suite"] == "loss"), strict=True):
        prompt = template.prompt_ids(tokenizer, row["prompt"])
        completion = template.completion_ids(tokenizer, row["completion"][0]["content"])
        ids = torch.tensor([prompt + completion])
        labels = torch.tensor([[-100] * len(prompt) + completion])
        assert found["tokens"] == len(completion)
        assert found["nll"] / found["tokens"] == pytest.approx(float(loaded(ids, labels=labels).loss), rel=1e-4)


def test_feedback_items_are_asked_again_only_when_wrong(rows):
    for row in rows:
        if row["axis"] == "feedback":
            assert ("second_reply" in row) == ("message" in row) == (not row["solved_first"])


def test_the_base_against_itself_prefers_nothing(rows):
    found = metrics.of_method(rows, rows, None)
    assert (found["preference_accuracy"], found["reward_margin"]) == (0.5, 0)
