"""A server of OpenAI's API on Ray Serve: replicas of one model on many nodes.

    from ray import serve
    import libgemma.ray.serve

    serve.run(libgemma.ray.serve.app("model.gguf", replicas=4, cpus=16))

It has the routes of libgemma.asgi, on the port of Ray's proxies (8000). Requests pass a door, a
small deployment that reads the beginning of a prompt, and so finds the replica that has read it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any, AsyncGenerator, Mapping, Sequence

from libgemma._access import Receive, Scope, Send
from libgemma.asgi import App, asgi

try:
    from ray import serve
    from ray.serve.config import RequestRouterConfig
except ImportError as error:
    raise ImportError(
        f'libgemma.ray.serve needs Ray: pip install "ray[serve]" ({error})') from error

from libgemma.ray.door import Passage

# Requests of a replica besides those that run and wait: /health, /metrics and the like, which never
# wait.
_SPARE = 64


def app(path: str | os.PathLike[str], *, name: str | None = None, replicas: int = 1, cpus: int = 1,
        sequences: int = 8, max_queued: int = 64, max_body: int = 8 << 20, doors: int = 1,
        **options: Any) -> Any:
    """Returns an application for serve.run.

    path: a model's file on each node, or the name of a model that each node has pulled.
    name: of the model in requests; by default as `gemma serve` names it.
    replicas: processes with the model. One for a node is best, because it computes for all of its
        requests together.
    cpus: CPUs of a replica, which are its threads, too.
    sequences: requests of a replica that run at the same time.
    max_queued: requests of a replica that wait. If no replica has room, further ones get status
        429, with `retry-after`. Limits of one client hold for each replica.
    max_body: the most bytes of a request's body.
    doors: processes that pass requests on.
    options: those of libgemma.asgi.asgi and of LLM.

    A client that leaves ends its request, wherever that is. Requests with the same
    prompt_cache_key, or the same beginning, go to one replica, unless it has `sequences` requests
    already.
    """
    options |= {"sequences": sequences, "max_queued": max_queued, "max_body": max_body}
    options.setdefault("threads", cpus)
    model = path if name is None else {name: path}
    replica = serve.deployment(
        Replica, name="Replica", num_replicas=replicas, ray_actor_options={"num_cpus": cpus},
        max_ongoing_requests=sequences + max_queued + _SPARE, max_queued_requests=_SPARE,
        health_check_period_s=5, request_router_config=RequestRouterConfig(
            request_router_class="libgemma.ray.routing.PrefixRouter",
            request_router_kwargs={"full": sequences}))
    # A door has a request as long as the answer takes, and does little. Replicas limit requests.
    door = serve.deployment(
        Door, name="Door", num_replicas=doors, ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=replicas * (sequences + max_queued) + 4 * _SPARE)
    return door.bind(replica.bind(model, options), max_body, replicas)


class Replica:
    """A deployment: a process with the model."""

    def __init__(self, model: Any, options: Mapping[str, Any]) -> None:
        self._app = asgi(model, **options)
        self._name = serve.get_replica_context().replica_tag
        self._app.open().result()

    def __del__(self) -> None:
        if hasattr(self, "_app"):
            self._app.close()

    async def respond(self, scope: Scope, body: bytes, key: str = "",
                      refused: Sequence[str] = ()) -> AsyncGenerator[tuple[str, list[Any]], None]:
        """Yields lists of the ASGI messages of a response, each with the name of this replica.
        Closing the generator ends the request.

        key, refused: for PrefixRouter.
        """
        del key, refused
        async with contextlib.aclosing(_messages(self._app, scope, body)) as messages:
            async for some in messages:
                yield self._name, some

    async def metrics(self, scope: Scope) -> tuple[str, list[Any]]:
        """Returns the name of this replica, and the ASGI messages of a response to GET /metrics."""
        messages: list[Any] = []
        async for some in _messages(self._app, scope, b""):
            messages += some
        return self._name, messages


async def _messages(application: App, scope: Scope,
                    body: bytes) -> AsyncGenerator[list[Any], None]:
    """Yields lists of the ASGI messages with which an application responds. Closing the generator
    ends the request."""
    sent: asyncio.Queue[Any] = asyncio.Queue(16)  # a reader that is slow slows the application
    received = False

    async def receive() -> dict[str, Any]:
        nonlocal received
        if received:
            await asyncio.Event().wait()  # a client that leaves closes the generator
        received = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def run() -> None:
        try:
            await application(scope, receive, sent.put)
        except Exception:
            await sent.put(None)
            raise
        await sent.put(None)  # not after a cancellation, when nobody reads

    running = asyncio.ensure_future(run())
    try:
        ended = False
        while not ended:
            messages = [await sent.get()]
            while not sent.empty():
                messages.append(sent.get_nowait())
            ended = messages[-1] is None
            if messages[0] is not None:
                yield [message for message in messages if message is not None]
        await running
    finally:
        running.cancel()


@serve.ingress()
class Door:
    """A deployment: passes requests to the replicas, and responses back."""

    def __init__(self, replica: Any, max_body: int, replicas: int) -> None:
        self._passage = Passage(replica, max_body, replicas)

    def __serve_build_asgi_app__(self) -> Any:
        # Ray wants a function.
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await self._passage(scope, receive, send)

        return answer
