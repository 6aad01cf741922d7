"""Does an engine sample from the checkpoint it should? Greedy texts, and what its pure samples cost under torch.

    python benchmarks/agreement.py openvino openvino-bfloat16 transformers
    python benchmarks/agreement.py http://127.0.0.1:8000 --model models/smollm2-135m     # what a server samples

Prints what `agreement.measure` finds and records it, but for servers, of which only their owner knows what they are;
exits with 1 where one does not agree. That of transformers is the reference's cost of its own samples.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.results import record  # noqa: E402
from tuner import agreement, engine, model, params  # noqa: E402
from tuner.server import ServerEngine  # noqa: E402

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engine", nargs="+", help="openvino, openvino-bfloat16, transformers, or a server's address")
    parser.add_argument("--model", type=Path, default=Path("models/smollm2-135m"))
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--no-record", action="store_true", help="leave benchmarks/results.json as it is")
    arguments = parser.parse_args()
    runtime = params.load(ROOT / "params.yaml").runtime
    tokenizer = model.load_tokenizer(arguments.model)
    reference = model.load(arguments.model, device="cpu", dtype="float32")
    agreed = True
    for name in arguments.engine:
        server = name.startswith("http")
        sampler = ServerEngine(name, tokenizer, rows=16) if server else engine.load(name, arguments.model, runtime)
        prompts = agreement.probes(tokenizer, arguments.rows)
        found = agreement.measure(sampler, reference, prompts, max_tokens=2048, tokens=arguments.tokens)
        print(name, json.dumps(found, indent=2))
        agreed &= found["agrees"]
        if not server and not arguments.no_record:
            record(
                f"agreement_{name}",
                value=found["excess_nats"],
                unit="nats a token, surprisal under torch less entropy",
                low=round(found["excess_low"], 4),
                high=round(found["excess_high"], 4),
                nats_per_token=found["nats_per_token"],
                greedy_agreement=found["greedy_agreement"],
                tokens=found["tokens"],
            )
    sys.exit(not agreed)
