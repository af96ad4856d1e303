"""Runs the ASGI application for tests, without sockets."""
import asyncio
import json
import unittest

import libgemma
from libgemma.asgi import asgi
from served import SECONDS, TOY

MODEL = {"model": "gemma3_mixed"}
TEXT = {**MODEL, "prompt": "the", "seed": 4, "max_tokens": 6}


class Exchange:
    """What an ASGI server does for one request, without sockets.

    headers: a dictionary, which adds to those that all requests have; or a list of all, as bytes.
    """

    def __init__(self, app, method="GET", path="/health", body=b"", pieces=1, **changes):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        headers = changes.pop("headers", {})
        if isinstance(headers, dict):
            own = {"host": "localhost"}
            if body:
                own |= {"content-type": "application/json", "content-length": str(len(body))}
            headers = [(name.replace("_", "-").encode(), value.encode())
                       for name, value in (own | headers).items() if value is not None]
        path, _, query = path.partition("?")
        self.scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1",
                      "method": method, "scheme": "http", "path": path, "raw_path": path.encode(),
                      "query_string": query.encode(), "root_path": "",
                      "headers": headers, "client": ("127.0.0.1", 1234),
                      "server": ("127.0.0.1", 80), **changes}
        size = -(-len(body) // pieces) or 1
        self.incoming = asyncio.Queue()
        for begin in range(0, max(len(body), 1), size):
            self.incoming.put_nowait({"type": "http.request", "body": body[begin:begin + size],
                                      "more_body": begin + size < len(body)})
        self.status, self.headers, self.body, self.ended = None, {}, b"", False
        self.changed = asyncio.Condition()
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.task = asyncio.create_task(app(self.scope, self.incoming.get, self._send))

    async def _send(self, message):
        await self.may_send.wait()
        async with self.changed:
            if message["type"] == "http.response.start":
                assert self.status is None
                self.status = message["status"]
                names = [name for name, _ in message["headers"]]
                assert len(names) == len(set(names)) and all(name.islower() for name in names)
                self.headers = {name.decode(): value.decode()
                                for name, value in message["headers"]}
            else:
                assert self.status is not None and not self.ended
                self.body += message.get("body", b"")
                self.ended = not message.get("more_body", False)
            self.changed.notify_all()

    async def until(self, text):
        """Waits until the body has the text."""
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(lambda: text in self.body), SECONDS)

    def leave(self):
        self.incoming.put_nowait({"type": "http.disconnect"})

    async def end(self):
        await asyncio.wait_for(self.task, SECONDS)
        return self

    @property
    def error(self):
        return json.loads(self.body)["error"]


async def ask(app, *arguments, **changes):
    """Returns the Exchange of a request after its response."""
    return await Exchange(app, *arguments, **changes).end()


def runs(function):
    """Makes a test of a coroutine with an application that is open."""
    def test(self):
        async def run():
            app = asgi(self.MODEL, **self.OPTIONS)
            await asyncio.wrap_future(app.open())
            try:
                await function(self, app)
            finally:
                app.close()
        asyncio.run(run())
    return test


class AppTest(unittest.TestCase):
    """Each test has an application; all of a class share the model."""
    OPTIONS = {}
    LOAD = {"threads": 1}

    @classmethod
    def setUpClass(cls):
        cls.MODEL = libgemma.LLM(TOY, **cls.LOAD)
        cls.addClassCleanup(cls.MODEL.close)

    async def refused(self, app, status, code, *arguments, **changes):
        response = await ask(app, *arguments, **changes)
        self.assertEqual((response.status, response.error["code"]), (status, code), response.body)
        return response
