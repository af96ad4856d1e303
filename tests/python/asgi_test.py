#!/usr/bin/env python3
"""The ASGI application answers with the bytes of gemma serve, by the same rules of access."""
import asyncio
import json
import pathlib
import pickle
import tempfile
import unittest
from unittest import mock

import libgemma
from libgemma._serving import Serving as ServingHere
from libgemma.asgi import asgi
from served import (EMBEDDER, NEVER_ENDS, SECONDS, TESTDATA, TOY, CommandTest, Serving, request,
                    without_ids)

SHIELD = str(TESTDATA / "classify" / "shield.gguf")
MODEL = {"model": "gemma3_mixed"}
CAT = {**MODEL, "messages": [{"role": "user", "content": "the cat"}], "seed": 4, "max_tokens": 6}
TEXT = {**MODEL, "prompt": "the", "seed": 4, "max_tokens": 6}
ENDLESS = {**TEXT, "max_tokens": 150000, "logit_bias": NEVER_ENDS}
# What the ASGI server writes itself, and ids.
OTHER_HEADERS = {"connection", "transfer-encoding", "date", "x-request-id"}


class Exchange:
    """What an ASGI server does for one request, without sockets."""

    def __init__(self, app, method="GET", path="/health", body=b"", pieces=1, **changes):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        headers = {"host": "localhost"}
        if body:
            headers |= {"content-type": "application/json", "content-length": str(len(body))}
        headers |= {name.replace("_", "-"): value
                    for name, value in changes.pop("headers", {}).items()}
        path, _, query = path.partition("?")
        self.scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1",
                      "method": method, "scheme": "http", "path": path, "raw_path": path.encode(),
                      "query_string": query.encode(), "root_path": "",
                      "headers": [(name.encode(), value.encode())
                                  for name, value in headers.items() if value is not None],
                      "client": ("127.0.0.1", 1234), "server": ("127.0.0.1", 80), **changes}
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


class SameBytesTest(CommandTest):
    def test_responses(self):
        serving = Serving("--guard", SHIELD, models=(TOY, EMBEDDER))
        self.addCleanup(serving.end)
        models = {"gemma3_mixed": str(TOY), "gemma_embedding": str(EMBEDDER)}
        requests = [
            ("GET", "/health", b""), ("GET", "/ready", b""), ("GET", "/v1/models", b""),
            ("GET", "/v1/models/gemma3_mixed", b""), ("GET", "/v1/models/none", b""),
            ("GET", "/tokenizer_info?model=gemma3_mixed", b""), ("GET", "/nothing", b""),
            ("POST", "/v1/chat/completions", CAT),
            ("POST", "/v1/chat/completions", {**CAT, "stream": True}),
            ("POST", "/v1/completions", {**TEXT, "logprobs": 2, "n": 2}),
            ("POST", "/v1/completions", {**TEXT, "stream": True}),
            ("POST", "/v1/completions", {**TEXT, "max_tokns": 2}),
            ("POST", "/v1/completions", b"{"), ("GET", "/v1/completions", b""),
            ("POST", "/v1/score", {**MODEL, "prompt": "the", "choices": [" cat", "us"]}),
            ("POST", "/v1/embeddings", {"model": "gemma_embedding", "input": ["a", "us"]}),
            ("POST", "/v1/moderations", {"model": "shield", "input": ["the model", "us"]}),
            ("POST", "/tokenize", {**MODEL, "prompt": "the cat"}),
            ("POST", "/detokenize", {**MODEL, "tokens": [300, 301]}), ("HEAD", "/health", b""),
            ("OPTIONS", "/v1/completions", b"")]

        async def run():
            app = asgi(models, guard=SHIELD, threads=1)
            await asyncio.wrap_future(app.open())
            for method, path, body in requests:
                with self.subTest(f"{method} {path} {body}"):
                    wanted = serving.ask(request(method, path, body or None),
                                         has_body=method not in ("HEAD", "OPTIONS"))
                    found = await ask(app, method, path, body, pieces=3)
                    self.assertEqual(found.status, wanted.status)
                    self.assertEqual(without_ids(found.body), without_ids(wanted.body))
                    for headers in (found.headers, wanted.headers):
                        for name in OTHER_HEADERS:
                            headers.pop(name, None)
                        if path == "/v1/models" or "created" in str(found.body):
                            headers.pop("content-length", None)
                    self.assertEqual(found.headers, wanted.headers)
            app.close()
        asyncio.run(run())


class OpeningTest(unittest.TestCase):
    def test_guards_are_checked(self):
        serving = ServingHere(str(TOY), guard=("guard", str(TOY)), threads=1)
        self.addCleanup(serving.close)
        with self.assertRaisesRegex(libgemma.FailedPreconditionError, "no piece 'Yes'"):
            serving.open()
        serving = ServingHere(str(TOY), guard=SHIELD, threads=1)
        self.addCleanup(serving.close)
        with mock.patch.object(libgemma.LLM, "_classifier") as classifier:
            classifier.return_value.stats = {"answer_mass": 0.25}
            with self.assertRaisesRegex(libgemma.InvalidArgumentError, "0.25 together"):
                serving.open()

    def test_closing_ends_the_loading(self):
        def close(*_):
            serving.close()
        serving = ServingHere(str(TOY), threads=1, progress=close)
        with self.assertRaisesRegex(libgemma.FailedPreconditionError, "closed while it loaded"):
            serving.open()
        self.assertEqual(serving._loaded, [])


class AccessTest(AppTest):
    OPTIONS = {"allow_hosts": ["Gemma.Example"], "cors": ["https://page.example"]}

    @runs
    async def test_hosts(self, app):
        for host in ("localhost", "LOCALHOST:80", "localhost.", "a.localhost", "127.0.0.1:1",
                     "[::1]:80", "[::1]", "gemma.example:8080", "GEMMA.example"):
            self.assertEqual((await ask(app, headers={"host": host})).status, 200, host)
        for host in ("evil.example", "localhost.evil.example", "evil.example:localhost", "",
                     "127.0.0.1.evil.example", "localhost:80@evil.example", "[::1", "a b", "1.2.3",
                     "[::1]evil.example", "gemma.example.evil"):
            await self.refused(app, 403, "host_not_allowed", headers={"host": host})
        self.assertEqual((await ask(app, headers={"host": None})).status, 400)
        for server in (None, ("127.0.0.1", 80)):  # the client is not known
            await self.refused(app, 403, "host_not_allowed", client=None, server=server,
                               headers={"host": "any"})
        response = await ask(app, client=None, server=("/run/gemma", None), headers={"host": "any"})
        self.assertEqual(response.status, 200)

    @runs
    async def test_pages(self, app):
        self.assertEqual((await ask(app, headers={"origin": "http://localhost"})).status, 200)
        for origin in ("https://evil.example", "null", "http://localhost:1",
                       "https://page.example.evil"):
            response = await self.refused(app, 403, "origin_not_allowed", "POST",
                                          "/v1/completions", TEXT, headers={"origin": origin})
            self.assertNotIn("access-control-allow-origin", response.headers)
        page = {"origin": "https://page.example"}
        response = await ask(app, "POST", "/v1/completions", TEXT, headers=page)
        self.assertEqual(response.headers["access-control-allow-origin"], page["origin"])
        self.assertEqual(response.headers["vary"], "origin")
        response = await ask(app, "OPTIONS", "/v1/completions", headers={
            **page, "access-control-request-headers": "authorization, x-stainless-os"})
        self.assertEqual(response.headers["access-control-allow-headers"],
                         "authorization, x-stainless-os")

    @runs
    async def test_bodies_are_json(self, app):
        for kind in ("text/plain", "application/x-www-form-urlencoded", None):
            await self.refused(app, 415, "wrong_content_type", "POST", "/v1/completions", TEXT,
                               headers={"content-type": kind})
        response = await ask(app, "POST", "/v1/completions", TEXT,
                             headers={"content-encoding": "gzip"})
        self.assertEqual(response.status, 415)

    @runs
    async def test_other_machines(self, app):
        for client in (("192.168.0.9", 1), ("2001:db8::1", 1), ("other", 1)):
            await self.refused(app, 403, "no_keys", "POST", "/v1/completions", TEXT, client=client)
            self.assertEqual((await ask(app, client=client)).status, 200)  # /health
        for client in (("::1", 1), ("::ffff:127.0.0.1", 1), ("127.0.0.5", 1)):
            response = await ask(app, "POST", "/v1/completions", TEXT, client=client)
            self.assertEqual(response.status, 200)
        for client, server in ((None, ("127.0.0.1", 80)), (None, None), (("", 0), ("::1", 80))):
            await self.refused(app, 403, "no_keys", "POST", "/v1/completions", TEXT, client=client,
                               server=server)
        response = await ask(app, "POST", "/v1/completions", TEXT, client=None,
                             server=("/run/gemma", None))
        self.assertEqual(response.status, 200)
        everybody = asgi(self.MODEL, no_auth=True)
        await asyncio.wrap_future(everybody.open())
        response = await ask(everybody, "POST", "/v1/completions", TEXT, client=("192.168.0.9", 1))
        self.assertEqual(response.status, 200)
        everybody.close()

    @runs
    async def test_prefixes(self, app):
        for prefix in ("/gemma", "/gemma/"):
            response = await ask(app, "POST", "/gemma/v1/completions", TEXT, root_path=prefix)
            self.assertEqual(response.status, 200)
        response = await ask(app, "POST", "/v1/completions", TEXT, root_path="/gemma")
        self.assertEqual(response.status, 200)
        await self.refused(app, 404, "unknown_path", path="/gemmas/health", root_path="/gemma")

    def test_iterators_are_read_once(self):
        app = asgi(self.MODEL, api_keys=iter(["a"]), allow_hosts=iter(["b"]),
                   cors=iter(["https://c.example"]))
        self.assertEqual((len(app._access._digests), app._access._hosts, app._access._origins),
                         (1, {"b"}, {"https://c.example"}))

    def test_requests_after_the_end(self):
        async def run():
            app = asgi(self.MODEL)
            await asyncio.wrap_future(app.open())
            app.close()
            for path, body in (("/v1/completions", TEXT), ("/v1/completions", b"")):
                await self.refused(app, 503, "stopped", "POST", path, body)
        asyncio.run(run())

    def test_options_are_checked(self):
        for error, options in ((TypeError, {"cors": "https://a.example"}),
                               (ValueError, {"ping": 0}),
                               (ValueError, {"cors": ["https://a.example/path"]}),
                               (ValueError, {"api_keys": ["a b"]}), (TypeError, {"thread": 1}),
                               (ValueError, {"api_keys": ["a"], "api_key_file": "b"})):
            with self.subTest(options), self.assertRaises(error):
                asgi(self.MODEL, **options)


class KeysTest(AppTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        keys = pathlib.Path(folder.name) / "keys"
        keys.write_text("# the keys\n\n first-key \nsecond\n")
        cls.OPTIONS = {"api_key_file": keys}

    @runs
    async def test_requests_need_a_key(self, app):
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "first-key"},
                        {"authorization": "Bearer "}, {"authorization": "Bearer # the keys"},
                        {"authorization": "Bearer first-ke"}, {"authorization": "Basic first-key"}):
            for arguments in (("POST", "/v1/completions", TEXT), ("GET", "/v1/models"),
                              ("GET", "/metrics"), ("GET", "/health/../v1/models")):
                response = await self.refused(app, 401, "invalid_api_key", *arguments,
                                              headers=headers)
                self.assertEqual(response.headers["www-authenticate"], "Bearer")
        for headers in ({"authorization": "Bearer first-key"}, {"authorization": "bearer second"},
                        {"x-api-key": "second"}):
            response = await ask(app, "POST", "/v1/completions", TEXT, headers=headers,
                                 client=("192.168.0.9", 1))
            self.assertEqual(response.status, 200)
        self.assertEqual((await ask(app, path="/ready?a")).status, 200)


class LimitsTest(AppTest):
    OPTIONS = {"max_body": 1000, "body_timeout": 0.2, "write_timeout": 0.5, "ping": 0.2}
    LOAD = {"threads": 1, "sequences": 1, "context": 200000}

    @runs
    async def test_bodies_are_bounded(self, app):
        for pieces in (1, 9):
            long = {**TEXT, "user": "a" * 1000}
            await self.refused(app, 413, "body_too_large", "POST", "/v1/completions", long,
                               pieces=pieces, headers={"content-length": None})
        await self.refused(app, 413, "body_too_large", "POST", "/v1/completions", TEXT,
                           headers={"content-length": "1001"})

    @runs
    async def test_bodies_that_do_not_come(self, app):
        exchange = Exchange(app, "POST", "/v1/completions", TEXT)
        exchange.incoming = asyncio.Queue()
        never = Exchange(app, "POST", "/v1/completions", b"{}")
        never.task.cancel()
        never.incoming.get_nowait()
        never.task = asyncio.create_task(app(never.scope, never.incoming.get, never._send))
        self.assertEqual((await never.end()).status, 408)
        self.assertEqual((await exchange.end()).status, 200)

    @runs
    async def test_leaving(self, app):
        for stream in (True, False):
            running = Exchange(app, "POST", "/v1/completions", {**ENDLESS, "stream": stream})
            waiting = Exchange(app, "POST", "/v1/completions", {**ENDLESS, "stream": True})
            if stream:
                await running.until(b"data: ")
            else:
                await asyncio.sleep(0.1)
            for exchange in (waiting, running):
                exchange.leave()
                await exchange.end()
                self.assertFalse(exchange.ended)
            # One request runs at a time, so this one shows that the others have ended.
            response = await ask(app, "POST", "/v1/completions", TEXT)
            self.assertEqual(response.status, 200)

    @runs
    async def test_cancelled_tasks(self, app):
        running = Exchange(app, "POST", "/v1/completions", {**ENDLESS, "stream": True})
        await running.until(b"data: ")
        running.task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await running.task
        self.assertEqual((await ask(app, "POST", "/v1/completions", TEXT)).status, 200)

    @runs
    async def test_slow_readers(self, app):
        slow = Exchange(app, "POST", "/v1/completions", {**ENDLESS, "stream": True})
        await slow.until(b"data: ")
        slow.may_send.clear()
        with self.assertLogs("libgemma.asgi", "WARNING"):
            await slow.end()  # it reads nothing, so it loses its request
        self.assertFalse(slow.ended)
        self.assertEqual((await ask(app, "POST", "/v1/completions", TEXT)).status, 200)

    @runs
    async def test_comments(self, app):
        first = Exchange(app, "POST", "/v1/completions", {**ENDLESS, "stream": True})
        await first.until(b"data: ")
        second = Exchange(app, "POST", "/v1/completions", {**ENDLESS, "stream": True})
        await second.until(b": ping\n\n: ping\n\n")  # it waits for the first
        for exchange in (first, second):
            exchange.leave()
            await exchange.end()

    @runs
    async def test_health_while_busy(self, app):
        busy = Exchange(app, "POST", "/v1/completions", {**ENDLESS, "stream": True})
        await busy.until(b"data: ")
        for path in ("/health", "/metrics"):
            self.assertEqual((await ask(app, path=path)).status, 200)
        busy.leave()
        await busy.end()

    @runs
    async def test_streams_run_together(self, app):
        fields = [{**TEXT, "seed": seed, "stream": True} for seed in range(8)]
        together = await asyncio.gather(*(ask(app, "POST", "/v1/completions", each)
                                          for each in fields))
        alone = [await ask(app, "POST", "/v1/completions", each) for each in fields]
        self.assertEqual([without_ids(each.body) for each in together],
                         [without_ids(each.body) for each in alone])


class LifeTest(unittest.TestCase):
    def lifespan(self, app):
        """Starts the application; gives its messages and what sends it some."""
        incoming, outgoing = asyncio.Queue(), asyncio.Queue()
        task = asyncio.create_task(app({"type": "lifespan"}, incoming.get, outgoing.put))
        incoming.put_nowait({"type": "lifespan.startup"})
        return task, incoming, outgoing

    def test_lifespan(self):
        async def run():
            app = asgi(TOY, threads=1)
            self.assertEqual((await ask(asgi(TOY, threads=1), path="/ready")).status, 503)
            task, incoming, outgoing = self.lifespan(app)
            self.assertEqual(await outgoing.get(), {"type": "lifespan.startup.complete"})
            self.assertEqual((await ask(app, path="/ready")).status, 200)
            self.assertEqual((await ask(app, "POST", "/v1/completions", TEXT)).status, 200)
            app.drain()
            self.assertEqual((await ask(app, "POST", "/v1/completions", TEXT)).status, 503)
            self.assertEqual((await ask(app)).status, 200)
            incoming.put_nowait({"type": "lifespan.shutdown"})
            self.assertEqual(await outgoing.get(), {"type": "lifespan.shutdown.complete"})
            await task
        asyncio.run(run())

    def test_models_that_fail(self):
        async def run():
            app = asgi("/nowhere/model.gguf")
            with self.assertLogs("libgemma.asgi", "ERROR"):
                _, _, outgoing = self.lifespan(app)
                message = await outgoing.get()
            self.assertEqual(message["type"], "lifespan.startup.failed")
            self.assertIn("/nowhere/model.gguf", message["message"])
            self.assertEqual((await ask(app, path="/ready")).status, 503)
            self.assertEqual((await ask(app)).status, 200)
        asyncio.run(run())

    def test_pickling(self):
        app = pickle.loads(pickle.dumps(asgi(str(TOY), threads=1, api_keys=["key"])))

        async def run():
            await asyncio.wrap_future(app.open())
            self.assertEqual((await ask(app, path="/v1/models")).status, 401)
            response = await ask(app, path="/v1/models", headers={"x-api-key": "key"})
            self.assertEqual(response.status, 200)
            app.close()
        asyncio.run(run())

    def test_other_scopes(self):
        async def run():
            app = asgi(TOY, threads=1)
            sent = []

            async def send(message):
                sent.append(message)

            async def receive():
                return {"type": "websocket.connect"}
            await app({"type": "websocket"}, receive, send)
            self.assertEqual(sent, [{"type": "websocket.close"}])
            with self.assertRaises(ValueError):
                await app({"type": "other"}, receive, send)
        asyncio.run(run())


if __name__ == "__main__":
    unittest.main()
