"""A model of lm-evaluation-harness (lm_eval), computed in this process.

    import lm_eval
    import libgemma.lm_eval
    lm_eval.simple_evaluate(model="libgemma", model_args="path=gemma-3-270m", tasks=["arc_easy"])

or, on the command line, `python3 -m libgemma.lm_eval --model libgemma --model_args path=FILE ...`.
Prompts begin with BOS. The choices of a question are scored together, after one reading of it, and
questions that begin alike share what was computed. Log-probabilities come from unchanged logits;
activations=float32 and cache=float32 are closest to a reference in float32.
"""

from __future__ import annotations

import collections
import logging
import os
import re
from typing import Any, Iterable, Iterator, Mapping, Sequence

try:
    from lm_eval.api.model import TemplateLM
    from lm_eval.api.registry import register_model
    from lm_eval.models.utils import normalize_gen_kwargs
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
except ImportError as error:
    raise ImportError("libgemma.lm_eval needs lm-eval: pip install lm-eval") from error

from tqdm import tqdm

from libgemma._llm import LLM
from libgemma._openai import ask_all
from libgemma.llama import token_bytes

_log = logging.getLogger("libgemma.lm_eval")
_MOST_CHOICES = 256  # of a request to /v1/score
# Fields of /v1/completions that tasks may set.
_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty",
             "frequency_penalty", "presence_penalty")


@register_model("libgemma")
class GemmaLM(TemplateLM):
    """A model for lm_eval.

    path: a file, or the name of a pulled model.
    max_length: the most tokens of a prompt with its continuation. A longer one is an error: nothing
        is ever cut in silence. Texts of loglikelihood_rolling are read in windows of this length.
    batch_size: requests that are computed together; "auto": 8.
    max_gen_toks: the most tokens of an answer, if the task does not say.
    options: those of LLM, such as threads, activations and cache.
    """

    def __init__(self, path: str | os.PathLike[str], max_length: int = 4096,
                 batch_size: int | str = 8, max_gen_toks: int = 256, device: str | None = None,
                 max_batch_size: int | None = None, **options: Any) -> None:
        super().__init__()
        if device not in (None, "", "cpu"):
            _log.warning("device is %r: libgemma computes on the CPU", device)
        if isinstance(batch_size, str) and batch_size.startswith("auto"):
            batch_size = max_batch_size or 8
        self._sequences = int(batch_size)
        self.max_length = int(max_length)
        self._max_gen_toks = int(max_gen_toks)
        # A token more is predicted, and one that the server would generate.
        self._llm = LLM(path, context=self.max_length + 2, sequences=self._sequences, **options)
        self._bos = self._llm._model.bos_token
        self._parses_control = False

    @property
    def eot_token_id(self) -> int:
        return self._llm._model.eos_token

    @property
    def prefix_token_id(self) -> int:
        return self._bos

    @property
    def tokenizer_name(self) -> str:
        return re.sub(r"\W+", "__", self._llm.name)

    def apply_chat_template(self, chat_history: Sequence[Mapping[str, Any]],
                            add_generation_prompt: bool = True) -> str:
        """Returns the text of a chat.

        From now on, names of control tokens in texts become these tokens: lm_eval knows only texts.
        """
        if not add_generation_prompt and chat_history[-1]["role"] != "assistant":
            raise ValueError("add_generation_prompt is False, but the last message is not of the "
                             "assistant")
        self._parses_control = True
        model = self._llm._model
        tokens = self._llm.tokens(chat_history)
        if tokens[:1] == [self._bos]:
            tokens = tokens[1:]
        return b"".join(token_bytes(model, token, True) for token in tokens).decode()

    def tok_encode(self, string: str, add_special_tokens: bool | None = None,
                   **_: Any) -> list[int]:
        return self._llm.tokenize(string, parse_control=self._parses_control,
                                  bos=add_special_tokens is not False)

    def _ask_all(self, path: str, requests: Iterable[dict[str, Any]], total: int,
                 disable_tqdm: bool) -> Iterator[tuple[int, Any]]:
        """Gives (index, response) of many requests as they end."""
        answers = ask_all(self._llm._openai_server(), path, requests, 2 * self._sequences)
        yield from tqdm(answers, total=total, disable=disable_tqdm, desc=path)

    def _loglikelihood_tokens(self, requests: Sequence[Any], disable_tqdm: bool = False,
                              **_: Any) -> list[tuple[float, bool]]:
        by_context: dict[tuple[int, ...], list[tuple[int, Any]]] = {}
        for index, (_, context, continuation) in enumerate(requests):
            if len(context) + len(continuation) > self.max_length + 1:  # the last one is not read
                raise ValueError(f"request {index}: {len(context)} tokens and a continuation of "
                                 f"{len(continuation)}, max_length is {self.max_length}")
            by_context.setdefault(tuple(context), []).append((index, continuation))
        groups = [(context, members[i:i + _MOST_CHOICES]) for context, members in by_context.items()
                  for i in range(0, len(members), _MOST_CHOICES)]
        fields = ({"prompt": context, "choices": [choice for _, choice in members]}
                  for context, members in groups)
        results: list[Any] = [None] * len(requests)
        for group, answer in self._ask_all("/v1/score", fields, len(groups), disable_tqdm):
            for (index, _), choice in zip(groups[group][1], answer["choices"], strict=True):
                results[index] = (choice["log_probability"], choice["is_greedy"])
                self.cache_hook.add_partial("loglikelihood", requests[index][0], results[index])
        return results

    def loglikelihood_rolling(self, requests: Sequence[Any],
                              disable_tqdm: bool = False) -> list[float]:
        # (index of the text, tokens read before, tokens that count)
        windows: list[tuple[int, Any, Any]] = []
        for index, request in enumerate(requests):
            tokens = self.tok_encode(request.args[0], add_special_tokens=False)
            windows += [(index, *make_disjoint_window(window)) for window in
                        get_rolling_token_windows(tokens, self.prefix_token_id, self.max_length, 1)]
        fields = ({"prompt": [*before, *counted], "max_tokens": 0, "echo": True, "logprobs": 0}
                  for _, before, counted in windows)
        totals = [0.0] * len(requests)
        for window, answer in self._ask_all("/v1/completions", fields, len(windows), disable_tqdm):
            index, before, _ = windows[window]
            logprobs = answer["choices"][0]["logprobs"]["token_logprobs"]
            totals[index] += sum(logprobs[len(before):])
        for request, total in zip(requests, totals, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return totals

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        seen: collections.Counter[int] = collections.Counter()  # repeats are one object
        fields = []
        for request in requests:
            context, settings = request.args
            fields.append(self._generation(context, settings, seen[id(request)]))
            seen[id(request)] += 1
        results: list[Any] = [None] * len(requests)
        for index, answer in self._ask_all("/v1/completions", fields, len(requests), disable_tqdm):
            results[index] = answer["choices"][0]["text"]
            self.cache_hook.add_partial("generate_until", requests[index].args, results[index])
        return results

    def _generation(self, context: str, settings: dict[str, Any],
                    repeat: int) -> dict[str, Any]:
        """Returns the fields of a request for /v1/completions. Each repeat has a seed of its own.
        """
        settings = normalize_gen_kwargs(settings, self._max_gen_toks)
        if not settings.pop("do_sample"):
            settings["temperature"] = 0.0
        prompt, most = self.tok_encode(context), settings.pop("max_gen_toks")
        if len(prompt) + most > self.max_length:
            raise ValueError(f"a prompt of {len(prompt)} tokens and max_gen_toks, {most}, do not "
                             f"fit in max_length, {self.max_length}")
        fields = {"prompt": prompt, "max_tokens": most, "seed": settings.pop("seed", 0) + repeat,
                  "stop": [text for text in settings.pop("until") if text]}
        for name in list(settings):
            if name not in _SAMPLING:
                raise ValueError(f"generation_kwargs has {name!r}, which libgemma does not do")
            fields[name] = settings.pop(name)
        return fields


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate
    cli_evaluate()
