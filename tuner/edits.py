"""Edits that make an answer meet a constraint of tuner/constraints.py and leave it readable English.

An answer is first cut to a short draft: some of its opening sentences, or the first items of its list. Editors then
change the draft. What an editor returns is not trusted: the caller checks the finished text (tuner/verify.py).
"""

import json
import re
from random import Random

from tuner import constraints
from tuner import edit_phrases as phrases
from tuner.constraints import Arguments
from tuner.replies import words

LEAST_WORDS, MOST_WORDS = 8, 60  # of a draft: less says nothing, more trains slowly
ITEM_WORDS = 30
PLEASANTRY_WORDS = 16
TITLE_WORDS = 7
GREETING_WORDS = 4


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, each with what ends it; what follows the last end on a line is left out.

    The ends are those that constraints.count_sentences counts.
    """
    found = []
    for line in text.splitlines():
        masked = constraints.ABBREVIATIONS.sub(lambda match: match.group().replace(".", "_"), line)
        start = 0
        for end in phrases.END.finditer(masked):
            found.append(line[start : end.end()].strip())
            start = end.end()
    return [sentence for sentence in found if words(sentence)]


def lead(answer: str) -> list[str]:
    """Return the sentences of prose an answer opens with, up to its first heading, list or announcement of one.

    An opening that says nothing ("Sure, I'd be happy to help.") or excuses is left out where enough follows it.
    """
    found = []
    for line in filter(None, map(str.strip, answer.splitlines())):
        here = [] if phrases.HEADING.match(line) else sentences(line)
        sound = next((place for place, sentence in enumerate(here) if not _is_sound(sentence)), len(here))
        found += here[:sound]
        if sound < len(here) or not here or not line.endswith(here[-1]):
            break
    while len(found) > 1 and _is_pleasantry(found[0]) and _count(found[1:]) >= LEAST_WORDS:
        found = [_without_connective(found[1]), *found[2:]]
    return found


def items(answer: str) -> list[str]:
    """Return the items of an answer's list, without their marks; [] unless each is one short line of its own."""
    lines = [line.strip() for line in answer.splitlines() if line.strip()]
    matches = [phrases.ITEM.match(line) for line in lines]
    places = [place for place, match in enumerate(matches) if match]
    texts = [matches[place].group(1).replace("**", "").strip() for place in places]
    short = all(words(text) and len(words(text)) <= ITEM_WORDS and not text.endswith(":") for text in texts)
    distinct = len({text.lower() for text in texts}) == len(texts)
    # A line between two items belongs to the item before it.
    adjoining = bool(places) and places[-1] - places[0] == len(places) - 1
    return texts if len(texts) > 1 and short and distinct and adjoining else []


def is_list(text: str) -> bool:
    """Return whether a draft is a list of items."""
    return text.startswith("- ")


def draft(answer: str, rng: Random, least: int, as_list: bool) -> str | None:
    """Return an answer cut to 1 to 4 of its opening sentences, or to 2 to 5 items of its list, "- " before each.

    At least `least` sentences or items. A list is taken if `as_list` or if there is no prose. None for an answer with
    code, tables, markup or links, and where LEAST_WORDS to MOST_WORDS cannot be kept.
    """
    if phrases.NOT_PROSE.search(answer):
        return None
    said, listed = lead(answer), items(answer)
    listing = bool(listed) and (as_list or _count(said) < LEAST_WORDS or _is_pleasantry(said[0]))
    parts = listed if listing else said
    wanted = max(least, rng.choice((2, 3, 4, 5) if listing else (1, 2, 2, 3, 3, 4)))
    while len(parts) >= least and _count(parts[:wanted]) > MOST_WORDS:
        wanted -= 1
    parts = parts[:wanted]
    if len(parts) < least or _count(parts) < LEAST_WORDS or len(parts) == 1 and _is_pleasantry(parts[0]):
        return None
    return "\n".join(f"- {part}" for part in parts) if listing else " ".join(parts)


def suited(family: str, text: str, instruction: str, rng: Random) -> Arguments | None:
    """Return arguments of a family that an edit can make this draft meet, or None: no edit is possible or needed.

    The families that count words or sentences have no editor: their arguments are read off the finished text.
    """
    if family == "bullets":
        most = min(5, len(_points(text)))
        return {"bullets": most} if most >= 2 else None
    if family == "paragraphs":
        most = min(3, 0 if is_list(text) else len(_parts(text)))
        return {"paragraphs": rng.randint(2, most)} if most >= 2 else None
    if family == "exclude_word":
        known = sorted(set(words(text)) & set(phrases.SUBSTITUTES))
        return {"word": rng.choice(known)} if known else None
    if family == "start_word":
        fitting = [word for word in (*phrases.GREETINGS, *phrases.ADVERBS) if begin({"word": word}, text, "", rng)]
        return {"word": rng.choice(fitting)} if fitting else None
    if family == "no_digits" and re.search(r"\d", instruction):
        return {}  # an answer to it would have had digits
    constraint = drawn(family, rng)
    return None if constraints.check(constraint, text) else constraint["arguments"]


def drawn(family: str, rng: Random) -> dict:
    """Return {"family", "arguments"} as constraints.draw does, but with words the evaluation does not draw."""
    constraint = constraints.draw(family, rng)
    choices = {
        "include_word": ("word", phrases.ADDED),
        "repeat_word": ("word", phrases.ADDED),
        "exclude_word": ("word", phrases.SUBSTITUTES),
        "start_word": ("word", (*phrases.GREETINGS, *phrases.ADVERBS)),
        "end_phrase": ("phrase", phrases.ENDINGS),
    }
    if family in choices:
        name, values = choices[family]
        constraint["arguments"][name] = rng.choice(tuple(values))
    return constraint


def bulleted(arguments: Arguments, text: str, instruction: str, rng: Random) -> str | None:
    """Return the first items of a list as bullet points, or the first sentences that state something."""
    points = _points(text)[: arguments["bullets"]]
    return "\n".join(f"- {point}" for point in points) if len(points) == arguments["bullets"] else None


def divided(arguments: Arguments, text: str, instruction: str, rng: Random) -> str | None:
    """Return the sentences in that many paragraphs, as even as they can be."""
    parts: list[str] = []
    for part in _parts(text):
        # "Okay!" is no paragraph.
        short = parts and len(words(parts[-1])) <= GREETING_WORDS
        parts = [*parts[:-1], f"{parts[-1]} {part}"] if short else [*parts, part]
    count = arguments["paragraphs"]
    if len(parts) < count or is_list(text):
        return None
    ends = [round(len(parts) * place / count) for place in range(count + 1)]
    return "\n\n".join(" ".join(parts[start:end]) for start, end in zip(ends, ends[1:], strict=False))


def excluded(arguments: Arguments, text: str, instruction: str, rng: Random) -> str | None:
    """Return the text with a substitute for the word, and with the article that the substitute takes."""
    other = phrases.SUBSTITUTES.get(arguments["word"])
    if other is None:
        return None

    def replaced(match: re.Match) -> str:
        article, word = match.groups()
        new = other.capitalize() if word[0].isupper() else other
        if not article:
            return new
        right = "an" if other[0] in "aeiou" else "a"
        return f"{right.capitalize() if article[0].isupper() else right} {new}"

    return re.sub(rf"(?i)\b(?:(an?)\s+)?({arguments['word']})\b", replaced, text)


def spelled(arguments: Arguments, text: str, instruction: str, rng: Random) -> str | None:
    """Return the text with 0 to 20 in words and without the sentences that hold other digits. None if sums occur."""
    if phrases.ARITHMETIC.search(text):
        return None
    kept = []
    for part in _parts(text):
        new = phrases.STANDING_NUMBER.sub(_in_words, part)
        if not re.search(r"\d", new):
            kept.append(new[0].upper() + new[1:])
    return _rejoined(kept, text)


def without_commas(arguments: Arguments, text: str, instruction: str, rng: Random) -> str | None:
    """Return the text without commas where it reads well without, and without the sentences where it does not."""
    kept = []
    for part in _parts(text):
        part = re.sub(r"\b(\w+), (\w+),? (and|or) (\w+)", r"\1 \3 \2 \3 \4", part)
        part = re.sub(rf"^((?:- )?(?:{phrases.CONNECTIVES}|{'|'.join(phrases.ADVERBS)})),", r"\1", part)
        part = re.sub(r"^((?:As|To|In|For|With|At|By|From|On) (?:[\w'’-]+ ?){1,5}),", r"\1", part)
        part = re.sub(r",(?= (?:and|or|but|so|because|as|while|such)\b)", "", part)
        kept += [part] * ("," not in part)
    return _rejoined(kept, text)


def included(arguments: Arguments, text: str, instruction: str, rng: Random) -> str | None:
    """Return the text with a short sentence that holds the word, or several for a word asked for several times."""
    known = phrases.ADDED.get(arguments["word"], ())
    times = arguments.get("times", 1)
    if len(known) < times:
        return None
    places = sorted(rng.sample(range(len(known)), times))
    return _appended(text, " ".join(known[place] for place in places))


def begin(arguments: Arguments, text: str, instruction: str, rng: Random) -> str | None:
    """Return the text with an opening that starts with the word."""
    if is_list(text):
        return None
    first, *rest = _parts(text)
    first = re.sub(phrases.SHORT_OPENING, "", first)
    first = first[0].upper() + first[1:]
    if arguments["word"] in phrases.GREETINGS:
        return " ".join((phrases.GREETINGS[arguments["word"]], first, *rest))
    lowered = _lowered(first, " ".join(rest))
    is_statement = not first.endswith("?") and not re.match(phrases.PLEASANTRY, first)
    if arguments["word"] in phrases.ADVERBS and lowered and is_statement:
        return " ".join((f"{arguments['word']}, {lowered}", *rest))
    return None


def ended(arguments: Arguments, text: str, instruction: str, rng: Random) -> str | None:
    """Return the text with the phrase behind it, in place of a question at its end."""
    parts = _parts(text)
    if parts[-1].endswith("?") and not is_list(text):
        text = " ".join(parts[:-1])
    return _appended(text, arguments["phrase"]) if len(words(text)) >= LEAST_WORDS else None


def asking(arguments: Arguments, text: str, instruction: str, rng: Random) -> str | None:
    """Return the text with a short question behind it."""
    return _appended(text, rng.choice(phrases.QUESTIONS))


def titled(arguments: Arguments, text: str, instruction: str, rng: Random) -> str | None:
    """Return the text under a title line made of the instruction's topic, or None where none is found."""
    name = topic(instruction)
    return f"<<{name}>>{rng.choice((chr(10), chr(10) * 2))}{text}" if name else None


def quoted(arguments: Arguments, text: str, instruction: str, rng: Random) -> str | None:
    """Return the text in double quotation marks, those inside made single."""
    return '"' + re.sub('["“”]', "'", text) + '"'


def as_json(arguments: Arguments, text: str, instruction: str, rng: Random) -> str | None:
    """Return a JSON object that holds the text under one or two keys, or its items as an array."""
    parts = [part.removeprefix("- ") for part in _parts(text)]
    if is_list(text):
        value = {rng.choice(("items", "answer", "list", "points")): parts}
    elif len(parts) > 1 and len(words(parts[0])) >= LEAST_WORDS and "?" not in text and rng.random() < 0.5:
        names = rng.choice((("answer", "details"), ("answer", "more"), ("main_point", "more")))
        value = {names[0]: parts[0], names[1]: " ".join(parts[1:])}
    elif (name := topic(instruction)) and rng.random() < 0.5:
        value = {rng.choice(("topic", "title", "subject")): name, rng.choice(("answer", "text")): " ".join(parts)}
    else:
        value = {rng.choice(("answer", "response", "reply", "text")): " ".join(parts)}
    return json.dumps(value, ensure_ascii=False)


# In the order in which they are applied: wording, what is added at either end, layout, case, what wraps the whole.
EDITORS = {
    "bullets": bulleted,
    "exclude_word": excluded,
    "no_digits": spelled,
    "no_commas": without_commas,
    "include_word": included,
    "repeat_word": included,
    "start_word": begin,
    "end_question": asking,
    "end_phrase": ended,
    "paragraphs": divided,
    "title": titled,
    "lowercase": lambda arguments, text, instruction, rng: text.lower(),
    "uppercase": lambda arguments, text, instruction, rng: text.upper(),
    "quoted": quoted,
    "json_object": as_json,
}


def topic(instruction: str) -> str | None:
    """Return what an instruction is about as a title of 1 to 7 words, or None where its wording does not show it."""
    text = instruction.strip().splitlines()[0].replace("’", "'")
    text = re.sub(r"[\"“”`<>*]", "", text)
    while (shorter := phrases.REQUEST.sub("", text, count=1).strip()) != text:
        text = shorter
    name = phrases.CLAUSE.split(text, maxsplit=1)[0]
    tokens = re.findall(r"[\w'/&.+-]*\w", name)
    while tokens and (tokens[-1].lower() in phrases.STOPWORDS or len(tokens) > TITLE_WORDS):
        ends = [place for place, token in enumerate(tokens) if token.lower() in phrases.SMALL] or [0]
        tokens = tokens[: ends[-1] if len(tokens) > TITLE_WORDS else -1]
    while tokens and (phrases.PARTICIPLE.search(tokens[-1]) or [token.lower() for token in tokens[-2:-1]] == ["to"]):
        tokens = tokens[:-2] if tokens[-2:-1] == ["to"] else tokens[:-1]
    if not tokens or tokens[0].lower() in phrases.NO_TITLE:
        return None
    return " ".join(
        token if token.lower() in phrases.SMALL and place else token[0].upper() + token[1:]
        for place, token in enumerate(tokens)
    )


def _count(parts: list[str]) -> int:
    return len(words(" ".join(parts)))


def _is_sound(sentence: str) -> bool:
    paired = sentence.count('"') % 2 == 0 and sentence.count("(") == sentence.count(")") and "**" not in sentence
    # A small letter after a full stop, or an initial before it: that was not the end of a sentence.
    broken = sentence[0].islower() or re.search(r"\b[A-Z]\.$", sentence)
    return paired and not broken and not phrases.ANNOUNCES.match(sentence)


def _is_pleasantry(sentence: str) -> bool:
    found = phrases.PLEASANTRY.match(sentence)
    excuse = bool(found) and found.group().endswith("sorry")
    return excuse or bool(found) and len(words(sentence)) <= PLEASANTRY_WORDS or len(words(sentence)) <= 2


def _without_connective(sentence: str) -> str:
    rest = re.sub(rf"^(?:{phrases.CONNECTIVES})\b,?\s+(?=\w)", "", sentence)
    return rest[0].upper() + rest[1:]


def _parts(text: str) -> list[str]:
    return text.splitlines() if is_list(text) else sentences(text)


def _points(text: str) -> list[str]:
    if is_list(text):
        return [part.removeprefix("- ") for part in _parts(text)]
    return [_without_connective(part) for part in _parts(text) if not part.endswith("?")]


def _rejoined(parts: list[str], text: str) -> str | None:
    """Return what is left of a text's parts as a text, or None where too little is left."""
    enough = _count(parts) >= LEAST_WORDS and len(parts) >= (2 if is_list(text) else 1)
    return ("\n" if is_list(text) else " ").join(parts) if enough else None


def _appended(text: str, sentence: str) -> str:
    """Return the text with a sentence behind it, or before the questions it ends with."""
    if is_list(text):
        return f"{text}\n{sentence}"
    parts = _parts(text)
    place = len(parts)
    while place > 0 and parts[place - 1].endswith("?") and not sentence.endswith("?"):
        place -= 1
    return " ".join((*parts[:place], sentence, *parts[place:])) if place else f"{text} {sentence}"


def _in_words(match: re.Match) -> str:
    number = int(match.group())
    return phrases.SPELLED[number] if number < len(phrases.SPELLED) else match.group()


def _lowered(sentence: str, others: str) -> str | None:
    """Return a sentence as it stands inside another one, or None where its first word may be a name."""
    first = sentence.split()[0]
    if phrases.FIRST_PERSON.match(first):
        return sentence
    plain = re.split(r"['’]", first.strip(",.!?"))[0].lower()
    known = plain in phrases.STOPWORDS or re.search(rf"\b{re.escape(plain)}\b", others)
    return sentence[0].lower() + sentence[1:] if known and first[1:] == first[1:].lower() else None
