"""The server of OpenAI's API as an ASGI application, for uvicorn, hypercorn and other servers.

    # server.py; then: uvicorn server:app
    from libgemma.asgi import asgi
    app = asgi("gemma-3-1b-it-q4")

It has the routes of `gemma serve`, except the chat page, and answers with the same bytes. The ASGI
server owns sockets: TLS, limits of connections and of heads, and times between requests are its
settings. The application does the rest: it checks hosts, keys, web pages and content types, bounds
bodies, ends the request of a client that leaves, and never lets a slow reader wait in memory
without a bound.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import logging
import os
import threading
import weakref
from typing import Any, Callable, Iterable, Iterator, Mapping

from libgemma import _core
from libgemma._access import (Access, Headers, Problem, Receive, Request, Scope, Send,
                              read_keys)
from libgemma._errors import FailedPreconditionError, ResourceExhaustedError
from libgemma._serving import ServedModels, Serving
from libgemma._timer import SlowReader, Timer

__all__ = ["App", "asgi"]

_log = logging.getLogger("libgemma.asgi")
_BODIES = 32  # bodies of the largest size that may arrive at the same time
_FIXED_HEADERS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))


def asgi(model: ServedModels, *, api_keys: Iterable[str] = (),
         api_key_file: str | os.PathLike[str] | None = None, no_auth: bool = False,
         allow_hosts: Iterable[str] = (), cors: Iterable[str] = (), max_body: int = 8 << 20,
         body_timeout: float = 60, write_timeout: float = 30, ping: float = 15,
         **options: Any) -> App:
    """Returns an ASGI 3 application that serves a model.

    model: an LLM, the path or name of a model, or a dictionary of names to these. A path is loaded
        when the server starts, in each of its processes, and closed when it ends.
    api_keys, api_key_file: keys, or a file with one a line, of which a request must have one, as
        "Authorization: Bearer KEY". Without keys, only requests from this machine are answered:
        of a loopback address, or a Unix socket that the server tells of (hypercorn does not).
    no_auth: without keys, answer all machines.
    allow_hosts: further names under which clients reach the server; "*": any.
    cors: origins whose web pages may use the server, as "https://example.com"; "*": all.
    max_body: the most bytes of a request's body.
    body_timeout: seconds in which a body must arrive.
    write_timeout: seconds in which a client may read nothing; then its request ends.
    ping: seconds without an event after which a stream gets a comment.
    options: those of Serving: limits of the server, a guard; and those of LLM for paths.

    The application answers 503 until its models are loaded, and after `drain`. It is picklable:
    with paths, each process loads the models for itself.
    """
    if api_key_file is not None and api_keys:
        raise ValueError("api_keys and api_key_file are both set, wanted one of them")
    keys = read_keys(api_key_file) if api_key_file is not None else api_keys
    for name, value in (("max_body", max_body), ("body_timeout", body_timeout),
                        ("write_timeout", write_timeout), ("ping", ping)):
        if not value > 0:
            raise ValueError(f"{name} is {value}, wanted a number above 0")
    access = Access(keys, no_auth, allow_hosts, cors)
    return App(model, access, max_body, body_timeout, write_timeout, ping, options)


class App:
    """An ASGI 3 application; see asgi()."""

    def __init__(self, model: ServedModels, access: Access, max_body: int, body_timeout: float,
                 write_timeout: float, ping: float, options: Mapping[str, Any]) -> None:
        self._arguments = (model, access, max_body, body_timeout, write_timeout, ping, options)
        self._access = access
        self._max_body = max_body
        self._body_timeout = body_timeout
        self._write_timeout = write_timeout
        self._ping = ping
        self._body_bytes = 0  # of bodies that are arriving
        self._serving = Serving(model, max_body_bytes=max_body, **options)
        self._opening = threading.Lock()
        # Of a thread that opens the models.
        self._opened: concurrent.futures.Future[None] | None = None
        # Reading a request takes time in proportion to its size.
        self._readers = concurrent.futures.ThreadPoolExecutor(2, "libgemma-reader")
        self._loops: weakref.WeakKeyDictionary[Any, _Listener] = weakref.WeakKeyDictionary()

    def __reduce__(self) -> tuple[Any, ...]:
        return App, self._arguments

    def open(self) -> concurrent.futures.Future[None]:
        """Loads the models in the background, once. Returns a concurrent.futures.Future."""
        with self._opening:
            if self._opened is None:
                self._opened = concurrent.futures.Future()
                threading.Thread(target=self._open, args=(self._opened,), name="libgemma-open",
                                 daemon=True).start()
            return self._opened

    def _open(self, opened: concurrent.futures.Future[None]) -> None:
        try:
            self._serving.open()
        except BaseException as error:  # pylint: disable=broad-exception-caught
            _log.error("the models cannot be served: %s", error)
            opened.set_exception(error)
        else:
            opened.set_result(None)

    def drain(self) -> None:
        """From now on, answers new requests with 503. Those that run go on."""
        self._serving.drain()

    def close(self) -> None:
        """Ends all requests, and frees the models that the application loaded."""
        self._serving.close()
        self._readers.shutdown(wait=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.open()  # in case that the server or the caller has no lifespan events
            await _Response(self, Request(scope), receive, send).run()
        elif scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})
        else:
            raise ValueError(f"the scope is {scope['type']!r}, wanted 'http' or 'lifespan'")

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await asyncio.wrap_future(self.open())
                except Exception as error:  # pylint: disable=broad-exception-caught
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self.drain()
                await asyncio.get_running_loop().run_in_executor(None, self.close)
                await send({"type": "lifespan.shutdown.complete"})
                return

    @contextlib.contextmanager
    def _reserve(self) -> Iterator[Callable[[int], None]]:
        """Gives a function that counts bytes of a body until the end of the context."""
        reserved = 0

        def reserve(size: int) -> None:
            nonlocal reserved
            reserved += size
            self._body_bytes += size
            if self._body_bytes > _BODIES * self._max_body:
                raise Problem(503, "the server receives too many requests at once", "overloaded",
                              retry_seconds=1)
        try:
            yield reserve
        finally:
            self._body_bytes -= reserved

    def _listener(self) -> _Listener:
        loop = asyncio.get_running_loop()
        listener = self._loops.get(loop)
        if listener is None:
            listener = self._loops[loop] = _Listener()
        return listener


class _Listener:
    """Wakes the tasks of one event loop when their exchanges have output: once for each pass."""

    def __init__(self) -> None:
        self.inbox = _core.Inbox(True)
        self._events: dict[int, asyncio.Event] = {}
        self._last_key = 0

    def add(self) -> tuple[int, asyncio.Event]:
        """Returns a key for Server.handle, and an event that is set when the key rings."""
        if not self._events:
            asyncio.get_running_loop().add_reader(self.inbox.fileno(), self._on_readable)
        self._last_key += 1
        event = self._events[self._last_key] = asyncio.Event()
        return self._last_key, event

    def remove(self, key: int) -> None:
        del self._events[key]
        if not self._events:
            asyncio.get_running_loop().remove_reader(self.inbox.fileno())

    def _on_readable(self) -> None:
        for key in self.inbox.take():
            event = self._events.get(key)
            if event is not None:
                event.set()


class _Gone(Exception):
    """The client has left."""


class _Response:
    """One request and its response."""

    def __init__(self, app: App, request: Request, receive: Receive, send: Send) -> None:
        self._app = app
        self._request = request
        self._receive = receive
        self._send = send
        self._only_head = request.method == "HEAD"
        self._cors = app._access.cors_headers(request)
        self._loop = asyncio.get_running_loop()
        self._is_gone = False

    async def run(self) -> None:
        try:
            client = self._app._access.check(self._request)
            if self._request.method == "OPTIONS":
                await self._reply(204, [(b"allow", b"GET, HEAD, POST, OPTIONS")], b"")
                return
            with self._app._reserve() as reserve:
                body = await self._read_body(reserve)
                await self._answer(client, body)
        except Problem as problem:
            body = json.dumps(problem.error(), separators=(",", ":"), ensure_ascii=False).encode()
            await self._reply(problem.status, problem.headers(), body)
        except _Gone:
            pass

    async def _read_body(self, reserve: Callable[[int], None]) -> bytes:
        encoding = self._request.find(b"content-encoding")
        if encoding and encoding.lower() != "identity":
            raise Problem(415, "a compressed body is not read")
        size = self._request.find(b"content-length")
        most = self._app._max_body
        if size.isdecimal() and int(size) > most:
            raise Problem(413, f"the body has {size} bytes, at most {most} are read",
                          "body_too_large")
        try:
            return await asyncio.wait_for(self._receive_all(reserve, most), self._app._body_timeout)
        except asyncio.TimeoutError:
            raise Problem(408, "the request did not arrive in time") from None

    async def _receive_all(self, reserve: Callable[[int], None], most: int) -> bytes:
        body = bytearray()
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            piece = message.get("body", b"")
            reserve(len(piece))
            body += piece
            if len(body) > most:
                raise Problem(413, f"the body has more than {most} bytes", "body_too_large")
            if not message.get("more_body", False):
                return bytes(body)

    async def _answer(self, client: str, body: bytes) -> None:
        listener = self._app._listener()
        key, event = listener.add()
        exchange = None
        try:
            exchange = await self._begin(client, body, listener.inbox, key)
            watcher = self._loop.create_task(self._watch(event))
            try:
                await self._pump(exchange, event)
            finally:
                watcher.cancel()
        finally:
            listener.remove(key)
            if exchange is not None:
                exchange.close()

    async def _begin(self, client: str, body: bytes, inbox: _core.Inbox,
                     key: int) -> _core.Exchange:
        request = self._request
        method = "GET" if self._only_head else request.method
        arguments = (method.encode(), request.target, request.headers, body, client, inbox, key)
        try:
            if not body:
                return self._app._serving.handle(*arguments)
            try:
                begin = self._loop.run_in_executor(self._app._readers, self._app._serving.handle,
                                                   *arguments)
            except RuntimeError:  # the executor was shut down
                raise Problem(503, "the server has stopped", "stopped") from None
            return await asyncio.shield(begin)
        except asyncio.CancelledError:
            begin.add_done_callback(_close_exchange)
            raise
        except ResourceExhaustedError:
            raise Problem(503, "the server has no memory for this request", "overloaded",
                          retry_seconds=1) from None
        except FailedPreconditionError as error:
            raise Problem(503, str(error), "stopped") from None

    async def _watch(self, event: asyncio.Event) -> None:
        """Waits until the client leaves."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        event.set()

    async def _pump(self, exchange: _core.Exchange, event: asyncio.Event) -> None:
        """Writes what comes of the response."""
        timer = Timer(exchange, self._app._ping, self._app._write_timeout)
        status, is_stream = 0, False
        headers: Headers = []
        whole = bytearray()
        try:
            while True:
                await event.wait()
                event.clear()
                if self._is_gone:
                    raise _Gone
                head, body, ended = exchange.take()
                if head is not None:
                    status, headers, is_stream = head
                    if is_stream:
                        with timer.writing():
                            await self._begin_response(status, headers)
                if not is_stream:
                    whole += body
                    if ended:
                        with timer.writing():
                            await self._reply(status, headers, bytes(whole))
                        return
                elif body or ended:
                    with timer.writing():
                        await self._send({"type": "http.response.body", "more_body": not ended,
                                          "body": b"" if self._only_head else body})
                    if ended:
                        return
        except SlowReader:
            # The response has no end, so that the ASGI server closes the connection.
            _log.warning("the client %s reads too slowly", self._request.peer)
        finally:
            timer.end()

    async def _begin_response(self, status: int, headers: Headers) -> None:
        headers = [*headers, *self._cors]
        headers += [header for header in _FIXED_HEADERS if not _has(headers, header[0])]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _reply(self, status: int, headers: Headers, body: bytes) -> None:
        if status not in (204, 304):
            headers = [*headers, (b"content-length", str(len(body)).encode())]
        await self._begin_response(status, headers)
        await self._send({"type": "http.response.body", "body": b"" if self._only_head else body})


def _close_exchange(begun: asyncio.Future[_core.Exchange]) -> None:
    """Ends the request that an executor began for nobody."""
    if begun.exception() is None:
        begun.result().close()


def _has(headers: Headers, name: bytes) -> bool:
    return any(each == name for each, _ in headers)
