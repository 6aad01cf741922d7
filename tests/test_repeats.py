"""Several seeds of one method: adapters of their own, means in the record, a row for each in the evaluation."""

import pytest
from test_train import fit

from tuner import io, metrics, repeats


def trained(tiny, runtime, tmp_path, count, scratch):
    def once(*, seed, scratch, destination):
        return fit("lora", tiny, runtime, tmp_path, seed=seed, scratch=scratch, destination=destination)

    return repeats.train(once, count=count, seed=7, scratch=tmp_path / scratch, destination=tmp_path / f"out-{count}")


def test_every_seed_is_a_training_run_of_its_own(tiny, runtime, tmp_path):
    curve, record = trained(tiny, runtime, tmp_path, 3, "several")
    alone_curve, alone = fit("lora", tiny, runtime, tmp_path, seed=8, destination=tmp_path / "alone")
    own = repeats.folders(tmp_path / "out-3")
    assert own == [tmp_path / "out-3", tmp_path / "out-3/seed-1", tmp_path / "out-3/seed-2"]
    digests = [io.sha256(folder / "adapter_model.safetensors") for folder in own]
    assert len(set(digests)) == 3
    assert digests[1] == io.sha256(tmp_path / "alone/adapter_model.safetensors")
    assert [one["seed"] for one in record["seeds"]] == [7, 8, 9]
    assert record["seeds"][1]["final_eval_loss"] == alone_curve.validation[-1]["loss"]
    assert (
        curve.validation[-1]["loss"] == record["seeds"][0]["final_eval_loss"] == record["train_info"]["final_eval_loss"]
    )
    seconds = [one["train_seconds"] for one in record["seeds"]]
    assert record["train_info"]["train_seconds"] == pytest.approx(sum(seconds) / 3, abs=0.01)


def test_one_seed_is_recorded_as_ever(tiny, runtime, tmp_path):
    _, record = trained(tiny, runtime, tmp_path, 1, "one")
    _, alone = fit("lora", tiny, runtime, tmp_path, seed=7, destination=tmp_path / "alone")
    assert repeats.folders(tmp_path / "out-1") == [tmp_path / "out-1"]
    assert record.keys() == alone.keys() and record["train_info"].keys() == alone["train_info"].keys()
    assert record["meta_info"]["adapter_sha256"] == alone["meta_info"]["adapter_sha256"]


def test_rows_of_several_seeds_say_which(tmp_path):
    def answer(*, adapter):
        return [{"id": "a", "of": adapter and adapter.name}]

    adapter = tmp_path / "lora"
    adapter.mkdir()
    assert repeats.rows(answer, None) == [{"id": "a", "of": None}]
    assert repeats.rows(answer, adapter) == [{"id": "a", "of": "lora"}]
    (adapter / "seed-1").mkdir()
    assert repeats.rows(answer, adapter) == [
        {"id": "a", "of": "lora", "seed": 0},
        {"id": "a", "of": "seed-1", "seed": 1},
    ]


def test_preference_gains_of_several_seeds_are_all_counted():
    def row(chosen, **seed):
        return {"id": "p", "suite": "preference", "logp_chosen": chosen, "logp_rejected": -2.0} | seed

    assert metrics.preference_gains([row(-1.0, seed=0), row(-4.0, seed=1)], [row(-2.0)]) == [1.0, -2.0]
