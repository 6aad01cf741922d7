"""The grid of learning rates: what is queued, what becomes of failed runs, the table and its figure."""

import sys

import pytest
from matplotlib.image import imread

from tuner import params

sys.path.insert(0, "benchmarks")

import tune

GRID = {"lora": [1e-4, 3e-4], "ia3": [3e-3, 1e-2]}
LOSSES = {("lora", 1e-4): 1.1, ("lora", 3e-4): 1.0, ("ia3", 3e-3): 1.2}


def found(method, rate):
    if (method, rate) not in LOSSES:
        return None
    loss = LOSSES[method, rate]
    return {"method": method, "learning_rate": rate, "steps": 10, "first_eval_loss": 1.5, "eval_loss": loss}


SHARES = {"base": 0.3, "tune-lora-0p0001": 0.4, "tune-lora-0p0003": 0.42, "tune-ia3-0p003": 0.35}


def test_the_rate_to_take_of_each_method_is_marked_and_a_failed_run_is_left_out(monkeypatch):
    monkeypatch.setattr(tune, "outcome", found)
    rows = tune.table(GRID, SHARES, 190)
    assert [(row["method"], row["learning_rate"], row["best"]) for row in rows] == [
        ("lora", 1e-4, 0),
        ("lora", 3e-4, 1),
        ("ia3", 3e-3, 1),
    ]
    assert [row["instruction_following"] for row in rows] == [0.4, 0.42, 0.35]


@pytest.mark.parametrize(
    ("tried", "taken"),
    [
        ([(1.2, 0.40), (1.1, 0.42), (1.3, 0.44)], 1),  # all within a standard error: the lowest loss
        ([(1.1, 0.30), (1.2, 0.45), (1.3, 0.46)], 1),
        ([(1.1, 0.30), (1.2, 0.45), (1.6, 0.60)], 1),  # the last one has made the loss worse
        ([(1.1, 0.30), (1.2, 0.31), (1.3, 0.50)], 2),
        ([(1.6, 0.30), (1.5, 0.40)], None),
    ],
)
def test_a_rate_is_taken_by_constraints_followed_among_those_that_lower_the_loss(tried, taken):
    rows = [{"first_eval_loss": 1.5, "eval_loss": loss, "instruction_following": share} for loss, share in tried]
    assert tune.best(rows, 190) == (None if taken is None else rows[taken])


def test_no_validation_item_is_in_the_evaluation():
    shipped = params.load("params.yaml")
    items = tune.validation_items(shipped)
    asked = tune.instruction_following.items(shipped.evaluate.instruction_following, shipped.seed)
    prompts = [item["messages"][0]["content"] for item in items]
    assert len(prompts) > 150 and not set(prompts) & {item["messages"][0]["content"] for item in asked}


def test_the_share_is_that_of_the_students_replies(tiny, runtime, tmp_path, monkeypatch):
    shipped = params.load("params.yaml")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / shipped.student).symlink_to(tiny)
    monkeypatch.setattr(tune, "ROOT", tmp_path)
    items = [item | {"max_tokens": 4} for item in tune.validation_items(shipped)[:3]]
    monkeypatch.setattr(tune, "validation_items", lambda settings: items)
    monkeypatch.setattr(
        "tuner.checks.following.follows", lambda constraint, asked, reply: asked == items[0]["reference"]["request"]
    )
    shares = tune.followed(shipped.model_copy(update={"runtime": runtime}), {"base": None})
    assert shares == {"base": pytest.approx(1 / 3)}


def test_every_experiment_trains_one_method_with_one_rate_and_only_missing_ones_are_queued(monkeypatch):
    commands = []
    monkeypatch.setattr(tune, "experiment_reference", lambda name: "there" if name == "tune-lora-0p0001" else None)
    monkeypatch.setattr(tune.subprocess, "run", lambda command, **_: commands.append(command))
    tune.run(GRID)
    assert commands[-1] == ["dvc", "exp", "run", "--run-all", "--jobs", "1"]
    assert [command[3:] for command in commands[:-1]] == [
        ["--queue", "--name", name, "-S", change, target]
        for name, change, target in (
            ("tune-lora-0p0003", "lora.learning_rate=0.0003", "train@lora"),
            ("tune-ia3-0p003", "ia3.learning_rate=0.003", "train@ia3"),
            ("tune-ia3-0p01", "ia3.learning_rate=0.01", "train@ia3"),
        )
    ]


def test_the_figure_shows_every_method(monkeypatch, tmp_path):
    monkeypatch.setattr(tune, "outcome", found)
    tune.learning_rates(tune.table(GRID, SHARES, 190), tmp_path / "tune.png")
    assert imread(tmp_path / "tune.png").shape[1] == 900


def test_the_shipped_grid_is_equal_and_has_every_default_method():
    shipped = params.load("params.yaml")
    assert set(shipped.tune) == set(shipped.methods)
    assert len({len(rates) for rates in shipped.tune.values()}) == 1


@pytest.mark.parametrize("method", ["lora", "ia3", "prompt_tuning"])
def test_the_names_of_experiments_differ(method):
    rates = params.load("params.yaml").tune[method]
    assert len({tune.name(method, rate) for rate in rates}) == len(rates)
