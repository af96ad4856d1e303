#!/usr/bin/env python3
"""The Python package httpx talks to gemma serve: raw streams, kept connections, Unix sockets, clients that leave."""
import asyncio
import contextlib
import json
import unittest

import httpx

from command import CommandTest
from serving import LONG, NAME, NEVER_ENDS, Serving

COMPLETIONS = "/v1/completions"


def body(**fields):
    return {"prompt": "the cat", "max_tokens": 8, "seed": 1, **fields}


ENDLESS = body(max_tokens=150000, logit_bias=NEVER_ENDS, stream=True)


class HttpxTest(CommandTest):
    @classmethod
    def setUpClass(cls):
        cls.serving = Serving("-v", *LONG)
        cls.addClassCleanup(cls.serving.end)
        cls.url = f"http://127.0.0.1:{cls.serving.address[1]}"

    def setUp(self):
        super().setUp()
        self.client = httpx.Client(base_url=self.url, timeout=60)
        self.addCleanup(self.client.close)

    def text(self, client=None):
        response = (client or self.client).post(COMPLETIONS, json=body())
        self.assertEqual(response.status_code, 200, response.text)
        return response.json()["choices"][0]["text"]

    def test_streams_come_as_events(self):
        with self.client.stream("POST", COMPLETIONS, json=body(stream=True)) as response:
            self.assertEqual(response.headers["content-type"], "text/event-stream")
            lines = [line for line in response.iter_lines() if line]
        self.assertEqual(lines.pop(), "data: [DONE]")
        choices = [json.loads(line.removeprefix("data: "))["choices"][0] for line in lines]
        self.assertGreater(len(choices), 2)
        self.assertEqual("".join(choice["text"] for choice in choices), self.text())
        self.assertEqual(choices[-1]["finish_reason"], "length")

    def connections(self, name):
        """How many connections were opened until a request of this name."""
        self.client.get("/health", headers={"X-Request-Id": name})
        self.serving.logged(name)
        with self.serving.changed:
            return sum("127.0.0.1 connected" in line for line in self.serving.log)

    def test_connections_are_kept(self):
        before = self.connections("first-of-many")
        for _ in range(3):
            self.text()
            self.assertEqual(self.client.get("/v1/models").json()["data"][0]["id"], NAME)
            self.assertEqual(self.client.post(COMPLETIONS, json={"prompt": 1}).status_code, 400)
            with self.client.stream("POST", COMPLETIONS, json=body(stream=True)) as response:
                response.read()
        # A body that comes in pieces of unknown size.
        pieces = (bytes([byte]) for byte in json.dumps(body()).encode())
        response = self.client.post(COMPLETIONS, content=pieces, headers={"Content-Type": "application/json"})
        self.assertEqual(response.json()["choices"][0]["text"], self.text())
        self.assertEqual(self.connections("last-of-many"), before)

    def test_closed_streams_end_requests(self):
        for read in (False, True):
            name = f"closed-{read}"
            with self.client.stream("POST", COMPLETIONS, json=ENDLESS, headers={"X-Request-Id": name}) as response:
                self.assertEqual(response.headers["x-request-id"], name)
                if read:
                    next(response.iter_bytes())
            self.assertIn("(the client left)", self.serving.logged(name))
        with self.assertRaises(httpx.ReadTimeout):
            self.client.post(COMPLETIONS, json={**ENDLESS, "stream": False}, timeout=0.5,
                             headers={"X-Request-Id": "too-late"})
        self.assertIn("(the client left)", self.serving.logged("too-late"))
        self.text()

    def test_many_clients_at_once(self):
        async def run():
            limits = httpx.Limits(max_connections=20)
            async with httpx.AsyncClient(base_url=self.url, timeout=60, limits=limits) as client:
                return await asyncio.gather(*(client.post(COMPLETIONS, json=body()) for _ in range(20)))

        wanted = self.text()
        for response in asyncio.run(run()):
            self.assertEqual(response.json()["choices"][0]["text"], wanted)

    def test_unix_sockets(self):
        path = self.folder / "socket"
        serving = Serving("--unix-socket", path, host=str(path))
        with contextlib.ExitStack() as stack:
            stack.callback(serving.end)
            client = stack.enter_context(httpx.Client(
                base_url="http://localhost", transport=httpx.HTTPTransport(uds=str(path)), timeout=60))
            self.assertEqual(self.text(client), self.text())
            with client.stream("POST", COMPLETIONS, json=body(stream=True)) as response:
                self.assertIn("data: [DONE]", response.read().decode())


if __name__ == "__main__":
    unittest.main()
