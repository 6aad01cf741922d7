"""Preference pairs: which two answers each policy takes, and no prompt is lost without a reason."""

import random
from statistics import fmean

import pytest

from tuner import data, prefer
from tuner.params import Prefer

SCORED = ("max_min", "margin", "mean_minus_2_sigma", "rip")
MEANS = ("mean_margin", "mean_words_chosen", "mean_words_rejected")


def settings(policy: str = "max_min", margin: float = 0.5, reward=0.0, words=0.0, widest=1.0, verified=0) -> Prefer:
    """Return settings; the quantiles of rip are off."""
    return Prefer(
        policy=policy,
        verified_pairs=verified,
        min_margin=margin,
        rip_rejected_reward=reward,
        rip_rejected_words=words,
        rip_margin=widest,
    )


def answer(text: str, reward: float, finish: str = "stop") -> dict:
    return {"text": text, "finish": finish, "reward": reward}


def judged(text: str, *met: bool, finish: str = "stop") -> dict:
    return {"text": text, "finish": finish, "met": list(met), "passed": all(met) and finish == "stop"}


def row(*answers: dict, name: str = "r1", split: str = "train") -> dict:
    prompt = [{"role": "user", "content": f"question {name}"}]
    return {"id": name, "split": split, "prompt": prompt, "answers": list(answers)}


def pairs(*rows: dict, **chosen) -> tuple[list[dict], dict]:
    """Return the pairs of rows whose other source has nothing to offer."""
    how = settings(**chosen)
    return prefer.pairs([], rows, how) if how.policy == "verified" else prefer.pairs(rows, [], how)


def texts(pair: dict) -> tuple[str, str]:
    return pair["chosen"][0]["content"], pair["rejected"][0]["content"]


def taken(*answers: dict, **chosen) -> tuple[str, str]:
    """Return (chosen, rejected) of a prompt that gives a pair."""
    ((pair,), _) = pairs(row(*answers), **chosen)
    return texts(pair)


def dropped(*answers: dict, **chosen) -> str:
    """Return the one reason for which a prompt of these answers is dropped."""
    kept, counts = pairs(row(*answers), **chosen)
    assert kept == []
    (reason,) = [reason for reason in prefer.REASONS if counts[f"dropped_{reason}"]]
    return reason


def random_row(rng: random.Random, number: int) -> dict:
    """Return a row of up to seven answers, some of them cut, empty or twins (the same text has the same reward)."""
    rewards = {text: round(rng.gauss(0, 1), 3) for text in ("", "x", "y y", "z z z", "u", "v v", "w w w")}
    names = rng.choices(list(rewards), k=rng.randrange(8))
    answers = [answer(text, rewards[text], rng.choice(["stop", "stop", "length"])) for text in names]
    return row(*answers, name=f"r{number}", split=rng.choice(["train", "validation"]))


def random_request(rng: random.Random, number: int) -> dict:
    answers = [
        judged(
            rng.choice(["", "x", "y", "z"]),
            rng.random() < 0.7,
            rng.random() < 0.7,
            finish=rng.choice(["stop", "length"]),
        )
        for _ in range(rng.randrange(5))
    ]
    return row(*answers, name=f"r{number}", split=rng.choice(["train", "validation"]))


def test_a_pair_is_the_best_answer_against_the_worst():
    scored = row(answer("good", 1.0), answer("best", 2.0), answer("worst", -1.0), answer("poor", 0.0))
    kept, _ = pairs(scored)
    assert kept == [
        {
            "id": "r1",
            "split": "train",
            "prompt": [{"role": "user", "content": "question r1"}],
            "chosen": [{"role": "assistant", "content": "best"}],
            "rejected": [{"role": "assistant", "content": "worst"}],
            "reward_chosen": 2.0,
            "reward_rejected": -1.0,
        }
    ]


@pytest.mark.parametrize("policy", SCORED)
def test_an_unfinished_answer_is_never_chosen_and_may_be_rejected(policy):
    assert taken(answer("cut", 9.0, "length"), answer("whole", 1.0), answer("bad", 0.0), policy=policy) == (
        "whole",
        "bad",
    )
    assert taken(answer("whole", 1.0), answer("cut", -9.0, "length"), policy=policy) == ("whole", "cut")


@pytest.mark.parametrize("policy", SCORED)
def test_an_empty_answer_is_neither_chosen_nor_rejected(policy):
    assert taken(answer("", 9.0), answer("whole", 1.0), answer("bad", 0.0), policy=policy) == ("whole", "bad")
    assert taken(answer("whole", 1.0), answer("bad", 0.0), answer("", -9.0), policy=policy) == ("whole", "bad")
    assert taken(answer("whole", 1.0), answer("bad", 0.0), answer("", 0.4), policy=policy) == ("whole", "bad")


@pytest.mark.parametrize("policy", SCORED)
@pytest.mark.parametrize(
    "answers", [[], [answer("cut", 1.0, "length"), answer("off", 0.0, "length")], [answer("", 1.0)]]
)
def test_a_prompt_without_a_finished_answer_is_dropped(policy, answers):
    assert dropped(*answers, policy=policy) == "no_finished_answer"


@pytest.mark.parametrize("policy", SCORED)
def test_identical_texts_give_no_pair_however_wide_the_margin(policy):
    assert dropped(answer("same", 2.0), answer("same", 1.0), margin=0.0, policy=policy) == "same_text"
    assert dropped(answer("only", 2.0), margin=0.0, policy=policy) == "same_text"


@pytest.mark.parametrize("policy", SCORED)
def test_a_margin_below_the_least_is_dropped_and_the_least_itself_is_kept(policy):
    close = (answer("a", 1.0), answer("b", 0.75))
    assert dropped(*close, margin=0.26, policy=policy) == "small_margin"
    assert taken(*close, margin=0.25, policy=policy) == ("a", "b")
    # a tie, and an order the wrong way round, are no preference even where any margin will do
    assert dropped(answer("a", 1.0), answer("b", 1.0), margin=0.0, policy=policy) == "small_margin"
    assert dropped(answer("a", 1.0), answer("cut", 1.5, "length"), margin=0.0, policy=policy) == "small_margin"


def test_the_margin_is_that_of_the_pair_and_not_of_an_unfinished_best():
    assert dropped(answer("cut", 9.0, "length"), answer("a", 0.1), answer("b", 0.0)) == "small_margin"


@pytest.mark.parametrize(
    ("policy", "expected"), [("max_min", ("a", "c")), ("mean_minus_2_sigma", ("a", "c")), ("margin", ("a", "c"))]
)
def test_ties_go_to_the_first_answer_every_time(policy, expected):
    answers = (answer("a", 1.0), answer("b", 1.0), answer("c", 0.0), answer("d", 0.0))
    assert {taken(*answers, policy=policy) for _ in range(5)} == {expected}


def test_the_policy_of_the_least_margin_takes_the_closest_pair_that_counts():
    answers = (answer("a", 3.0), answer("b", 1.0), answer("c", 0.4), answer("d", 0.1))
    assert taken(*answers, policy="margin") == ("b", "c")  # 0.6; c and d are 0.3 apart
    assert taken(*answers, policy="margin", margin=0.2) == ("c", "d")
    assert taken(*answers, policy="margin", margin=1.0) == ("a", "b")
    assert dropped(*answers, policy="margin", margin=3.0) == "small_margin"
    cut = (answer("a", 3.0), answer("b", 1.0, "length"), answer("c", 0.4), answer("d", 0.1))
    assert taken(*cut, policy="margin") == ("a", "b")  # b may not be chosen


def test_an_outlier_is_not_rejected_by_mean_minus_2_sigma():
    rewards = [2.0, 1.5, 1.2, 1.0, 1.0, 0.8, 0.5, 0.0, -0.5, -9.0]
    answers = [answer(f"answer {reward} {number}", reward) for number, reward in enumerate(rewards)]
    # mean -0.15, sigma of these ten 3.06: the mark is -6.27, nearer to -9 than to -0.5
    assert taken(*answers, policy="mean_minus_2_sigma")[1].startswith("answer -9.0")
    answers.append(answer("near", -5.0))
    # mean -0.59, sigma 3.23: -7.05
    assert taken(*answers, policy="mean_minus_2_sigma")[1].startswith("answer -9.0")
    answers.append(answer("nearer", -7.0))
    # mean -1.125, sigma 3.57: -8.26
    assert taken(*answers, policy="mean_minus_2_sigma")[1].startswith("answer -9.0")
    answers += [answer(f"more {number}", 1.0) for number in range(30)]
    # mean 0.39, sigma 2.15: -3.92
    assert taken(*answers, policy="mean_minus_2_sigma") == ("answer 2.0 0", "near")
    assert taken(*answers)[1].startswith("answer -9.0")


def test_up_to_five_answers_mean_minus_2_sigma_is_max_min_and_above_it_is_not():
    rng, differing = random.Random(1), 0
    for number in range(400):
        rewards = [rng.choice([rng.gauss(0, 1), rng.gauss(0, 9)]) for _ in range(2 + number % 4)]
        answers = [answer(f"text {place}", reward) for place, reward in enumerate(rewards)]
        found = [pairs(row(*answers), policy=policy)[0] for policy in ("max_min", "mean_minus_2_sigma")]
        assert found[0] == found[1]
    for _ in range(100):
        answers = [answer(f"text {place}", rng.gauss(0, 1)) for place in range(60)]
        differing += taken(*answers) != taken(*answers, policy="mean_minus_2_sigma")
    assert differing > 30


def rip_rows() -> list[dict]:
    """Return training prompts whose pairs reject 1 to 8 words with reward 1 to 8 at margins 8 to 1, and a bad one."""
    train = [
        row(answer("good", 9.0), answer(" ".join(["word"] * number), float(number)), name=f"t{number}")
        for number in range(1, 9)
    ]
    return [*train, row(answer("good", 9.0), answer("bad", -9.0), name="v", split="validation")]


def names(kept: list[dict]) -> list[str]:
    return [pair["id"] for pair in kept]


@pytest.mark.parametrize(
    ("quantile", "off", "half", "reason"),
    [
        ("reward", 0.0, 0.5, "low_rejected_reward"),
        ("words", 0.0, 0.5, "short_rejected"),
        ("widest", 1.0, 0.5, "wide_margin"),
    ],
)
def test_rip_drops_training_pairs_beyond_each_quantile(quantile, off, half, reason):
    everything = pairs(*rip_rows())[0]
    assert pairs(*rip_rows(), policy="rip", **{quantile: off})[0] == everything
    kept, counts = pairs(*rip_rows(), policy="rip", **{quantile: half})
    assert names(kept) == ["t5", "t6", "t7", "t8", "v"]
    assert (counts["in"], counts["kept"], counts["dropped"], counts[f"dropped_{reason}"]) == (9, 5, 4, 4)


def test_rip_measures_its_quantiles_on_training_pairs_and_keeps_all_validation_pairs():
    rows = rip_rows()
    worse = [row(answer("good", 9.0), answer("bad", -9.0), name=f"v{n}", split="validation") for n in range(20)]
    kept, _ = pairs(*rows, *worse, policy="rip", reward=0.5, words=0.5, widest=0.5)
    assert names(kept) == ["t5", "t6", "t7", "t8", *names(worse_pairs := pairs(rows[-1], *worse)[0])]
    assert kept[4:] == worse_pairs
    only_validation, counts = pairs(*worse, policy="rip", reward=0.5)
    assert (len(only_validation), counts["dropped"]) == (20, 0)


def test_rip_counts_what_max_min_dropped_too():
    _, counts = pairs(*rip_rows(), row(answer("one", 1.0), name="t9"), policy="rip", reward=0.5)
    assert (counts["in"], counts["dropped_same_text"], counts["dropped_low_rejected_reward"]) == (10, 1, 4)


def test_a_verified_pair_is_an_answer_that_passed_against_one_that_did_not():
    request = row(
        judged("", False, False),
        judged("cut", True, True, finish="length"),
        judged("one of two", True, False),
        judged("passed", True, True),
        judged("passed again", True, True),
        judged("none of two", False, False),
    )
    ((pair,), _) = pairs(request, policy="verified")
    assert texts(pair) == ("passed", "one of two")  # the first that came to its end, without choosing by its checks
    assert (pair["reward_chosen"], pair["reward_rejected"]) == (1.0, 0.66667)
    assert set(pair) == set(pairs(row(answer("a", 1.0), answer("b", 0.0)))[0][0])


def test_a_verified_pair_may_reject_a_cut_answer_where_all_others_passed():
    request = (judged("passed", True), judged("cut", True, finish="length"))
    assert taken(*request, policy="verified") == ("passed", "cut")
    assert taken(*request, policy="verified", margin=99.0) == ("passed", "cut")  # in units of another reward


def test_requests_without_both_kinds_of_answers_are_dropped():
    assert dropped(policy="verified") == "nothing_passed"
    assert dropped(judged("a", False), judged("b", True, finish="length"), policy="verified") == "nothing_passed"
    assert dropped(judged("a", True), judged("b", True), policy="verified") == "nothing_failed"
    assert dropped(judged("a", True), judged("", False), policy="verified") == "nothing_failed"
    twin = judged("a", True, finish="length")
    assert dropped(judged("a", True), twin, policy="verified") == "nothing_failed"


def test_each_policy_reads_its_own_source():
    scored = [row(answer("a", 1.0), answer("b", 0.0), name="scored")]
    requests = [row(judged("c", True), judged("d", False), name="judged")]
    for policy in SCORED:
        assert names(prefer.pairs(scored, requests, settings(policy))[0]) == ["scored"]
    assert names(prefer.pairs(scored, requests, settings("verified"))[0]) == ["judged"]


def test_verified_pairs_join_those_of_another_policy():
    scored = [row(answer("good", 2.0), answer("bad", 0.0), name="scored")]
    passing = (judged("good", True), judged("bad", False))
    requests = [row(*passing, name=f"{split} {n}", split=split) for split in ("train", "validation") for n in range(3)]
    requests.insert(0, row(judged("good", True), name="nothing failed"))
    kept, counts = prefer.pairs(scored, requests, settings(verified=2))
    assert [pair["id"] for pair in kept] == ["scored", "train 0", "train 1", *(f"validation {n}" for n in range(2))]
    assert (counts["in"], counts["kept"], counts["verified"], counts["mean_margin"]) == (1, 1, 4, 2.0)
    assert prefer.pairs(scored, requests, settings())[1]["verified"] == 0
    kept, counts = prefer.pairs(scored, requests, settings("verified", verified=2))
    assert len(kept) == 6 and counts["verified"] == 0  # a policy of its own takes them all


@pytest.mark.parametrize("policy", [*SCORED, "verified"])
def test_pairs_of_every_policy_are_read_by_the_trainer(tokenizer, policy):
    answers = (judged("green garden", True), judged("sun", False))
    if policy != "verified":
        answers = (answer("green garden", 1.0), answer("sun", 0.0))
    kept, _ = pairs(row(*answers), policy=policy)
    ((_, chosen, rejected),) = data.tokenized_pairs(tokenizer, kept)
    assert tokenizer.decode(chosen, skip_special_tokens=True).strip() == "green garden"
    assert len(chosen) == len(rejected) + 1


@pytest.mark.parametrize("policy", [*SCORED, "verified"])
def test_counts_add_up_and_order_and_splits_are_kept(policy):
    rng = random.Random(0)
    made = random_request if policy == "verified" else random_row
    rows = [made(rng, number) for number in range(300)]
    kept, counts = pairs(*rows, policy=policy, reward=0.3, words=0.8, widest=0.7)
    assert counts["in"] == 300
    assert counts["kept"] == len(kept)
    assert counts["in"] == counts["kept"] + counts["dropped"]
    assert counts["dropped"] == sum(counts[f"dropped_{reason}"] for reason in prefer.REASONS)
    possible = {
        "verified": prefer.REASONS[-2:],
        "rip": prefer.REASONS[:-2],
    }.get(policy, prefer.REASONS[:3])
    assert {reason for reason in prefer.REASONS if counts[f"dropped_{reason}"]} == set(possible)
    assert set(counts) == {
        "in",
        "kept",
        "dropped",
        "verified",
        *(f"dropped_{reason}" for reason in prefer.REASONS),
        *MEANS,
    }
    assert all(type(value) in (int, float) for value in counts.values())
    splits = {one["id"]: one["split"] for one in rows}
    numbers = [int(pair["id"][1:]) for pair in kept]
    assert numbers == sorted(set(numbers))
    assert all(pair["split"] == splits[pair["id"]] for pair in kept)
    answers = {one["id"]: one["answers"] for one in rows}
    for pair in kept:
        chosen, rejected = texts(pair)
        assert chosen != rejected and chosen and rejected
        assert any(one["text"] == chosen and one["finish"] == "stop" for one in answers[pair["id"]])
        least = 0.5 if policy != "verified" else 0.0
        assert pair["reward_chosen"] - pair["reward_rejected"] >= least
        assert pair["reward_chosen"] > pair["reward_rejected"]


def test_the_means_are_those_of_the_training_pairs():
    rows = [
        row(answer("one two three", 3.0), answer("one.", 1.0), name="a"),
        row(answer("one", 1.0), answer("one, two", 0.0), name="b"),
        row(answer("one " * 50, 90.0), answer("two", 0.0), name="c", split="validation"),
    ]
    _, counts = pairs(*rows)
    assert [counts[name] for name in MEANS] == [1.5, 2.0, 1.5]
    rng = random.Random(3)
    kept, counts = pairs(*(random_row(rng, number) for number in range(100)))
    margins = [pair["reward_chosen"] - pair["reward_rejected"] for pair in kept if pair["split"] == "train"]
    assert counts["mean_margin"] == pytest.approx(fmean(margins), abs=1e-4)


@pytest.mark.parametrize("policy", [*SCORED, "verified"])
def test_no_rows_give_zero_counts(policy):
    kept, counts = pairs(policy=policy)
    assert kept == []
    assert set(counts.values()) == {0}


@pytest.mark.parametrize("policy", [*SCORED, "verified"])
def test_the_rows_are_left_as_they_were(policy):
    rng = random.Random(5)
    rows = [(random_request if policy == "verified" else random_row)(rng, number) for number in range(50)]
    before = repr(rows)
    pairs(*rows, policy=policy)
    assert repr(rows) == before
