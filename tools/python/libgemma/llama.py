"""A class with the common calls of llama_cpp.Llama, for programs that were written for it.

    from libgemma.llama import Llama
    llm = Llama("gemma-3-270m-q4_k_m.gguf", n_ctx=2048)
    print(llm("Red, green and", max_tokens=8)["choices"][0]["text"])

Arguments that only choose hardware or speed are accepted. Those that would change the answer, and
that libgemma does not do, are errors. Two things differ: the temperature comes before top_k, top_p
and min_p, as with Gemma's own samplers, and seeds give other answers than in llama.cpp.
"""

from __future__ import annotations

import os
import random
import re
import tempfile
from collections import deque
from typing import Any, Iterator, Mapping, Sequence, TypeAlias, Union

import numpy as np

from libgemma import _core
from libgemma._errors import InvalidArgumentError, ResourceExhaustedError, UnimplementedError
from libgemma._llama_arguments import UNDONE_IN_CALLS, check_load_arguments
from libgemma._llm import LLM
from libgemma._names import resolve

# A text, as UTF-8 or not, or tokens.
_Prompt = Union[str, bytes, Sequence[int]]
_Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]

__all__ = ["Llama", "LlamaState", "token_bytes"]

_DRAWN = 0xFFFFFFFF  # LLAMA_DEFAULT_SEED: draw one

_CACHES = {None: "auto", 0: "float32", 8: "int8", 30: "bfloat16"}  # by GGML's numbers of types
_CACHE_WORDS = "None, 0 (F32), 30 (BF16) or 8 (Q8_0, as int8)"


class LlamaState:
    """The sequence of Llama.eval, as save_state found it. It can be pickled.

    n_tokens: its tokens. llama_state: the bytes of its caches. scores: as Llama.scores.
    """

    def __init__(self, n_tokens: int, llama_state: bytes, scores: _Floats) -> None:
        self.n_tokens = n_tokens
        self.llama_state = llama_state
        self.scores = scores

    @property
    def llama_state_size(self) -> int:
        """The number of bytes of llama_state."""
        return len(self.llama_state)


class Llama:
    """A loaded model, with one sequence: completions wait for each other.

    model_path: a GGUF file, or whatever LLM takes. n_ctx: the most tokens of a sequence; 0: those
    that the model was made for. n_threads, n_threads_batch: threads for answers and for prompts.
    n_batch: the most tokens of a pass. seed: of calls without one. last_n_tokens_size: the tokens
    that penalties see. lora_path, lora_scale: an adapter. type_k, type_v: the type of caches, both
    the same. chat_format: None (the file's template) or "gemma". logits_all: whether eval keeps the
    logits after all tokens. ignore_memory: loads also what does not fit, as LLM does.
    """

    def __init__(self, model_path: str | os.PathLike[str], *, n_ctx: int = 512, n_batch: int = 512,
                 n_threads: int | None = None, n_threads_batch: int | None = None,
                 seed: int = _DRAWN, last_n_tokens_size: int = 64,
                 lora_path: str | os.PathLike[str] | None = None, lora_scale: float = 1.0,
                 type_k: int | None = None, type_v: int | None = None,
                 chat_format: str | None = None, logits_all: bool = False,
                 ignore_memory: bool = False, **others: Any) -> None:
        check_load_arguments(others)
        if type_k != type_v or type_k not in _CACHES:
            raise UnimplementedError(f"type_k is {type_k} and type_v is {type_v}, wanted the same "
                                     f"of both: {_CACHE_WORDS}")
        if chat_format not in (None, "gemma"):
            raise UnimplementedError(f"chat_format is {chat_format!r}, wanted None or 'gemma'")
        if last_n_tokens_size < 1:
            raise UnimplementedError(f"last_n_tokens_size is {last_n_tokens_size}, wanted 1 or "
                                     "more")
        answers, prompts = n_threads or 0, n_threads_batch or n_threads or 0
        self.model_path = model_path
        try:
            self._llm = LLM(model_path, context=n_ctx or _max_context(model_path), sequences=1,
                            prefill_chunk=n_batch, threads=max(answers, prompts),
                            decode_threads=answers, cache=_CACHES[type_k],
                            chat_template=chat_format, ignore_memory=ignore_memory,
                            adapters=[(lora_path, lora_scale)] if lora_path else ())
        except (InvalidArgumentError, ResourceExhaustedError) as error:
            message = re.sub(r"(^|; )context(?==| is )", r"\1n_ctx", error.message)
            raise type(error)(message, error.code, error.reason) from None
        self._seed = seed
        self._window = last_n_tokens_size
        self._logits_all = bool(logits_all)
        self._made_session: _core.Session | None = None  # of eval
        self._scores: list[_Floats] = []  # arrays [tokens, vocab_size]

    @classmethod
    def from_pretrained(cls, repo_id: str, filename: str | None = None, **_: Any) -> Llama:
        """Raises UnimplementedError: this class fetches nothing from the network."""
        raise UnimplementedError(
            f"Llama.from_pretrained fetches nothing: 'gemma pull hf://{repo_id}"
            f"{'/' + filename if filename else ''}' fetches the model, and Llama(NAME) loads it")

    # Answers.

    def create_completion(self, prompt: _Prompt, suffix: str | None = None,
                          max_tokens: int | None = 16, temperature: float = 0.8,
                          top_p: float = 0.95, min_p: float = 0.05, typical_p: float = 1.0,
                          logprobs: int | None = None, echo: bool = False,
                          stop: str | Sequence[str] | None = None, frequency_penalty: float = 0.0,
                          presence_penalty: float = 0.0, repeat_penalty: float = 1.0,
                          top_k: int = 40, stream: bool = False, seed: int | None = None, *,
                          model: str | None = None, logit_bias: Mapping[int, float] | None = None,
                          **others: Any) -> Any:
        """Continues a text (str or bytes) or tokens. Returns OpenAI's dictionary, or its chunks.

        As in llama_cpp, names of control tokens in the text become these tokens.
        max_tokens: None, 0 or less: until the context is full. model: only a name for the response.
        """
        fields = self._fields(temperature, top_p, min_p, typical_p, frequency_penalty,
                              presence_penalty, repeat_penalty, top_k, seed, stop, logit_bias,
                              others)
        if isinstance(prompt, (str, bytes)):
            fields["parse_control"] = True
            prompt = _text(prompt)
        limit = max_tokens if max_tokens is not None and max_tokens > 0 else self.n_ctx()
        fields.update(max_tokens=limit, echo=echo, suffix=suffix, logprobs=logprobs)
        answer = self._llm.create_completion(prompt, stream=stream, **fields)
        return _named(answer, model, stream)

    __call__ = create_completion

    def create_chat_completion(self, messages: Sequence[Any], *, tools: Any = None,
                               tool_choice: Any = None, temperature: float = 0.2,
                               top_p: float = 0.95, top_k: int = 40, min_p: float = 0.05,
                               typical_p: float = 1.0, stream: bool = False,
                               stop: str | Sequence[str] | None = None, seed: int | None = None,
                               response_format: Any = None, max_tokens: int | None = None,
                               presence_penalty: float = 0.0, frequency_penalty: float = 0.0,
                               repeat_penalty: float = 1.0, model: str | None = None,
                               logit_bias: Mapping[int, float] | None = None,
                               logprobs: bool | None = None, top_logprobs: int | None = None,
                               **others: Any) -> Any:
        """Answers a chat. Returns OpenAI's dictionary, or its chunks."""
        fields = self._fields(temperature, top_p, min_p, typical_p, frequency_penalty,
                              presence_penalty, repeat_penalty, top_k, seed, stop, logit_bias,
                              others)
        if max_tokens is not None and max_tokens > 0:
            fields["max_tokens"] = max_tokens
        fields.update(tools=tools, tool_choice=tool_choice, logprobs=logprobs,
                      response_format=_response_format(response_format), top_logprobs=top_logprobs)
        answer = self._llm.create_chat_completion(messages, stream=stream, **fields)
        return _named(answer, model, stream)

    def _fields(self, temperature: float, top_p: float, min_p: float, typical_p: float,
                frequency_penalty: float, presence_penalty: float, repeat_penalty: float,
                top_k: int, seed: int | None, stop: Any, logit_bias: Mapping[int, float] | None,
                others: dict[str, Any]) -> dict[str, Any]:
        """Returns the fields that all answers have."""
        if others.get("mirostat_mode", 0) == 0:
            others.pop("mirostat_tau", None)
            others.pop("mirostat_eta", None)
        for name in list(others):
            if name not in UNDONE_IN_CALLS:
                continue
            value, cure = others[name], UNDONE_IN_CALLS[name][1]
            if value is not None and value != UNDONE_IN_CALLS[name][0]:
                raise UnimplementedError(f"{name} is not done; use {cure}")
            del others[name]
        if others:
            raise TypeError(f"unexpected keyword argument {next(iter(others))!r}")
        fields: dict[str, Any] = {
            "temperature": temperature, "top_p": top_p, "min_p": min_p, "top_k":
            max(0, top_k), "typical_p": typical_p, "frequency_penalty": frequency_penalty,
            "presence_penalty": presence_penalty, "repetition_penalty": repeat_penalty,
            "penalty_window": self._window, "seed": self._choose_seed(seed)}
        if stop:
            fields["stop"] = stop
        if logit_bias:
            fields["logit_bias"] = {str(token): bias for token, bias in logit_bias.items()}
        return fields

    def _choose_seed(self, seed: int | None) -> int:
        if seed is None:
            seed = self._seed
        return random.SystemRandom().getrandbits(32) if seed in (_DRAWN, -1) else seed

    def set_seed(self, seed: int) -> None:
        """Sets the seed of calls without one."""
        self._seed = seed

    # A sequence, some tokens at a time. Completions have sequences of their own.

    @property
    def _session(self) -> _core.Session:
        if self._made_session is None:
            self._made_session = self._llm.session()
        return self._made_session

    def eval(self, tokens: Sequence[int]) -> None:
        """Appends tokens to the sequence, and computes the logits after the last one; with
        logits_all, after each."""
        if self._logits_all:
            self._scores.append(self._session.forward_all(tokens))
        else:
            self._scores = [self._session.forward(tokens)[np.newaxis]]

    def reset(self) -> None:
        """Empties the sequence."""
        self._session.rewind(0)
        self._scores = []

    @property
    def n_tokens(self) -> int:
        """The tokens of the sequence."""
        return self._session.position

    @property
    def input_ids(self) -> np.ndarray[Any, np.dtype[np.intc]]:
        """The tokens of the sequence, intc [n_tokens]."""
        return np.array(self._session.tokens, dtype=np.intc)

    @property
    def eval_tokens(self) -> deque[int]:
        """The tokens of the sequence, a deque."""
        return deque(self._session.tokens, maxlen=self.n_ctx())

    @property
    def scores(self) -> _Floats:
        """The logits that eval computed: float32 [n_tokens, n_vocab] with logits_all, else [1,
        n_vocab], or [0, n_vocab] before the first call."""
        return np.concatenate([np.empty((0, self.n_vocab()), np.float32), *self._scores])

    @property
    def eval_logits(self) -> deque[list[float]]:
        """The same as scores, a deque of lists."""
        return deque(self.scores.tolist(), maxlen=self.n_ctx() if self._logits_all else 1)

    def save_state(self) -> LlamaState:
        """Returns the sequence of eval as a LlamaState."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "session")
            self._session.save(path)
            with open(path, "rb") as file:
                return LlamaState(self.n_tokens, file.read(), self.scores)

    def load_state(self, state: LlamaState) -> None:
        """Goes on from a LlamaState, of this model and of the same n_ctx: bit for bit as the
        sequence that was saved."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "session")
            with open(path, "wb") as file:
                file.write(state.llama_state)
            session = self._llm.restore(path)
        if session.max_tokens != self.n_ctx():
            raise InvalidArgumentError(f"the state has n_ctx {session.max_tokens}, wanted "
                                       f"{self.n_ctx()}")
        if self._logits_all and len(state.scores) != state.n_tokens:
            raise InvalidArgumentError("the state has the logits of the last token only, wanted "
                                       "those of all: save it with logits_all=True")
        self._made_session = session
        self._scores = [state.scores if self._logits_all else state.scores[-1:]]

    def sample(self, *_: Any, **__: Any) -> int:
        """Raises UnimplementedError."""
        raise UnimplementedError("Llama.sample is not done; choose from eval_logits, or use "
                                 "create_completion")

    def generate(self, *_: Any, **__: Any) -> Iterator[int]:
        """Raises UnimplementedError."""
        raise UnimplementedError("Llama.generate is not done; use create_completion(TOKENS, "
                                 "stream=True)")

    def set_cache(self, cache: Any) -> None:
        """Does nothing: prompts with the same beginning always share what was computed."""

    # Vectors.

    def create_embedding(
            self, input: str | Sequence[str],  # pylint: disable=redefined-builtin
            model: str | None = None) -> Any:
        """Returns OpenAI's dictionary with a vector for each text. Needs a model that embeds."""
        return _named(self._llm.create_embedding(input), model, False)

    def embed(self, input: str | Sequence[str]) -> Any:  # pylint: disable=redefined-builtin
        """Returns a list of floats for a text, or a list of these for a list of texts."""
        vectors = [each["embedding"] for each in self.create_embedding(input)["data"]]
        return vectors[0] if isinstance(input, str) else vectors

    # Tokens.

    def tokenize(self, text: str | bytes, add_bos: bool = True,
                 special: bool = False) -> list[int]:
        """Returns the tokens of UTF-8 bytes. special: names of control tokens become tokens."""
        return self._llm.tokenize(_text(text), parse_control=special, bos=add_bos)

    def detokenize(self, tokens: Sequence[int], prev_tokens: Sequence[int] | None = None,
                   special: bool = False) -> bytes:
        """Returns the bytes of tokens. special: control tokens have their names as text.

        prev_tokens: the tokens before these; unused, because blanks do not depend on them.
        """
        return b"".join(token_bytes(self._llm._model, token, special) for token in tokens)

    def n_ctx(self) -> int:
        """Returns the most tokens of a sequence."""
        context: int = self._llm._engine_options()["context"]
        return context

    def n_vocab(self) -> int:
        """Returns the number of tokens."""
        return self._llm._model.vocab_size

    def n_embd(self) -> int:
        """Returns the width of the residual stream."""
        return self._llm._model.model_dim

    def token_bos(self) -> int:
        """Returns the token that begins a text."""
        return self._llm._model.bos_token

    def token_eos(self) -> int:
        """Returns the token that ends a text."""
        return self._llm._model.eos_token

    def token_nl(self) -> int:
        """Returns the token of a line's end."""
        return self._llm.tokenize("\n")[-1]

    # Life.

    def close(self) -> None:
        """Ends all calls and frees the model."""
        self._made_session = None
        self._llm.close()

    def __enter__(self) -> Llama:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def token_bytes(model: _core.Model, token: int, special: bool) -> bytes:
    """Returns the bytes of a token, which may be a part of a character.

    special: control tokens have their names as text, and else no bytes.
    """
    piece = str(model.piece(token))
    if model.is_control(token):
        return piece.encode() if special else b""
    byte = re.fullmatch(r"<0x([0-9A-F]{2})>", piece)
    return bytes.fromhex(byte[1]) if byte else piece.replace("\u2581", " ").encode()


def _max_context(path: str | os.PathLike[str]) -> int:
    """Returns the tokens of a sequence that a model was made for."""
    outline = _core.Model.load(os.fsencode(resolve(os.fsdecode(path))), {"outline": True}, None)
    return outline.max_context


def _text(text: str | bytes) -> str:
    return text.decode() if isinstance(text, bytes) else text


def _response_format(form: Any) -> Any:
    """Returns OpenAI's form of llama_cpp's {"type": "json_object", "schema": ...}."""
    if form is None or form.get("type") != "json_object" or "schema" not in form:
        return form
    schema = {"name": "answer", "schema": form["schema"]}
    return {"type": "json_schema", "json_schema": schema}


def _named(answer: Any, name: str | None, stream: bool) -> Any:
    """Gives a response, or each chunk, the name that the caller wants."""
    if name is None:
        return answer
    if stream:
        return ({**chunk, "model": name} for chunk in answer)
    return {**answer, "model": name}
