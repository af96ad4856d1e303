"""Times of the responses of an ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Iterator

from libgemma import _core


class SlowReader(Exception):
    """The client reads nothing of its response."""


class Timer:
    """Adds comments to a stream that is silent, and ends a write that takes too long."""

    def __init__(self, exchange: _core.Exchange, ping: float, write_timeout: float) -> None:
        self._exchange = exchange
        self._ping = ping
        self._write_timeout = write_timeout
        self._loop = asyncio.get_running_loop()
        self._task: Any = asyncio.current_task()
        self._last = self._loop.time()  # when the last write ended, or the pending one began
        self._is_writing = False
        self._is_slow = False
        self._set()

    def _set(self) -> None:
        self._handle = self._loop.call_later(min(self._ping, self._write_timeout) / 4,
                                             self._on_time)

    def _on_time(self) -> None:
        passed = self._loop.time() - self._last
        if self._is_writing and passed >= self._write_timeout:
            self._is_slow = True
            self._task.cancel()
            return
        if not self._is_writing and passed >= self._ping:
            self._exchange.ping()
            self._last = self._loop.time()
        self._set()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """The time of a write."""
        self._last = self._loop.time()
        self._is_writing = True
        try:
            yield
        except asyncio.CancelledError:
            if not self._is_slow:
                raise
            if hasattr(self._task, "uncancel"):  # from Python 3.11
                self._task.uncancel()
            raise SlowReader from None
        finally:
            self._is_writing = False
            self._last = self._loop.time()

    def end(self) -> None:
        self._handle.cancel()
