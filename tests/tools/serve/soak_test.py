#!/usr/bin/env python3
"""gemma serve under many requests of all kinds and sizes, a third of which their clients leave.

Nothing is lost, nothing is answered twice, the counts add up, and memory stays. SOAK_REQUESTS sets the number of
requests; tools/test.sh soak sends 10,000 and prints what it measured.
"""
import json
import os
import pathlib
import random
import re
import socket
import struct
import sys
import threading
import time
import unittest

from command import SANITIZED, TESTDATA
from serving import NEVER_ENDS, SECONDS, TOY, Serving, request

COUNT = int(os.environ.get("SOAK_REQUESTS", "600"))
SHOWS = "SOAK_REQUESTS" in os.environ
CLIENTS = 24
EMBEDDER = TESTDATA / "gguf" / "gemma_embedding.gguf"
FORMS = ({"choice": ["the cat", "a dog"]}, {"regex": "[a-z]{2,9}"}, {"response_format": {"type": "json_object"}})
WORDS = "the cat model was for a is of it time".split()

# Nobody leaves requests of "kept", so all that they took is known. Sequences are so large that the engine soon keeps as many
# for reuse as it may; most of their pages are never touched.
ARGUMENTS = ("--context", "200000", "--ignore-memory", "--batch-size", "8", "--max-queued", "1000", "--max-queued-per-client",
             "1000", "--deterministic", "-q")


class Ask:
    """A request of a kind, size and seed that follow from its number."""

    def __init__(self, number):
        draw = random.Random(number)
        self.id = f"soak-{number}"
        self.leaves = number % 3 == 0
        self.model = "left" if self.leaves or number % 2 else "kept"
        self.status = 200
        self.fields = {}
        text = self.prompt(draw)
        self.path = draw.choice(("/v1/completions", "/v1/completions", "/v1/chat/completions", "/v1/chat/completions", "/v1/score",
                                 "/v1/embeddings", "/tokenize", "/detokenize", "/metrics", "/health", "wrong"))
        getattr(self, "make_" + self.path.strip("/").replace("v1/", "").replace("/", "_"))(draw, text)
        if self.leaves:
            self.how = draw.choice(("close", "half-close", "reset", "middle"))
            # Bytes that the client reads first. An answer that is not streamed sends its first byte at its end.
            self.bytes = draw.choice((0, 0, 1, 300, 3000)) if self.fields and "stream" in self.fields else 0
            self.seconds = draw.choice((0, 0.01, 0.1))  # that it then waits

    @staticmethod
    def prompt(draw):
        """One of few prompts, so that many requests are the same, and caches are soon full."""
        return " ".join(random.Random(draw.randrange(20)).choices(WORDS, k=draw.choice((1, 4, 60, 300))))

    def make_completions(self, draw, text):
        self.make_answer(draw, {"prompt": text, "logprobs": draw.choice((None, 2))})

    def make_chat_completions(self, draw, text):
        self.make_answer(draw, {"messages": [{"role": "user", "content": text}], **draw.choice(({}, {"logprobs": True}))})

    def make_answer(self, draw, fields):
        # One that goes on and on can only end because its client has left.
        size = {"max_tokens": 100000, "logit_bias": NEVER_ENDS} if self.leaves else {"max_tokens": draw.choice((1, 4, 25))}
        self.fields = {**fields, **size, "seed": draw.randrange(3)}
        if draw.randrange(4) == 0 and not self.leaves:
            self.fields.update(draw.choice(FORMS))
        if self.model == "left":
            self.fields["n"] = draw.choice((1, 2))
        if draw.randrange(2):
            self.fields.update(stream=True, stream_options={"include_usage": True})

    def make_score(self, draw, text):
        self.fields = {"prompt": text, "choices": draw.sample(WORDS, draw.randrange(1, 5))}

    def make_embeddings(self, draw, text):
        self.model = "embedder"
        self.fields = {"input": [text] * draw.choice((1, 10)), "encoding_format": draw.choice(("float", "base64"))}

    def make_tokenize(self, draw, text):
        self.fields = {"prompt": text}

    def make_detokenize(self, draw, text):
        self.fields = {"tokens": draw.choices(range(7, 500), k=20)}

    def make_metrics(self, draw, text):
        self.fields = None

    make_health = make_metrics

    def make_wrong(self, draw, text):
        self.path, self.fields, self.status = draw.choice((
            ("/v1/completions", {"prompt": text, "best": 1}, 400), ("/v1/score", {"prompt": text}, 400), ("/no", None, 404),
            ("/v1/completions", {"prompt": text, "regex": "("}, 400)))

    @property
    def data(self):
        if self.fields is None:
            return request(path=self.path, X_Request_Id=self.id)
        return request("POST", self.path, {"model": self.model, **self.fields}, X_Request_Id=self.id)

    @property
    def key(self):
        """What the text of the response depends on."""
        names = [name for name in self.fields if name not in ("stream", "stream_options", "logprobs", "n")]
        return json.dumps([self.path, *((name, self.fields[name]) for name in sorted(names))])


def text_and_usage(response):
    """The text of the first choice, and the usage."""
    if response.headers["content-type"] != "text/event-stream":
        answer = response.json()
        choice = answer["choices"][0]
        return choice["message"]["content"] if "message" in choice else choice["text"], answer["usage"]
    *events, last, end = response.body.decode().split("\n\n")
    assert (last, end) == ("data: [DONE]", ""), response.body
    text, usage = "", None
    for event in events:
        if event.startswith(":"):
            continue
        piece = json.loads(event.removeprefix("data: "))
        usage = piece["usage"] or usage
        for choice in piece["choices"]:
            if choice["index"] == 0:
                text += choice["delta"].get("content", "") if "delta" in choice else choice["text"]
    return text, usage


class Crowd:
    """Clients that send all requests."""

    def __init__(self, serving):
        self.serving = serving
        self.lock = threading.Lock()
        self.texts = {}
        self.usage = {"prompt_tokens": 0, "completion_tokens": 0, "cached_tokens": 0}
        self.answers = {"kept": 0, "left": 0}
        self.left = 0
        self.failure = None

    def run(self, numbers):
        numbers = iter(numbers)
        threads = [threading.Thread(target=self.client, args=(numbers,)) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failure:
            raise self.failure

    def client(self, numbers):
        client = None
        while not self.failure:
            with self.lock:
                number = next(numbers, None)
            if number is None:
                break
            ask = Ask(number)
            try:
                client = client or self.serving.connect()
                if ask.leaves:
                    self.leave(client, ask)
                    client = None
                else:
                    self.check(ask, client.send(ask.data).response())
                    assert client.data == b"", client.data
            except Exception as error:
                error.add_note(f"{ask.id} {ask.data}")
                self.failure = error
        if client:
            client.close()

    def leave(self, client, ask):
        data = ask.data
        with self.lock:
            self.left += ask.fields.get("n", 1) if ask.fields else 0
        if ask.how == "middle":
            client.send(data[:len(data) * 2 // 3]).close()
            return
        client.send(data)
        if ask.bytes:
            client.socket.recv(ask.bytes)
        time.sleep(ask.seconds)
        if ask.how == "reset":
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif ask.how == "half-close":
            client.socket.shutdown(socket.SHUT_WR)
            client.is_closed()
        client.close()

    def check(self, ask, response):
        assert response.status == ask.status, response.body
        assert response.headers["x-request-id"] == ask.id, response.headers
        if ask.status != 200:
            assert response.json()["error"]["message"], response.body
            return
        if "completions" not in ask.path:
            if ask.path not in ("/health", "/metrics"):
                self.compare(ask, {**response.json(), "model": None, "usage": None})
            if ask.path == "/v1/score":
                self.count(ask, response.json()["usage"])
            return
        text, usage = text_and_usage(response)
        self.compare(ask, text)
        self.count(ask, usage)

    def compare(self, ask, answer):
        """Equal requests have equal answers, whatever ran beside them."""
        with self.lock:
            assert self.texts.setdefault(ask.key, answer) == answer, (answer, self.texts[ask.key])

    def count(self, ask, usage):
        with self.lock:
            self.answers[ask.model] += ask.fields.get("n", 1)
            if ask.model == "kept":
                self.usage["prompt_tokens"] += usage["prompt_tokens"]
                self.usage["completion_tokens"] += usage["completion_tokens"]
                self.usage["cached_tokens"] += usage["prompt_tokens_details"]["cached_tokens"]


class SoakTest(unittest.TestCase):
    def setUp(self):
        self.serving = Serving(*ARGUMENTS, models=[f"kept={TOY}", f"left={TOY}", f"embedder={EMBEDDER}"])
        self.addCleanup(self.serving.end)

    def metric(self, name, model):
        """The sum of a metric's samples of a model."""
        text = self.serving.ask(request(path="/metrics")).body.decode()
        samples = re.findall(rf'^gemma:{name}{{model_name="{model}"[^}}]*}} (\S+)$', text, re.MULTILINE)
        self.assertTrue(samples, name)
        return sum(map(float, samples))

    def memory(self):
        """Resident bytes, once all requests have ended."""
        deadline = time.monotonic() + SECONDS
        for model in ("kept", "left", "embedder"):
            while self.metric("num_requests_(?:running|waiting)", model):
                self.assertLess(time.monotonic(), deadline)
        # Every two seconds, the server gives back what it has freed.
        time.sleep(2.5 if SHOWS else 0)
        status = pathlib.Path(f"/proc/{self.serving.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) << 10

    def test_many_requests(self):
        begin = time.monotonic()
        crowd = Crowd(self.serving)
        first = COUNT // 10 if COUNT >= 10000 else COUNT // 3
        crowd.run(range(first))
        before = self.memory()
        crowd.run(range(first, COUNT))
        after = self.memory()
        if SHOWS:
            print(f"{COUNT} requests in {time.monotonic() - begin:.0f} s; resident bytes after the first {first}: {before}, after "
                  f"all: {after}; usage {crowd.usage}; answers {crowd.answers}, left {crowd.left}", file=sys.stderr)
        for name, key in (("prefix_cache_queries_total", "prompt_tokens"), ("prompt_tokens_cached_total", "cached_tokens"),
                          ("generation_tokens_total", "completion_tokens")):
            self.assertEqual(self.metric(name, "kept"), crowd.usage[key], name)
        self.assertEqual(self.metric("request_success_total", "kept"), crowd.answers["kept"])
        self.assertEqual(self.metric("cancelled_total", "kept"), 0)
        ended = self.metric("request_success_total", "left") + self.metric("cancelled_total", "left")
        self.assertGreaterEqual(self.metric("request_success_total", "left"), crowd.answers["left"])
        self.assertLessEqual(ended, crowd.answers["left"] + crowd.left)
        self.assertGreater(self.metric("cancelled_total", "left"), 0)
        for model in ("kept", "left", "embedder"):
            self.assertEqual(self.metric("request_failure_total", model), 0)
        # Sanitizers keep what is freed.
        if not SANITIZED:
            self.assertLess(after - before, max(before // 50, 8 << 20))
        self.assertEqual(self.serving.stop(), 0)


if __name__ == "__main__":
    unittest.main()
