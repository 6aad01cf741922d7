"""Tokens per second of sampling with an adapter on, against plain transformers.

python benchmarks/adapter_sampling.py [--adapter models/lora] [--temperature 0 0.7]

Both write replies to the evaluation's items of following instructions, in float32, from the same adapter, with each
item's own limit of tokens. Ours is what the evaluation does: LoRA and IA3 are worked into the weights, openvino writes
where it can (`--engine transformers`: TransformersEngine), and rows enter as others finish. The peer is `generate` of
the PEFT model in batches, the best of the sizes given. It has one limit a batch, and a batch runs until its last row is
done: the rows are sorted by limit and by length of prompt, so that a batch has one limit but where two limits meet,
hardly any padding, and no token counts beyond a row's own end or limit. Ours is timed before and after the peer, each
time with a new engine, whose cache knows none of the prompts, and the mean counts. Where the adapter can be worked into
the weights, `generate` of that model is timed as well, at the same batch size.

Greedy texts are compared. Where two differ, the model reads what they have in common, by itself, and tells how far
apart the two next tokens are: a near tie, which rounding decides, or a real difference. PEFT's `generate` puts virtual
tokens before the padding of a batch, which is no near tie: there `--alone` items are compared with a peer of batch 1.
Run on a machine with nothing else to do.
"""

import argparse
import sys
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from peft import PeftModel  # noqa: E402
from results import here, record  # noqa: E402
from transformers import GenerationConfig  # noqa: E402

from tuner import evaluate, items, model, params, template  # noqa: E402
from tuner.engine import TransformersEngine  # noqa: E402
from tuner.params import Sampling  # noqa: E402

NEAR = 1e-3  # of two logits; float32 sums of another order differ by some 1e-4


def ours(engine, prompts: list, limits: list[int], temperature: float) -> tuple[float, list[list[int]]]:
    """Return (seconds, the ids of each row)."""
    wanted = [
        Sampling(temperature=temperature, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=limit)
        for limit in limits
    ]
    started = time.perf_counter()
    found = engine.sample(prompts, list(range(len(prompts))), wanted)
    return time.perf_counter() - started, [sample.ids for sample in found]


def fresh(merged, tokenizer, arguments: argparse.Namespace, runtime: params.Runtime):
    """Return (the evaluation's engine, warmed up on texts that begin like none of the items, seconds to make it)."""
    started = time.perf_counter()
    engine = evaluate.writer(merged, arguments.model, arguments.engine, runtime, ROOT / ".work")
    made = time.perf_counter() - started
    print(f"{engine.name}, made in {made:.1f} s")
    ours(engine, [tokenizer.encode(f"{number} bottles of water", add_special_tokens=False) for number in range(4)],
         [8] * 4, 0.0)  # fmt: skip
    return engine, made


def plain(engine, prompts: list, limits: list[int], temperature: float, batch: int) -> tuple[float, list[list[int]]]:
    """Return (seconds, the ids of each row) of `generate`."""
    torch.manual_seed(0)
    drawn = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature else {}
    order = sorted(range(len(prompts)), key=lambda row: (-limits[row], -len(prompts[row]), row))
    written: list = [None] * len(prompts)
    started = time.perf_counter()
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        longest = max(len(prompts[row]) for row in rows)
        pads = [longest - len(prompts[row]) for row in rows]
        ids = [[engine.tokenizer.pad_token_id] * pad + prompts[row] for pad, row in zip(pads, rows, strict=True)]
        config = GenerationConfig(
            max_new_tokens=max(limits[row] for row in rows),
            eos_token_id=engine.stop_ids,
            pad_token_id=engine.tokenizer.pad_token_id,
            **drawn or {"do_sample": False},
        )
        found = engine.model.generate(
            input_ids=torch.tensor(ids),
            attention_mask=torch.tensor([[0] * pad + [1] * (longest - pad) for pad in pads]),
            generation_config=config,
        )
        for row, answer in zip(rows, found[:, longest:].tolist(), strict=True):
            answer = answer[: limits[row]]
            ends = [place for place, token in enumerate(answer) if token in engine.stop_ids]
            written[row] = answer[: ends[0]] if ends else answer
    return time.perf_counter() - started, written


def gap(engine, prompt: list[int], one: list[int], other: list[int]) -> float:
    """Return how far apart the logits of the first tokens that differ are, given what the two have in common."""
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    nexts = [ids[same : same + 1] or engine.stop_ids for ids in (one, other)]
    module, inputs = model.left_padded(engine.model, [prompt + one[:same]], engine.tokenizer.pad_token_id)
    with torch.inference_mode():
        logits = module(**inputs, logits_to_keep=1).logits[0, -1]
    first, second = (float(logits[ids].max()) for ids in nexts)
    return abs(first - second)


def compared(engine, prompts: list, one: list, other: list) -> tuple[float, list[float]]:
    """Return (share of equal texts, the gaps of the others)."""
    apart = [row for row in range(len(prompts)) if one[row] != other[row]]
    return 1 - len(apart) / len(prompts), [gap(engine, prompts[row], one[row], other[row]) for row in apart]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=Path("models/smollm2-135m"))
    parser.add_argument("--adapter", type=Path, default=Path("models/lora"))
    parser.add_argument("--items", type=Path, default=Path("data/tasks"), help="folder of the items' files")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--engine", choices=["auto", "transformers"], default="auto", help="evaluate.engine")
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 16, 32], help="batch sizes of the peer")
    parser.add_argument("--temperature", type=float, nargs="+", default=[0.0, 0.7])
    parser.add_argument("--alone", type=int, default=0, help="items whose greedy texts are compared at batch 1 instead")
    parser.add_argument("--no-record", action="store_true", help="leave benchmarks/results.json as it is")
    arguments = parser.parse_args()
    tokenizer = model.load_tokenizer(arguments.model)
    loaded = model.load(arguments.model, device="cpu", dtype="float32", adapter=arguments.adapter)
    runtime = params.load(ROOT / "params.yaml").runtime
    engine = TransformersEngine(loaded, tokenizer, runtime.sample_rows, runtime.forward_tokens)
    another = model.load(arguments.model, device="cpu", dtype="float32", adapter=arguments.adapter)
    merged = evaluate.merged(another)
    in_weights = TransformersEngine(merged, tokenizer, runtime.sample_rows, runtime.forward_tokens)
    asked = items.read(arguments.items)["instruction_following"][: arguments.rows]
    prompts = [template.prompt_ids(tokenizer, item["messages"]) for item in asked]
    limits = [item["max_tokens"] for item in asked]
    name = arguments.adapter.name
    plain(engine, prompts[:4], [8] * 4, 0.0, 4)
    for temperature in arguments.temperature:
        fast, _ = fresh(merged, tokenizer, arguments, runtime)
        seconds, written = ours(fast, prompts, limits, temperature)
        fast = None  # before another takes as much memory
        peers = {batch: plain(engine, prompts, limits, temperature, batch) for batch in arguments.batch}
        fast, made = fresh(merged, tokenizer, arguments, runtime)
        again, _ = ours(fast, prompts, limits, temperature)
        rate = 2 * sum(map(len, written)) / (seconds + again)
        rates = {batch: sum(map(len, texts)) / took for batch, (took, texts) in peers.items()}
        best = max(rates, key=rates.get)
        shown = ", ".join(f"{value:.0f} at batch {batch}" for batch, value in rates.items())
        print(f"{name} at T = {temperature:g}, {len(prompts)} items, {sum(map(len, written))} tokens")
        print(f"tokens/s: ours {rate:.0f} ({seconds:.1f} and {again:.1f} s), generate {shown}")
        print(f"ratio {rate / rates[best]:.2f}")
        more = {}
        if not isinstance(merged, PeftModel):
            took, texts = plain(in_weights, prompts, limits, temperature, best)
            speed = sum(map(len, texts)) / took
            print(f"generate with the adapter worked into the weights {speed:.0f}, ratio {rate / speed:.2f}")
            more = {"peer_merged": round(speed, 1), "ratio_merged": round(rate / speed, 3)}
        if temperature == 0:
            peer, few = peers[best][1], len(prompts)
            if arguments.alone:
                few = arguments.alone
                peer = plain(engine, prompts[:few], limits[:few], temperature, 1)[1]
            equal, gaps = compared(engine, prompts[:few], written[:few], peer)
            near = sum(value < NEAR for value in gaps)
            print(f"equal texts {equal:.3f} of {few}; of the {len(gaps)} others {near} part at a near tie: {gaps}")
            more |= {
                "equal_texts": round(equal, 4),
                "compared": few,
                "near_ties": near,
                "largest_gap": round(max(gaps, default=0.0), 6),
            }
        if not arguments.no_record:
            record(
                here(
                    f"adapter_sampling_{name}_{'greedy' if temperature == 0 else f't{temperature:g}'}"
                    + "_transformers" * (arguments.engine == "transformers")
                ),
                value=round(rate / rates[best], 3),
                unit="ratio of tokens/s",
                ours=round(rate, 1),
                peer=round(rates[best], 1),
                peer_version=f"transformers {version('transformers')}, peft {version('peft')}, generate, batch {best}",
                items=len(prompts),
                engine=fast.name,
                seconds=[round(seconds, 1), round(again, 1)],
                seconds_to_make_it=round(made, 1),
                **more,
            )
