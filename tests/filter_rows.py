"""Rows and settings for the tests of the filters."""

from types import SimpleNamespace

from tuner import filters

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<file_sep>", "<filename>"]

# what params.yaml holds
SETTINGS = {
    "truncated": True,
    "min_instruction_words": 2,
    "max_instruction_words": 150,
    "max_instruction_characters": 2000,
    "min_response_words": 1,
    "max_response_words": 300,
    "max_response_characters": 6000,
    "template_leak": True,
    "incomplete_instruction": True,
    "modality": True,
    "refusal": True,
    "identity": True,
    "max_echo": 0.8,
    "max_duplicate_sentence_share": 0.03,
    "max_repeated_ngram_share": 0.2,
    "min_content_word_share": 0.5,
    "max_repeated_bigram_share": 0.29,
    "min_alphanumeric_share": 0.4,
    "max_mean_word_characters": 12.0,
    "language": "en",
    "min_language_probability": 0.65,
    "exact_duplicate": True,
    "near_duplicate_jaccard": 0.8,
    "contaminated": True,
    "judged_share": 0.0,
    "mask_pii": True,
    "validation_share": 0.14,
}


def settings(**changes):
    assert changes.keys() <= SETTINGS.keys()
    return SimpleNamespace(**{**SETTINGS, **changes})


def row(id, instruction, response, **more):
    finish = {"instruction_finish": "stop", "response_finish": "stop"}
    return {"id": id, "instruction": instruction, "response": response, **finish, "seed": 7, **more}


def run_rows(rows, special=SPECIAL, **changes):
    return filters.apply(rows, settings(**changes), special)


def run(*pairs, **changes):
    """Kept and dropped rows of (instruction, response) pairs, numbered from 0."""
    return run_rows([row(i, *pair) for i, pair in enumerate(pairs)], **changes)
