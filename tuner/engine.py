"""Sampling engines. Both take prompts as token ids and one seed a row, and return ids and finish reasons.

`OpenVinoEngine` is several times faster on a CPU and needs the GGUF that the base stage writes for models that
come as GGUF; `TransformersEngine` takes any model, any adapter, CPU or GPU.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino
import openvino_genai as genai
import torch
from transformers import GenerationConfig, LogitsProcessorList

from tuner import hardware, io, model, template
from tuner.errors import UserError
from tuner.params import Runtime, Sampling

GGUF = "model.gguf"
AGREEMENT = "agreement.json"


@dataclass(frozen=True)
class Sample:
    """A sampled turn: its token ids without the stop token, and "stop" or "length" (cut at max_new_tokens)."""

    ids: list[int]
    finish: str


def choose(kind: str, folder: str | Path, runtime: Runtime) -> str:
    """Return the engine's name with "auto" resolved: openvino on a CPU where the model has a GGUF."""
    device, _ = hardware.choose(runtime.device, runtime.dtype)
    has_gguf = (Path(folder) / GGUF).exists()
    if kind == "auto":
        return "openvino" if device == "cpu" and has_gguf else "transformers"
    if kind == "openvino" and not has_gguf:
        raise UserError(f"engine: openvino samples from a GGUF and {folder} has none; use engine: transformers")
    return kind


def load(name: str, folder: str | Path, runtime: Runtime):
    """Return the engine of that name, ready to `sample` from the model in `folder`; it has the model's `tokenizer`."""
    tokenizer = model.load_tokenizer(folder)
    if name == "openvino":
        require_agreement(folder)
        return OpenVinoEngine(Path(folder) / GGUF, tokenizer, runtime.openvino_cache_gigabytes)
    device, dtype = hardware.choose(runtime.device, runtime.dtype)
    return TransformersEngine(model.load(folder, device=device, dtype=dtype), tokenizer, runtime.sample_rows)


def require_agreement(folder: str | Path) -> None:
    """Raise UserError unless the base stage has found openvino to agree with the checkpoint in `folder`."""
    file = Path(folder) / AGREEMENT
    if not file.exists():
        raise UserError(f"{file}: missing, so openvino is not known to read this model; run the base stage again")
    found = io.read_json(file)
    if not found["agrees"]:
        raise UserError(
            f"{file}: openvino's samples cost {found['excess_nats']} nats a token too much under the torch "
            "reference; set engine: transformers"
        )


class TransformersEngine:
    """`generate` with a sampler of our own: a row's draws come from its own seed, whatever batch it is in."""

    def __init__(self, loaded_model, tokenizer, rows: int):
        self.model, self.tokenizer, self.rows = loaded_model, tokenizer, rows
        self.pad_id, self.stop_ids = tokenizer.pad_token_id, template.stop_ids(tokenizer)

    def sample(
        self,
        prompts: list[list[int]],
        seeds: list[int],
        sampling: Sampling,
        progress: Callable[[Iterable], Iterable] = iter,
        max_new_tokens: list[int] | None = None,
    ) -> list[Sample]:
        """Return one sample a prompt, in the order of the prompts. `max_new_tokens` may be lowered row by row."""
        limits = max_new_tokens or [sampling.max_new_tokens] * len(prompts)
        # Rows of equal limits and similar lengths go together: little padding, and few rows that wait for others.
        order = sorted(range(len(prompts)), key=lambda row: (-limits[row], -len(prompts[row]), row))
        plan = [order[start : start + self.rows] for start in range(0, len(order), self.rows)]
        samples: list = [None] * len(prompts)
        for batch in progress(plan):
            module, inputs = model.left_padded(self.model, [prompts[row] for row in batch], self.pad_id)
            sampler = SeededSampler([seeds[row] for row in batch], sampling, self.pad_id)
            # A complete configuration: nothing is left to the library's or the checkpoint's own defaults.
            config = GenerationConfig(
                max_new_tokens=limits[batch[0]],
                do_sample=False,
                eos_token_id=self.stop_ids,
                pad_token_id=self.pad_id,
                use_cache=True,
            )
            with torch.inference_mode():
                output = module.generate(
                    **inputs, generation_config=config, logits_processor=LogitsProcessorList([sampler])
                )
            written = output if "inputs_embeds" in inputs else output[:, inputs["input_ids"].shape[1] :]
            for row, ids in zip(batch, written.tolist(), strict=True):
                samples[row] = self._cut(ids[: limits[row]])
        return samples

    def _cut(self, ids: list[int]) -> Sample:
        end = next((place for place, token in enumerate(ids) if token in self.stop_ids), None)
        return Sample(ids, "length") if end is None else Sample(ids[:end], "stop")


class SeededSampler:
    """A logits processor that turns greedy decoding into seeded sampling by the Gumbel-max trick.

    argmax(logits / T + Gumbel noise) is a draw from softmax(logits / T). The noise is drawn on the CPU from one
    generator a row, so that device and batch do not change it. Temperature 0 leaves the argmax alone.
    """

    def __init__(self, seeds: list[int], sampling: Sampling, pad_id: int):
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.sampling, self.pad_id = sampling, pad_id

    def __call__(self, input_ids, scores):
        scores = scores.float()
        if self.sampling.repetition_penalty != 1:
            scores = self._penalize(input_ids, scores)
        if self.sampling.temperature == 0:
            return scores
        scores = scores / self.sampling.temperature
        if self.sampling.top_k:
            lowest = scores.topk(min(self.sampling.top_k, scores.shape[-1])).values[:, -1:]
            scores = scores.masked_fill(scores < lowest, -torch.inf)
        if self.sampling.top_p < 1:
            ordered, places = scores.sort(descending=True)
            before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
            outside = torch.zeros_like(before, dtype=torch.bool).scatter(1, places, before >= self.sampling.top_p)
            scores = scores.masked_fill(outside, -torch.inf)
        noise = [torch.empty(scores.shape[-1]).exponential_(generator=generator) for generator in self.generators]
        return scores - torch.stack(noise).to(scores.device).log()

    def _penalize(self, input_ids, scores):
        # Divide positive and multiply negative logits of tokens already seen (CTRL, arXiv 1909.05858).
        seen = scores.gather(1, input_ids)
        penalty = self.sampling.repetition_penalty
        changed = scores.scatter(1, input_ids, seen.where(seen > 0, seen * penalty * penalty) / penalty)
        changed[:, self.pad_id] = scores[:, self.pad_id]
        return changed


class OpenVinoEngine:
    """openvino-genai's continuous batching on a CPU: rows enter as others finish, prefixes are shared."""

    def __init__(self, gguf: Path, tokenizer, cache_gigabytes: int):
        scheduler = genai.SchedulerConfig()
        scheduler.max_num_seqs = 64
        scheduler.max_num_batched_tokens = 256
        scheduler.cache_size = cache_gigabytes
        scheduler.dynamic_split_fuse = True
        scheduler.enable_prefix_caching = True
        # Float32 throughout: openvino's own choice is bfloat16 where the CPU has it and an 8-bit cache everywhere, and
        # the rows would depend on the machine. Costs a third of the speed on such a CPU, nothing on others.
        exact = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
        self.pipeline = genai.ContinuousBatchingPipeline(str(gguf), scheduler, "CPU", exact)
        self.tokenizer, self.stop_ids = tokenizer, template.stop_ids(tokenizer)

    def sample(
        self,
        prompts: list[list[int]],
        seeds: list[int],
        sampling: Sampling,
        max_new_tokens: list[int] | None = None,
    ) -> list[Sample]:
        """Return one sample a prompt, in the order of the prompts. `max_new_tokens` may be lowered row by row."""
        limits = max_new_tokens or [sampling.max_new_tokens] * len(prompts)
        configs = [self._config(sampling, seed, limit) for seed, limit in zip(seeds, limits, strict=True)]
        tensors = [openvino.Tensor(np.array([prompt], dtype=np.int64)) for prompt in prompts]
        samples = []
        for result in self.pipeline.generate(tensors, configs):
            ids = list(result.m_generation_ids[0])
            stopped = result.finish_reasons[0] == genai.GenerationFinishReason.STOP
            if ids and ids[-1] in self.stop_ids:
                ids.pop()
            samples.append(Sample(ids, "stop" if stopped else "length"))
        return samples

    def _config(self, sampling: Sampling, seed: int, limit: int):
        config = genai.GenerationConfig()
        config.max_new_tokens = limit
        config.eos_token_id = self.stop_ids[0]
        config.stop_token_ids = set(self.stop_ids)
        config.repetition_penalty = sampling.repetition_penalty
        config.do_sample = sampling.temperature > 0
        if config.do_sample:
            config.rng_seed = seed
            config.temperature = sampling.temperature
            config.top_p = sampling.top_p
            config.top_k = sampling.top_k or 1_000_000  # openvino's own default for "off" is a number as well
        return config
