"""What `instructions.py` recognises in English: requests, openings of answers, references to a text that is missing.

Where each is looked for and when it does not count is said there.
"""

import re

from tuner.texts import SENTENCE_END, words

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
    r")\b"
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

EDITING = re.compile(
    r"\b(?:correct|fix|rewrite|rephrase|proofread|edit|repeat|paraphrase|convert|punctuate|capitali[sz]e"
    r"|change|replace|copy"
    r"|add|remove|insert|complete|improve|refactor|debug|translate|format|sort|fill)\b",
    re.IGNORECASE,
)


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
