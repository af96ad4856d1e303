"""Rows of a data set through a model: the part that libgemma.ray and libgemma.beam share."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import os
from typing import Any, Awaitable, Callable, Mapping, Sequence, Union

import libgemma
from libgemma._measure import read_policies

TASKS = ("generate", "embed", "classify", "score")

# Arguments of generate for some kinds of prompts, and one that sees every request.
_OF_PROMPTS = ("system", "tools", "tool_choice", "thinking", "raw", "parse_control", "tap")
# Requests that one model has at a time. More would not fill the passes of its engine better.
_MOST_REQUESTS = 256

Arguments = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class RowError:
    """Why a row has no result: a code such as "INVALID_ARGUMENT", and a message for people."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(
        isinstance(item, kind) and not isinstance(item, bool) for item in value)


def _checked(task: str, value: Any) -> Any:
    """Returns the value as LLM reads it, or a RowError."""
    if isinstance(value, str):
        return value
    if task in ("generate", "score") and _is_list_of(value, int):
        return list(value)
    if task == "generate" and _is_list_of(value, dict):
        return list(value)
    if task == "classify" and _is_list_of(value, str) and len(value) == 2:
        return tuple(value)
    wanted = {"generate": "a text, tokens or the messages of a chat", "score": "a text or tokens",
              "embed": "a text", "classify": "a text, or the texts of a user and of a model"}[task]
    return RowError("INVALID_ARGUMENT", f"the row is {value!r:.80}, wanted {wanted}")


def _refusal(error: libgemma.GemmaError) -> RowError:
    """Returns the RowError of a row that the model refuses. Raises errors that all rows have."""
    if isinstance(error, (libgemma.InvalidArgumentError, libgemma.OutOfRangeError)):
        return RowError(error.code, str(error))
    raise error


# What a row becomes: columns by name, or the reason why it has no such columns.
Result = Union[dict[str, Any], RowError]


class Rows:
    """A model, and what it does with each row.

    `task` says what a row is, and what its result has:
      generate  a text, tokens or messages: answer, finish_reason, prompt_tokens, answer_tokens,
                seed
      embed     a text: embedding, float32 [dimensions]
      classify  a text, or the texts of a user and of a model: the probability of each policy
      score     a text or tokens: log_probabilities, one for each of arguments["choices"]
    `arguments` are those of LLM.generate, embed, classify or score, and `options` those of LLM.
    `deterministic` is by default True, so that no number depends on the rows of the same batch.

    Raises the library's error for arguments with which the model would refuse every row.
    """

    def __init__(self, path: str | os.PathLike[str], task: str, *,
                 arguments: Arguments | None = None,
                 options: Arguments | None = None) -> None:
        if task not in TASKS:
            raise ValueError(f"task is {task!r}, wanted one of {', '.join(TASKS)}")
        self._task = task
        self._arguments = dict(arguments or {})
        self._llm = libgemma.LLM(path, **{"deterministic": True, **(options or {})})
        self._places = asyncio.Semaphore(_MOST_REQUESTS)
        try:
            self._check_arguments()
        except BaseException:
            self._llm.close()
            raise

    def _check_arguments(self) -> None:
        """Tries the arguments, so that wrong ones are known before any row."""
        if self._task == "generate":
            arguments = {name: value for name, value in self._arguments.items()
                         if name not in _OF_PROMPTS}
            self._llm.stream([self._llm._model.bos_token], **arguments).close()
        elif self._task == "embed":
            self._embed(["a"], self._arguments)
        elif self._task == "score":
            if "choices" in self._arguments:  # else they come with a batch
                self._llm.score("a", **self._arguments)
        else:
            self._llm.classify([], **self._arguments)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what a result has."""
        if self._task == "classify":
            policies = read_policies(self._arguments.get("policies"))
            return tuple(policy.name for policy in policies)
        return {"generate": ("answer", "finish_reason", "prompt_tokens", "answer_tokens", "seed"),
                "embed": ("embedding",), "score": ("log_probabilities",)}[self._task]

    async def run(self, values: Sequence[Any],
                  arguments: Arguments | None = None) -> list[Result]:
        """Returns a dict or a RowError for each value. A value that the model refuses harms no
        other. `arguments` come before those of the constructor."""
        arguments = {**self._arguments, **(arguments or {})}
        results = [_checked(self._task, value) for value in values]
        places = [place for place, result in enumerate(results) if not isinstance(result, RowError)]
        run: Any = self._together if self._task in ("embed", "classify") else self._each
        call = functools.partial(getattr(self, "_" + self._task), arguments=arguments)
        found = await run(call, [results[place] for place in places])
        for place, result in zip(places, found):
            results[place] = result
        return results

    async def _generate(self, value: Any, arguments: Arguments) -> Result:
        done = await self._llm.agenerate(value, **arguments)
        return {"answer": done.text, "finish_reason": done.finish_reason,
                "prompt_tokens": done.prompt_tokens, "answer_tokens": len(done.tokens),
                "seed": done.seed}

    async def _score(self, value: Any, arguments: Arguments) -> Result:
        found = await asyncio.to_thread(self._llm.score, value, **arguments)
        return {"log_probabilities": found}

    def _embed(self, texts: list[str], arguments: Arguments) -> list[Result]:
        embedder = self._llm._embedder()
        dimensions = arguments.get("dimensions")
        if dimensions is not None and dimensions < 1:
            raise libgemma.InvalidArgumentError(
                f"dimensions is {dimensions!r}, wanted 1 or more, or None")
        arguments = {**arguments, "dimensions": dimensions or 0}
        vectors, _, cut = embedder.embed(texts, **arguments)
        results: list[Result] = [{"embedding": vector} for vector in vectors]
        for place in cut:  # LLM.embed warns, which nobody would see
            results[place] = RowError("OUT_OF_RANGE", "the text has more than the "
                                      f"{embedder.max_tokens} tokens that the model reads")
        return results

    def _classify(self, turns: list[Any], arguments: Arguments) -> list[Result]:
        results: list[Result] = [*self._llm.classify(turns, **arguments)]
        return results

    async def _each(self, call: Callable[[Any], Awaitable[Result]],
                    values: list[Any]) -> list[Result]:
        """Calls `call` for each value, for many at once."""
        async def result(value: Any) -> Result:
            async with self._places:
                try:
                    return await call(value)
                except libgemma.GemmaError as error:
                    return _refusal(error)

        tasks = [asyncio.ensure_future(result(value)) for value in values]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _together(self, call: Callable[[list[Any]], list[Result]],
                        values: list[Any]) -> list[Result]:
        """Calls `call` for all values at once. If it refuses them, divides them until the refused
        ones are alone."""
        if not values:
            return []
        try:
            return await asyncio.to_thread(call, values)
        except libgemma.GemmaError as error:
            refusal = _refusal(error)
        if len(values) == 1:
            return [refusal]
        middle = len(values) // 2
        first = await self._together(call, values[:middle])
        return first + await self._together(call, values[middle:])
