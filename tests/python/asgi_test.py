#!/usr/bin/env python3
"""The ASGI application answers with the bytes of gemma serve."""
import asyncio
import pickle
import unittest
from unittest import mock

import libgemma
from asgi_app import MODEL, TEXT, AppTest, Exchange, ask, runs
from libgemma._serving import Serving as ServingHere
from libgemma.asgi import asgi
from served import (EMBEDDER, NEVER_ENDS, TESTDATA, TOY, CommandTest, Serving, request,
                    without_ids)

SHIELD = str(TESTDATA / "classify" / "shield.gguf")
CAT = {**MODEL, "messages": [{"role": "user", "content": "the cat"}], "seed": 4, "max_tokens": 6}
ENDLESS = {**TEXT, "max_tokens": 150000, "logit_bias": NEVER_ENDS}
# What the ASGI server writes itself, and ids.
OTHER_HEADERS = {"connection", "transfer-encoding", "date", "x-request-id"}


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
