"""Rows in other languages than English: good ones pass every filter, bad ones fall to the right one."""

import json
from pathlib import Path

import pytest
from filter_rows import row, run, run_rows, settings

from tuner import filters
from tuner.errors import UserError
from tuner.language import KNOWN, _detector

ROWS = [json.loads(line) for line in Path(__file__).with_name("languages.jsonl").read_text("utf-8").splitlines()]
GOOD = [r for r in ROWS if r["reason"] is None]
BAD = [r for r in ROWS if r["reason"]]
LANGUAGES = sorted({r["language"] for r in ROWS})


def label(source):
    return f"{source['language']}-{source['reason']}-{source['instruction'][:12]}-{source['response'][:12]}"


def pair(source):
    return source["instruction"], source["response"]


def test_every_language_of_the_detector_is_known():
    found = {guess["lang"] for text in ("a", "\u0430", "\u4e00") for guess in _detector().detect(text, k=200)}
    assert len(found) > 160 and found <= KNOWN and len(KNOWN) == 176


def test_a_language_that_the_detector_does_not_know_is_refused():
    with pytest.raises(UserError, match="filter.language = xx: not one that lid.176 knows"):
        filters.begin(settings(language="xx"), [])


def test_the_languages_are_there():
    assert LANGUAGES == ["de", "es", "fr", "ja", "ko", "zh"]
    for language in ("de", "ja", "ko"):
        assert sum(r["language"] == language for r in GOOD) >= 12
        assert {r["reason"] for r in BAD if r["language"] == language} >= {
            "refusal", "identity", "repetition", "language", "modality", "characters"
        }  # fmt: skip


@pytest.mark.parametrize("source", GOOD, ids=label)
def test_good_rows_pass_in_their_language_and_in_any(source):
    assert run(pair(source), language=source["language"])[1] == []
    assert run(pair(source), language=None)[1] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_good_rows_are_no_duplicates_of_each_other(language):
    assert run(*(pair(r) for r in GOOD if r["language"] == language), language=language)[1] == []


@pytest.mark.parametrize("source", BAD, ids=label)
def test_bad_rows_name_the_reason(source):
    _, dropped = run(pair(source), language=source["language"])
    assert [d["reason"] for d in dropped] == [source["reason"]]
    if source["reason"] != "language":  # the others need no language to be asked for
        assert [d["reason"] for d in run(pair(source), language=None)[1]] == [source["reason"]]


PHOTOSYNTHESIS = {
    "ko": ("광합성이 무엇인지 설명해 주세요.", "광합성은 식물이 빛을 이용하여 당을 만드는 과정입니다."),
    "de": ("Erkläre mir bitte, was Photosynthese ist.", "Pflanzen wandeln mit Licht Wasser und Luft in Zucker um."),
    "ja": ("光合成とは何か説明してください。", "植物が光を使って、水と空気から糖を作るはたらきのことです。"),
    "zh": ("请解释一下什么是光合作用。", "植物利用光能，把水和二氧化碳转化为糖，并释放出氧气。"),
    "es": ("Explica qué es la fotosíntesis.", "Las plantas usan la luz para convertir agua y aire en azúcar."),
    "fr": ("Explique ce qu'est la photosynthèse.", "Les plantes utilisent la lumière pour transformer l'eau en sucre."),
}


@pytest.mark.parametrize("wanted", LANGUAGES)
@pytest.mark.parametrize("other", LANGUAGES)
def test_instructions_in_another_language(wanted, other):
    dropped = run(PHOTOSYNTHESIS[other], language=wanted)[1]
    assert [d["reason"] for d in dropped] == ([] if other == wanted else ["language"])


def test_words_are_counted_by_script():
    korean, japanese = "광합성은 빛을 이용합니다", "光合成は光を使います"
    _, dropped = run((korean, "네, 맞습니다."), language="ko", min_instruction_words=4)
    assert dropped[0]["measured"] == {"instruction_words": 3}
    _, dropped = run((japanese, "はい、そうです。"), language="ja", min_instruction_words=11)
    assert dropped[0]["measured"] == {"instruction_words": 10}


SUM_OF_TWO = {
    "ko": "파이썬으로 정수 리스트를 받아서 합이 열이 되는 두 수를 찾아 돌려주는 함수를 하나 간단히 작성해 주세요",
    "ja": "整数のリストを受け取り、足して十になる二つの数を返す関数を書いて、動作を簡単に説明してください",
    "zh": "请用Python写一个函数，输入一个整数列表，返回其中相加等于十的两个数，并简单解释它的工作原理",
}


@pytest.mark.parametrize(
    "language, first, twin, other",
    [
        ("ko", SUM_OF_TWO["ko"], "혹시 " + SUM_OF_TWO["ko"], SUM_OF_TWO["ko"].replace("두 수를", "세 수의 곱을")),
        ("ja", SUM_OF_TWO["ja"], SUM_OF_TWO["ja"] + "ね", SUM_OF_TWO["ja"].replace("足して十", "掛けて百万")),
        ("zh", SUM_OF_TWO["zh"], SUM_OF_TWO["zh"] + "吧", SUM_OF_TWO["zh"].replace("相加等于十", "长度最大")),
        ("ko", "대한민국의 수도를 알려주세요", "대한민국의 수도를 알려주세요요", "일본의 수도를 알려주세요"),
        ("de", "Erkläre Photosynthese genauer", "Erkläre Photosynthese genauer hm", "Erkläre Zellatmung bitte"),
    ],
)
def test_near_duplicates(language, first, twin, other):
    kept, dropped = run(*((text, PHOTOSYNTHESIS[language][1]) for text in (first, twin, other)), language=language)
    assert [r["id"] for r in kept] == [0, 2]
    assert dropped[0]["reason"] == "near_duplicate"
    assert dropped[0]["measured"]["duplicate_of"] == 0
    assert dropped[0]["measured"]["jaccard"] >= 0.8


def test_a_word_of_another_script_is_no_drift():
    genji = "Murasaki Shikibu (紫式部), a lady at court, around the year 1010."
    assert run(("Who wrote The Tale of Genji?", genji))[1] == []
    assert run(("What does こんにちは mean?", "It means hello. こんにちは is pronounced konnichiwa."))[1] == []


def test_an_answer_that_slips_into_another_script_is_dropped():
    text = "Plants take in light and water, and then 植物利用光能把水和二氧化碳转化为糖 and oxygen is set free."
    assert run(("Explain photosynthesis.", text))[1][0]["measured"] == {"response": "Han", "letters": 17}


def test_history_in_another_language():
    turns = [{"instruction": "Was ist Photosynthese?", "response": PHOTOSYNTHESIS["ko"][1]}]
    source = row(4, "Und wozu dient der Sauerstoff?", "Tiere und Menschen atmen ihn ein.", history=turns)
    _, dropped = run_rows([source], language="de")
    assert (dropped[0]["reason"], dropped[0]["measured"]["turn"]) == ("language", 1)
