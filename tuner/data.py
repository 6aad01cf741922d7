"""Rows in the field's formats, and the same rows as token ids with their labels."""

from tuner import template
from tuner.errors import UserError

IGNORED = -100  # the label PyTorch's cross-entropy leaves out


def conversation(row: dict) -> dict:
    """Return a filtered row as conversational prompt / completion, which TRL, LLaMA-Factory and axolotl read."""
    return {
        "id": row["id"],
        "prompt": [{"role": "user", "content": row["instruction"]}],
        "completion": [{"role": "assistant", "content": row["response"]}],
    }


def tokenized(tokenizer, rows: list[dict]) -> list[tuple[list[int], list[int]]]:
    """Return (prompt ids, completion ids) of prompt / completion rows; the completion ends with the end of turn."""
    return [
        (
            template.prompt_ids(tokenizer, row["prompt"]),
            template.completion_ids(tokenizer, row["completion"][0]["content"]),
        )
        for row in rows
    ]


def labelled(prompt: list[int], completion: list[int]) -> dict:
    """Return input ids and labels of one row: the prompt is not learned, the completion and its end of turn are."""
    return {"input_ids": prompt + completion, "labels": [IGNORED] * len(prompt) + completion}


def within(rows: list[tuple[list[int], ...]], max_tokens: int, what: str) -> list[int]:
    """Return the numbers of the rows that fit `max_tokens` in all (prompt and longest completion).

    A row is never cut: a cut answer without its end of turn would teach the model not to stop. Raises UserError
    when no row fits.
    """
    fitting = [n for n, (prompt, *others) in enumerate(rows) if len(prompt) + max(map(len, others)) <= max_tokens]
    if not fitting:
        raise UserError(f"{what}: none of {len(rows)} rows fits in max_tokens = {max_tokens}; raise it")
    return fitting
