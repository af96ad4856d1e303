#!/usr/bin/env python3
"""The door of a server on Ray, with replicas that the tests play: what it passes on, and what it
answers itself. Needs no cluster, and tests/python/ray_requirements.txt.
"""
import asyncio
import collections
import gc
import json
import types
import unittest

from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from libgemma.ray.door import Passage
from libgemma.ray.metrics import merged
from libgemma.ray.routing import PrefixRouter, prompt_key
from libgemma.ray.serve import _messages

ReplicaID = collections.namedtuple("ReplicaID", "unique_id")
START = {"type": "http.response.start", "status": 200,
         "headers": [(b"content-type", b"text/plain")]}
REFUSED = {**START, "status": 429}
STREAM = {**START, "headers": [(b"content-type", b"text/event-stream")]}
BODY = {"type": "http.response.body", "body": b"a 1\n"}
PIECE = {**BODY, "more_body": True}


class RoutingTest(unittest.TestCase):
    """Keys of requests, and pages of metrics, without a cluster."""

    @staticmethod
    def key(**fields):
        return prompt_key(json.dumps(fields).encode())

    def test_chats_keep_their_key(self):
        chat = [{"role": "system", "content": "be short"}, {"role": "user", "content": "the cat"}]
        key = self.key(messages=chat)
        more = [{"role": "assistant", "content": "was"}, {"role": "user", "content": "is"}]
        self.assertEqual(self.key(messages=chat + more, temperature=0), key)
        self.assertNotEqual(self.key(messages=chat[:1] + more[1:]), key)

    def test_beginnings_make_keys(self):
        text = "the cat " * 1000
        self.assertEqual(self.key(prompt=text + "a"), self.key(prompt=text + "b"))
        self.assertNotEqual(self.key(prompt="a" + text), self.key(prompt="b" + text))
        self.assertEqual(self.key(prompt=[2] * 300 + [3]), self.key(prompt=[[2] * 300 + [4], [5]]))
        self.assertEqual(self.key(prompt=text, prompt_cache_key="k"),
                         self.key(messages=[], prompt_cache_key="k"))

    def test_keys_are_short_ascii(self):
        bodies = (b'{"prompt_cache_key":"\\ud800"}', b'{"prompt":"\\ud800"}',
                  b'{"prompt":"a","model":"\\ud800"}', b'{"prompt":"b","model":"\\ud800"}',
                  b'{"prompt_cache_key":"%s"}' % (b"a" * 5000))
        keys = {prompt_key(body) for body in bodies}
        self.assertEqual(len(keys), len(bodies))
        for key in keys:
            self.assertRegex(key, "^[0-9a-f]{64}$")

    def test_strange_bodies_have_no_key(self):
        for body in (b"", b"\xff", b"[" * 100000, b"7", b"[]", b"{}", b'{"messages": 7}',
                     b'{"prompt": {"a": 1}}', b'{"prompt": []}', b'{"prompt_cache_key": 7}'):
            self.assertEqual(prompt_key(body), "", body[:20])

    def test_pages_are_merged(self):
        page = ('# HELP a x\n# TYPE a gauge\na{model="m"} 1\n# HELP b y\n# TYPE b counter\nb %d\n')
        self.assertEqual(merged({"r": page % 2, "s": page % 3}), """\
# HELP a x
# TYPE a gauge
a{replica="r",model="m"} 1
a{replica="s",model="m"} 1
# HELP b y
# TYPE b counter
b{replica="r"} 2
b{replica="s"} 3
""")


class Pending:
    """A request that Ray Serve routes."""

    def __init__(self, number, **kwargs):
        self.metadata = types.SimpleNamespace(internal_request_id=str(number))
        self.routing_context = types.SimpleNamespace()
        self.kwargs = kwargs


class RouterTest(unittest.IsolatedAsyncioTestCase):
    """Which replica gets a request."""

    def setUp(self):
        self.router = object.__new__(PrefixRouter)
        self.router.initialize_state(full=2)
        self.replicas = [types.SimpleNamespace(replica_id=ReplicaID(name)) for name in "abc"]
        self.pending = []

    async def choose(self, **kwargs):
        """Routes a request, and returns the names of replicas, the best one first."""
        self.pending.append(Pending(len(self.pending), **kwargs))
        ranked = await self.router.choose_replicas(self.replicas, self.pending[-1])
        return "".join(replica.replica_id.unique_id for replica, in ranked)

    async def places(self, count, **kwargs):
        return collections.Counter([(await self.choose(**kwargs))[0] for _ in range(count)])

    async def test_keys_keep_their_replica(self):
        for number in range(20):
            first = await self.choose(key=f"k{number}")
            self.pending.clear()
            self.assertEqual(await self.choose(key=f"k{number}"), first)
            gone, self.replicas = self.replicas, [replica for replica in self.replicas
                                                  if replica.replica_id.unique_id != first[0]]
            self.assertEqual(await self.choose(key=f"k{number}"), first[1:])
            self.replicas = gone
            self.pending.clear()

    async def test_keys_are_spread(self):
        places = set()
        for number in range(40):
            places.add((await self.choose(key=f"k{number}"))[0])
            self.pending.clear()
        self.assertEqual(places, set("abc"))

    async def test_requests_at_once_are_shared(self):
        """Also before Ray says that they are routed."""
        self.assertEqual(await self.places(6), {"a": 2, "b": 2, "c": 2})

    async def test_full_replicas_share_a_key(self):
        first = await self.choose(key="k")
        self.assertEqual(await self.places(5, key="k"), {first[0]: 1, first[1]: 2, first[2]: 2})
        self.assertEqual(await self.choose(key="k"), first)  # all have as many

    async def test_refused_replicas_come_last(self):
        first = await self.choose(key="k")
        await self.places(3, key="k")
        self.assertEqual((await self.choose(key="k", refused=first[1:]))[0], first[0])
        self.assertEqual(await self.choose(key="k", refused=first), first[::-1])

    async def test_ended_requests_make_room(self):
        first = await self.choose(key="k")
        await self.choose(key="k")
        for pending in self.pending:
            self.router.on_request_routed(pending, ReplicaID(first[0]), None)
        self.assertEqual((await self.choose(key="k"))[0], first[1])
        self.router.on_request_completed(ReplicaID(first[0]), "0")
        self.assertEqual((await self.choose(key="k"))[0], first[0])

    async def test_cancelled_requests_are_forgotten(self):
        first = await self.choose(key="k")
        await self.places(5, key="k")
        self.pending.clear()
        gc.collect()
        self.assertEqual(await self.places(2, key="k"), {first[0]: 2})
        self.assertEqual(len(self.router._chosen), 2)


class MessagesTest(unittest.IsolatedAsyncioTestCase):
    async def test_slow_readers_slow_applications(self):
        sent, ended = [], asyncio.Event()

        async def application(scope, receive, send):
            try:
                while len(sent) < 1000:
                    await send({"n": len(sent)})
                    sent.append(scope)
            finally:
                ended.set()

        stream = _messages(application, {}, b"")
        first = await anext(stream)
        for _ in range(100):
            await asyncio.sleep(0)
        self.assertLess(len(sent), 50)
        read = first + [message for _ in range(3) for message in await anext(stream)]
        self.assertEqual([message["n"] for message in read], list(range(len(read))))
        self.assertFalse(ended.is_set())
        await stream.aclose()
        await asyncio.wait_for(ended.wait(), 60)

    async def test_errors_come_last(self):
        async def application(scope, receive, send):
            await send(START)
            raise ValueError(scope["path"])

        stream = _messages(application, {"path": "/a"}, b"")
        self.assertEqual(await anext(stream), [START])
        with self.assertRaisesRegex(ValueError, "/a"):
            await anext(stream)


class Replicas:
    """A handle: each call yields `lists` of messages, raises `error`, or else waits for ever. The
    first calls yield a refusal, each from one of the replicas `full`."""

    def __init__(self, *lists, error=None, pages=(), full=()):
        self.lists, self.error, self.pages, self.full = lists, error, pages, full
        self.calls, self.cancelled = [], asyncio.Event()
        self.waits = not lists or lists[-1][-1].get("more_body", False)

    def options(self, **options):
        assert options == {"stream": True, "method_name": "respond"}
        return self

    def remote(self, scope, body, key, refused):
        self.calls.append((scope, body, key, refused))
        return self

    def cancel(self):
        self.cancelled.set()

    async def __aiter__(self):
        if len(self.calls) <= len(self.full):
            yield self.full[len(self.calls) - 1], [REFUSED, BODY]
            return
        for messages in self.lists:
            yield "r", messages
        if self.error:
            raise self.error
        if self.waits:
            await asyncio.Event().wait()

    def broadcast(self, method, scope):
        assert method == "metrics" and scope["path"] == "/metrics"
        return self

    async def results_async(self):
        if self.error:
            raise self.error
        return self.pages


async def ask(replicas, body=b"{}", path="/v1/completions", leaves=False):
    """Returns the messages that the client gets."""
    received = [{"type": "http.request", "body": body[:1], "more_body": True},
                {"type": "http.request", "body": body[1:]}]
    sent = []

    async def receive():
        if received:
            return received.pop(0)
        if not leaves:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET" if path == "/metrics" else "POST", "path": path,
             "headers": [], "app": object()}
    await asyncio.wait_for(Passage(replicas, 1000, 2)(scope, receive, send), 60)
    return sent


class DoorTest(unittest.IsolatedAsyncioTestCase):
    def check_refusal(self, sent, status, code):
        start, body = sent
        self.assertEqual((start["status"], json.loads(body["body"])["error"]["code"]),
                         (status, code))
        return dict(start["headers"])

    async def test_messages_pass_with_key(self):
        replicas = Replicas([START, PIECE], [BODY])
        body = b'{"prompt": "the cat"}'
        self.assertEqual(await ask(replicas, body), [START, PIECE, BODY])
        (scope, passed, key, refused), = replicas.calls
        self.assertEqual((passed, key, refused), (body, prompt_key(body), ()))
        self.assertNotIn("app", scope)

    async def test_client_gone_cancels(self):
        for lists in ((), ([STREAM, PIECE],)):
            replicas = Replicas(*lists)
            await ask(replicas, leaves=True)
            await asyncio.wait_for(replicas.cancelled.wait(), 60)

    async def test_back_pressure_is_429(self):
        error = BackPressureError(num_queued_requests=1, max_queued_requests=1)
        headers = self.check_refusal(await ask(Replicas(error=error)), 429, "queue_full")
        self.assertEqual(headers[b"retry-after"], b"1")

    async def test_refused_requests_go_elsewhere(self):
        replicas = Replicas([START, BODY], full=["r"])
        self.assertEqual(await ask(replicas), [START, BODY])
        self.assertEqual([call[3] for call in replicas.calls], [(), ("r",)])

    async def test_all_full_is_429(self):
        replicas = Replicas([START, BODY], full=["r", "s"])
        self.assertEqual(await ask(replicas), [REFUSED, BODY])
        self.assertEqual(len(replicas.calls), 2)

    async def test_lost_replica_is_503(self):
        self.check_refusal(await ask(Replicas(error=RayError("lost"))), 503, "stopped")

    async def test_broken_stream_has_error(self):
        sent = await ask(Replicas([STREAM, PIECE], error=RayError("lost")))
        self.assertEqual(sent[:2], [STREAM, PIECE])
        event, = sent[2:]
        self.assertFalse(event.get("more_body", False))
        text = event["body"].decode()
        self.assertTrue(text.startswith("data: ") and text.endswith("\n\n"))
        self.assertEqual(json.loads(text.removeprefix("data: "))["error"]["code"], "stopped")

    async def test_broken_response_has_no_end(self):
        with self.assertRaisesRegex(Exception, "lost"):
            await ask(Replicas([START, PIECE], error=RayError("lost")))

    async def test_large_bodies_are_413(self):
        replicas = Replicas()
        self.check_refusal(await ask(replicas, b"a" * 1001), 413, "body_too_large")
        self.assertEqual(replicas.calls, [])

    async def test_metrics_name_the_replicas(self):
        sent = await ask(Replicas(pages=[("r", [START, BODY]), ("s", [START, PIECE, BODY])]),
                         path="/metrics")
        self.assertEqual(sent[1]["body"], b'a{replica="r"} 1\na{replica="s"} 1\n' +
                         b'a{replica="s"} 1\n')
        self.assertIn((b"content-length", b"%d" % len(sent[1]["body"])), sent[0]["headers"])

    async def test_metrics_without_replicas_503(self):
        for error in (None, RayError("lost"), DeploymentUnavailableError(None),
                      BackPressureError(num_queued_requests=1, max_queued_requests=1)):
            sent = await ask(Replicas(error=error), path="/metrics")
            self.check_refusal(sent, 503, "stopped")

    async def test_refused_metrics_stay_refused(self):
        refused = {**START, "status": 403}
        sent = await ask(Replicas(pages=[("r", [refused, BODY])]), path="/metrics")
        self.assertEqual(sent, [refused, BODY])


if __name__ == "__main__":
    unittest.main()
