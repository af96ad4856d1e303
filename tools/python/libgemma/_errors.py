"""The exceptions of libgemma. Their messages name the field, what was found and what was wanted."""

from __future__ import annotations

from typing import Any


class GemmaError(Exception):
    """An error of the library.

    code: the name of the status, for example "INVALID_ARGUMENT".
    reason: more detail for programs, for example "NOT_A_MODEL", or "".
    """

    code = "UNKNOWN"
    # Of errors of OpenAI's API: HTTP's status, and the dictionary of the response.
    status: int
    error: dict[str, Any]

    def __init__(self, message: str = "", code: str | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.reason = reason

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.message, self.code, self.reason))


class InvalidArgumentError(GemmaError, ValueError):
    """An argument, an option or a file is wrong."""

    code = "INVALID_ARGUMENT"


class NotFoundError(GemmaError, FileNotFoundError):
    """A file, or what a name stands for, does not exist."""

    code = "NOT_FOUND"


class OutOfRangeError(GemmaError, ValueError):
    """A text or a position does not fit, for example into the context."""

    code = "OUT_OF_RANGE"


class ResourceExhaustedError(GemmaError, MemoryError):
    """Memory, a queue or another resource is full."""

    code = "RESOURCE_EXHAUSTED"


class FailedPreconditionError(GemmaError, RuntimeError):
    """The object cannot do this, or not now."""

    code = "FAILED_PRECONDITION"


class UnimplementedError(GemmaError, NotImplementedError):
    """The library does not know how to do this."""

    code = "UNIMPLEMENTED"


class DataLossError(GemmaError, ValueError):
    """A file is damaged, or a number is not finite."""

    code = "DATA_LOSS"


class PermissionDeniedError(GemmaError, PermissionError):
    """The system does not allow it."""

    code = "PERMISSION_DENIED"


_CLASSES: dict[str, type[GemmaError]] = {error.code: error
                                         for error in GemmaError.__subclasses__()}


def make_error(code: str, message: str, reason: str = "") -> GemmaError:
    """Returns the exception of a status; codes without a class of their own give a GemmaError."""
    return _CLASSES.get(code, GemmaError)(message, code, reason)
