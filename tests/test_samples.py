"""The replies side by side: chosen without a look at them, and shown so that none breaks the page."""

import copy

import pytest
from markdown_it import MarkdownIt

from tuner import samples
from tuner.metrics import AGENT_AXES
from tuner.report_phrases import PHRASES

NASTY = {
    "fences": "```python\nprint(1)\n```\n\n# A heading\n\n~~~\n````text\n`````",
    "an open fence": "```\n\n| a | b |\n|--|--|\n| 1 | 2 |",
    "html": "<script>alert(1)</script>\n\n<details><summary>x</summary>\n\n<!-- never closed",
    "a table row": "a | b | c\n\n| --- |",
    "headings": "# one\n\ntwo\n===\n\n---\n\n### `lora` \N{EM DASH} right",
    "line ends": "one\r\ntwo\rthree\u2028four\u2029five\x0bsix\x85seven",
    "control characters": "\x1b[31mred\x00 \u202egnorw\u202c \ud800",
    "links": "![x](javascript:alert(1)) [y]: http://z\n\n[y]",
    "indented": "    code\n\tcode\n        more",
    "backticks at the end": "the end `",
    "only marks": "`" * 40,
    "long": "word " * 200,
    "long word": "x" * 500,
    "many lines": "\n".join("abcdefghijklmnopqrstuvwxyz"),
    "korean": "안녕하세요. 만나서 반갑습니다. 👩‍👩‍👧 ok",
    "empty": "",
    "blank": " \n\t\n ",
}


def row(suite: str, axis: str, number: int, reply: str = "A reply.", **more) -> dict:
    return {
        "id": f"{suite}-{axis}-{number}",
        "suite": suite,
        "axis": axis,
        "messages": [{"role": "user", "content": f"Question {number} of {axis}?"}],
        "reference": {},
        "reply": reply,
        "correct": number % 2 == 0,
        "valid_format": True,
    } | more


def made(*methods: str, reply: str = "A reply.") -> dict[str, list[dict]]:
    rows = [row("instruction_following", f"family_{n % 19}", n, reply) for n in range(57)]
    rows += [row("agent", axis, n, reply) for axis in AGENT_AXES for n in range(8)]
    rows += [{"id": "loss-1", "suite": "loss", "axis": "loss", "nll": 1.0, "tokens": 2}]
    return {method: copy.deepcopy(rows) for method in ("base", *methods)}


def blocks(page: str) -> list:
    return MarkdownIt("commonmark").enable("table").parse(page)


def headings(page: str) -> list[str]:
    tokens = blocks(page)
    return [after.content for one, after in zip(tokens, tokens[1:], strict=False) if one.type == "heading_open"]


def test_items_are_chosen_by_seed_and_not_by_outcome():
    rows = made()["base"]
    ids = {suite: samples.chosen(rows, suite, 0) for suite in samples.SUITES}
    for found in ids.values():
        assert len(set(found)) == samples.PER_SUITE
    assert len({name.rsplit("-", 1)[0] for found in ids.values() for name in found}) == 2 * samples.PER_SUITE
    other = [one | {"reply": "Else.", "correct": not one.get("correct")} for one in reversed(rows)]
    for suite, found in ids.items():
        assert samples.chosen(other, suite, 0) == found
        assert len({tuple(samples.chosen(rows, suite, seed)) for seed in range(10)}) > 5


def test_a_suite_of_few_axes_or_items_gives_what_it_has():
    rows = [row("agent", axis, n) for axis in ("planning", "context") for n in range(5)]
    found = samples.chosen(rows, "agent", 0)
    assert sorted(name.split("-")[1] for name in found) == ["context", "context", "planning", "planning"]
    assert samples.chosen(rows[:2], "agent", 0) != []
    assert len(samples.chosen(rows[:2], "agent", 0)) == 2


def test_every_method_answers_every_prompt_with_its_verdict():
    items = made("lora", "dpo")
    for one in items["dpo"]:
        one |= {"correct": False, "valid_format": False}
    page = samples.page("en", items, 3)
    ids = [name for suite in samples.SUITES for name in samples.chosen(items["base"], suite, 3)]
    found = headings(page)
    assert len(found) == 1 + len(ids) * 4
    by_id = {one["id"]: one for one in items["base"]}
    for number, name in enumerate(ids):
        title, *answers = found[1 + 4 * number : 5 + 4 * number]
        assert title.startswith(f"{number + 1}. ")
        verdict = "right" if by_id[name]["correct"] else "wrong"
        assert answers[:2] == [f"`base` \N{EM DASH} {verdict}", f"`lora` \N{EM DASH} {verdict}"]
        assert answers[2].startswith("`dpo` \N{EM DASH} wrong: ")
        assert f"| {title} | {verdict} | {verdict} | wrong |" in page
        assert by_id[name]["messages"][0]["content"] in page


@pytest.mark.parametrize("language", PHRASES)
@pytest.mark.parametrize("name", NASTY)
def test_no_reply_breaks_the_page(language, name):
    plain, nasty = made("lora"), made("lora", reply=NASTY[name])
    page = samples.page(language, nasty, 0)
    page.encode("utf-8")
    assert headings(page) == headings(samples.page(language, plain, 0))
    tokens = blocks(page)
    assert not [token.type for token in tokens if "html" in token.type]
    assert not [one for token in tokens for one in token.children or () if one.type in ("html_inline", "image", "link")]
    assert sum(token.type == "table_open" for token in tokens) == 1
    asked = sum(token.type == "fence" and "Question" in token.content for token in tokens)
    answered = sum(token.type == "fence" for token in tokens) - asked
    assert asked == 2 * samples.PER_SUITE
    assert answered == (0 if name in ("empty", "blank") else 2 * asked)
    assert not [one for one in page if one != "\n" and one != "\t" and not one.isprintable() and one not in "\u200d"]


@pytest.mark.parametrize("name", [name for name in NASTY if name not in ("empty", "blank", "long", "many lines")])
def test_a_reply_is_shown_as_it_is_but_for_line_breaks(name):
    (fence,) = (token for token in blocks(samples.fenced(samples.clean(NASTY[name]))) if token.type == "fence")
    shown = [line for line in fence.content.split("\n") if line]
    assert max(map(len, shown)) <= samples.LINE_CHARACTERS
    assert "".join(fence.content.split()) == "".join(samples.clean(NASTY[name]).split())
    assert shown[0].startswith("    code") or name != "indented"


def test_long_replies_are_cut_with_a_mark_that_counts():
    for reply, left in (("y" * 700, 100), ("\n".join("z" * 1 for _ in range(20)), 10), ("y" * 600, 0)):
        page = samples.page("en", made(reply=reply), 0)
        assert page.count("(cut here; left out: ") == (2 * samples.PER_SUITE if left else 0)
        assert not left or f"*(cut here; left out: {left} characters)*" in page
        assert f"*(여기서 자름, 생략: {left}자)*" in samples.page("ko", made(reply=reply), 0) or not left


def test_a_second_answer_a_solution_and_a_given_turn_are_shown():
    items = made("lora")
    for rows in items.values():
        for one in rows:
            if one["suite"] == "agent":
                one["messages"].insert(0, {"role": "assistant", "content": "Good to know."})
                one |= {"second_reply": "Again.", "message": "That is not 188.", "reference": {"solution": "188"}}
    page = samples.page("en", items, 0)
    assert page.count("Second answer") == page.count("\nAgain.\n") == 2 * samples.PER_SUITE
    assert page.count("A right answer:\n\n```text\n188\n```") == samples.PER_SUITE
    assert page.count("Assistant (given):\n\n```text\nGood to know.\n```") == samples.PER_SUITE


def test_the_same_rows_give_the_same_page_in_any_order():
    items = made("lora")
    page = samples.page("en", items, 0)
    assert samples.page("en", {method: rows[::-1] for method, rows in items.items()}, 0) == page
    assert samples.page("en", items, 1) != page


def test_missing_or_other_items_are_refused():
    items = made("lora")
    (name, *_) = samples.chosen(items["base"], "agent", 0)
    items["lora"] = [one for one in items["lora"] if one["id"] != name]
    with pytest.raises(ValueError, match=f"'{name}' is missing for method 'lora'"):
        samples.page("en", items, 0)
    items = made("lora")
    next(one for one in items["lora"] if one["id"] == name)["messages"] = []
    with pytest.raises(ValueError, match="method 'lora' was given another prompt"):
        samples.page("en", items, 0)
    with pytest.raises(ValueError, match="no items of agent"):
        samples.page("en", {"base": [one for one in made()["base"] if one["suite"] != "agent"]}, 0)
