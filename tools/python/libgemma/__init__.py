"""Runs Google's Gemma models on the CPU."""

from libgemma import _core
from libgemma._core import (ChoiceScore, Classifier, Embedder, InputRows, Policy, Session,
                            SparseAutoencoder, Steer, Tap, TapSite, forward_batch,
                            shield_policies)
from libgemma._errors import (DataLossError, FailedPreconditionError, GemmaError,
                              InvalidArgumentError, NotFoundError, OutOfRangeError,
                              PermissionDeniedError, ResourceExhaustedError, UnimplementedError)
from libgemma._files import inspect, quantize
from libgemma._llm import LLM
from libgemma._options import AnswerOptions
from libgemma._results import (Completion, Piece, Times, TokenLogprob, TokenProbability, ToolCall,
                               ToolCallPiece)
from libgemma._streams import AsyncStream, Stream
from libgemma.llama import Llama
from libgemma._taps import TokenFeatures, load_autoencoder

__version__: str = getattr(_core, "__version__")  # which the stub does not have

__all__ = [
    "LLM",
    "Llama",
    "AnswerOptions",
    "AsyncStream",
    "ChoiceScore",
    "Classifier",
    "Completion",
    "DataLossError",
    "Embedder",
    "FailedPreconditionError",
    "GemmaError",
    "InputRows",
    "InvalidArgumentError",
    "NotFoundError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "Piece",
    "Policy",
    "ResourceExhaustedError",
    "Session",
    "SparseAutoencoder",
    "Steer",
    "Stream",
    "Tap",
    "TapSite",
    "Times",
    "TokenFeatures",
    "TokenLogprob",
    "TokenProbability",
    "ToolCall",
    "ToolCallPiece",
    "UnimplementedError",
    "forward_batch",
    "inspect",
    "load_autoencoder",
    "quantize",
    "shield_policies",
    "__version__",
]
