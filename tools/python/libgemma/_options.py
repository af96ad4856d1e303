"""The options of an answer."""

from __future__ import annotations

import difflib
import os
from typing import Any, Callable, Mapping, Sequence, TypedDict, Union

from libgemma._errors import InvalidArgumentError


class AnswerOptions(TypedDict, total=False):
    """How to answer. generate, chat, stream, astream and agenerate take these as keywords.

    An option that is None has its default, which is that of the command gemma.
    """

    max_tokens: int | None  # the most; None: 256 for a completion, else until the context is full
    min_tokens: int  # nothing ends the answer before this many tokens but limits and a form; 0
    temperature: float  # 1.0; 0: always the most probable token
    top_k: int  # choose among the k most probable tokens; 64; 0: all
    top_p: float  # ... the fewest that reach this probability; 0.95; 1: all
    min_p: float  # ... those of at least this part of the highest probability; 0: all
    typical_p: float  # ... the closest to the mean surprise that reach it; 1: all
    repetition_penalty: float  # 1: off
    frequency_penalty: float  # 0: off
    presence_penalty: float  # 0: off
    penalty_window: int  # penalties count so many last tokens; 64; 0: all
    logit_bias: Mapping[Union[int, str], float]  # from tokens or pieces to what is added
    seed: int | None  # the same seed gives the same answer; None: each answer draws its own
    stop: str | Sequence[str]  # texts that end the answer, also in thoughts and calls
    stop_tokens: Sequence[int]  # tokens that do
    schema: Any  # a JSON schema: a dict, its text, or a pydantic class; the answer is valid JSON
    regex: str  # the answer matches this expression as a whole
    choices: Sequence[str]  # the answer is one of these texts
    json: bool  # the answer is JSON
    logprobs: int | None  # return log-probabilities, with so many alternatives for each token
    timeout: float | None  # seconds, the time in the queue included
    raw: bool  # str prompts are texts to complete, also for models that chat
    parse_control: bool  # names of control tokens in such a text become these tokens
    system: str  # instructions before the chat
    tools: Sequence[Mapping[str, Any]]  # that the model may call, as in OpenAI's API
    tool_choice: Any  # "auto", "none", "required", a name, or as in OpenAI's API
    parallel_tool_calls: bool  # whether an answer may have several calls; True
    thinking: bool | None  # whether the model thinks first; None: as its template does
    steer: Any  # changes of features; see LLM.features
    tap: Callable[..., Any]  # sees or changes activations; see LLM.session
    client: str  # clients take turns in the queue


# Those that are not of the engine: LLM turns them into tokens, a grammar or a tap.
PROMPT_OPTIONS = frozenset(("raw", "parse_control", "system", "tools", "tool_choice",
                            "parallel_tool_calls", "thinking", "schema", "regex", "choices", "json",
                            "steer", "tap"))
_BOOLEANS = frozenset(("raw", "parse_control", "parallel_tool_calls", "thinking", "json"))
_ALL = AnswerOptions.__annotations__.keys()


def check_names(options: Mapping[str, Any], function: str) -> None:
    """TypeError, as for any function, if an option has another name. InvalidArgumentError if one
    is neither True nor False but should be."""
    for name, value in options.items():
        if name in _BOOLEANS and value is not None and not isinstance(value, bool):
            raise InvalidArgumentError(f"{name} is {value!r:.100}, wanted True or False")
        if name in _ALL:
            continue
        near = difflib.get_close_matches(name, _ALL, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise TypeError(f"{function}() got an unexpected keyword argument '{name}'{hint}")


def engine_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those options that the engine reads."""
    return {name: value for name, value in options.items() if name not in PROMPT_OPTIONS}


def read_template(template: str | os.PathLike[str] | None) -> str | None:
    """Returns a word, or the path of a file, which comes first."""
    if template is None:
        return None
    if template == "":
        raise InvalidArgumentError("chat_template is '', wanted a file, 'file', 'gemma' or 'none'")
    return os.path.abspath(template) if os.path.exists(template) else os.fspath(template)
