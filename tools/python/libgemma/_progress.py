"""Shows how far long work is."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Callable, Union

from libgemma._errors import InvalidArgumentError

ProgressOption = Union[None, bool, Callable[[int, int], Any]]


class Progress:
    """A function of (done, total) that shows them, and a context manager that ends the display.

    option: None or False shows nothing. True shows a bar if tqdm is installed, else a line on
        standard error if that is a terminal. A function is called with done and total.
    label: what is done, for example "loading".
    unit: "B" for bytes.
    """

    def __init__(self, option: ProgressOption, label: str, unit: str):
        if option is not None and not isinstance(option, bool) and not callable(option):
            raise InvalidArgumentError(
                f"progress is {option!r:.100}, wanted True, False, None or a function")
        self._call = option if callable(option) else None
        self._label = label
        self._unit = unit
        self._bar: Any = None
        self._tqdm: Any = None
        self._line = False
        if option is not True:
            return
        try:
            tqdm = importlib.import_module("tqdm.auto").tqdm
        except ImportError:
            self._line = sys.stderr is not None and sys.stderr.isatty()
        else:
            self._tqdm = tqdm

    @property
    def function(self) -> Callable[[int, int], Any] | None:
        """What to call, or None if nobody looks."""
        shows = self._call or self._tqdm or self._line
        return self._show if shows else None

    def _show(self, done: int, total: int) -> None:
        if self._call is not None:
            self._call(done, total)
        elif self._tqdm is not None:
            if self._bar is None:
                self._bar = self._tqdm(total=total, desc=self._label, unit=self._unit,
                                       unit_scale=self._unit == "B")
            self._bar.update(done - self._bar.n)
        elif total:
            sys.stderr.write(f"\r{self._label} {100 * done // total} %")
            sys.stderr.flush()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._line:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
