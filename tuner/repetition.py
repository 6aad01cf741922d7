"""Texts that go round in circles: runs, sentences and 3-grams said again (after Gopher, Table A1), too few words."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain, groupby, pairwise
from operator import eq
from typing import Any

from tuner.texts import CODE, mostly_unspaced, pieces

NGRAM = 3  # words
NGRAM_UNSPACED = 12  # characters of a script without blanks; shorter ones are grammar
TIMES = 3  # said twice is a reference, three times a loop
SENTENCE_CHARACTERS = 8  # shorter lines ("Yes", "Step 1") may stand there twice
JUDGED_WORDS = 20  # below this a single phrase said twice is a large share
WORD_RUN = 8  # the longest run of one word that is kept ("Buffalo buffalo …" is 8)
CHARACTER_RUN = 25  # "aaaa…": the same letter more often than any word holds it
UNIT_RUN = 20  # "11.1.1.1.": the same few characters over and over
VARIETY_WINDOW = 80  # content words: the share of different ones falls with length, so it is taken of equal lengths
VARIETY_WORDS = 30  # content words; fewer tell nothing
BIGRAM_WINDOW = 120
BIGRAMS = 60  # half of the window; a list of a few short lines on one pattern has fewer
FORMULAS = 2  # equality signs; a sum that is worked out names its terms line by line
REFRAIN_SHARE = 0.5  # a poem, song or dialogue that was asked for may repeat up to half of itself

# English words of grammar: they come back in every text
_FUNCTION_WORDS = frozenset(
    "a about after all also an and any are as at be because been being both but by can could did do does each for from"
    " had has have he her here him his how i if in into is it its just may me might more most my no not of on one only"
    " or other our out over own she should so some such than that the their them then there these they this those to"
    " too up us was we were what when where which while who why will with would you your yourself i'm i'd i'll i've"
    " it's you're you'll you've that's there's here's let's don't can't they're we're".split()
)
_CHARACTER_RUN = re.compile(rf"([^\W\d_])\1{{{CHARACTER_RUN - 1},}}")
_UNIT_RUN = re.compile(rf"(?=[^\s]{{0,11}}[^\W_])([^\s]{{2,12}}?)\1{{{UNIT_RUN - 1},}}")
_REFRAIN = re.compile(
    r"\b(?:poems?|poetry|songs?|lyrics|sing|rap|rhymes?|verses?|haikus?|sonnets?|ballads?|refrain|chorus|chant|mantra"
    r"|lullaby|limerick|prayer|gedichte?|lied(?:er)?|liedtext|poema?s?|canci[oó]n|chanson|po[eè]me"
    r"|dialog(?:ue)?s?|conversations?|transcripts?|interviews?|role-?play\w*|skits?|screenplay|gespr[aä]ch|di[aá]logo)\b"
    r"|노래|가사|동시|\b시[를 ]|\b시조|대화|詩|歌|俳句|会話|対話|诗|对话",
    re.IGNORECASE,
)


def shares(text: str) -> tuple[float, float]:
    """Shares (0-1) of a text's characters in sentences that stood there before, and in what is said again and again.

    A sentence (line, list item) of 8 characters or more counts when it stood there earlier: Gopher's duplicate line
    character fraction, of sentences. Said again and again are such sentences, and 3-grams that occur three times or
    more within sentences, each character once: Gopher's duplicate n-gram fraction takes 5-grams and two times, which
    in texts of 150 words is as often a term that has to recur. They do not count where they open a sentence that
    goes on differently: "The probability of rolling a 1 is …, The probability of rolling a 2 is …" is a list, not a
    loop. Code does not count. Texts under 20 words give (0, 0).
    """
    said = pieces(text)
    if sum(map(len, said)) < JUDGED_WORDS:
        return 0.0, 0.0
    n = NGRAM_UNSPACED if mostly_unspaced(text) else NGRAM
    grams = [tuple(zip(*(piece[k:] for k in range(n)), strict=False)) for piece in said]
    often = {gram for gram, times in Counter(chain.from_iterable(grams)).items() if times >= TIMES}
    if not often and len(set(said)) == len(said):
        return 0.0, 0.0
    sentences = set()
    duplicate = again = characters = 0
    for piece, own in zip(said, grams, strict=True):
        sizes = list(map(len, piece))
        characters += sum(sizes)
        if len(piece) > 1 and piece in sentences and sum(sizes) >= SENTENCE_CHARACTERS:
            duplicate += sum(sizes)
            again += sum(sizes)
            continue
        sentences.add(piece)
        marked = [False] * len(piece)
        for i, gram in enumerate(own):
            if gram in often:
                marked[i : i + n] = [True] * n
        if not all(marked):
            opening = marked.index(False)
            marked[:opening] = [False] * opening
        again += sum(size for size, mark in zip(sizes, marked, strict=True) if mark)
    return duplicate / characters, again / characters


def variety(text: str) -> tuple[float, float]:
    """What tells repetition in other words: (share of different content words, share of bigrams said before), each 0-1.

    Content words are those that are no words of English grammar. Both shares are taken of the stretch where they are
    worst, of 80 content words and of 120 bigrams within sentences. Code does not count. Too short texts give (1, 0).
    """
    said = pieces(text.replace("\u2019", "'"))
    content = [w for w in chain.from_iterable(said) if w not in _FUNCTION_WORDS and any(map(str.isalpha, w))]
    pairs = [pair for piece in said for pair in pairwise(piece) if any(map(str.isalpha, "".join(pair)))]
    return (
        1 - _most_repeated(content, VARIETY_WINDOW) if len(content) >= VARIETY_WORDS else 1.0,
        _most_repeated(pairs, BIGRAM_WINDOW) if len(pairs) >= BIGRAMS else 0.0,
    )


def _most_repeated(items: Sequence, window: int) -> float:
    """The largest share of items that stood there before, in any `window` of them in a row (all if there are fewer)."""
    counts = Counter(items[:window])
    fewest = len(counts)
    for new, old in zip(items[window:], items, strict=False):
        counts[new] += 1
        counts[old] -= 1
        if not counts[old]:
            del counts[old]
        fewest = min(fewest, len(counts))
    size = min(window, len(items))
    return (size - fewest) / size


def longest_word_run(text: str) -> int:
    """How often one word stands in a row, at most; numbers (the zeros of a matrix) and code may repeat."""
    tokens = list(chain.from_iterable(pieces(text)))
    if not any(map(eq, tokens, tokens[1:])):
        return 1
    return max((sum(1 for _ in same) for word, same in groupby(tokens) if word.isalpha()), default=0)


def character_run(text: str) -> tuple[str, int] | None:
    """A letter 25 times or more in a row, or up to 12 characters with a letter or digit 20 times, and how often."""
    plain = CODE.sub(" ", text) if "`" in text else text
    for token in plain.split():
        if len(token) >= CHARACTER_RUN and (found := _CHARACTER_RUN.search(token) or _UNIT_RUN.search(token)):
            return found.group(1), len(found.group()) // len(found.group(1))
    return None


def repetition(row: dict, settings: Any, memory: Any) -> dict | None:
    """Either text repeats itself: runs of a word, a letter or a few characters; sentences and 3-grams said again.

    `max_duplicate_sentence_share` and `max_repeated_ngram_share` bound the two numbers of `shares`. Gopher's 0.20
    and 0.15 are for web pages of 50 words and more. An instruction may quote and list: half of it may repeat, as
    may half of an answer where a poem, a song or a dialogue is asked for. So may the
    3-grams of a text with code or sums, whose explanation has to name the same things again.

    In English answers `min_content_word_share` and `max_repeated_bigram_share` bound the two numbers of `variety`,
    where no refrain was asked for and no code was given; the second not where sums are worked out.
    Of the answers in tests/labels that are for tuning, 32 of 35 under 0.5 have a labelled defect (41 of 49 under 0.55),
    and 40 of 45 over 0.29 (44 of 57 over 0.25).
    """
    for side in ("response", "instruction"):
        text = row[side]
        if (run := longest_word_run(text)) > WORD_RUN:
            return {side: "word_run", "times": run}
        if found := character_run(text):
            return {side: "run of " + found[0], "times": found[1]}
        limits = settings.max_duplicate_sentence_share, settings.max_repeated_ngram_share
        of_sentences, of_ngrams = shares(text)
        if of_sentences <= limits[0] and of_ngrams <= limits[1]:
            continue
        if "```" in text or text.count("=") >= FORMULAS:
            limits = limits[0], max(limits[1], REFRAIN_SHARE)
        if side == "instruction" or _REFRAIN.search(row["instruction"]):
            limits = max(limits[0], REFRAIN_SHARE), max(limits[1], REFRAIN_SHARE)
        if of_sentences > limits[0]:
            return {side: "duplicate_sentence_share", "share": round(of_sentences, 4)}
        if of_ngrams > limits[1]:
            return {side: "repeated_ngram_share", "share": round(of_ngrams, 4)}
    if settings.language != "en" or "```" in row["response"] or _REFRAIN.search(row["instruction"]):
        return None
    different, of_bigrams = variety(row["response"])
    if different < settings.min_content_word_share:
        return {"response": "content_word_share", "share": round(different, 4)}
    if of_bigrams > settings.max_repeated_bigram_share and row["response"].count("=") < FORMULAS:
        return {"response": "repeated_bigram_share", "share": round(of_bigrams, 4)}
    return None
