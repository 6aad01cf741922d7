"""Rules on what was asked: template leaks, instructions that are none, and things a text model cannot see."""

import re
from typing import Any

from tuner import phrases
from tuner.texts import FENCE, SENTENCE_END, words

_ROLES = ("user", "assistant", "human", "system")
TITLE_WORDS = 12
STATEMENT_WORDS = 20
LIST_LINES = 3
ARTICLE_WORDS = 40
# a line of its own that greets somebody by name
_LETTER = re.compile(
    r"\W*(?i:hey|hi|hello|dear|good (?:morning|afternoon|evening))[ ,]+"
    r"(?!(?i:chat|gpt|ai\b|assistant|claude|bot|there))"
    r"(?:(?:[A-Z][\w'-]*\.? ?){1,3}|everyone|all|team|friends)[,!.:]*[ ]*\n"
)
# "Q: … A:" asks the question and leaves the place for its answer
_ANSWER_MARK = re.compile(r"^(?:a|answer)\s*:\Z", re.IGNORECASE | re.MULTILINE)
# A prompt about a chat instead of a turn of it: somebody else is "the user"
_ABOUT_USER = re.compile(
    r"^the user ?:|\bthe user(?:'s (?:request|query|question|message|prompt)\b|"
    r" (?:has asked|asks|is asking|wants|wanted|requested)\b)",
    re.IGNORECASE | re.MULTILINE,
)
_HOW_TO = re.compile(r"\W*how to\b", re.IGNORECASE)
_LIST_ITEM = re.compile(r"\s*(?:\d+[.)]|[-*\u2022])\s")

# A picture, recording or file that the instruction points to and that a row of text cannot hold.
_SEEN = (
    r"(?:images?|pictures?|photos?|photographs?|screenshots?|illustrations?|infographics?|videos?|clips?|audios?"
    r"|audio (?:file|clip)|recordings?|voice (?:message|note)|attachments?|pdfs?|scans?|links?|urls?)"
)
_FILE = r"(?:files?|documents?|spreadsheets?|csv|dataset|slides?|presentation)"
_MODALITY = {
    "en": re.compile(
        rf"\b(?:the|this|that|these|my|our|your)\s+(?:attached|uploaded|enclosed|above|following|below|given)\s+"
        rf"(?:\w+\s+)?{_SEEN}\b"
        rf"|\b(?:the|this|these|my)\s+(?:attached|uploaded|enclosed)\s+(?:\w+\s+)?{_FILE}\b"
        rf"|\b(?:the|this|that|these|my|an?)\s+(?:\w+\s+){{0,2}}?(?:{_SEEN}|{_FILE})\s+(?:(?:is|are|was|were|that|which)\s+)?"
        r"(?:(?:i|we)(?:'ve| have)?\s+)?(?:just\s+)?(?:attached|uploaded|enclosed|sent you|shared with you)\b"
        rf"|\b(?:the|this|that|these)\s+(?:\w+\s+){{0,2}}?{_SEEN}\s+(?:(?:is|are)\s+)?(?:(?:shown|given|provided|listed)\s+)?"
        r"(?:below|above)\b"
        rf"|\b(?:describe|analy[sz]e|explain|identify|caption|transcribe|summari[sz]e|interpret|watch|listen to|look at"
        r"|what(?:'s| is| are| do you see)(?: \w+){0,3} (?:in|on)|who(?:'s| is| are) in)"
        rf"\s+(?:this|these|the following)\s+{_SEEN}\b(?! (?:of|from|by|called|titled|in which|about))"
        r"|\b(?:draw(?: me)?|paint(?: me)?|generate|show me|send me)\s+an?\s+(?:\w+\s+){0,2}?"
        r"(?:image|picture|photo|photograph|drawing|painting|illustration)\s+of\b",
        re.IGNORECASE,
    ),
    "de": re.compile(
        r"\b(?:das|dieses|den|die|dem|der|im|meine?)\s+(?:angeh\u00e4ngte|beigef\u00fcgte|hochgeladene|obige)[nms]?\s+\w+"
        r"|\b(?:auf|in|zu|aus) (?:diesem|dem obigen) (?:bild|foto|video|screenshot)\b"
        r"|\b(?:das|dieses|folgende) (?:bild|foto|video|audio)\b[^.?!]{0,20}\b(?:oben|unten|im anhang)\b"
        r"|\bbeschreibe? (?:mir )?(?:dieses|das folgende) (?:bild|foto|video)\b",
        re.IGNORECASE,
    ),
    "ko": re.compile(
        r"(?:첨부(?:된|한|하신|파일의)|업로드(?:된|한)|(?:위|아래|다음)(?:의|에 있는)?)\s*"
        r"(?:이미지|사진|그림|파일|영상|동영상|비디오|오디오|음성|링크|문서|스크린샷)"
        r"|이 (?:이미지|사진|영상|동영상|오디오|스크린샷)(?:을|를|에|은|는|이|가|의| ?속)"
    ),
    "ja": re.compile(
        r"添付(?:の|した|された|ファイル)(?:画像|写真|ファイル|動画|音声|資料|リンク)?"
        r"|(?:上|下|次|以下)の(?:画像|写真|動画|音声|リンク|スクリーンショット)"
        r"|この(?:画像|写真|動画|音声|スクリーンショット)(?:を|に|の|は|が|で)"
    ),
    "zh": re.compile(
        r"(?:附件(?:中|里)?的?|上传的|(?:上|下)(?:面|方|图)的?|这(?:张|幅|个|段))(?:图片|照片|图像|视频|音频|截图|链接|文件)"
    ),
}
# One of these stands in every English instruction that the pattern finds; few hold one.
_MODALITY_HINTS = (
    "image,picture,photo,screenshot,illustration,infographic,video,clip,audio,recording,voice,attach,pdf,scan,link,url"
    ",file,document,spreadsheet,csv,dataset,slide,presentation,drawing,painting"
).split(",")
# The instruction is about handling such things, or asks for code or words that make one.
_HANDLES = re.compile(
    r"https?://|www\.|```|\bhow (?:do|can|would|should|to|does)\b|\b(?:python|javascript|html|css|svg|ascii|latex"
    r"|turtle|script|code|function|api|matplotlib|prompt|opencv|words|regex|excel|outlook|gmail|app)\b"
    r"|방법|코드|프롬프트|어떻게|方法|コード|プロンプト|如何|怎么|代码"
    r"|\bwie (?:kann|f\u00fcge|h\u00e4nge|\u00f6ffne|lade)\b",
    re.IGNORECASE,
)


def template_leak(row: dict, settings: Any, memory: Any) -> dict | None:
    """A piece of a chat template in either text: a special token, `<|…|>`, `[INST]`, "User:" opening a line.

    Special tokens count even where they may be meant (`git add <filename>`, for SmolLM2): the tokenizer would
    make control tokens of them. Role names do not count in fenced code or if a dialogue was asked for.
    """
    for side in ("instruction", "response"):
        text = row[side]
        lower = text.lower()
        found = next((token for token in memory.special_tokens if token in text), None)
        if not found and ("<" in text or "[" in text or "#" in text or lower.startswith(_ROLES)):
            found = (header := phrases.HEADER.search(text)) and header.group()
        if not found and any(role in lower for role in _ROLES):
            role = phrases.ROLE.search(FENCE.sub("", text) if "```" in text else text)
            found = role and not phrases.DIALOGUE.search(row["instruction"]) and role.group()
        if found:
            return {side: found.strip()}
    return None


def incomplete_instruction(row: dict, settings: Any, memory: Any) -> dict | None:
    """An instruction that asks nothing, stops in the middle, or points to a text that is not there.

    Measured is {rule: the words that broke it}: `answer_opening`, `unfinished` (magpie's notebook drops a
    final ":"), `about_user` (a prompt about a chat), `missing_reference` (Self-Instruct's black list,
    narrowed); and, for language "en" alone
    because they look for English verbs, `title`, `list` (of three items or more and nothing else),
    `letter` (to somebody with a name, and without a question) and `statement`
    (two sentences or more that address nobody, or that follow "How to …" without a question: an article).
    """
    text = row["instruction"].strip().replace("\u2019", "'")
    english = settings.language in ("en", None)
    if english and (found := phrases.ANSWER_OPENING.match(text)):
        return {"answer_opening": found.group().strip()}
    cut = row.get("instruction_finish") == "length"  # what was cut has no end; that is for `truncated` to say
    answer_place = _ANSWER_MARK.search(text)
    end = None if cut or answer_place else phrases.UNFINISHED.search(text[-20:].rstrip("*_ \"'"))
    if end or (text.count("```") % 2 and not cut):
        return {"unfinished": end.group().strip() if end else "```"}
    if english and "```" not in text and (found := _ABOUT_USER.search(text)):
        return {"about_user": found.group().strip()}
    missing = phrases.missing_reference(text) if english else None
    if missing and "?" not in text[text.find(missing) :].partition("\n")[2]:  # a question on lines below is there
        return {"missing_reference": missing}
    if settings.language != "en" or "```" in text:
        return None
    if "?" not in text and len(words(text)) >= STATEMENT_WORDS and (found := _LETTER.match(text)):
        return {"letter": found.group().strip()}
    how_to = "?" not in text and len(words(text)) >= ARTICLE_WORDS and _HOW_TO.match(text)
    if phrases.REQUEST.search(text) and not how_to:
        return None
    if found := phrases.HERE_IS.match(text):
        return {"answer_opening": found.group().strip()}
    tokens = [t for t in words(text.removeprefix("Title:").strip("*# ")) if not phrases.SMALL_WORD.fullmatch(t)]
    capital = all(t.lstrip("\"'(")[:1].isupper() or t.isdigit() for t in tokens)
    short = 1 < len(tokens) <= TITLE_WORDS and "\n" not in text and text[-1:] not in ".!"
    if short and (capital or re.match("#+ ", text)):
        return {"title": text.strip("*# ")[:80]}
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) >= LIST_LINES and all(_LIST_ITEM.match(line) for line in lines):
        return {"list": lines[0].strip()[:80]}
    sentences = [s for s in SENTENCE_END.split(text) if len(s) > 2 and s[-1] in ".!"]
    if len(sentences) >= 2 and len(words(text)) >= STATEMENT_WORDS:
        return {"statement": sentences[0][:80]}
    return None


def modality(row: dict, settings: Any, memory: Any) -> dict | None:
    """An instruction about an image, file, recording or link that is not there, or for a picture to be drawn.

    Self-Instruct's black list, narrowed: the thing must be pointed to ("the image above", "the attached file"), and
    the request must not be about handling such things ("How do I open an attached file in Outlook?") or for code.
    In the language `language`, of en, de, ko, ja and zh; None looks for all of them.
    """
    text = row["instruction"].replace("\u2019", "'")
    lower = text.lower()
    if settings.language == "en" and not any(hint in lower for hint in _MODALITY_HINTS):
        return None
    patterns = _MODALITY if settings.language is None else {settings.language: _MODALITY.get(settings.language)}
    for pattern in patterns.values():
        if pattern and (found := pattern.search(text)) and not _HANDLES.search(text):
            return {"instruction": found.group().strip()[:80]}
    return None
