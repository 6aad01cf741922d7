"""The wording of the evaluation's requests: forms with a blank, and topics that fill it."""

from random import Random

# No form names a number, a length in words or a layout, since it could then contradict the constraint.
# All ask for something brief: a reply cut off at max_tokens cannot meet a rule about its end.
FORMS = (
    "Explain briefly to a child what is interesting about {topic}.",
    "Briefly list some things a beginner should know about {topic}.",
    "Write a tiny story about {topic}.",
    "Write a short email to a friend about {topic}.",
    "Give brief advice to someone who is curious about {topic}.",
    "Briefly compare {topic} and {other}.",
    "Summarise in short why some of us care about {topic}.",
    "Describe {topic} briefly for a visitor from another planet.",
    "Write a short speech in praise of {topic}.",
    "Suggest what one could ask an expert on {topic}, in brief.",
    "Write a short diary entry about {topic}.",
    "Name briefly some common mistakes to do with {topic}.",
    "Write a short advertisement for an evening class about {topic}.",
    "Write a short dialogue between neighbours about {topic}.",
    "Explain in short the pleasant and the unpleasant side of {topic}.",
    "Plan a free afternoon around {topic} and keep it short.",
)
TOPICS = (
    "bicycles",
    "tea",
    "public libraries",
    "house cats",
    "bread baking",
    "thunderstorms",
    "board games",
    "train travel",
    "tomatoes",
    "the moon",
    "old photographs",
    "snow",
    "chess",
    "street markets",
    "honey bees",
    "camping",
    "piano lessons",
    "recycling",
    "football",
    "birthday parties",
    "maps",
    "weekend cooking",
    "video calls",
    "second-hand clothes",
    "dreams",
    "sea shells",
    "gardening",
    "long walks",
    "mathematics",
    "pencils",
    "buses",
    "soup",
    "museums",
    "dogs",
    "knitting",
    "umbrellas",
    "apples",
    "sleep",
    "jokes",
    "mountains",
)


def request(form: str, topic: str, rng: Random) -> str:
    """Take a form of FORMS, a topic of TOPICS and a generator; return the request (it draws `other`)."""
    return form.format(topic=topic, other=rng.choice([other for other in TOPICS if other != topic]))
