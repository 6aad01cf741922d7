import csv
import io
import json
from typing import Any

import numpy as np
import pytest

from tuner import compare as module
from tuner import result_tables
from tuner.statistics import (
    enough_resamples,
    holm,
    mcnemar_exact,
    over_seeds_and_items,
    paired_bootstrap,
    paired_proportions,
    wilson,
)

AXES = ("planning", "reasoning", "context", "feedback", "tool_use")
OPTIONS = {"seed": 1, "resamples": 2000, "alpha": 0.05}


def rows(right: dict[str, np.ndarray], nll: np.ndarray, tokens: np.ndarray) -> list[dict]:
    """Items of one method; the order of suites must not matter, so the loss stands in the middle."""
    made: list[dict] = []
    for suite, correct in right.items():
        made += [
            {
                "id": f"{suite}-{index}",
                "suite": suite,
                "correct": bool(one),
                "valid_format": True,
                "axis": AXES[index % 5] if suite == "agent" else suite,
            }
            for index, one in enumerate(correct)
        ]
        if suite == "knowledge":
            made += [
                {"id": f"loss-{index}", "suite": "loss", "nll": float(one), "tokens": int(count)}
                for index, (one, count) in enumerate(zip(nll, tokens, strict=True))
            ]
    return made


def made_results(
    seed: int = 0, *, methods: tuple[str, ...] = ("lora", "prompt_tuning", "dpo"), effect: float = 0.0
) -> dict[str, dict]:
    """60 items a suite; ``effect`` is what every trained method gains (accuracy) and saves (nats per token)."""
    rng = np.random.default_rng(seed)
    tokens, start = rng.integers(5, 100, 60), rng.normal(2.0, 0.3, 60)
    difficulty = {suite: rng.random(60) for suite in module.ACCURACIES}
    results = {}
    for method in ("base", *methods):
        gain, noise = (0.0, 0.0) if method == "base" else (effect, 0.1)
        right = {suite: value + rng.normal(0, noise, 60) < 0.3 + gain for suite, value in difficulty.items()}
        nll = tokens * (start - gain + rng.normal(0, noise, 60))
        metrics = {
            "eval_loss": float(nll.sum() / tokens.sum()),
            **{suite: float(np.mean(value)) for suite, value in right.items()},
            "trainable_parameters": 0 if method == "base" else 11520,
            "adapter_megabytes": 0.05,
            "train_seconds": 0.0 if method == "base" else 150.0,
            "tokens_per_second": 800.0,
            "peak_memory_megabytes": 900.0,
        }
        results[method] = {"items": rows(right, nll, tokens), "metrics": metrics, "run": {}}
    return results


def test_cells_are_the_tests_they_name() -> None:
    results = made_results(effect=0.1)
    table = module.compare(results, pairs=[("dpo", "lora")], **OPTIONS)
    assert list(table) == ["lora", "prompt_tuning", "dpo", "dpo_vs_lora", "suites"]
    assert module.contrasts(table) == ["lora", "prompt_tuning", "dpo"]
    assert module.paired_contrasts(table) == [("dpo_vs_lora", "dpo", "lora")]
    by_id = {method: {row["id"]: row for row in result["items"]} for method, result in results.items()}
    a, b = ([by_id[method][f"agent-{index}"]["correct"] for index in range(60)] for method in ("lora", "dpo"))
    cell = table["dpo_vs_lora"]["agent"]
    assert cell["p"] == mcnemar_exact(a, b)
    assert {key: cell[key] for key in ("difference", "low", "high")} == paired_proportions(a, b)
    assert (cell["base"], cell["value"], cell["n"]) == (np.mean(a), np.mean(b), 60)
    assert cell["reference"] == "lora"
    loss = table["lora"]["eval_loss"]
    assert loss["value"] == pytest.approx(results["lora"]["metrics"]["eval_loss"])
    assert loss["difference"] == pytest.approx(loss["value"] - loss["base"])
    assert loss["low"] < loss["difference"] < loss["high"]
    for family in (["lora", "prompt_tuning", "dpo"], ["dpo_vs_lora"]):  # did it help, and which one
        p_values = {f"{key} {metric}": table[key][metric]["p"] for key in family for metric in module.METRICS}
        for name, value in holm(p_values).items():
            key, metric = name.split(" ")
            assert table[key][metric]["p_adjusted"] == value
    assert json.loads(json.dumps(table)) == table
    assert module.compare(results, pairs=[("dpo", "lora")], **OPTIONS) == table


def test_order_of_items_does_not_matter() -> None:
    results = made_results(effect=0.1)
    table = module.compare(results, **OPTIONS)
    results["lora"]["items"].reverse()
    assert module.compare(results, **OPTIONS) == table


@pytest.mark.parametrize(("effect", "verdict"), [(0.5, "better"), (-0.28, "worse")])
def test_verdicts_know_which_way_is_good(effect: float, verdict: str) -> None:
    table = module.compare(made_results(effect=effect, methods=("lora",)), **OPTIONS)
    assert {metric: cell["verdict"] for metric, cell in table["lora"].items()} == dict.fromkeys(module.METRICS, verdict)
    assert (table["lora"]["eval_loss"]["difference"] < 0) == (verdict == "better")
    assert (table["lora"]["agent"]["difference"] > 0) == (verdict == "better")


def test_identical_methods() -> None:
    results = made_results(methods=("lora",))
    results["copy"] = results["base"]
    for cell in module.compare(results, **OPTIONS)["copy"].values():
        assert (cell["difference"], cell["p"], cell["p_adjusted"]) == (0.0, 1.0, 1.0)
        assert cell["verdict"] == "no evidence"
        assert cell["low"] <= 0 <= cell["high"]


def test_no_difference_rarely_gets_a_verdict() -> None:
    """Over whole comparisons (12 tests each) without any effect: Holm keeps a false verdict at 5 %."""
    wrong = 0
    for seed in range(60):
        table = module.compare(made_results(seed), **OPTIONS | {"resamples": 10})
        cells = [cell for key in table if key != "suites" for cell in table[key].values()]
        wrong += any(cell["verdict"] != "no evidence" for cell in cells)
    assert wrong <= 7  # 5 % of 60 is 3; more than 7 has a chance of about 1 %


def test_missing_item_is_named() -> None:
    results = made_results()
    results["dpo"]["items"] = [row for row in results["dpo"]["items"] if row["id"] != "agent-3"]
    del results["dpo"]["metrics"]["agent"]
    with pytest.raises(ValueError, match="'agent-3' of agent is missing for method 'dpo'"):
        module.compare(results, **OPTIONS)
    results = made_results()
    results["base"]["items"] = [row for row in results["base"]["items"] if row["id"] != "loss-0"]
    results["base"]["metrics"].clear()
    with pytest.raises(ValueError, match="'loss-0' of eval_loss is missing for method 'base'"):
        module.compare(results, **OPTIONS)


def _without_base(results: dict[str, Any]) -> None:
    del results["base"]


def _reserved(results: dict[str, Any]) -> None:
    results["suites"] = results["lora"]


def _twice(results: dict[str, Any]) -> None:
    results["lora"]["items"].append(results["lora"]["items"][0])


def _other_tokens(results: dict[str, Any]) -> None:
    row = next(row for row in results["lora"]["items"] if row["suite"] == "loss")
    row["tokens"] += 1


def _stale(results: dict[str, Any]) -> None:
    results["lora"]["metrics"]["agent"] += 0.1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without_base, 'need "base"'),
        (_reserved, "suites"),
        (_twice, "appears twice for method 'lora'"),
        (_other_tokens, "not the same targets"),
        (_stale, "method 'lora': agent is .* over its items"),
    ],
)
def test_refusals(spoil: Any, message: str) -> None:
    results = made_results()
    spoil(results)
    with pytest.raises(ValueError, match=message):
        module.compare(results, **OPTIONS)


def test_pairs_need_results() -> None:
    with pytest.raises(ValueError, match="'ppo'"):
        module.compare(made_results(), pairs=[("ppo", "lora")], **OPTIONS)


def test_suites_say_what_they_can_show() -> None:
    results = made_results(effect=0.1)
    for row in (row for result in results.values() for row in result["items"] if row["suite"] == "knowledge"):
        row["choices"] = ["a", "b"] if int(row["id"].split("-")[1]) < 30 else ["a", "b", "c", "d"]
    table = module.compare(results, pairs=[("dpo", "lora")], **OPTIONS)
    facts = table["suites"]
    assert list(facts) == list(module.METRICS)
    for metric, one in facts.items():
        assert one["n"] == 60
        assert one["floor"] == pytest.approx(results["base"]["metrics"][metric])
        assert (one["tests"], one["pair_tests"]) == (12, 4)
        assert one["chance"] == (0.375 if metric == "knowledge" else None)
        for method in module.contrasts(table):
            assert 0 < table[method][metric]["detectable"] < table[method][metric]["detectable_adjusted"]
    enough = enough_resamples(60, 0.05 / 12)
    assert 2000 < table["lora"]["eval_loss"]["resamples"] <= 1.5 * enough  # a few tokens weigh more than others
    more = module.compare(results, **OPTIONS | {"resamples": 90_000})
    assert more["lora"]["eval_loss"]["resamples"] == 90_000


def test_a_clear_loss_of_few_uneven_sources_gets_a_verdict() -> None:
    """With 2,000 resamples its p could not come below 0.05 / 12, however large the difference."""
    results = made_results(methods=("lora", "prompt_tuning", "dpo"))
    sources = [str(source) for source in range(12) for _ in range((3, 7)[source % 2])]
    for result in results.values():
        for row in result["items"]:
            if row["suite"] == "loss":
                row["source"] = sources[int(row["id"].split("-")[1])]
    base = [row for row in results["base"]["items"] if row["suite"] == "loss"]
    for row, other in zip((row for row in results["lora"]["items"] if row["suite"] == "loss"), base, strict=True):
        row["nll"] = other["nll"] - row["tokens"] * (0.5 + 0.02 * (int(row["source"]) % 3))
    del results["lora"]["metrics"]["eval_loss"]
    cell = module.compare(results, **OPTIONS)["lora"]["eval_loss"]
    assert cell["verdict"] == "better" and cell["resamples"] > 20_000
    assert cell["detectable_adjusted"] < -cell["difference"]
    few = [{"id": str(n), "suite": "loss", "source": str(n // 20), "tokens": 10, "nll": 10.0} for n in range(60)]
    for result in results.values():
        result["items"] = [row for row in result["items"] if row["suite"] != "loss"] + few
        result["metrics"].pop("eval_loss", None)
    assert module.compare(results, **OPTIONS)["lora"]["eval_loss"]["detectable_adjusted"] is None


def test_a_suite_without_items_is_left_out() -> None:
    results = made_results()
    for result in results.values():
        result["items"] = [row for row in result["items"] if row["suite"] != "agent"]
    table = module.compare(results, **OPTIONS)
    assert "agent" not in table["suites"]
    assert "agent" not in table["lora"]
    row = module.summary_rows(results, table)[0]
    assert row["agent"] == row["agent_low"] == row["agent_verdict"] == ""
    assert "| agent" not in result_tables.methods({name: one["metrics"] for name, one in results.items()}, table)


def test_base_alone() -> None:
    results = {"base": made_results()["base"]}
    table = module.compare(results, **OPTIONS)
    assert list(table) == ["suites"]
    assert table["suites"]["agent"]["tests"] == 0
    assert module.summary_rows(results, table)[0]["method"] == "base"
    assert result_tables.methods({"base": results["base"]["metrics"]}, table).count("\n| ") == 1


def test_summary_rows_make_a_csv() -> None:
    results = made_results(effect=0.5)
    table = module.compare(results, pairs=[("dpo", "lora")], **OPTIONS)
    summary = module.summary_rows(results, table)
    assert [row["method"] for row in summary] == list(results)
    assert len({tuple(row) for row in summary}) == 1
    base, dpo = summary[0], summary[3]
    assert base["eval_loss_verdict"] == ""
    assert (dpo["agent_verdict"], dpo["agent_valid_format"], dpo["agent_planning_valid_format"]) == ("better", 1, 1)
    right = sum(row["correct"] for row in results["dpo"]["items"] if row["suite"] == "agent")
    assert dpo["agent"] == right / 60
    assert (dpo["agent_low"], dpo["agent_high"]) == wilson(right, 60)
    planning = [row["correct"] for row in results["dpo"]["items"] if row.get("axis") == "planning"]
    assert dpo["agent_planning"] == sum(planning) / 12
    assert (dpo["agent_planning_low"], dpo["agent_planning_high"]) == wilson(sum(planning), 12)
    assert dpo["trainable_parameters"] == 11520
    text = io.StringIO()
    writer = csv.DictWriter(text, summary[0])
    writer.writeheader()
    writer.writerows(summary)
    assert next(csv.DictReader(io.StringIO(text.getvalue())))["agent_tool_use"] != ""


def test_tables_of_the_readme() -> None:
    results = made_results(effect=0.5, methods=("lora", "dpo"))
    table = module.compare(results, pairs=[("dpo", "lora")], **OPTIONS)
    table = json.loads(json.dumps(table))
    text = result_tables.methods({name: one["metrics"] for name, one in results.items()}, table)
    lines = text.splitlines()
    assert len({line.count("|") for line in lines[:5]}) == 1
    assert lines[2].startswith("| base | ") and lines[2].endswith("| none | none |")
    cell = table["lora"]["agent"]
    assert f"{100 * cell['value']:.1f} %<br>+{100 * cell['difference']:.1f} points" in lines[3]
    assert "**better**" in lines[3] and "| 11,520 | 150 s |" in lines[3]
    assert "8 tests" in text and "95 % interval" in text and "n = 60" in text
    between = result_tables.pairs(table).splitlines()
    assert len({line.count("|") for line in between[:3]}) == 1
    assert between[2].startswith("| dpo against lora | ") and "no evidence" in between[2]
    assert "The 4 tests of this table" in between[-1]
    loss = table["lora"]["eval_loss"]
    assert f"{loss['value']:.3f}<br>\N{MINUS SIGN}{-loss['difference']:.3f} [" in lines[3]
    with pytest.raises(ValueError, match="'ia3'"):
        result_tables.methods({"base": {}, "ia3": {}}, table)


def test_a_public_benchmark_is_compared_item_by_item_after_our_suites() -> None:
    results = made_results()
    for number, result in enumerate(results.values()):
        right = np.arange(60) % 3 < number
        result["items"] += rows({"arc_easy": right}, np.array([]), np.array([]))
        result["items"].append({"id": "lm_eval-arc_easy", "suite": "lm_eval", "axis": "arc_easy", "value": 0.5})
        result["metrics"]["arc_easy"] = float(right.mean())
    table = module.compare(results, pairs=[("dpo", "lora")], **OPTIONS)
    assert list(table["lora"]) == module.compared(table) == [*module.METRICS, "arc_easy"]
    cell = table["dpo"]["arc_easy"]
    assert (cell["base"], cell["value"], cell["n"], cell["verdict"]) == (0, 1, 60, "better")
    assert (table["suites"]["arc_easy"]["tests"], table["suites"]["arc_easy"]["pair_tests"]) == (15, 5)
    summary = module.summary_rows(results, table)
    assert [row["arc_easy"] for row in summary] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    text = result_tables.methods({method: result["metrics"] for method, result in results.items()}, table)
    assert "| arc_easy (higher is better) |" in text and "arc_easy " in text.splitlines()[-1]
    results["lora"]["metrics"]["arc_easy"] = 0.9
    with pytest.raises(ValueError, match="arc_easy is 0.9000 in the metrics but 0.3333 over its items"):
        module.compare(results, **OPTIONS)


def seeded(seeds: int = 3) -> dict[str, dict]:
    """Return made results whose methods were trained several times; base, as ever, once."""
    results = made_results(effect=0.1)
    for number in range(1, seeds):
        other = made_results(effect=0.1, seed=0)
        rng = np.random.default_rng(number)
        for method in ("lora", "prompt_tuning", "dpo"):
            for row in other[method]["items"]:
                if row["suite"] == "loss":
                    row["nll"] += row["tokens"] * rng.normal(0, 0.05)
                else:
                    row["correct"] ^= bool(rng.random() < 0.1)
            results[method]["items"] += [row | {"seed": number} for row in other[method]["items"]]
    for result in results.values():
        result["metrics"] = {}
    return results


def test_training_seeds_are_draws_like_items() -> None:
    results = seeded()
    table = module.compare(results, pairs=[("dpo", "lora")], **OPTIONS)
    by_id = {(row.get("seed", 0), row["id"]): row["correct"] for row in results["lora"]["items"] if "correct" in row}
    base = {row["id"]: row["correct"] for row in results["base"]["items"] if "correct" in row}
    names = [f"agent-{index}" for index in range(60)]
    differences = [[by_id[seed, name] - base[name] for name in names] for seed in range(3)]
    cell, expected = table["lora"]["agent"], over_seeds_and_items(differences, **OPTIONS)
    assert {name: cell[name] for name in expected} == pytest.approx(expected)
    assert cell["difference"] == pytest.approx(np.mean(differences))
    assert (cell["n"], cell["seeds"]) == (60, 3)
    assert table["suites"]["agent"]["seeds"] == table["dpo_vs_lora"]["eval_loss"]["seeds"] == 3
    low, high = (module.summary_rows(results, table)[1][f"agent_{end}"] for end in ("low", "high"))
    assert low < cell["value"] < high
    for method in ("lora", "dpo"):
        results[method]["items"].reverse()
    assert module.compare(results, pairs=[("dpo", "lora")], **OPTIONS)["lora"]["agent"] == pytest.approx(cell)


def test_seeds_must_be_the_same_where_both_methods_have_several() -> None:
    results = seeded()
    for row in results["dpo"]["items"]:
        row["seed"] = row.get("seed", 0) + 5
    module.compare(results, **OPTIONS)  # base has one, which stands for each
    with pytest.raises(ValueError, match="train both with the same seeds"):
        module.compare(results, pairs=[("dpo", "lora")], **OPTIONS)
    results["lora"]["items"] = [
        row for row in results["lora"]["items"] if (row.get("seed"), row["id"]) != (1, "agent-3")
    ]
    with pytest.raises(ValueError, match="'agent-3' of agent is missing for method 'lora'"):
        module.compare(results, **OPTIONS)


def test_rows_of_one_source_are_one_draw() -> None:
    results = made_results(effect=0.1)
    plain = module.compare(results, **OPTIONS)["lora"]
    for result in results.values():
        for row in result["items"]:
            if row["suite"] == "loss":
                row["source"] = str(int(row["id"].split("-")[1]) // 5)
    table = module.compare(results, **OPTIONS)
    cell, facts = table["lora"]["eval_loss"], table["suites"]["eval_loss"]
    losses = {m: [r for r in results[m]["items"] if r["suite"] == "loss"] for m in ("base", "lora")}
    tokens = [row["tokens"] for row in losses["base"]]
    columns = ([row["nll"] / row["tokens"] for row in losses[method]] for method in ("base", "lora"))
    expected = paired_bootstrap(
        *columns, weights=tokens, clusters=np.arange(60) // 5, **OPTIONS | {"resamples": 100_000}
    )
    assert (
        cell["difference"] == pytest.approx(expected["difference"]) == pytest.approx(plain["eval_loss"]["difference"])
    )
    assert (cell["n"], cell["clusters"], facts["clusters"]) == (60, 12, 12)
    assert cell["high"] - cell["low"] == pytest.approx(expected["high"] - expected["low"], rel=0.1)
    assert "clusters" not in table["lora"]["agent"]
    metrics = {name: one["metrics"] for name, one in results.items()}
    assert "n = 60 from 12 sources" in result_tables.methods(metrics, table)
