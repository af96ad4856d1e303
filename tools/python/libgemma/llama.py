"""A class with the common calls of llama_cpp.Llama, for programs that were written for it.

    from libgemma.llama import Llama
    llm = Llama("gemma-3-270m-q4_k_m.gguf", n_ctx=2048)
    print(llm("Red, green and", max_tokens=8)["choices"][0]["text"])

Arguments that only choose hardware or speed are accepted. Those that would change the answer, and
that libgemma does not do, are errors. Two things differ: the temperature comes before top_k, top_p
and min_p, as with Gemma's own samplers, and seeds give other answers than in llama.cpp.
"""

import os
import random
import re
import warnings

from libgemma import _core
from libgemma._errors import UnimplementedError
from libgemma._llm import LLM
from libgemma._names import resolve

__all__ = ["Llama", "token_bytes"]

_DRAWN = 0xFFFFFFFF  # LLAMA_DEFAULT_SEED: draw one

# Arguments of the constructor that change only where and how fast the model computes.
_SPEED = ("n_gpu_layers", "split_mode", "main_gpu", "tensor_split", "use_mmap", "use_mlock",
          "n_ubatch", "offload_kqv", "flash_attn", "op_offload", "swa_full", "no_perf", "numa",
          "verbose", "logits_all", "embedding")
# Those that would change the answer, and the only value of each that does not.
_UNDONE = {"vocab_only": False, "kv_overrides": None, "rope_scaling_type": -1, "pooling_type": -1,
           "rope_freq_base": 0.0, "rope_freq_scale": 0.0, "yarn_ext_factor": -1.0,
           "yarn_attn_factor": 1.0, "yarn_beta_fast": 32.0, "yarn_beta_slow": 1.0,
           "yarn_orig_ctx": 0, "lora_base": None, "chat_handler": None, "draft_model": None,
           "tokenizer": None, "spm_infill": False}
# The same of calls, with what to use instead.
_UNDONE_IN_CALLS = {"tfs_z": (1.0, "top_p"), "mirostat_mode": (0, "top_p"),
                    "stopping_criteria": (None, "stop=[TEXT]"),
                    "logits_processor": (None, "logit_bias={TOKEN: VALUE}"),
                    "grammar": (None, "response_format or regex='...'"),
                    "functions": (None, "tools=[...]"), "function_call": (None, "tool_choice=...")}
_CACHES = {None: "auto", 0: "float32", 8: "int8", 30: "bfloat16"}  # by GGML's numbers of types
_CACHE_WORDS = "None, 0 (F32), 30 (BF16) or 8 (Q8_0, as int8)"


class Llama:
    """A loaded model.

    model_path: a GGUF file, or whatever LLM takes. n_ctx: the most tokens of a sequence; 0: those
    that the model was made for. n_threads, n_threads_batch: threads for answers and for prompts.
    n_batch: the most tokens of a pass. seed: of calls without one. last_n_tokens_size: the tokens
    that penalties see. lora_path, lora_scale: an adapter. type_k, type_v: the type of caches, both
    the same. chat_format: None (the file's template) or "gemma".
    """

    def __init__(self, model_path, *, n_ctx=512, n_batch=512, n_threads=None, n_threads_batch=None,
                 seed=_DRAWN, last_n_tokens_size=64, lora_path=None, lora_scale=1.0, type_k=None,
                 type_v=None, chat_format=None, **others):
        _check_others(others)
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
        self._llm = LLM(model_path, context=n_ctx or _max_context(model_path),
                        prefill_chunk=n_batch, threads=max(answers, prompts),
                        decode_threads=answers, cache=_CACHES[type_k], chat_template=chat_format,
                        adapters=[(lora_path, lora_scale)] if lora_path else ())
        self._seed = seed
        self._window = last_n_tokens_size

    @classmethod
    def from_pretrained(cls, repo_id, filename=None, **_):
        """Raises UnimplementedError: this class fetches nothing from the network."""
        raise UnimplementedError(
            f"Llama.from_pretrained fetches nothing: 'gemma pull hf://{repo_id}"
            f"{'/' + filename if filename else ''}' fetches the model, and Llama(NAME) loads it")

    # Answers.

    def create_completion(self, prompt, suffix=None, max_tokens=16, temperature=0.8, top_p=0.95,
                          min_p=0.05, typical_p=1.0, logprobs=None, echo=False, stop=None,
                          frequency_penalty=0.0, presence_penalty=0.0, repeat_penalty=1.0,
                          top_k=40, stream=False, seed=None, *, model=None, logit_bias=None,
                          **others):
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

    def create_chat_completion(self, messages, *, tools=None, tool_choice=None, temperature=0.2,
                               top_p=0.95, top_k=40, min_p=0.05, typical_p=1.0, stream=False,
                               stop=None, seed=None, response_format=None, max_tokens=None,
                               presence_penalty=0.0, frequency_penalty=0.0, repeat_penalty=1.0,
                               model=None, logit_bias=None, logprobs=None, top_logprobs=None,
                               **others):
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

    def _fields(self, temperature, top_p, min_p, typical_p, frequency_penalty, presence_penalty,
                repeat_penalty, top_k, seed, stop, logit_bias, others):
        """Returns the fields that all answers have."""
        if others.get("mirostat_mode", 0) == 0:
            others.pop("mirostat_tau", None)
            others.pop("mirostat_eta", None)
        for name in list(others):
            if name not in _UNDONE_IN_CALLS:
                continue
            value, cure = others[name], _UNDONE_IN_CALLS[name][1]
            if value is not None and value != _UNDONE_IN_CALLS[name][0]:
                raise UnimplementedError(f"{name} is not done; use {cure}")
            del others[name]
        if others:
            raise TypeError(f"unexpected keyword argument {next(iter(others))!r}")
        fields = {
            "temperature": temperature, "top_p": top_p, "min_p": min_p, "top_k":
            max(0, top_k), "typical_p": typical_p, "frequency_penalty": frequency_penalty,
            "presence_penalty": presence_penalty, "repetition_penalty": repeat_penalty,
            "penalty_window": self._window, "seed": self._choose_seed(seed)}
        if stop:
            fields["stop"] = stop
        if logit_bias:
            fields["logit_bias"] = {str(token): bias for token, bias in logit_bias.items()}
        return fields

    def _choose_seed(self, seed):
        if seed is None:
            seed = self._seed
        return random.SystemRandom().getrandbits(32) if seed in (_DRAWN, -1) else seed

    def set_seed(self, seed):
        """Sets the seed of calls without one."""
        self._seed = seed

    # Vectors.

    def create_embedding(self, input, model=None):  # pylint: disable=redefined-builtin
        """Returns OpenAI's dictionary with a vector for each text. Needs a model that embeds."""
        return _named(self._llm.create_embedding(input), model, False)

    def embed(self, input):  # pylint: disable=redefined-builtin
        """Returns a list of floats for a text, or a list of these for a list of texts."""
        vectors = [each["embedding"] for each in self.create_embedding(input)["data"]]
        return vectors[0] if isinstance(input, str) else vectors

    # Tokens.

    def tokenize(self, text, add_bos=True, special=False):
        """Returns the tokens of UTF-8 bytes. special: names of control tokens become tokens."""
        return self._llm.tokenize(_text(text), parse_control=special, bos=add_bos)

    def detokenize(self, tokens, prev_tokens=None, special=False):
        """Returns the bytes of tokens. special: control tokens have their names as text.

        prev_tokens: the tokens before these; unused, because blanks do not depend on them.
        """
        return b"".join(token_bytes(self._llm._model, token, special) for token in tokens)

    def n_ctx(self):
        """Returns the most tokens of a sequence."""
        return self._llm._engine_options()["context"]

    def n_vocab(self):
        """Returns the number of tokens."""
        return self._llm._model.vocab_size

    def n_embd(self):
        """Returns the width of the residual stream."""
        return self._llm._model.model_dim

    def token_bos(self):
        """Returns the token that begins a text."""
        return self._llm._model.bos_token

    def token_eos(self):
        """Returns the token that ends a text."""
        return self._llm._model.eos_token

    def token_nl(self):
        """Returns the token of a line's end."""
        return self._llm.tokenize("\n")[-1]

    # Life.

    def close(self):
        """Ends all calls and frees the model."""
        self._llm.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def token_bytes(model, token, special):
    """Returns the bytes of a token, which may be a part of a character.

    special: control tokens have their names as text, and else no bytes.
    """
    piece = model.piece(token)
    if model.is_control(token):
        return piece.encode() if special else b""
    byte = re.fullmatch(r"<0x([0-9A-F]{2})>", piece)
    return bytes.fromhex(byte[1]) if byte else piece.replace("\u2581", " ").encode()


def _check_others(others):
    """Checks the arguments of the constructor that are not done."""
    if others.get("n_gpu_layers", 0) != 0:
        warnings.warn("libgemma computes on the CPU: n_gpu_layers has no effect", stacklevel=3)
    for name, value in others.items():
        if name in _UNDONE:
            if value != _UNDONE[name]:
                raise UnimplementedError(f"{name} is {value!r}, wanted {_UNDONE[name]!r}: libgemma "
                                         "takes it from the model's file")
        elif name not in _SPEED:
            raise TypeError(f"Llama() got an unexpected keyword argument {name!r}")


def _max_context(path):
    """Returns the tokens of a sequence that a model was made for."""
    outline = _core.Model.load(os.fsencode(resolve(os.fsdecode(path))), {"outline": True}, None)
    return outline.max_context


def _text(text):
    return text.decode() if isinstance(text, bytes) else text


def _response_format(form):
    """Returns OpenAI's form of llama_cpp's {"type": "json_object", "schema": ...}."""
    if form is None or form.get("type") != "json_object" or "schema" not in form:
        return form
    schema = {"name": "answer", "schema": form["schema"]}
    return {"type": "json_schema", "json_schema": schema}


def _named(answer, name, stream):
    """Gives a response, or each chunk, the name that the caller wants."""
    if name is None:
        return answer
    if stream:
        return ({**chunk, "model": name} for chunk in answer)
    return {**answer, "model": name}
