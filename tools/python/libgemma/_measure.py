"""Numbers of LLM about texts: logits, probabilities, vectors and policies."""

from __future__ import annotations

import os
import warnings
from typing import Any, Iterable, Mapping, Sequence, Union, overload

import numpy as np

from libgemma import _core
from libgemma._base import Base
from libgemma._errors import InvalidArgumentError
from libgemma._options import check_names
from libgemma._progress import Progress, ProgressOption
from libgemma._results import TokenLogprob, TokenProbability

# A text, before which the token that begins a text is put, or tokens as the model reads them.
Text = Union[str, Sequence[int]]
# A prompt, or a prompt and the response that is classified.
ClassifiedText = Union[str, tuple[str, Union[str, None]]]

_SHIELD_TOKENS = 8192  # of the longest prompt that ShieldGemma was trained on
_MOST_TOLD = 5  # texts that were cut, in a warning


def _told(numbers: Sequence[int]) -> str:
    names = ", ".join(map(str, numbers[:_MOST_TOLD]))
    return names + (", ..." if len(numbers) > _MOST_TOLD else "")


def positions(tokens: Any) -> int:
    """Returns how many positions tokens take, some of which may be InputRows."""
    if not isinstance(tokens, (list, tuple)):
        return len(tokens)
    return sum(len(each) if isinstance(each, _core.InputRows) else 1 for each in tokens)


def read_policies(policies: Any) -> list[_core.Policy]:
    """Returns policies: of None, all of ShieldGemma's; of a name or a Policy, this one; of a list,
    those in it; of a path that ends in .json, those of the file."""
    known = {policy.name: policy for policy in _core.shield_policies()}
    if policies is None:
        return list(known.values())
    if isinstance(policies, os.PathLike) or (isinstance(policies, str) and
                                             policies.endswith(".json")):
        with open(policies, encoding="utf-8") as file:
            return _core.parse_policies(file.read(), os.fspath(policies))
    if isinstance(policies, (str, _core.Policy)):
        policies = [policies]
    found: list[_core.Policy] = []
    for policy in policies:
        if isinstance(policy, str) and policy in known:
            policy = known[policy]
        if not isinstance(policy, _core.Policy):
            raise InvalidArgumentError(f"policies: {policy!r:.100} is neither a Policy nor one of "
                                       f"{', '.join(known)}")
        if any(policy.name == other.name for other in found):
            raise InvalidArgumentError(f"policies: '{policy.name}' comes twice")
        found.append(policy)
    if not found:
        raise InvalidArgumentError("policies: wanted one or more")
    return found


class MeasureMixin(Base):
    """The part of LLM that measures."""

    def _text_tokens(self, text: Text, parse_control: bool = False) -> Any:
        """Returns the tokens of a text with BOS, and lists of tokens as they are."""
        self._check_open()
        if isinstance(text, str):
            return self._model.tokenize(text, parse_control=parse_control, bos=True)
        if parse_control:
            raise InvalidArgumentError("'parse_control' needs a text, but there are tokens")
        return text

    def logits(self, text: Text, *, parse_control: bool = False) -> np.ndarray:
        """Returns the logits after each token, float32 [n, vocab_size].

        text: a text, which BOS is put before, or a list of tokens. Logits are those of the model,
        before temperature and penalties; row i predicts token i + 1. They are the bits of `gemma
        logits` with the same activations and type of cache.
        """
        tokens = self._text_tokens(text, parse_control)
        session = _core.Session(self._model, max_tokens=max(1, positions(tokens)),
                                cache=self._options["cache"])
        try:
            return session.forward_all(tokens)
        finally:
            session.close()

    def token_logprobs(self, text: Text, *, alternatives: int = 0,
                       parse_control: bool = False) -> list[TokenLogprob]:
        """Returns each token of a text and its log-probability after those before it, in nats.

        text: a text, which BOS is put before, or a list of tokens. The log-probability of the first
        token is None.
        alternatives: how many of the most probable tokens to return at each position.
        """
        tokens = self._text_tokens(text, parse_control)
        logprobs, others = _core.score_tokens(self._model, tokens, alternatives=alternatives,
                                              cache=self._options["cache"])
        piece: Any = self._model.piece
        return [TokenLogprob(int(token), piece(int(token)), logprob,
                             [TokenProbability(other, piece(other), of) for other, of in at])
                for token, logprob, at in zip(tokens, logprobs, others)]

    def score(self, prompt: Any, choices: Iterable[Text], **options: Any) -> list[float]:
        """Returns the log-probability of each choice after the prompt, in nats.

        prompt: as for generate, with its options `raw`, `parse_control`, `system`, `tools` and
            `thinking`.
        choices: texts, or lists of tokens. All tokens of a choice are scored, and nothing else:
            longer choices are less probable, and the end of a turn only counts if a choice has its
            token. See Session.score for the numbers of each token.
        """
        self._check_open()
        check_names(options, "score")
        for name in options:
            if name not in ("raw", "parse_control", "system", "tools", "thinking"):
                raise TypeError(f"score() got an unexpected keyword argument '{name}'")
        if isinstance(choices, str):
            raise InvalidArgumentError("choices is a text, wanted a list of texts")
        tokens = self._read_prompt(prompt, options)[0]
        lists = [self._model.tokenize(choice) if isinstance(choice, str) else choice
                 for choice in choices]
        longest = max((len(choice) for choice in lists), default=0)
        session = _core.Session(self._model, max_tokens=max(1, len(tokens) + longest),
                                cache=self._options["cache"])
        try:
            return [score.log_probability for score in session.score(tokens, lists)]
        finally:
            session.close()

    # Vectors.

    def _embedder(self) -> _core.Embedder:
        embedder = _core.Embedder(self._model)
        context = self._options["context"]
        if context is not None and context < embedder.max_tokens:
            embedder = _core.Embedder(self._model, max_tokens=context)
        return embedder

    @property
    def embed_prompts(self) -> Mapping[str, str]:
        """The words before a text, by the names that embed takes as `prompt`."""
        self._check_open()
        return self._embedder().prompts

    def embed(self, texts: str | Sequence[str], *, prompt: str | None = None, title: str = "",
              dimensions: int | None = None, normalize: bool = True,
              progress: ProgressOption = None) -> np.ndarray:
        """Returns vectors of texts, with a model that embeds: float32 [n, dimensions].

        texts: a list, or one text for one vector [dimensions].
        prompt: what the texts are for: a name of `embed_prompts`, such as "query" or "document".
            None: the model's default; "": no words before the texts.
        title: of the texts, for a prompt that has a place for it.
        dimensions: how many leading values of each vector to keep; None: all.
        normalize: whether vectors have the length 1, so that dot products are cosines.
        progress: as for LLM; counts the texts.

        UserWarning tells which texts were longer than the model reads, and were cut.
        """
        self._check_open()
        if dimensions is not None and dimensions < 1:
            raise InvalidArgumentError(f"dimensions is {dimensions!r}, wanted 1 or more, or None")
        one = isinstance(texts, str)
        all_texts: list[Any] = [texts] if one else list(texts)
        embedder = self._embedder()
        if not embedder.has_dense_layers:
            warnings.warn(f"{self.name}: has no dense layers: compare its vectors only with each "
                          "other, not with those of the published model", stacklevel=2)
        with Progress(progress, "embedding", "texts") as shown:
            show = shown.function
            vectors, _, cut = embedder.embed(
                all_texts, prompt=prompt, title=title, dimensions=dimensions or 0,
                normalize=normalize,
                progress=None if show is None else lambda done: show(done, len(all_texts)))
        if cut:
            warnings.warn(f"{len(cut)} of {len(all_texts)} texts had more than "
                          f"{embedder.max_tokens} tokens and were cut: {_told(cut)}", stacklevel=2)
        found: np.ndarray = vectors[0] if one else vectors
        return found

    # Policies.

    def _drop_classifiers(self) -> None:
        """Lets go of what classify keeps from call to call."""
        self.__dict__.pop("_bound_classifiers", None)

    def _classifier(self, wording: str) -> _core.Classifier:
        classifiers: dict[str, _core.Classifier] = self.__dict__.setdefault("_bound_classifiers",
                                                                            {})
        if wording not in classifiers:
            most = min(_SHIELD_TOKENS, self._model.max_context or _SHIELD_TOKENS)
            classifiers[wording] = _core.Classifier(
                self._model, wording=wording, max_tokens=self._options["context"] or most,
                cache=self._options["cache"])
        return classifiers[wording]

    @overload
    def classify(  # type: ignore[overload-overlap]  # a text is a list of texts, too
            self, texts: ClassifiedText, policies: Any = None, *, wording: str = "hub",
            progress: ProgressOption = None) -> dict[str, float]: ...

    @overload
    def classify(self, texts: Sequence[ClassifiedText], policies: Any = None, *,
                 wording: str = "hub",
                 progress: ProgressOption = None) -> list[dict[str, float]]: ...

    def classify(self, texts: Any, policies: Any = None, *, wording: str = "hub",
                 progress: ProgressOption = None) -> Any:
        """Returns how probably a text violates policies, with a ShieldGemma: a number for each.

        texts: a prompt, or a tuple of a prompt and the response that is classified; or a list of
            these, for a list of dictionaries. Prompts of all texts and policies that begin alike
            are computed once.
        policies: names of ShieldGemma's (dangerous, harassment, hate, sexual), objects of Policy,
            or the path of a JSON file of policies; None: all of ShieldGemma's.
        wording: "hub", the words of the published tokenizer, or "example", those of Google's code.
        progress: as for LLM; counts the prompts, one for each text and policy.

        A number is the probability of "Yes" against "No" as the next token. UserWarning tells if
        the two were improbable together: the model is then not a ShieldGemma. If a text is too
        long, the error names it and no result is returned.
        """
        self._check_open()
        one = isinstance(texts, (str, tuple))
        pairs = [(text, None) if isinstance(text, str) else tuple(text)
                 for text in ([texts] if one else texts)]
        wanted = read_policies(policies)
        classifier = self._classifier(wording)
        with Progress(progress, "classifying", "prompts") as shown:
            rows = classifier.classify(pairs, wanted, shown.function)
            if shown.function is not None:
                shown.function(len(pairs) * len(wanted), len(pairs) * len(wanted))
        mass = classifier.stats["answer_mass"]
        if mass < 0.5:
            # A new one has not seen these texts, so that later calls tell of theirs.
            self._drop_classifiers()
            warnings.warn(f"{self.name}: 'Yes' and 'No' had a probability of {mass:.2f} together, "
                          "so the numbers mean little: this model is not a ShieldGemma",
                          stacklevel=2)
        results = [{policy.name: probability for policy, probability in zip(wanted, row)}
                   for row in rows]
        return results[0] if one else results
