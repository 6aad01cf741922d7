"""Agent items of one turn: plans that a simulator runs (`planning`) and exact answers (`reasoning`)."""

import re
from collections import deque
from collections.abc import Callable, Hashable
from random import Random
from typing import Any

from tuner.replies import answer_part, mentions, number, one_of

Problem = tuple[str, dict[str, Any]]  # the prompt, and the reference its check needs
Verdict = dict[str, bool]

LEVELS = 4  # from 0, which a model of 135M parameters can do in part, to 3; items go through them in turn
STEPS = {0: (1,), 1: (1, 2), 2: (3, 3), 3: (4, 5)}  # shortest plan by level
ONE_MOVE = "Reply with only that one move."
SPARE_MOVES = 2  # a plan may take a detour, but not try everything until it hits the goal
DIRECTIONS = {"up": (0, 1), "down": (0, -1), "left": (-1, 0), "right": (1, 0)}
PLACES = ("bank", "bakery", "library", "pharmacy", "market", "station", "museum", "school", "cinema", "park")
NAMES = (
    "Ann",
    "Bob",
    "Cleo",
    "Dan",
    "Eva",
    "Finn",
    "Gina",
    "Hugo",
    "Iris",
    "Jack",
    "Kim",
    "Leo",
    "Maya",
    "Noah",
)
THINGS = ("apples", "stamps", "marbles", "books", "coins", "shells", "pencils", "cards", "plums", "buttons")
COMPARED = (
    ("taller", "shorter", "tallest"),
    ("older", "younger", "oldest"),
    ("faster", "slower", "fastest"),
    ("heavier", "lighter", "heaviest"),
    ("richer", "poorer", "richest"),
)
KINDS_OF_THING = {
    "fruits": ("apple", "pear", "banana", "cherry", "grape", "mango", "papaya"),
    "animals": ("horse", "tiger", "rabbit", "sheep", "monkey", "wolf", "camel"),
    "colours": ("red", "blue", "yellow", "purple", "green", "brown", "white"),
    "tools": ("hammer", "saw", "drill", "wrench", "pliers", "shovel", "rake"),
    "vehicles": ("car", "bus", "truck", "tram", "bicycle", "ship", "van"),
}


def _shortest(start: Hashable, goal: Hashable, moves: Callable[[Any], dict[str, Any]]) -> list[str] | None:
    """Breadth-first search, at most 5 moves; `moves(state)` gives the allowed ones and where they lead."""
    waiting, seen = deque([(start, [])]), {start}
    while waiting:
        state, plan = waiting.popleft()
        if state == goal:
            return plan
        for move, reached in moves(state).items() if len(plan) < 5 else ():
            if reached not in seen:
                seen.add(reached)
                waiting.append((reached, [*plan, move]))
    return None


def _run(start: Any, plan: list[str], moves: Callable[[Any], dict[str, Any]]) -> Any:
    """The state after the plan, or None when a move is not allowed."""
    state = start
    for move in plan:
        state = moves(state).get(move)
        if state is None:
            return None
    return state


def _number_moves(reference: dict[str, Any]) -> Callable[[int], dict[str, int]]:
    add, times = reference["add"], reference["times"]
    return lambda value: {f"+{add}": value + add, f"*{times}": value * times}


def _grid_moves(reference: dict[str, Any]) -> Callable[[tuple[int, int]], dict[str, tuple[int, int]]]:
    blocked, size = {tuple(wall) for wall in reference["walls"]}, reference["size"]

    def moves(place: tuple[int, int]) -> dict[str, tuple[int, int]]:
        reached = {name: (place[0] + step[0], place[1] + step[1]) for name, step in DIRECTIONS.items()}
        return {name: to for name, to in reached.items() if min(to) >= 1 and max(to) <= size and to not in blocked}

    return moves


def _after(start: int, move: str) -> int:
    return start + int(move[1:]) if move[0] == "+" else start * int(move[1:])


def _make_move(rng: Random) -> Problem:
    while True:
        start = rng.randint(2, 9)
        options = [f"+{add}" for add in rng.sample(range(1, 10), 2)] + ["*2", "*3"]
        rng.shuffle(options)
        goal = _after(start, options[0])
        if len({_after(start, move) for move in options}) == len(options):
            break
    right = options[0]
    rng.shuffle(options)
    prompt = f"Start with {start}. One of these moves gives {goal}: {', '.join(options)}. Reply with only that move."
    return prompt, {"kind": "move", "start": start, "goal": goal, "options": options, "solution": right}


def _make_number(rng: Random, level: int) -> Problem:
    if level == 0:
        return _make_move(rng)
    while True:
        start, add, times = rng.randint(1, 9), rng.randint(2, 9), rng.choice((2, 3))
        reference = {"kind": "number", "start": start, "add": add, "times": times}
        moves = _number_moves(reference)
        length, goal = rng.choice(STEPS[level]), start
        for _ in range(length):
            goal = rng.choice(list(moves(goal).values()))
        solution = _shortest(start, goal, moves)
        if solution is not None and len(solution) == length:
            break
    limit = length + SPARE_MOVES
    prompt = (
        f'Start with the number {start}. A move is "+{add}" or "*{times}", applied to the result '
        f"so far. Find moves that give {goal}. "
        f"Reply with only the moves in order, separated by commas, at most {limit} moves."
    )
    return prompt, {**reference, "goal": goal, "limit": limit, "solution": ", ".join(solution)}


def _make_grid(rng: Random, level: int) -> Problem:
    size = 3 if level < 2 else 4
    cells = [(column, row) for column in range(1, size + 1) for row in range(1, size + 1)]
    while True:
        start, goal, *walls = rng.sample(cells, 2 + level)  # no wall at level 0
        solution = _shortest(start, goal, _grid_moves({"size": size, "walls": walls}))
        if solution is not None and len(solution) in STEPS[level]:
            break
    limit = len(solution) + (SPARE_MOVES if level else 0)
    shown = " and ".join(f"({column},{row})" for column, row in walls)
    prompt = (
        f"A robot is on a {size}x{size} grid at (column,row) = ({start[0]},{start[1]}). "
        "Moves: up (row+1), down (row-1), left (column-1), right (column+1). "
        + (f"It must not leave the grid or enter {shown}. " if walls else "")
        + f"Move it to ({goal[0]},{goal[1]}). "
        + ("Reply with only the moves in order, separated by commas, at most {limit} moves." if level else ONE_MOVE)
    ).replace("{limit}", str(limit))
    return prompt, {
        "kind": "grid",
        "size": size,
        "walls": [list(wall) for wall in walls],
        "start": list(start),
        "goal": list(goal),
        "limit": limit,
        "solution": ", ".join(solution),
    }


def _make_errands(rng: Random, level: int) -> Problem:
    order = rng.sample(PLACES, max(level, 1) + 2)
    rules = list(zip(order, order[1:], strict=False))
    rng.shuffle(rules)
    # From level 2 one rule is missing, so that several orders are right.
    rules = rules[: len(rules) - (level > 1)]
    shown = order
    while all(shown.index(first) < shown.index(second) for first, second in rules):
        shown = rng.sample(order, len(order))  # the list as given must not be an answer
    stated = " ".join(f"Go to the {first} before the {second}." for first, second in rules)
    prompt = (
        f"Plan these errands: {', '.join(shown)}. {stated} "
        "Reply with only the places in the order to visit them, each once, separated by commas."
    )
    reference = {"kind": "errands", "places": shown, "rules": [list(rule) for rule in rules]}
    return prompt, {**reference, "solution": ", ".join(order)}


PLANNING = (_make_number, _make_grid, _make_errands)


def make_planning(index: int, rng: Random) -> Problem:
    """Take an item's number and generator; return (prompt, reference); the number sets kind and level 0-3."""
    level = index % LEVELS
    # Each round of levels starts with another kind, so that every kind meets every level.
    prompt, reference = PLANNING[(index + index // LEVELS) % len(PLANNING)](rng, level)
    return prompt, {**reference, "level": level}


def check_planning(reference: dict[str, Any], reply: str) -> Verdict:
    """Take a reference and a reply; run the plan in it. Any plan counts that ends exactly at the goal."""
    part = answer_part(reply)
    text = reply if part is None else part
    if reference["kind"] == "errands":
        plan = mentions(reference["places"], text)
        whole = sorted(plan) == sorted(reference["places"])
        kept = whole and all(plan.index(first) < plan.index(second) for first, second in reference["rules"])
        return {"correct": kept, "valid_format": whole}
    if reference["kind"] == "grid":
        plan, moves = mentions(DIRECTIONS, text), _grid_moves(reference)
        start, goal = tuple(reference["start"]), tuple(reference["goal"])
    else:
        # "3 + 4 = 7" reads as the move "+4"; a letter before x ("max 4") makes it part of a word.
        found = re.findall(r"(?<![A-Za-z])([-+*×x])\s*(\d+)", text)
        plan = [("*" if sign in "×x" else sign) + digits for sign, digits in found]
        if reference["kind"] == "move":  # named once or several times, but only one of those offered
            chosen = set(plan)
            right = len(chosen) == 1 and chosen <= set(reference["options"])
            return {
                "correct": right and _after(reference["start"], plan[0]) == reference["goal"],
                "valid_format": right,
            }
        start, goal, moves = reference["start"], reference["goal"], _number_moves(reference)
    reached = _run(start, plan, moves) if 0 < len(plan) <= reference["limit"] else None
    return {"correct": reached == goal, "valid_format": bool(plan)}


def _make_arithmetic(rng: Random, level: int) -> Problem:
    name, other = rng.sample(NAMES, 2)
    things = rng.choice(THINGS)
    smallest, largest = {0: (2, 9), 3: (21, 60)}.get(level, (6, 20))
    a, b, c = rng.randint(smallest, largest), rng.randint(2, 5 if level == 0 else 9), rng.randint(2, 5)
    stories = {
        0: (
            (f"{name} has {a} {things} and gets {b} more.", a + b),
            (f"{name} has {a + b} {things} and loses {b}.", a),
        ),
        1: (
            (f"{name} has {a} {things} and gets {b} more.", a + b),
            (f"{name} has {a + b} {things} and gives {b} to {other}.", a),
            (f"{name} buys {c} boxes with {b} {things} in each and starts with none.", b * c),
        ),
        2: (
            (f"{name} has {a} {things}, gets {b} more and then loses {c}.", a + b - c),
            (f"{name} has {c} bags of {b} {things} and finds {a} more.", b * c + a),
            (
                f"{name} has {a * c} {things}, shares them equally among {c} boxes, keeps one box "
                f"and adds {b} {things}.",
                a + b,
            ),
        ),
        3: (
            (
                f"{name} has {c} boxes of {a} {things}, gives {b} {things} to {other} "
                f"and then buys {c + 1} bags of {b}.",
                a * c - b + b * (c + 1),
            ),
            (
                f"{name} has {a} {things}. {other} gives {name} twice as many as that, "
                f"and then {name} loses {b} and finds {c}.",
                3 * a - b + c,
            ),
            (
                f"{name} has {2 * a} {things}, gives half of them away, then gets {c} bags of {b} "
                f"and loses one {things[:-1]}.",
                a + b * c - 1,
            ),
        ),
    }
    story, answer = rng.choice(stories[level])
    return f"{story} How many {things} does {name} have now? Reply with only the number.", {"answer": answer}


def _make_most(rng: Random) -> Problem:
    people, amounts, things = rng.sample(NAMES, 3), rng.sample(range(2, 30), 3), rng.choice(THINGS)
    has = [f"{one} has {many}" for one, many in zip(people, amounts, strict=True)]
    prompt = f"{has[0]} {things}, {has[1]} and {has[2]}. Who has the most {things}? Reply with only the name."
    return prompt, {"answer": people[amounts.index(max(amounts))], "candidates": sorted(people)}


def _make_order(rng: Random, level: int) -> Problem:
    if level == 0:
        return _make_most(rng)
    people = rng.sample(NAMES, (3, 4, 6)[level - 1])
    more, less, most = rng.choice(COMPARED)
    pairs = list(zip(people, people[1:], strict=False))
    facts = [
        f"{first} is {more} than {second}." if level == 1 or rng.random() < 0.5 else f"{second} is {less} than {first}."
        for first, second in pairs
    ]
    rng.shuffle(facts)
    prompt = f"{' '.join(facts)} Who is the {most} of them? Reply with only the name."
    return prompt, {"answer": people[0], "candidates": sorted(people)}


def _make_count(rng: Random, level: int) -> Problem:
    wanted, *others = rng.sample(list(KINDS_OF_THING), 3)
    if level == 0:
        listed = rng.sample(KINDS_OF_THING[wanted], rng.randint(2, 6))
        return f"Count these {wanted}: {', '.join(listed)}. Reply with only the number.", {"answer": len(listed)}
    answer, many = rng.randint(1, level + 4), (7, 8, 15)[level - 1]
    listed = rng.sample(KINDS_OF_THING[wanted], answer)
    listed += rng.sample([thing for kind in others for thing in KINDS_OF_THING[kind]], many - answer)
    rng.shuffle(listed)
    prompt = f"Count how many of these are {wanted}: {', '.join(listed)}. Reply with only the number."
    return prompt, {"answer": answer}


def _make_sequence(rng: Random, level: int) -> Problem:
    first, step = rng.randint(1, 20), rng.randint(2, 9)
    if level == 0:
        step = rng.choice((1, 2, 5, 10))
        first = step * rng.randint(1, 9)
    if level < 2:
        terms = [first + step * place for place in range(5)]
    elif level == 2:
        terms = rng.choice(
            ([first * 2**place for place in range(5)], [first + 90 - step * place for place in range(5)])
        )
    else:
        # The differences grow by one each time, or alternate.
        steps = rng.choice(([step + place for place in range(5)], [step, 1] * 3))[:5]
        terms = [first + sum(steps[:place]) for place in range(6)]
    shown = ", ".join(str(term) for term in terms[:-1])
    return f"What number comes next: {shown}? Reply with only the number.", {"answer": terms[-1]}


REASONING = (_make_arithmetic, _make_order, _make_count, _make_sequence)


def make_reasoning(index: int, rng: Random) -> Problem:
    """Take an item's number and generator; return (prompt, reference); the number sets kind and level 0-3."""
    level = index % LEVELS
    prompt, reference = REASONING[(index + index // LEVELS) % len(REASONING)](rng, level)
    return prompt, {**reference, "level": level, "solution": str(reference["answer"])}


def check_reasoning(reference: dict[str, Any], reply: str) -> Verdict:
    """Take a reference and a reply; compare the one number, or the one name, that the reply gives."""
    given = one_of(reference["candidates"], reply) if "candidates" in reference else number(reply)
    return {"correct": given == reference["answer"], "valid_format": given is not None}
