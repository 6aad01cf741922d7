"""Find generated texts that hold items of the evaluation: training on them would make its numbers too good.

Two rules, on words alone (marks, case and layout do not count):

- More than half of an item's words lie in 8-grams that the text shares with it (Tulu 3, Lambert et al. 2024,
  arXiv:2411.15124, section 3.2).
- Any 13-gram of an item occurs in the text (GPT-3, Brown et al. 2020, arXiv:2005.14165, appendix C; datatrove
  takes 12).

Test items are partly boilerplate, and a text that shares only that is innocent. Three kinds of it do not count:
sentences on the form of the reply ("Use exactly 3 bullet points, each on ..."), the fixed words of a template
("Write a short email to a friend about"), and 8-grams that more than SHARED_BY test texts have in common.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tuner import constraints
from tuner.request_forms import FORMS

# One word a run of letters and digits ("3x3", "12"), one a Han or kana character, for these have no blanks between.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
# Anybody writes three words in a row ("What is tea?"); four are a question of their own ("What is 12 + 34?").
SHORTEST_ITEM = 4
# Texts that may share an n-gram. One request comes as two texts, with and without its constraint, and may be asked
# twice. Of the default items' 666 8-grams 20 are left out, none of them particular to one item; a puzzle's wording
# still counts, so that a copy of it with another number is found.
SHARED_BY = 3
COVERED = 0.5
_CUT = ""  # stands in an item for a sentence on form; no text has such a word, so no n-gram across it is shared

Words = tuple[str, ...]
Tasks = Mapping[str, list[dict[str, Any]]]  # suite -> items


def words(text: str) -> list[str]:
    """The text's words in lower case, without marks: "**Don't** stop!" gives don, t, stop; Korean words stay whole."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _ngrams(tokens: list[str] | Words, size: int) -> list[Words]:
    return [tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)]


def _without(tokens: list[str], sentences: set[Words]) -> list[str]:
    """The words with every occurrence of a sentence replaced by a cut, the longest sentence first."""
    sizes = sorted({len(sentence) for sentence in sentences}, reverse=True)
    kept, place = [], 0
    while place < len(tokens):
        size = next((n for n in sizes if tuple(tokens[place : place + n]) in sentences), 0)
        kept.append(_CUT if size else tokens[place])
        place += size or 1
    return kept


class Index:
    """The n-grams of test texts by their hash. Build it once, then call `overlap` for each generated text.

    `texts`: id -> text, or texts that are numbered from 0. `formats`: sentences on the form of a reply, which are
    cut out of the test texts. `templates`: texts whose n-grams do not count. ValueError when not
    1 <= ngram <= long_ngram.

    Memory: 153 bytes for each different 8-gram, its 13-gram and the items' words included, and 223 while it is
    built (measured on 10,000 items of 40 random words). Hashes propose an item, the words themselves decide: a
    collision cannot drop a row.
    """

    def __init__(
        self,
        texts: Mapping[str, str] | Iterable[str],
        ngram: int = 8,
        long_ngram: int = 13,
        *,
        formats: Iterable[str] = (),
        templates: Iterable[str] = (),
    ):
        if not 1 <= ngram <= long_ngram:
            raise ValueError(f"ngram must lie between 1 and long_ngram, not {ngram} of {long_ngram}")
        self.ngram, self.long_ngram = ngram, long_ngram
        cut = {tuple(words(sentence)) for sentence in formats} - {()}
        named = texts.items() if isinstance(texts, Mapping) else enumerate(texts)
        one_object: dict[str, str] = {}  # a word is kept once, however many items hold it
        self.items: list[tuple[str | int, Words]] = [
            (name, tuple(one_object.setdefault(w, w) for w in _without(words(text), cut))) for name, text in named
        ]
        shared = Counter(h for _, item in self.items for h in set(map(hash, _ngrams(item, ngram))))
        stock = {hash(gram) for text in templates for gram in _ngrams(words(text), ngram)}
        stock |= {h for h, count in shared.items() if count > SHARED_BY}
        self.counted: list[bytes] = []  # for each item a 1 for each word that is no boilerplate
        self.holders: dict[int, tuple[int, ...]] = {}  # hash of an n-gram -> items
        self.long_holders: dict[int, int] = {}  # hash of a long n-gram -> an item
        self.wholes: dict[int, dict[int, list[tuple[int, Words]]]] = {}  # length -> hash of the first words -> items
        for number, (_, item) in enumerate(self.items):
            self._add(number, item, stock)

    def _add(self, number: int, item: Words, stock: set[int]) -> None:
        counted = bytearray(word != _CUT for word in item)
        grams = [(place, hash(gram)) for place, gram in enumerate(_ngrams(item, self.ngram)) if _CUT not in gram]
        for place, h in grams:
            if h in stock:
                counted[place : place + self.ngram] = bytes(self.ngram)
        self.counted.append(bytes(counted))
        own = {h for _, h in grams} - stock
        if not own or not any(counted):
            self._add_whole(number, item)
            return
        alone = (number,)
        for h in own:
            self.holders[h] = (*self.holders[h], number) if h in self.holders else alone
        for place, gram in enumerate(_ngrams(item, self.long_ngram)):
            if 2 * sum(counted[place : place + self.long_ngram]) > self.long_ngram:
                self.long_holders.setdefault(hash(gram), number)

    def _add_whole(self, number: int, item: Words) -> None:
        cuts = [-1, *(place for place, word in enumerate(item) if word == _CUT), len(item)]
        part = max((item[a + 1 : b] for a, b in zip(cuts, cuts[1:], strict=False)), key=len)
        if len(part) >= SHORTEST_ITEM:
            size = min(len(part), self.ngram)
            self.wholes.setdefault(size, {}).setdefault(hash(part[:size]), []).append((number, part))


def _whole_items(index: Index, said: list[str]) -> Iterable[int]:
    for size, begins in index.wholes.items():
        for place, gram in enumerate(_ngrams(said, size)):
            for number, part in begins.get(hash(gram), ()):
                if tuple(said[place : place + len(part)]) == part:
                    yield number


def _covered(index: Index, number: int, shared: set[Words]) -> float:
    """Share of the item's counted words that lie in n-grams of the text."""
    item, counted = index.items[number][1], index.counted[number]
    covered = bytearray(len(item))
    for place, gram in enumerate(_ngrams(item, index.ngram)):
        if gram in shared:
            covered[place : place + index.ngram] = b"\1" * index.ngram
    return sum(a & b for a, b in zip(counted, covered, strict=True)) / sum(counted)


def overlap(index: Index, text: str) -> dict[str, Any] | None:
    """The test item that the text holds, None if it holds none. The text is best a row's instruction and response.

    {"item": id, "covered": share of the item's words in shared n-grams, above COVERED} for the most covered item;
    else {"item": id, "ngram": the 13 words of it that the text says}. An item of 4 to 7 words, and one all of whose
    words are boilerplate, counts when it occurs whole, with `covered` 1.0, for half of so few words is a common
    phrase; one below 4 words never. Time is linear in the text's length.
    """
    said = words(text)
    shared = set(_ngrams(said, index.ngram))
    candidates = {number for gram in shared for number in index.holders.get(hash(gram), ())}
    shares = {number: _covered(index, number, shared) for number in candidates}
    shares |= dict.fromkeys(_whole_items(index, said), 1.0)
    if shares:
        share, earliest = max((share, -number) for number, share in shares.items())
        if share > COVERED:
            return {"item": index.items[-earliest][0], "covered": round(share, 4)}
    for gram in _ngrams(said, index.long_ngram):
        number = index.long_holders.get(hash(gram))
        if number is not None and gram in _ngrams(index.items[number][1], index.long_ngram):
            return {"item": index.items[number][0], "ngram": " ".join(gram)}
    return None


def _asked(tasks: Tasks) -> list[dict[str, Any]]:
    return [item for suite, items in tasks.items() if suite != "knowledge" for item in items]


def _user_turns(item: dict[str, Any]) -> list[str]:
    return [message["content"] for message in item["messages"] if message["role"] == "user"]


def evaluation_texts(tasks: Tasks) -> dict[str, str]:
    """id -> what the user says in each item that the evaluate stage asks; `tasks` as `items.read` returns them.

    The turns of a conversation are one text. A request with a constraint comes a second time without it, as
    `<id>-request`. The second turn of a feedback item depends on the reply and is not there.
    """
    texts = {}
    for item in _asked(tasks):
        texts[item["id"]] = "\n".join(_user_turns(item))
        if "request" in item["reference"]:
            texts[f"{item['id']}-request"] = item["reference"]["request"]
    return texts | {item["id"]: item["question"] for item in tasks["knowledge"]}


def format_sentences(tasks: Tasks) -> set[str]:
    """What the same items say about the form of the reply: constraints, and "Reply with only ..." to the end."""
    sentences = set()
    for item in _asked(tasks):
        if "constraint" in item["reference"]:
            sentences.add(constraints.describe(item["reference"]["constraint"]))
        elif found := re.search(r"Reply with only .*", _user_turns(item)[-1], re.DOTALL):
            sentences.add(found.group())
    return sentences


def evaluation_index(tasks: Tasks) -> Index:
    """The index of every item that the evaluate stage asks; `tasks` as `items.read` returns them."""
    return Index(
        evaluation_texts(tasks),
        formats=format_sentences(tasks),
        templates=[part for form in FORMS for part in re.split(r"\{\w+\}", form)],
    )
