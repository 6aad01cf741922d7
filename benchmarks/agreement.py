"""Does an engine sample from the checkpoint it should? Greedy texts, and what its pure samples cost under torch.

    python benchmarks/agreement.py openvino openvino-bfloat16 transformers
    python benchmarks/agreement.py vllm llama_cpp         # `engine: server` with each one's own server, which it starts
    python benchmarks/agreement.py http://127.0.0.1:8000 --model models/smollm2-135m     # what a server samples

Prints what `agreement.measure` finds and records it, but for a server's address, of which only its owner knows what it
is; exits with 1 where one does not agree. That of transformers is the reference's cost of its own samples. vLLM and
llama.cpp are installed as benchmarks/generation.py does it.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import generation  # noqa: E402
from benchmarks.results import record  # noqa: E402
from tuner import agreement, engine, model, params  # noqa: E402
from tuner.server import ServerEngine  # noqa: E402

SERVED = ("vllm", "llama_cpp")
PATIENCE = (5.0,) * 60  # seconds between tries until a server that listens has loaded the model


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serving(name: str, folder: Path) -> Iterator[str]:
    """Yield the address of a server of the model in `folder`, in float32 (llama.cpp: weights in float16)."""
    python, port = generation.installed(name, generation.PEERS[name]), str(free_port())
    if name == "llama_cpp":
        command = [python, generation.SCRIPTS / "serve_llama_cpp.py", folder / engine.GGUF, port]
    else:
        command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", folder, "--dtype", "float32"]
        command += ["--host", "127.0.0.1", "--port", port, "--generation-config", "vllm", "--max-model-len", "1024"]
    settings = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "4"}
    quiet = os.environ | settings | {"VLLM_CACHE_ROOT": str(generation.WORK / "vllm_cache")}
    with open(generation.WORK / f"{name}.log", "w") as log:
        server = subprocess.Popen(command, env=quiet, stdout=log, stderr=subprocess.STDOUT)
        try:
            while not listens(int(port)):
                if server.poll() is not None:
                    raise SystemExit(f"{name} ended before it served anything; see {log.name}")
                time.sleep(1)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(60)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "engine", nargs="+", help="openvino, openvino-bfloat16, transformers, vllm, llama_cpp or http://"
    )
    parser.add_argument("--model", type=Path, default=Path("models/smollm2-135m"))
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--no-record", action="store_true", help="leave benchmarks/results.json as it is")
    arguments = parser.parse_args()
    runtime = params.load(ROOT / "params.yaml").runtime
    tokenizer = model.load_tokenizer(arguments.model)
    reference = model.load(arguments.model, device="cpu", dtype="float32")
    prompts = agreement.probes(tokenizer, arguments.rows)

    def measured(sampler) -> dict:
        return agreement.measure(sampler, reference, prompts, max_tokens=2048, tokens=arguments.tokens)

    agreed = True
    for name in arguments.engine:
        if name in SERVED:
            with serving(name, arguments.model.resolve()) as address:
                found = measured(ServerEngine(address, tokenizer, rows=16, patience=PATIENCE))
        elif name.startswith("http"):
            found = measured(ServerEngine(name, tokenizer, rows=16))
        else:
            found = measured(engine.load(name, arguments.model, runtime))
        print(name, json.dumps(found, indent=2))
        agreed &= found["agrees"]
        if not name.startswith("http") and not arguments.no_record:
            record(
                f"agreement_{name}",
                value=found["excess_nats"],
                unit="nats a token, surprisal under torch less entropy",
                low=round(found["excess_low"], 4),
                high=round(found["excess_high"], 4),
                nats_per_token=found["nats_per_token"],
                greedy_agreement=found["greedy_agreement"],
                tokens=found["tokens"],
                **({"server": ", ".join(generation.PEERS[name].requirements)} if name in SERVED else {}),
            )
    sys.exit(not agreed)
