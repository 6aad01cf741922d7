"""Sampled data: Magpie's instruction-response pairs, and several answers to one prompt."""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import version
from pathlib import Path

from tuner import attention, cache, data, engine, hardware, io, logps, model, seeds, server, template
from tuner.errors import UserError
from tuner.params import Generate, Sampling
from tuner.seeds import row_seed

SAMPLERS = ("openvino", "openvino-genai", "tokenizers", "torch", "transformers")


def pairs(
    sampler: Callable,
    tokenizer,
    settings: Generate,
    *,
    objection: Callable[[dict], object],
    rows: int,
    seed: int,
    folder: Path,
    bar,
) -> list[dict]:
    """Return instruction-response rows sampled the Magpie way (arXiv 2406.08464, section 2), in order of their ids.

    The model reads the template up to where a user's words begin and writes the instruction; then it answers it.
    Rows are sampled until `rows` of them pass, that is `objection(row)` is None; the last one returned is the one
    that filled the quota. UserError at `settings.max_rows`. Row i is a function of (seed, i): not of `rows`, nor of
    how often the run was stopped. `settings.chunk` rows are sampled together: an engine's arithmetic depends a little
    on the batch, so batches are fixed by index, and a resumed run samples exactly those an unbroken one would.
    Finished chunks stay in `folder` and are not sampled again. `sampler()` returns the engine, and is called only if
    there is something to sample. `bar` is a tqdm bar of accepted rows.

    A domain's system prompt is read only where instructions are written, as in Magpie's control tasks, and
    `settings.response_system` only where answers are (context distillation, arXiv 2112.00861): what is trained later
    is the bare instruction. With `settings.turns` above 1 a row's earlier turns are its `history`.
    An instruction that is empty or was cut is not answered (`response_finish` is "skipped"), and ends the row.
    """
    found, accepted, reasons = [], 0, Counter()
    for start in range(0, settings.max_rows, settings.chunk):
        before = accepted
        if not start:
            bar.set_postfix_str(f"sampling the first {settings.chunk} rows")
        for row in _kept(folder, start, partial(_chunk, sampler, tokenizer, settings, seed, start)):
            if row["id"] >= settings.max_rows:
                break
            found.append(row)
            against = objection(row)
            if against is not None:
                reasons[against] += 1
                continue
            accepted += 1
            if accepted == rows:
                break
        bar.set_postfix_str(f"kept {accepted / len(found):.0%} of {len(found)}", refresh=False)
        bar.update(accepted - before)  # a chunk at once: rows come out of one together, and the rate is that of chunks
        if accepted == rows:
            return found
    most = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common(4))
    raise UserError(
        f"{accepted} of the {rows} rows wanted passed the filters within generate.max_rows = {settings.max_rows} "
        f"(dropped: {most}); raise it, lower generate.rows or loosen filter; what was sampled is kept"
    )


def _chunk(load: Callable, tokenizer, settings: Generate, seed: int, start: int) -> list[dict]:
    sampler, rows, cells = load(), [], {}
    for number in range(start, start + settings.chunk):  # always whole: a later run with a higher limit finds it
        rng = random.Random(row_seed(seed, "cell", number))
        names = list(settings.domains)
        domain = rng.choices(names, [settings.domains[name].weight for name in names])[0]
        cells[number] = rng.choice(settings.instruction)
        rows.append({"id": number, "domain": domain, "engine": sampler.name})
    going, brief = rows, _system(settings.response_system)
    for turn in range(settings.turns):
        if not going:
            break
        for row in going:
            if turn:
                row.setdefault("history", []).append({"instruction": row["instruction"], "response": row["response"]})
            row["instruction_seed"] = row_seed(seed, "instruction", row["id"], turn)
            row["response_seed"] = row_seed(seed, "response", row["id"], turn)
        asked = sampler.sample(
            [template.pre_query_ids(tokenizer, _before(row, settings)) for row in going],
            [row["instruction_seed"] for row in going],
            [cells[row["id"]] for row in going],
        )
        for row, sample in zip(going, asked, strict=True):
            row |= {"instruction": tokenizer.decode(sample.ids).strip(), "response": ""}
            row |= {"instruction_finish": sample.finish, "response_finish": "skipped"}
        going = [row for row in going if row["instruction"] and row["instruction_finish"] == "stop"]
        if not going:
            break
        answers = sampler.sample(
            [template.prompt_ids(tokenizer, [*brief, *data.messages(row)]) for row in going],
            [row["response_seed"] for row in going],
            [settings.response] * len(going),
        )
        for row, answer in zip(going, answers, strict=True):
            row |= {"response": tokenizer.decode(answer.ids).strip(), "response_finish": answer.finish}
        going = [row for row in going if row["response_finish"] == "stop"]
    sampling = {"response_sampling": settings.response.model_dump()}
    return [row | {"instruction_sampling": cells[row["id"]].model_dump()} | sampling for row in rows]


def _before(row: dict, settings: Generate) -> list[dict]:
    """Return the messages that stand before a row's next instruction: its domain's system prompt, earlier turns."""
    return [*_system(settings.domains[row["domain"]].system), *data.turns(row.get("history", []))]


def _system(text: str | None) -> list[dict]:
    return [{"role": "system", "content": text}] if text else []


def answers(
    sampler,
    prompts: list[dict],
    sampling: Sampling,
    *,
    per_prompt: int,
    chunk: int,
    seed: int,
    folder: Path,
    progress: Callable[[Iterable], Iterable],
    system: str | None = None,
) -> list[dict]:
    """Return each prompt row with the `engine`'s name and `answers`: `per_prompt` of {"text", "finish", "seed"}.

    A prompt row has an `id` and conversational `prompt` messages; all its keys are kept. `system` is a prompt that is
    read before those messages and left out of the rows, like `settings.response_system` of `pairs`.
    """
    tokenizer = sampler.tokenizer
    per_chunk = max(1, chunk // per_prompt)  # prompts, so that about `chunk` answers are sampled together

    def sampled(numbers: range) -> list[dict]:
        rows = [prompts[number] for number in numbers]
        asked = [template.prompt_ids(tokenizer, [*_system(system), *row["prompt"]]) for row in rows]
        ids = [prompt for prompt in asked for _ in range(per_prompt)]
        drawn = [row_seed(seed, "answer", row["id"], turn) for row in rows for turn in range(per_prompt)]
        samples = sampler.sample(ids, drawn, [sampling] * len(ids))
        texts = [
            {"text": tokenizer.decode(sample.ids).strip(), "finish": sample.finish, "seed": drawn_seed}
            for sample, drawn_seed in zip(samples, drawn, strict=True)
        ]
        named = [row | {"engine": sampler.name} for row in rows]
        return [row | {"answers": texts[at * per_prompt : (at + 1) * per_prompt]} for at, row in enumerate(named)]

    rows = []
    for start in progress(range(0, len(prompts), per_chunk)):
        rows += _kept(folder, start, partial(sampled, range(start, min(start + per_chunk, len(prompts)))))
    return rows


def _kept(folder: Path, start: int, make: Callable[[], list[dict]]) -> list[dict]:
    """Return the chunk that begins at row `start`: from its file, which is written whole, or else from `make()`."""
    file = folder / f"{start:08d}.jsonl"
    if not file.exists():
        io.write_jsonl(file, make())
    return io.read_jsonl(file)


def pairs_key(settings: Generate, kind: str, seed: int, generator: Path) -> str:
    """Return the key of `pairs`. How many rows are wanted changes none of them, and so is not in it."""
    return key(settings.model_dump(exclude={"engine", "rows", "max_rows"}), kind, seed, generator)


def key(*inputs: object) -> str:
    """Return the fingerprint of rows made from `inputs` by this code and these versions of what samples them."""
    modules = (attention, cache, data, engine, hardware, logps, model, seeds, server, template)
    code = [Path(module.__file__) for module in modules]
    return io.fingerprint(*inputs, [version(package) for package in SAMPLERS], Path(__file__), *code)
