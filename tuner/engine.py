"""Sampling engines. Both take prompts as token ids and one seed a row, and return ids and finish reasons.

`OpenVinoEngine` is several times faster on a CPU and needs the GGUF that the base stage writes for models that come as
GGUF, or a graph made from it that holds an adapter (`openvino_model.py`); in bfloat16 it is half as fast again, on CPUs
that have it. `TransformersEngine` takes any model, any adapter, CPU or GPU; `server.ServerEngine` asks a server.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino
import openvino_genai as genai
import torch

from tuner import hardware, io, logps, model, template
from tuner.cache import RoomyCache, joined_masks
from tuner.errors import UserError
from tuner.params import Runtime, Sampling

GGUF = "model.gguf"
AGREEMENT = "agreement.json"
OPENVINO = {"openvino": "f32", "openvino-bfloat16": "bf16"}  # engine -> openvino's name of its number format


@dataclass(frozen=True)
class Sample:
    """A sampled turn: its token ids without the stop token, and "stop" or "length" (cut at max_new_tokens)."""

    ids: list[int]
    finish: str


def choose(kind: str, folder: str | Path, runtime: Runtime) -> str:
    """Return the engine's full name, which says all that decides its draws but the versions.

    "auto" is openvino on a CPU where the model has a GGUF, otherwise transformers, whose name has the number format
    behind it where that is not float32: "transformers-bfloat16".
    """
    device, dtype = hardware.choose(runtime.device, runtime.dtype)
    has_gguf = (Path(folder) / GGUF).exists()
    if kind == "auto":
        kind = "openvino" if device == "cpu" and has_gguf else "transformers"
    if kind in OPENVINO and not has_gguf:
        raise UserError(f"engine: {kind} samples from a GGUF and {folder} has none; use engine: transformers")
    if kind in OPENVINO:
        require_format(kind)
    return _in_format("transformers", dtype) if kind == "transformers" else kind


def _in_format(name: str, dtype: str) -> str:
    return name if dtype == "float32" else f"{name}-{dtype}"


def require_format(name: str) -> None:
    """Raise UserError for "openvino-bfloat16" on a CPU without such instructions: openvino would not say a word."""
    if name == "openvino-bfloat16" and not has_bfloat16():
        raise UserError("engine: openvino-bfloat16 needs a CPU with bfloat16 instructions; use engine: openvino")


def has_bfloat16() -> bool:
    """Return whether this CPU multiplies bfloat16 natively."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def load(name: str, folder: str | Path, runtime: Runtime):
    """Return the engine of a name that `choose` returned, ready to `sample` from the model in `folder`.

    It has a `name` and the model's `tokenizer`.
    """
    tokenizer = model.load_tokenizer(folder)
    if name in OPENVINO:
        require_agreement(folder)
        return OpenVinoEngine(Path(folder) / GGUF, tokenizer, runtime.openvino_cache_gigabytes, name)
    if name == "server":
        from tuner.server import ServerEngine  # which needs this module

        return ServerEngine(runtime.server_url, tokenizer, runtime.sample_rows)
    device, dtype = hardware.choose(runtime.device, runtime.dtype)
    loaded = model.load(folder, device=device, dtype=dtype)
    return TransformersEngine(loaded, tokenizer, runtime.sample_rows, runtime.forward_tokens)


def agrees(folder: str | Path) -> bool:
    """Return whether the base stage has found openvino to agree with the checkpoint in `folder`."""
    file = Path(folder) / AGREEMENT
    return file.exists() and io.read_json(file)["agrees"]


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
    """Any model, any adapter, CPU or GPU. Rows enter as others finish; a row's draws come from its own seed.

    Prompts are read as logps.py reads rows: what several have in common once.
    """

    def __init__(self, loaded_model, tokenizer, rows: int, forward_tokens: int = 512):
        """Take how many rows are sampled at once, and how many places one pass over prompts has."""
        self.name = _in_format("transformers", str(loaded_model.dtype).removeprefix("torch."))
        self.model, self.tokenizer, self.rows, self.forward_tokens = loaded_model, tokenizer, rows, forward_tokens
        self.stop_ids = template.stop_ids(tokenizer)

    @torch.inference_mode()
    def sample(
        self,
        prompts: list[list[int]],
        seeds: list[int],
        samplings: list[Sampling],
        progress: Callable[..., Iterable] = iter,
    ) -> list[Sample]:
        """Return one sample a prompt, in the order of the prompts; each row has a seed and a sampling of its own."""
        # Long answers first, and similar prompts together: few rows are left when the last of them finish.
        order = sorted(range(len(prompts)), key=lambda row: (-samplings[row].max_new_tokens, -len(prompts[row]), row))
        written: list[list[int]] = [[] for _ in prompts]
        finish = ["length"] * len(prompts)
        finished = iter(progress(range(len(prompts))))
        generators = {}
        live: list[int] = []
        cache = mask = logits = None
        while order or live:
            free = self.rows - len(live)
            if order and (not live or 4 * free >= self.rows):  # seldom: each time the whole cache is copied
                entering, order = order[:free], order[free:]
                generators |= {row: torch.Generator().manual_seed(seeds[row]) for row in entering}
                for numbers, *read in self._read([prompts[row] for row in entering]):
                    module, new_cache, new_mask, new_logits = read
                    if live:
                        cache.join(new_cache)
                        mask, logits = joined_masks(mask, new_mask), torch.cat([logits, new_logits])
                    else:
                        cache, mask, logits = new_cache, new_mask, new_logits
                    live = live + [entering[number] for number in numbers]
            seen = [prompts[row] + written[row] for row in live]
            drawn = draw(logits, [samplings[row] for row in live], [generators[row] for row in live], seen)
            going = []
            for place, (row, token) in enumerate(zip(live, drawn, strict=True)):
                if token in self.stop_ids:
                    finish[row] = "stop"
                else:
                    written[row].append(token)
                    if len(written[row]) < samplings[row].max_new_tokens:
                        going.append(place)
            for _ in range(len(live) - len(going)):
                next(finished)
            if len(going) < len(live):
                live = [live[place] for place in going]
                if not live:
                    continue
                mask = mask[going]
                cut = int(mask.argmax(dim=1).min())
                mask = mask[:, cut:]
                cache.select(going, cut)
            mask = torch.cat([mask, mask.new_ones(len(live), 1)], dim=1)
            logits = module(
                input_ids=torch.tensor([[written[row][-1]] for row in live], device=mask.device),
                attention_mask=mask,
                position_ids=mask.sum(1, keepdim=True) - 1,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
        next(finished, None)  # lets the bar end
        return [Sample(ids, end) for ids, end in zip(written, finish, strict=True)]

    def _read(self, prompts: list[list[int]]):
        """Yield the numbers of the prompts of a pass, the module that goes on, its cache and mask, and the next logits.

        What the prompts of a pass have in common is read once.
        """
        base = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
        virtual = getattr(getattr(self.model, "active_peft_config", None), "num_virtual_tokens", None) or 0
        pairs = [(prompt, [0]) for prompt in prompts]  # any token: what is wanted are the logits it is scored by
        for together in logps.passes(pairs, self.forward_tokens):
            shared = logps.may_share(base, virtual + max(len(prompts[number]) for number in together))
            for numbers in [together] if shared else [[number] for number in together]:
                trie, cache = logps.Trie([pairs[number] for number in numbers]), RoomyCache()
                module, logits, count = logps.forward(self.model, base, trie, cache)
                ends, reads = list(trie.read), [read for (read,) in trie.places]
                rows = [[*range(count), *(count + place for place in trie.path(ends[read]))] for read in reads]
                longest = max(map(len, rows))
                places = torch.tensor([[0] * (longest - len(row)) + row for row in rows], device=base.device)
                mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=base.device)
                cache.spread(places)
                yield numbers, module, cache, mask, logits[reads]


def draw(scores, samplings: list[Sampling], generators: list, seen: list[list[int]]) -> list[int]:
    """Return one token a row, drawn from `scores` (rows, vocabulary; logits) as that row's sampling says.

    By the Gumbel-max trick: argmax(logits / T + Gumbel noise) is a draw from softmax(logits / T). The noise is drawn
    on the CPU from one generator a row, so that device and batch do not change it. Temperature 0 is the argmax.
    `seen` are the ids a repetition penalty counts: prompt and answer so far.
    """
    scores = scores.float()
    for row, sampling in enumerate(samplings):
        if sampling.repetition_penalty != 1:
            # Divide positive and multiply negative logits of tokens already seen (CTRL, arXiv 1909.05858).
            ids = torch.tensor(sorted(set(seen[row])), device=scores.device)
            values, penalty = scores[row, ids], sampling.repetition_penalty
            scores[row, ids] = torch.where(values > 0, values / penalty, values * penalty)
    hot = [row for row, sampling in enumerate(samplings) if sampling.temperature > 0]
    if hot:

        def column(name: str):
            return torch.tensor([[getattr(samplings[row], name)] for row in hot], device=scores.device)

        chosen = scores[hot] / column("temperature")
        if (top_k := column("top_k")).any():
            best = chosen.topk(min(int(top_k.max()), chosen.shape[-1])).values
            lowest = best.gather(1, (top_k - 1).clamp(min=0, max=best.shape[1] - 1))
            chosen = chosen.masked_fill((chosen < lowest) & (top_k > 0), -torch.inf)
        if (top_p := column("top_p")).min() < 1:
            chosen = chosen.masked_fill((chosen < _nucleus(chosen, top_p)) & (top_p < 1), -torch.inf)
        noise = [torch.empty(scores.shape[-1]).exponential_(generator=generators[row]) for row in hot]
        scores[hot] = chosen - torch.stack(noise).to(scores.device).log()
    return scores.argmax(-1).tolist()


def _nucleus(scores, top_p):
    """Return the lowest score (rows, 1) of the fewest tokens whose probabilities reach `top_p` (rows, 1)."""
    # Sorting a whole vocabulary costs more than the model's own step on a CPU; the nucleus is nearly always small.
    for size in (min(256, scores.shape[-1]), scores.shape[-1]):
        best = scores.topk(size).values
        shares = (best - scores.logsumexp(-1, keepdim=True)).exp()
        before = shares.cumsum(-1) - shares
        if ((before[:, -1:] >= top_p) | (top_p >= 1)).all():
            break
    inside = (before < top_p).sum(-1, keepdim=True)
    return best.gather(1, inside - 1)


class OpenVinoEngine:
    """openvino-genai's continuous batching on a CPU: rows enter as others finish, prefixes are shared."""

    def __init__(
        self, source: Path, tokenizer, cache_gigabytes: int, name: str = "openvino", before: Sequence[int] = ()
    ):
        """Take a GGUF file or the folder of a graph, and a name of OPENVINO, which says what is computed in.

        `before` are ids that are put before every prompt (`openvino_model.written`). UserError from `sample` where the
        rows have no room in the cache.
        """
        scheduler = genai.SchedulerConfig()
        scheduler.max_num_seqs = 64
        scheduler.max_num_batched_tokens = 256
        scheduler.cache_size = cache_gigabytes
        scheduler.dynamic_split_fuse = True
        scheduler.enable_prefix_caching = True
        # The format is always stated: openvino's own choice is bfloat16 where the CPU has it and an 8-bit cache
        # everywhere, and the rows would depend on the machine.
        require_format(name)
        number = OPENVINO[name]
        exact = {"INFERENCE_PRECISION_HINT": number, "KV_CACHE_PRECISION": number}
        self.pipeline = genai.ContinuousBatchingPipeline(str(source), scheduler, "CPU", exact)
        self.name, self.tokenizer, self.stop_ids = name, tokenizer, template.stop_ids(tokenizer)
        self.before = list(before)

    def sample(
        self,
        prompts: list[list[int]],
        seeds: list[int],
        samplings: list[Sampling],
        progress: Callable[..., Iterable] = iter,
    ) -> list[Sample]:
        """Return one sample a prompt, in the order of the prompts; each row has a seed and a sampling of its own."""
        finished = iter(progress(range(len(prompts))))
        waiting, samples = {}, {}
        # Long answers first: few rows are left when the last of them finish.
        for row in sorted(range(len(prompts)), key=lambda row: -samplings[row].max_new_tokens):
            tensor = openvino.Tensor(np.array([self.before + prompts[row]], dtype=np.int64))
            waiting[row] = self.pipeline.add_request(row, tensor, self._config(samplings[row], seeds[row]))
        while waiting:
            self.pipeline.step()
            done = [row for row, handle in waiting.items() if handle.get_status() != genai.GenerationStatus.RUNNING]
            for row in done:
                samples[row] = self._sample(waiting.pop(row))
                next(finished)
        next(finished, None)  # lets the bar end
        return [samples[row] for row in range(len(prompts))]

    def _sample(self, handle) -> Sample:
        status = handle.get_status()
        if status != genai.GenerationStatus.FINISHED:
            raise UserError(f"openvino gave a row up ({status.name}): raise runtime.openvino_cache_gigabytes")
        (result,) = handle.read_all()
        ids = list(result.generated_ids)
        if ids and ids[-1] in self.stop_ids:
            ids.pop()
        stopped = result.finish_reason == genai.GenerationFinishReason.STOP
        return Sample(ids, "stop" if stopped else "length")

    def _config(self, sampling: Sampling, seed: int):
        config = genai.GenerationConfig()
        config.max_new_tokens = sampling.max_new_tokens
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
