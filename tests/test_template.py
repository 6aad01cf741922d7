import pytest

from tuner import model, template
from tuner.errors import UserError


def test_the_pre_query_prefix_ends_where_the_user_begins(tokenizer):
    assert tokenizer.decode(template.pre_query_ids(tokenizer)) == (
        "<|im_start|> system You are a helpful tiny model <|im_end|> <|im_start|> user"
    )


def test_a_prompt_is_the_prefix_the_words_and_the_assistants_opening(tokenizer):
    ids = template.prompt_ids(tokenizer, [{"role": "user", "content": "tell a story"}])
    prefix = template.pre_query_ids(tokenizer)
    assert ids[: len(prefix)] == prefix
    assert tokenizer.decode(ids[len(prefix) :]) == "tell a story <|im_end|> <|im_start|> assistant"


def test_a_completion_ends_with_the_end_of_turn_and_nothing_after_it(tokenizer):
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


@pytest.mark.parametrize(
    ("chat_template", "message"),
    [
        (None, "has no chat template"),
        ("<|im_start|>user\nhello<|im_end|>", "0 times"),
        ("{% for m in messages %}{{ m['content'] }}<|im_end|>{{ m['content'] }}<|im_end|>{% endfor %}", "2 times"),
        ("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }} the end {% endfor %}", "could not learn to stop"),
        ("{% for m in messages %}{{ m['content'] | upper }}<|im_end|>{% endfor %}", "0 times"),
    ],
)
def test_a_template_that_hides_the_turns_is_refused(tokenizer, chat_template, message):
    before = tokenizer.chat_template
    try:
        tokenizer.chat_template = chat_template
        with pytest.raises(UserError, match=message):
            template.pre_query_ids(tokenizer)
            template.stop_ids(tokenizer)
    finally:
        tokenizer.chat_template = before
