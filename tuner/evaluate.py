"""Evaluate one model, with or without an adapter: the same items for all, every one scored by code."""

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch

from tuner import (
    agent,
    agreement,
    data,
    engine,
    general_text,
    hardware,
    harness,
    logps,
    metrics,
    model,
    openvino_model,
    template,
)
from tuner.checks import CHECKS
from tuner.params import Runtime, Sampling

MERGED = ("LORA", "IA3")  # PEFT's types that `merged` takes: the arithmetic is the same in another order


def rows(
    *,
    student: Path,
    adapter: Path | None,
    quantize: str | None,
    validation_rows: list[dict],
    pair_rows: list[dict],
    tasks: Mapping[str, list[dict]],
    lm_eval_tasks: list[str],
    kind: str,
    runtime: Runtime,
    scratch: Path,
    progress: Callable[[str], Callable[[Iterable], Iterable]],
) -> list[dict]:
    """Return one row an item for the model in `student`, with `adapter` on when one is given.

    `quantize` is what the adapter was trained on (see model.load), `tasks` the items by suite (`checks.read`), and
    `lm_eval_tasks` the public benchmarks to run beside them (`harness.load`). `kind` is the engine that writes replies,
    "auto" or "transformers" (`writer`), and `scratch` a folder for files of the moment.

    Suites: "loss" (nll in nats and tokens of each validation completion), "general_text" (the same of each window of
    a text that has nothing to do with the data), "preference" (log-probability of chosen
    and rejected of each validation pair), and with `correct`: "instruction_following", "knowledge", "agent", "bfcl",
    "ifbench".
    Those of the public benchmarks are described in `harness.rows`. `progress(name)` returns a wrapper that shows a
    bar of that name.
    """
    public = harness.load(lm_eval_tasks, metrics.NAMES)
    device, dtype = hardware.choose(runtime.device, runtime.dtype)
    tokenizer = model.load_tokenizer(student)
    loaded = model.load(student, device=device, dtype=dtype, adapter=adapter, quantize=quantize)
    loaded = loaded if quantize else merged(loaded)
    model.check_tokenizer(loaded, tokenizer, student)

    sampler = writer(loaded, student, kind, runtime, scratch)

    def scored(pairs, name):
        found = logps.completion_logps(loaded, pairs, max_tokens=runtime.forward_tokens, progress=progress(name))
        return [float(row.sum()) for row in found]

    written = [item for suite in CHECKS for item in tasks.get(suite, [])]
    return [
        *_loss(tokenizer, validation_rows, scored),
        *general_text.rows(tokenizer, scored),
        *_preference(tokenizer, pair_rows, scored),
        *knowledge_rows(tokenizer, tasks["knowledge"], scored),
        *written_rows(tokenizer, written, sampler, progress),
        *harness.rows(public, loaded, tokenizer, runtime.forward_tokens),
    ]


def merged(loaded):
    """Return a model with its LoRA or IA3 adapter worked into its weights, which it changes; any other as it is.

    Sampling is then as fast as without an adapter. In float32 results change by rounding; in fewer bits the
    weights would lose digits of the adapter.
    """
    config = getattr(loaded, "active_peft_config", None)
    # An activated LoRA (arXiv 2504.12397) is off for the first tokens of a prompt.
    apart = config is None or config.peft_type not in MERGED or getattr(config, "alora_invocation_tokens", None)
    return loaded if apart or loaded.dtype != torch.float32 else loaded.merge_and_unload()


def _loss(tokenizer, validation_rows, scored) -> list[dict]:
    pairs = data.tokenized(tokenizer, validation_rows)
    return [
        {
            "id": f"loss-{row['id']}",
            "suite": "loss",
            "axis": "loss",
            "source": str(row["id"]).split("-")[0],  # the kept row that a row of the verify stage was made of
            "nll": -logp,
            "tokens": len(completion),
        }
        for row, (_, completion), logp in zip(validation_rows, pairs, scored(pairs, "validation loss"), strict=True)
    ]


def _preference(tokenizer, pair_rows, scored) -> list[dict]:
    tokenized = data.tokenized_pairs(tokenizer, pair_rows)
    both = [(prompt, answer) for prompt, *answers in tokenized for answer in answers]
    found = scored(both, "preference pairs")
    return [
        {
            "id": f"preference-{row['id']}",
            "suite": "preference",
            "axis": "preference",
            "logp_chosen": found[2 * place],
            "logp_rejected": found[2 * place + 1],
        }
        for place, row in enumerate(pair_rows)
    ]


def knowledge_rows(tokenizer, items, scored) -> list[dict]:
    """Score each choice by its log-likelihood after the bare question.

    `correct`: the best choice a character (lm-evaluation-harness's acc_norm), since the sum favours short choices.
    `correct_raw`: the best choice by the sum (its acc).
    """
    pairs = [
        (
            tokenizer.encode(f"Question: {item['question']}\nAnswer:"),
            tokenizer.encode(f" {choice}", add_special_tokens=False),
        )
        for item in items
        for choice in item["choices"]
    ]
    found = iter(scored(pairs, "knowledge"))
    rows = []
    for item in items:
        logps_of_item = [next(found) for _ in item["choices"]]
        per_character = [logp / len(choice) for logp, choice in zip(logps_of_item, item["choices"], strict=True)]
        rows.append(
            {
                "id": item["id"],
                "suite": "knowledge",
                "axis": item["axis"],
                "question": item["question"],
                "choices": item["choices"],
                "answer": item["answer"],
                "logps": logps_of_item,
                "correct": _best(per_character) == item["answer"],
                "correct_raw": _best(logps_of_item) == item["answer"],
            }
        )
    return rows


def _best(scores: list[float]) -> int:
    return scores.index(max(scores))


def writer(loaded, student: Path, kind: str, runtime: Runtime, scratch: Path):
    """Return the engine that writes the replies of `loaded`, the torch model of `student` with or without an adapter.

    "auto" is openvino where it samples from this model, all weights are float32 and its graph holds the adapter
    (`openvino_model.written`), otherwise transformers. UserError where openvino then writes other replies.
    """
    tokenizer = model.load_tokenizer(student)
    plain = engine.TransformersEngine(loaded, tokenizer, runtime.sample_rows, runtime.forward_tokens)
    exact = {weight.dtype for weight in loaded.parameters()} == {torch.float32}
    fit = exact and engine.choose("auto", student, runtime) == "openvino" and engine.agrees(student)
    if kind != "auto" or not fit:
        return plain
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="graph-") as folder:
        found = openvino_model.written(student, student / engine.GGUF, loaded, Path(folder))
        if found is None:
            return plain
        source, virtual = found
        fast = engine.OpenVinoEngine(source, tokenizer, runtime.openvino_cache_gigabytes, before=virtual)
    agreement.require_greedy(fast, loaded, agreement.probes(tokenizer, 8), max_tokens=runtime.forward_tokens)
    return fast


def written_rows(tokenizer, items, sampler, progress) -> list[dict]:
    """Answer greedily and check. Feedback items that went wrong get the checker's message and a second turn."""

    def reply(asked: list[dict], name: str) -> list[tuple[str, dict]]:
        prompts = [template.prompt_ids(tokenizer, item["messages"]) for item in asked]
        greedy = [
            Sampling(temperature=0.0, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=item["max_tokens"])
            for item in asked
        ]
        found = sampler.sample(prompts, [0] * len(asked), greedy, progress(name))  # no draw uses the seeds
        return [
            (tokenizer.decode(sample.ids).strip(), {"finish": sample.finish, "reply_tokens": len(sample.ids)})
            for sample in found
        ]

    answered = []
    for item, (text, ended) in zip(items, reply(items, "answers"), strict=True):
        verdict = CHECKS[item["suite"]](item, text)
        kept = {name: item[name] for name in ("id", "suite", "axis", "messages", "reference")}
        answered.append({**kept, "engine": sampler.name, "reply": text, **ended, **verdict})
    again = []
    for item, row in zip(items, answered, strict=True):
        if row["axis"] == "feedback":
            row["solved_first"] = row["correct"]
            if message := agent.feedback(item, row["reply"]):
                turns = [{"role": "assistant", "content": row["reply"]}, {"role": "user", "content": message}]
                row["message"] = message
                again.append((item | {"messages": item["messages"] + turns}, row))
    for (item, row), (text, _) in zip(again, reply([item for item, _ in again], "second turns"), strict=True):
        row.update(agent.check_turns(item, row["reply"], text), second_reply=text)
    return answered
