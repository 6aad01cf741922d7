"""Verified rows: every one follows its constraints, none contradicts its instruction, and each is its own function."""

import json
from collections import Counter
from itertools import combinations

import pytest

from tuner import compatibility, constraints, edits, following, verify
from tuner.errors import UserError
from tuner.replies import words

ROWS = [
    {
        "id": 3,
        "instruction": "What should I do before I move to a new city?",
        "response": "Sure, I'd be happy to help with that. You can rent a small flat first, and look around. However, "
        "it takes 3 weeks to find your way, so be patient. Your neighbours know the area, including the shops. What "
        "else would you like to know?",
    },
    {
        "id": 8,
        "instruction": "How do bees make honey?",
        "response": "Bees collect nectar from flowers and carry it home. In the hive, other bees chew the nectar and "
        "spread it out to dry. The dried nectar is honey, and it keeps for years.",
    },
    {
        "id": 12,
        "instruction": "I am thinking of learning the guitar. Do you think it is difficult?",
        "response": "Learning the guitar is a wonderful idea. At first your fingers hurt, but they become stronger. "
        "Various lessons on the web can help you start. A teacher is a great help too. Play a little every day.",
    },
    {
        "id": 15,
        "instruction": "Which things do I need for a picnic in 2024?",
        "response": "You need these things:\n\n- A blanket to sit on\n- Bread, cheese and fruit\n- Cold drinks, 4 cups",
    },
    {
        "id": 21,
        "instruction": "Can you tell me why the sky looks blue during the day?",
        "response": "The sky looks blue because the air scatters blue light more than red light. In the evening, the "
        "light has a long way to go.\n\nThen most of the blue is gone. What is left is red and orange.",
    },
    {
        "id": 30,
        "instruction": "Who was the first person on top of Mount Everest?",
        "response": "Edmund Hillary and Tenzing Norgay were the first. They reached the top in 1953, on a clear day.",
    },
]
FAMILIES = list(constraints.FAMILIES)


def made(origin: str, rows=ROWS, families=FAMILIES, count=1000, seed=0):
    more = {"max_words": 80} if origin == "back_translated" else {}
    return getattr(verify, origin)(rows, count=count, seed=seed, families=families, **more)


def names(row: dict) -> list[str]:
    return [constraint["family"] for constraint in row["constraints"]]


def constraint(family: str, **arguments) -> dict:
    return {"family": family, "arguments": arguments}


def by_id(rows: list[dict]) -> dict:
    return {row["id"]: row for row in rows}


@pytest.mark.parametrize("origin", ["edited", "back_translated"])
@pytest.mark.parametrize("seed", range(5))
def test_every_row_follows_its_constraints(origin, seed):
    rows, sources = made(origin, seed=seed), by_id(ROWS)
    assert len(rows) >= (40 if origin == "edited" else 20)
    assert len(by_id(rows)) == len(rows)
    for row in rows:
        source = sources[row["source"]]
        assert row["id"] == f"{source['id']}-{origin}-{row['id'].split('-')[-1]}"
        assert row["origin"] == origin
        assert 1 <= len(row["constraints"]) <= 3
        assert row["id"].split("-")[-1] in names(row)
        assert compatibility.compatible(names(row))
        assert compatibility.consistent(row["constraints"])
        assert source["instruction"] in row["instruction"]
        for one in row["constraints"]:
            assert constraints.describe(one) in row["instruction"]
            assert following.follows(one, source["instruction"], row["response"])
        if origin == "back_translated":
            assert row["response"] == source["response"]
        else:
            assert len(words(row["response"])) <= 100


def test_a_list_is_not_an_answer_in_sentences():
    rows = [row for seed in range(5) for row in made("edited", ROWS[3:4], seed=seed)]
    assert {"bullets", "uppercase", "json_object"} <= {name for row in rows for name in names(row)}
    assert not {name for row in rows for name in names(row)} & set(compatibility.SENTENCES)


def test_edits_reach_every_family():
    made_for = Counter(name for row in made("edited") for name in names(row))
    assert set(made_for) == set(FAMILIES)


@pytest.mark.parametrize("origin", ["edited", "back_translated", "requests"])
def test_rows_depend_on_seed_and_source_alone(origin):
    rows = by_id(made(origin))
    assert by_id(made(origin, list(reversed(ROWS)))) == rows
    some = made(origin, count=9)
    assert len(some) == 9
    assert all(rows[row["id"]] == row for row in some)
    assert json.loads(json.dumps(made(origin))) == list(rows.values())
    assert by_id(made(origin, seed=1)) != rows
    if origin != "back_translated":
        assert all(rows[row["id"]] == row for row in made(origin, ROWS[:2]))


@pytest.mark.parametrize("origin", ["edited", "back_translated", "requests"])
def test_only_the_families_given_are_used(origin):
    families = ["fewer_words", "include_word", "start_word", "exact_sentences"]
    rows = made(origin, families=families)
    assert {name for row in rows for name in names(row)} == set(families)
    with pytest.raises(UserError, match="no family is called 'rhyme'"):
        made(origin, families=["fewer_words", "rhyme"])


def test_requests_take_the_families_in_turn():
    rows = made("requests", count=38)
    assert [row["id"].split("-")[-1] for row in rows] == FAMILIES * 2
    for row in rows:
        assert row["id"] == f"{row['source']}-sampled-{names(row)[0]}"
        assert row["asked"] == by_id(ROWS)[row["source"]]["instruction"]
        (message,) = row["prompt"]
        rules = [constraints.describe(one) for one in row["constraints"]]
        assert message["role"] == "user"
        assert row["asked"] in message["content"]
        assert all(rule in message["content"] for rule in rules)
        assert len(message["content"]) <= len(" ".join([row["asked"], *rules])) + 1


def test_how_many_constraints_and_where_they_stand():
    rows = [row for seed in range(12) for row in made("requests", seed=seed)]
    many = Counter(len(row["constraints"]) for row in rows)
    assert 0.62 < many[1] / len(rows) < 0.8
    assert many[2] > many[3] > 0.04 * len(rows)
    before = sum(not row["prompt"][0]["content"].startswith(row["asked"]) for row in rows)
    line = sum("\n" in row["prompt"][0]["content"] for row in rows)
    assert 0.15 < before / len(rows) < 0.25
    assert 0.15 < line / len(rows) < 0.25


def test_requests_leave_room_for_an_answer():
    rows = [row for seed in range(12) for row in made("requests", seed=seed)]
    assert all(compatibility.compatible(names(row)) and compatibility.consistent(row["constraints"]) for row in rows)


@pytest.mark.parametrize(
    ("instruction", "ruled_out", "left"),
    [
        ("Write a Python function that adds two numbers.", FAMILIES, []),
        ("What does `ls -l` do?", FAMILIES, []),
        ("Rewrite this sentence so that it sounds friendlier.", FAMILIES, []),
        ("Name a fruit. Your answer should contain a comma.", FAMILIES, []),
        ("Describe tea in 20 words or less.", compatibility.COUNTING, ["lowercase", "include_word"]),
        ("Describe tea in one sentence.", ["exact_sentences", "bullets", "paragraphs"], ["no_commas"]),
        ("Write a poem about tea.", ["bullets", "json_object", "fewer_words"], ["end_phrase"]),
        ("What are the top 5 teas of the world?", ["bullets", "more_words"], ["uppercase"]),
        ("Give me 3 tips for better tea.", ["bullets", "more_words"], ["uppercase"]),
        ("Can you provide a list of teas?", ["paragraphs", "exact_sentences"], ["bullets", "fewer_words"]),
        ("Give me a brief summary of the history of tea.", ["more_words"], ["fewer_words", "exact_sentences"]),
        ("Explain in detail how tea is made.", ["fewer_words", "at_most_sentences"], ["more_words"]),
        ("What is the capital of France?", [], FAMILIES),
        ("I am planning a 3-day trip for 4 people. Where should we go?", [], FAMILIES),
    ],
)
def test_no_constraint_contradicts_the_instruction(instruction, ruled_out, left):
    found = compatibility.allowed(instruction, FAMILIES)
    assert not set(found) & set(ruled_out)
    assert set(left) <= set(found)
    rows = [{"id": 1, "instruction": instruction, "response": ROWS[2]["response"]}]
    for origin in ("edited", "back_translated", "requests"):
        assert {name for row in made(origin, rows) for name in names(row)} <= set(found)


def test_an_answer_is_not_cut_where_a_length_is_stated():
    rows = [{**ROWS[2], "instruction": "Describe how to learn the guitar in 5 sentences."}, *ROWS[:2]]
    assert 12 not in {row["source"] for row in made("edited", rows)}
    assert 12 in {row["source"] for row in made("back_translated", rows)}


def test_compatible_families():
    for family, others in compatibility.APART.items():
        assert {family, *others} <= set(FAMILIES)
        assert family not in others
    assert not compatibility.compatible(["lowercase", "uppercase"])
    assert not compatibility.compatible(["end_phrase", "include_word", "lowercase"])
    assert not compatibility.compatible(["bullets", "json_object"])
    assert not compatibility.compatible(["fewer_words", "fewer_words"])
    assert compatibility.compatible(["fewer_words", "more_words", "no_commas"])
    assert compatibility.compatible(["quoted", "exact_sentences", "lowercase"])
    together = [pair for pair in combinations(FAMILIES, 2) if compatibility.compatible(pair)]
    assert len(together) > 100


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ([constraint("fewer_words", words=40), constraint("more_words", words=30)], True),
        ([constraint("fewer_words", words=30), constraint("more_words", words=40)], False),
        ([constraint("fewer_words", words=35), constraint("more_words", words=30)], False),
        ([constraint("fewer_words", words=20), constraint("bullets", bullets=5)], False),
        ([constraint("fewer_words", words=60), constraint("bullets", bullets=5)], True),
        ([constraint("more_words", words=50), constraint("at_most_sentences", sentences=1)], False),
        ([constraint("paragraphs", paragraphs=3), constraint("exact_sentences", sentences=2)], False),
        ([constraint("end_question"), constraint("exact_sentences", sentences=1)], False),
        ([constraint("end_question"), constraint("exact_sentences", sentences=2)], True),
        ([constraint("exclude_word", word="time"), constraint("end_phrase", phrase="Until next time.")], False),
        ([constraint("exclude_word", word="time"), constraint("end_phrase", phrase="Goodbye for now.")], True),
        ([constraint("exclude_word", word="tea"), constraint("repeat_word", word="tea", times=2)], False),
        ([constraint("include_word", word="time"), constraint("end_phrase", phrase="Until next time.")], False),
        ([constraint("include_word", word="tea"), constraint("end_phrase", phrase="Until next time.")], True),
        ([constraint("include_word", word="now"), constraint("start_word", word="Now")], False),
    ],
)
def test_arguments_that_leave_room(added, expected):
    assert compatibility.consistent(added) is expected


def sampled(*answers: tuple[str, str], added=None, split="train") -> dict:
    """Return one request as generate.answers returns it, with answers of (text, finish)."""
    added = added or [constraint("no_commas"), constraint("fewer_words", words=12)]
    rules = " ".join(constraints.describe(one) for one in added)
    return {
        "id": "8-sampled-no_commas",
        "source": 8,
        "split": split,
        "origin": "sampled",
        "constraints": added,
        "asked": "How do bees make honey?",
        "prompt": [{"role": "user", "content": f"How do bees make honey? {rules}"}],
        "answers": [{"text": text, "finish": finish, "seed": 1} for text, finish in answers],
    }


def test_the_first_answer_that_follows_all_constraints_is_kept():
    request = sampled(
        ("They collect nectar, and dry it.", "stop"),
        ("They collect nectar and dry it in their", "length"),
        ("They collect nectar and dry it.", "stop"),
        ("Bees carry nectar home and dry it.", "stop"),
        ("Yes.", "stop"),
        ("How do bees make honey? Do not use any commas.", "stop"),
    )
    kept, flagged = verify.judged([request])
    assert kept == [
        {
            "id": "8-sampled-no_commas",
            "source": 8,
            "origin": "sampled",
            "split": "train",
            "constraints": request["constraints"],
            "instruction": request["prompt"][0]["content"],
            "response": "They collect nectar and dry it.",
        }
    ]
    answers = flagged[0]["answers"]
    assert [answer["passed"] for answer in answers] == [False, False, True, True, False, False]
    assert [answer["met"] for answer in answers][:2] == [[False, True], [True, True]]
    assert [answer["text"] for answer in answers] == [answer["text"] for answer in request["answers"]]
    assert "passed" not in request["answers"][0]


def test_a_request_without_a_passing_answer_gives_no_row():
    kept, flagged = verify.judged([sampled(("They collect nectar, and dry it.", "stop"), ("", "stop"))])
    assert kept == []
    assert [answer["passed"] for answer in flagged[0]["answers"]] == [False, False]


def test_a_row_has_the_split_of_its_request():
    answers = (("They collect nectar and dry it.", "stop"), ("They collect, and dry it.", "stop"))
    requests = [sampled(*answers), sampled(*answers, split="validation")]
    kept, flagged = verify.judged(requests)
    assert [row["split"] for row in kept] == ["train", "validation"]
    assert [row["split"] for row in flagged] == ["train", "validation"]
    assert [[answer["passed"] for answer in row["answers"]] for row in flagged] == [[True, False]] * 2


def test_a_constraint_that_most_answers_meet_is_not_back_translated():
    digits = [{**row, "id": 100 + row["id"], "response": row["response"].replace("a", "7")} for row in ROWS]
    plain = {"id": 1, "instruction": "Where do owls sleep?", "response": "Owls sleep in hollow trees and old barns."}
    alone = made("back_translated", [plain, *digits], ["no_digits"])
    assert [row["source"] for row in alone] == [1]
    others = [{**plain, "id": number} for number in range(2, 20)]
    assert made("back_translated", [plain, *others, *digits], ["no_digits"]) == []


def test_avoidance_is_measured_on_as_many_words_as_the_answer_has():
    answers = ["One two three, four.", "One two three four."]
    assert verify.base_rate(constraint("no_commas"), answers, 10) == 0.5
    assert verify.base_rate(constraint("no_commas"), answers, 2) == 1.0
    assert verify.base_rate(constraint("fewer_words", words=4), answers, 2) == 0.0


def test_long_answers_are_not_back_translated():
    assert all(
        len(words(row["response"])) <= 30
        for row in verify.back_translated(ROWS, count=1000, seed=0, families=FAMILIES, max_words=30)
    )


def test_arguments_fit_the_text_closely():
    text = "The old river runs to the sea. Every river does so in the end.\n\nThat is how it goes."
    asked = "How does water run?"

    def arguments(family, text=text):
        return verify.fitting(family, text, asked)

    assert (
        arguments("fewer_words")
        == [
            {"words": 20},
            {"words": 25},
        ][: len(arguments("fewer_words"))]
    )
    assert arguments("more_words") == [{"words": 15}]
    assert arguments("exact_sentences") == [{"sentences": 3}]
    assert arguments("at_most_sentences") == [{"sentences": 3}, {"sentences": 4}]
    assert {"word": "runs"} in arguments("include_word")
    assert {"word": "river"} not in arguments("include_word")  # the evaluation draws it
    assert {"word": "Every"} not in arguments("include_word")
    assert arguments("include_word", "Water is wet, and Paris is far.") == []
    assert arguments("repeat_word", "A valley is a valley.") == [{"word": "valley", "times": 2}]
    assert arguments("start_word") == [{"word": "The"}]
    assert arguments("start_word", "1. First of all") == arguments("start_word", "**Plan** it") == []
    assert arguments("start_word", "Sure, why not.") == []  # the evaluation draws it
    assert arguments("end_phrase") == [{"phrase": "That is how it goes."}]
    assert (
        arguments("end_phrase", 'Go. He said "go" to all.')
        == arguments("end_phrase", "Go now. I hope this helps.")
        == []
    )
    assert arguments("paragraphs") == [{"paragraphs": 2}]
    assert arguments("bullets", "- a cat\n- a dog") == [{"bullets": 2}]
    assert arguments("bullets", "* a cat\n* a dog") == []
    assert arguments("lowercase") == []
    assert arguments("lowercase", "all small") == [{}]


def test_an_edit_that_fails_gives_no_row(monkeypatch):
    monkeypatch.setitem(edits.EDITORS, "lowercase", lambda arguments, text, instruction, rng: text)
    assert made("edited", families=["lowercase"]) == []
