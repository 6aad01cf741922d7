"""The report for people: what it says follows from the numbers it is given, in every language alike."""

import copy
import functools
import re
from collections import Counter
from string import Formatter
from typing import get_args

import pytest
from closure import ROOT
from test_compare import made_results

from tuner import compare, params, report, report_details
from tuner.metrics import AGENT_AXES
from tuner.report_phrases import PHRASES

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
LANGUAGES = pytest.mark.parametrize("language", PHRASES)


def record(method: str, **train) -> dict:
    return {
        "run_info": {"method": method},
        "train_info": {
            "rows": 340,
            "train_seconds": 150.0,
            "trainable_parameters": 11520,
            "total_parameters": 1_011_520,
            "adapter_megabytes": 0.046,
            **train,
        },
        "meta_info": {"device": "cpu", "device_name": "A processor", "threads": 2, "dtype": "float32"},
    }


@functools.cache
def compared(effect: float) -> tuple[dict, dict]:
    """Return (results, comparison) of test_compare's made results, with the shares of the agent axes."""
    results = made_results(effect=effect)
    for number, result in enumerate(results.values()):
        result["metrics"] |= {f"agent_{axis}": 0.125 * number for axis in AGENT_AXES}
        result["metrics"] |= {"reply_tokens": 80.0 - number, "never_stops": 0.25, "distinct_2": None}
        result["metrics"] |= {"forgetting": 0.01 * number, "win_rate": None, "win_rate_length_controlled": None}
        result["metrics"] |= {"preference_accuracy": 0.5 + 0.1 * number, "valid_format": 0.5, "knowledge_raw": 0.25}
        for row in result["items"]:
            if row["suite"] == "knowledge":
                row["choices"] = ["a", "b", "c", "d"]
    return results, compare.compare(results, pairs=[("dpo", "lora")], seed=1, resamples=2000, alpha=0.05)


def secondary(comparison: dict) -> dict:
    """Return what `secondary.compare` does, the same for each comparison."""

    def cell(key: str, n: int, difference: float, base: float = 0.25) -> dict:
        start = next(iter(comparison[key].values()))["reference"]
        return {
            "reference": start,
            "base": base,
            "value": base + difference,
            "difference": difference,
            "low": difference - 0.01,
            "high": difference + 0.01,
            "n": n,
        }

    return {
        key: {
            "reply_tokens": cell(key, 325, -8.0, 80.0),
            "never_stops": cell(key, 325, 0.125),
            "valid_format": cell(key, 80, 0.005),
            "knowledge_raw": cell(key, 60, -0.02),
            "forgetting": cell(key, 14, 0.042, 0.0),
            "preference_accuracy": {"value": 0.7, "low": 0.61, "high": 0.79, "n": 30, "clusters": 9},
            "followed_seen": cell(key, 20, 0.15),
            "followed_unseen": cell(key, 40, -0.005),
            "followed_loosely": cell(key, 60, 0.1),
            "followed_by_family": cell(key, 60, 0.1) | {"clusters": 11},
        }
        for key in (*compare.contrasts(comparison), "dpo_vs_lora")
    }


def inputs(effect: float = 0.0, **records) -> dict:
    """Return the arguments of `report.page` but its settings; `effect` as in test_compare."""
    results, comparison = compared(effect)
    found = {"lora": record("lora"), "prompt_tuning": record("prompt_tuning"), "dpo": record("dpo", rows=18)} | records
    found["dpo"]["run_info"]["start"] = "lora"
    return {
        "generator": "tiny-1",
        "student": "tiny-1",
        "seed": 7,
        "comparison": copy.deepcopy(comparison),
        "metrics": {method: dict(result["metrics"]) for method, result in results.items()},
        "secondary": secondary(comparison),
        "records": found,
        "counts": {"in": 250, "kept": 100, "train": 85, "validation": 15},
        "verified": {"rows": 255},
    }


def details(found: dict, language: str = "en") -> str:
    """Return the second page for the same inputs."""
    told = {name: found[name] for name in ("comparison", "metrics", "secondary")}
    return report_details.page(settings(language), engines=dict.fromkeys(found["metrics"], "openvino"), **told)


def settings(language: str = "en", price: float = 0.0) -> params.Compare:
    return params.Compare(resamples=2000, alpha=0.05, price_per_hour=price, language=language)


def section(page: str, title: str) -> str:
    return re.search(rf"^## {re.escape(PHRASES['en'][title])}\n(.*?)(?=^## |\Z)", page, re.M | re.S)[1]


def leaning() -> dict:
    """Return inputs where one interval excludes 0 without a verdict."""
    found = inputs(0.5)
    found["comparison"]["lora"]["agent"] |= {
        "verdict": "no evidence",
        "difference": -0.079,
        "low": -0.142,
        "high": -0.019,
    }
    return found


SITUATIONS = {
    "nothing is clear": (inputs, 0.0),
    "everything is better": (lambda: inputs(0.5), 0.0),
    "everything is worse": (lambda: inputs(-0.28), 0.0),
    "an interval without 0": (leaning, 0.0),
    "with prices": (inputs, 1.25),
    "hours, joules and a dear machine": (
        lambda: inputs(lora=record("lora", train_seconds=9000.0, energy_joules=360_000)),
        99.0,
    ),
    "another generator": (lambda: inputs() | {"generator": "large-3b"}, 0.0),
}


def test_every_language_has_the_same_phrases_with_the_same_fields():
    fields = {
        language: {
            key: Counter(name for _, name, _, _ in Formatter().parse(text) if name is not None)
            for key, text in phrases.items()
        }
        for language, phrases in PHRASES.items()
    }
    for language, found in fields.items():
        assert found == fields["en"], language


def test_every_phrase_of_words_is_translated():
    for key in PHRASES["en"].keys() - {"points", "change", "to"}:  # %p, an arrow, a tilde
        text = PHRASES["ko"][key]
        words = re.sub(r"\{\w+\}|`[^`]*`", "", PHRASES["en"][key])
        if re.search(r"[a-z]{3}", words):
            assert re.search("[가-힣]", text), key


def test_the_languages_of_params_are_those_of_the_phrases():
    assert set(get_args(params.Compare.model_fields["language"].annotation)) == set(PHRASES)
    assert params.load(ROOT / "params.yaml").compare.language == "en"


@pytest.mark.parametrize("name", SITUATIONS)
def test_every_language_states_the_same_numbers(name):
    made, price = SITUATIONS[name]
    found = made()
    pages = {
        language: report.page(settings(language, price), **found) + details(found, language) for language in PHRASES
    }
    numbers = {language: Counter(NUMBER.findall(page)) for language, page in pages.items()}
    assert sum(numbers["en"].values()) > 100
    for language in PHRASES:
        assert numbers[language] == numbers["en"]
        assert not re.search(r"[{}]", pages[language])
    assert len(set(pages.values())) == len(PHRASES)


def test_the_details_say_which_engine_wrote_whose_replies():
    found = inputs()
    told = {name: found[name] for name in ("comparison", "metrics", "secondary")}
    engines = {"base": "openvino", "lora": "openvino", "dpo": "transformers"}
    page = report_details.page(settings(), engines=engines, **told)
    assert "\n\nReplies by openvino: `base`, `lora`; Replies by transformers: `dpo`.\n\n" in page


@LANGUAGES
def test_the_same_inputs_give_the_same_page_and_are_left_alone(language):
    found = inputs(0.5)
    before = copy.deepcopy(found)
    assert report.page(settings(language, 1.0), **found) == report.page(settings(language, 1.0), **before)
    assert found == before


@LANGUAGES
def test_tables_have_as_many_cells_in_each_row(language):
    found = inputs(lora=record("lora", energy_joules=7200))
    page = report.page(settings(language, 1.0), **found) + "\n" + details(found, language)
    tables = [block.splitlines() for block in page.split("\n\n") if block.startswith("| ")]
    assert len(tables) == 7
    for lines in tables:
        assert len({line.count("|") for line in lines}) == 1


def test_what_was_run_is_said():
    page = section(report.page(settings(), **inputs()), "run")
    for part in (
        "`tiny-1`, 1,000,000 parameters. It wrote its own",
        "250 pairs",
        "100 (40.0 %)",
        "85 to train on, 15 kept back",
        "255 to train on, 45 for validation",  # the made results hold 60 rows of validation loss
        "`lora`, `prompt_tuning`: 340 rows; `dpo`: 18 pairs",
        "going on from `lora`",
        "seed 7",
        "**knowledge** (60 items): questions about facts, with choices. Guessing gets 25.0 % right.",
        "checks by code and a reward model of this pipeline have decided, no person",
        "A processor (cpu, threads: 2, float32)",
    ):
        assert part in page
    other = section(report.page(settings(), **inputs() | {"generator": "large-3b"}), "run")
    assert "written by `large-3b`" in other and "its own" not in other


def test_verdicts_are_those_of_the_comparison():
    found = inputs(0.5)
    better = [
        (key, metric)
        for key in compare.contrasts(found["comparison"])
        for metric, cell in found["comparison"][key].items()
        if cell["verdict"] == "better"
    ]
    assert len(better) == 12  # every method against base; DPO and LoRA gained alike
    page = report.page(settings(), **found)
    assert "Of the 12 comparisons, 12 came out better and 0 worse; the other 0" in page
    assert "In 4 more comparisons, of the methods with each other, none was shown to be better" in page
    assert "that is so for the kinds of constraint that the training data have" in page
    found["comparison"]["dpo_vs_lora"]["agent"]["verdict"] = "worse"
    found["secondary"]["lora"]["followed_unseen"] |= {"low": 0.01, "high": 0.2}
    other = report.page(settings(), **found)
    assert "each other, `dpo` was worse than `lora` in agent." in other and "that is so for" not in other
    lines = [line for line in section(page, "got_better").splitlines() if line.startswith("- ")]
    assert sorted(lines) == sorted(
        next(line for line in lines if line.startswith(f"- `{key}`, {PHRASES['en'][metric]}:"))
        for key, metric in better
    )
    assert "Nothing that these items can prove" in section(page, "got_worse")
    assert "no method was shown to be" not in page
    agent = found["comparison"]["lora"]["agent"]
    assert f"from {100 * agent['base']:.1f} % to {100 * agent['value']:.1f} %" in page
    worse = report.page(settings(), **inputs(-0.28))
    assert section(worse, "got_worse").count("\n- `") == 12
    assert "Nothing that these items can prove." in section(worse, "got_better")


def test_no_evidence_is_explained_with_what_could_have_been_found():
    found = inputs()
    page = report.page(settings(), **found)
    assert "the other 12 are not decided" in page
    assert "(instruction following, knowledge, agent) no method was shown to be better or worse" in page
    told = section(page, "cannot")
    cells = [found["comparison"][key]["agent"] for key in ("lora", "prompt_tuning", "dpo")]
    assert f"agent {100 * cells[0]['detectable_adjusted']:.1f} points (n = 60)" in told  # alike for all three
    assert "does not mean that the methods are equally good" in told
    row = next(line for line in section(details(found), "findable").splitlines() if line.startswith("| `lora` |"))
    assert f"| {100 * cells[0]['detectable_adjusted']:.1f} ({100 * cells[0]['detectable']:.1f}) |" in row
    cells[2]["detectable_adjusted"] = 0.5
    assert f"agent {100 * cells[0]['detectable_adjusted']:.1f} to 50.0 points" in report.page(settings(), **found)
    cells[0]["detectable_adjusted"] = None
    assert "agent none: too few items (n = 60)" in section(report.page(settings(), **found), "cannot")
    assert "| none: too few items (" in section(details(found), "findable")


def test_an_interval_without_zero_and_without_verdict_is_named():
    assert "Not proven" not in report.page(settings(), **inputs(0.5))
    told = section(report.page(settings(), **leaning()), "cannot")
    assert "`lora`, agent (\N{MINUS SIGN}7.9 points [\N{MINUS SIGN}14.2, \N{MINUS SIGN}1.9])" in told
    assert "Of the 12 comparisons 12 have a range that leaves out 0" in told and "0.6 would by luck" in told


def test_axes_without_a_right_item_are_named():
    found = inputs()
    assert "single item right" not in report.page(settings(), **found)
    for one in found["metrics"].values():
        one["agent_tool_use"] = 0
    assert "got a single item right in: tool use." in report.page(settings(), **found)


def test_costs_add_up_and_a_start_is_counted_once():
    trained = {"train_seconds": 300.0, "energy_joules": 7200}
    found = inputs(lora=record("lora", **trained), dpo=record("dpo", rows=18, train_seconds=60.0, energy_joules=3600))
    rows = section(report.page(settings(price=12.0), **found), "cost")
    assert "| `lora` | 11,520 | 1.15 % | 0.05 MB | 300 s | 1.00 | 2.00 Wh |" in rows
    assert "| `prompt_tuning` | 11,520 | 1.15 % | 0.05 MB | 150 s | 0.5000 |  |" in rows
    assert "| `dpo` | 11,520 | 1.15 % | 0.05 MB | 360 s | 1.20 | 3.00 Wh |" in rows
    assert "All training together: 510 s, price 1.70." in rows  # no energy: one method has not recorded it
    found["records"]["prompt_tuning"]["train_info"]["energy_joules"] = 3600
    assert "All training together: 510 s, price 1.70, 4.00 Wh." in report.page(settings(price=12.0), **found)
    free = section(report.page(settings(), **inputs()), "cost")
    assert "price" not in free and "energy" not in free


def test_energy_of_a_method_is_left_out_where_its_start_has_none():
    dpo = record("dpo", rows=18, train_seconds=60.0, energy_joules=3600)
    assert not re.search(r"\d Wh", report.page(settings(), **inputs(dpo=dpo)))
    page = report.page(settings(), **inputs(dpo=dpo, prompt_tuning=record("prompt_tuning", energy_joules=3600)))
    assert "| `dpo` | 11,520 | 1.15 % | 0.05 MB | 210 s |  |" in page
    assert len(re.findall(r"\d Wh", page)) == 1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda found: found["metrics"].pop("base"), "metrics of base"),
        (lambda found: found["secondary"].pop("lora"), "'lora' has metrics but is missing in the secondary measures"),
        (lambda found: found["comparison"].pop("dpo"), "'dpo' has metrics but is missing in the comparison"),
        (lambda found: found["records"].pop("lora"), "'lora' has metrics but is missing in the training records"),
        (lambda found: found["records"]["lora"]["train_info"].pop("rows"), "record of 'lora' has no rows"),
        (lambda found: found["counts"].pop("kept"), "filter counts have no 'kept'"),
        (lambda found: found["verified"].clear(), "verified counts have no 'rows'"),
    ],
)
def test_a_missing_input_is_refused(spoil, message):
    found = inputs()
    spoil(found)
    with pytest.raises(ValueError, match=message):
        report.page(settings(), **found)


@LANGUAGES
def test_a_public_benchmark_has_its_own_name(language):
    given = inputs(0.3)
    for cells in given["comparison"].values():
        cells |= {name: copy.deepcopy(cells["knowledge"]) for name in ("arc_easy", "bfcl", "ifbench")}
    page = report.page(settings(language), **given)
    n = given["comparison"]["suites"]["arc_easy"]["n"]
    for name, about in (("arc_easy", "benchmark"), ("bfcl", "bfcl"), ("ifbench", "ifbench")):  # two are not lm-eval's
        assert PHRASES[language][f"about_{about}"].format(metric=f"**`{name}`**", n=n) in page
    assert "| `arc_easy`<br>(" in page and "`arc_easy`" in page.split("\n## ")[0]


def test_secondary_measures_have_ranges_and_no_verdict():
    found = inputs()
    told = section(details(found), "beside")
    assert (
        "No verdict is drawn" in details(found)
        and "14 windows" in told
        and "30 validation pairs (from 9 sources)" in told
        and "No judge is named" in told
    )
    row = next(line for line in told.splitlines() if line.startswith("| `lora` |")).replace("\N{MINUS SIGN}", "-")
    dash = "\N{EN DASH}"
    assert row == (
        "| `lora` | 72.0<br>-8.0 [-8.0, -8.0] | 37.5 %<br>+12.5 [+11.5, +13.5] | 25.5 %<br>+0.5 [-0.5, +1.5] | "
        f"23.0 %<br>-2.0 [-3.0, -1.0] | {dash} | 0.042<br>+0.042 [+0.032, +0.052] | 70.0 %<br>[61.0, 79.0] |"
    )
    worse = section(report.page(settings(), **found), "got_worse").replace("\N{MINUS SIGN}", "-")
    assert "nats per token): `lora` +0.042 [+0.032, +0.052], `prompt_tuning`" in worse
    assert "length of the choices (points): `lora` -2.0 [-3.0, -1.0]" in worse
    assert "form that was asked for" not in worse  # its range holds 0
    for method in ("lora", "prompt_tuning", "dpo"):
        for name in ("forgetting", "never_stops", "knowledge_raw"):
            found["secondary"][method][name] |= {"low": -0.1, "high": 0.1}
    assert "Beside these comparisons" not in report.page(settings(), **found)
    for name, one in found["metrics"].items():
        one["win_rate"] = one["win_rate_length_controlled"] = 0.5 if name == "base" else 0.6
    for cells in found["secondary"].values():
        cells["win_rate_length_controlled"] = {"reference": "base", "value": 0.61, "low": 0.55, "high": 0.67, "n": 285}
    judged = section(details(found), "beside")
    assert "| 61.0 %<br>[55.0, 67.0] |" in judged and "No judge" not in judged


def test_families_of_constraints_stand_apart():
    found = inputs()
    told = section(details(found), "followed").replace("\N{MINUS SIGN}", "-")
    assert "families trained on (n = 20)" in told and "anew (n = 60 from 11 sources)" in told
    assert "| `base` | 25.0 % | 25.0 % | 25.0 % | 25.0 % |" in told
    assert "| `lora` | 40.0 %<br>+15.0 [+14.0, +16.0] | 24.5 %<br>-0.5 [-1.5, +0.5] | 35.0 %<br>+10.0 [" in told
    assert "| `dpo` against `lora` | +15.0 [+14.0, +16.0] |" in told
    assert "these 11 kinds of constraint" in report.page(settings(), **found)
    for cells in found["secondary"].values():
        del cells["followed_unseen"]
    assert "other families (" not in details(found)


def test_several_training_seeds_are_said():
    found = inputs()
    assert "trained once (seed 7)" in report.page(settings(), **found)
    for facts in found["comparison"]["suites"].values():
        facts["seeds"] = 3
    page = report.page(settings(), **found)
    assert "trained 3 times" in page and "on the training seed" in page and "was not measured" not in page
