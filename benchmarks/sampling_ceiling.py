"""How much of the processor's float32 matrix products sampling reaches: `python benchmarks/sampling_ceiling.py`.

Both engines write greedy replies to the evaluation's items of following instructions, from the model without an
adapter. Useful work is 2 operations a weight and token: for each token written those of the layers and of the head, for
each token of a prompt those of the layers; what prompts begin alike with counts once, and attention not at all. The
ceiling is measured in the same run, before and after, and the better counts. A step multiplies as few rows as are
sampled at once, which is slower than the 512 of the ceiling: the share of what such a product reaches is recorded as
well. Run on a machine with nothing else to do.
"""

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ceiling import ceiling, matmul_parameters  # noqa: E402
from results import here, record  # noqa: E402

from tuner import engine, items, logps, model, params, template  # noqa: E402
from tuner.params import Sampling  # noqa: E402

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=Path("models/smollm2-135m"))
    parser.add_argument("--items", type=Path, default=Path("data/tasks"), help="folder of the items' files")
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--engine", nargs="+", default=["transformers", "openvino"])
    parser.add_argument("--no-record", action="store_true", help="leave benchmarks/results.json as it is")
    arguments = parser.parse_args()
    runtime = params.load(ROOT / "params.yaml").runtime
    tokenizer = model.load_tokenizer(arguments.model)
    layers, head = matmul_parameters(model.load(arguments.model, device="cpu", dtype="float32"))
    asked = items.read(arguments.items)["instruction_following"][: arguments.rows]
    prompts = [template.prompt_ids(tokenizer, item["messages"]) for item in asked]
    greedy = [
        Sampling(temperature=0.0, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=item["max_tokens"])
        for item in asked
    ]
    found = {}
    peak, step = ceiling(), ceiling(runtime.sample_rows)
    for name in arguments.engine:
        sampler = engine.load(name, arguments.model, runtime)
        warm = [tokenizer.encode(f"{number} bottles of water", add_special_tokens=False) for number in range(2)]
        sampler.sample(warm, [0, 0], [greedy[0].model_copy(update={"max_new_tokens": 4})] * 2)
        started = time.perf_counter()
        samples = sampler.sample(prompts, [0] * len(prompts), greedy)
        found[name] = time.perf_counter() - started, sum(len(sample.ids) for sample in samples)
    peak, step = max(peak, ceiling()), max(step, ceiling(runtime.sample_rows))
    read = len(logps.Trie([(prompt, [0]) for prompt in prompts]).ids)
    print(
        f"{peak:.0f} GFLOP/s, {step:.0f} with {runtime.sample_rows} rows; {read} different tokens of {len(prompts)} "
        "prompts"
    )
    for name, (seconds, tokens) in found.items():
        written, whole = 2 * tokens * (layers + head) / 1e9, 2 * (tokens * (layers + head) + read * layers) / 1e9
        print(
            f"{name}: {tokens} tokens in {seconds:.1f} s, {tokens / seconds:.0f} a second; "
            f"{written / seconds / peak:.3f} of the ceiling, {whole / seconds / peak:.3f} with the prompts"
        )
        if not arguments.no_record:
            record(
                here(f"sampling_share_of_ceiling_{name}"),
                value=round(whole / seconds / peak, 3),
                unit="share of fp32 GEMM rate",
                tokens_per_second=round(tokens / seconds, 1),
                written_tokens_alone=round(written / seconds / peak, 3),
                share_of_products_with_few_rows=round(whole / seconds / step, 3),
                gflops=round(peak, 1),
            )
