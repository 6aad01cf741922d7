import json
from pathlib import Path

import pytest
from filter_rows import SETTINGS, SPECIAL, row, run, run_rows, settings

from tuner import decontaminate, filters, io
from tuner.errors import UserError
from tuner.params import Filter

ANSWER = "Plants take in light, water and carbon dioxide, and turn them into sugar and oxygen."

ROWS = [json.loads(line) for line in Path(__file__).with_name("english.jsonl").read_text("utf-8").splitlines()]
GOOD = [(r["instruction"], r["response"]) for r in ROWS if r["reason"] is None]  # every one worth training on
BAD = [(r["reason"], r["measured"], r["instruction"], r["response"]) for r in ROWS if r["reason"]]
TESTS = decontaminate.Index({"q1": "Which gas do green plants release by day?"})


@pytest.mark.parametrize("pair", GOOD, ids=lambda pair: pair[0][:40])
def test_good_rows_pass_alone(pair):
    assert run(pair)[1] == []


def test_good_rows_pass_together_unchanged():
    rows = [row(i, *pair) for i, pair in enumerate(GOOD)]
    kept, dropped = filters.apply(rows, settings(), SPECIAL)
    assert dropped == []
    assert kept == rows


@pytest.mark.parametrize("reason, measured, instruction, response", BAD)
def test_bad_rows_name_reason_and_value(reason, measured, instruction, response):
    source = row(3, instruction, response)
    kept, dropped = filters.apply([source], settings(), SPECIAL)
    assert kept == []
    expected = {k: pytest.approx(v, abs=0.015) if k == "probability" else v for k, v in measured.items()}
    assert dropped == [{**source, "reason": reason, "measured": expected}]


@pytest.mark.parametrize("side", ["instruction_finish", "response_finish"])
def test_truncated(side):
    source = row("5", "Explain photosynthesis.", ANSWER, **{side: "length"})
    _, dropped = run_rows([source])
    assert [(d["reason"], d["measured"]) for d in dropped] == [("truncated", {side: "length"})]
    assert run_rows([source], truncated=False)[1] == []


def test_an_instruction_that_was_cut_and_never_answered_is_truncated():
    source = row(1, "Write a story about a fox and", "", instruction_finish="length", response_finish="skipped")
    assert [d["reason"] for d in run_rows([source])[1]] == ["truncated"]


MALFORMED = [
    ({"response": ...}, {"response": "missing"}),
    ({"instruction": None}, {"instruction": "null"}),
    ({"instruction": 7}, {"instruction": "int"}),
    ({"response": ["a"]}, {"response": "list"}),
    ({"response": ""}, {"response": "empty"}),
    ({"instruction": " \n", "response": "", "response_finish": "skipped"}, {"instruction": "empty"}),
    ({"response": "x" * 100_001}, {"response": "100001 characters"}),
    ({"response": "half a pair \udc80"}, {"response": "U+DC80"}),
    ({"instruction": "Explain\x00 photosynthesis"}, {"instruction": "U+0000"}),
    ({"response": "bell \x07"}, {"response": "U+0007"}),
    ({"response": "C1 \x9d"}, {"response": "U+009D"}),
    ({"note": {"by": ["ok", "\ud83d"]}}, {"note.by": "U+D83D"}),
    ({"bad\udfffkey": 1}, {"": "U+DFFF"}),
    ({"response_finish": None}, {"response_finish": "null"}),
    ({"instruction_finish": ...}, {"instruction_finish": "missing"}),
    ({"history": "before"}, {"history": "not a list of turns"}),
    ({"history": [{"instruction": "Hi", "response": ""}]}, {"turn 1 response": "empty"}),
    ({"history": [{"instruction": "Hi", "response": "Hello"}, {"response": "x"}]}, {"turn 2 instruction": "missing"}),
]


@pytest.mark.parametrize("change, measured", MALFORMED, ids=lambda x: ascii(x)[:40])
def test_malformed_rows_are_dropped_and_can_be_written(change, measured, tmp_path):
    bad = row(3, "Explain photosynthesis.", ANSWER) | change
    bad = {key: value for key, value in bad.items() if value is not ...}
    kept, dropped = run_rows([bad, row(4, *GOOD[0])])
    assert [r["id"] for r in kept] == [4]
    assert (dropped[0]["reason"], dropped[0]["measured"]) == ("malformed", measured)
    io.write_jsonl(tmp_path / "dropped.jsonl", dropped)
    assert io.read_jsonl(tmp_path / "dropped.jsonl") == dropped
    assert filters.all_verdicts(bad, filters.begin(settings(), SPECIAL)) == {"malformed": measured}


def test_marks_of_other_scripts_and_line_ends_are_no_control_characters():
    assert (
        run(("List two hearts.\tThanks\r\n", "\u2764\ufe0f and \U0001f9e1\u200d\U0001f525, both \u200bhearts"))[1] == []
    )


@pytest.mark.parametrize(
    "ids, message",
    [
        ([4, 7, 7], "two rows have the id 7; make the ids unique"),
        (["7", 7], "two rows have the id 7; make the ids unique"),
        ([9, 7], "the row with the id 7 comes after 9; sort the rows by id"),
        ([1, None], "the row has the id None; every row needs a whole number as its id"),
        ([1, "a1"], "the row has the id 'a1'; every row needs a whole number as its id"),
        ([1, 2.0], "the row has the id 2.0; every row needs a whole number as its id"),
        ([True], "the row has the id True; every row needs a whole number as its id"),
    ],
)
def test_ids_that_are_no_order_are_refused(ids, message):
    rows = [row(i, f"Name {n + 2} rivers.", "Rhine and Rhone") for n, i in enumerate(ids)]
    with pytest.raises(UserError) as error:
        list(filters.stream(rows, filters.begin(settings(), SPECIAL), "raw.jsonl"))
    assert str(error.value) == f"raw.jsonl:{len(ids)}: {message}"


def test_a_row_without_an_id_is_refused():
    with pytest.raises(UserError, match="the row has the id None"):
        run_rows([{"instruction": "Explain photosynthesis.", "response": ANSWER}])


def test_ids_are_sorted_as_numbers():
    kept, _ = run_rows([row("10", *GOOD[0]), row("9", *GOOD[5])])
    assert [r["id"] for r in kept] == ["9", "10"]


def test_personal_data_is_masked_in_kept_rows():
    address = "anna.schmidt@posteo.de"
    source = row(
        1,
        f"Write to {address} about the late parcel.",
        f"To: {address}\nWhere is it?",
        history=[{"instruction": "Hello there, my friend", "response": f"Hello, {address}"}],
    )
    kept, _ = run_rows([source, row(2, *GOOD[0])])
    assert address not in json.dumps(kept)
    assert kept[0]["masked"] == ["email"]
    assert kept[0]["history"][0]["response"] == "Hello, user@example.com"
    assert kept[1] == row(2, *GOOD[0])
    assert address in json.dumps(source)
    assert run_rows([source], mask_pii=False)[0] == [source]


SWITCHES = "truncated template_leak incomplete_instruction modality refusal identity exact_duplicate".split()


@pytest.mark.parametrize("name", SWITCHES)
def test_switches(name):
    texts = {
        "truncated": GOOD[0],
        "template_leak": ("Explain photosynthesis.", "Open <filename> and read."),
        "incomplete_instruction": ("Write a story about a fox and", ANSWER),
        "modality": ("Describe the image below.", ANSWER),
        "refusal": ("Explain photosynthesis.", "I cannot provide information on that."),
        "identity": ("Explain photosynthesis.", "As a SmolLM, I can. " + ANSWER),
        "exact_duplicate": GOOD[0],
    }
    rows = [row(1, *texts[name])]
    if name == "truncated":
        rows[0]["response_finish"] = "length"
    if name == "exact_duplicate":
        rows.append(row(2, *texts[name]))
    assert [d["reason"] for d in run_rows(rows, near_duplicate_jaccard=None)[1]] == [name]
    assert run_rows(rows, near_duplicate_jaccard=None, **{name: False})[1] == []


@pytest.mark.parametrize(
    "off, pair",
    [
        ({"max_echo": 1.0}, ("Explain how a plant grows", "Explain how a plant grows")),
        ({"min_language_probability": 1.0}, ("¿Qué es la inteligencia artificial?", ANSWER)),
        ({"language": None}, ("光合作用是什么？", ANSWER)),
        ({"min_alphanumeric_share": 0.0}, ("Say something nice.", "\U0001f31f\U0001f319" * 30)),
        (
            {
                "max_duplicate_sentence_share": 1.0,
                "max_repeated_ngram_share": 1.0,
                "min_content_word_share": 0.0,
                "max_repeated_bigram_share": 1.0,
            },
            ("Say it.", "Go to the river. " * 20),
        ),
    ],
)
def test_thresholds_can_be_turned_off(off, pair):
    assert run(pair)[1]
    assert run(pair, **off)[1] == []


def test_settings_are_obeyed():
    assert run(GOOD[0], min_response_words=2)[1][0]["measured"] == {"response_words": 1}


def test_params_has_the_same_settings():
    assert Filter(**SETTINGS).model_dump() == SETTINGS
    assert {name for name, _ in filters.FILTERS} >= {k for k, v in SETTINGS.items() if v is True and k != "mask_pii"}


def test_no_special_tokens_and_progress():
    seen = []
    kept, _ = filters.apply([row(1, *GOOD[0])], settings(), [], progress=lambda it: seen.append(1) or it)
    assert len(kept) == 1 and seen == [1]


@pytest.mark.parametrize(
    "text",
    [
        "x" * 99_000,
        "word " * 19_000,
        "a b\n" * 24_000,
        "(" * 99_000,
        "`" * 99_000,
        "the following " * 7_000,
        "Sure, " * 16_000,
        "hello " * 16_600,
        "I'm sorry, " * 9_000,
        '"' * 99_000,
        "가나다 " * 24_000,
        "光合作用" * 24_000,
        "Ab1, " * 19_000,
        "between " * 12_000,
        "the text " * 11_000,
        "$" * 99_000,
        "a-" * 49_000,
        "x.1-" * 24_000,
        "the " + "a" * 99_000,
        "<|" * 49_000,
        "A. " * 33_000,
        "as a as an " * 9_000,
        "i am a b c " * 9_000,
        "the image " * 9_000,
        " ".join(map(str, range(17_000))),
        " ".join(f"é{n}" for n in range(14_000)),
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_very_long_texts_end(text):
    """None of the patterns may need more than time in proportion: with one that does, this never ends."""
    memory = filters.begin(settings(), SPECIAL, TESTS)
    assert len(text) <= filters.LONGEST_TEXT - 2
    assert "length" in filters.all_verdicts(row(1, text + "?", text), memory)


ADVICE = "Can you help me to choose a bicycle?"


@pytest.mark.parametrize(
    "reason, rule, instruction, response",
    [
        ("refusal", "asks_back", ADVICE, "A bicycle is a fine thing to have. What kind of bicycle is it?"),
        ("refusal", "asks_back", ADVICE, "There are many kinds. Could you tell me where you ride?"),
        ("refusal", "declines", ADVICE, "A bicycle has two wheels. I'm afraid I know nothing more of them."),
        ("refusal", "declines", ADVICE, "Bicycles are fun, and I'm not equipped to choose one."),
        ("refusal", "offering_share", ADVICE, "I'd love to help you with that. Bicycles are great for everyone."),
        ("refusal", "placeholders", ADVICE, "Take one of these:\n1. [first]\n2. [second]\n3. [third]"),
        (
            "echo",
            "copied_words",
            "Make this sound like a line of an old poem. The old mill stands by the river.",
            "The old mill stands by the river.",
        ),
        ("incomplete_instruction", "about_user", "The user wants to buy a bicycle. Give advice.", ANSWER),
    ],
)
def test_answers_that_do_not_answer(reason, rule, instruction, response):
    dropped = run((instruction, response))[1]
    assert [(row["reason"], rule in row["measured"]) for row in dropped] == [(reason, True)]


@pytest.mark.parametrize(
    "instruction, response",
    [
        ("Write three quiz questions about plants.", "What do plants drink? How do you water them?"),
        ("Translate to English: Wie heißt du?", "What is your name?"),
        ("Suggest a title for my talk about bees.", "How about your life without bees?"),
        (ADVICE, "I'm sorry to hear that the old one broke. Take a city bicycle with mudguards and a basket."),
        (ADVICE, "A city bicycle with mudguards suits short rides, a touring bicycle long ones. Try both first."),
        ("Which stands by the river, the old mill or the new inn at the gate?", "The new inn at the gate"),
        ("How does a form check the user's input in a browser?", ANSWER),
        ("Fill in the letter's head.", "[Name]\n[Street]\n[City]\n\nDear all, the meeting is on Friday at noon."),
        ("Q: What do plants make of light?\nA:", ANSWER),
        ("Can you help with the following?\nHow many wheels does a bicycle have?", "It has two wheels."),
    ],
)
def test_short_answers_that_answer(instruction, response):
    assert run((instruction, response))[1] == []
