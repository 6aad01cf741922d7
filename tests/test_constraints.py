"""Each constraint family against texts that meet it and texts that nearly do."""

import json
from random import Random

import pytest

from tuner import constraints
from tuner.replies import parrots

CASES = {
    "fewer_words": ({"words": 4}, ["one two three", "It's so-so"], ["one two three four", "a b c d e"]),
    "more_words": ({"words": 3}, ["one two three", "It's a dog."], ["one two", "it's twelve", "- * - * -"]),
    "at_most_sentences": (
        {"sentences": 2},
        ["One. Two!", "Dr. Who met Mr. Fox, e.g. at 3.5 km. Yes.", "no full stop", "1. First\n2. Second"],
        ["One. Two. Three.", "a\nb\nc", 'He said "no." She left. He stayed.'],
    ),
    "exact_sentences": (
        {"sentences": 2},
        ["One. Two?", "Really?! Yes.", "First line\nsecond line"],
        ["One.", "One. Two. Three.", "- a\n- b\n- c", "Wait... what. Now."],
    ),
    "include_word": ({"word": "river"}, ["The River!", "river"], ["rivers", "driver", "riv er"]),
    "repeat_word": (
        {"word": "river", "times": 2},
        ["River and river.", "river river river"],
        ["river rivers", "river"],
    ),
    "exclude_word": ({"word": "can"}, ["I can't, candidly.", "fine"], ["Yes, I Can.", "can"]),
    "no_commas": ({}, ["No comma here; none."], ["One, two.", "1,000"]),
    "no_digits": ({}, ["three apples"], ["3 apples", "v2"]),
    "lowercase": ({}, ["all small, 3 of them.", "é"], ["All small", "iPhone", "123"]),
    "uppercase": ({}, ["ALL BIG, 3 OF THEM."], ["All BIG", "OK then", "123"]),
    "bullets": (
        {"bullets": 2},
        ["- a\n- b", "Intro:\n* a\n  * b\nEnd", "• a\n• b"],
        ["- a", "- a\n- b\n- c", "a - b - c", "1. a\n2. b", "-a\n-b", "- \n- "],
    ),
    "start_word": (
        {"word": "Sure"},
        ["Sure, why not.", '"Sure" it is', "sure thing"],
        ["Surely not.", "I am Sure", "Sure"],
    ),
    "end_phrase": (
        {"phrase": "Good luck with it."},
        ["Here you go. Good luck with it.", "Fine. Good luck with it.\n"],
        ["Good luck with it.", "Fine. good luck with it.", "Fine. Good luck with it", "Good luck with it. B"],
    ),
    "end_question": ({}, ["Do you agree?", "Yes. No?\n"], ["Do you? Yes.", "?", "What? :)"]),
    "quoted": (
        {},
        ['"All of it."', "“All of it.”"],
        ['"One" and "two"', 'He said "hi"', '"open', '""', "'single'"],
    ),
    "json_object": (
        {},
        ['{"a": 1}', '```json\n{"a": [1, 2]}\n```', ' {"a": {"b": null}}\n'],
        ["[1, 2]", "{}", 'Here: {"a": 1}', '{"a": 1} done', "{'a': 1}", '"text"', "1", "{" * 5000 + "a"],
    ),
    "paragraphs": (
        {"paragraphs": 2},
        ["a\n\nb", "a\nb\n \nc\n"],
        ["a\nb", "a\n\nb\n\nc", "a\n\n\n", "a\n\n***"],
    ),
    "title": (
        {},
        ["<<My trip>>\nText", "Text <<End>>"],
        ["<<Title>>\nText", "<<>> text", "<My trip> text", "<<My trip>>", "<< >> text", "<<My\ntrip>> text"],
    ),
}


def constraint(family):
    return {"family": family, "arguments": CASES[family][0]}


def test_every_family_has_cases():
    assert set(CASES) == set(constraints.FAMILIES)
    assert len(CASES) >= 12


@pytest.mark.parametrize("family", CASES)
def test_passing_and_failing_texts(family):
    _, passing, failing = CASES[family]
    assert [text for text in passing if not constraints.check(constraint(family), text)] == []
    assert [text for text in failing if constraints.check(constraint(family), text)] == []


@pytest.mark.parametrize("family", CASES)
def test_a_reply_without_a_word_never_passes(family):
    for text in ("", " \n\t", "...", '""', "?", "- \n- \n", "{}", "<<>>"):
        assert not constraints.check(constraint(family), text)


@pytest.mark.parametrize("family", CASES)
def test_draws_are_seeded_plain_and_described(family):
    drawn = [constraints.draw(family, Random(f"{seed}")) for seed in range(30)]
    assert drawn == [constraints.draw(family, Random(f"{seed}")) for seed in range(30)]
    assert json.loads(json.dumps(drawn)) == drawn
    for one in drawn:
        assert one["family"] == family
        sentence = constraints.describe(one)
        assert sentence[0].isupper() and sentence[-1] in '.">'
        assert all(str(value) in sentence or value == 1 for value in one["arguments"].values())
        # The sentence that states a rule is not a reply that follows it.
        assert parrots("Write about tea.", sentence, sentence)


def test_parrots_allows_a_real_reply():
    rule = constraints.describe({"family": "include_word", "arguments": {"word": "river"}})
    assert not parrots("Write a short story about tea.", rule, "Anna drank her tea by the river.")
    assert parrots("Write a short story about tea.", rule, "Write a short story about tea. River.")
    assert parrots("Write a short story about tea.", rule, f"Sure! {rule.upper()} Anna drank tea.")
    assert parrots("Write a short story about tea.", rule, "the word river")
