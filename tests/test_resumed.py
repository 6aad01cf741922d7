"""A training that was killed goes on from its last whole checkpoint to the same adapter and the same curve."""

import shutil

import pytest
from test_train import fit, same

from tuner import train


@pytest.fixture(scope="module")
def unbroken(tiny, runtime, tmp_path_factory):
    """A folder and a curve of each method, from a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("unbroken")
    return {method: (folder / method, fit(method, tiny, runtime, folder)[0]) for method in ("lora", "prompt_tuning")}


class Killed(Exception):
    pass


def killed_after(step):
    """Return Curve.on_step_begin, but for a run that dies at that step, as a process would."""
    begin = train.Curve.on_step_begin

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == step:
            raise Killed
        begin(self, args, state, control, **kwargs)

    return on_step_begin


@pytest.mark.parametrize("method", ["lora", "prompt_tuning"])
@pytest.mark.parametrize("step", [1, 3])
def test_a_killed_run_goes_on_to_the_same_adapter_and_curve(
    unbroken, tiny, runtime, tmp_path, monkeypatch, method, step
):
    folder, whole = unbroken[method]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(train.Curve, "on_step_begin", killed_after(step))
        fit(method, tiny, runtime, tmp_path)
    left = tmp_path / f"scratch-{method}" / "checkpoint-9"
    left.mkdir()  # as a kill in the middle of a save would leave it
    seen = []
    with monkeypatch.context() as patch:
        patch.setattr(train.Curve, "on_step_end", counted(seen))
        curve, _ = fit(method, tiny, runtime, tmp_path)
    assert seen == list(range(step + 1, 5))
    assert (curve.training, curve.validation) == (whole.training, whole.validation)
    assert same(folder, tmp_path / method)


def counted(seen):
    """Return Curve.on_step_end, but for a list of the steps that were taken."""
    end = train.Curve.on_step_end

    def on_step_end(self, args, state, control, **kwargs):
        seen.append(state.global_step)
        end(self, args, state, control, **kwargs)

    return on_step_end


def test_a_run_killed_after_its_last_step_takes_no_step_too_many(unbroken, tiny, runtime, tmp_path, monkeypatch):
    folder, whole = unbroken["lora"]

    def die(*_, **__):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(train.Curve, "on_train_end", die)
        fit("lora", tiny, runtime, tmp_path)
    assert (tmp_path / "scratch-lora/checkpoint-4").exists()
    seen = []
    with monkeypatch.context() as patch:
        patch.setattr(train.Curve, "on_step_end", counted(seen))
        curve, _ = fit("lora", tiny, runtime, tmp_path)
    assert seen == [4]
    assert (curve.training, curve.validation) == (whole.training, whole.validation)
    assert same(folder, tmp_path / "lora")


def test_energy_is_left_out_of_a_run_that_was_resumed(tiny, runtime, tmp_path, monkeypatch):
    readings = iter([5.0, 9.0, 9.0, 20.0, 30.0, 2.0])
    monkeypatch.setattr(train.hardware, "energy_joules", lambda: next(readings))
    assert fit("lora", tiny, runtime, tmp_path)[1]["train_info"]["energy_joules"] == 4
    assert "energy_joules" not in fit("lora", tiny, runtime, tmp_path)[1]["train_info"]  # its checkpoints are there
    shutil.rmtree(tmp_path / "scratch-lora")
    assert "energy_joules" not in fit("lora", tiny, runtime, tmp_path)[1]["train_info"]  # the counter began again
