import json
from pathlib import Path

import pytest
from filter_rows import row, settings

from tuner import repetition, texts

LABELS = Path(__file__).with_name("labels")


def test_duplicate_sentences_are_those_of_datatrove():
    """labels/datatrove.json: what `find_duplicates` of datatrove 0.10.1 counts in the same sentences, in characters.

    Of every labelled row's response, by id; 0 where an id is not there.
    """
    counted = json.loads((LABELS / "datatrove.json").read_text())
    rows = [json.loads(line) for line in (LABELS / "rows.jsonl").read_text("utf-8").splitlines()]
    compared = 0
    for source in rows:
        said = texts.pieces(source["response"])
        characters = sum(len(word) for piece in said for word in piece)
        if sum(map(len, said)) >= repetition.JUDGED_WORDS:
            share = repetition.shares(source["response"])[0]
            assert round(share * characters) == counted.get(str(source["id"]), 0), source["id"]
            compared += 1
    assert compared > 180 and len(counted) > 20


LOOP = "the sea is near the old town and the sea is near the small port, where the sea is near the inn and the hills"


def test_the_share_of_what_is_said_again_and_again_by_hand():
    # 25 words of 83 characters; "the sea is near the" three times (15 each) and nothing else thrice; the first of
    # them opens the sentence, so it does not count
    tokens = LOOP.replace(",", "").split()
    assert (len(tokens), sum(map(len, tokens))) == (25, 83)
    assert repetition.shares(LOOP) == (0.0, pytest.approx(30 / 83))


def test_twice_is_no_loop():
    text = (
        "the sea is near the old town and the sea is near the small port, where ships from all of the world lie still"
    )
    assert repetition.shares(text) == (0.0, 0.0)


def test_a_list_on_one_pattern_is_no_loop():
    text = " ".join(f"The probability of rolling a {n} is 1/6." for n in "one two three four five six".split())
    assert repetition.shares(text) == (0.0, 0.0)


def test_numbers_tell_sentences_apart_and_list_marks_do_not():
    assert repetition.shares("The chance of a 1 is small.\nThe chance of a 2 is small.\n" + LOOP)[0] == 0
    assert repetition.shares("1. Eat more fruit\n2. Eat more fruit\n3. Eat more fruit\n" + LOOP)[0] > 0.2


def test_code_and_short_texts_do_not_count():
    assert repetition.shares("Here it is:\n```\n" + "go home now\n" * 20 + "```\nThat is how to write it down.") == (
        0,
        0,
    )
    assert repetition.shares("Go home now. Go home now. Go home now.") == (0.0, 0.0)


@pytest.mark.parametrize(
    "text",
    [
        # ordinary prose of the Japanese and Chinese kind, with the grammar that recurs in it
        "植物は光を使って糖を作ることができます。動物は糖を作ることができませんが、食べることができます。"
        "人は火を使って料理することができます。水は冷やすと氷になることができます。",
        "我们可以用水来洗手，也可以用水来做饭。人们可以用火来取暖，也可以用火来照明。动物可以用耳朵来听声音。",
        "저는 아침에 일찍 일어나서 물을 마십니다. 그리고 공원에서 운동을 합니다. 집에 와서 아침을 먹고 회사에 갑니다. "
        "회사에서는 회의를 하고 보고서를 씁니다. 저녁에는 책을 읽고 일찍 잠을 잡니다. 주말에는 친구를 만납니다.",
    ],
)
def test_grammar_that_recurs_is_no_loop(text):
    assert repetition.shares(text) == (0.0, 0.0)


def test_a_loop_without_blanks_is_found():
    assert repetition.shares("植物は光を使って糖を作ります。" * 4)[0] == pytest.approx(0.75)
    text = "つまり光を使って糖を作るしくみで、それは光を使って糖を作るしくみであり、やはり光を使って糖を作るしくみです"
    assert repetition.shares(text)[1] > 0.5


@pytest.mark.parametrize(
    "text, found",
    [
        ("Yes" + "e" * 24, None),
        ("Yes" + "s" * 24, ("s", 25)),
        ("11." + "1." * 19, ("1.", 20)),
        ("[" + "0," * 19 + "0]", None),
        ("na" * 20 + " batman", ("na", 20)),
        ("a line of dashes " + "-" * 200 + " and of dots " + "." * 200, None),
        ("| a | b |\n|" + "---|" * 30, None),
        ("`" + "ab" * 40 + "` is code", None),
    ],
)
def test_runs_of_characters(text, found):
    assert repetition.character_run(text) == found


@pytest.mark.parametrize(
    "text, run",
    [("Buffalo " * 8, 8), ("no, no, no! No.", 4), ("a matrix of " + "0 " * 50, 1), ("one two three", 1), ("", 1)],
)
def test_runs_of_words(text, run):
    assert repetition.longest_word_run(text) == run


@pytest.mark.parametrize(
    "asked", ["Write a song about rain.", "비에 대한 노래 가사를 써 줘.", "Schreibe ein Gedicht über Regen."]
)
def test_half_of_a_song_may_repeat(asked):
    verse = "Rain upon the window pane\nSing your silver song\nFalling softly down the lane\nSing your silver song\n"
    verse += "Clouds are drifting out to sea\nBring the green back to the tree\n"
    assert repetition.repetition(row(1, asked, verse), settings(), None) is None
    assert repetition.repetition(row(1, asked, verse * 4), settings(), None)
    found = repetition.repetition(row(1, "Tell me about rain.", verse), settings(), None)
    assert found["response"] == "duplicate_sentence_share"


CIRCLES = (
    "The plan needs a plan for the team, and the team needs the plan to lead the plan. A good plan helps the team"
    " to plan, so the team can plan well. Then your team and the plan grow, and a team with a plan leads the team."
    " With the plan in hand, the team can lead, and the plan will help a good team to grow into a team that plans."
    " So help the team to grow, lead it well, and let the plan lead the good team to a plan that helps."
)
PLAIN = (
    "Begin with a clear goal and write it down where everyone can read it. Ask three people who know the field what"
    " went wrong when they tried something similar. Set aside money for surprises, because rooms, food and travel"
    " always cost more than the first estimate says. Choose a date early, book the hall, and tell guests at once."
)


def test_variety_by_hand():
    # 40 content words, four of them different: 1 - 36/40; and 40 pairs in ten sentences are too few to be judged
    assert repetition.variety("Red fish, blue birds. " * 10)[0] == pytest.approx(4 / 40)
    assert repetition.variety("Red fish, blue birds. " * 10)[1] == 0.0
    # 7 bigrams a sentence, ten times: 70, of which 63 stood there before
    assert repetition.variety("one two three four five six seven eight. " * 10)[1] == pytest.approx(63 / 70)


def test_variety_is_that_of_the_worst_stretch():
    fresh = " ".join(f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(200))
    stuck = "wheel " * repetition.VARIETY_WINDOW
    assert repetition.variety(fresh)[0] == 1.0
    assert repetition.variety(f"{fresh} {stuck} {fresh}")[0] == pytest.approx(1 / repetition.VARIETY_WINDOW)


def test_repetition_in_other_words():
    assert repetition.repetition(row(1, "How do I build a team?", PLAIN), settings(), None) is None
    found = repetition.repetition(row(1, "How do I build a team?", CIRCLES), settings(max_repeated_ngram_share=1), None)
    assert found["response"] == "content_word_share" and found["share"] < 0.5
    off = settings(max_repeated_ngram_share=1, min_content_word_share=0)
    assert repetition.repetition(row(1, "How do I build a team?", CIRCLES), off, None) == {
        "response": "repeated_bigram_share",
        "share": pytest.approx(repetition.variety(CIRCLES)[1], abs=1e-4),
    }
    asked = "Write a song about a team."
    assert repetition.repetition(row(1, asked, CIRCLES), settings(max_repeated_ngram_share=1), None) is None


def test_variety_is_judged_in_english_and_without_code():
    loose = {"max_repeated_ngram_share": 1}
    assert repetition.repetition(row(1, "Plan?", CIRCLES), settings(language="de", **loose), None) is None
    assert repetition.repetition(row(1, "Plan?", CIRCLES + "\n```\nplan()\n```"), settings(**loose), None) is None
