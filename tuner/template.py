"""What a model's own chat template says, found by rendering it with sentinels: nothing here is typed by hand."""

from os.path import commonprefix

from jinja2 import TemplateError

from tuner.errors import UserError

# What stands for the text of a turn: it starts as a request would and holds what a template might fold, escape or
# re-case, but has no blank at its ends, which many templates trim.
_SYSTEM, _USER, _ASSISTANT = (
    f'What the {role} SAID: "two\n\nlines" in <b>bold</b>.' for role in ("system", "user", "model")
)
_ASKED = [{"role": "user", "content": _USER}]

# Llama 3.1 and later write the day into the system turn unless they are given one; this is what they fall back to.
# Templates that call strftime_now themselves (Granite 3.3, Mistral Small 3) cannot be given one.
_DAY = "26 Jul 2024"


def prompt_ids(tokenizer, messages: list[dict]) -> list[int]:
    """Return the token ids of a conversation, ready for the assistant to answer.

    The template is applied once and is alone in adding control tokens, so BOS stands where it puts it, never twice.
    Templates that can think before they answer are told not to (`enable_thinking=False`): data, training and
    evaluation use direct answers. Qwen3 then puts an empty think block before the answer that comes next and none
    before earlier ones. A template that shows no system message, or refuses the conversation, raises UserError.
    """
    _check_system(tokenizer, messages)
    return _encode(tokenizer, _render(tokenizer, messages, ask=True))


def pre_query_ids(tokenizer, messages: list[dict] | tuple = ()) -> list[int]:
    """Return the ids of everything the template puts before the text of the next user turn after `messages`.

    This is Magpie's pre-query prefix (arXiv 2406.08464, section 2): a chat model that reads only this goes on
    with what a user would have asked. `messages` may be empty (the template's default system prompt, if it has one,
    is part of the prefix), a system message, or turns that end with the assistant's. A blank that the tokenizer
    joins to the user's first word ("[INST] ") is left to the model: it never read that blank alone.
    """
    _check_system(tokenizer, messages)
    before, after = _around(tokenizer, [*messages, *_ASKED], _USER, ask=True)
    _closing_ids(tokenizer, after, "user")
    return commonprefix([_encode(tokenizer, before), _encode(tokenizer, before + _USER)])


def end_of_turn_id(tokenizer) -> int:
    """Return the id of the special token with which the template closes an assistant turn."""
    return _closing_ids(tokenizer, _around_answer(tokenizer)[2], "assistant")[0]


def stop_ids(tokenizer) -> list[int]:
    """Return the ids that end a sampled turn: what closes a user's or an assistant's turn, EOS and pad."""
    _, after = _around(tokenizer, _ASKED, _USER, ask=True)
    ends = {_closing_ids(tokenizer, after, "user")[0], end_of_turn_id(tokenizer)}
    return sorted((ends | {tokenizer.eos_token_id, tokenizer.pad_token_id}) - {None})


def completion_ids(tokenizer, text: str) -> list[int]:
    """Return the ids of an answer as it is trained: its text and the end-of-turn token, nothing after it.

    They follow the prompt as in the template's own answered conversation, with the blanks it puts around an answer
    ("[/INST] text</s>"). Mistral's v3 templates drop the system message once it is answered; `prompt_ids` keeps it.
    """
    prompt, blank, after = _around_answer(tokenizer)
    closing = _closing_ids(tokenizer, after, "assistant")
    read = _encode(tokenizer, prompt)
    ids = _encode(tokenizer, prompt + blank + text + after)
    if ids[: len(read)] != read:  # two line breaks can be one token, but the prompt is read first
        ids = read + _encode(tokenizer, blank + text + after)
    return ids[len(read) : len(ids) - len(closing) + 1]


def special_tokens(tokenizer) -> list[str]:
    """Return the texts of all control tokens, also of those no role such as "eos_token" is given to."""
    added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    return sorted({*tokenizer.all_special_tokens, *added})


def _encode(tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False))


def _render(tokenizer, messages, *, ask: bool, think: bool = False) -> str:
    if not tokenizer.chat_template:
        raise UserError("the tokenizer has no chat template; choose an instruction-tuned model")
    settings = {"add_generation_prompt": ask, "enable_thinking": think, "date_string": _DAY}
    try:
        return tokenizer.apply_chat_template(list(messages), tokenize=False, **settings)
    except (TemplateError, TypeError, ValueError) as error:
        roles, reason = ", ".join(message["role"] for message in messages), " ".join(str(error).split())
        raise UserError(f"the chat template refuses a conversation of {roles}: {reason}") from error


def _around(tokenizer, messages, sentinel: str, *, ask: bool) -> tuple[str, str]:
    text = _render(tokenizer, messages, ask=ask)
    if text.count(sentinel) != 1:
        role = next(message["role"] for message in messages if message["content"] == sentinel)
        fault = "repeats" if sentinel in text else "drops or changes"
        raise UserError(f"the chat template {fault} the text of the {role}'s turn; choose another model or template")
    before, after = text.split(sentinel)
    return before, after


def _check_system(tokenizer, messages) -> None:
    if any(message["role"] == "system" for message in messages):
        _around(tokenizer, [{"role": "system", "content": _SYSTEM}, *_ASKED], _SYSTEM, ask=True)


def _around_answer(tokenizer) -> tuple[str, str, str]:
    """Return the prompt that asks for an answer, the blanks between it and the answer, and what follows the answer."""
    answered = [*_ASKED, {"role": "assistant", "content": _ASSISTANT}]
    prompt = _render(tokenizer, _ASKED, ask=True)
    before, _ = _around(tokenizer, answered, _ASSISTANT, ask=False)
    blank = before[len(prompt) :]
    # Some prompts (Gemma 4) end with an empty think block that an answered conversation does not show again.
    hidden = prompt.startswith(before) and prompt != _render(tokenizer, _ASKED, ask=True, think=True)
    if not hidden and (blank.strip() or before != prompt + blank):
        asks, shows = (text.rpartition(_USER)[2] for text in (prompt, before))
        fault = f"asks for an answer with {asks!r} but shows one after {shows!r}"
        raise UserError(f"the chat template {fault}; choose a model that answers directly")
    # After the answer comes the next turn, because in some templates (GLM) that alone closes it.
    _, after = _around(tokenizer, [*answered, *_ASKED], _ASSISTANT, ask=True)
    return prompt, blank, after


def _closing_ids(tokenizer, after: str, role: str) -> list[int]:
    ids = _encode(tokenizer, after.lstrip())
    if not ids or ids[0] not in {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}:
        fault = f"writes {after[:40]!r} after the {role}'s words, where a special token should close the turn"
        raise UserError(f"the chat template {fault}; no model could tell where the words end")
    return ids
