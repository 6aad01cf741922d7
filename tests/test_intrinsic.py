"""Measures of the replies, of forgetting and of a judge's preference, each against a value worked out another way."""

import math
from itertools import pairwise
from random import Random

import numpy as np
import pytest

from tuner import general_text, intrinsic, secondary, win_rate
from tuner.errors import UserError


def reply(name: str, text: str, *, finish: str = "stop", tokens: int = 5, **more: object) -> dict:
    row = {"id": name, "suite": "instruction_following", "reply": text, "finish": finish, "reply_tokens": tokens}
    return row | more


def window(name: str, nll: float, tokens: int = 10) -> dict:
    return {"id": name, "suite": "general_text", "nll": nll, "tokens": tokens}


TEXT = " ".join(f"word{number}" for number in range(40))


def rows(nll: float = 20.0, **more: object) -> list[dict]:
    return [
        reply("a", TEXT, tokens=10, **more),
        reply("b", TEXT, finish="length", tokens=20, **more),
        {"id": "c", "suite": "agent", "reply": "yes", "finish": "stop", "reply_tokens": 3, "valid_format": True},
        {"id": "d", "suite": "ifbench", "reply": TEXT, "finish": "length", "reply_tokens": 500},
        {"id": "e", "suite": "knowledge", "correct_raw": True},
        {"id": "f", "suite": "knowledge", "correct_raw": False},
        window("w1", nll),
        window("w2", 2 * nll, 30),
    ]


def test_measures_of_rows() -> None:
    found = intrinsic.of_rows(rows(nll=24.0), rows(nll=20.0))
    assert found["reply_tokens"] == 11
    assert found["never_stops"] == round(1 / 3, 4)
    assert found["forgetting"] == pytest.approx((24 - 20) * 3 / 40)  # nats of both windows over their 40 tokens
    assert found["win_rate"] is found["win_rate_length_controlled"] is None
    assert intrinsic.of_rows(rows(), rows())["forgetting"] == 0


def test_distinct_2_is_the_mean_over_draws() -> None:
    replies = ["a b a b c a b", "c a b d e a b a b"]
    bigrams = [pair for text in replies for pair in pairwise(text.split())]
    rng = Random(0)
    drawn = [len(set(rng.sample(bigrams, 6))) / 6 for _ in range(20000)]
    assert intrinsic.distinct_2(replies, 6) == pytest.approx(float(np.mean(drawn)), abs=0.005)
    assert intrinsic.distinct_2(replies, len(bigrams)) == round(len(set(bigrams)) / len(bigrams), 4)
    assert intrinsic.distinct_2(replies, len(bigrams) + 1) is None
    assert intrinsic.distinct_2([], 0) is None


def test_distinct_2_does_not_punish_length() -> None:
    """Twice as much of the same kind of text has fewer distinct bigrams a bigram, and the same measure."""
    rng = np.random.default_rng(1)
    short, long = (" ".join(f"w{one}" for one in rng.integers(0, 40, size)) for size in (2000, 8000))

    def plain(text: str) -> float:
        return len(set(pairwise(text.split()))) / len(text.split())

    assert plain(long) < 0.6 * plain(short)
    assert intrinsic.distinct_2([long], 500) == pytest.approx(intrinsic.distinct_2([short], 500), rel=0.03)


def test_judgements_are_paired_with_the_base() -> None:
    base = [reply("a", "x", tokens=5, judge_score=1.0), reply("b", "x", tokens=5, judge_score=2.0)]
    mine = [reply("b", "y", tokens=9, judge_score=2.0), reply("a", "y", tokens=4, judge_score=3.0)]
    assert intrinsic.judgements(mine, base) == [(0.5, 4), (1.0, -1)]
    assert intrinsic.judgements(base, base) == [(0.5, 0), (0.5, 0)]
    with pytest.raises(ValueError, match="other items"):
        intrinsic.judgements(mine[:1], base)


def judged(intercept: float, slope: float, n: int, rng: np.random.Generator) -> list[tuple[float, float]]:
    longer = rng.normal(20, 40, n)
    chance = 1 / (1 + np.exp(-(intercept + slope * np.tanh(longer / longer.std()))))
    return list(zip((rng.random(n) < chance).astype(float), longer, strict=True))


def test_length_control_finds_the_win_rate_of_equal_length() -> None:
    """A judge that likes length alone: the plain win rate is far above 0.5, the controlled one is at it."""
    found = judged(0.0, 2.0, 20000, np.random.default_rng(2))
    assert np.mean([won for won, _ in found]) > 0.6
    controlled = win_rate.length_controlled(found)
    assert controlled["win_rate"] == pytest.approx(0.5, abs=0.02)
    assert controlled["low"] < 0.5 < controlled["high"]


def test_coverage_of_the_controlled_win_rate() -> None:
    rng, truth = np.random.default_rng(3), 1 / (1 + math.exp(-0.4))
    found = [win_rate.length_controlled(judged(0.4, 1.0, 285, rng)) for _ in range(400)]
    assert 0.92 <= np.mean([one["low"] <= truth <= one["high"] for one in found]) <= 0.98


def test_controlled_win_rate_at_the_ends() -> None:
    assert win_rate.length_controlled([(0.5, 0)] * 20)["win_rate"] == pytest.approx(0.5)
    always = win_rate.length_controlled([(1.0, 3)] * 19)
    assert always["win_rate"] == pytest.approx(19.5 / 20, abs=1e-4)  # half a loss was added
    assert 0.5 < always["low"] < always["high"] < 1


def test_general_text_is_the_pinned_prose() -> None:
    text = general_text.text()
    assert 2000 < len(text.split()) < 10000
    assert not any(mark in text for mark in ("====", ">>>", "::"))


def test_another_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(general_text, "SHA256", "f" * 64)
    with pytest.raises(UserError, match="install the versions of requirements.txt"):
        general_text.text()


def test_windows_hold_every_token_once(tokenizer) -> None:
    seen = []

    def scored(pairs, name):
        seen.extend(pairs)
        return [-1.0 * len(completion) for _, completion in pairs]

    found = general_text.rows(tokenizer, scored)
    whole = tokenizer.encode(general_text.text(), add_special_tokens=False)
    assert [one for prompt, completion in seen for one in prompt + completion] == whole
    assert all(len(prompt) == 1 and len(completion) < general_text.WINDOW_TOKENS for prompt, completion in seen)
    assert [row["nll"] for row in found] == [row["tokens"] for row in found]
    assert len({row["id"] for row in found}) == len(found)


def test_families_that_training_has_are_told_from_others() -> None:
    def answered(*correct: int) -> dict:
        items = [
            reply(f"{axis}-{n}", TEXT) | {"axis": axis, "correct": n < count, "correct_loose": True}
            for axis, count in zip(("title", "quoted"), correct, strict=True)
            for n in range(10)
        ]
        return {"items": [*rows(), *items]}

    options = {"seed": 0, "resamples": 500, "alpha": 0.05}
    results = {"base": answered(4, 5), "lora": answered(9, 3)}
    found = secondary.compare(results, families=["title"], pairs=[("lora", "base")], **options)
    assert found["lora"] == found["lora_vs_base"]
    seen, unseen, loosely, drawn = (found["lora"][name] for name in secondary.FOLLOWED)
    assert (seen["base"], seen["value"], seen["difference"], seen["n"]) == (0.4, 0.9, 0.5, 10)
    assert (unseen["base"], unseen["value"], unseen["n"]) == (0.5, 0.3, 10)
    assert unseen["low"] < -0.2 < unseen["high"] and seen["low"] > 0
    assert (loosely["value"], loosely["difference"], loosely["n"]) == (1.0, 0.0, 20)
    assert (drawn["base"], drawn["value"], drawn["clusters"]) == (0.45, 0.6, 2)
    assert drawn["low"] < -0.19 and drawn["high"] > 0.49  # one family gained, one lost: nothing can be said of others
    every = secondary.compare(results, families=["title", "quoted"], **options)["lora"]
    assert "followed_unseen" not in every and every["followed_seen"]["n"] == 20


def test_preference_pairs_learned_are_counted_by_source() -> None:
    def told(*margins: float) -> dict:
        names = ["7", "7-sampled-title", "12", "12-edited-quoted", "31"]
        pairs = [
            {"id": f"preference-{name}", "suite": "preference", "logp_chosen": -9.0 + margin, "logp_rejected": -9.0}
            for name, margin in zip(names, margins, strict=True)
        ]
        return {"items": [*rows(), *pairs]}

    results = {"base": told(1, 2, -3, 0, 0), "lora": told(2, 2, -1, -1, 4), "dpo": told(*[5] * 5)}
    found = secondary.compare(results, families=["title"], pairs=[("dpo", "lora")], seed=0, resamples=500, alpha=0.05)
    lora = found["lora"]["preference_accuracy"]
    assert (lora["value"], lora["n"], lora["clusters"]) == (3.5 / 5, 5, 3)  # three gained, one the same, one lost
    assert 0 <= lora["low"] <= 0.5 < lora["value"] < lora["high"] <= 1 and "difference" not in lora
    assert found["dpo_vs_lora"]["preference_accuracy"]["value"] == 1
    assert found["dpo"]["preference_accuracy"]["low"] > 0.5


def test_secondary_differences_are_paired() -> None:
    base, mine = rows(judge_score=0.0), rows(nll=22.0, judge_score=1.0)
    mine[1] |= {"finish": "stop", "reply_tokens": 12}
    found = secondary.compare(
        {"base": {"items": base}, "lora": {"items": mine}},
        families=["title"],
        seed=0,
        resamples=500,
        alpha=0.05,
    )["lora"]
    measures = {"reply_tokens", "never_stops", "valid_format", "knowledge_raw", "forgetting"}
    assert set(found) == measures | {"win_rate_length_controlled"}  # there are no pairs and no items with a verdict
    assert found["reply_tokens"]["difference"] == pytest.approx(-8 / 3)  # without the reply of another suite
    assert found["reply_tokens"]["value"] == pytest.approx((10 + 12 + 3) / 3)
    assert found["never_stops"]["difference"] == pytest.approx(-1 / 3)
    assert found["forgetting"]["difference"] == pytest.approx(2 * 3 / 40)
    assert found["win_rate_length_controlled"]["value"] > 0.5
    assert not any("p" in cell or "verdict" in cell for cell in found.values())
    second = [row | {"seed": 1, "finish": "stop"} if "finish" in row else row | {"seed": 1} for row in mine]
    twice = {"base": {"items": base}, "lora": {"items": [*mine, *second]}}
    again = secondary.compare(twice, families=["title"], seed=0, resamples=500, alpha=0.05)["lora"]
    assert again == found  # the first seed's rows, of the judge, too
    with pytest.raises(ValueError, match="'c' was evaluated for one"):
        secondary.compare(
            {"base": {"items": base}, "lora": {"items": [row for row in mine if row["id"] != "c"]}},
            families=["title"],
            seed=0,
            resamples=500,
            alpha=0.05,
        )
