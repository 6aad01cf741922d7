"""Edits: each makes a draft meet its constraint, says None where it cannot, and leaves readable text."""

import json
import re
from random import Random

import pytest

from tuner import constraints, edits
from tuner import edit_phrases as phrases
from tuner.replies import words

INSTRUCTION = "Can you give me some advice on moving to a new city in 2024?"
ANSWER = (
    "Sure, I'd be happy to help with that. However, moving to a new city is exciting, and it takes 3 months to settle "
    "in. You can assist your family by making a list of various things. The first week is the hardest part of it."
)
LIST = "Here are some ideas:\n\n1. **Rent**: Look for a flat near the 2 stations.\n2. Ask, and listen.\n3. Make a plan."


def edit(family: str, text: str, rng: Random | None = None, instruction: str = INSTRUCTION, **arguments) -> str | None:
    return edits.EDITORS[family](arguments, text, instruction, rng or Random(0))


@pytest.mark.parametrize(
    "text",
    [
        "One. Two! Is it three? Yes.",
        'He said "no." Then he left (at 3 p.m. or so). Fine!',
        "Dr. Who met Mr. Fox, e.g. at 3.5 km. Yes.\n\nA second paragraph here. It ends.",
        "Wait... what? See Booking.com for more.",
    ],
)
def test_sentences_are_those_the_constraints_count(text):
    found = edits.sentences(text)
    assert len(found) == constraints.count_sentences(text)
    assert " ".join(found).split() == text.split()


def test_the_lead_leaves_out_what_says_nothing():
    assert edits.lead(ANSWER)[0].startswith("Moving to a new city is exciting")
    assert len(edits.lead(ANSWER)) == 3
    apology = "I'm sorry for any confusion, but as a chatbot designed to talk about travel, I can't see it. "
    assert edits.lead(apology + "You can look for a flat on the web and call.") == [
        "You can look for a flat on the web and call."
    ]
    assert edits.lead("Sure, I'd be happy to help.") == ["Sure, I'd be happy to help."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is easy to do. Here is a list of what you need. First rent.", ["It is easy to do."]),
        ("It is easy to do. Here is a list of all. First rent.\nThen move in.", ["It is easy to do."]),
        ("It is easy to do. You need these:\n1. Rent.", ["It is easy to do."]),
        ("It is easy to do.\n\n**Plan**\n\nWrite it down.", ["It is easy to do."]),
        ('It is easy to do. He said "go. Then he left.', ["It is easy to do."]),
        ("It is easy to do. The U. of T. is big.", ["It is easy to do."]),
        ("- It is easy to do.\n- It is fun.", []),
        ("No full stop here", []),
    ],
)
def test_the_lead_stops_where_prose_stops(text, expected):
    assert edits.lead(text) == expected


def test_items_of_a_list():
    assert edits.items(LIST) == ["Rent: Look for a flat near the 2 stations.", "Ask, and listen.", "Make a plan."]
    assert edits.items("1. Rent\nLook for a flat.\n2. Ask\nCall the owner.") == []
    assert edits.items("1. The one and only.") == []
    assert edits.items("- Rent\n- Rent") == []
    assert edits.items("- Rent:\n- Ask around") == []
    assert edits.items(f"- Rent\n- {'very ' * 40}long") == []


@pytest.mark.parametrize(
    "answer",
    [
        "It is easy to do so and takes a day.\n```python\nprint(1)\n```",
        "The area of it is \\(a^2\\), which is easy to see for all of us.",
        "Here is what the table says of it.\n\n| a | b |\n|---|---|\n| 1 | 2 |",
        "See https://example.org for all that there is to know about it.",
        "Yes, it is.",
        "Sure, I'd be happy to help you with all of that.",
        f"It is {'very ' * 70}long.",
        "Here it is:\n\n**Plan**",
    ],
)
def test_no_draft_of_code_tables_maths_or_too_little(answer):
    assert [edits.draft(answer, Random(seed), 1, False) for seed in range(10)] == [None] * 10


def test_a_draft_is_whole_sentences_or_items_within_the_limits():
    long = " ".join(f"This is sentence number {word} of a long answer." for word in phrases.SPELLED)
    seen = {edits.draft(long, Random(seed), 1, False) for seed in range(40)}
    assert {len(edits.sentences(text)) for text in seen} == {1, 2, 3, 4}
    assert all(long.startswith(text) for text in seen)
    wide = " ".join(f"Sentence {word} {'goes on ' * 10}and ends." for word in phrases.SPELLED)
    assert {len(edits.sentences(edits.draft(wide, Random(seed), 1, False))) for seed in range(40)} == {1, 2}
    assert all(len(words(text)) <= edits.MOST_WORDS for text in seen)
    listed = {edits.draft(LIST, Random(seed), 2, True) for seed in range(40)}
    assert {text.count("\n- ") + 1 for text in listed} == {2, 3}
    assert all(edits.is_list(text) for text in listed)


def test_a_draft_keeps_to_the_fewest_sentences_asked_for():
    assert {len(edits.sentences(edits.draft(ANSWER, Random(seed), 3, False))) for seed in range(20)} == {3}
    assert edits.draft(ANSWER, Random(0), 4, False) is None


@pytest.mark.parametrize("family", edits.EDITORS)
def test_every_editor_makes_a_draft_meet_its_constraint(family):
    met = 0
    for seed in range(60):
        rng = Random(seed)
        text = edits.draft(ANSWER, rng, 2, False)
        arguments = edits.suited(family, text, INSTRUCTION, rng)
        if arguments is None:
            continue
        constraint = {"family": family, "arguments": arguments}
        new = edits.EDITORS[family](arguments, text, INSTRUCTION, rng)
        assert new is None or constraints.check(constraint, new), (family, text, new)
        assert family == "no_digits" or not constraints.check(constraint, text)
        met += new is not None
    assert met >= 20


@pytest.mark.parametrize("family", sorted({*edits.EDITORS} - {"paragraphs", "start_word"}))
def test_lists_are_edited_line_by_line(family):
    text = "- In Paris, you need 3 various plans.\n- Ask around, and listen.\n- Make a plan for all of it."
    arguments = edits.suited(family, text, INSTRUCTION, Random(1))
    new = edits.EDITORS[family](arguments, text, INSTRUCTION, Random(1))
    assert constraints.check({"family": family, "arguments": arguments}, new)
    if family not in ("json_object", "quoted", "title"):
        assert new.startswith("- ")
        assert "\n- " in new


def test_a_word_is_replaced_with_its_article():
    text = "This is a difficult time, an entire age. Entire towns move; an Entire one did."
    assert edit("exclude_word", text, word="entire") == (
        "This is a difficult time, a whole age. Whole towns move; a Whole one did."
    )
    assert edit("exclude_word", "It was a large car.", word="large") == "It was a big car."
    assert edit("exclude_word", "A goal is good. Goals are better.", word="goal") == "An aim is good. Goals are better."
    assert edit("exclude_word", text, word="town") is None


def test_digits_are_spelled_or_their_sentences_left_out():
    text = "I have 12 cats and 3 dogs in my house. 2 of them sleep. They were born in 2019. It is 5% of them."
    assert edit("no_digits", text) == "I have twelve cats and three dogs in my house. Two of them sleep."
    assert edit("no_digits", "All of them were born in the year 2019.") is None
    assert edit("no_digits", "First add 3 + 4 and then take the half of that. Done.") is None


def test_commas_go_only_where_it_reads_well_without():
    text = "However, it is big, and you can see apples, pears, and plums. If you go there, tell me. In Paris, I saw it."
    assert edit("no_commas", text) == (
        "However it is big and you can see apples and pears and plums. In Paris I saw it."
    )
    assert edit("no_commas", "If you would like to go there today, please tell me now.") is None


def test_an_opening_joins_the_first_sentence():
    assert edit("start_word", "Sure, the city is big. It is.", word="Naturally") == "Naturally, the city is big. It is."
    assert edit("start_word", "I'd say it is big.", word="Frankly") == "Frankly, I'd say it is big."
    assert (
        edit("start_word", "Cities are big. Many cities are.", word="Indeed")
        == "Indeed, cities are big. Many cities are."
    )
    assert edit("start_word", "Paris is big.", word="Indeed") is None
    assert edit("start_word", "Is it big?", word="Indeed") is None
    assert edit("start_word", "Paris is big.", word="Thanks") == "Thanks for asking. Paris is big."
    assert edit("start_word", "- Paris is big.\n- It is.", word="Thanks") is None


def test_what_is_added_keeps_a_closing_question_at_the_end():
    text = "You can move to a new city at any time. What do you like? Where?"
    new = edit("include_word", text, word="library")
    assert new.endswith(" What do you like? Where?")
    assert edits.sentences(new)[1] in phrases.ADDED["library"]
    new = edit("repeat_word", text, word="library", times=3)
    assert words(new).count("library") == 3
    assert edit("include_word", text, word="zeppelin") is None


def test_a_closing_phrase_takes_the_place_of_a_question():
    text = "You can move to a new city at any time. What do you like?"
    assert edit("end_phrase", text, phrase="That says it all.") == (
        "You can move to a new city at any time. That says it all."
    )
    assert edit("end_phrase", "What do you like?", phrase="That says it all.") is None


def test_paragraphs_and_bullets_hold_whole_sentences():
    text = "Okay! The city is big. However, it is also old and cheap. Do you like it?"
    assert edit("paragraphs", text, paragraphs=2).split("\n\n") == [
        "Okay! The city is big. However, it is also old and cheap.",
        "Do you like it?",
    ]
    assert edit("paragraphs", "The city is big.", paragraphs=2) is None
    assert edit("bullets", text, bullets=3) == "- Okay!\n- The city is big.\n- It is also old and cheap."
    assert edit("bullets", text, bullets=4) is None


def test_quotation_marks_inside_become_single():
    assert edit("quoted", 'He said "no" and “yes” to it.') == "\"He said 'no' and 'yes' to it.\""


def test_json_keeps_every_word():
    texts = ('He said "no" to all of it at the end. Then he left. He was gone.', "- one \\ item\n- another one")
    for text in texts:
        for seed in range(20):
            value = json.loads(edit("json_object", text, Random(seed)))
            inner = " ".join(" ".join(part) if isinstance(part, list) else part for part in value.values())
            assert words(text) == words(inner)[-len(words(text)) :]
            assert 1 <= len(value) <= 2


@pytest.mark.parametrize(
    ("instruction", "title"),
    [
        ("Can you provide a list of the top 5 hiking destinations in Brazil?", "Top 5 Hiking Destinations in Brazil"),
        ("I'm considering a career change that requires a master's degree. Can you help?", "Career Change"),
        ("What is the capital of Australia, and how does that vary?", "Capital of Australia"),
        ("How would you describe the art of the non-linear narrative?", "Art of the Non-linear Narrative"),
        ("Please tell me about penguins", "Penguins"),
        ("What can I do to help with this?", None),
        ("Could you do it again?", None),
        ("?", None),
    ],
)
def test_a_title_is_what_the_instruction_is_about(instruction, title):
    assert edits.topic(instruction) == title
    assert edit("title", "Text.", instruction=instruction) in (
        [None]
        if not title
        else [
            f"<<{title}>>\nText.",
            f"<<{title}>>\n\nText.",
        ]
    )


def test_words_drawn_are_none_the_evaluation_draws():
    assert not set(phrases.ADDED) & set(constraints.INCLUDE)
    assert not set(phrases.SUBSTITUTES) & set(constraints.EXCLUDE)
    assert not {*phrases.GREETINGS, *phrases.ADVERBS} & set(constraints.OPENINGS)
    assert not set(phrases.ENDINGS) & set(constraints.ENDINGS)
    lists = {"include_word": phrases.ADDED, "repeat_word": phrases.ADDED, "exclude_word": phrases.SUBSTITUTES}
    for family, known in lists.items():
        drawn = {edits.drawn(family, Random(seed))["arguments"]["word"] for seed in range(300)}
        assert drawn == set(known)
    assert edits.drawn("repeat_word", Random(0))["arguments"]["times"] in (2, 3)
    assert edits.drawn("bullets", Random(0)) == constraints.draw("bullets", Random(0))


def test_phrases_do_not_break_other_constraints():
    for word, several in phrases.ADDED.items():
        assert len(several) == 3
        for sentence in several:
            assert words(sentence).count(word) == 1
            assert constraints.count_sentences(sentence) == 1
            assert not re.search(r"[,\d?\"]", sentence)
    for word, opening in phrases.GREETINGS.items():
        assert words(opening)[0] == word.lower()
        assert constraints.count_sentences(opening) == 1
    for word, other in phrases.SUBSTITUTES.items():
        assert word == word.lower()
        assert word not in words(other)
    assert all(phrase.endswith(".") and not re.search(r"[,\d\"]", phrase) for phrase in phrases.ENDINGS)
    assert all(question.endswith("?") for question in phrases.QUESTIONS)
