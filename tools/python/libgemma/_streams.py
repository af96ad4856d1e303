"""Answers that arrive in parts."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from typing import Any, Callable, Iterator

from libgemma import _core
from libgemma._results import Completion, Piece, make_completion, make_piece

# Submits a request: (inbox, tag) -> (answer, seed).
Submit = Callable[[_core.Inbox, int], "tuple[_core.Answer, int]"]


class Stream:
    """Iterates over the text of an answer as it comes. Closing it, also by garbage collection,
    cancels the request.

    completion: the whole answer, once the stream has ended; else None.
    """

    def __init__(self, submit: Submit):
        self.completion: Completion | None = None
        self._pieces: deque[Piece] = deque()
        self._inbox = _core.Inbox(False)
        self._answer: _core.Answer | None = None
        self._answer, self._seed = submit(self._inbox, 0)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while True:
            piece = self._next_piece()
            if piece.text:
                return piece.text

    def pieces(self) -> Iterator[Piece]:
        """Iterates over all that comes: text, thoughts, calls, and at the end the completion."""
        while True:
            try:
                yield self._next_piece()
            except StopIteration:
                return

    def _next_piece(self) -> Piece:
        while not self._pieces:
            if self._answer is None:
                raise StopIteration
            try:
                self._inbox.wait()
                self._take()
            except BaseException:
                self.close()
                raise
        return self._pieces.popleft()

    def _take(self) -> None:
        answer = self._answer
        if answer is None:  # another thread closed the stream
            return
        # In this order: nothing comes after the end.
        done = answer.done
        self._pieces.extend(map(make_piece, answer.take()))
        if done:
            self.completion = make_completion(answer.result(), self._seed)
            self._pieces.append(Piece(completion=self.completion))
            self._answer = None

    def close(self) -> None:
        """Cancels the request if it runs. The stream then has ended."""
        answer, self._answer = self._answer, None
        self._pieces.clear()
        if answer is not None:
            answer.cancel()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _LoopInbox:
    """The requests of an event loop. The engine wakes the loop by one descriptor."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._loop = weakref.ref(loop)
        self._inbox = _core.Inbox(True)
        self._wakers: dict[int, Callable[[], bool]] = {}
        self._next_tag = 0

    def submit(self, submit: Submit, wake: Callable[[], bool]) -> "tuple[int, _core.Answer, int]":
        """Submits a request, and returns also its tag. `wake` is called when it has news, until it
        returns False: nobody wants them any more."""
        tag = self._next_tag
        answer, seed = submit(self._inbox, tag)
        self._next_tag += 1
        if not self._wakers:
            asyncio.get_running_loop().add_reader(self._inbox.fileno(), self._read)
        self._wakers[tag] = wake
        return tag, answer, seed

    def forget(self, tag: int) -> None:
        """Nobody wants news of the request any more."""
        if self._wakers.pop(tag, None) is None or self._wakers:
            return
        loop = self._loop()
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self._inbox.fileno())

    def _read(self) -> None:
        for tag in self._inbox.take():
            wake = self._wakers.get(tag)
            if wake is not None and not wake():
                self.forget(tag)


_loops: "weakref.WeakKeyDictionary[Any, _LoopInbox]" = weakref.WeakKeyDictionary()


def _running_inbox() -> _LoopInbox:
    loop = asyncio.get_running_loop()
    inbox = _loops.get(loop)
    if inbox is None:
        inbox = _loops[loop] = _LoopInbox(loop)
    return inbox


class AsyncStream:
    """Iterates over an answer as it comes, in an event loop. Closing it, also by garbage collection
    or by cancelling the task that waits for it, cancels the request.

    completion: the whole answer, once the stream has ended; else None.
    """

    def __init__(self, submit: Submit):
        self.completion: Completion | None = None
        self._pieces: deque[Piece] = deque()
        self._news: asyncio.Future[None] | None = None
        self._answer: _core.Answer | None = None
        self._inbox = _running_inbox()
        # The loop knows a stream weakly, so that one that nobody holds ends.
        this = weakref.ref(self)

        def wake() -> bool:
            stream = this()
            return stream is not None and stream._wake()

        self._tag, self._answer, self._seed = self._inbox.submit(submit, wake)

    def _wake(self) -> bool:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
        return True

    def __aiter__(self) -> "AsyncStream":
        return self

    async def __anext__(self) -> Piece:
        if self._news is not None:
            raise RuntimeError("another task waits for the next piece of this stream")
        try:
            while not self._pieces:
                if self._answer is None:
                    raise StopAsyncIteration
                self._take()
                if not self._pieces:
                    self._news = asyncio.get_running_loop().create_future()
                    await self._news
                    self._news = None
        except StopAsyncIteration:
            raise
        except BaseException:
            self._news = None
            self.close()
            raise
        return self._pieces.popleft()

    def _take(self) -> None:
        answer = self._answer
        assert answer is not None  # the caller has looked
        done = answer.done
        self._pieces.extend(map(make_piece, answer.take()))
        if done:
            self.completion = make_completion(answer.result(), self._seed)
            self._pieces.append(Piece(completion=self.completion))
            self._end()

    def _end(self) -> "_core.Answer | None":
        answer, self._answer = self._answer, None
        if answer is not None:
            self._inbox.forget(self._tag)
        return answer

    def close(self) -> None:
        """Cancels the request if it runs. The stream then has ended."""
        self._pieces.clear()
        answer = self._end()
        if answer is not None:
            answer.cancel()
        self._wake()  # a task that waits for the next piece

    async def aclose(self) -> None:
        """As close."""
        self.close()

    async def __aenter__(self) -> "AsyncStream":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


async def complete(submit: Submit) -> Completion:
    """Waits for a whole answer. Cancelling the task cancels the request."""
    inbox = _running_inbox()
    ended = asyncio.get_running_loop().create_future()

    def wake() -> bool:
        if not ended.done():
            ended.set_result(None)
        return True

    tag, answer, seed = inbox.submit(submit, wake)
    try:
        await ended
        return make_completion(answer.result(), seed)
    finally:
        inbox.forget(tag)
        answer.cancel()
