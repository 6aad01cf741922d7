"""Does a server sample from the checkpoint it should? Greedy texts, and what its pure samples cost under torch.

python benchmarks/agreement.py <http://address> [--model models/smollm2-135m] [--rows 64] [--tokens 48]

Prints what `agreement.measure` finds; exits with 1 where they do not agree.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tuner import agreement, model
from tuner.server import ServerEngine

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--model", type=Path, default=Path("models/smollm2-135m"))
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=48)
    arguments = parser.parse_args()
    tokenizer = model.load_tokenizer(arguments.model)
    found = agreement.measure(
        ServerEngine(arguments.url, tokenizer, rows=16),
        model.load(arguments.model, device="cpu", dtype="float32"),
        agreement.probes(tokenizer, arguments.rows),
        max_tokens=2048,
        tokens=arguments.tokens,
    )
    print(json.dumps(found, indent=2))
    sys.exit(not found["agrees"])
