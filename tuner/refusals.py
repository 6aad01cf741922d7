"""Answers that decline or only greet, and texts in which the model speaks of itself, in the languages we know.

Patterns are narrow on purpose: "I can't help with" is a refusal, "I can't come" may be the letter that was asked for.
"""

import re
from typing import Any

from tuner.texts import SENTENCE_END, words

_I = re.IGNORECASE

# What an assistant says that it cannot do.
_HELPING = (
    r"(?:help (?:you )?with|help you$|help you[.,!]|assist|provide|fulfil|comply|answer|create|generate|write|do that"
    r"|engage|support|discuss|complete|access|browse|process|perform|offer|continue|respond|translate"
    r"|give (?:you )?(?:advice|medical|legal))"
)
_CANNOT = r"(?:can't|cannot|can not|won't|will not be able to|(?: am|'m) (?:unable|not able) to|couldn't)"
_AI = r"as an ai(?: language)?(?: model| assistant| chatbot| system)?"

# A refusal opens the answer. In every language: sorry, or what I am, and then what I cannot do.
_REFUSALS = {
    "en": re.compile(
        rf"{_AI},? (?:i|my)\b|i(?:'m| am) (?:just |only )?an ai\b(?! (?:research|engineer|scien|develop|expert))"
        rf"|(?:(?:i(?:'m| am) (?:really |very |so )?sorry|sorry|i apologi[sz]e|unfortunately)[,.]? (?:but )?)?"
        rf"i ?{_CANNOT} {_HELPING}"
        r"|(?:i(?:'m| am) sorry, but )?i (?:don't|do not) have (?:personal (?:opinion|feeling|experience|belief"
        r"|preference)|the (?:ability|capability) to|access to (?:real-time|the internet|external|personal))"
        r"|i(?:'m| am) (?:so |very )?sorry for (?:any|the|your) \w+(?: or \w+)?, but (?:as an? |i(?:'m| am|'ve) "
        r"|i (?:don't|do not|can't|cannot))"
        r"|i(?:'m| am) (?:not able|unable) to (?:help|assist|provide|answer)",
        _I,
    ),
    "de": re.compile(
        r"(?:es )?tut mir (?:sehr )?leid,? (?:aber )?(?:ich (?:kann|darf)|als|das kann ich)|leider kann ich\b"
        r"[^.!?]{0,60}\bnicht\b|leider (?:kann|darf) ich (?:dir |ihnen )?(?:keine|dabei nicht|nicht)"
        r"|ich kann (?:dir |ihnen |euch )?(?:dabei |hier |damit )?(?:leider )?nicht (?:weiter)?helfen"
        r"|als (?:ein |eine )?(?:ki|k\u00fcnstliche intelligenz)\b(?!-(?:forscher|expert|entwickler|ingenieur))",
        _I,
    ),
    "es": re.compile(
        r"(?:lo siento|lo lamento|disculpa|lamentablemente)[,.]? (?:pero )?(?:no puedo|como)\b|no puedo ayudarte\b"
        r"|como (?:un |una )?(?:modelo de lenguaje|ia\b|inteligencia artificial)",
        _I,
    ),
    "fr": re.compile(
        r"(?:(?:je suis (?:vraiment )?)?d\u00e9sol\u00e9e?|malheureusement)[,.]? (?:mais )?je ne (?:peux|suis)\b"
        r"|je ne peux pas (?:vous |t')?aider\b"
        r"|en tant qu(?:e |')(?:ia\b|intelligence artificielle|mod\u00e8le de langage)",
        _I,
    ),
    "ko": re.compile(
        r"(?:(?:대단히 |정말 )?(?:죄송|미안)(?:합니다만|하지만|합니다[.,]?|해요[.,]?)"
        r"|유감(?:스럽게도|이지만)|안타깝(?:게도|지만))"
        r"[^.!?\n]{0,60}(?:수(?:는)? 없|드릴 수|어렵습니다|불가능|못합니다|못해요)"
        r"|(?:저는 )?(?:인공지능|AI)(?: 언어)?(?: ?모델| ?어시스턴트| ?챗봇)?(?:로서|이기 때문에|이므로|이라서|라서)"
        r"|도와드릴 수 없습니다|답변(?:해 |을 )?드릴 수 없습니다",
        _I,
    ),
    "ja": re.compile(
        r"(?:大変)?(?:申し訳(?:ありません|ございません|ないのですが|ないですが)|すみません|残念ながら|ごめんなさい)"
        r"[^\n]{0,60}?(?:できません|できかねます|お答えできない|お手伝いできない|致しかねます|いたしかねます)"
        r"|(?:私は)?(?:AI|人工知能)(?:言語)?(?:モデル|アシスタント)?(?:として|なので|であるため|ですので)",
        _I,
    ),
    "zh": re.compile(
        r"(?:很|非常)?(?:抱歉|对不起|遗憾)[,，。!！]?\s*(?:但是?)?我(?:无法|不能|没办法|没有能力)"
        r"|作为(?:一个|一名|一款)?(?:AI|人工智能)(?:语言)?(?:模型|助手|程序)?",
        _I,
    ),
}
_AI_REFUSAL = re.compile(
    r"as an ai(?: language model| assistant| language assistant)?, i (?:don't|do not|can't|cannot|am not|am unable)", _I
)
# In a short answer these leave no room for help that follows.
SHORT_CHARACTERS = 700
_UNABLE = re.compile(
    r"\bi(?:'m| am) (?:unable|not (?:able|equipped|capable)) (?:to (?:assist|help|provide|perform|offer)|of"
    r" (?:assisting|helping|providing|performing|offering))\b"
    r"|\bi (?:don't|do not) have the (?:ability|capability|capacity) to\b",
    _I,
)
# An answer that offers help again and again gives none. On the half of the labelled rows that is for tuning, three
# offers or more, and three in a hundred words, are in 9 of 120 answers, each with a labelled defect.
OFFERS = 3
OFFERS_PER_100_WORDS = 3.0
_OFFER = re.compile(
    r"\b(?:happy|glad|here|able|ready|delighted|eager) to (?:help|assist|support|guide|chat|offer|provide)\b"
    r"|\bi (?:can|could|will|would|may)(?: \w+ly| also| still| always)? (?:help|assist|support|guide)\b"
    r"|\bi(?:'ll| will) do my best\b|\b(?:feel free|don't hesitate) to (?:ask|reach|contact|let)\b"
    r"|\bif you (?:need|have) (?:any |more |further )?(?:\w+ )?(?:help|assistance|questions|support)\b"
    r"|\blet me know (?:if|how|what)\b|\bplease (?:provide|let|refer|share|feel)\b"
    r"|\bcan you (?:please )?(?:provide|tell|share|give)\b",
    _I,
)
_ASKS_FOR_OFFERS = re.compile(r"\b(?:write|draft|compose|e-?mail|letter|message|script|speech|reply)\b", _I)
# A short English answer that asks back, offers help or declines does nothing else. On the tuning rows, answers that end
# with a question are 8 of 9 labelled with a defect up to 80 words, 9 of 11 up to 120; those with two offers in five
# sentences 11 of 13 up to 80 words; those that decline in any sentence 15 of 15 up to 120.
ASKING_WORDS = 80
DECLINING_WORDS = 120
_LONGEST_SHORT = 12 * DECLINING_WORDS  # characters: what is longer need not be counted
OFFERING_SHARE = 0.4
PLACEHOLDERS = 3
_PLACEHOLDER_ITEM = re.compile(r"^\s*(?:\d+[.)]|[-*\u2022])\s+\[[^\]\n]+\]\s*$", re.MULTILINE)
# "How about …?" and "Shall we …?" suggest
_ENDS_ASKING = re.compile(
    r"(?:\A|(?<=[.!?\n]))(?!\W*(?:how|what) about\b)(?=\W*wh(?:at|ich)\b|[^.!?\n]*\byour?\b)[^.!?\n]*\?[^\w?]*\Z", _I
)
_OFFERING = re.compile(
    r"\b(?:happy|glad|here|able|ready|delighted|eager|like|love) to (?:help|assist|support|guide|chat|offer|provide"
    r"|know)\b|\bi (?:can|could|will|would|may)(?: \w+ly| also| still| always)? (?:help|assist|support|guide)\b"
    r"|\bi(?:'ll| will) do my best\b|\bfeel free\b|\blet me know\b|\blet's (?:chat|discuss|get started)\b"
    r"|\bwhat can i (?:help|assist)\b|\bdo you have\b",
    _I,
)
_DECLINING = re.compile(
    r"\bi(?:'m| am) (?:just |only |really |so |very )*(?:(?:a bit )?confused|unable|not (?:able|equipped|capable)"
    r"|limited)\b"
    r"|\bi(?:'m| am) (?:just |only |really |so |very )*(?:afraid|sorry)[,.]? (?:but|that|for any|i|you)\b"
    r"|\b(?:any|the) (?:confusion|misunderstanding|inconvenience)\b"
    rf"|\bi ?{_CANNOT} {_HELPING}|\bi (?:don't|do not) have (?:the|any|enough|access|personal|information)\b",
    _I,
)
# a question, an offer or an apology was asked for, or somebody's words
_ASKS_FOR_WORDS = re.compile(
    r"\b(?:questions?|quiz(?:zes)?|riddles?|jokes?|trivia|survey|slogans?|headlines?|titles?|captions?"
    r"|tweets?|ads?|advert\w*|post|story|stories|poems?|lyrics|songs?|quotes?|translat\w*|paraphras\w*|rephras\w*"
    r"|rewrit\w*|punctuat\w*|act as|you are an?|pretend|imagine)\b",
    _I,
)
# The whole answer is a greeting.
_NO_ANSWER = {
    "en": re.compile(
        r"\W*(?:(?:hi|hello|hey)\b[^.!?\n]{0,30}[.!,]?\s*)?(?:how (?:can|may) i (?:help|assist) you[^.!?\n]{0,20}\?"
        r"|i(?:'m| am) here to help[^.!?\n]{0,20}[.!])\W*",
        _I,
    ),
    "de": re.compile(
        r"\W*(?:(?:hallo|hi|guten tag)\b[^.!?\n]{0,20}[.!,]?\s*)?wie kann ich (?:dir|ihnen)[^.!?\n]{0,25}\?\W*", _I
    ),
    "ko": re.compile(r"\W*(?:안녕하세요[.!,]?\s*)?(?:무엇을|어떻게|뭘) (?:도와|도움을)[^.!?\n]{0,15}\?\W*"),
    "ja": re.compile(
        r"\W*(?:こんにちは[。！!、]?\s*)?(?:何か|どのような|どういった)[^。！？\n]{0,25}(?:ですか|でしょうか|ますか)[？?。]?\W*"
    ),
    "zh": re.compile(
        r"\W*(?:你好|您好)?[,，!！。]?\s*(?:有什么|我)(?:可以|能)[^。！？\n]{0,12}(?:帮|助)[^。！？\n]{0,6}[？?吗]+\W*"
    ),
}
# The answer may decline: a refusal, an apology or somebody's lines were asked for.
_ASKS_FOR_NO = re.compile(
    r"\b(?:declin\w*|refus\w*|apolog\w*|reject\w*|excuse|turn(?:ing)? down|say(?:ing)? no|greet\w*"
    r"|(?<=\w )(?:hello|hi)|customer|agent|bot|chatbot|robot|ai|assistant|phrase|sentence|role-?play\w*|dialogue"
    r"|conversation"
    r"|ablehn\w*|absag\w*|entschuldig\w*|dialog|gespr\u00e4ch|rechaz\w*|disculp\w*|di\u00e1logo|refuser|excus\w*)\b"
    r"|거절|사과|양해|대화|인사|고객|断|謝罪|お詫び|会話|挨拶|対話|拒绝|道歉|对话",
    _I,
)

_NAMED = (
    r"(?:chat ?gpt|gpt-?\d\w*|claude|llama(?:[ -]?\d\w*)?|qwen\w*|mistral|gemini|gemma|deepseek|smollm\w*|bard|copilot"
    r"|vicuna|alpaca|챗GPT|通义千问)"
)
_MAKER = (
    r"(?:open ?ai|anthropic|meta(?: ai)?|google(?: deepmind)?|deepmind|microsoft|alibaba(?: cloud)?|mistral(?: ai)?"
    r"|deepseek|hugging ?face|stability ai|cohere|阿里云|阿里巴巴)"
)
_BEING = (
    r"(?:ai(?:[ -](?:language )?(?:model|assistant|chatbot|system|bot|program|tool))?|artificial intelligence"
    r"|(?:large )?language model|llm|chat ?bot|(?:virtual|digital|ai-powered|automated) assistant|ai-\w+ \w+)"
)
# "As an AI researcher, I": a person
_NOT_PERSON = (
    r"(?![ -](?:research|engineer|scien|develop|expert|company|startup|student|specialist|enthusiast|consultant|ethic"
    r"|team|project|product|platform|business|trainer|artist|professional|\w*ist\b))(?![\w-])"
)
_SELF = {
    "en": re.compile(
        rf"\bas an? (?:[\w-]+ ){{0,4}}?(?:{_BEING}|{_NAMED}){_NOT_PERSON}"
        rf"|\b(?:i'm|i am|i was)(?: not| just| only| also| actually| simply| currently)*,? (?:an? )?(?:[\w-]+ ){{0,3}}?"
        rf"(?:{_BEING}|{_NAMED}){_NOT_PERSON}"
        r"|\bmy (?:knowledge cut-?off|training data|last (?:knowledge )?update)\b"
        r"|\bas of my (?:last|latest|knowledge)\b"
        r"|\bmy name is (?:chat ?gpt|claude|llama|qwen|smollm)\w*",
        _I,
    ),
    "de": re.compile(
        r"\bich bin (?:nur |lediglich |auch )?(?:ein |eine )?(?:\w+ )?(?:ki(?:-\w+)?|k\u00fcnstliche intelligenz"
        rf"|(?:gro\u00dfes )?sprachmodell|chatbot|virtueller assistent|{_NAMED})\b"
        r"|\bals (?:ein |eine )?(?:ki-(?:sprachmodell|modell|assistent\w*)|ki|sprachmodell"
        r"|k\u00fcnstliche intelligenz)(?= (?:kann|habe|bin|darf|wei\u00df|besitze)\b|,)"
        r"|\bmein wissensstand\b|\bstand meines wissens\b",
        _I,
    ),
    "es": re.compile(
        rf"\b(?:soy|como) (?:un |una )?(?:modelo de lenguaje|ia\b|inteligencia artificial|asistente virtual"
        rf"|chatbot|{_NAMED})",
        _I,
    ),
    "fr": re.compile(
        r"\b(?:je suis|en tant qu(?:e |')) ?(?:un |une )?(?:mod\u00e8le de langage|ia\b|intelligence artificielle"
        rf"|assistant virtuel|chatbot|{_NAMED})",
        _I,
    ),
    "ko": re.compile(
        rf"(?:저는|나는|제가) (?:[^.!?\n]{{0,15}} )?(?:(?:AI|인공지능)(?: 언어)?(?: ?모델| ?어시스턴트| ?챗봇"
        rf"| ?비서)?|언어 ?모델|챗봇|{_NAMED})(?:입니다|이에요|예요|이며|이고|로서|이기|이므로|이라|라서)"
        r"|(?:AI|인공지능) ?(?:언어 ?)?(?:모델|어시스턴트|챗봇)로서|제 (?:학습 데이터|지식)[은는이가]",
        _I,
    ),
    "ja": re.compile(
        rf"(?:私|わたし|僕)は、?[^。\n]{{0,15}}(?:AI|人工知能|言語モデル|チャットボット|{_NAMED})[^。\n]{{0,12}}(?:です|であり|なので|として)"
        r"|(?:AI|人工知能|大規模言語モデル|言語モデル|AI言語モデル|AIアシスタント)として、",
        _I,
    ),
    "zh": re.compile(
        rf"我(?:只)?是(?:一个|一名|一款)?[^。\n]{{0,8}}(?:AI|人工智能|语言模型|聊天机器人|{_NAMED})|作为(?:一个|一名|一款)?(?:AI|人工智能|语言模型)",
        _I,
    ),
}
_MADE_BY = re.compile(
    r"\b(?:(?:developed|trained|created|built|made|designed) by"
    r"|entwickelt von|desarrollado por|d\u00e9velopp\u00e9 par)"
    rf" {_MAKER}\b|\bvon {_MAKER} (?:entwickelt|trainiert)"
    rf"|{_MAKER}(?:에서|가|이|社|が|によって|에 의해)\s?"
    r"(?:개발|만든|만들|훈련|학습|開発|訓練|トレーニング|作)"
    rf"|由{_MAKER}(?:开发|训练)|\bknowledge cut-?off\b|\bas of my last (?:knowledge )?update\b",
    _I,
)
_ABOUT_AI = re.compile(
    rf"\b(?:a\.i\.|artificial intelligence|chat ?bots?|language models?|llms?|neural|gpt\S*|{_NAMED}|{_MAKER}"
    r"|assistants?|robots?|bots?|machine learning|deep learning|siri|alexa|turing|who (?:are|made|created|trained) you"
    r"|what are you"
    r"|your name|are you (?:an?|human|real)|knowledge cut-?off|ki|k\u00fcnstliche\w* intelligenz|sprachmodell\w*"
    r"|wer bist du|ia|inteligencia artificial|intelligence artificielle)\b"
    r"|(?<![A-Za-z])AI(?![A-Za-z-])|인공지능|챗봇|언어 ?모델|로봇"
    r"|누구(?:세요|야|입니까)|당신은|너는|人工知能|言語モデル|チャットボット|あなたは|人工智能|语言模型|你是",
    _I,
)
_PLAYS = re.compile(
    r"\b(?:act|pretend|imagine|role-?play\w*|behave|simulate|suppose|write|story|character|you are|you're|as if"
    r"|dialogue|stell dir vor|schreib\w*|imagina|escribe)\b|역할|상상|써 ?줘|작성|演じ|想像|書いて|扮演|假设",
    _I,
)


# One of these stands in every English text that `_SELF` or `_MADE_BY` finds; few texts hold one.
_HINTS = (
    " ai,-ai,artificial,language model,llm,chatbot,chat bot,assistant,gpt,claude,llama,qwen,mistral,gemini,gemma"
    ",deepseek,smollm,bard,copilot,vicuna,alpaca,my knowledge,my training,my last,my latest,cutoff,cut-off,by meta"
    ",by google,by deepmind,by microsoft,by alibaba,by hugging,by stability,by cohere,by anthropic,by open"
    ",last update,last knowledge"
).split(",")
_UNABLE_HINTS = ("unable", "not able", "not equipped", "not capable", "have the")
_OFFER_HINTS = "help,assist,support,guide,chat,offer,provide,do my best,feel free,hesitate,let me know,please,can you"
_OFFER_HINTS = (*_OFFER_HINTS.split(","), "if you need", "if you have")


def _chosen(patterns: dict[str, re.Pattern], language: str | None) -> list[re.Pattern]:
    return list(patterns.values()) if language is None else [patterns[language]] if language in patterns else []


def refusal(row: dict, settings: Any, memory: Any) -> dict | None:
    """A response that declines or only greets: "As an AI language model, I", "I'm sorry, but I can't help".

    At its start (the plainest English forms anywhere in an answer of up to 700 characters), only for what an
    assistant does, and not if the instruction asks for a refusal, an apology or somebody's lines. In English also
    an answer that offers help three times or more, and three times in a hundred words. In the language
    `language`, of en, de, es, fr, ko, ja and zh; None looks for all of them.
    """
    asked, text = row["instruction"], row["response"].strip().replace("\u2019", "'")
    lower, found = text.lower(), None
    for pattern in _chosen(_REFUSALS, settings.language):
        found = found or pattern.match(text)
    for pattern in _chosen(_NO_ANSWER, settings.language):
        found = found or pattern.fullmatch(text[:200])
    if not found and settings.language in ("en", None):
        found = ("as an ai" in lower and _AI_REFUSAL.search(text)) or (
            len(text) <= SHORT_CHARACTERS and any(hint in lower for hint in _UNABLE_HINTS) and _UNABLE.search(text)
        )
    if found and not _ASKS_FOR_NO.search(asked):
        return {"phrase": found.group().strip()[:80]}
    if settings.language not in ("en", None) or _ASKS_FOR_NO.search(asked) or _ASKS_FOR_OFFERS.search(asked):
        return None
    if sum(map(lower.count, _OFFER_HINTS)) >= OFFERS and len(offers := _OFFER.findall(text)) >= OFFERS:
        often = 100 * len(offers) / len(words(text))
        if often >= OFFERS_PER_100_WORDS:
            return {"offers": len(offers), "per_100_words": round(often, 2)}
    return _nothing_else(row, text) if len(text) <= _LONGEST_SHORT else None


def _nothing_else(row: dict, text: str) -> dict | None:
    count = len(words(text))
    if count > DECLINING_WORDS or "```" in text or _ASKS_FOR_WORDS.search(row["instruction"]):
        return None
    if "[" in text and len(items := _PLACEHOLDER_ITEM.findall(text)) >= PLACEHOLDERS:
        return {"placeholders": len(items)}
    if found := _DECLINING.search(text):
        return {"declines": found.group().strip()[:80]}
    if count > ASKING_WORDS:
        return None
    if row.get("response_finish", "stop") == "stop" and (found := _ENDS_ASKING.search(text)):
        return {"asks_back": found.group().strip()[-80:]}
    sentences = [sentence for sentence in SENTENCE_END.split(text) if words(sentence)]
    offering = sum(1 for sentence in sentences if _OFFERING.search(sentence))
    share = offering / len(sentences) if sentences else 0
    return {"offering_share": round(share, 4)} if share >= OFFERING_SHARE else None


def identity(row: dict, settings: Any, memory: Any) -> dict | None:
    """Either text says that its writer is a model, or who made it: a student would learn that it is somebody else.

    "I'm an AI assistant", "As a SmolLM, I", "developed by OpenAI", "as of my last update". A response is left
    alone where the instruction asks about AI or about the assistant; an instruction, where it sets a scene.
    """
    for side in ("response", "instruction"):
        text = row[side].replace("\u2019", "'")
        lower = text.lower()
        if settings.language == "en" and not any(hint in lower for hint in _HINTS):
            continue
        found = None
        for pattern in _chosen(_SELF, settings.language):
            found = found or pattern.search(text)
        found = found or _MADE_BY.search(text)
        about = _ABOUT_AI if side == "response" else _PLAYS
        if found and not about.search(row["instruction"]):
            return {side: found.group().strip()[:80]}
    return None
