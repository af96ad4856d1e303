"""Gemma in Apache Beam: a ModelHandler for RunInference, and a transform with a dead-letter output.

    import apache_beam as beam
    import libgemma.beam

    handler = libgemma.beam.Handler(
        "model.gguf", "generate", arguments={"max_tokens": 64, "seed": 1}, errors="output")
    with beam.Pipeline() as pipeline:
        answers, refused = pipeline | beam.Create(prompts) | libgemma.beam.Run(handler)

Needs `pip install apache-beam`.
"""

import asyncio
import os
import threading
from typing import Any, Iterator, Mapping, Sequence

from libgemma import _core
from libgemma._names import resolve
from libgemma._rows import Result, RowError, Rows

try:
    import apache_beam as beam
    from apache_beam.ml.inference.base import ModelHandler, PredictionResult, RunInference
except ImportError as error:
    raise ImportError(
        f"libgemma.beam needs Apache Beam: pip install apache-beam ({error})") from error

__all__ = ["Handler", "RowError", "Run"]


class Handler(ModelHandler):
    """Lets RunInference work with a model. Its results are PredictionResult(example, inference,
    model_id).

    path: a model's file on each worker, or the name of a model that each worker has pulled.
    task: what an example is, and what the dictionary `inference` has:
      generate  a text, tokens or messages: answer, finish_reason, prompt_tokens, answer_tokens,
                seed
      embed     a text: embedding, float32 [dimensions]
      classify  a text, or the texts of a user and of a model: the probability of each policy
      score     a text or tokens: log_probabilities, one for each of arguments["choices"]
    arguments: those of LLM.generate, embed, classify or score. The inference_args of RunInference
        come before them.
    options: those of LLM. `deterministic` is by default True.
    max_batch_size: the most examples of a batch.
    max_batch_tokens: the most tokens of the prompts of a batch, unless its only one has more.
    errors: "raise" fails the batch of an example that the model refuses, such as a prompt that is
        too long; "output" makes its `inference` a RowError, which Run separates.

    The processes of a worker share one model, which computes for all of them together. Works in a
    KeyedModelHandler, and takes new paths, as Beam's automatic model refresh sends them. Beam then
    writes two small files beside a model that is named by an absolute path.
    """

    def __init__(self, path: str, task: str = "generate", *,
                 arguments: Mapping[str, Any] | None = None,
                 options: Mapping[str, Any] | None = None, max_batch_size: int = 64,
                 max_batch_tokens: int = 16384, errors: str = "raise") -> None:
        if errors not in ("raise", "output"):
            raise ValueError(f"errors is {errors!r}, wanted 'raise' or 'output'")
        if not 1 <= max_batch_size <= max_batch_tokens:
            raise ValueError(f"max_batch_size is {max_batch_size}, wanted 1 to max_batch_tokens, "
                             f"{max_batch_tokens}")
        # Beam measures batches by the sum of element_size_fn. It sends an empty batch before an
        # element that is larger than a batch may be.
        super().__init__(min_batch_size=max_batch_tokens, max_batch_size=max_batch_tokens,
                         element_size_fn=_Weight(path, max_batch_size, max_batch_tokens),
                         large_model=True)
        self._path, self._task = path, task
        self.outputs_errors = errors == "output"
        self._arguments, self._options = dict(arguments or {}), dict(options or {})

    def load_model(self) -> "SharedModel":
        return SharedModel(self._path, self._task, self._arguments, self._options)

    def run_inference(self, batch: Sequence[Any], model: "SharedModel",
                      inference_args: dict[str, Any] | None = None) -> list[PredictionResult]:
        """Returns a PredictionResult for each example, in order."""
        examples = list(batch)
        results = model.run(examples, dict(inference_args or {}))
        for result in results:
            if isinstance(result, RowError) and not self.outputs_errors:
                raise ValueError(str(result))
        return [PredictionResult(*pair, self._path) for pair in zip(examples, results)]

    def update_model_path(self, model_path: str | None = None) -> None:
        self._path = model_path or self._path

    def get_metrics_namespace(self) -> str:
        return "libgemma"


class SharedModel:
    """A model for several processes: Beam makes it in one of them, which has a thread for each
    call of the others."""

    def __init__(self, path: str, task: str, arguments: Mapping[str, Any],
                 options: Mapping[str, Any]) -> None:
        self._rows = Rows(path, task, arguments=arguments, options=options)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=_run, args=(self._loop,), name="rows", daemon=True).start()

    def run(self, examples: Sequence[Any], arguments: Mapping[str, Any]) -> list[Result]:
        """Returns a dict or a RowError for each example."""
        running = self._rows.run(examples, arguments)
        return asyncio.run_coroutine_threadsafe(running, self._loop).result()

    def __del__(self) -> None:
        if hasattr(self, "_loop"):
            self._loop.call_soon_threadsafe(self._loop.stop)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


class _Weight:
    """Counts the tokens of an example, with a tokenizer for each process, which reads no weights.
    An example never weighs more than a batch, or so little that a batch has too many."""

    _tokenizers: dict[str, _core.Model] = {}
    _lock = threading.Lock()

    def __init__(self, path: str, most_examples: int, most_tokens: int) -> None:
        self._path = path
        self._least = -(-most_tokens // most_examples)
        self._most = most_tokens

    def __call__(self, example: Any) -> int:
        return min(max(self._least, self._count(example)), self._most)

    def _count(self, value: Any) -> int:
        if isinstance(value, str):
            return self._tokens(value)
        if isinstance(value, dict):
            return sum(self._count(item) for item in value.values())
        if isinstance(value, (list, tuple)):
            return sum(1 if isinstance(item, int) else self._count(item) for item in value)
        return 0

    def _tokens(self, text: str) -> int:
        with self._lock:
            if self._path not in self._tokenizers:
                path = os.fsencode(resolve(self._path))
                self._tokenizers[self._path] = _core.Model.load(path, {"outline": True}, None)
            return len(self._tokenizers[self._path].tokenize(text))


class Run(beam.PTransform):
    """Runs a Handler, or a KeyedModelHandler of Handlers, and separates what the model refuses.

    The handlers must have errors="output": without it, a refused example fails the pipeline.
    Returns two PCollections: PredictionResult, and pairs (example, RowError). With keys, the
    elements of both are pairs of a key and these.
    """

    def __init__(self, handler: Any, **options: Any) -> None:
        """options: those of RunInference."""
        super().__init__()
        if isinstance(handler, Handler) and not handler.outputs_errors:
            raise ValueError("the handler has errors='raise', and Run wants errors='output'")
        self._handler, self._options = handler, options

    def expand(self, examples: Any) -> Any:
        results = examples | RunInference(self._handler, **self._options)
        separate = beam.ParDo(_Separate()).with_outputs("refused", main="results")
        parts = results | "Separate" >> separate
        return parts.results, parts.refused


class _Separate(beam.DoFn):
    """Sends results with a RowError to the output `refused`."""

    def process(self, element: Any) -> Iterator[Any]:  # pylint: disable=arguments-differ
        keyed = not isinstance(element, PredictionResult)
        result = element[1] if keyed else element
        if not isinstance(result.inference, RowError):
            yield element
            return
        refused = (result.example, result.inference)
        yield beam.pvalue.TaggedOutput("refused", (element[0], refused) if keyed else refused)
