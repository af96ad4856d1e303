"""The protocol core of the server, with its models, in this process."""

from __future__ import annotations

import os
import re
import threading
from typing import Any, Union

from libgemma import _core
from libgemma._errors import FailedPreconditionError, InvalidArgumentError
from libgemma._files import adapter_pairs
from libgemma._measure import read_policies
from libgemma._names import resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from libgemma._llm import LLM

ServedModel = Union["LLM", str, "os.PathLike[str]"]
ServedModels = Union[ServedModel, dict[str, ServedModel]]
# A pair has the name of a guard.
Guard = Union[ServedModel, tuple[str, ServedModel], None]


class Serving:
    """Models behind OpenAI's API, without sockets. Each model has an engine of its own for it.

    model: an LLM, the path or name of a model, or a dictionary of names to these.
    guard: a ShieldGemma, which answers /v1/moderations: an LLM, a path, or a pair of a name and
        one of these.
    name: of the model, if it has no name in a dictionary; by default that of its file.
    timeout: the seconds that a request may take, its time in the queue included; 0: no limit.
    max_queued, max_queued_per_client: the most requests of a model that wait; further ones get
        status 429. By default 256, and half of all.
    max_memory: the most bytes of all models together; 0: no limit.
    options: other fields of ServerOptions (gemma/serve.h), whose names begin with "max_"; and
        options of LLM for models that are paths.

    Models that do not fit in memory together are refused before weights are read, as by LLM.
    Autoencoders are not counted.
    """

    def __init__(self, model: ServedModels, *, guard: Guard = None, name: str | None = None,
                 timeout: float = 0, max_queued: int = 256,
                 max_queued_per_client: int | None = None, max_memory: int = 0, **options: Any):
        models: list[tuple[str | None, ServedModel, bool]]
        if isinstance(model, dict):
            if name is not None:
                raise TypeError("name is for one model, and the dictionary has names")
            models = [(each, value, False) for each, value in model.items()]
        else:
            models = [(name, model, False)]
        if guard is not None:
            guard_name, guard_model = guard if isinstance(guard, tuple) else (None, guard)
            models.append((guard_name, guard_model, True))
        server = {each: options.pop(each) for each in list(options) if each in _SERVER_OPTIONS}
        if options and not any(_is_path(value) for _, value, _ in models):
            raise TypeError(f"{next(iter(options))} is an option of LLM, and the models are loaded")
        self._models: Any = models
        self._load_options = options
        self._queue = {"max_queued": max_queued, "max_queued_per_client":
                       max(1, max_queued // 2) if max_queued_per_client is None
                       else max_queued_per_client}
        self._server_options = {**server, "max_seconds": timeout, "max_memory_bytes": max_memory}
        # Made at first use, in a process that may be a fork of this one.
        self._made: _core.Server | None = None
        self._loaded: list[LLM] = []  # models that this object loaded
        self._closed = False
        self._lock = threading.Lock()

    @property
    def _server(self) -> _core.Server:
        with self._lock:
            if self._made is None:
                self._made = _core.Server.create(self._server_options)
            return self._made

    def open(self) -> None:
        """Loads the models and makes the server ready."""
        reuse_bytes = self._check_memory() if len(self._models) > 1 else None
        for name, model, moderates in self._models:
            llm = self._load(model, moderates) if _is_path(model) else model
            if moderates:
                _check_guard(llm)
            autoencoders = [(each, llm.autoencoders[each]) for each in llm._options["autoencoders"]]
            engine = {**llm._engine_options(), **self._queue}
            if reuse_bytes is not None and llm._options["reuse_bytes"] is None:
                engine["reuse_bytes"] = min(engine["reuse_bytes"], reuse_bytes)
            if self._server_options["max_memory_bytes"]:
                del engine["budget"]  # the server has one for all models
            self._server.add(name or name_of(llm), llm._model, engine, moderates=moderates,
                             autoencoders=autoencoders)
        self._server.open()

    def _check_memory(self) -> int | None:
        """Checks that all models fit in memory together. Returns the bytes that each may keep for
        prompts with the same beginning, or None if nothing is known or wanted."""
        if any(self._load_options.get("ignore_memory") if _is_path(model)
               else model._options["ignore_memory"] for _, model, _ in self._models):
            return None
        engines: list[Any] = []
        outlines: list[_core.Model] = []
        try:
            for name, model, moderates in self._models:
                if _is_path(model):
                    outlines.append(_outline(model, self._load_options, moderates))
                    options = {each: self._load_options[each] for each in _OF_ENGINES
                               if each in self._load_options}
                    engines.append((name or os.fspath(model), outlines[-1], options, False,
                                    moderates))
                else:
                    model._check_open()
                    engines.append((name or name_of(model), model._model, model._engine_options(),
                                    True, moderates))
            left = _core.check_memory(engines, self._server_options["max_memory_bytes"])
        finally:
            for outline in outlines:
                outline.close()
        return left // len(engines)

    def _load(self, path: str | os.PathLike[str], moderates: bool) -> LLM:
        from libgemma import LLM  # it uses this module
        options = {name: value for name, value in self._load_options.items()
                   if not moderates or name not in _OF_ANSWERS}
        llm = LLM(path, **options)
        with self._lock:
            if not self._closed:
                self._loaded.append(llm)
                return llm
        llm.close()
        raise FailedPreconditionError("the server was closed while it loaded its models")

    def handle(self, *arguments: Any) -> _core.Exchange:
        """Begins a request; see _core.Server.handle."""
        return self._server.handle(*arguments)

    def drain(self) -> None:
        """From now on, refuses new requests of models. Those that run go on."""
        self._server.drain()

    def close(self) -> None:
        """Ends all requests, and closes the models that were loaded here."""
        with self._lock:
            self._closed = True  # a model that is loading now will not stay
        self._server.close()
        with self._lock:
            loaded, self._loaded = self._loaded, []
        for llm in loaded:
            llm.close()


_SERVER_OPTIONS = ("max_body_bytes", "max_waiting_bytes", "max_stream_bytes", "max_response_bytes",
                   "max_choices")
_OF_ENGINES = ("context", "cache", "sequences", "reuse_bytes", "memory")  # what memory depends on
_OF_WEIGHTS = ("threads", "prefill_chunk", "activations", "quantize")  # likewise
_OF_ANSWERS = ("adapters", "chat_template", "autoencoders")  # options that no guard has


def _check_guard(llm: LLM) -> None:
    """Raises InvalidArgumentError if a guard is not a ShieldGemma."""
    llm._check_open()
    classifier = llm._classifier("hub")
    classifier.classify([("Hello", None)], read_policies(None), None)
    mass = classifier.stats["answer_mass"]
    if mass < 0.5:  # as in LLM.classify
        llm._drop_classifiers()
        raise InvalidArgumentError(f"the guard {llm.name} is not a ShieldGemma: 'Yes' and 'No' had "
                                   f"a probability of {mass:.2f} together")


def _outline(path: Any, options: dict[str, Any], moderates: bool) -> _core.Model:
    """Returns a model without weights, which knows the memory that it will need."""
    chosen = {each: options[each] for each in _OF_WEIGHTS if each in options}
    if not moderates:
        chosen["adapters"] = adapter_pairs(options.get("adapters", ()))
    file = resolve(os.fsdecode(path))
    return _core.Model.load(os.fsencode(file), {**chosen, "outline": True}, None)


def _is_path(model: Any) -> bool:
    return isinstance(model, (str, os.PathLike))


def name_of(llm: LLM) -> str:
    """Returns a pulled model's name, or a file's without its ending and the number of a part."""
    if llm.path != llm.name:
        return llm.name
    name = os.path.basename(os.path.normpath(llm.path))
    return re.sub(r"(-\d{5}-of-\d{5})?\.(gguf|sbs)$", "", name)
