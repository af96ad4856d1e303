"""The door of a server on Ray: it reads requests, and passes them to the replicas."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Sequence

from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from libgemma._access import Receive, Scope, Send
from libgemma.ray.metrics import merged
from libgemma.ray.routing import prompt_key

# The parts of an ASGI scope that a replica reads.
_SCOPE = ("type", "asgi", "http_version", "method", "scheme", "path", "raw_path", "query_string",
          "root_path", "headers", "client", "server")


class Passage:
    """An ASGI application that passes requests to the replicas, and responses back.

    replica: the handle of libgemma.ray.serve.Replica.
    max_body: the most bytes of a request's body.
    replicas: how many there are.
    """

    def __init__(self, replica: Any, max_body: int, replicas: int) -> None:
        self._replica = replica.options(stream=True, method_name="respond")
        self._max_body = max_body
        self._replicas = replicas

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await self._answer_http(scope, receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _answer_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        out = _Out(send)
        try:
            body = await self._body(receive)
            passing = asyncio.ensure_future(self._pass(scope, body, out))
            leaving = asyncio.ensure_future(_left(receive))
            try:
                await asyncio.wait((passing, leaving), return_when=asyncio.FIRST_COMPLETED)
                if passing.done():
                    passing.result()
            finally:
                leaving.cancel()
                passing.cancel()
        except _Refusal as refusal:
            await out.refuse(refusal)
        except _Gone:
            pass

    async def _body(self, receive: Receive) -> bytes:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            body += message.get("body", b"")
            if len(body) > self._max_body:
                raise _Refusal(413, f"the body has more than {self._max_body} bytes",
                               "body_too_large")
            if not message.get("more_body", False):
                return bytes(body)

    async def _pass(self, scope: Scope, body: bytes, out: _Out) -> None:
        scope = {name: scope[name] for name in _SCOPE if name in scope}
        if scope["path"] == "/metrics":
            await self._pass_metrics(scope, out)
            return
        key = prompt_key(body)
        refused: list[str] = []
        while len(refused) < self._replicas:
            is_last = len(refused) + 1 == self._replicas
            name = await self._pass_once(scope, body, key, refused, is_last, out)
            if name is None:
                return
            refused.append(name)

    async def _pass_once(self, scope: Scope, body: bytes, key: str, refused: Sequence[str],
                         is_last: bool, out: _Out) -> str | None:
        """Passes a request to a replica that has not refused it. If the replica has no room, and
        the request may go to another one, returns the name of the replica."""
        stream = self._replica.remote(scope, body, key=key, refused=tuple(refused))
        try:
            async for name, messages in stream:
                if messages[0].get("status") == 429 and not is_last:
                    stream.cancel()
                    return str(name)
                for message in messages:
                    await out.send(message)
        except BackPressureError as error:
            raise _Refusal(429, "no replica takes more requests", "queue_full") from error
        except (RayError, DeploymentUnavailableError) as error:
            raise _Refusal(503, "the replica was lost; send the request again",
                           "stopped") from error
        except asyncio.CancelledError:
            stream.cancel()
            raise
        return None

    async def _pass_metrics(self, scope: Scope, out: _Out) -> None:
        try:
            responses = await self._replica.broadcast("metrics", scope).results_async()
        except (RayError, BackPressureError, DeploymentUnavailableError) as error:
            raise _Refusal(503, "a replica was lost", "stopped") from error
        if not responses:
            raise _Refusal(503, "no replica runs", "stopped")
        pages = {}
        for name, (start, *rest) in responses:
            if start["status"] != 200 or scope["method"] != "GET":
                for message in (start, *rest):
                    await out.send(message)
                return
            pages[name] = b"".join(message["body"] for message in rest).decode()
        page = merged(pages).encode()
        headers = [header for header in start["headers"] if header[0] != b"content-length"]
        await out.send({"type": "http.response.start", "status": 200,
                        "headers": [*headers, (b"content-length", b"%d" % len(page))]})
        await out.send({"type": "http.response.body", "body": page})


class _Refusal(Exception):
    """Why the door answers a request itself: a status, a message, and a word for programs."""

    def __init__(self, status: int, message: str, code: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code

    def body(self) -> bytes:
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        error = {"message": str(self), "type": kind, "param": None, "code": self.code}
        return json.dumps({"error": error}, separators=(",", ":")).encode()


class _Gone(Exception):
    """The client has left."""


class _Out:
    """The response to a client."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun = self._streams = self._ended = False

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._begun = True
            self._streams = any(value.startswith(b"text/event-stream")
                                for _, value in message["headers"])
        else:
            self._ended = not message.get("more_body", False)
        await self._send(message)

    async def refuse(self, refusal: _Refusal) -> None:
        """Ends the response with an error: its own status, or the last event of a stream."""
        body = refusal.body()
        if not self._begun:
            headers = [(b"content-type", b"application/json"),
                       (b"content-length", b"%d" % len(body))]
            if refusal.status in (429, 503):
                headers.append((b"retry-after", b"1"))
            await self._send({"type": "http.response.start", "status": refusal.status,
                              "headers": headers})
            await self._send({"type": "http.response.body", "body": body})
        elif self._streams and not self._ended:
            await self._send({"type": "http.response.body", "body": b"data: " + body + b"\n\n"})
        elif not self._ended:
            raise refusal


async def _live(receive: Receive, send: Send) -> None:
    """Answers the events of an ASGI server's life."""
    while True:
        event = (await receive())["type"]
        await send({"type": event + ".complete"})
        if event == "lifespan.shutdown":
            return


async def _left(receive: Receive) -> None:
    """Waits until the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass
