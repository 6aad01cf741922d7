"""What a model's own chat template says, found by rendering it with sentinels: nothing here is typed by hand."""

from tuner.errors import UserError

# Plain words, so that no template strips or escapes them, and unlikely enough to be found again.
_USER = "QsentinelUserTurnQ"
_ASSISTANT = "QsentinelAssistantTurnQ"


def prompt_ids(tokenizer, messages: list[dict]) -> list[int]:
    """Return the token ids of a conversation, ready for the assistant to answer (template applied once, one BOS)."""
    return list(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False))


def pre_query_ids(tokenizer) -> list[int]:
    """Return the ids of everything the template puts before a first user turn's text.

    This is Magpie's pre-query prefix (arXiv 2406.08464, section 2): a chat model that reads only this goes on
    with what a user would have asked. The model's default system prompt is part of it when its template adds one.
    """
    before, _ = _around(tokenizer, [{"role": "user", "content": _USER}], _USER)
    return list(tokenizer.encode(before, add_special_tokens=False))


def end_of_turn_id(tokenizer) -> int:
    """Return the id of the special token with which the template closes an assistant turn."""
    messages = [{"role": "user", "content": _USER}, {"role": "assistant", "content": _ASSISTANT}]
    _, after = _around(tokenizer, messages, _ASSISTANT)
    return _first_special(tokenizer, after, "assistant")


def stop_ids(tokenizer) -> list[int]:
    """Return the ids that end a sampled turn: what closes a user's or an assistant's turn, EOS and pad."""
    _, after = _around(tokenizer, [{"role": "user", "content": _USER}], _USER)
    ids = {_first_special(tokenizer, after, "user"), end_of_turn_id(tokenizer), tokenizer.eos_token_id}
    ids.add(tokenizer.pad_token_id)
    return sorted(ids)


def completion_ids(tokenizer, text: str) -> list[int]:
    """Return the ids of an answer as it is trained: its text and the end-of-turn token, nothing after it."""
    return [*tokenizer.encode(text, add_special_tokens=False), end_of_turn_id(tokenizer)]


def special_tokens(tokenizer) -> list[str]:
    """Return the texts of all control tokens, also of those no role such as "eos_token" is given to."""
    added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    return sorted({*tokenizer.all_special_tokens, *added})


def _around(tokenizer, messages: list[dict], sentinel: str) -> tuple[str, str]:
    if not tokenizer.chat_template:
        raise UserError("the tokenizer has no chat template; choose an instruction-tuned model")
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=False, tokenize=False)
    if text.count(sentinel) != 1:
        raise UserError(
            f"the chat template shows a turn's text {text.count(sentinel)} times instead of once; "
            "no prompt can be derived from it"
        )
    before, after = text.split(sentinel)
    return before, after


def _first_special(tokenizer, text: str, role: str) -> int:
    ids = tokenizer.encode(text, add_special_tokens=False)
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    if not ids or ids[0] not in special:
        raise UserError(
            f"the chat template does not close the {role} turn with a special token but with {text[:20]!r}; "
            "a model trained on it could not learn to stop"
        )
    return ids[0]
