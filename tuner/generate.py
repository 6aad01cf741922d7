"""Sampled data: Magpie's instruction-response pairs, and several answers to one prompt."""

from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

from tuner import engine, io, model, seeds, template
from tuner.params import Generate, Sampling
from tuner.seeds import row_seed

# Rows sampled together. Part of what decides the bytes: openvino's arithmetic depends a little on the batch, so
# the batches are fixed by index, and a resumed run samples exactly the batches an unbroken one would.
CHUNK = 64
SAMPLERS = ("openvino-genai", "tokenizers", "torch", "transformers")


def pairs(
    sampler,
    settings: Generate,
    *,
    seed: int,
    folder: Path,
    progress: Callable[[Iterable], Iterable],
) -> list[dict]:
    """Return `settings.rows` instruction-response rows sampled the Magpie way (arXiv 2406.08464, section 2).

    The model reads the template up to where a user's words begin and writes the instruction; then it answers
    it. Finished chunks are kept in `folder` and not sampled again. An instruction that is empty or was cut is
    not answered (`response_finish` is "skipped"): the filters drop it anyway, and say so.
    """
    tokenizer = sampler.tokenizer
    prefix = template.pre_query_ids(tokenizer)

    def chunk(numbers: range) -> list[dict]:
        drawn = [row_seed(seed, "instruction", number) for number in numbers]
        asked = sampler.sample([prefix] * len(drawn), drawn, settings.instruction)
        rows = []
        for number, drawn_seed, sample in zip(numbers, drawn, asked, strict=True):
            rows.append(
                {
                    "id": number,
                    "instruction": tokenizer.decode(sample.ids).strip(),
                    "response": "",
                    "instruction_finish": sample.finish,
                    "response_finish": "skipped",
                    "instruction_seed": drawn_seed,
                    "response_seed": row_seed(seed, "response", number),
                    "instruction_sampling": settings.instruction.model_dump(),
                    "response_sampling": settings.response.model_dump(),
                }
            )
        answerable = [row for row in rows if row["instruction"] and row["instruction_finish"] == "stop"]
        if answerable:
            prompts = [_ask(tokenizer, row["instruction"]) for row in answerable]
            answers = sampler.sample(prompts, [row["response_seed"] for row in answerable], settings.response)
            for row, answer in zip(answerable, answers, strict=True):
                row["response"] = tokenizer.decode(answer.ids).strip()
                row["response_finish"] = answer.finish
        return rows

    return _in_chunks(settings.rows, chunk, folder, progress, CHUNK)


def answers(
    sampler,
    prompts: list[dict],
    sampling: Sampling,
    *,
    per_prompt: int,
    seed: int,
    folder: Path,
    progress: Callable[[Iterable], Iterable],
) -> list[dict]:
    """Return each prompt row with `answers`: `per_prompt` of {"text", "finish", "seed"}.

    A prompt row has an `id` and conversational `prompt` messages; all its keys are kept.
    """
    tokenizer = sampler.tokenizer
    per_chunk = max(1, CHUNK // per_prompt)

    def chunk(numbers: range) -> list[dict]:
        rows = [prompts[number] for number in numbers]
        ids = [template.prompt_ids(tokenizer, row["prompt"]) for row in rows for _ in range(per_prompt)]
        drawn = [row_seed(seed, "answer", row["id"], turn) for row in rows for turn in range(per_prompt)]
        samples = sampler.sample(ids, drawn, sampling)
        texts = [
            {"text": tokenizer.decode(sample.ids).strip(), "finish": sample.finish, "seed": drawn_seed}
            for sample, drawn_seed in zip(samples, drawn, strict=True)
        ]
        return [
            {**row, "answers": texts[place * per_prompt : (place + 1) * per_prompt]} for place, row in enumerate(rows)
        ]

    return _in_chunks(len(prompts), chunk, folder, progress, per_chunk)


def key(*inputs: object) -> str:
    """Return the fingerprint of rows made from `inputs` by this code and these versions of what samples them."""
    code = [Path(module.__file__) for module in (engine, model, seeds, template)]
    return io.fingerprint(*inputs, [version(package) for package in SAMPLERS], Path(__file__), *code)


def _ask(tokenizer, instruction: str) -> list[int]:
    return template.prompt_ids(tokenizer, [{"role": "user", "content": instruction}])


def _in_chunks(count: int, chunk, folder: Path, progress, size: int) -> list[dict]:
    """Return the rows of all chunks; each is one file in `folder`, written whole, so a killed run goes on there."""
    rows = []
    for start in progress(range(0, count, size)):
        file = folder / f"{start:08d}.jsonl"
        if not file.exists():
            io.write_jsonl(file, chunk(range(start, min(start + size, count))))
        rows += io.read_jsonl(file)
    return rows
