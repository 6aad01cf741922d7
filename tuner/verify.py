"""Training rows whose instruction carries constraints that code checks, from the rows that the filters kept.

Three origins: "sampled" (the model answers the instruction with constraints added, and answers that break one are
dropped, as in AutoIF, arXiv 2406.13542), "back_translated" (constraints that a kept answer meets already are added to
its instruction, as in arXiv 2410.24175, but by rule) and "edited" (a kept answer is changed until it meets them,
tuner/edits.py). Each row is checked by following.follows, which also scores the evaluation. A row is a
function of the seed, its source and the family it was made for; neither the count nor the order of the rows changes
it. (The other rows do only for "back_translated", whose base rates are measured on them.)
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from random import Random
from typing import Any

from tuner import constraints, edits
from tuner import edit_phrases as phrases
from tuner.compatibility import ALL, COUNTING, SENTENCES, allowed, compatible, consistent
from tuner.errors import UserError
from tuner.following import follows
from tuner.replies import words
from tuner.seeds import row_seed

Row = dict[str, Any]

# Chance of 1, 2 and 3 constraints in a row. IFEval's prompts have 1 to 3 as well, mostly one.
HOW_MANY = (0.7, 0.2, 0.1)
# Where the constraints stand: behind the instruction as in the evaluation, on lines of their own, or before it.
PLACES = ("{asked} {rules}",) * 6 + ("{asked}\n{rules}", "{asked}\n\n{rules}") + ("{rules} {asked}",) * 2
DRAWS = 50  # of the arguments of two or three constraints, until they leave room for an answer
ATTEMPTS = 3  # drafts of one row; an edit that fails on one may do on another
MOST_COMMON = 0.5  # a constraint that half of all answers meet anyway tells nothing about one that does
REFERENCES = 200  # answers that this share is measured on

# Met by any text that is short enough, so that they are compared with as many words of other answers.
AVOIDING = ("exclude_word", "no_commas", "no_digits")
# Words that an answer without them has avoided.
COMMON = ("the", "to", "and", "of", "a", "is", "for", "with", "your", "this", "that", "in", "it")
CONTENT = re.compile(r"(?<![\w'’-])[a-z]{4,10}(?![\w'’-])")


def verified(added: Sequence[dict], asked: str, answer: str) -> bool:
    """Return whether an answer follows every constraint added to what was asked, by the evaluation's own check."""
    return all(follows(constraint, asked, answer) for constraint in added)


def rows_for_share(share: float, plain: int) -> int:
    """Return how many verified rows make up `share` (0 to below 1) of all rows beside so many `plain` ones."""
    return round(plain * share / (1 - share))


def requests(rows: Sequence[Row], *, count: int, seed: int, families: Sequence[str]) -> list[Row]:
    """Return up to `count` prompts for generate.answers, the families in turn.

    A prompt has `id`, `source` (the row's id), `constraints`, `asked` (the instruction without them) and `prompt`.
    """

    def made(row: Row, family: str, rng: Random) -> Row | None:
        names = _combination(family, allowed(row["instruction"], families), rng)
        draws = ([edits.drawn(name, rng) for name in names] for _ in range(DRAWS))
        added = next(filter(consistent, draws), [])
        if not added:
            return None
        prompt = [{"role": "user", "content": _worded(row["instruction"], added, rng)}]
        return {"constraints": added, "asked": row["instruction"], "prompt": prompt}

    return _in_turn(rows, count, seed, families, "sampled", made)


def judged(sampled: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Take requests with `answers` as generate.answers returns them; return (rows to train on, the requests judged).

    An answer of a judged request has `met`, one truth value a constraint, and `passed`: it follows all of them and was
    not cut at the token limit. A row to train on holds the first that passed and has the request's `split`; preference
    pairs can be built from the requests, and from `contrasts`.
    """
    kept, flagged = [], []
    for row in sampled:
        answers = []
        for answer in row["answers"]:
            met = [follows(constraint, row["asked"], answer["text"]) for constraint in row["constraints"]]
            answers.append({**answer, "met": met, "passed": all(met) and answer["finish"] == "stop"})
        flagged.append({**row, "answers": answers})
        passed = [answer["text"] for answer in answers if answer["passed"]]
        if passed:
            shared = {name: row[name] for name in ("id", "source", "origin", "split", "constraints")}
            kept.append({**shared, "instruction": row["prompt"][0]["content"], "response": passed[0]})
    return kept, flagged


def need(flagged: Sequence[Row]) -> dict[str, float]:
    """Return for each family the share of sampled answers that break its constraint: what there is to learn of it.

    By Laplace's rule of succession, so that a family is never left out because of a few answers.
    """
    tried, met = _tallied(flagged)
    return {family: (tried[family] - met[family] + 1) / (tried[family] + 2) for family in tried}


def contrasts(rows: Sequence[Row]) -> list[Row]:
    """Return edited rows as judged requests: the answer, and the draft that it was before its constraints were met.

    The two say the same, so what sets them apart is the constraint. A draft that meets it all the same has passed too.
    """
    found = []
    for row in rows:
        if row["origin"] != "edited":
            continue
        answers = []
        for text in (row["response"], row["draft"]):
            met = [follows(constraint, row["asked"], text) for constraint in row["constraints"]]
            answers.append({"text": text, "finish": "stop", "met": met, "passed": all(met)})
        shared = {name: row[name] for name in ("id", "source", "origin", "constraints", "asked")}
        prompt = [{"role": "user", "content": row["instruction"]}]
        found.append({**shared, "prompt": prompt, "answers": answers})
    return found


def rows(
    sources: Sequence[Row],
    passed: Sequence[Row],
    *,
    count: int,
    seed: int,
    families: Sequence[str],
    max_words: int,
    weights: Mapping[str, float],
) -> list[Row]:
    """Return up to `count` rows of all three origins: the sampled ones that `passed`, and what is made of `sources`."""
    rules = {"count": 4 * count, "seed": seed, "families": families}  # to choose from, so that many sources have a turn
    by_origin = {
        "sampled": passed,
        "back_translated": back_translated(sources, max_words=max_words, **rules),
        "edited": edited(sources, **rules),
    }
    return balanced(by_origin, count=count, seed=seed, weights=weights)


def back_translated(
    rows: Sequence[Row], *, count: int, seed: int, families: Sequence[str], max_words: int
) -> list[Row]:
    """Return up to `count` rows with a kept answer of at most `max_words` words and constraints that it meets.

    Used are constraints that at most MOST_COMMON of all kept answers meet; see `base_rate`.
    """
    texts = [row["response"] for row in sorted(rows, key=lambda row: row_seed(seed, "reference", row["id"]))]
    texts = texts[:REFERENCES]

    @cache
    def informative(family: str, arguments: tuple, length: int) -> bool:
        return base_rate({"family": family, "arguments": dict(arguments)}, texts, length) <= MOST_COMMON

    @cache
    def telling(instruction: str, answer: str) -> dict[str, list]:
        # Lengths in tens of words, so that few shares have to be measured.
        length = 10 * (len(words(answer)) // 10 + 1)
        found = {family: fitting(family, answer, instruction) for family in allowed(instruction, families)}
        return {
            family: [one for one in several if informative(family, tuple(one.items()), length * (family in AVOIDING))]
            for family, several in found.items()
        }

    def made(row: Row, family: str, rng: Random) -> Row | None:
        if len(words(row["response"])) > max_words:
            return None
        found = telling(row["instruction"], row["response"])
        names = _combination(family, [name for name in found if found[name]], rng)
        added = [{"family": name, "arguments": rng.choice(found[name])} for name in names]
        return _row(row, added, row["response"], rng)

    return _in_turn(rows, count, seed, families, "back_translated", made)


def edited(rows: Sequence[Row], *, count: int, seed: int, families: Sequence[str]) -> list[Row]:
    """Return up to `count` rows with a kept answer cut short (edits.MOST_WORDS) and edited to meet its constraints."""

    def made(row: Row, family: str, rng: Random) -> Row | None:
        names = allowed(row["instruction"], families)
        return next(filter(None, (_edited(row, _combination(family, names, rng), rng) for _ in range(ATTEMPTS))), None)

    return _in_turn(rows, count, seed, families, "edited", made)


def balanced(by_origin: dict[str, Sequence[Row]], *, count: int, seed: int, weights: Mapping[str, float]) -> list[Row]:
    """Return up to `count` rows, no prompt twice: always one of the family with the fewest constraints for its weight.

    A family that has no weight weighs 1. Within a family the origins come in turn, and so do the source rows: shares
    are as near to the weights, and of origins as equal, as the supply allows.
    """
    left: dict[tuple[str, str], list[Row]] = {}
    for origin, rows in by_origin.items():
        for family in {constraint["family"] for row in rows for constraint in row["constraints"]}:
            holding = [row for row in rows if family in _families(row)]
            holding.sort(key=lambda row: row_seed(seed, "balanced", row["id"]))
            seen: Counter = Counter()
            turns = {}
            for row in holding:
                turns[row["id"]] = seen[row["source"]]
                seen[row["source"]] += 1
            left[family, origin] = sorted(holding, key=lambda row: turns[row["id"]], reverse=True)
    chosen, prompts, of_family, of_both = [], set(), Counter(), Counter()
    while len(chosen) < count and any(left.values()):
        family, origin = min(
            (key for key, rows in left.items() if rows),
            key=lambda key: (
                of_family[key[0]] / weights.get(key[0], 1.0),
                ALL.index(key[0]),
                of_both[key],
                list(by_origin).index(key[1]),
            ),
        )
        row = left[family, origin].pop()
        if row["instruction"] not in prompts:
            prompts.add(row["instruction"])
            chosen.append(row)
            of_family.update(_families(row))
            of_both.update((name, origin) for name in _families(row))
    return chosen


def report(rows: Sequence[Row], flagged: Sequence[Row]) -> dict[str, Any]:
    """Return counts of the rows by origin and by family (of constraints), their words, and sampled pass shares.

    `pass_share` is the share of sampled answers, of the requests judged, that follow a family's constraint;
    `pass_share_all`, the share that follow all of their request's and are finished.
    """
    by_family: dict[str, Counter] = {family: Counter() for family in ALL}
    for row in rows:
        for family in _families(row):
            by_family[family][row["origin"]] += 1
    tried, met = _tallied(flagged)
    passed = [answer["passed"] for row in flagged if row["origin"] == "sampled" for answer in row["answers"]]
    lengths = [len(words(row["response"])) for row in rows]
    return {
        "rows": len(rows),
        "mean_words": sum(lengths) / len(lengths) if lengths else 0.0,
        "origin": dict(Counter(row["origin"] for row in rows)),
        "family": {family: dict(counts) for family, counts in by_family.items() if counts},
        "pass_share": {family: met[family] / tried[family] for family in ALL if tried[family]},
        "pass_share_all": sum(passed) / len(passed) if passed else 0.0,
    }


def base_rate(constraint: dict, answers: Sequence[str], length: int) -> float:
    """Return the share of the answers that meet a constraint; of their first `length` words for AVOIDING families."""
    if constraint["family"] in AVOIDING:
        answers = [" ".join(answer.split()[:length]) for answer in answers]
    return sum(constraints.check(constraint, answer) for answer in answers) / len(answers)


def fitting(family: str, text: str, instruction: str) -> list[constraints.Arguments]:
    """Return arguments of a family that this text meets closely: the next limit above or below its own length.

    Words to include are content words of its own that the instruction does not give away.
    """
    said = words(text)
    number, length = constraints.count_sentences(text), len(said)
    # In small letters wherever it stands: neither a name nor the start of a sentence.
    own = [word for word in CONTENT.findall(text) if said.count(word) == len(re.findall(rf"\b{word}\b", text))]
    own = [word for word in dict.fromkeys(own) if word not in {*words(instruction), *phrases.STOPWORDS}]
    last = (edits.sentences(text) or [""])[-1]
    listed = constraints.BULLET.findall(text)
    found = {
        "fewer_words": [{"words": limit} for limit in range(10, 105, 5) if length < limit <= length + 10],
        "more_words": [{"words": limit} for limit in range(15, 105, 5) if length - 10 < limit <= length],
        "at_most_sentences": [{"sentences": limit} for limit in (number, number + 1) if limit <= 4],
        "exact_sentences": [{"sentences": number}] if number <= 5 else [],
        "include_word": [{"word": word} for word in own],
        "repeat_word": [{"word": word, "times": min(3, said.count(word))} for word in own if said.count(word) > 1],
        "exclude_word": [{"word": word} for word in (*phrases.SUBSTITUTES, *COMMON)],
        "bullets": [{"bullets": len(listed)}] if all(item.lstrip().startswith("-") for item in listed) else [],
        "start_word": [{"word": first} for first in re.findall(r"^[A-Za-z]+(?:['’][a-z]+)?(?=[,.!?]*\s)", text)],
        "end_phrase": [{"phrase": last}] if re.fullmatch(r'(?:[^\s"“”]+ ){2,9}[^\s"“”]+[.!]', last) else [],
        "paragraphs": [{"paragraphs": limit} for limit in (2, 3)],
    }.get(family, [{}])
    evaluated = {"start_word": constraints.OPENINGS, "end_phrase": constraints.ENDINGS}.get(family, constraints.INCLUDE)
    return [
        arguments
        for arguments in found
        if constraints.check({"family": family, "arguments": arguments}, text)
        and not set(map(str, arguments.values())) & set(evaluated)
    ]


def _families(row: Row) -> list[str]:
    return [constraint["family"] for constraint in row["constraints"]]


def _tallied(flagged: Sequence[Row]) -> tuple[Counter, Counter]:
    """Return how many answers that the model sampled were asked to follow each family, and how many did."""
    tried, met = Counter(), Counter()
    for row in flagged:
        if row["origin"] == "sampled":
            for answer in row["answers"]:
                tried.update(_families(row))
                met.update(family for family, right in zip(_families(row), answer["met"], strict=True) if right)
    return tried, met


def _combination(family: str, families: Sequence[str], rng: Random) -> list[str]:
    """Return the family and up to two others of the list that go with it, or [] where it is not in the list."""
    if family not in families:
        return []
    names, wanted = [family], rng.choices((1, 2, 3), HOW_MANY)[0]
    for other in rng.sample(list(families), len(families)):
        if len(names) < wanted and compatible([*names, other]):
            names.append(other)
    return names


def _worded(asked: str, added: Sequence[dict], rng: Random) -> str:
    rules = [constraints.describe(constraint) for constraint in added]
    rng.shuffle(rules)
    place = rng.choice(PLACES)
    if place == PLACES[0] and asked[-1] not in '.?!"”':
        place = "{asked}\n{rules}"
    return place.format(asked=asked, rules=" ".join(rules))


def _row(row: Row, added: list[dict], answer: str, rng: Random) -> Row | None:
    if not added or not consistent(added) or not verified(added, row["instruction"], answer):
        return None
    asked = row["instruction"]
    return {"constraints": added, "asked": asked, "instruction": _worded(asked, added, rng), "response": answer}


def _edited(row: Row, names: Sequence[str], rng: Random) -> Row | None:
    # A cut answer would break a length or a number of things that the instruction states itself.
    if not names or not allowed(row["instruction"], COUNTING):
        return None
    least = rng.choice((2, 3)) if {"paragraphs", "bullets"} & set(names) else 1
    text = edits.draft(row["response"], rng, least, "bullets" in names)
    if text is None or edits.is_list(text) and set(SENTENCES) & set(names):
        return None
    draft, added = text, []
    for name in [name for name in edits.EDITORS if name in names]:
        arguments = edits.suited(name, text, row["instruction"], rng)
        if arguments is None:
            return None
        text = edits.EDITORS[name](arguments, text, row["instruction"], rng)
        if text is None:
            return None
        added.append({"family": name, "arguments": arguments})
    for name in [name for name in COUNTING if name in names]:
        found = fitting(name, text, row["instruction"])
        if not found:
            return None
        added.append({"family": name, "arguments": rng.choice(found)})
    made = _row(row, added, text, rng)
    return made and made | {"draft": draft}


def _in_turn(
    rows: Sequence[Row],
    count: int,
    seed: int,
    families: Sequence[str],
    origin: str,
    made: Callable[[Row, str, Random], Row | None],
) -> list[Row]:
    """Return up to `count` of the rows that can be made, one of each family after the other."""
    unknown = sorted(set(families) - set(ALL))
    if unknown:
        raise UserError(f"families: no family is called {unknown[0]!r}; there are {', '.join(ALL)}")

    def supply(family: str) -> Iterator[Row]:
        for row in sorted(rows, key=lambda row: row_seed(seed, origin, family, row["id"])):
            new = made(row, family, Random(row_seed(seed, origin, family, row["id"], "draw")))
            if new:
                yield {"id": f"{row['id']}-{origin}-{family}", "source": row["id"], "origin": origin, **new}

    supplies = {family: supply(family) for family in families}
    result: list[Row] = []
    while supplies and len(result) < count:
        for family, left in list(supplies.items()):
            new = next(left, None)
            if new is None:
                del supplies[family]
            elif len(result) < count:
                result.append(new)
    return result
