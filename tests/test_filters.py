import random
import time
from types import SimpleNamespace

import pytest

from tuner import filters

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<file_sep>", "<filename>"]


# for SmolLM2-135M-Instruct, instructions of at most 96 tokens, responses of at most 200
RECOMMENDED = {
    "min_instruction_words": 2,
    "max_instruction_words": 150,
    "min_response_words": 1,
    "max_response_words": 300,
    "max_repeated_ngram_share": 0.4,
    "max_duplicate_line_share": 0.4,
    "max_echo": 0.8,
    "language": "en",
    "min_language_probability": 0.65,
    "near_duplicate_jaccard": 0.8,
}


def settings(**changes):
    return SimpleNamespace(**{**RECOMMENDED, **changes})


def row(id, instruction, response, **more):
    finish = {"instruction_finish": "stop", "response_finish": "stop"}
    return {"id": id, "instruction": instruction, "response": response, **finish, "seed": 7, **more}


def run(*pairs, special=SPECIAL, **changes):
    return filters.apply([row(i, *pair) for i, pair in enumerate(pairs)], settings(**changes), special)


ANSWER = "Plants take in light, water and carbon dioxide, and turn them into sugar and oxygen."

# (instruction, response): every one of these is a row worth training on
GOOD = [
    ("What is the capital of France?", "Paris"),
    ("What is the capital of Spain?", "Madrid"),
    ("Is 17 a prime number? Answer yes or no.", "Yes."),
    ("What is 2 + 3?", "5"),
    ("What is 2 - 3?", "-1"),
    ("Explain recursion", "Recursion is when a function calls itself on a smaller part of the same problem."),
    ("Solve 3x + 5 = 20 for x.", "Subtract 5 from both sides: 3x = 15. Divide by 3: x = 5."),
    ("∫ x² dx = ?", "∫ x² dx = x³/3 + C"),
    (
        "Can you provide a Ruby code that creates a new object of type Person with a name?",
        "```ruby\nclass Person\n  attr_reader :name\n  def initialize(name)\n    @name = name\n  end\nend\n\n"
        "person = Person.new('Ada')\n```",
    ),
    (
        "Write a Python function that returns the largest number in the given list.",
        "def largest(numbers):\n    best = numbers[0]\n    for n in numbers:\n        if n > best:\n"
        "            best = n\n    return best",
    ),
    (
        "Write a function in C that checks whether a number is even.",
        "#include <stdbool.h>\n\nbool is_even(int n) {\n    return n % 2 == 0;\n}",
    ),
    (
        "What does the following code print?\n\nfor i in range(3):\n    print(i)",
        "It prints the numbers 0, 1 and 2, each on a line of its own.",
    ),
    ("What is the difference between C and C++?", "C++ adds classes, templates and exceptions to C."),
    ("What is the difference between C and C#?", "C# runs on .NET and collects garbage; C does neither."),
    ("List five fruits.", "1. Apple\n2. Banana\n3. Cherry\n4. Mango\n5. Kiwi"),
    (
        "Name seven Italian composers.",
        "Giuseppe Verdi, Giacomo Puccini, Antonio Vivaldi, Claudio Monteverdi, Gioachino Rossini, "
        "Arcangelo Corelli, Vincenzo Bellini",
    ),
    (
        "List ten kinds of pasta",
        "Spaghetti, Penne, Fusilli, Farfalle, Rigatoni, Linguine, Tagliatelle, Orzo, Ziti",
    ),
    (
        "Write a short poem about rain with a refrain.",
        "Rain upon the window pane,\nSing your silver song,\nFalling softly, falling plain,\nAll the evening long.\n\n"
        "Clouds are drifting out to sea,\nSing your silver song,\nBring the green back to the tree,\n"
        "All the evening long.",
    ),
    (
        "Write a dialogue between a customer and a support assistant about a late parcel.",
        "Customer: Hello, my parcel is late.\nAssistant: I'm sorry, but I can't see it yet. What is its number?\n"
        "Customer: It is 4411.\nAssistant: Thank you. It will arrive tomorrow.",
    ),
    (
        "Write a short email declining an invitation to a wedding.",
        "Dear Anna,\n\nI'm sorry, but I can't offer you more than my best wishes: I will be abroad. Tom",
    ),
    (
        "Apologize to a friend for missing dinner",
        "I'm sorry, but I couldn't make it to dinner. Let me make it up.",
    ),
    (
        "I'm feeling anxious about a potential layoff at my company.",
        "That is a hard place to be in. Write down your savings and your costs, and talk to someone you trust.",
    ),
    ("I need a name for my bakery, something warm and short.", 'How about "Crumb & Hearth"?'),
    (
        "Here is a list of numbers: 4, 1, 3. Sort them from the smallest to the largest.",
        "1, 3, 4",
    ),
    (
        "Summarize the following paragraph: Bees pollinate crops. Without them harvests would shrink.",
        "Bees matter.",
    ),
    ("Rewrite this sentence in the passive voice: The dog chased the cat.", "The cat was chased by the dog."),
    (
        "Correct the grammar of this sentence: Yesterday she go to the market and buy many apples for her mother.",
        "Yesterday she went to the market and bought many apples for her mother.",
    ),
    ("Which of the following is a mammal?\nA) Shark\nB) Dolphin\nC) Trout", "B) Dolphin"),
    ("Is the following statement true or false? The sun is a star.", "True"),
    ("He go to school. Please correct the sentence above.", "He goes to school."),
    (
        'Translate "Good morning, my friend" into French.',
        "Bonjour, mon ami ! J'espère que tu as passé une bonne nuit.",
    ),
    ("How do you say hello in Japanese?", "こんにちは"),
    (
        "Complete the story: Once upon a time there was a fox who could not sleep...",
        "He counted the stars until the last of them went out, and then the morning was too bright to sleep in.",
    ),
    (
        "A train leaves Boston at 60 miles per hour. Another leaves New York at 40 miles per hour, 200 miles away. "
        "Find the time until they meet.",
        "They close 100 miles each hour, so they meet after 200 / 100 = 2 hours.",
    ),
    (
        "Give the probability of each result of a fair die",
        "The probability of rolling a 1 is 1/6. The probability of rolling a 2 is 1/6. The probability of rolling a 3 "
        "is 1/6. The probability of rolling a 4 is 1/6. The probability of rolling a 5 is 1/6. The probability of "
        "rolling a 6 is 1/6.",
    ),
    ("Write a NumPy matrix of twelve zeros.", "[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]"),
    (
        "Make a table of two planets and their moons.",
        "| Planet | Moons |\n|--------|-------|\n| Earth | 1 |\n| Mars | 2 |",
    ),
    (
        "Name some classic dishes from Rome and Naples",
        "Spaghetti alla carbonara, lasagne alla bolognese, risotto alla milanese, pizza margherita",
    ),
    (
        "Sing a song that children know.",
        "Row, row, row your boat,\nGently down the stream.\nMerrily, merrily, merrily, merrily,\nLife is but a dream."
        "\nRow, row, row your boat,\nGently down the stream.",
    ),
    (
        "Analyze this poem by Robert Frost called Fire and Ice",
        "It weighs desire against hate in nine short lines.",
    ),
    ("Use the text below to find two verbs.\n\nBirds sing and fish swim.", "sing, swim"),
    ("Name a song by Edith Piaf", "Je ne regrette rien"),
    ("Politely decline to lend a friend money", "I'm sorry, but I can't help you with money this month."),
    ("how to remove a branch in git", "Run `git branch -d name`. Use `-D` if the branch was never merged."),
    ("best way to learn the guitar at home", "Practise for twenty minutes a day and play songs you love."),
    ("Explain Newton's Second Law", "Force equals mass times acceleration: F = ma."),
    (
        "Who should I talk to about a noise complaint? Keep it short.",
        "Your landlord first, then the city's hotline.",
    ),
    (
        "What happened the following year, after the Moon landing of 1969?",
        "In 1970 Apollo 13 came home without landing.",
    ),
    ("How do I open an attached file in Outlook?", "Double-click the paper clip under the subject line."),
    (
        "Describe the role of an AI researcher.",
        "As an AI researcher, I design experiments, train models and read papers.",
    ),
    (
        'Why do some people write "Sure, here is" in emails?',
        "It sounds friendly and says that something is attached.",
    ),
    ("Give me a YAML example with a user key.", "```yaml\nuser: root\nsystem: linux\n```"),
    (
        "What is the sum of the first n odd numbers? Prove it by induction.",
        "n². Adding 2n + 1 to n² gives (n + 1)².",
    ),
]


@pytest.mark.parametrize("pair", GOOD, ids=lambda pair: pair[0][:40])
def test_good_rows_pass_alone(pair):
    assert run(pair)[1] == []


def test_good_rows_pass_together_unchanged():
    rows = [row(i, *pair) for i, pair in enumerate(GOOD)]
    kept, dropped = filters.apply(rows, settings(), SPECIAL)
    assert dropped == []
    assert kept == rows


BAD = [
    # length
    ("length", {"instruction_words": 0}, "", ANSWER),
    ("length", {"instruction_words": 0}, " ... !", ANSWER),
    ("length", {"instruction_words": 1}, "Photosynthesis?", ANSWER),
    ("length", {"instruction_words": 151}, "why " * 151, ANSWER),
    ("length", {"response_words": 0}, "Explain photosynthesis.", ""),
    ("length", {"response_words": 0}, "Explain photosynthesis.", "\n---\n"),
    ("length", {"response_words": 301}, "Explain photosynthesis.", " ".join(f"w{i}" for i in range(301))),
    # template_leak
    ("template_leak", {"instruction": "<|im_start|>"}, "Explain photosynthesis.<|im_start|>", ANSWER),
    ("template_leak", {"response": "<filename>"}, "Explain photosynthesis.", "Open <filename> and read."),
    ("template_leak", {"response": "<|assistant|>"}, "Explain photosynthesis.", "<|assistant|> " + ANSWER),
    ("template_leak", {"instruction": "[INST]"}, "[INST] Explain photosynthesis.", ANSWER),
    (
        "template_leak",
        {"response": "### Instruction:"},
        "Explain photosynthesis.",
        ANSWER + "\n### Instruction:\nGo on.",
    ),
    ("template_leak", {"instruction": "User:"}, "User: explain photosynthesis.", ANSWER),
    ("template_leak", {"response": "Human:"}, "Explain photosynthesis.", ANSWER + "\n\nHuman: Thanks!"),
    ("template_leak", {"response": "assistant"}, "Explain photosynthesis.", "assistant\n" + ANSWER),
    # incomplete_instruction
    (
        "incomplete_instruction",
        {"answer_opening": "Sure, here is a list of fruits"},
        "Sure, here is a list of fruits: apples.",
        ANSWER,
    ),
    (
        "incomplete_instruction",
        {"answer_opening": "Hello! How can I help you today"},
        "Hello! How can I help you today?",
        ANSWER,
    ),
    (
        "incomplete_instruction",
        {"answer_opening": "As an AI language model"},
        "As an AI language model, I have no car.",
        ANSWER,
    ),
    (
        "incomplete_instruction",
        {"answer_opening": "Here are some tips for a good night's sleep"},
        "Here are some tips for a good night's sleep. Early hours are best.",
        ANSWER,
    ),
    ("incomplete_instruction", {"unfinished": ","}, "If I have two apples and three pears,", ANSWER),
    ("incomplete_instruction", {"unfinished": "and"}, "Write a story about a fox and", ANSWER),
    ("incomplete_instruction", {"unfinished": ":"}, "Please translate this paragraph:", ANSWER),
    ("incomplete_instruction", {"unfinished": "```"}, "Fix my code ```python\nprint(1", ANSWER),
    (
        "incomplete_instruction",
        {"title": "The Importance of Sleep for Students"},
        "The Importance of Sleep for Students",
        ANSWER,
    ),
    (
        "incomplete_instruction",
        {"title": "Introduction to machine learning"},
        "## Introduction to machine learning",
        ANSWER,
    ),
    (
        "incomplete_instruction",
        {"statement": "The Great Wall of China is an ancient structure."},
        "The Great Wall of China is an ancient structure. It was built over many centuries by several dynasties to "
        "keep raiders away.",
        ANSWER,
    ),
    (
        "incomplete_instruction",
        {"missing_reference": "the following"},
        "Summarize the following article in 3 sentences.",
        ANSWER,
    ),
    (
        "incomplete_instruction",
        {"missing_reference": "the following"},
        "What is the output of the following code?",
        ANSWER,
    ),
    (
        "incomplete_instruction",
        {"missing_reference": "the following"},
        "Given the following text, summarize it briefly.",
        ANSWER,
    ),
    (
        "incomplete_instruction",
        {"missing_reference": "the table below"},
        "Use the table below to find the mean. Show each step.",
        ANSWER,
    ),
    (
        "incomplete_instruction",
        {"missing_reference": "Translate this sentence"},
        "Translate this sentence into German.",
        ANSWER,
    ),
    # refusal
    (
        "refusal",
        {"phrase": "As an AI language model, I"},
        "Explain photosynthesis.",
        "As an AI language model, I have no view.",
    ),
    (
        "refusal",
        {"phrase": "I'm sorry, but I can't help with"},
        "Explain photosynthesis.",
        "I'm sorry, but I can't help with that.",
    ),
    (
        "refusal",
        {"phrase": "I cannot provide"},
        "Explain photosynthesis.",
        "I cannot provide information on that subject.",
    ),
    (
        "refusal",
        {"phrase": "I'm sorry, but I cannot assist"},
        "Explain photosynthesis.",
        "I’m sorry, but I cannot assist you.",
    ),
    (
        "refusal",
        {"phrase": "As an AI, I don't"},
        "Explain photosynthesis.",
        "Good question! As an AI, I don't have an opinion.",
    ),
    (
        "refusal",
        {"phrase": "Hello! How can I help you today?"},
        "Explain photosynthesis.",
        "Hello! How can I help you today?",
    ),
    # echo
    (
        "echo",
        {"ratio": 1.0},
        "Explain how plants turn light into sugar.",
        "Explain how plants turn light into sugar.",
    ),
    ("echo", {"ratio": 0.9394}, "Why do plants turn light into sugar?", "Do plants turn light into sugar?"),
    ("echo", {"ratio": 1.0}, "Fix the roof of my old house", "fix the roof of my old house!"),
    # repetition
    ("repetition", {"word_run": 9}, "Explain photosynthesis.", "It is very " + "good " * 9),
    ("repetition", {"character_run": 40}, "Explain photosynthesis.", "Yes, yes" + "e" * 40),
    (
        "repetition",
        {"duplicate_line_share": 0.5},
        "Explain photosynthesis.",
        "Light falls\nWater flows\nSugar forms\nLight falls\nWater flows\nSugar forms",
    ),
    (
        "repetition",
        {"repeated_ngram_share": 0.6667},
        "Explain photosynthesis.",
        "the small green plants drink bright morning light daily " * 3,
    ),
    # language
    ("language", {"instruction": "es", "probability": 0.77}, "¿Qué es la inteligencia artificial?", ANSWER),
    ("language", {"instruction": "zh", "probability": 0.99}, "光合作用是什么？", ANSWER),
    (
        "language",
        {"response": "es", "probability": 1.0},
        "Explain photosynthesis.",
        "La fotosíntesis es el proceso por el cual las plantas convierten la luz en azúcar.",
    ),
    (
        "language",
        {"response": "es", "probability": 0.99},
        "Explain what a dog is.",
        "Sure! Here is the answer. El perro es un animal doméstico muy leal y cariñoso que vive con las personas "
        "en sus casas desde hace miles de años.",
    ),
]


@pytest.mark.parametrize("reason, measured, instruction, response", BAD)
def test_bad_rows_name_reason_and_value(reason, measured, instruction, response):
    source = row(3, instruction, response)
    kept, dropped = filters.apply([source], settings(), SPECIAL)
    assert kept == []
    expected = {k: pytest.approx(v, abs=0.015) if k == "probability" else v for k, v in measured.items()}
    assert dropped == [{**source, "reason": reason, "measured": expected}]


@pytest.mark.parametrize("side", ["instruction_finish", "response_finish"])
def test_truncated(side):
    _, dropped = filters.apply([row("5", "Explain photosynthesis.", ANSWER, **{side: "length"})], settings(), SPECIAL)
    assert [(d["reason"], d["measured"]) for d in dropped] == [("truncated", {side: "length"})]


def test_exact_duplicates_keep_the_lowest_id_that_is_good():
    rows = [
        row("10", "Explain   PHOTOSYNTHESIS", ANSWER),
        row("9", "Explain photosynthesis.", ANSWER),
        row("2", "Explain photosynthesis!", "I cannot provide information."),  # dropped, so it blocks nobody
    ]
    kept, dropped = filters.apply(rows, settings(), SPECIAL)
    assert [r["id"] for r in kept] == ["9"]
    assert [(d["id"], d["reason"]) for d in dropped] == [("2", "refusal"), ("10", "exact_duplicate")]
    assert dropped[1]["measured"] == {"duplicate_of": "9"}


LONG = "Write a function in Python that takes a list of integers and returns the two numbers which add up to ten"


def test_near_duplicates_have_a_kept_twin():
    # 21 words are 19 shingles; "Please" adds one, two more words at the end two
    kept, dropped = run(
        (LONG, ANSWER), ("Please " + LONG, ANSWER), (LONG + " or twelve", ANSWER), ("Name a tree", ANSWER)
    )
    assert [r["id"] for r in kept] == [0, 3]
    assert [d["measured"] for d in dropped] == [
        {"duplicate_of": 0, "jaccard": 0.95},
        {"duplicate_of": 0, "jaccard": round(19 / 21, 4)},
    ]
    assert {d["reason"] for d in dropped} == {"near_duplicate"}


def test_near_duplicate_limit_is_exact():
    pair = (LONG, ANSWER), (LONG + " or twelve", ANSWER)
    assert len(run(*pair, near_duplicate_jaccard=19 / 21)[0]) == 1
    assert len(run(*pair, near_duplicate_jaccard=19 / 21 + 1e-6)[0]) == 2


def test_near_duplicates_do_not_depend_on_the_order_of_rows():
    dice = random.Random(5)
    nouns = ["fox", "bear", "crow", "wolf", "hare", "deer", "newt", "swan", "crab", "moth", "seal", "toad"]
    rows = []
    for i in range(120):
        middle = " ".join(dice.choice(nouns) for _ in range(3))
        rows.append(
            row(
                i,
                f"Write a long and funny story about the animals of the old forest, such as {middle}",
                ANSWER,
            )
        )
    first = filters.apply(rows, settings(), SPECIAL)
    assert 1 < len(first[0]) < 120
    for _ in range(3):
        dice.shuffle(rows)
        assert filters.apply(rows, settings(), SPECIAL) == first
    sets = [filters._shingles(r["instruction"]) for r in first[0]]
    assert all(len(a & b) / len(a | b) < 0.8 for i, a in enumerate(sets) for b in sets[:i])
    assert {d["measured"]["duplicate_of"] for d in first[1]} <= {r["id"] for r in first[0]}


def test_ids_are_sorted_as_numbers_and_unique():
    kept, _ = filters.apply([row("10", *GOOD[0]), row("9", *GOOD[5])], settings(), SPECIAL)
    assert [r["id"] for r in kept] == ["9", "10"]
    with pytest.raises(ValueError, match="same id"):
        filters.apply([row("7", *GOOD[0]), row(7, *GOOD[5])], settings(), SPECIAL)


def test_korean():
    pairs = [
        (
            "광합성이 무엇인지 쉽게 설명해 주세요.",
            "광합성은 식물이 빛을 이용하여 물과 이산화탄소로 당을 만드는 과정입니다.",
        ),
        ("파이썬에서 리스트를 정렬하는 방법을 알려주세요.", "```python\nsorted(numbers)\n```"),
        ("대한민국의 수도는 어디인가요?", "서울입니다."),
    ]
    assert run(*pairs, language="ko")[1] == []
    assert run(*pairs, language=None)[1] == []
    assert [d["measured"]["instruction"] for d in run(*pairs, language="en")[1]] == ["ko"] * 3
    assert [d["reason"] for d in run(("Explain how plants turn light into sugar.", ANSWER), language="ko")[1]] == [
        "language"
    ]


def test_english_only_rules_leave_other_languages_alone():
    assert run(("Escribe Un Poema Corto", "La lluvia canta en el tejado."), language="es")[1] == []


def test_settings_are_obeyed():
    assert run(GOOD[0], min_response_words=2)[1][0]["measured"] == {"response_words": 1}
    assert run(("Explain how a plant grows", "Explain how a plant grows"), max_echo=1.0)[1] == []
    assert run(("¿Qué es la inteligencia artificial?", ANSWER), min_language_probability=1.0)[1] == []


def test_no_special_tokens_and_progress():
    seen = []
    kept, _ = filters.apply([row(1, *GOOD[0])], settings(), [], progress=lambda it: seen.append(1) or it)
    assert len(kept) == 1 and seen == [1]


@pytest.mark.parametrize(
    "text",
    [
        "x" * 100_000,
        "word " * 20_000,
        "a b\n" * 25_000,
        "(" * 100_000,
        "`" * 100_000,
        "the following " * 7_000,
        "Sure, " * 16_000,
        "hello " * 16_600,
        "I'm sorry, " * 9_000,
        '"' * 100_000,
        " " * 100_000,
        "가나다 " * 25_000,
        "Ab1, " * 20_000,
        "between " * 12_500,
        "the text " * 11_000,
        "$" * 100_000,
        "a-" * 50_000,
        "\n" * 100_000,
        "the " + "a" * 99_990,
        "<|" * 50_000,
        "A. " * 33_000,
        " ".join(map(str, range(17_000))),
    ],
)
def test_very_long_texts_take_less_than_a_second(text):
    limits = settings(max_instruction_words=10**6, max_response_words=10**6)
    special, lsh = filters.re.compile("<x>"), filters.MinHashLSH(num_perm=128, params=(32, 4))
    filters._detector().detect("load the model")
    for name, function in filters.FILTERS:
        start = time.perf_counter()
        memory = {"special": special, "seen": {}, "kept": [], "lsh": lsh}
        function(row(1, text, text + "?"), limits, memory)
        assert time.perf_counter() - start < 1, name


def test_counts():
    rows = [row(i, *pair) for i, pair in enumerate([GOOD[0], GOOD[0], ("", ""), GOOD[1]])]
    kept, dropped = filters.apply(rows, settings(), SPECIAL)
    total = filters.counts(rows, kept, dropped)
    assert total == {"in": 4, "kept": 2, "dropped": 2} | {f"dropped_{name}": 0 for name, _ in filters.FILTERS} | {
        "dropped_length": 1,
        "dropped_exact_duplicate": 1,
    }
    assert filters.counts([], [], [])["in"] == 0
    for wrong in (
        (rows[:3], kept, dropped),
        (rows, kept[:1], dropped),
        (rows, kept, dropped[:1]),
        (rows, [kept[0], kept[0]], dropped),
        (rows, kept, [dropped[0], {**dropped[1], "reason": "mood"}]),
    ):
        with pytest.raises(ValueError):
            filters.counts(*wrong)


def test_split_is_by_prompt_and_stable():
    rows = [row(i, f"Explain the number {i // 2}{'.' * (i % 2)}", ANSWER) for i in range(400)]
    train, validation = filters.split(rows, 0.1, seed=1)
    assert sorted(train + validation, key=lambda r: r["id"]) == rows
    assert [r["id"] for r in train] == sorted(r["id"] for r in train)
    sides = [{filters.normalise(r["instruction"]) for r in side} for side in (train, validation)]
    assert not sides[0] & sides[1]
    assert 20 <= len(validation) <= 64
    assert filters.split(rows, 0.1, seed=1) == (train, validation)
    assert filters.split(rows, 0.1, seed=2) != (train, validation)
    more = rows + [row(i, f"Describe the number {i}", ANSWER) for i in range(400, 500)]
    assert [r for r in filters.split(more, 0.1, seed=1)[1] if r["id"] < 400] == validation


@pytest.mark.parametrize("share", [1e-9, 1 - 1e-9])
def test_split_leaves_no_side_empty(share):
    rows = [row(i, f"Explain the number {i // 2}", ANSWER) for i in range(6)]
    train, validation = filters.split(rows, share, seed=1)
    assert (len(train), len(validation)) == ((4, 2) if share < 0.5 else (2, 4))
    assert filters.split(rows[:2], share, seed=1) == (rows[:2], [])
    assert filters.split([], share, seed=1) == ([], [])


@pytest.mark.parametrize("share", [0, 1, -0.1])
def test_split_refuses_a_share_that_is_none(share):
    with pytest.raises(ValueError, match="validation_share"):
        filters.split([], share, seed=1)
