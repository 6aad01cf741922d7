"""Four-way multiple-choice knowledge items, made from the data in public packages and from arithmetic.

They are scored elsewhere, by the log-likelihood of each choice after "Question: ...\\nAnswer:". Nothing but the
question may tell which choice is right, so neither the length nor the popularity of a choice does.
"""

import calendar
from collections.abc import Callable
from importlib.metadata import version
from random import Random
from typing import Any

import periodictable

from tuner import knowledge_geography
from tuner.errors import UserError
from tuner.knowledge_geography import Entry, entry

LAST_ELEMENT = 103
# What is counted, one of the larger unit, several of them, how many make one.
UNITS = (
    ("metres", "kilometre", "kilometres", 1000),
    ("centimetres", "metre", "metres", 100),
    ("millimetres", "metre", "metres", 1000),
    ("millimetres", "centimetre", "centimetres", 10),
    ("grams", "kilogram", "kilograms", 1000),
    ("milligrams", "gram", "grams", 1000),
    ("kilograms", "metric tonne", "metric tonnes", 1000),
    ("millilitres", "litre", "litres", 1000),
    ("centilitres", "litre", "litres", 100),
    ("seconds", "minute", "minutes", 60),
    ("minutes", "hour", "hours", 60),
    ("seconds", "hour", "hours", 3600),
    ("hours", "day", "days", 24),
    ("minutes", "day", "days", 1440),
    ("days", "week", "weeks", 7),
    ("hours", "week", "weeks", 168),
    ("months", "year", "years", 12),
    ("years", "decade", "decades", 10),
    ("years", "century", "centuries", 100),
    ("decades", "century", "centuries", 10),
    ("years", "millennium", "millennia", 1000),
    ("inches", "foot", "feet", 12),
    ("feet", "yard", "yards", 3),
    ("inches", "yard", "yards", 36),
    ("feet", "mile", "miles", 5280),
    ("yards", "mile", "miles", 1760),
    ("ounces", "pound", "pounds", 16),
    ("cents", "US dollar", "US dollars", 100),
    ("bits", "byte", "bytes", 8),
    ("square centimetres", "square metre", "square metres", 10000),
    ("degrees", "right angle", "right angles", 90),
    ("eggs", "dozen", "dozen", 12),
)
MULTIPLES = {1: "one", 2: "two", 3: "three", 5: "five"}

WINDOW = 8  # numbers that the right one is hidden among
ROMAN = (
    (100, "C"),
    (90, "XC"),
    (50, "L"),
    (40, "XL"),
    (10, "X"),
    (9, "IX"),
    (5, "V"),
    (4, "IV"),
    (1, "I"),
)
ROMAN_NUMBERS = range(12, 390)
ROMAN_ITEMS = 120
# Draws of wrong choices until the right one's length has the rank that was drawn for it.
LENGTH_DRAWS = 60


def _window(number: int, size: int, lowest: int, highest: int, rng: Random) -> list[int]:
    """Numbers near `number`, which may be any of them in order: else the one in the middle would be the right one."""
    first = min(max(number - rng.randrange(size), lowest), highest - size + 1)
    return [other for other in range(first, first + size) if other != number]


def _elements() -> dict[int, Any]:
    # The package also lists the neutron, as element 0.
    return {one.number: one for one in periodictable.elements if 0 < one.number <= LAST_ELEMENT}


def _symbols(rng: Random) -> list[Entry]:
    source = f"periodictable {version('periodictable')}"
    elements = _elements()
    entries = []
    for number, element in elements.items():
        # Confusable: next to it in the table, or a symbol with the first letter of the symbol or the name.
        initials = {element.symbol[0], element.name[0].upper()}
        near = [
            other for other in elements.values() if abs(other.number - number) in (1, 2) or other.symbol[0] in initials
        ]
        if rng.random() < 0.5:
            question = f"What is the chemical symbol of {element.name}?"
            entries.append(entry(question, element.symbol, [other.symbol for other in near], source))
        else:
            question = f"Which chemical element has the symbol {element.symbol}?"
            names = [other.name.capitalize() for other in near]
            entries.append(entry(question, element.name.capitalize(), names, source))
    return entries


def _atomic_numbers(rng: Random) -> list[Entry]:
    source = f"periodictable {version('periodictable')}"
    elements = _elements()
    entries = []
    for number, element in elements.items():
        near = [elements[other] for other in _window(number, WINDOW, 1, LAST_ELEMENT, rng)]
        if rng.random() < 0.5:
            question = f"What is the atomic number of {element.name}?"
            entries.append(entry(question, str(number), [str(other.number) for other in near], source))
        else:
            question = f"Which chemical element has the atomic number {number}?"
            names = [other.name.capitalize() for other in near]
            entries.append(entry(question, element.name.capitalize(), names, source))
    return entries


def _calendar(rng: Random) -> list[Entry]:
    source = "computed (calendar)"
    months, days = list(calendar.month_name)[1:], list(calendar.day_name)
    lengths = ["28", "29", "30", "31"]
    entries = []
    for number, month in enumerate(months, start=1):
        kinds = ((2023, " in a common year"), (2024, " in a leap year")) if number == 2 else ((2023, ""),)
        for year, suffix in kinds:
            length = str(calendar.monthrange(year, number)[1])
            entries.append(entry(f"How many days are there in {month}{suffix}?", length, lengths, source))
        for after in (1, 2, 3, 5):
            entries.append(
                entry(
                    f"Which month comes {after} month{'s' * (after > 1)} after {month}?",
                    months[(number - 1 + after) % 12],
                    months,
                    source,
                )
            )
    for index, day in enumerate(days):
        for after in (2, 3, 5, 8, 10, 15, 20):
            entries.append(
                entry(
                    f"If today is {day}, which day of the week is it in {after} days?",
                    days[(index + after) % 7],
                    days,
                    source,
                )
            )
    return entries


def _units(rng: Random) -> list[Entry]:
    entries = []
    for small, one, several, factor in UNITS:
        for multiple, spelled in MULTIPLES.items():
            # What is right for other units, in proportion: 1000 is right often, so it has to be wrong often.
            wrong = [str(multiple * other) for *_, other in UNITS]
            question = f"How many {small} are there in {spelled} {one if multiple == 1 else several}?"
            entries.append(entry(question, str(multiple * factor), wrong, "computed (units)"))
    return entries


def roman(number: int) -> str:
    """Take a number from 1 to 399; return it in Roman numerals."""
    written = ""
    for value, sign in ROMAN:
        written += sign * (number // value)
        number %= value
    return written


def _roman_numerals(rng: Random) -> list[Entry]:
    source = "computed (Roman numerals)"
    entries = []
    for number in rng.sample(ROMAN_NUMBERS, ROMAN_ITEMS):
        near = _window(number, WINDOW, 1, 399, rng)
        if rng.random() < 0.5:
            question = f"Which number is {roman(number)} in Roman numerals?"
            entries.append(entry(question, str(number), [str(other) for other in near], source))
        else:
            question = f"How is {number} written in Roman numerals?"
            entries.append(entry(question, roman(number), [roman(other) for other in near], source))
    return entries


AXES: dict[str, Callable[[Random], list[Entry]]] = {
    **knowledge_geography.AXES,
    "element_symbols": _symbols,
    "atomic_numbers": _atomic_numbers,
    "calendar": _calendar,
    "units": _units,
    "roman_numerals": _roman_numerals,
}


def _wrong_choices(pooled: Entry, rng: Random) -> list[str]:
    """Draw three wrong choices, such that the right one is as often the longest as the shortest or in between."""
    rank = rng.randrange(4)
    distinct = len(set(pooled["wrong"]))
    if distinct < 3:
        raise ValueError(f"{pooled['question']}: only {distinct} wrong choices")
    length = len(pooled["right"])
    for _ in range(LENGTH_DRAWS):
        wrong = rng.sample(pooled["wrong"], 3)
        while len(set(wrong)) < 3:
            wrong = rng.sample(pooled["wrong"], 3)
        shorter = sum(len(one) < length for one in wrong)
        if shorter <= rank <= shorter + sum(len(one) == length for one in wrong):
            break
    return wrong


def items(count: int, seed: int) -> list[dict[str, Any]]:
    """Take how many items and a seed; return them, item i being the same whatever the count.

    An item is {"id", "suite", "axis", "question", "choices": 4 strings, "answer": index of the right one,
    "source": where the fact is from}. Axes come in turn, so any prefix is balanced; wrong choices are
    plausible (same continent, neighbouring elements), the right one's place is uniform, and so, as far as the facts
    allow, is the rank of its length. Raises UserError with the maximum when there are too few facts.
    """
    pools = {}
    for axis, make in AXES.items():
        rng = Random(f"{seed}-knowledge-{axis}")
        pools[axis] = make(rng)
        rng.shuffle(pools[axis])
    axes = list(AXES)
    maximum = len(axes) * min(len(pool) for pool in pools.values())
    if count > maximum:
        raise UserError(f"evaluate.knowledge is {count}; at most {maximum} items can be made")
    result = []
    for index in range(count):
        axis = axes[index % len(axes)]
        pooled = pools[axis][index // len(axes)]
        rng = Random(f"{seed}-knowledge-{index}")
        choices = _wrong_choices(pooled, rng)
        answer = rng.randrange(4)
        choices.insert(answer, pooled["right"])
        result.append(
            {
                "id": f"knowledge-{index:04d}",
                "suite": "knowledge",
                "axis": axis,
                "question": pooled["question"],
                "choices": choices,
                "answer": answer,
                "source": pooled["source"],
            }
        )
    return result
