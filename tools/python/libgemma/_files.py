"""The contents of files of models, and writing them with other types of weights."""

from __future__ import annotations

import json
import os
import warnings
from typing import Any, Sequence

from libgemma import _core
from libgemma._errors import InvalidArgumentError
from libgemma._names import resolve
from libgemma._progress import Progress, ProgressOption

_CONTEXT = 4096


def adapter_pairs(adapters: Sequence[Any]) -> list[tuple[str, float]]:
    """Returns adapters as pairs of a path and a scale. A path alone has the scale 1."""
    pairs = [(adapter, 1.0) if isinstance(adapter, (str, os.PathLike)) else adapter
             for adapter in adapters]
    try:
        return [(os.fspath(path), scale) for path, scale in pairs]
    except (TypeError, ValueError):
        raise InvalidArgumentError(f"adapters is {adapters!r:.100}, wanted a list of paths, or of "
                                   "pairs of a path and a scale") from None


def quantize(source: str | os.PathLike[str], target: str | os.PathLike[str],
             type: str | None = None, *, bits: float | None = None,
             table_type: str | None = None, expert_type: str | None = None,
             layout: str = "packed", importance: str | os.PathLike[str] | None = None,
             adapters: Sequence[Any] = (), overwrite: bool = False, threads: int = 0,
             progress: ProgressOption = None) -> None:
    """Writes a model to one file, with its configuration, tokenizer and chat template.

    source: anything that LLM loads. target: the file; it stays as it is until all is written.
    type: of matrices: "keep", "bf16", "q8", "q6", "q5", "q4", "q4s" or "q4_0". A matrix that has
        no more bits stays as it is.
    bits: in place of a type: the most bits for each weight, on average. Mixes the types that lose
        least.
    table_type, expert_type: of per-layer embeddings and of experts; None: as the other matrices.
    layout: "packed", which is mapped and run as it is, or "gguf", for llama.cpp too.
    importance: a file of `gemma importance`, or an imatrix of llama.cpp.
    adapters: LoRA adapters to merge, as paths or pairs of a path and a scale.
    overwrite: whether to replace a file at `target`.
    threads: 0: one for each core that this process may use.
    progress: as for LLM, in bytes of the source's weights.

    The same source and options give the same bytes. UserWarning names what the importance file
    lacks.
    """
    if (type is None) == (bits is None):
        raise InvalidArgumentError("type and bits: wanted one of them")
    options = {
        "type": type, "bits": bits, "table_type": table_type, "expert_type": expert_type,
        "layout": layout, "importance": None if importance is None else os.fspath(importance),
        "adapters": adapter_pairs(adapters), "overwrite": overwrite, "threads": threads,
    }
    if bits is not None and not 1 <= bits <= 32:
        raise InvalidArgumentError(f"bits is {bits!r}, wanted a number from 1 to 32")
    path = resolve(os.fspath(source))
    with Progress(progress, "writing", "B") as shown:
        notes = _core.quantize(path, os.fspath(target), options, shown.function)
    for note in notes:
        warnings.warn(note, stacklevel=2)


def inspect(path: str | os.PathLike[str], *, context: int | None = None, sequences: int = 1,
            cache: str = "auto", threads: int = 0, prefill_chunk: int | None = None,
            quantize: str | None = None, adapters: Sequence[Any] = ()) -> dict[str, Any]:
    """Describes a model without loading its weights, as `gemma inspect --json` does.

    context, sequences, cache: of the sequences whose memory is estimated; context None: 4096, or
        what the model was made for if that is less.
    threads, prefill_chunk, quantize, adapters: as for LLM; they change the memory.

    Returns "config", "parameters", "weight_bytes", "bits_per_weight", "types", "memory" (bytes of
    weights, cache, scratch, their total, ...), "tensors", "notes" and others.
    """
    options = {"threads": threads, "prefill_chunk": prefill_chunk, "quantize": quantize,
               "adapters": adapter_pairs(adapters), "outline": True}
    file = resolve(os.fspath(path))
    model = _core.Model.load(os.fsencode(file), options, None)
    try:
        if context is None:
            context = min(_CONTEXT, model.max_context or _CONTEXT)
        described = json.loads(str(_core.describe(model, context, sequences, cache)))
    finally:
        model.close()
    return {"model": os.fspath(path), "path": file, **described}
