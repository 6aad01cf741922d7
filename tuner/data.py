"""Rows in the field's formats, and the same rows as token ids with their labels."""

from tuner import template
from tuner.errors import UserError

IGNORED = -100  # the label PyTorch's cross-entropy leaves out


def turns(pairs: list[dict]) -> list[dict]:
    """Return instruction-response pairs as messages."""
    return [
        {"role": role, "content": pair[side]}
        for pair in pairs
        for role, side in (("user", "instruction"), ("assistant", "response"))
    ]


def messages(row: dict) -> list[dict]:
    """Return what the assistant reads before it answers a row: earlier turns, if there are any, and the instruction."""
    return [*turns(row.get("history", [])), {"role": "user", "content": row["instruction"]}]


def conversation(row: dict) -> dict:
    """Return a filtered row as conversational prompt / completion, which TRL, LLaMA-Factory and axolotl read."""
    return {
        "id": row["id"],
        "prompt": messages(row),
        "completion": [{"role": "assistant", "content": row["response"]}],
    }


def verified_conversation(row: dict) -> dict:
    """Return a row of tuner/verify.py as prompt / completion, with its constraints and where it came from."""
    return conversation(row) | {name: row[name] for name in ("source", "origin", "constraints")}


def flat(row: dict) -> dict:
    """Return a prompt / completion row with its last `instruction` and its `response` as plain texts."""
    return row | {"instruction": row["prompt"][-1]["content"], "response": row["completion"][0]["content"]}


def tokenized(tokenizer, rows: list[dict]) -> list[tuple[list[int], list[int]]]:
    """Return (prompt ids, completion ids) of prompt / completion rows; the completion ends with the end of turn."""
    return [
        (
            template.prompt_ids(tokenizer, row["prompt"]),
            template.completion_ids(tokenizer, row["completion"][0]["content"]),
        )
        for row in rows
    ]


def tokenized_pairs(tokenizer, rows: list[dict]) -> list[tuple[list[int], list[int], list[int]]]:
    """Return (prompt ids, chosen ids, rejected ids) of preference rows; each answer ends with the end of turn."""
    return [
        (
            template.prompt_ids(tokenizer, row["prompt"]),
            template.completion_ids(tokenizer, row["chosen"][0]["content"]),
            template.completion_ids(tokenizer, row["rejected"][0]["content"]),
        )
        for row in rows
    ]


def labelled(prompt: list[int], completion: list[int]) -> dict:
    """Return input ids and labels of one row: the prompt is not learned, the completion and its end of turn are."""
    return {"input_ids": prompt + completion, "labels": [IGNORED] * len(prompt) + completion}


def fitting(rows: list[tuple[list[int], ...]], max_tokens: int, section: str) -> list[tuple[list[int], ...]]:
    """Return the rows whose prompt and longest answer fit in `max_tokens`; UserError when none does.

    A row is never cut: an answer without its end of turn would teach the model not to stop.
    """
    kept = [row for row in rows if len(row[0]) + max(map(len, row[1:])) <= max_tokens]
    if not kept:
        raise UserError(f"none of {len(rows)} rows fits in {section}.max_tokens = {max_tokens}; raise it")
    return kept
