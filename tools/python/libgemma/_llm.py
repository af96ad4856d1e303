"""LLM: a loaded model that answers."""

from __future__ import annotations

import asyncio
import atexit
import os
import random
import warnings
import weakref
from typing import Any, Iterable, Mapping, Sequence, Union, overload

from libgemma import _core
from libgemma._errors import FailedPreconditionError, GemmaError, InvalidArgumentError
from libgemma._forms import read_form, tools_text
from libgemma._measure import MeasureMixin
from libgemma._messages import is_chat, is_one, read_messages
from libgemma._names import resolve
from libgemma._openai import OpenAIMixin
from libgemma._options import AnswerOptions, check_names, engine_options, read_template
from libgemma._progress import Progress, ProgressOption
from libgemma._results import Completion, make_completion
from libgemma._streams import AsyncStream, Stream, complete
from libgemma._taps import TapsMixin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Unpack

Chat = Sequence[Mapping[str, Any]]
# A text, the tokens that the model reads, or a chat.
Prompt = Union[str, Sequence[int], Chat]

# Requests given to the engine for each of its sequences: some wait, so that it never does.
_AHEAD = 2
_MAX_QUEUED = 1024  # the engine's default
_MAX_COMPLETION_TOKENS = 256  # a base model often does not end its text
_REUSE_BYTES = 1 << 30  # the engine's default

_MODEL_OPTIONS = ("threads", "decode_threads", "activations", "deterministic", "prefill_chunk",
                  "adapters", "chat_template", "quantize", "recurrent_window")
_ENGINE_OPTIONS = ("context", "cache", "sequences", "reuse_bytes", "memory", "max_queued")


# Those that are open. Python ends threads in places where C++ cannot end, so engines end first.
_open: "weakref.WeakSet[LLM]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for llm in list(_open):
        llm.close()
    _core.end_threads()


class LLM(MeasureMixin, OpenAIMixin, TapsMixin):
    """A model of the Gemma family on the CPU, and the engine that computes its requests together.

    Any number of threads and event loops may use one LLM at the same time. It is a context
    manager; `close` ends it. Pickling sends the path and the options, not the weights: the other
    process loads the same file. A process that was forked cannot use the LLM of its parent.

    path: a GGUF file, a Hugging Face directory, a .sbs file of gemma.cpp, or the name or source
        (OWNER/REPO:TYPE) of a model that `gemma pull` fetched.
    threads: that compute; 0: one for each core that this process may use.
    decode_threads: how many of them compute passes of up to 16 tokens; 0: all.
    context: the most tokens of a sequence, its answer included. None: 4096, or what the model was
        made for if that is less.
    sequences: requests that run at the same time, 1 to 1024; others wait.
    cache: the type of keys and values: "auto", "float32", "bfloat16" or "int8".
    activations: "int8", or "float32", which is exact and slower.
    deterministic: whether logits are the same bits for any prefill_chunk, on every CPU.
    prefill_chunk: the most tokens of a sequence in one pass; None: 256.
    adapters: LoRA adapters to merge into the weights, as paths or pairs of a path and a scale.
    chat_template: a file in Jinja, "file", "gemma", or "none" for no turns. None: those of the
        model's files, or Gemma's own if they make the same tokens.
    quantize: the type that weights are converted to while loading, such as "q4"; None: none.
    recurrent_window: the attention window of RecurrentGemma, "deepmind" or "transformers".
    reuse_bytes: the most bytes kept for prompts with the same beginning; None: 2**30, or what the
        machine has left.
    memory: the most bytes of all caches together; None: no limit.
    ignore_memory: loads also what does not fit in the memory that is left. Else that is an error,
        before weights are read: ResourceExhaustedError, with the numbers and what would fit.
    max_queued: the most requests that wait; None: 1024.
    simd: makes the whole process compute as on a CPU with fewer instructions, such as "avx2".
    progress: True shows how far loading is, with tqdm if it is installed. A function is called with
        the bytes that are done, and all.
    autoencoders: sparse autoencoders of Gemma Scope by the names that requests use.
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int = 0, decode_threads: int = 0,
                 context: int | None = None, sequences: int = 8, cache: str = "auto",
                 activations: str = "int8", deterministic: bool = False,
                 prefill_chunk: int | None = None,
                 adapters: Sequence[Any] = (), chat_template: str | os.PathLike[str] | None = None,
                 quantize: str | None = None, recurrent_window: str = "deepmind",
                 reuse_bytes: int | None = None, memory: int | None = None,
                 ignore_memory: bool = False, max_queued: int | None = None,
                 simd: str | None = None, progress: ProgressOption = None,
                 autoencoders: Mapping[str, str | os.PathLike[str]] | None = None):
        self.name = os.fsdecode(path)
        self.path = resolve(self.name)
        pairs = [(adapter, 1.0) if isinstance(adapter, (str, os.PathLike)) else adapter
                 for adapter in adapters]
        self._options: dict[str, Any] = {
            "threads": threads, "decode_threads": decode_threads, "context": context,
            "sequences": sequences, "cache": cache, "activations": activations,
            "deterministic": deterministic, "prefill_chunk": prefill_chunk,
            "adapters": [(os.path.abspath(file), scale) for file, scale in pairs],
            "chat_template": read_template(chat_template),
            "quantize": quantize, "recurrent_window": recurrent_window, "reuse_bytes": reuse_bytes,
            "memory": memory, "ignore_memory": ignore_memory, "max_queued": max_queued,
            "simd": simd,
            "autoencoders": {name: os.path.abspath(file)
                             for name, file in (autoencoders or {}).items()},
        }
        self._progress = progress
        if simd is not None:
            _core.cap_simd(simd)
        with Progress(progress, "loading", "B") as shown:
            self._model = _core.Model.load(os.fsencode(self.path), self._chosen(_MODEL_OPTIONS),
                                           shown.function, None if ignore_memory else
                                           self._chosen(_ENGINE_OPTIONS))
        if self._model.memory_note:
            warnings.warn(str(self._model.memory_note), stacklevel=2)
        self._budget = _core.MemoryBudget.create(memory) if memory else None
        self._made_engine: _core.Engine | GemmaError = self._make_engine()
        self._random = random.SystemRandom()
        _open.add(self)

    def _chosen(self, names: Iterable[str]) -> dict[str, Any]:
        return {name: self._options[name] for name in names}

    def _engine_options(self) -> dict[str, Any]:
        """Returns the options of the engine, for Engine.create. All engines of this LLM share one
        budget."""
        options = self._chosen(_ENGINE_OPTIONS)
        if options["context"] is None:
            options["context"] = self._model.default_context
        if options["reuse_bytes"] is None:
            options["reuse_bytes"] = min(_REUSE_BYTES, self._model.bytes_left)
        options["budget"] = self._budget
        return options

    def _make_engine(self) -> _core.Engine | GemmaError:
        """Returns the engine, or why the model, which can compute all the same, has none."""
        try:
            return _core.Engine.create(self._model, self._engine_options())
        except FailedPreconditionError as error:
            if error.reason != "NO_TOKENIZER":
                raise
            return error

    @property
    def _engine(self) -> _core.Engine:
        if isinstance(self._made_engine, GemmaError):
            raise self._made_engine.with_traceback(None)
        return self._made_engine

    # Life.

    def close(self) -> None:
        """Cancels all requests, waits until they have ended, and lets the model go."""
        self._close_openai()
        if not isinstance(self._made_engine, GemmaError):
            self._made_engine.close()
        self._drop_classifiers()
        self._model.close()

    @property
    def closed(self) -> bool:
        """Whether close was called."""
        return self._model.closed

    def _check_open(self) -> None:
        if self.closed:
            raise FailedPreconditionError("the LLM is closed")

    def __enter__(self) -> "LLM":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> Any:
        # A name means the same elsewhere; a path may be relative to this process's directory.
        path = self.name if self.path != self.name else os.path.abspath(self.path)
        progress = None if callable(self._progress) else self._progress
        return (_load, (path, {**self._options, "progress": progress}))

    def __repr__(self) -> str:
        return f"LLM({self.name!r})"

    # Texts and tokens.

    def tokenize(self, text: str, *, parse_control: bool = False, bos: bool = False) -> list[int]:
        """Returns the tokens of a text.

        parse_control: whether names of control tokens, such as "<start_of_turn>", become those
            tokens instead of staying text.
        bos: whether the token that begins a text comes first.
        """
        return self._model.tokenize(text, parse_control=parse_control, bos=bos)

    def detokenize(self, tokens: Sequence[int]) -> str:
        """Returns the text of tokens. Control tokens have no text."""
        return str(self._model.detokenize(tokens))

    def tokens(self, prompt: Prompt, **options: "Unpack[AnswerOptions]") -> list[int]:
        """Returns the tokens that the model reads for a prompt with these options."""
        check_names(options, "tokens")
        tokens: list[int] = self._read_prompt(prompt, options)[0]
        return tokens

    def _has_turns(self, options: Mapping[str, Any]) -> bool:
        """Returns whether a text is a turn of a chat."""
        template = self._options["chat_template"]
        if options.get("raw") or template == "none":
            return False
        return template is not None or self._model.is_instruction_tuned

    def _read_prompt(self, prompt: Prompt, options: Mapping[str, Any]) -> tuple[Any, bool]:
        """Returns the prompt's tokens, and whether they are a chat."""
        if is_chat(prompt):
            chat: Any = prompt
            return self._read_chat(chat, options), True
        if isinstance(prompt, str) and self._has_turns(options):
            if not prompt.strip():
                raise InvalidArgumentError("the prompt is empty, wanted a text for the chat turn")
            return self._read_chat([{"role": "user", "content": prompt}], options), True
        for name in ("system", "tools", "thinking"):
            if options.get(name):
                raise InvalidArgumentError(f"'{name}' needs a chat: give a list of messages")
        if isinstance(prompt, str):
            return self.tokenize(prompt, parse_control=options.get("parse_control") or False,
                                 bos=True), False
        for name in ("raw", "parse_control"):
            if options.get(name):
                raise InvalidArgumentError(f"'{name}' needs a text, but the prompt is a list of "
                                           "tokens")
        return prompt, False

    def _read_chat(self, messages: Chat, options: Mapping[str, Any]) -> list[int]:
        if self._options["chat_template"] == "none":
            raise InvalidArgumentError("a chat needs turns, but chat_template is 'none'")
        for name in ("raw", "parse_control"):
            if options.get(name):
                raise InvalidArgumentError(f"'{name}' needs a text to complete, but the prompt is "
                                           "a chat")
        return self._model.chat_tokens(read_messages(messages, options.get("system")),
                                       tools_text(options), options.get("thinking"))

    # Answers.

    def _submit(self, prompt: Prompt, options: Mapping[str, Any], inbox: _core.Inbox, tag: int,
                pieces: bool) -> tuple[_core.Answer, int]:
        """Submits a request; returns it and its seed."""
        self._check_open()
        tokens, is_chat_prompt = self._read_prompt(prompt, options)
        asked = engine_options(options)
        if asked.get("seed") is None:
            asked["seed"] = self._random.getrandbits(32)  # easy to type again
        if asked.get("max_tokens") is None and not is_chat_prompt:
            asked["max_tokens"] = _MAX_COMPLETION_TOKENS
        dialect = self._model.tool_dialect if options.get("tools") else "none"
        form = read_form(options, dialect)
        grammar = None if form is None else self._engine.compile(form)
        asked["pieces"] = pieces
        asked["parse"] = is_chat_prompt and (form is None or form["kind"] == "tools")
        if form is not None and form["kind"] == "tools":
            # Without calls, JSON in this dialect is text.
            are_text = dialect == "json" and form["tool_choice"] == "none"
            asked["dialect"] = "none" if are_text else dialect
        arguments: dict[str, Any] = {}
        if options.get("steer") is not None or options.get("tap") is not None:
            arguments["tap"] = self._make_tap(options.get("steer"), options.get("tap"))
        answer = self._engine.submit(self._model, inbox, tag, tokens, asked, grammar, **arguments)
        return answer, asked["seed"]

    @overload
    def generate(self, prompts: str, *, progress: ProgressOption = None,
                 **options: "Unpack[AnswerOptions]") -> Completion: ...

    @overload
    def generate(self, prompts: Sequence[Any], *, progress: ProgressOption = None,
                 **options: "Unpack[AnswerOptions]") -> Any: ...

    def generate(self, prompts: Any, *, progress: ProgressOption = None,
                 **options: "Unpack[AnswerOptions]") -> Any:
        """Answers one prompt, or several together, and waits.

        prompts: a text, a list of tokens or a chat, for a Completion; or a list of these, for a
            list of Completions in the same order. A text is a turn of a chat for a model that was
            tuned to chat, and the beginning of a text for others. Tokens are read as they are;
            InputRows may be among them.
        progress: as for LLM; counts the prompts of a list.
        options: see AnswerOptions. All prompts have the same; without a seed, each draws its own.

        Answers are the same, bit for bit, whatever else the engine computes. If a prompt is wrong,
        its error is raised and the other requests are cancelled.
        """
        check_names(options, "generate")
        if is_one(prompts):
            return self._answer_all([prompts], options, None)[0]
        return self._answer_all(list(prompts), options, progress)

    def chat(self, messages: Any, *, progress: ProgressOption = None,
             **options: "Unpack[AnswerOptions]") -> Any:
        """Answers the last message of a chat, or of each chat of a list.

        messages: dictionaries with "role" (system, developer, user, assistant, tool) and "content";
            those of the assistant may have "thoughts" and "tool_calls", results of tools "name" and
            "tool_call_id".
        """
        check_names(options, "chat")
        if is_chat(messages):
            return self._answer_all([messages], options, None)[0]
        chats = list(messages)
        if not chats:
            raise InvalidArgumentError(
                f"messages is {messages!r:.100}, wanted a chat or a list of chats")
        for chat in chats:
            read_messages(chat, options.get("system"))
        return self._answer_all(chats, options, progress)

    def _ahead(self) -> int:
        """Returns how many requests of a list the engine has at once."""
        chosen: int | None = self._options["max_queued"]
        most = _MAX_QUEUED if chosen is None else chosen
        sequences: int = self._options["sequences"]
        return max(1, min(_AHEAD * sequences, most))

    def _answer_all(self, prompts: Sequence[Prompt], options: Mapping[str, Any],
                    progress: ProgressOption) -> list[Completion]:
        inbox = _core.Inbox(False)
        results: list[Any] = [None] * len(prompts)
        running: dict[int, tuple[_core.Answer, int]] = {}
        ahead = self._ahead()
        following = 0
        done = 0
        with Progress(progress, "answering", "prompts") as shown:
            try:
                while done < len(prompts):
                    while following < len(prompts) and len(running) < ahead:
                        running[following] = self._submit(prompts[following], options, inbox,
                                                          following, False)
                        following += 1
                    for tag in inbox.wait():
                        answer, seed = running.pop(tag)
                        results[tag] = make_completion(answer.result(), seed)
                        done += 1
                    if shown.function is not None:
                        shown.function(done, len(prompts))
            finally:
                for answer, _ in running.values():
                    answer.cancel()
        return results

    def stream(self, prompt: Prompt, **options: "Unpack[AnswerOptions]") -> Stream:
        """Begins to answer, and returns an iterator over the text.

        prompt: a text, a list of tokens or a chat. Closing the iterator cancels the request. At the
            end its `completion` has the whole answer; `pieces()` also has thoughts and calls.
        """
        check_names(options, "stream")
        return Stream(lambda inbox, tag: self._submit(prompt, options, inbox, tag, True))

    def astream(self, prompt: Prompt, **options: "Unpack[AnswerOptions]") -> AsyncStream:
        """Begins to answer, and returns an asynchronous iterator over its Pieces. Call it in a
        coroutine.

        Closing the iterator, or cancelling the task that waits for it, cancels the request.
        """
        check_names(options, "astream")
        return AsyncStream(lambda inbox, tag: self._submit(prompt, options, inbox, tag, True))

    async def agenerate(self, prompts: Any, **options: "Unpack[AnswerOptions]") -> Any:
        """As generate, in an event loop. Cancelling the task cancels the requests."""
        check_names(options, "agenerate")
        if is_one(prompts):
            return await self._complete(prompts, options)
        free = asyncio.Semaphore(self._ahead())

        async def answer(prompt: Prompt) -> Completion:
            async with free:
                return await self._complete(prompt, options)

        tasks = [asyncio.ensure_future(answer(prompt)) for prompt in prompts]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _complete(self, prompt: Prompt, options: Mapping[str, Any]) -> Completion:
        return await complete(lambda inbox, tag: self._submit(prompt, options, inbox, tag, False))


def _load(path: str, options: dict[str, Any]) -> LLM:
    """Loads what pickling sent."""
    return LLM(path, **options)
