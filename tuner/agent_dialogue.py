"""Agent items in a conversation: remembering it (`context`), using `feedback`, calling tools (`tool_use`)."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

from tuner import constraints
from tuner.agent_problems import LEVELS
from tuner.following import follows
from tuner.replies import answer_part, first_json, number, one_of, only_repeats, words
from tuner.request_forms import FORMS, TOPICS, request

Messages = list[dict[str, str]]
Verdict = dict[str, bool]

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
COLOURS = ("red", "blue", "green", "yellow", "purple", "orange", "black", "white", "brown", "grey")
CITIES = ("Paris", "Oslo", "Madrid", "Cairo", "Lima", "Tokyo", "Rome", "Vienna", "Dublin", "Athens")
PETS = ("Bella", "Milo", "Ruby", "Oscar", "Daisy", "Felix", "Lola", "Toby", "Nala", "Simba", "Coco")
FOODS = ("peanuts", "shrimp", "strawberries", "eggs", "soy", "celery", "walnuts", "mustard", "sesame")
LOCKERS = tuple(str(code) for code in range(117, 1000, 37))
# Possible answers, the fact to remember, a similar fact about something else, a later change, the question.
FACTS = (
    (
        DAYS,
        "My dentist appointment is on {}.",
        "My brother's piano lesson is on {}.",
        "They moved my dentist appointment to {}.",
        "On which day is my dentist appointment? Reply with only the day.",
    ),
    (
        PETS,
        "I have a cat called {}.",
        "My neighbour has a dog called {}.",
        "I gave my cat a new name, {}.",
        "What is my cat called? Reply with only the name.",
    ),
    (
        COLOURS,
        "I painted my front door {}.",
        "My sister's car is {}.",
        "I painted my front door again, now it is {}.",
        "What colour is my front door? Reply with only the colour.",
    ),
    (
        CITIES,
        "My cousin Tom lives in {}.",
        "My old teacher lives in {}.",
        "My cousin Tom has moved to {}.",
        "In which city does my cousin Tom live? Reply with only the city.",
    ),
    (
        LOCKERS,
        "My locker has the number {}.",
        "My flat has the number {}.",
        "I was given another locker, number {}.",
        "What is the number of my locker? Reply with only the number.",
    ),
    (
        FOODS,
        "I am allergic to {}.",
        "My friend Sam cannot stand {}.",
        "The doctor has tested me again and now says I am only allergic to {}.",
        "What am I allergic to? Reply with only the food.",
    ),
)
ACKNOWLEDGED = ("Thanks for telling me.", "I see, noted.", "Good to know.", "All right, I have that.")
FILLERS = (
    ("How long should I boil rice?", "About fifteen minutes, then let it rest."),
    ("Is it healthy to walk after dinner?", "Yes, a short walk helps digestion."),
    ("What is a synonym for happy?", "You could say cheerful."),
    ("Why do leaves fall in autumn?", "Trees drop them to save water in winter."),
    ("Can you recommend a hobby?", "You could try pottery or birdwatching."),
    ("How do I keep bread fresh?", "Keep it in a cloth bag and freeze what is left."),
    ("What does a botanist do?", "A botanist studies plants."),
    ("Should I stretch before running?", "Warm up gently first, and stretch afterwards."),
)

# Rules for turn 1 whose breach one message can repair; a rule that most replies meet would test nothing.
# By level, by the shares that SmolLM2-135M meets: about half, a quarter, few, none.
FEEDBACK_FAMILIES = (
    ("include_word", "title", "exact_sentences"),
    ("start_word", "bullets"),
    ("end_question", "lowercase", "uppercase"),
    ("end_phrase", "quoted"),
)
SORTED_WORDS = (
    "apple",
    "bridge",
    "candle",
    "dragon",
    "engine",
    "forest",
    "guitar",
    "hammer",
    "island",
    "jacket",
    "kettle",
    "ladder",
    "mirror",
    "needle",
    "orange",
    "pepper",
    "rabbit",
    "saddle",
    "tunnel",
    "violin",
    "window",
    "yogurt",
)

ROOMS = ("kitchen", "bedroom", "hallway", "garage", "bathroom", "office")
LANGUAGES = ("French", "German", "Spanish", "Italian", "Polish", "Dutch")
GROCERIES = ("lemons", "eggs", "onions", "apples", "carrots", "potatoes", "bananas", "rolls")
PLAIN_WORDS = ("bread", "house", "river", "cloud", "chair", "horse", "spoon", "garden")
NUMBERS = tuple(range(3, 60))
# name -> (description, parameters with their values, requests that give exactly these parameters)
TOOLS = {
    "get_weather": (
        "Current weather in a city",
        {"city": CITIES},
        ("What is the weather like in {city}?", "Is it raining in {city} right now?"),
    ),
    "set_timer": (
        "Start a countdown",
        {"minutes": NUMBERS},
        ("Start a countdown of {minutes} minutes.", "Set a timer for {minutes} minutes, please."),
    ),
    "translate": (
        "Translate one word",
        {"word": PLAIN_WORDS, "language": LANGUAGES},
        ('How do you say "{word}" in {language}?', 'Translate "{word}" into {language}.'),
    ),
    "light_on": (
        "Turn on the light in a room",
        {"room": ROOMS},
        ("Turn on the light in the {room}.", "It is dark in the {room}, light it up."),
    ),
    "find_train": (
        "Trains between two cities",
        {"origin": CITIES, "destination": CITIES},
        ("Find a train from {origin} to {destination}.", "I want to go by train from {origin} to {destination}."),
    ),
    "find_restaurant": (
        "Restaurants in a city",
        {"city": CITIES},
        ("Where can I eat out in {city}?", "Find me a restaurant in {city}."),
    ),
    "play_music": (
        "Play music of a style",
        {"style": ("jazz", "rock", "folk", "blues", "opera", "techno")},
        ("Play some {style}.", "I would like to hear {style} music."),
    ),
    "add_shopping": (
        "Add an item to the shopping list",
        {"item": GROCERIES, "quantity": NUMBERS},
        ("Put {quantity} {item} on my shopping list.", "We need to buy {quantity} {item}, write that down."),
    ),
    "set_heating": (
        "Set the temperature of a room",
        {"room": ROOMS, "degrees": tuple(range(15, 26))},
        ("Heat the {room} to {degrees} degrees.", "Make the {room} {degrees} degrees warm."),
    ),
    "call_contact": (
        "Phone a person",
        {"person": ("Ann", "Bob", "Maya", "Leo", "Iris", "Hugo", "Dan")},
        ("Please phone {person}.", "Give {person} a call."),
    ),
}


def worked_example(make: Callable[[], tuple[str, dict[str, Any]]], reference: dict[str, Any]) -> Messages:
    """Take what makes such a problem and an item's reference; return the turns before it: at level 0 one example.

    The example's answer is another one, so repeating it is wrong. Higher levels, and rules, have none.
    """
    if reference["level"] or "solution" not in reference:
        return []
    prompt, shown = make()
    while shown["solution"] == reference["solution"]:
        prompt, shown = make()
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": shown["solution"]}]


def make_context(index: int, rng: Random) -> tuple[Messages, dict[str, Any], int]:
    """Take an item's number and generator; return (messages, reference, max_tokens).

    Level 0: a similar fact, then the fact. Level 1: the fact first, a similar one and another turn later.
    Level 2: three other turns. Level 3: and the fact is changed twice.
    """
    level = index % LEVELS
    values, fact, similar, change, question = FACTS[(index + index // LEVELS) % len(FACTS)]
    first, other, once, changed = rng.sample(values, 4)
    said = [tuple(pair) for pair in rng.sample(FILLERS, (0, 1, 3, 2)[level])]
    said.append((similar.format(other), rng.choice(ACKNOWLEDGED)))
    rng.shuffle(said)
    if level == 3:
        places = sorted(rng.choices(range(1, len(said) + 1), k=2), reverse=True)
        for place, value in zip(places, (changed, once), strict=True):
            said.insert(place, (change.format(value), rng.choice(ACKNOWLEDGED)))
    said.insert(0 if level else len(said), (fact.format(first), rng.choice(ACKNOWLEDGED)))
    messages = [
        {"role": role, "content": text} for turn in said for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    messages.append({"role": "user", "content": question})
    answer = changed if level == 3 else first
    reference = {"candidates": list(values), "answer": answer, "level": level, "solution": answer}
    return messages, reference, 32


def check_context(reference: dict[str, Any], reply: str) -> Verdict:
    """Take a reference and a reply; the reply must name the right value and none of the other values."""
    given = one_of(reference["candidates"], reply)
    return {"correct": given == reference["answer"], "valid_format": given is not None}


def _make_sum(rng: Random, level: int) -> tuple[str, dict[str, Any]]:
    lowest, highest = ((2, 9), (11, 99), (11, 99), (101, 999))[level]
    terms = [rng.randint(lowest, highest) for _ in range((2, 2, 3, 4)[level])]
    prompt = f"What is {' + '.join(str(term) for term in terms)}? Reply with only the number."
    return prompt, {"kind": "sum", "answer": sum(terms), "solution": str(sum(terms))}


def _make_sort(rng: Random, level: int) -> tuple[str, dict[str, Any]]:
    answer = sorted(rng.sample(SORTED_WORDS, (3, 3, 4, 7)[level]))
    shown = answer
    while shown == answer:
        shown = rng.sample(answer, len(answer))
    prompt = f"Sort these words alphabetically: {', '.join(shown)}. Reply with only the sorted words."
    return prompt, {"kind": "sort", "answer": answer, "solution": ", ".join(answer)}


def make_feedback(index: int, rng: Random) -> tuple[Messages, dict[str, Any], int]:
    """Take an item's number and generator; return (messages of turn 1, reference, max_tokens)."""
    level, kind = index % LEVELS, ("rule", "sum", "sort")[(index + index // LEVELS) % 3]
    if kind == "rule":
        families = FEEDBACK_FAMILIES[level]
        constraint = constraints.draw(families[index // (3 * LEVELS) % len(families)], rng)
        asked = request(rng.choice(FORMS), rng.choice(TOPICS), rng)
        prompt = f"{asked} {constraints.describe(constraint)}"
        reference, tokens = {"kind": kind, "constraint": constraint, "request": asked, "level": level}, 128
        return [{"role": "user", "content": prompt}], reference, tokens
    make, tokens = (_make_sum, 32) if kind == "sum" else (_make_sort, 48)
    prompt, reference = make(rng, level)
    reference["level"] = level
    shown = worked_example(lambda: make(rng, level), reference)
    return [*shown, {"role": "user", "content": prompt}], reference, tokens


def _sorted_words(reference: dict[str, Any], reply: str) -> list[str]:
    part = answer_part(reply)
    return [word for word in words(reply if part is None else part) if word in SORTED_WORDS]


def check_feedback(reference: dict[str, Any], reply: str) -> Verdict:
    """Take a reference and the reply of either turn; return its verdict."""
    if reference["kind"] == "rule":
        correct = follows(reference["constraint"], reference["request"], reply)
        return {"correct": correct, "valid_format": bool(words(reply))}
    if reference["kind"] == "sum":
        given = number(reply)
        return {"correct": given == reference["answer"], "valid_format": given is not None}
    given = _sorted_words(reference, reply)
    return {"correct": given == reference["answer"], "valid_format": sorted(given) == reference["answer"]}


def feedback_message(reference: dict[str, Any], reply: str) -> str | None:
    """Take a reference and the reply of turn 1; return what the checker says to it, or None when it is right.

    The message helps but never holds the answer, so repeating it back is not an answer either.
    """
    verdict = check_feedback(reference, reply)
    if verdict["correct"]:
        return None
    if reference["kind"] == "rule":
        rule = constraints.describe(reference["constraint"])
        return f"Your reply does not follow this rule: {rule} Write it again so that it does."
    if reference["kind"] == "sum":
        given = number(reply)
        if given is None:
            return "There is no number in your reply. Try again and reply with only the number."
        wrong = "small" if given < reference["answer"] else "large"
        return f"That is wrong: {given:.15g} is too {wrong}. Try again and reply with only the number."
    given = _sorted_words(reference, reply)
    if not verdict["valid_format"]:
        return "That is wrong: use each word exactly once. Try again and reply with only the sorted words."
    place = next(i for i, (one, two) in enumerate(zip(given, reference["answer"], strict=True)) if one != two)
    return f'That is wrong: "{given[place]}" comes too early. Try again and reply with only the sorted words.'


def _make_call(rng: Random, level: int, fits: bool) -> tuple[str, dict[str, Any]]:
    single = [name for name, (_, parameters, _) in TOOLS.items() if len(parameters) == 1]
    wanted = rng.choice({0: single, 3: sorted(set(TOOLS) - set(single))}.get(level, list(TOOLS)))
    others = rng.sample([name for name in TOOLS if name != wanted], level + 1)
    # Where no tool fits, the request is for one that is not offered.
    offered = [wanted, *others[:level]] if fits else others
    rng.shuffle(offered)
    _, parameters, requests = TOOLS[wanted]
    arguments: dict[str, Any] = {}
    for name, values in parameters.items():
        arguments[name] = rng.choice([value for value in values if value not in arguments.values()])
    described = [
        {
            "name": name,
            "description": TOOLS[name][0],
            "parameters": {
                key: "number" if isinstance(values[0], int) else "string" for key, values in TOOLS[name][1].items()
            },
        }
        for name in offered
    ]
    listed = "\n".join(json.dumps(tool) for tool in described)
    asked = rng.choice(requests).format(**arguments)
    if level == 3:  # another value first, which is not the one to use
        former = {
            name: rng.choice([one for one in parameters[name] if one not in arguments.values()]) for name in arguments
        }
        asked = f"{rng.choice(requests).format(**former)} No, forget that. {asked}"
    if level == 0:
        prompt = f"Tool: {listed}\nRequest: {asked}\nReply with only one JSON object that calls the tool."
    else:
        prompt = (
            f"Tools:\n{listed}\nRequest: {asked}\n"
            'Reply with only one JSON object {"name": ..., "arguments": {...}} that calls the right tool, '
            'or {"name": null} if no tool fits.'
        )
    call = {"name": wanted, "arguments": arguments} if fits else {"name": None}
    return prompt, {"call": call, "prompt": prompt, "level": level, "solution": json.dumps(call)}


def make_tool_use(index: int, rng: Random) -> tuple[Messages, dict[str, Any], int]:
    """Take an item's number and generator; return (messages, reference, max_tokens).

    Level 0 offers one tool with one argument, which fits. Levels 1 to 3 offer two to four, and in every third round of
    levels none fits. At level 3 two arguments are wanted, after a request that is taken back.
    """
    level = index % LEVELS
    fits = level == 0 or index // LEVELS % 3 != 2
    prompt, reference = _make_call(rng, level, fits)
    shown = worked_example(lambda: _make_call(rng, level, fits), reference)
    return [*shown, {"role": "user", "content": prompt}], reference, 64


def _same(given: Any, right: Any) -> bool:
    """Whether an argument is right, "5" and 5 and 5.0 being the same, and letters of either case."""
    if isinstance(given, (bool, dict, list)):
        return False
    given, right = str(given).strip().lower(), str(right).lower()
    try:
        return float(given) == float(right)
    except ValueError:
        return given == right


def check_tool_use(reference: dict[str, Any], reply: str) -> Verdict:
    """Take a reference and a reply; compare the first JSON object in it (or "none") with the right call."""
    given = first_json(reply)
    if given is None and words(reply) == ["none"]:
        given = {"name": None}
    arguments = given.get("arguments") if given else None
    none_fits = given is not None and "name" in given and given["name"] in (None, "none", "null")
    valid = none_fits or (isinstance(arguments, dict) and isinstance(given.get("name"), str))
    right = reference["call"]
    # A piece of the prompt given back can hold {"name": null}; those two words alone are an answer.
    if not valid or (len(words(reply)) > 4 and only_repeats(reference["prompt"], reply)):
        return {"correct": False, "valid_format": False}
    if none_fits or right["name"] is None:
        return {"correct": none_fits and right["name"] is None, "valid_format": True}
    same = (
        given["name"].strip().lower() == right["name"]
        and set(arguments) == set(right["arguments"])
        and all(_same(arguments[key], value) for key, value in right["arguments"].items())
    )
    return {"correct": same, "valid_format": True}
