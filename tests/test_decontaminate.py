import re
import subprocess
import sys
from pathlib import Path

import pytest

from tuner import decontaminate, request_forms, tasks
from tuner.decontaminate import Index, overlap
from tuner.params import Evaluate

OTHERS = {"bfcl": 0, "ifbench": 0, "lm_eval_tasks": [], "engine": "auto"}
SMALL_SETTINGS = Evaluate(instruction_following=32, knowledge=80, agent_per_axis=8, **OTHERS)
LARGE_SETTINGS = Evaluate(instruction_following=120, knowledge=300, agent_per_axis=30, **OTHERS)
SMALL, LARGE = tasks.made(SMALL_SETTINGS, 0), tasks.made(LARGE_SETTINGS, 0)
ABC = "a b c d e f g h i j k l m n o p q r s t".split()


@pytest.fixture(scope="module", params=[SMALL, LARGE], ids=["small", "large"])
def evaluated(request):
    asked = request.param
    texts = decontaminate.evaluation_texts(asked)
    return texts, decontaminate.evaluation_index(asked), decontaminate.format_sentences(asked)


def in_a_row(text):
    return f"Hello there!\n\n{text}\n\nThank you for the help, it is for my class."


@pytest.mark.parametrize(
    "changed",
    [
        str,
        str.upper,
        lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
        lambda text: text.replace(" ", "\n"),
        lambda text: re.sub(r"(\w+)", r"**\1**", text),
        lambda text: text.replace("'", "’").replace('"', "“").replace("?", " ?!").replace(",", " –"),
    ],
    ids=["copied", "upper case", "full width", "line breaks", "bold", "other marks"],
)
def test_every_item_is_found_whatever_its_format(evaluated, changed):
    texts, index, _ = evaluated
    assert [name for name, text in texts.items() if overlap(index, in_a_row(changed(text))) is None] == []


def test_an_item_is_found_in_a_response_too(evaluated):
    texts, index, _ = evaluated
    row = "Give me an example of a planning problem.\nSure! " + texts["agent-planning-0001"]
    assert overlap(index, row) == {"item": "agent-planning-0001", "covered": 1.0}


def test_a_puzzle_with_another_number_is_found():
    texts = decontaminate.evaluation_texts(SMALL)
    index = decontaminate.evaluation_index(SMALL)
    puzzles = [text for name, text in texts.items() if name.startswith("agent-planning") and "Plan these" not in text]
    assert len(puzzles) == 5
    for text in puzzles:
        other = re.sub(r"\d+", lambda match: str(int(match.group()) + 1), text, count=1)
        assert other != text
        assert overlap(index, in_a_row(other))["covered"] > 0.5


def test_a_request_is_found_with_another_constraint(evaluated):
    texts, index, _ = evaluated
    for name in (name for name in texts if name.endswith("-request")):
        found = overlap(index, texts[name] + " Use no more than 77 words, and no adverbs.")
        assert found["covered"] == 1.0
        assert texts[found["item"]].startswith(texts[name])


def test_a_format_sentence_makes_no_row_suspect(evaluated):
    _, index, sentences = evaluated
    for sentence in sentences:
        for asked in ("Explain how a volcano erupts.", "Write a poem about tea.", "What do you think of recycling?"):
            assert overlap(index, f"{asked} {sentence}") is None, (asked, sentence)


def test_the_fixed_words_of_a_request_make_no_row_suspect(evaluated):
    _, index, _ = evaluated
    for form in request_forms.FORMS:
        row = form.format(topic="my new job in Busan", other="the last one I had")
        assert overlap(index, in_a_row(row)) is None, row


@pytest.mark.parametrize(
    "row",
    [
        "What is the capital of the state of Victoria?",
        "What is 17% of 250? Reply with only the number.",
        "In which year did the moon landing take place, and on which day of the week was it in Houston?",
        "Sort these words alphabetically: zebra, lemon, cup. Reply with only the sorted words.",
        "Write a short email to a friend about the party. Do not use any commas.",
        "Plan a free afternoon around my neighbourhood and keep it short.",
    ],
)
def test_rows_of_the_same_kind_are_kept(row):
    assert overlap(decontaminate.evaluation_index(SMALL), row) is None


def test_a_format_sentence_beside_the_topic_of_an_item_is_innocent():
    item = 'Describe tea. Use exactly 5 bullet points, each on its own line starting with "- ".'
    index = Index([item], formats=['Use exactly 5 bullet points, each on its own line starting with "- ".'])
    assert overlap(index, item.replace("Describe", "I would like to hear about")) is None
    assert overlap(Index([item]), item.replace("Describe", "I would like to hear about")) is not None


def test_more_than_half_of_the_words_must_be_covered():
    index = Index({"item": " ".join(ABC)})
    assert overlap(index, "x " + " ".join(ABC[3:13]) + " y") is None
    assert overlap(index, "x " + " ".join(ABC[3:14]) + " y") == {"item": "item", "covered": 0.55}
    assert overlap(index, " ".join([*ABC[:8], "x", *ABC[12:]])) == {"item": "item", "covered": 0.8}
    assert overlap(index, " ".join([*ABC[:7], "x", *ABC[7:14], "x", *ABC[14:]])) is None


def test_thirteen_words_of_a_long_item_are_enough():
    long = [f"w{i}" for i in range(60)]
    index = Index(["something else that is not very long at all", " ".join(long)])
    assert overlap(index, "x " + " ".join(long[30:42]) + " y") is None
    assert overlap(index, "x " + " ".join(long[30:43]) + " y") == {"item": 1, "ngram": " ".join(long[30:43])}
    assert overlap(Index([" ".join(long)], long_ngram=12), " ".join(long[30:42])) is not None


def test_short_items_must_occur_whole():
    index = Index({"rome": "What is the capital of Italy?", "sum": "What is 12 + 34?", "tea": "What is tea?"})
    assert overlap(index, "Quiz time. WHAT is the capital of **Italy**") == {"item": "rome", "covered": 1.0}
    assert overlap(index, "What is the capital of France, and of Italy?") is None
    assert overlap(index, "So, what is 12+34 then?") == {"item": "sum", "covered": 1.0}
    assert overlap(index, "What is tea?") is None


def test_the_most_covered_item_is_named():
    index = Index({"far": " ".join(ABC), "near": " ".join([*ABC[:16], "x", "y"])})
    assert overlap(index, " ".join([*ABC[:16], "x", "y"])) == {"item": "near", "covered": 1.0}


def test_words_that_many_items_share_do_not_count():
    opening = "please read the following sentence twice and then answer"
    texts = [f"{opening} {word}" for word in ("one", "two", "three")]
    row = f"{opening} in French"
    assert overlap(Index(texts), row) == {"item": 0, "covered": 0.9}
    index = Index([*texts, f"{opening} four"])
    assert overlap(index, row) is None
    assert overlap(index, f"Now {opening} three times") == {"item": 2, "covered": 1.0}


def test_a_long_stretch_that_many_items_share_does_not_count():
    rules = "a robot stands on a board and must not leave it or step on a red field"
    index = Index([f"{rules} from {word} to the goal" for word in ("one", "two", "three", "four")])
    assert overlap(index, f"Explain these rules: {rules}!") is None
    assert overlap(index, f"{rules} from two to the goal") == {"item": 1, "covered": 1.0}


def test_of_two_format_sentences_the_longer_is_cut():
    formats = ["Reply with only the name", "Reply with only the name of the biggest city in Europe"]
    index = Index(["Now? Reply with only the name of the biggest city in Europe."], formats=formats)
    assert overlap(index, "London is one of the biggest city in Europe.") is None


@pytest.mark.parametrize(
    "others",
    [
        [" ".join([*ABC[:10], end]) for end in ("w", "x", "y", "z")],  # no n-gram of its own
        [f"{' '.join(ABC[:8])} {end}" for end in "wxyz"] + [f"{end} {' '.join(ABC[2:10])}" for end in "wxyz"],
    ],
    ids=["no n-gram of its own", "every word in a shared n-gram"],
)
def test_an_item_that_is_all_shared_must_occur_whole(others):
    index = Index([" ".join(ABC[:10]), *others])
    assert overlap(index, "q " + " ".join(ABC[:10]) + " q") == {"item": 0, "covered": 1.0}
    assert overlap(index, "q " + " ".join(ABC[:9]) + " q") is None


def test_korean():
    item = "다음 문장을 읽고 주인공이 왜 시장에 갔는지, 그리고 무엇을 샀는지 한 문장으로 답하세요."
    index = Index({"market": item, "capital": "대한민국의 수도는 어디입니까 지금"})
    assert overlap(index, f"안녕하세요! 「{item[:-1]}」") == {"item": "market", "covered": 1.0}
    assert overlap(index, "대한민국의 수도는 어디입니까, 지금?")["item"] == "capital"
    assert overlap(index, "다음 문장을 읽고 한 문장으로 답하세요. 왜 시장에 갔나요?") is None


def test_a_hash_collision_drops_no_row(monkeypatch):
    monkeypatch.setattr(decontaminate, "hash", len, raising=False)
    index = Index([" ".join(ABC[:13]), "what is the capital of Italy"])
    assert overlap(index, " ".join(ABC[:13])) is not None
    assert overlap(index, " ".join(f"w{i}" for i in range(20))) is None


def test_an_empty_index_and_an_empty_text():
    assert overlap(Index([]), "What is the capital of Italy?") is None
    assert overlap(Index(["", "What is the capital of Italy?"]), "") is None


@pytest.mark.parametrize(("ngram", "long_ngram"), [(0, 13), (14, 13)])
def test_sizes_are_checked(ngram, long_ngram):
    with pytest.raises(ValueError, match="ngram"):
        Index(["a b c d e"], ngram, long_ngram)


def test_the_texts_are_those_of_the_items_that_are_asked():
    texts = decontaminate.evaluation_texts(tasks.made(SMALL_SETTINGS, 5))
    asked = [item for items in tasks.made(SMALL_SETTINGS, 5).values() for item in items]
    assert {name for name in texts if not name.endswith("-request")} == {item["id"] for item in asked}
    for item in asked:
        said = [m["content"] for m in item.get("messages", []) if m["role"] == "user"] or [item["question"]]
        assert texts[item["id"]] == "\n".join(said)
        request = item.get("reference", {}).get("request")
        assert texts.get(f"{item['id']}-request") == request
        assert request is None or texts[item["id"]].startswith(request)
    assert texts != decontaminate.evaluation_texts(tasks.made(SMALL_SETTINGS, 6))


def test_every_generated_item_has_a_format_sentence(evaluated):
    texts, _, sentences = evaluated
    for name, text in texts.items():
        if not name.startswith("knowledge") and not name.endswith("-request"):
            assert any(text.endswith(sentence) for sentence in sentences), text


def test_torch_is_not_imported():
    code = "import sys, tuner.decontaminate; print({'torch', 'transformers'} & set(sys.modules))"
    root = Path(__file__).parents[1]
    assert subprocess.check_output([sys.executable, "-c", code], text=True, cwd=root).strip() == "set()"
