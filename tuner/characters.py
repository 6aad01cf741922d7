"""What a text is made of: broken characters, symbols instead of letters, words no language has."""

import re
from functools import lru_cache
from typing import Any

from tuner.texts import CODE, mostly_unspaced, words

JUDGED_CHARACTERS = 20  # not blank; "x = 5" is mostly no letters
JUDGED_WORDS = 10

# UTF-8 read as Latin-1 or Windows-1252: "Ã©", "â€™", "Â°", "ðŸ˜€", "ï»¿", "æ—¥æœ¬", "ê´‘í•©"
_TAIL = (
    "\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc"
    "\u2018-\u2026\u2030\u2039\u203a\u20ac\u2122"
)
_MOJIBAKE = re.compile(
    f"[\u00c3\u00c5][{_TAIL}]|\u00e2\u20ac[{_TAIL}]|\u00c2[\u00a0-\u00bf]|\u00f0\u0178|\u00ef\u00bb\u00bf"
    # a French quotation may end in "é»…", a word of the others is not followed by two of these
    f"|[\u00e3-\u00ed](?![\u00ab\u00bb\u2018-\u201e\u2026])[{_TAIL}][{_TAIL}]"
)
_NOT_TEXT = re.compile(CODE.pattern + r"|\$[^$\n]*\$|https?://\S+|^[\s|:+=_*#-]+$", re.DOTALL | re.MULTILINE)
# marks that letters carry in scripts from Devanagari to Burmese are a part of them
_ODD = re.compile(r"[^\w\u0300-\u036f\u0900-\u109f]|_")
_ASCII_LETTERS_AND_DIGITS = dict.fromkeys(c for c in range(128) if chr(c).isalnum())


@lru_cache(maxsize=16)
def plain_text(text: str) -> str:
    """The text without code, formulas, links and the rules of tables."""
    return _NOT_TEXT.sub(" ", text)


def alphanumeric_share(text: str) -> float:
    """Share (0-1) of letters and digits among what is not blank in `plain_text`; 1 for fewer than 20 characters."""
    plain = "".join(plain_text(text).split())
    if len(plain) < JUDGED_CHARACTERS:
        return 1.0
    odd = plain.translate(_ASCII_LETTERS_AND_DIGITS) if plain.isascii() else _ODD.findall(plain)
    return 1 - len(odd) / len(plain)


def mean_word_length(text: str) -> float:
    """Mean characters of the words of `plain_text` (Gopher: 3 to 10); 0 for fewer than ten words."""
    tokens = words(plain_text(text))
    return sum(map(len, tokens)) / len(tokens) if len(tokens) >= JUDGED_WORDS else 0.0


def characters(row: dict, settings: Any, memory: Any) -> dict | None:
    """Either text is broken or made of symbols: U+FFFD, UTF-8 read as Latin-1, few letters, endless words.

    `min_alphanumeric_share` (0-1; data-juicer: 0.25) bounds the first measure, `max_mean_word_characters`
    (Gopher: 10 for web pages) the second; scripts without blanks have no word length.
    """
    for side in ("instruction", "response"):
        text = row[side]
        if not text.isascii():
            if "\ufffd" in text:
                return {side: "replacement character", "count": text.count("\ufffd")}
            if found := _MOJIBAKE.search(text):
                return {side: "mojibake", "characters": found.group()}
        if (share := alphanumeric_share(text)) < settings.min_alphanumeric_share:
            return {side: "alphanumeric_share", "share": round(share, 4)}
        mean = mean_word_length(text)
        if mean > settings.max_mean_word_characters and not mostly_unspaced(text):
            return {side: "mean_word_characters", "mean": round(mean, 2)}
    return None
