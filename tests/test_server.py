"""Sampling from a server, against a real HTTP server around the tiny model."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tuner import agreement, engine, template
from tuner.engine import TransformersEngine
from tuner.errors import UserError
from tuner.params import Sampling
from tuner.server import ServerEngine

PURE = Sampling(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=12)
GREEDY = PURE.model_copy(update={"temperature": 0.0})


class Handler(BaseHTTPRequestHandler):
    """Answers as vLLM does: samples with the request's own settings, returns ids with the stop token among them."""

    def do_GET(self):
        self._answer(200, {"data": [{"id": "tiny"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.asked.append(body)
            self.server.keys.append(self.headers.get("Authorization"))
            if self.server.cuts_off.pop(0) if self.server.cuts_off else False:
                return self._answer(200, {"choices": []}, claimed=1000)
            status = self.server.failures.pop(0) if self.server.failures else 200
            if status != 200:
                return self._answer(status, {"error": "no\nroom"})
            settings = Sampling(
                temperature=float(body["temperature"]),
                top_k=max(body["top_k"], 0),
                top_p=float(body["top_p"]),
                repetition_penalty=float(body["repetition_penalty"]),
                max_new_tokens=body["max_tokens"],
            )
            (found,) = self.server.sampler.sample([body["prompt"]], [body["seed"]], [settings])
        choice = {"text": self.server.sampler.tokenizer.decode(found.ids), "finish_reason": found.finish}
        if self.server.returns_ids:
            ended = body["stop_token_ids"][:1] if found.finish == "stop" else []
            choice["token_ids"] = found.ids + ended
        return self._answer(200, {"choices": [choice | self.server.changes]})

    def _answer(self, status, body, claimed=0):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(max(claimed, len(data))))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def sampler(loaded, tokenizer):
    return TransformersEngine(loaded, tokenizer, rows=8)


@pytest.fixture
def server(sampler):
    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.sampler, found.lock, found.returns_ids = sampler, threading.Lock(), True
    found.asked, found.keys, found.failures, found.cuts_off, found.changes = [], [], [], [], {}
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def client(server, tokenizer):
    return ServerEngine(f"http://127.0.0.1:{server.server_port}/", tokenizer, rows=4, patience=(0.0, 0.0))


@pytest.fixture
def prompts(tokenizer):
    texts = ["tell a story", "what", "how could we cook good food in winter", "make a plan for the garden", "why"]
    return [template.prompt_ids(tokenizer, [{"role": "user", "content": text}]) for text in texts]


def test_rows_come_back_in_order_each_with_its_own_seed_and_settings(client, sampler, prompts):
    long = PURE.model_copy(update={"max_new_tokens": 40})  # of 64 such rows some stop, and some do not
    settings = [long] * 64 + [PURE, GREEDY, PURE.model_copy(update={"max_new_tokens": 3, "top_k": 5}), PURE, GREEDY] * 4
    many, seeds = [prompts[0]] * 64 + prompts * 4, [*range(64), *range(20)]
    found = client.sample(many, seeds, settings)
    assert found == sampler.sample(many, seeds, settings)
    assert {sample.finish for sample in found} == {"stop", "length"}
    assert not any(set(sample.ids) & set(client.stop_ids) for sample in found)


def test_a_request_states_every_setting_and_the_prompt_as_ids(client, server, prompts):
    client.sample(prompts[:1], [2**31 + 7], [PURE])
    (asked,) = server.asked
    wanted = {"model": "tiny", "prompt": prompts[0], "seed": 7, "top_k": -1, "top_p": 1.0, "min_p": 0.0}
    assert asked.items() >= (wanted | {"temperature": 1.0, "max_tokens": 12, "stop_token_ids": client.stop_ids}).items()
    assert asked["samplers"].index("temperature") < asked["samplers"].index("top_p")
    # llama.cpp takes no -1 for "all"
    assert asked["repeat_last_n"] == len(prompts[0]) + asked["max_tokens"]


def test_a_server_that_returns_text_alone_gives_the_same_words(client, server, sampler, prompts):
    server.returns_ids = False
    found, wanted = (one.sample(prompts, list(range(5)), [PURE] * 5) for one in (client, sampler))
    decoded = [[client.tokenizer.decode(sample.ids) for sample in samples] for samples in (found, wanted)]
    assert decoded[0] == decoded[1]


def test_it_agrees_with_the_reference(client, loaded, prompts):
    found = agreement.measure(client, loaded, prompts * 12, max_tokens=2048, tokens=12)
    assert found["greedy_agreement"] == 1
    assert found["excess_low"] < 0 < found["excess_high"]


def test_a_busy_server_is_asked_again_and_one_that_stays_busy_is_one_line(client, server, prompts):
    server.failures = [503, 429]
    assert len(client.sample(prompts[:1], [0], [PURE])) == 1
    assert len(server.asked) == 3
    server.failures = [503] * 9
    with pytest.raises(UserError, match="no answer in 3 tries .503 .*what was sampled is kept") as caught:
        client.sample(prompts[:1], [0], [PURE])
    assert "\n" not in str(caught.value)


def test_an_answer_that_breaks_off_is_asked_for_again(client, server, prompts):
    server.cuts_off = [True]
    assert len(client.sample(prompts[:1], [0], [PURE])) == 1
    assert len(server.asked) == 2


def test_a_refused_request_is_not_repeated(client, server, prompts):
    server.failures = [400]
    with pytest.raises(UserError, match="/v1/completions: refused with 400"):
        client.sample(prompts[:1], [0], [PURE])
    assert len(server.asked) == 1
    server.failures = [401]
    with pytest.raises(UserError, match="401: set OPENAI_API_KEY in the environment"):
        client.sample(prompts[:1], [0], [PURE])


def test_a_server_that_is_down_is_one_line(server, client, tokenizer, prompts):
    address = client.url
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError, match=f"runtime.server_url = {address}: no answer in 1 tries"):
        ServerEngine(address, tokenizer, rows=1, patience=())


def test_another_end_than_stop_and_length_is_refused(client, server, prompts):
    server.changes = {"finish_reason": "abort"}
    with pytest.raises(UserError, match="finish_reason 'abort'"):
        client.sample(prompts[:1], [0], [PURE])


def test_the_key_is_the_environments(client, server, prompts, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    client.sample(prompts[:1], [0], [PURE])
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    client.sample(prompts[:1], [0], [PURE])
    assert server.keys == [None, "Bearer secret"]


def test_the_engine_is_chosen_by_name(tiny, runtime, server):
    there = runtime.model_copy(update={"server_url": f"http://127.0.0.1:{server.server_port}"})
    assert engine.choose("server", tiny, there) == "server"
    assert engine.load("server", tiny, there).model == "tiny"
