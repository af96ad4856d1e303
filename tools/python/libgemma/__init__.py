"""Runs Google's Gemma models on the CPU."""

from libgemma._core import __version__
from libgemma._errors import (DataLossError, FailedPreconditionError, GemmaError,
                              InvalidArgumentError, NotFoundError, OutOfRangeError,
                              PermissionDeniedError, ResourceExhaustedError, UnimplementedError)
from libgemma._llm import LLM
from libgemma._options import AnswerOptions
from libgemma._results import (Completion, Piece, Times, TokenLogprob, TokenProbability, ToolCall,
                               ToolCallPiece)
from libgemma._streams import AsyncStream, Stream
from libgemma.llama import Llama

__all__ = [
    "LLM",
    "Llama",
    "AnswerOptions",
    "AsyncStream",
    "Completion",
    "DataLossError",
    "FailedPreconditionError",
    "GemmaError",
    "InvalidArgumentError",
    "NotFoundError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "Piece",
    "ResourceExhaustedError",
    "Stream",
    "Times",
    "TokenLogprob",
    "TokenProbability",
    "ToolCall",
    "ToolCallPiece",
    "UnimplementedError",
    "__version__",
]
