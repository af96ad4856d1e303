#!/usr/bin/env python3
"""The ASGI application in uvicorn and hypercorn, asked by the package openai and over sockets.

Needs tests/python/asgi_requirements.txt and tests/clients/requirements.txt.
"""
import asyncio
import os
import re
import select
import signal
import subprocess
import sys
import unittest

import openai
from libgemma.asgi import asgi
from served import NAME, NEVER_ENDS, SECONDS, TOY, Client, completion, endless, request

CAT = [{"role": "user", "content": "the cat"}]

# What the servers load.
app = asgi(str(TOY), threads=1, sequences=1, context=200000, write_timeout=1, max_queued=4)


class AnyClient(Client):
    """Also reads responses of servers that write no reason after the status."""

    def response(self, has_body=True):
        self.until(b"\r\n")
        self.data = re.sub(rb"\A(HTTP/1\.1 \d{3}) \r\n", rb"\1 Any\r\n", self.data)
        return super().response(has_body)


class Server:
    """An ASGI server in a process of its own, on a free port."""

    def __init__(self, *command):
        path = os.pathsep.join([os.path.dirname(os.path.abspath(__file__)), *sys.path])
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"})
        self.log = b""
        port = None
        while port is None:
            line = self.process.stderr.readline()
            self.log += line
            if not line:
                raise AssertionError(self.log)
            port = re.search(rb"[Rr]unning on http://127\.0\.0\.1:(\d+)", line)
        self.address = ("127.0.0.1", int(port[1]))
        self.url = f"http://127.0.0.1:{self.address[1]}/v1"

    def ask(self, data, **options):
        client = AnyClient(self.address)
        try:
            return client.send(data).response(**options)
        finally:
            client.close()

    def end(self):
        """Ends the server. Returns its exit code and the rest of its log."""
        self.process.send_signal(signal.SIGINT)
        self.log += self.process.communicate(timeout=SECONDS)[1]
        return self.process.returncode, self.log.decode()


class ServerTests:
    """The cases of each server."""
    COMMAND = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.COMMAND)
        cls.addClassCleanup(cls.server.process.kill)

    @classmethod
    def tearDownClass(cls):
        _, log = cls.server.end()
        assert "Traceback" not in log, log

    def connect(self):
        client = AnyClient(self.server.address, receive_bytes=4096)
        self.addCleanup(client.close)
        return client

    def runs_next(self):
        # One request runs at a time: this one waits until the others have ended.
        response = self.server.ask(completion())
        self.assertEqual(response.status, 200, response.body)

    def test_chats_and_streams(self):
        with openai.OpenAI(base_url=self.server.url, api_key="none", max_retries=0) as client:
            answer = client.chat.completions.create(model=NAME, messages=CAT, max_tokens=9, seed=3)
            chunks = list(client.chat.completions.create(model=NAME, messages=CAT, max_tokens=9,
                                                         seed=3, stream=True))
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
            self.assertEqual(text, answer.choices[0].message.content)
            with self.assertRaises(openai.BadRequestError):
                client.chat.completions.create(model=NAME, messages=CAT, temperature=-1)

    def test_leaving(self):
        for stream in (True, False):
            client = self.connect().send(endless(stream=stream))
            if stream:
                client.until(b"data: ")
            waiting = self.connect().send(endless(stream=True)).until(b"\r\n\r\n")
            waiting.close()
            client.close()
            self.runs_next()

    def test_cancelled_clients(self):
        async def run():
            async with openai.AsyncOpenAI(base_url=self.server.url, api_key="none") as client:
                stream = await client.chat.completions.create(
                    model=NAME, messages=CAT, max_tokens=150000, logit_bias=NEVER_ENDS, stream=True)
                async for _ in stream:
                    break
                await stream.close()
        asyncio.run(run())
        self.runs_next()

    def test_slow_readers(self):
        slow = self.connect().send(endless(stream=True))
        self.runs_next()  # the slow one lost its request, because it reads nothing
        self.assertTrue(slow.is_closed())

    def test_full_queues(self):
        running = self.connect().send(endless(stream=True)).until(b"data: ")
        waiting = [self.connect().send(endless(stream=True)).until(b"\r\n\r\n") for _ in range(2)]
        response = self.server.ask(completion())
        self.assertEqual((response.status, response.code), (429, "queue_full"))
        self.assertRegex(response.headers["retry-after"], r"^[1-9]\d*$")
        for client in (*waiting, running):
            client.close()
        while (status := self.server.ask(completion()).status) == 429:
            select.select([], [], [], 0.05)
        self.assertEqual(status, 200)

    def test_heads(self):
        client = self.connect()
        response = client.send(request("HEAD", "/health")).response(has_body=False)
        self.assertEqual((response.status, response.headers["content-length"]), (200, "15"))
        self.assertEqual(client.send(request()).response().body, b'{"status":"ok"}')
        self.assertEqual(self.server.ask(request(Host="evil.example")).status, 403)

    def test_bodies_in_chunks(self):
        body = b'{"prompt": "the", "max_tokens": 1}'
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
        head = request("POST", "/v1/completions", Content_Type="application/json",
                       Transfer_Encoding="chunked")
        self.assertEqual(self.connect().send(head + chunks).response().status, 200)


class UvicornTest(ServerTests, unittest.TestCase):
    COMMAND = ("uvicorn", "asgi_servers_test:app", "--port", "0", "--http", "h11")


class HypercornTest(ServerTests, unittest.TestCase):
    COMMAND = ("hypercorn", "asgi_servers_test:app", "--bind", "127.0.0.1:0")


if __name__ == "__main__":
    unittest.main()
