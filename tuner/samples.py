"""The same prompts answered by the base and by every method, as a Markdown page that no reply can break."""

import re
import textwrap
import unicodedata
from collections.abc import Mapping

from tuner.report_phrases import PHRASES
from tuner.seeds import row_seed

SUITES = ("instruction_following", "agent")  # those with a reply to read
PER_SUITE = 4
MAX_CHARACTERS, MAX_LINES, LINE_CHARACTERS = 600, 15, 110  # of a shown text; the wrapping is not counted as lines

# What a page must not be given: control characters, halves of surrogate pairs, separators that some programs take for
# line ends, and marks that reverse the direction of the text after them.
_UNSHOWN = {"Cc", "Cs", "Zl", "Zp"}
_BIDIRECTIONAL = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def page(language: str, items: Mapping[str, list[dict]], seed: int) -> str:
    """Return the page from each method's rows of ``evaluate.rows``; every method answered the same items.

    Of several seeds the first one answers.

    Raises ValueError for a suite without items, an item that a method lacks, or one with another prompt.
    """
    words = PHRASES[language]
    rows = {method: {row["id"]: row for row in found if not row.get("seed")} for method, found in items.items()}
    base = next(iter(rows.values()))
    shown = [name for suite in SUITES for name in chosen(list(base.values()), suite, seed)]
    for method, found in rows.items():
        for name in shown:
            if name not in found:
                raise ValueError(f"item {name!r} is missing for method {method!r}")
            if found[name]["messages"] != base[name]["messages"]:
                raise ValueError(f"item {name!r}: method {method!r} was given another prompt")
    table = [f"| {words['prompt']} | " + " | ".join(f"`{method}`" for method in rows) + " |"]
    table.append("|:--" + "|:-:" * len(rows) + "|")
    parts = []
    for number, name in enumerate(shown, 1):
        title = _title(words, number, base[name])
        verdicts = [words["right" if found[name]["correct"] else "wrong"] for found in rows.values()]
        table.append(f"| {title} | " + " | ".join(verdicts) + " |")
        parts += [f"## {title}", words["item"].format(item=name), *_asked(words, base[name])]
        for method, found in rows.items():
            parts += _answered(words, method, found[name])
    about = words["samples_about"].format(prompts=len(shown), seed=seed)
    return "\n\n".join([f"# {words['samples_title']}", about, "\n".join(table), *parts]) + "\n"


def chosen(rows: list[dict], suite: str, seed: int) -> list[str]:
    """Return PER_SUITE ids of a suite, one an axis as far as there are axes: by seed, id and axis, not by outcome."""
    drawn = sorted((row for row in rows if row["suite"] == suite), key=lambda row: row_seed(seed, "samples", row["id"]))
    if not drawn:
        raise ValueError(f"no items of {suite} to show")
    seen: dict[str, int] = {}
    turns = []
    for row in drawn:
        turns.append(seen.get(row["axis"], 0))
        seen[row["axis"]] = turns[-1] + 1
    in_turn = sorted(zip(turns, range(len(drawn)), drawn, strict=True), key=lambda entry: entry[:2])
    return [row["id"] for _, _, row in in_turn[:PER_SUITE]]


def fenced(text: str) -> str:
    """Return a text as a code block: wrapped, and between fences longer than any run of backticks in it."""
    wrapped = "\n".join(part for line in text.split("\n") for part in _wrapped(line))
    longest = max((len(run) for run in re.findall("`+", wrapped)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{wrapped}\n{fence}"


def _wrapped(line: str) -> list[str]:
    """Return a line in parts of at most LINE_CHARACTERS; its indentation stays, since code can have one."""
    first, *others = textwrap.wrap(
        line,
        LINE_CHARACTERS,
        expand_tabs=False,
        replace_whitespace=False,
        drop_whitespace=False,
        break_on_hyphens=False,
    ) or [""]
    return [first.rstrip(), *(part.strip() for part in others)]


def clean(text: str) -> str:
    """Return a text with plain line ends, and a replacement character for each that a page must not be given."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if (unicodedata.category(one) in _UNSHOWN and one not in "\n\t") or one in _BIDIRECTIONAL
        else one
        for one in text
    )


def _title(words: Mapping[str, str], number: int, row: dict) -> str:
    # an axis of instruction following is the name of a constraint, which is the same in every language
    axis = words[f"agent_{row['axis']}"] if row["suite"] == "agent" else f"`{row['axis']}`"
    return words["prompt_heading"].format(number=number, suite=words[row["suite"]], axis=axis)


def _asked(words: Mapping[str, str], row: dict) -> list[str]:
    parts = []
    for message in row["messages"]:
        # a prompt is shown whole: without its end nobody could tell what was asked
        parts += [words[f"role_{message['role']}"], fenced(clean(message["content"]))]
    if solution := row["reference"].get("solution"):
        parts += [words["solution"], fenced(clean(solution))]
    return parts


def _answered(words: Mapping[str, str], method: str, row: dict) -> list[str]:
    verdict = "right" if row["correct"] else "wrong" if row["valid_format"] else "wrong_form"
    heading = words["answer"].format(method=f"`{method}`", verdict=words[verdict])
    parts = [f"### {heading}", *_reply(words, row["reply"])]
    if "second_reply" in row:
        told = [words["told"], fenced(clean(row["message"]))] if "message" in row else []
        parts += [*told, words["second"], *_reply(words, row["second_reply"])]
    return parts


def _reply(words: Mapping[str, str], text: str) -> list[str]:
    text = clean(text)
    if not text.strip():
        return [f"*{words['empty']}*"]
    kept = "\n".join(text.split("\n")[:MAX_LINES])[:MAX_CHARACTERS]
    left = len(text) - len(kept)
    # behind the block, where no reply can write the same words
    return [fenced(kept), *([f"*{words['cut'].format(characters=f'{left:,}')}*"] if left else [])]
