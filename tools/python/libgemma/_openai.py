"""OpenAI's requests and responses as dictionaries, answered in this process."""

from __future__ import annotations

import json
import threading
from typing import Any, Iterable, Iterator, Sequence

from libgemma import _core, _errors
from libgemma._base import Base
from libgemma._serving import Serving

# Nobody else waits for this process's memory: only what an answer may hold limits it.
_NO_LIMIT = 1 << 40
_HEADERS = [(b"content-type", b"application/json")]
_CODES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 413: "INVALID_ARGUMENT",
          429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}
_STATUSES = {"invalid_request_error": 400, "rate_limit_error": 429}  # of errors in streams


class OpenAIMixin(Base):
    """The methods of LLM with OpenAI's dictionaries: the same fields, answers and errors as those
    of `gemma serve`. The page of the server lists them.

    They share the model with the other methods, and have an engine of their own, made at the first
    call: `memory` limits the two together, `reuse_bytes` each of them.
    """

    _openai: Serving | None = None  # once a method was called

    def create_chat_completion(self, messages: Sequence[Any], *, stream: bool | None = False,
                               **fields: Any) -> Any:
        """Answers a chat, as POST /v1/chat/completions does.

        messages: a list of dictionaries with "role" and "content".
        fields: the others of the route, such as max_tokens, temperature, seed, tools,
            response_format, logprobs, n.
        Returns the response as a dictionary; with stream, an iterator of its chunks, which may be
        closed to end the answer. Raises GemmaError, with the server's message and, as `error`, its
        dictionary; an unknown field is an error.
        """
        return self._ask_openai("/v1/chat/completions", stream, {"messages": messages, **fields})

    def create_completion(self, prompt: str | Sequence[Any], *, stream: bool | None = False,
                          **fields: Any) -> Any:
        """Continues a text or texts, as POST /v1/completions does.

        prompt: a text, a list of tokens, or a list of these. Else like create_chat_completion.
        """
        return self._ask_openai("/v1/completions", stream, {"prompt": prompt, **fields})

    def create_embedding(
            self, input: str | Sequence[Any],  # pylint: disable=redefined-builtin
            **fields: Any) -> Any:
        """Turns texts into vectors, as POST /v1/embeddings does. Needs a model that embeds.

        input: a text, a list of tokens, or a list of these.
        Returns the response as a dictionary: vectors are at data[i]["embedding"].
        """
        return self._ask_openai("/v1/embeddings", False, {"input": input, **fields})

    def _ask_openai(self, path: str, stream: bool | None, fields: dict[str, Any]) -> Any:
        if stream not in (False, True, None):
            raise TypeError(f"stream is {stream!r}, wanted True or False")
        if stream:
            fields["stream"] = True
        call = Call(self._openai_server(), path, fields)
        return call.events() if stream else call.response()

    def _openai_lock(self) -> threading.Lock:
        lock: threading.Lock = self.__dict__.setdefault("_lock_of_openai", threading.Lock())
        return lock

    def _openai_server(self) -> Serving:
        with self._openai_lock():
            if self._openai is None:
                self._check_open()
                this: Any = self
                serving = Serving(this, max_queued=1 << 20, max_queued_per_client=1 << 20,
                                  max_body_bytes=1 << 30, max_stream_bytes=_NO_LIMIT,
                                  max_waiting_bytes=_NO_LIMIT, max_response_bytes=_NO_LIMIT)
                serving.open()
                serving._models = ()  # not this object, which would then keep itself
                self._openai = serving
            return self._openai

    def _close_openai(self) -> None:
        with self._openai_lock():
            serving, self._openai = self._openai, None
        if serving is not None:
            serving.close()


class Call:
    """One request to a Serving. Closing or deleting it ends the request.

    inbox, tag: what announces output; by default an inbox of its own.
    """

    def __init__(self, serving: Serving, path: str, fields: dict[str, Any],
                 inbox: _core.Inbox | None = None, tag: int = 0) -> None:
        body = json.dumps(fields, allow_nan=False, default=_refuse).encode()
        self._serving = serving  # stays until the call ends
        self._inbox = inbox or _core.Inbox(False)
        self._exchange = serving.handle(b"POST", path.encode(), _HEADERS, body, "", self._inbox,
                                        tag)
        self._status = 0
        self._is_stream = False
        self._ended = False

    def close(self) -> None:
        self._exchange.close()

    def _take(self) -> bytes:
        """Returns the next bytes of the body."""
        body: bytes
        head, body, self._ended = self._exchange.take()
        if head is not None:
            self._status, _, self._is_stream = head
        return body

    def poll(self) -> Any:
        """Returns the JSON of the response if it is complete, else None."""
        body = self._take()
        if not self._ended:
            return None
        value = json.loads(body)  # only streams come in pieces
        if self._status >= 400:
            raise api_error(self._status, value)
        return value

    def response(self) -> Any:
        """Waits for the response and returns its JSON."""
        try:
            while True:
                self._inbox.wait()
                value = self.poll()
                if value is not None:
                    return value
        finally:
            self.close()

    def events(self) -> Iterator[dict[str, Any]]:
        """Returns an iterator of the chunks of a stream. Raises an error that is known at once."""
        body = self._take()
        if self._status >= 400:
            raise api_error(self._status, json.loads(body))
        return self._events(body)

    def _events(self, body: bytes) -> Iterator[dict[str, Any]]:
        try:
            while True:
                if body and not self._is_stream:
                    raise api_error(self._status, json.loads(body))
                for event in body.split(b"\n\n"):
                    if event.startswith(b"data: ") and event != b"data: [DONE]":
                        yield _checked(json.loads(event[6:]))
                if self._ended:
                    return
                self._inbox.wait()
                body = self._take()
        finally:
            self.close()


def _refuse(value: Any) -> Any:
    """Raises the error of a value that JSON has no form for."""
    if isinstance(value, _core.InputRows):
        raise _errors.InvalidArgumentError("OpenAI's requests cannot have InputRows; generate and "
                                           "stream of LLM take them")
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _checked(event: dict[str, Any]) -> dict[str, Any]:
    """Returns an event of a stream, or raises the error that it is."""
    if "error" in event:
        raise api_error(_STATUSES.get(event["error"]["type"], 500), event)
    return event


def ask_all(serving: Serving, path: str, requests: Iterable[dict[str, Any]],
            ahead: int) -> Iterator[tuple[int, Any]]:
    """Gives (index, response) of many requests, as they end; `ahead` of them run or wait.

    If one fails, its error is raised and the others are cancelled.
    """
    inbox = _core.Inbox(False)
    following = enumerate(requests)
    running: dict[int, Call] = {}
    try:
        while True:
            while len(running) < ahead:
                index, fields = next(following, (None, None))
                if index is None or fields is None:
                    break
                running[index] = Call(serving, path, fields, inbox, index)
            if not running:
                return
            for tag in inbox.wait():
                value = running[tag].poll() if tag in running else None
                if value is not None:
                    del running[tag]
                    yield tag, value
    finally:
        for call in running.values():
            call.close()


def api_error(status: int, value: dict[str, Any]) -> _errors.GemmaError:
    """Returns the exception of an error response. `status` is HTTP's; `error` the dictionary."""
    error = value["error"]
    exception = _errors.make_error(_CODES.get(status, "INTERNAL"), error["message"], "")
    exception.status = status
    exception.error = error
    return exception
