#!/usr/bin/env python3
"""libgemma.ray.serve: two replicas on two nodes of this machine, asked over HTTP.

Needs tests/python/ray_requirements.txt.
"""
import contextlib
import http.client
import json
import re
import socket
import threading
import time
import unittest

import ray
from ray import serve

import ray_cluster
from ray_cluster import NEVER_ENDS, SECONDS, TOY

import libgemma
import libgemma.ray.serve

OPTIONS = {"sequences": 2, "max_queued": 2, "max_queued_per_client": 2, "context": 100000,
           "name": "toy"}


def ask(method, path, body=None):
    """Returns an open connection, and the response whose body is not read yet."""
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=SECONDS)
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, {"Content-Type": "application/json"} if body else {})
    return connection, connection.getresponse()


def answer(method, path, body=None):
    """Returns the status, the headers and the body of a response."""
    connection, response = ask(method, path, body)
    with contextlib.closing(connection):
        return response.status, dict(response.getheaders()), response.read()


def completion(prompt, **fields):
    return {"model": "toy", "prompt": prompt, "max_tokens": 5, "seed": 7} | fields


def endless(prompt="the cat", **fields):
    """A streamed request whose answer has many tokens and no end."""
    return completion(prompt, max_tokens=90000, logit_bias=NEVER_ENDS, stream=True, **fields)


def samples(name):
    """The values of a metric, by replica."""
    page = answer("GET", "/metrics")[2].decode()
    found = re.findall(rf'^gemma:{name}{{replica="([^"]+)"[^}}]*}} (\S+)$', page, re.MULTILINE)
    return {replica: float(value) for replica, value in found}


def wait_until(holds):
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)


def running():
    return sum(samples("num_requests_running").values())


def waiting():
    return sum(samples("num_requests_waiting").values())


def check_answer(test):
    """An answer of the server has the bits of one process."""
    status, _, body = answer("POST", "/v1/completions", completion("the cat", max_tokens=20))
    test.assertEqual(status, 200, body)
    with libgemma.LLM(TOY, threads=1) as llm:
        done = llm.generate("the cat", max_tokens=20, seed=7, raw=True)
    test.assertEqual(json.loads(body)["choices"][0]["text"], done.text)


class RayServeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = ray_cluster.start()
        cls.addClassCleanup(cls.cluster.shutdown)
        ray.init(address=cls.cluster.address, log_to_driver=False)
        cls.addClassCleanup(ray.shutdown)
        serve.run(libgemma.ray.serve.app(TOY, replicas=2, cpus=1, **OPTIONS))
        cls.addClassCleanup(serve.shutdown)

    def test_answers_equal_one_process(self):
        check_answer(self)

    def test_events_come_one_by_one(self):
        """The first event comes while the answer, which has no end, is computed."""
        connection, response = ask("POST", "/v1/completions", endless())
        with contextlib.closing(connection):
            self.assertEqual(response.getheader("content-type").split(";")[0], "text/event-stream")
            first = response.readline()
            self.assertIn("text", json.loads(first.removeprefix(b"data: "))["choices"][0])
            self.assertEqual(running(), 1)
            response.close()
        wait_until(lambda: running() == 0)

    def test_client_gone_ends_request(self):
        waiting = [ask("POST", "/v1/completions", endless(prompt_cache_key="k"))
                   for _ in range(3)]
        wait_until(lambda: running() >= 2)
        for connection, response in waiting:
            response.close()
            connection.close()
        wait_until(lambda: running() == 0)

    def test_full_replicas_answer_429(self):
        """Both replicas run two requests and let two wait: the ninth is refused."""
        with contextlib.ExitStack() as stack:
            for number in range(8):
                connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=SECONDS)
                stack.callback(connection.close)
                connection.request("POST", "/v1/completions", json.dumps(endless()),
                                   {"Content-Type": "application/json"})
                wait_until(lambda: running() + waiting() == number + 1)
            self.assertEqual((running(), waiting()), (4, 4))
            status, headers, body = answer("POST", "/v1/completions", completion("the cat"))
            self.assertEqual(status, 429, body)
            self.assertEqual(json.loads(body)["error"]["code"], "queue_full")
            self.assertGreaterEqual(int(headers["retry-after"]), 1)
        wait_until(lambda: running() == 0)

    def test_prompts_keep_their_replica(self):
        before = samples("prompt_tokens_total")
        self.assertEqual(len(before), 2)
        chat = [{"role": "user", "content": "the cat model was for a time " * 20}]
        for _ in range(6):
            status, _, body = answer("POST", "/v1/chat/completions", {
                "model": "toy", "messages": chat, "max_tokens": 5, "seed": 7})
            self.assertEqual(status, 200, body)
            message = json.loads(body)["choices"][0]["message"]
            chat += [message | {"content": message["content"] or "a"},
                     {"role": "user", "content": "it is"}]
        after = samples("prompt_tokens_total")
        grown = sorted(after[name] - before[name] for name in after)
        self.assertEqual(grown[0], 0)
        self.assertGreater(grown[1], 0)
        self.assertGreater(json.loads(body)["usage"]["prompt_tokens_details"]["cached_tokens"], 0)

    def test_keys_share_the_work(self):
        before = samples("prompt_tokens_total")
        for key in range(12):
            answer("POST", "/v1/completions", completion("a cat", prompt_cache_key=str(key)))
        after = samples("prompt_tokens_total")
        self.assertTrue(all(after[name] > before[name] for name in after), (before, after))

    def test_errors_keep_their_form(self):
        status, _, body = answer("POST", "/v1/completions", completion("a", temprature=0))
        self.assertEqual((status, json.loads(body)["error"]["param"]), (400, "temprature"))
        status, _, body = answer("GET", "/nothing")
        self.assertEqual((status, json.loads(body)["error"]["code"]), (404, "unknown_path"))

    def test_health_and_readiness(self):
        self.assertEqual([answer("GET", path)[0] for path in ("/health", "/ready")], [200, 200])


class Stream(threading.Thread):
    """Reads a stream in the background. `last` is its last event."""

    def __init__(self, connection, response):
        super().__init__(daemon=True)
        self._connection, self._response, self.last = connection, response, b""
        self.start()

    def leave(self):
        self._connection.sock.shutdown(socket.SHUT_RDWR)
        self.join(SECONDS)

    def run(self):
        while line := self._response.readline():
            self.last = line if line.startswith(b"data: ") else self.last


class LostReplicaTest(unittest.TestCase):
    def test_killed_node_ends_its_streams(self):
        """They end with an error. Those of the other replica go on, and it answers new requests."""
        cluster = ray_cluster.start_head()
        self.addCleanup(cluster.shutdown)
        ray.init(address=cluster.address, log_to_driver=False)
        self.addCleanup(ray.shutdown)
        app = libgemma.ray.serve.app(TOY, replicas=2, cpus=1, **OPTIONS)
        serve.run_many([serve.RunTarget(app)], wait_for_applications_running=False)
        self.addCleanup(serve.shutdown)

        def status():
            return serve.status().applications["default"]

        def door_runs():
            door = status().deployments.get("Door")
            return door is not None and door.replica_states.get("RUNNING") == 1

        wait_until(door_runs)  # on the node that stays
        second = cluster.add_node(num_cpus=1)
        wait_until(lambda: status().status == "RUNNING")
        wait_until(lambda: len(samples("num_requests_running")) == 2)
        streams = []
        while min(samples("num_requests_running").values()) == 0:
            streams.append(Stream(*ask("POST", "/v1/completions", endless(str(len(streams))))))
            wait_until(lambda: running() == len(streams))
        cluster.remove_node(second, allow_graceful=False)
        wait_until(lambda: not all(stream.is_alive() for stream in streams))
        wait_until(lambda: running() == sum(stream.is_alive() for stream in streams))
        alive = [stream.is_alive() for stream in streams]
        self.assertEqual(set(alive), {True, False})
        for stream, goes_on in zip(streams, alive):
            if goes_on:
                stream.leave()
                continue
            error = json.loads(stream.last.removeprefix(b"data: "))["error"]
            self.assertEqual(error["code"], "stopped")
        wait_until(lambda: running() == 0)
        check_answer(self)


if __name__ == "__main__":
    unittest.main()
