"""Sampling from a server that speaks OpenAI's /v1/completions: vLLM, SGLang, llama.cpp's, on this machine or another.

The prompts go there as token ids, since a text would be tokenized anew and a BOS put before it. A server's own defaults
are not used: whatever cuts or bends the distribution is stated in each request, by the names of all three servers.
"""

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from tuner import template
from tuner.engine import Sample
from tuner.errors import UserError
from tuner.params import Sampling

KEY = "OPENAI_API_KEY"  # read from the environment where it is sent, and held nowhere
PATIENCE = (1.0, 4.0, 15.0)  # seconds before each new try of a request that the server could not take
TIMEOUT = 600.0  # seconds; a long queue answers late
BUSY = (408, 429, 500, 502, 503, 504)


class ServerEngine:
    """Rows are sampled `rows` at once, each with the seed and the settings of its own.

    Whether a seed gives the same text again is the server's affair: vLLM and llama.cpp batch as requests come in, and
    rounding then depends on the batch. Rows that were sampled are kept, so a resumed run does not ask for them again.
    """

    name = "server"

    def __init__(self, url: str, tokenizer, rows: int, patience: tuple[float, ...] = PATIENCE):
        self.url, self.tokenizer, self.rows, self.patience = url.rstrip("/"), tokenizer, rows, patience
        self.stop_ids = template.stop_ids(tokenizer)
        served = self._ask("/v1/models").get("data") or []
        if not served:
            raise UserError(f"runtime.server_url = {url}: the server names no model at /v1/models")
        self.model = served[0]["id"]

    def sample(
        self,
        prompts: list[list[int]],
        seeds: list[int],
        samplings: list[Sampling],
        progress: Callable[..., Iterable] = iter,
    ) -> list[Sample]:
        """Return one sample a prompt, in the order of the prompts; UserError where the server does not answer."""
        pool = ThreadPoolExecutor(self.rows)
        try:
            answers = pool.map(lambda row: self._sample(*row), zip(prompts, seeds, samplings, strict=True))
            return [answer for _, answer in zip(progress(range(len(prompts))), answers, strict=True)]
        finally:
            pool.shutdown(cancel_futures=True)  # after a failure, the rows that wait need not fail as well

    def _sample(self, prompt: list[int], seed: int, sampling: Sampling) -> Sample:
        answer = self._ask("/v1/completions", self._request(prompt, seed, sampling))
        try:
            choice = answer["choices"][0]
            finish, ids = choice["finish_reason"], choice.get("token_ids")
            if ids is None:  # a server that returns no ids: those of its text
                ids = self.tokenizer.encode(choice["text"], add_special_tokens=False)
        except (KeyError, IndexError, TypeError):
            raise UserError(f"{self.url}: not an answer of /v1/completions: {json.dumps(answer)[:120]}") from None
        if finish not in ("stop", "length"):
            raise UserError(f"{self.url}: a row ended with finish_reason {finish!r}, which is neither stop nor length")
        if ids and ids[-1] in self.stop_ids:
            ids = ids[:-1]
        return Sample(list(ids), finish)

    def _request(self, prompt: list[int], seed: int, sampling: Sampling) -> dict:
        return {
            "model": self.model,
            "prompt": prompt,
            "max_tokens": sampling.max_new_tokens,
            "seed": seed % 2**31,  # llama.cpp takes 32 bits
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k or -1,  # off, for each of the three
            "min_p": 0.0,
            "repetition_penalty": sampling.repetition_penalty,
            "repeat_penalty": sampling.repetition_penalty,  # llama.cpp's name, ...
            "repeat_last_n": len(prompt) + sampling.max_new_tokens,  # as elsewhere: over prompt and answer
            "samplers": ["penalties", "temperature", "top_k", "top_p"],  # ... and order: temperature is first elsewhere
            "stop_token_ids": self.stop_ids,
            "return_token_ids": True,
        }

    def _ask(self, path: str, body: dict | None = None) -> dict:
        """Return the server's JSON; tries again while it is busy, UserError where it is away or refuses."""
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        data = None if body is None else json.dumps(body).encode()
        why = ""
        for wait in (*self.patience, None):
            try:
                with urllib.request.urlopen(
                    urllib.request.Request(self.url + path, data, headers), timeout=TIMEOUT
                ) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                said = " ".join(error.read(300).decode(errors="replace").split())
                if error.code in (401, 403):
                    raise UserError(f"{self.url}: {error.code}: set {KEY} in the environment") from None
                if error.code not in BUSY:
                    raise UserError(f"{self.url}{path}: refused with {error.code}: {said}") from None
                why = f"{error.code} {said}"
            except json.JSONDecodeError:
                raise UserError(f"{self.url}{path}: answered with something other than JSON") from None
            # refused, reset, timed out, cut off, no address
            except (OSError, ValueError, http.client.HTTPException) as error:
                why = str(getattr(error, "reason", error))
            if wait is not None:
                time.sleep(wait)
        raise UserError(
            f"runtime.server_url = {self.url}: no answer in {1 + len(self.patience)} tries ({why}); start the server "
            "or mend the address, and run again: what was sampled is kept"
        )
