"""Agent items in a conversation: remembering it (`context`), using `feedback`, calling tools (`tool_use`)."""

import json
from random import Random
from typing import Any

from tuner import constraints
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
FEEDBACK_FAMILIES = (
    "lowercase",
    "uppercase",
    "bullets",
    "start_word",
    "end_question",
    "quoted",
    "exact_sentences",
    "include_word",
    "end_phrase",
    "title",
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


def make_context(index: int, rng: Random) -> tuple[Messages, dict[str, Any], int]:
    """Take an item's number and generator; return (messages, reference, max_tokens).

    Level 1: the fact, then a similar one. Level 2: three more turns. Level 3: and the fact is changed later.
    """
    level = index // len(FACTS) % 3 + 1
    values, fact, similar, change, question = FACTS[index % len(FACTS)]
    first, other, changed = rng.sample(values, 3)
    fillers = [tuple(pair) for pair in rng.sample(FILLERS, (1, 3, 2)[level - 1])]
    said = [(similar.format(other), rng.choice(ACKNOWLEDGED)), *fillers]
    rng.shuffle(said)
    if level == 3:
        said.insert(rng.randint(1, len(said)), (change.format(changed), rng.choice(ACKNOWLEDGED)))
    said.insert(0, (fact.format(first), rng.choice(ACKNOWLEDGED)))
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


def make_feedback(index: int, rng: Random) -> tuple[Messages, dict[str, Any], int]:
    """Take an item's number and generator; return (messages of turn 1, reference, max_tokens)."""
    kind, level = ("rule", "sum", "sort")[index % 3], index // 3 % 3 + 1
    if kind == "rule":
        constraint = constraints.draw(FEEDBACK_FAMILIES[index // 3 % len(FEEDBACK_FAMILIES)], rng)
        asked = request(rng.choice(FORMS), rng.choice(TOPICS), rng)
        prompt = f"{asked} {constraints.describe(constraint)}"
        reference, tokens = {"kind": kind, "constraint": constraint, "request": asked}, 128
    elif kind == "sum":
        terms = [rng.randint(11, 99) for _ in range(level + 1)]
        prompt = f"What is {' + '.join(str(term) for term in terms)}? Reply with only the number."
        reference, tokens = {"kind": kind, "answer": sum(terms), "solution": str(sum(terms))}, 32
    else:
        answer = sorted(rng.sample(SORTED_WORDS, level + 2))
        shown = answer
        while shown == answer:
            shown = rng.sample(answer, len(answer))
        prompt = f"Sort these words alphabetically: {', '.join(shown)}. Reply with only the sorted words."
        reference, tokens = {"kind": kind, "answer": answer, "solution": ", ".join(answer)}, 48
    return [{"role": "user", "content": prompt}], {**reference, "level": level}, tokens


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


def make_tool_use(index: int, rng: Random) -> tuple[Messages, dict[str, Any], int]:
    """Take an item's number and generator; return (messages, reference, max_tokens).

    Level 1 offers two tools, level 2 three. No tool fits every fourth item.
    """
    fits, level = index % 4 != 3, index // 4 % 2 + 1
    wanted, *offered = rng.sample(list(TOOLS), level + 2)
    # Where no tool fits, the request is for one that is not offered.
    offered = rng.sample([wanted, *offered[1:]] if fits else offered, level + 1)
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
    prompt = (
        f"Tools:\n{listed}\nRequest: {rng.choice(requests).format(**arguments)}\n"
        'Reply with only one JSON object {"name": ..., "arguments": {...}} that calls the right tool, '
        'or {"name": null} if no tool fits.'
    )
    call = {"name": wanted, "arguments": arguments} if fits else {"name": None}
    reference = {"call": call, "prompt": prompt, "level": level, "solution": json.dumps(call)}
    return [{"role": "user", "content": prompt}], reference, 64


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
