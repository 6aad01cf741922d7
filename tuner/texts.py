"""Words, sentences and prose of a text, in scripts that write blanks between words and in those that do not.

Several filters read the same few texts one after the other, so the last results are remembered (16 texts).
"""

import re
import unicodedata
from functools import lru_cache

# Thai, Lao, Burmese, Khmer, kana, Han: no blanks between words
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
UNSPACED = re.compile(f"[{_UNSPACED}]")
_TOKEN = re.compile(f"[{_UNSPACED}]|[^\\s{_UNSPACED}]+")
_MARKS = re.compile(r"[.,;:?\u2026\u3002\uff1f\uff0c\uff01\u3001\"\u201c\u201d]+$|(?<![\d)])!+$")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_PIECE_END = frozenset(".!?:\u3002\uff01\uff1f\uff1a")
_AROUND = ".,;:!?\"'()*_\u201c\u201d\u3001\u3002\uff01\uff1f\uff0c\uff1a"
_QUOTES = "\"'\u201d*_)"
_LIST_MARK = re.compile(r"[\d\-\u2013*.#)]+")
FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_NOT_PROSE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\$[^$\n]*\$|https?://\S+|[\"\u201c\u00ab][^\"\u201d\u00bb\n]*[\"\u201d\u00bb]",
    re.DOTALL,
)
_PROSE_WORD = re.compile(r"(?<![\w/.@\\])[^\W\d_](?:[^\W\d_]|['\u2019-](?=[^\W\d_]))*(?![\w/@\\=(])")
_CODE_MARK = re.compile(r"[{}()\[\]<>=;_/\\|+*#$&^]")
_CLIP = 200  # characters: enough to tell a language, and drift shows at the end
_PART_END = re.compile(r"[,;:.!?]\s|[\u3001\u3002\uff0c\uff1b\uff1a\uff01\uff1f]|\s[-\u2013\u2014]\s")


@lru_cache(maxsize=16)
def words(text: str) -> tuple[str, ...]:
    """What blanks separate, and each character of a script without blanks; punctuation alone is no word."""
    return tuple(t for t in _tokens(text) if t[0].isalnum() or any(unicodedata.category(c)[0] not in "PZC" for c in t))


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text) if not text.isascii() and UNSPACED.search(text) else text.split()


@lru_cache(maxsize=16)
def normalise(text: str) -> str:
    """The text by which instructions are the same: casefolded, blanks collapsed, sentence marks stripped.

    Marks go at the ends of words only, symbols never: "C#", "x - 2", ".5" and "5!" stay what they are.
    """
    plain = []
    for token in unicodedata.normalize("NFC", text).casefold().split():
        bare = token if token[0].isalnum() else token.lstrip('"\u201c\u201d')
        if bare and not bare[-1].isalnum():
            bare = _MARKS.sub("", bare)
        if bare:
            plain.append(bare)
    return " ".join(plain)


@lru_cache(maxsize=16)
def pieces(text: str) -> tuple[tuple[str, ...], ...]:
    """The casefolded bare words of each sentence, line or part before a colon, without list marks and code."""
    plain = CODE.sub(" ", text) if "`" in text else text
    found, piece = [], []
    for token in _tokens(plain.casefold().replace("\n", " \0 ")):
        if token.isalpha():
            piece.append(token)
            continue
        bare = token.strip(_AROUND)
        if bare and bare != "\0" and (piece or bare[0].isalpha() or not _LIST_MARK.fullmatch(bare)):
            piece.append(bare)
        if piece and (token == "\0" or token[-1] in _PIECE_END or token.rstrip(_QUOTES)[-1:] in _PIECE_END):
            found.append(tuple(piece))
            piece = []
    return (*found, tuple(piece)) if piece else tuple(found)


def mostly_unspaced(text: str) -> bool:
    """Whether more than half of the letters are of a script without blanks."""
    if text.isascii():
        return False
    return 2 * len(UNSPACED.findall(text)) > sum(map(str.isalpha, text))


@lru_cache(maxsize=16)
def clipped(text: str) -> str:
    """The first and last 200 characters without code, formulas, links and quotations."""
    plain = _NOT_PROSE.sub(" ", text if len(text) <= 4000 else f"{text[:2000]}\n{text[-2000:]}")
    return plain if len(plain) <= 2 * _CLIP else f"{plain[:_CLIP]}\n{plain[-_CLIP:]}"


def prose(text: str) -> str:
    """The words of `clipped` that tell a language: no lines of code, no names of files, no single letters."""
    plain = clipped(text)
    if _CODE_MARK.search(plain):
        plain = "\n".join(s for s in plain.splitlines() if len(_CODE_MARK.findall(s)) <= 0.08 * len(s))
    return " ".join(w for w in _PROSE_WORD.findall(plain) if len(w) > 1 or not w.isascii())


def prose_parts(text: str) -> list[str]:
    """The same words as `prose`, apart where a mark or a comma parts them."""
    return [prose(part) for part in _PART_END.split(_NOT_PROSE.sub(" ", text[:4000]) + " ")]
