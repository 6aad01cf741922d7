"""What filters recognise in a text: words, prose, English requests and refusals, a chat template's headers.

Where each is looked for and when it does not count is said in `filters.py`. Patterns are narrow on purpose:
"I can't help with" is a refusal, "I can't come" may be the letter that was asked for.
"""

import re
import unicodedata

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_TOKEN = re.compile(rf"[{_CJK}]|[^\s{_CJK}]+")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
MARKS = re.compile(r"[.,;:?\u2026\u3002\uff1f\uff0c\uff01\"\u201c\u201d]+$|(?<![\d)])!+$")
FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
NOT_PROSE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\$[^$\n]*\$|https?://\S+|[\"\u201c\u00ab][^\"\u201d\u00bb\n]*[\"\u201d\u00bb]",
    re.DOTALL,
)
PROSE_WORD = re.compile(r"(?<![\w/.@\\])[^\W\d_](?:[^\W\d_]|['\u2019-](?=[^\W\d_]))*(?![\w/@\\=(])")
CODE_MARK = re.compile(r"[{}()\[\]<>=;_/\\|+*#$&^]")
SMALL_WORD = re.compile(r"(?:an?|and|as|at|by|for|from|in|of|on|or|the|to|with)", re.IGNORECASE)

VERBS = (
    "act|add|advise|analy[sz]e|answer|apply|argue|arrange|ask|assess|assume|brainstorm|break|build"
    "|calculate|categori[sz]e|"
    "change|check|choose|clarify|classify|code|combine|come|comment|compare|compile|complete|compose"
    "|compute|consider|"
    "construct|continue|contrast|convert|copy|correct|count|craft|create|critique|debate|debug|decide"
    "|decode|deduce|"
    "define|demonstrate|derive|describe|design|detect|determine|develop|devise|differentiate|discuss|display|"
    "distinguish|draft|draw|edit|elaborate|encode|estimate|evaluate|examine|expand|explain|explore"
    "|express|extract|"
    "factor|fill|find|finish|fix|formulate|generate|get|give|go|graph|group|guess|help|highlight|identify"
    "|illustrate|"
    "imagine|implement|improve|include|infer|interpret|introduce|invent|investigate|justify|label|let"
    "|let's|list|look|"
    "make|match|measure|mention|modify|multiply|name|offer|optimi[sz]e|order|organi[sz]e|outline"
    "|paraphrase|parse|"
    "perform|pick|plan|play|plot|point|polish|predict|prepare|present|pretend|print|produce|proofread"
    "|propose|prove|"
    "provide|rank|rate|read|rearrange|recall|recommend|refactor|remove|rephrase|replace|reply|report"
    "|research|respond|"
    "return|reverse|review|revise|rewrite|run|say|search|select|send|set|share|shorten|show|simplify"
    "|sketch|solve|sort|"
    "specify|split|spell|start|state|structure|subtract|suggest|summari[sz]e|take|talk|teach|tell|test"
    "|think|trace|"
    "transform|translate|try|turn|update|use|verify|visuali[sz]e|weigh|write"
)
# a question, a first or second person, or an imperative that opens a clause
REQUEST = re.compile(
    rf"\?|\b(?:i|i'm|i'd|i've|me|my|we|our|you|your|please|task)\b|(?:^|[.,;:!\n]|\band|\bthen"
    rf"|\d\))[\s*#>_\"'\-]*(?:{VERBS})\b"
    r"|^\W*(?:how|what|why|when|where|who|whose|which|is|are|was|were|do|does|did|can|could|should|would"
    r"|will|if)\b",
    re.IGNORECASE,
)
ANSWER_OPENING = re.compile(
    r"\s*(?:(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|great"
    r"|no problem)[\s,.!:-]+(?:here(?:'s| is| are)"
    r"|i(?:'d| would| can|'ll| will)\b(?! you)|let me|the following)[^\n.:!?]{0,40}"
    r"|(?:hi|hello|hey|welcome|greetings)?\b[^.!?\n]{0,40}[.!,]?\s*how (?:can|may) i (?:help"
    r"|assist) you(?: today| out)?(?=\s*(?:[?!.,]|with\b|$))"
    r"|i(?:'m| am) (?:here|happy|glad) to (?:help|assist)\b|i(?:'d| would) be (?:happy|glad) to (?:help"
    r"|assist)\b"
    r"|i(?:'m| am) (?:just |only )?an ai (?:language model|assistant|chatbot)\b"
    r"|as an ai (?:language model|assistant|chatbot)\b"
    r"|thank you for (?:your question|asking|reaching out)\b|you're welcome\b)",
    re.IGNORECASE,
)
HERE_IS = re.compile(r"\s*here(?:'s| is| are)\s[^\n.!?]{0,60}", re.IGNORECASE)
UNFINISHED = re.compile(
    r"(?:[,:\uff0c\uff1a\u3001(]|\s[-\u2013]|\u2014|(?<=\s)(?:and|or|but|because|the|an|my|your|our))$"
)
NOUN = (
    r"(?:text|passage|paragraph|article|story|poem|essay|e-?mail|letter|review|sentences?|statements?"
    r"|code|snippet|table"
    r"|lists?|data(?:set)?|questions?|equations?|conversation|dialogue|document|options|words|numbers"
    r"|image|picture)\b"
)
REFERENCE = re.compile(
    r"\b(?:the|these)\s+following\b(?!\s+(?:day|morning|night|week|month|year|season|century|decade"
    r"|generation)s?\b)"
    rf"|\b(?:the|this|these)\s+(?:\w+\s+)?{NOUN}\s+(?:given\s+|shown\s+|provided\s+|listed\s+)?(?:below"
    rf"|above)"
    r"(?=\s*(?:[.,;:!?]|$)|\s+(?:and|to|in|into|using|by|with|for|is|are)\b)"
    r"|\A\s*(?:please |can you |could you )?(?:summari[sz]e|translate|rewrite|rephrase|paraphrase"
    r"|proofread|edit|correct|fix"
    rf"|debug|analy[sz]e|classify|review|explain|describe)\s+(?:this|these|the (?:attached"
    rf"|provided))\s+(?:\w+\s+)?{NOUN}",
    re.IGNORECASE,
)
NOT_CONTENT = re.compile(
    rf"[\s\"'*\-]*(?:{VERBS}|please|your|it should|do not|don't|be|keep|can|could|how|what|why|which"
    rf"|thanks?|thank you"
    r"|the (?:summary|answer|response|output|result|translation))\b",
    re.IGNORECASE,
)
AMOUNT = re.compile(r"\b(?:in|into|to|with|using|under|within|of|about|than|most|least)\s+\d+\s+\w+", re.IGNORECASE)
POINTS_NOWHERE = re.compile(
    r"\s*(?:in|into|to|for|using|by\s+\w+ing|with|from|so|as|and|of|on|at|or|that|which)\b", re.IGNORECASE
)

HEADER = re.compile(
    r"<[|\uff5c]\w[\w\u2581-]*[|\uff5c]>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>"
    r"|^#{2,4} *(?:Instruction|Response|Human|Assistant|User) *:? *$|\A(?:user|assistant|system) *\n",
    re.MULTILINE,
)
ROLE = re.compile(r"^(?:\*\*)?(?:user|assistant|human)(?:\*\*)? ?:", re.IGNORECASE | re.MULTILINE)
DIALOGUE = re.compile(
    r"\b(?:dialog(?:ue)?s?|conversations?|transcripts?|interviews?|role-?play\w*|skits?|chat|chatbot"
    r"|screenplay|exchange)\b"
    r"|\bbetween\b.{1,60}\band\b",
    re.IGNORECASE,
)

AI = r"as an ai(?: language)?(?: model| assistant| chatbot| system)?"
HELPING = (
    r"(?:help (?:you )?with|help you$|help you[.,!]|assist|provide|fulfil|comply|answer|create|generate"
    r"|write|do that|engage|support"
    r"|discuss|complete|access|browse|process|perform|offer|continue|respond|translate"
    r"|give (?:you )?(?:advice|medical|legal))"
)
CANNOT = r"(?:can't|cannot|can not|won't|will not be able to|(?: am|'m) (?:unable|not able) to|couldn't)"
REFUSAL = re.compile(
    rf"{AI},? (?:i|my)\b|i(?:'m| am) (?:just |only )?an ai\b(?! (?:research|engineer|scien|develop|expert))"
    rf"|(?:(?:i(?:'m| am) (?:really |very |so )?sorry|sorry|i apologi[sz]e"
    rf"|unfortunately)[,.]? (?:but )?)?i ?{CANNOT} {HELPING}"
    r"|(?:i(?:'m| am) sorry, but )?i (?:don't|do not) have (?:personal (?:opinion|feeling|experience"
    r"|belief|preference)"
    r"|the (?:ability|capability) to|access to (?:real-time|the internet|external|personal))",
    re.IGNORECASE,
)
AI_REFUSAL = re.compile(
    r"as an ai(?: language model| assistant| language assistant)?, i (?:don't|do not|can't|cannot|am not"
    r"|am unable)",
    re.IGNORECASE,
)
NO_ANSWER = re.compile(
    r"\W*(?:(?:hi|hello|hey)\b[^.!?\n]{0,30}[.!,]?\s*)?(?:how (?:can|may) i (?:help"
    r"|assist) you[^.!?\n]{0,20}\?"
    r"|i(?:'m| am) here to help[^.!?\n]{0,20}[.!])\W*",
    re.IGNORECASE,
)
ASKS_FOR_NO = re.compile(
    r"\b(?:declin\w*|refus\w*|apolog\w*|reject\w*|excuse|turn(?:ing)? down|say(?:ing)? no|greet\w*|hello"
    r"|hi|customer|agent|bot"
    r"|chatbot|robot|ai|assistant|phrase|sentence|role-?play\w*|dialogue|conversation)\b",
    re.IGNORECASE,
)
EDITING = re.compile(
    r"\b(?:correct|fix|rewrite|rephrase|proofread|edit|repeat|paraphrase|convert|punctuate|capitali[sz]e"
    r"|change|replace|copy"
    r"|add|remove|insert|complete|improve|refactor|debug|translate|format|sort|fill)\b",
    re.IGNORECASE,
)
TONGUES = (
    r"(?:french|spanish|german|italian|portuguese|dutch|latin|greek|russian|polish|turkish|arabic|hebrew"
    r"|hindi|chinese"
    r"|mandarin|japanese|korean|vietnamese|thai|swedish|norwegian|danish|finnish|czech|english|esperanto)"
)
OTHER_LANGUAGE = re.compile(
    rf"\b(?:translat\w*|(?:in|into|to|from)\s+{TONGUES}|{TONGUES}\s+(?:words?|phrases?|sentences?|for"
    rf"|translation|greetings?)"
    r"|languages)\b|\ubc88\uc5ed",
    re.IGNORECASE,
)


def words(text: str) -> list[str]:
    """What blanks separate, and each Han or kana character; punctuation alone is no word."""
    return [t for t in _TOKEN.findall(text) if any(unicodedata.category(c)[0] not in "PZC" for c in t)]


def missing_reference(text: str) -> str | None:
    """The words that point to a text, code or list which the instruction does not hold."""
    found = REFERENCE.search(text)
    if not found or "```" in text:
        return None
    cuts = [0, *(m.end() for m in SENTENCE_END.finditer(text)), len(text)]
    begin, end = max(c for c in cuts if c <= found.start()), min(c for c in cuts if c >= found.end())
    rest = AMOUNT.sub("", text[found.end() : end])
    after_comma = [p for p in rest.split(",")[1:] if not NOT_CONTENT.match(p)]
    if after_comma or re.search(r"[:\"\u201c`=|\[{<\d]|\s'\w|\s[-\u2013\u2014]\s*\w", rest.rstrip(" :\n")):
        return None
    this_text = not found.group().lower().endswith(("following", "below", "above"))
    if this_text and len(words(rest)) >= 2 and not POINTS_NOWHERE.match(rest):
        return None
    others = SENTENCE_END.split(text[:begin]) + SENTENCE_END.split(text[end:])
    return None if any(words(s) and not NOT_CONTENT.match(s) for s in others) else found.group().strip()


def normalise(text: str) -> str:
    """The text by which instructions are the same: casefolded, blanks collapsed, sentence marks stripped.

    Marks go at the ends of words only, symbols never: "C#", "x - 2", ".5" and "5!" stay what they are.
    """
    tokens = unicodedata.normalize("NFC", text).casefold().split()
    return " ".join(bare for t in tokens if (bare := MARKS.sub("", t.lstrip('"\u201c\u201d'))))


def bare_words(text: str) -> list[str]:
    return [t.strip(".,;:!?\"'()*_").casefold() for t in words(text)]


def prose(text: str) -> list[str]:
    """What tells a language: the parts between marks and commas, without code, formulas, links, quotations.

    Reads the first 4000 characters.
    """
    lines = (s for s in NOT_PROSE.sub(" ", text[:4000]).splitlines() if len(CODE_MARK.findall(s)) <= 0.08 * len(s))
    parts = (
        PROSE_WORD.findall(part) for line in lines for part in re.split(r"[,;:.!?]\s|\s[-\u2013\u2014]\s", line + " ")
    )
    return [" ".join(w for w in part if len(w) > 1 or not w.isascii()) for part in parts]
