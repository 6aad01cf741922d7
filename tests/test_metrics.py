"""The flat metrics of a method: the right weights, the right baseline, and never a number where rows are missing."""

import pytest

from tuner import metrics

RECORD = {
    "train_info": {
        "trainable_parameters": 11520,
        "adapter_megabytes": 0.05,
        "train_seconds": 60.0,
        "tokens_per_second": 800.0,
        "peak_memory_megabytes": 900,
    }
}


def loss(name: str, nll: float, tokens: int) -> dict:
    return {"id": name, "suite": "loss", "axis": "loss", "nll": nll, "tokens": tokens}


def preference(name: str, chosen: float, rejected: float) -> dict:
    return {"id": name, "suite": "preference", "axis": "preference", "logp_chosen": chosen, "logp_rejected": rejected}


def window(nll: float, tokens: int = 10) -> dict:
    return {"id": f"w{tokens}", "suite": "general_text", "axis": "general_text", "nll": nll, "tokens": tokens}


REPLY = {"reply": "one two three", "finish": "stop", "reply_tokens": 4}


def right(suite: str, correct: bool, axis: str = "", **more: object) -> dict:
    return {"id": f"{suite}-{axis}-{correct}", "suite": suite, "axis": axis or suite, "correct": correct, **more}


def rows(*, pairs: list[dict] | None = None) -> list[dict]:
    """Rows of every suite: instruction_following 1/2, knowledge 1/4, agent 2/5 (planning and tool_use)."""
    return [
        loss("l1", 30.0, 10),
        window(20.0),
        right("knowledge", True, correct_raw=False),
        *[right("knowledge", False, correct_raw=True)] * 3,
        right("instruction_following", True, valid_format=True, **REPLY),
        right("instruction_following", False, valid_format=False, **REPLY | {"finish": "length"}),
        *(
            right("agent", axis in ("planning", "tool_use"), axis, valid_format=axis != "planning", **REPLY)
            for axis in metrics.AGENT_AXES
        ),
        *(pairs if pairs is not None else [preference("p1", -10.0, -12.0), preference("p2", -9.0, -5.0)]),
        loss("l2", 30.0, 90),
    ]


def without(suite: str, axis: str | None = None) -> list[dict]:
    return [row for row in rows() if row["suite"] != suite or (axis and row["axis"] != axis)]


def test_the_loss_is_a_mean_over_tokens_not_over_rows():
    assert metrics.of_method(rows(), rows(), None)["eval_loss"] == 0.6  # 60 nats / 100 tokens; over rows 1.667


def test_shares_are_of_each_suite_and_axis():
    found = metrics.of_method(rows(), rows(), None)
    assert found["instruction_following"] == 0.5
    assert (found["knowledge"], found["knowledge_raw"]) == (0.25, 0.75)
    assert found["agent"] == 0.4
    assert {axis: found[f"agent_{axis}"] for axis in metrics.AGENT_AXES} == {
        "planning": 1, "reasoning": 0, "context": 0, "feedback": 0, "tool_use": 1
    }  # fmt: skip


def test_the_valid_format_share_is_that_of_the_agent():
    assert metrics.of_method(rows(), rows(), None)["valid_format"] == 0.8


def test_metrics_of_several_seeds_are_means_of_each():
    varied = [row | {"reply": " ".join(f"w{n}" for n in range(60))} if "reply" in row else row for row in rows()]
    other = [row | {"correct": True} if "correct" in row else row for row in varied]
    both = [*varied, *(row | {"seed": 1} for row in other)]
    score = {"id": "lm_eval-arc_easy", "suite": "lm_eval", "axis": "arc_easy", "metric": "acc_norm"}
    both += [score | {"value": 0.5}, score | {"value": 0.7, "seed": 1}]
    one, found = metrics.of_method(varied, varied, None), metrics.of_method(both, varied, None)
    assert found["agent"] == (one["agent"] + 1) / 2
    assert found["distinct_2"] == one["distinct_2"]  # of both together, each word pair would be there twice
    assert found["arc_easy"] == 0.6


def test_the_base_prefers_by_half_and_gains_nothing():
    found = metrics.of_method(rows(), rows(), None)
    assert (found["preference_accuracy"], found["reward_margin"]) == (0.5, 0)


def test_preference_is_the_gain_over_the_base_not_the_methods_own_order():
    base = [
        preference("p1", -10.0, -12.0),
        preference("p2", -9.0, -5.0),
        preference("p3", -1, -1),
        preference("p4", 0, 0),
    ]
    # p1 still prefers chosen, by less; p2 still prefers rejected, by less; p3 unchanged; p4 gains 2
    mine = [
        preference("p1", -10.0, -11.0),
        preference("p2", -9.0, -6.0),
        preference("p3", -3, -3),
        preference("p4", 2, 0),
    ]
    assert metrics.preference_gains(mine, base) == [-1, 1, 0, 2]
    found = metrics.of_method(rows(pairs=mine), rows(pairs=base), RECORD)
    assert found["preference_accuracy"] == (0 + 1 + 0.5 + 1) / 4
    assert found["reward_margin"] == 0.5


def test_pairs_are_matched_by_name_and_not_by_place():
    mine, base = [preference("a", 1, 0), preference("b", 5, 0)], [preference("b", 5, 0), preference("a", 1, 0)]
    assert metrics.preference_gains(mine, base) == [0, 0]


def test_a_pair_the_base_was_not_asked_is_an_error():
    with pytest.raises(KeyError, match="p9"):
        metrics.preference_gains([preference("p9", 1, 0)], [preference("p1", 1, 0)])


def test_trained_and_untrained_have_the_same_keys_in_the_same_order():
    trained, untrained = metrics.of_method(rows(), rows(), RECORD), metrics.of_method(rows(), rows(), None)
    assert list(trained) == list(untrained)
    without_number = {"win_rate", "win_rate_length_controlled", "distinct_2"}  # no judge, and replies of three words
    for found in (trained, untrained):
        assert {name for name, value in found.items() if not isinstance(value, int | float)} == without_number


def test_costs_are_those_of_the_record_and_zero_without_one():
    trained, untrained = metrics.of_method(rows(), rows(), RECORD), metrics.of_method(rows(), rows(), None)
    assert {name: trained[name] for name in metrics.UNTRAINED} == RECORD["train_info"]
    assert {name: untrained[name] for name in metrics.UNTRAINED} == metrics.UNTRAINED
    assert set(metrics.UNTRAINED.values()) == {0}


def test_the_seconds_of_dpo_include_those_of_its_start():
    record = {"train_info": RECORD["train_info"] | {"train_seconds_with_start": 100.0}}
    found = metrics.of_method(rows(), rows(), record)
    assert found["train_seconds"] == 100
    assert list(found) == list(metrics.of_method(rows(), rows(), RECORD))


def test_a_record_without_a_cost_is_an_error():
    record = {
        "train_info": {name: value for name, value in RECORD["train_info"].items() if name != "tokens_per_second"}
    }
    with pytest.raises(KeyError, match="tokens_per_second"):
        metrics.of_method(rows(), rows(), record)


@pytest.mark.parametrize("suite", [*metrics.SUITES, "loss", "preference", "general_text"])
def test_a_missing_suite_is_an_error_and_not_a_zero(suite):
    # statistics.StatisticsError for a share, ZeroDivisionError for the loss
    with pytest.raises((ValueError, ArithmeticError)):
        metrics.of_method(without(suite), without(suite), None)


@pytest.mark.parametrize("axis", metrics.AGENT_AXES)
def test_a_missing_axis_is_an_error_and_not_a_zero(axis):
    with pytest.raises(ValueError):
        metrics.of_method(without("agent", axis), rows(), None)


def test_a_public_benchmark_comes_last_and_changes_nothing_else():
    score = {"id": "lm_eval-arc_easy", "suite": "lm_eval", "axis": "arc_easy", "metric": "acc_norm", "value": 0.43219}
    plain = metrics.of_method(rows(), rows(), None)
    found = metrics.of_method([*rows(), right("arc_easy", True), score], rows(), None)
    always = [name for name in metrics.NAMES if name not in metrics.OPTIONAL]
    assert list(plain) == always
    assert list(found) == [*always, "arc_easy"]
    assert found == plain | {"arc_easy": 0.4322}
