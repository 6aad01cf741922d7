"""Words and phrases that tuner/edits.py adds to an answer, and those it looks for in one.

None that it adds is one the evaluation draws in tuner/constraints.py.
"""

import re

from tuner.replies import NUMBER_WORDS

# Sentences that carry a word asked for and fit behind nearly any answer, since they speak of reading, asking or
# remembering it; three, as a word may be asked for three times, and any of them in this order.
ADDED = {
    "weekend": (
        "A weekend is enough to read up on it.",
        "You can read more about it at the weekend.",
        "Ask me again after the weekend.",
    ),
    "brave": (
        "It was brave of you to ask.",
        "A brave question deserves a clear answer.",
        "Be brave and ask for more.",
    ),
    "music": (
        "Put on some music and read this again.",
        "With some music it is easier to think about it.",
        "Good music helps me to remember such things.",
    ),
    "friend": (
        "Tell a friend about it.",
        "A friend may see it differently.",
        "You can ask a friend as well.",
    ),
    "paper": (
        "You can write it down on paper.",
        "A sheet of paper is enough to note this.",
        "On paper it may look even clearer.",
    ),
    "evening": (
        "Take an evening to think it over.",
        "You can read more about it in the evening.",
        "By the evening it may be clearer.",
    ),
    "slowly": (
        "Read this slowly and ask if anything is unclear.",
        "It makes more sense when you read it slowly.",
        "Think it over slowly.",
    ),
    "door": (
        "My door is open for more questions.",
        "This may open a door to new ideas.",
        "Knock on my door again at any time.",
    ),
    "story": (
        "There is more to the story than this.",
        "Every story has two sides.",
        "In short this is the story.",
    ),
    "family": (
        "You can talk about it with your family.",
        "Someone in your family may know more.",
        "Your family may want to know this too.",
    ),
    "notebook": (
        "A line in your notebook will help you remember it.",
        "You can add your own thoughts in the notebook.",
        "Keep the notebook close by.",
    ),
    "honest": (
        "I try to be honest about what I know.",
        "An honest answer is better than a long one.",
        "To be honest there is much more to say.",
    ),
    "summer": (
        "It is as true in summer as at any other time.",
        "You can read more about it over the summer.",
        "By next summer we may know more.",
    ),
    "tea": (
        "Think it over with a cup of tea.",
        "It takes no longer to read than to make tea.",
        "We can talk about it again over tea.",
    ),
    "teacher": (
        "A good teacher would say the same.",
        "You can ask a teacher as well.",
        "A teacher could tell you more about it.",
    ),
    "picture": (
        "This gives you the whole picture.",
        "Try to picture it for a moment.",
        "A picture would show it even better.",
    ),
    "road": (
        "Every long road begins with a question like this.",
        "This is only the first step on the road.",
        "There is more to say further down the road.",
    ),
    "light": (
        "I hope this sheds some light on it.",
        "That puts the matter in a new light.",
        "Look at it again in the light of day.",
    ),
    "library": (
        "A library will have more about it.",
        "You can look it up in a library.",
        "The next library is a good place to read on.",
    ),
    "expert": (
        "I am no expert but this is what I know.",
        "Ask an expert if you want to be sure.",
        "An expert could tell you more.",
    ),
    "moment": (
        "Think about it for a moment.",
        "Take a moment to read it again.",
        "It only takes a moment to look up more.",
    ),
}
# Openings that stand before a whole sentence, and those that become a part of the first one.
GREETINGS = {
    "Thanks": "Thanks for asking.",
    "Hello": "Hello there!",
    "Hi": "Hi there!",
    "Okay": "Okay!",
    "Right": "Right!",
    "Let": "Let me put it this way.",
    "Here": "Here is what I can say.",
    "Allow": "Allow me to answer.",
    "My": "My answer is short.",
    "This": "This is my answer.",
}
ADVERBS = (
    "Actually",
    "Basically",
    "Frankly",
    "Indeed",
    "Naturally",
    "Now",
    "Overall",
    "Truly",
    "Briefly",
)
ENDINGS = (
    "Feel free to ask again.",
    "Take care and stay well.",
    "That is my answer.",
    "All the best to you.",
    "Thanks for asking.",
    "Enjoy the rest of your day.",
    "I wish you every success.",
    "Talk to you soon.",
    "You can always ask for more.",
    "That says it all.",
    "Ask me again at any time.",
    "There is always more to learn.",
    "I hope that makes sense.",
    "That is the short version.",
    "I will leave it at that.",
    "This is all I can say.",
)
QUESTIONS = (
    "Would you like to know more?",
    "Shall I go into more detail?",
    "Does that answer your question?",
    "Is that what you were looking for?",
    "What would you like to know next?",
    "Would an example help?",
    "Does that make sense?",
    "What do you think?",
    "Is there anything you would like me to add?",
    "Which part would you like to talk about next?",
)
# What may stand in a word's place without any other change to the sentence but the article.
SUBSTITUTES = {
    "happy": "glad",
    "assist": "help",
    "assistance": "help",
    "various": "several",
    "including": "such as",
    "create": "make",
    "specific": "particular",
    "unable": "not able",
    "essential": "vital",
    "crucial": "vital",
    "difficult": "hard",
    "currently": "now",
    "options": "choices",
    "popular": "well-known",
    "effective": "useful",
    "enhance": "improve",
    "certainly": "surely",
    "definitely": "surely",
    "simply": "just",
    "significant": "major",
    "wonderful": "lovely",
    "amazing": "lovely",
    "guidance": "advice",
    "goals": "aims",
    "goal": "aim",
    "complex": "complicated",
    "ideas": "thoughts",
    "designed": "made",
    "typically": "usually",
    "numerous": "several",
    "additional": "further",
    "unique": "special",
    "however": "still",
    "capability": "ability",
    "primary": "main",
    "large": "big",
    "provides": "offers",
    "understand": "grasp",
    "misunderstanding": "mix-up",
    "confusion": "mix-up",
    "incredibly": "truly",
    "commonly": "usually",
    "entire": "whole",
}
CONNECTIVES = (
    "However|Additionally|Also|Finally|Firstly|Secondly|In fact|In addition|Therefore|Then|Overall|But|So|And|Instead"
    "|For example|For instance|In this case|That being said|Lastly|Next|Moreover|Furthermore|Now"
)
NOT_PROSE = re.compile(r"```|\\\(|\\\[|\$\$|\|\s*:?-{3,}|!\[|</?\w+>|https?://")
ITEM = re.compile(r"^(?:\d+[.)]|[-*•])\s+(.+)$")
HEADING = re.compile(r"^(?:#|\||\*\*[^*]+\*\*:?$|\d+[.)]\s|[-*•+]\s)")
END = re.compile(r"[.!?]+[\"'”’)*]*(?=\s|$)")
PLEASANTRY = re.compile(
    r"^(?:(?:Sure|Certainly|Absolutely|Of course|Yes|Hello|Hi|Ah|Great)\b[,!.]?\s*)?"
    r"(?:I['’]d|I would|I['’]m|I am)\s+(?:be |so |very |always |more than )*(?:happy|glad|here|sorry|delighted)\b",
)
SHORT_OPENING = re.compile(r"^(?:Sure|Certainly|Absolutely|Of course|Yes|Okay|Well|Ah|Oh)[,!.]\s+(?=\S)")
ANNOUNCES = re.compile(r"^(?:Here(?:['’]s| is| are)|Below|The following)\b")
FIRST_PERSON = re.compile(r"^I(?:['’]\w+)?\b")
# Never a name where they open a sentence, and never what a text is about.
STOPWORDS = frozenset(
    "a an the this that these those there it its they we you your he she his her our my in on at to for from with "
    "by of as if when while what which who how why where here some many most all any each both yes no one another "
    "after before using instead although since because once during think start make please let about also and are "
    "be been being but can could did do does doing even ever every feel get getting give given go going had has "
    "have having help helps hello i into is just know like look looking may me might more much must need not now "
    "off only or other others out over own per rather really said same say see should so such sure than thank "
    "their them then thing things through too under until up upon us use used very want was way well were whether "
    "will within without would".split()
)
SPELLED = (*NUMBER_WORDS, "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty")
STANDING_NUMBER = re.compile(r"(?<![\w.,$€£#/:-])\d{1,2}(?![\w%°/:-]|[.,]\d)")
ARITHMETIC = re.compile(r"\d\s*[-+*/=×÷^]\s*\d")
# What opens a request and is not its topic; taken off again and again.
REQUEST = re.compile(
    r"^(?:"
    r"(?:hello|hi|hey|please|by the way|also|now|so)\b[,!]?\s+"
    r"|(?:can|could|would|will|may) (?:you|we|i|someone)\b(?: please)?(?: help| assist)?(?: me| us)?"
    r"(?: to| with| in)?\s+"
    r"|(?:please )?(?:provide|suggest|recommend|give|help|show|tell|find|list|explain|describe|create|write|get|share"
    r"|offer|assist|make|generate|need)\b(?: me| us)?\b(?: with| out| about)?\s+"
    r"|i(?:'m| am)(?: currently| just)? (?:looking (?:for|to)|in need of|considering|thinking (?:of|about)"
    r"|planning(?: on)?|interested in|struggling with|facing|working (?:on|with)|hosting|preparing|about to"
    r"|dealing with|trying to|running(?: into)?|having|feeling|moving to|in the process of)\s+"
    r"|i(?:'d like| would like| need| want|'ve been|'d love)(?: to)?\s+"
    r"|i (?:just )?(?:had|have|made|got|wanted)(?: to)?\s+"
    r"|(?:what|how|who|where|which)(?:'s| is| are| does| do| did| can| could| would| should)(?: i| you| we| one)?\s+"
    r"|is there (?:a way to|any)\s+|what (?:type|kind|sort)s? of\s+"
    r"|(?:a|an|the|some|any|my|your|our|this|that|these|those|me|with|about|to|of|for|what|how)\s+"
    r"|(?:\w+ )?(?:list|summary|overview|example|examples|description|explanation|information|tips|set|number) "
    r"(?:of|on|about|for|to)\s+"
    r")",
    re.IGNORECASE,
)
# Where the topic ends: a new clause.
CLAUSE = re.compile(
    r"[,.;:?!()–—](?=\s|$)|\s[-–—]\s|\b(?:that|which|who|whom|because|so|if|when|while|but|since|where|without"
    r"|though|such|including|wanted|for (?:me|us)|can|could|will|would|is|are|was|were|has|have|had|do|does|mean|means"
    r"|i|you|we|he|she|it|they|there|help)\b",
    re.IGNORECASE,
)
SMALL = frozenset("a an and as at by for from in of on or regarding the to with vs".split())
NO_TITLE = frozenset(
    "be not use used using make this that more it there here do go add help see user data way thing things question "
    "questions".split()
)
PARTICIPLE = re.compile(r"[a-z](?:ed|available)$")
