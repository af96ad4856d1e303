"""What requests return."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

# How answers end, in the words of OpenAI's API.
_FINISH_REASONS = {
    "stop_token": "stop",
    "stop_string": "stop",
    "grammar_end": "stop",
    "max_tokens": "length",
    "context_full": "length",
    "deadline": "length",
    "cancelled": "cancelled",
}


@dataclass(frozen=True)
class TokenProbability:
    """A token and its log-probability in nats, from the model's unchanged logits."""

    token: int
    piece: str  # as the vocabulary spells it
    logprob: float


@dataclass(frozen=True)
class TokenLogprob:
    """A token of an answer, its log-probability in nats, and the most probable tokens there."""

    token: int
    piece: str
    logprob: float
    alternatives: list[TokenProbability]  # in descending order


@dataclass(frozen=True)
class ToolCall:
    """A request of the model to run a tool."""

    name: str
    arguments: str  # a JSON object

    def parsed_arguments(self) -> dict[str, Any]:
        """Returns the arguments as a dictionary. ValueError if the answer was cut in them."""
        arguments: dict[str, Any] = json.loads(self.arguments)
        return arguments


@dataclass(frozen=True)
class Times:
    """Seconds that the parts of a request took."""

    queued: float  # before the engine began the prompt
    prompt: float  # until the logits of the first token
    answer: float  # after that
    tokens: list[float]  # from the request to each token of the answer


@dataclass(frozen=True)
class Completion:
    """An answer.

    text: the answer without thoughts and calls of tools.
    tokens: the tokens of the answer, control tokens included, without a stop token.
    finish_reason: "stop", "length", "tool_calls" or "cancelled".
    stop_reason: the exact reason: "stop_token", "stop_string", "max_tokens", "context_full",
        "cancelled", "deadline" or "grammar_end".
    prompt_tokens: the number of tokens of the prompt that were read.
    cached_tokens: those of them that other requests had computed.
    seed: gives the same answer again.
    logprobs: one entry for each token; None unless asked for.
    tool_calls: those that are complete. One that was cut short is only in `tokens`.
    """

    text: str
    tokens: list[int]
    finish_reason: str
    stop_reason: str
    prompt_tokens: int
    cached_tokens: int
    seed: int
    times: Times
    logprobs: list[TokenLogprob] | None = None
    thoughts: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class ToolCallPiece:
    """The next part of a call of a tool."""

    index: int  # of the call in the answer
    name: str  # in the first piece of the call, else ""
    arguments: str  # the next part of a JSON object


@dataclass(frozen=True)
class Piece:
    """The next part of an answer: one of its fields is set.

    completion: the whole answer, in the last piece.
    """

    text: str = ""
    thoughts: str = ""
    tool_call: ToolCallPiece | None = None
    completion: Completion | None = None


def make_piece(event: Any) -> Piece:
    kind, text, index, name = event
    if kind == "text":
        return Piece(text=text)
    if kind == "thoughts":
        return Piece(thoughts=text)
    return Piece(tool_call=ToolCallPiece(index, name, text))


def _make_logprob(scored: Any) -> TokenLogprob:
    token, piece, logprob, alternatives = scored
    return TokenLogprob(token, piece, logprob, [TokenProbability(*other) for other in alternatives])


def make_completion(result: dict[str, Any], seed: int) -> Completion:
    """Converts the dictionary of Answer.result."""
    stop_reason = result["stop_reason"]
    finish_reason = _FINISH_REASONS[stop_reason]
    calls = [ToolCall(*call) for call in result["tool_calls"]]
    if calls and finish_reason == "stop":
        finish_reason = "tool_calls"
    logprobs = result["logprobs"]
    return Completion(
        text=result["text"],
        tokens=result["tokens"],
        finish_reason=finish_reason,
        stop_reason=stop_reason,
        prompt_tokens=result["prompt_tokens"],
        cached_tokens=result["cached_tokens"],
        seed=seed,
        times=Times(result["queued_seconds"], result["prompt_seconds"], result["answer_seconds"],
                    result["token_seconds"]),
        logprobs=None if logprobs is None else [_make_logprob(scored) for scored in logprobs],
        thoughts=result["thoughts"],
        tool_calls=calls,
    )
