"""Verified rows: which are taken, how many of each family, and what they are set against."""

from collections import Counter
from statistics import median

from test_verify import FAMILIES, constraint, made, names, sampled

from tuner import verify


def pool() -> dict[str, list[dict]]:
    return {"edited": made("edited"), "back_translated": made("back_translated")}


def balanced(by_origin, *, count, seed=0, **weights):
    return verify.balanced(by_origin, count=count, seed=seed, weights=weights)


def test_a_balanced_choice_gives_each_family_its_share():
    rows = balanced(pool(), count=40)
    assert len(rows) == 40
    assert len({row["instruction"] for row in rows}) == 40
    shares = Counter(name for row in rows for name in names(row))
    assert set(shares) == set(FAMILIES)
    assert max(shares.values()) - min(shares.values()) <= 4
    assert rows == balanced({name: list(reversed(some)) for name, some in pool().items()}, count=40)
    assert rows != balanced(pool(), count=40, seed=1)


def test_a_balanced_choice_gives_more_to_what_weighs_more():
    shares = Counter(name for row in balanced(pool(), count=100, no_commas=0.2, lowercase=0.2) for name in names(row))
    others = [shares[family] for family in FAMILIES if family not in ("no_commas", "lowercase")]
    assert 0 < 2 * max(shares["no_commas"], shares["lowercase"]) <= median(others)


def test_a_family_is_needed_as_much_as_the_model_fails_it():
    _, flagged = verify.judged(
        [
            sampled(("They collect nectar and dry it.", "stop"), ("They collect, and dry it.", "stop")),
            sampled(("They collect nectar and dry it", "length"), ("", "stop"), added=[constraint("no_commas")]),
        ]
    )
    assert verify.need(flagged) == {"fewer_words": 1 / 4, "no_commas": 3 / 6}
    assert verify.need([]) == {}


def test_an_edited_answer_is_set_against_its_draft():
    rows = [*made("edited", families=["lowercase", "no_commas"]), *made("back_translated")]
    found = verify.contrasts(rows)
    assert len(found) == sum(row["origin"] == "edited" for row in rows) > 0
    for row, edited in zip(found, rows, strict=False):
        after, before = row["answers"]
        assert after["passed"] and all(after["met"])
        assert after["text"] == edited["response"] and row["prompt"][0]["content"] == edited["instruction"]
        assert not before["passed"] and before["text"] != after["text"]
        assert before["text"].lower().replace(",", "")[:9] == after["text"].lower().replace(",", "")[:9]
    assert verify.need(found) == {}  # nobody sampled them


def test_a_balanced_choice_takes_origins_and_sources_in_turn():
    def row(origin, number):
        added = [constraint("no_commas")]
        return {
            "id": f"{number}-{origin}-no_commas-{number}",
            "source": number % 3,
            "origin": origin,
            "constraints": added,
            "instruction": f"Question {origin} {number}",
            "response": "Answer",
        }

    supply = {name: [row(name, number) for number in range(30)] for name in "ab"}
    for seed in range(5):
        rows = balanced(supply, count=6, seed=seed)
        assert [row["origin"] for row in rows] == list("ababab")
        assert {row["source"] for row in rows if row["origin"] == "a"} == {0, 1, 2}


def test_a_balanced_choice_ends_with_the_supply_and_never_repeats_a_prompt():
    rows = made("edited")
    twin = [{**row, "id": f"{row['id']}-twin"} for row in rows]
    assert len(balanced({"edited": rows, "twin": twin}, count=10_000)) == len({row["instruction"] for row in rows})
    assert balanced({"edited": []}, count=5) == []


def test_the_report_counts_rows_families_and_passes():
    kept, flagged = verify.judged(
        [
            sampled(("They collect nectar and dry it.", "stop"), ("They collect, and dry it.", "stop")),
            sampled(("They collect nectar and dry it", "length"), ("", "stop"), added=[constraint("no_commas")]),
        ]
    )
    found = verify.report(kept, flagged)
    assert found["rows"] == 1
    assert found["mean_words"] == 6
    assert found["origin"] == {"sampled": 1}
    assert found["family"] == {"fewer_words": {"sampled": 1}, "no_commas": {"sampled": 1}}
    assert found["pass_share"] == {"fewer_words": 1.0, "no_commas": 0.5}
    assert found["pass_share_all"] == 0.25
    assert verify.report([], [])["mean_words"] == 0.0
