from pathlib import Path

import pytest
from template_families import CHATML, FAMILIES, Family

from tuner import model, template
from tuner.errors import UserError

TEMPLATES = Path(__file__).with_name("templates")
PAD = "<|test_pad|>"

# The text of a turn in most tests: what templates escape, fold or re-case.
WORDS = 'Is 2 < 3 & "é" > 1?\n\nIt\'s NOT [a] test.'
SYSTEM = {"role": "system", "content": "Be brief."}
TURNS = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


def user(text: str) -> dict:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict:
    return {"role": "assistant", "content": text}


# They show the system message only in a user turn that comes last: not once it is answered.
FORGETFUL = {"mistral-v3", "mistral-nemo"}
EACH = pytest.mark.parametrize("name", FAMILIES)


def bytes_tokenizer(chat_template, control, bos=None, eos=None, pad=PAD, merges=(), prefix_space=False, plain=()):
    """Return a tokenizer of bytes, control tokens and what `merges` make; like many, it adds BOS when not told."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *map("".join, merges)]
    core = Tokenizer(models.BPE({word: number for number, word in enumerate(words)}, list(merges)))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space, use_regex=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([*control, PAD])
    core.add_tokens([AddedToken(token, special=False) for token in plain])
    if bos:
        core.post_processor = processors.TemplateProcessing(f"{bos} $A", special_tokens=[(bos, core.token_to_id(bos))])
    fast = PreTrainedTokenizerFast(tokenizer_object=core, bos_token=bos, eos_token=eos, pad_token=pad)
    fast.chat_template = chat_template
    return fast


def family_tokenizer(name: str, **changes):
    family = FAMILIES[name]
    settings = {"control": family.control.split(), "bos": family.bos, "eos": family.eos, **changes}
    return bytes_tokenizer((TEMPLATES / f"{name}.jinja").read_text(), **settings)


def ids_of(tokenizer, text: str) -> list[int]:
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert tokenizer.decode(ids) == text
    return ids


def supported(family: Family) -> list[dict]:
    return [SYSTEM] if family.system else []


@EACH
def test_the_pre_query_prefix_is_what_the_family_puts_before_a_first_request(name):
    tokenizer = family_tokenizer(name)
    assert template.pre_query_ids(tokenizer) == ids_of(tokenizer, FAMILIES[name].first)


@EACH
def test_the_prefix_of_a_later_request_holds_the_system_message_and_the_turns_before(name):
    family, tokenizer = FAMILIES[name], family_tokenizer(name)
    asked = [*supported(family), *TURNS]
    assert template.pre_query_ids(tokenizer, asked) == ids_of(tokenizer, family.later)
    if family.system:
        assert template.pre_query_ids(tokenizer, [SYSTEM]) == ids_of(tokenizer, family.system)


@EACH
def test_a_prompt_is_the_prefix_the_words_and_the_opening_of_the_answer(name):
    family, tokenizer = FAMILIES[name], family_tokenizer(name)
    assert template.prompt_ids(tokenizer, [user(WORDS)]) == ids_of(tokenizer, family.first + WORDS + family.asks)
    later = template.prompt_ids(tokenizer, [*supported(family), *TURNS, user(WORDS)])
    assert later == ids_of(tokenizer, family.later + WORDS + family.asks)


@EACH
def test_a_prompt_and_its_completion_are_the_answered_conversation(name):
    family, tokenizer = FAMILIES[name], family_tokenizer(name)
    for before, asked in (family.first, [user("Why?")]), (family.later, [*supported(family), *TURNS, user("Why?")]):
        ids = template.prompt_ids(tokenizer, asked) + template.completion_ids(tokenizer, WORDS)
        answered = before + "Why?" + family.asks + family.shows + WORDS + family.ends
        assert ids == ids_of(tokenizer, answered)
        if name in FORGETFUL and SYSTEM in asked:
            answered = answered.replace("Be brief.\n\n", "")
        shown = tokenizer.apply_chat_template([*asked, assistant(WORDS)], tokenize=False, date_string="26 Jul 2024")
        assert shown.startswith(answered.removesuffix("<|user|>"))


@EACH
def test_the_tokens_that_end_a_turn_are_the_familys(name):
    family, tokenizer = FAMILIES[name], family_tokenizer(name)
    assert tokenizer.convert_ids_to_tokens(template.end_of_turn_id(tokenizer)) == family.ends.strip()
    assert set(tokenizer.convert_ids_to_tokens(template.stop_ids(tokenizer))) == {*family.stops.split(), PAD}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gemma-2", "refuses .* system, user: System role not supported$"),
        ("phi-3", "drops or changes .* system's turn"),
    ],
)
def test_a_family_without_a_system_role_refuses_a_system_message(name, message):
    tokenizer = family_tokenizer(name)
    with pytest.raises(UserError, match=message):
        template.pre_query_ids(tokenizer, [SYSTEM, *TURNS])
    with pytest.raises(UserError, match=message):
        template.prompt_ids(tokenizer, [SYSTEM, user("Why? Be brief.")])


def test_only_families_without_a_system_role_are_listed_as_such():
    assert [name for name, family in FAMILIES.items() if not family.system] == ["gemma-2", "phi-3"]


@pytest.mark.parametrize("name", ["mistral-v3", "mistral-v7", "llama-2", "openchat-3.5"])
def test_a_blank_that_the_tokenizer_joins_to_the_first_word_is_left_to_the_model(name):
    tokenizer = family_tokenizer(name, merges=[("Ġ", "W")])
    assert tokenizer.decode(template.pre_query_ids(tokenizer)) == FAMILIES[name].first.removesuffix(" ")
    prompt = template.prompt_ids(tokenizer, [user("Why?")])
    assert tokenizer.convert_ids_to_tokens(prompt).count("ĠW") == 1


def test_a_completion_is_tokenized_where_it_stands():
    # Llama's tokenizers put a blank before a text that stands alone, and none after a line break.
    tokenizer = family_tokenizer("zephyr", prefix_space=True)
    assert tokenizer.tokenize("Hello")[0] == "Ġ"
    assert tokenizer.decode(template.completion_ids(tokenizer, "Hello")) == "Hello</s>"


def test_a_completion_that_fuses_with_the_prompt_leaves_the_prompt_as_it_was_read():
    tokenizer = family_tokenizer("qwen2.5", merges=[("Ċ", "Ċ")])
    prompt = template.prompt_ids(tokenizer, [user("Why?")])
    assert tokenizer.decode(prompt).endswith("assistant\n")
    assert tokenizer.decode(template.completion_ids(tokenizer, "\nHello")) == "\nHello<|im_end|>"


def test_a_completion_ends_with_its_own_end_of_turn_even_if_its_text_holds_one():
    tokenizer = family_tokenizer("phi-3.5")
    ids = template.completion_ids(tokenizer, "It ends<|end|>\nhere.")
    assert tokenizer.decode(ids) == "It ends<|end|>\nhere.<|end|>"


def test_stop_ids_need_neither_eos_nor_pad():
    tokenizer = family_tokenizer("llama-3", eos=None, pad=None)
    assert tokenizer.convert_ids_to_tokens(template.stop_ids(tokenizer)) == ["<|eot_id|>"]


def test_an_empty_think_block_in_the_prompt_need_not_show_in_the_answered_conversation():
    # As in Gemma 4 and MiniCPM 5. A block that no setting turns off is refused (below).
    block = "{% if add_generation_prompt %}<think>{% if not enable_thinking %}</think>{% endif %}{% endif %}"
    tokenizer = bytes_tokenizer(chatml("{{ m.content }}") + block, CHATML.split(), eos="<|im_end|>")
    prompt = template.prompt_ids(tokenizer, [user("Why?")])
    assert tokenizer.decode(prompt).endswith("<|im_start|>assistant\n<think></think>")
    assert tokenizer.decode(template.completion_ids(tokenizer, "So.")) == "So.<|im_end|>"


def test_added_tokens_close_a_turn_even_if_they_are_not_flagged_special():
    # DeepSeek's tokenizers flag only the first and last token of a text.
    ends = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"]
    tokenizer = bytes_tokenizer(
        (TEMPLATES / "deepseek-r1-distill.jinja").read_text(), ends, *ends, plain=["<｜User｜>", "<｜Assistant｜>"]
    )
    assert tokenizer.decode(template.pre_query_ids(tokenizer)) == "<｜begin▁of▁sentence｜><｜User｜>"


TURN = "{% for m in messages %}<|im_start|>{{ m.role }}\n%s<|im_end|>\n{% endfor %}"
ASK = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


def chatml(turn: str) -> str:
    return TURN.replace("%s", turn) + ASK


def check_refused(tokenizer, message: str) -> None:
    """Every function that reads the faulty turn must say so, in one line."""
    readers = [lambda: template.end_of_turn_id(tokenizer), lambda: template.completion_ids(tokenizer, "So.")]
    if "user" in message:
        readers = [lambda: template.pre_query_ids(tokenizer)]
    for read in [*readers, lambda: template.stop_ids(tokenizer)]:
        with pytest.raises(UserError, match=message.replace("|", r"\|")) as refusal:
            read()
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("chat_template", "message"),
    [
        (None, "has no chat template"),
        ({"tool_use": chatml("{{ m.content }}")}, "multiple chat templates with no default"),
        (chatml("hello"), "drops or changes the text of the user's turn"),
        (
            chatml("{% if m.role == 'user' %}{{ m.content }}{% endif %}"),
            "drops or changes the text of the assistant's turn",
        ),
        (chatml("{{ m.content }}{{ m.content }}"), "repeats the text of the user's turn"),
        (chatml("{{ m.content | upper }}"), "drops or changes the text of the user's turn"),
        (chatml("{{ m.content | lower }}"), "drops or changes the text of the user's turn"),
        (chatml("{{ m.content | capitalize }}"), "drops or changes the text of the user's turn"),
        (chatml("{{ m.content | replace('<', '&lt;') }}"), "drops or changes the text of the user's turn"),
        (chatml("{{ m.content | e }}"), "drops or changes the text of the user's turn"),
        (chatml("{{ m.content | tojson }}"), "drops or changes the text of the user's turn"),
        (chatml("{{ m.content | replace('\n', ' ') }}"), "drops or changes the text of the user's turn"),
        (chatml("{{ m.content.split('\n')[0] }}"), "drops or changes the text of the user's turn"),
        (chatml("{{ m.content }} Answer concisely."), "' Answer concisely.*after the user's words"),
        (
            chatml("{{ m.content }}{% if m.role == 'assistant' %} Done.{% endif %}"),
            "' Done.*after the assistant's words",
        ),
        (chatml("{{ m.content }}{{ raise_exception('No more\n  than this.') }}"), "user: No more than this.$"),
        (chatml("{{ m.content }}{{ m.content + 1 }}"), "refuses a conversation of user: can only concatenate"),
        (chatml("{{ m.content }"), "refuses a conversation of user: unexpected '}'"),
        (
            chatml("{{ m.content }}").replace("m.role", "m.role | replace('assistant', 'model')")
            + "{% if add_generation_prompt and not enable_thinking %}<think></think>{% endif %}",
            "with .*assistant.n<think></think>' but shows one after .*model.n'",
        ),
        (
            chatml("{{ m.content }}").removesuffix(ASK),
            "asks for an answer with '<|im_end|>.n' but shows one after .*assistant.n'",
        ),
        (
            chatml("{{ m.content }}") + "{% if add_generation_prompt %}<think>{% endif %}",
            "asks for an answer with .*<think>' but",
        ),
    ],
)
def test_a_template_no_turn_can_be_told_from_is_refused_in_one_line(chat_template, message):
    tokenizer = bytes_tokenizer(chat_template, CHATML.split(), eos="<|im_end|>")
    check_refused(tokenizer, message)


@pytest.mark.parametrize(
    ("name", "control", "message"),
    [
        ("mistral-v1", "<s> </s>", "writes ' \\[/INST\\]' after the user's words"),
        ("llama-2", "<s> </s>", "writes ' \\[/INST\\]' after the user's words"),
        ("orion", "<s> </s>", "Assistant: </s>' after the user's words"),
        ("glm-4.5", "[gMASK] <sop> <|user|> <|assistant|> <|system|> <s> </s>", "'/nothink<.*after the user's words"),
        (
            "deepseek-r1-distill",
            "<s> </s> <｜User｜> <｜Assistant｜>",
            "with '<｜Assistant｜><think>.n' but shows one after '<｜Assistant｜>'",
        ),
        (
            "gpt-oss",
            "<s> </s> <|start|> <|end|> <|message|> <|channel|> <|return|>",
            "shows .*final<|message|>'",
        ),
    ],
)
def test_families_that_cannot_be_asked_for_a_direct_answer_or_close_turns_with_text_are_refused(name, control, message):
    tokenizer = bytes_tokenizer((TEMPLATES / f"{name}.jinja").read_text(), control.split(), "<s>", "</s>")
    check_refused(tokenizer, message)


def test_a_system_message_the_template_changes_is_refused():
    tokenizer = bytes_tokenizer(chatml("{{ m.content | e if m.role == 'system' else m.content }}"), CHATML.split())
    assert template.prompt_ids(tokenizer, [user("Why?")])
    with pytest.raises(UserError, match="drops or changes the text of the system's turn"):
        template.prompt_ids(tokenizer, [SYSTEM, user("Why?")])


def test_every_stored_template_is_used_and_has_a_source():
    stored = {file.stem for file in TEMPLATES.glob("*.jinja")}
    refused = {"mistral-v1", "orion", "glm-4.5", "deepseek-r1-distill", "gpt-oss"}
    assert stored == {*FAMILIES, *refused}
    sources = (TEMPLATES / "README.md").read_text()
    assert [name for name in sorted(stored) if f"`{name}.jinja`" not in sources] == []


def test_the_tiny_models_prompt_and_completion(tokenizer):
    assert tokenizer.decode(template.pre_query_ids(tokenizer)) == (
        "<|im_start|> system You are a helpful tiny model <|im_end|> <|im_start|> user"
    )
    ids = template.completion_ids(tokenizer, "a good story")
    assert tokenizer.decode(ids) == "a good story <|im_end|>"
    assert template.end_of_turn_id(tokenizer) == tokenizer.eos_token_id == ids[-1]
    assert tokenizer.pad_token_id in template.stop_ids(tokenizer)


def test_control_tokens_without_a_role_are_special_too(tiny):
    tokenizer = model.load_tokenizer(tiny)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<tool>"]})
    tokenizer.add_tokens(["plain"])
    found = template.special_tokens(tokenizer)
    assert {"<tool>", "<|im_end|>", "<|im_start|>", "<|endoftext|>"} <= set(found)
    assert "plain" not in found
