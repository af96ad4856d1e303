"""Rows of a Ray dataset through a model: an actor on each node, whose batches overlap."""

from __future__ import annotations

import math
import os
from typing import Any, Mapping, Sequence

from libgemma import _rows

try:
    import pyarrow
    import ray
    import ray.data
except ImportError as error:
    raise ImportError(f'libgemma.ray needs Ray: pip install "ray[data,serve]" ({error})') from error

# The types of new columns. Others have the probability of a policy.
_TYPES = {
    "answer": pyarrow.string(),
    "finish_reason": pyarrow.string(),
    "prompt_tokens": pyarrow.int64(),
    "answer_tokens": pyarrow.int64(),
    "seed": pyarrow.uint64(),
    "embedding": pyarrow.list_(pyarrow.float32()),
    "log_probabilities": pyarrow.list_(pyarrow.float64()),
    "error": pyarrow.string(),
}


def _cpus(node: Mapping[str, Any]) -> int:
    return math.floor(node["Resources"].get("CPU", 0)) if node["Alive"] else 0


def pool(*, cpus: int | None = None, nodes: int | None = None,
         batch_size: int = 64) -> dict[str, Any]:
    """Returns arguments of Dataset.map_batches for Rows: an actor on each node.

    cpus: CPUs of a node; by default, those of the smallest node that has any.
    nodes: the most actors; by default, one for each node with so many CPUs.
    batch_size: rows of a batch. An actor works on several batches at a time, so that it always has
        enough rows.

    An actor reserves more than half of `cpus`, so that no node of this size, above two, has two of
    them, and computes with all CPUs of its node. The rest is for tasks of Ray, which read and
    write. Where nodes differ, one with about twice the CPUs may get two actors; `cpus` of the large
    nodes leaves the small ones out. If a node is lost, other nodes compute its rows: the pool goes
    on with fewer actors, while Ray waits for the lost actor of a pool with a fixed size.
    """
    if not ray.is_initialized():
        ray.init()
    found = [count for count in map(_cpus, ray.nodes()) if count > 0]
    if cpus is None:
        if not found:
            raise ValueError("no node of the Ray cluster has a CPU; `cpus` says how many to use")
        cpus = min(found)
    if nodes is None:
        nodes = max(1, sum(count >= cpus for count in found))
    actors = ray.data.ActorPoolStrategy(
        min_size=1, max_size=nodes, max_tasks_in_flight_per_actor=4,
        max_concurrent_calls_per_actor=2)
    reserved = cpus // 2 + 1 if cpus > 2 else 1
    return {"batch_format": "pyarrow", "batch_size": batch_size, "num_cpus": reserved,
            "compute": actors}


def _threads_here() -> int:
    """The CPUs that Ray counts on this node. If it counts none: 0, so that the library chooses."""
    here = ray.get_runtime_context().get_node_id()
    return sum(_cpus(node) for node in ray.nodes() if node["NodeID"] == here)


class Rows:
    """A class for Dataset.map_batches. Adds columns to each row: what a model makes of one column.

    path: a model's file on each node, or the name of a model that each node has pulled. Actors on
        one machine share the pages of a mapped file.
    task: what the column has, and which columns are added:
      generate  a text, tokens or messages: answer, finish_reason, prompt_tokens, answer_tokens,
                seed
      embed     a text: embedding, float32 [dimensions]
      classify  a text: the probability of each policy, in a column with its name
      score     a text or tokens: log_probabilities, one for each of arguments["choices"]
    column: the column that is read.
    response_column: for classify, the column with a model's answer to the text. Rows without an
        answer have null there.
    arguments: those of LLM.generate, embed, classify or score. With a `seed`, an answer depends on
        nothing but its own row.
    options: those of LLM. `threads` is by default the number of the node's CPUs, and
        `deterministic` True.
    errors: "raise" ends the job at the first row that the model refuses, such as a prompt that is
        too long. "column" adds the column `error`, and leaves the other new columns of such a row
        null.

    Raises ValueError for a column that is missing, or would be there twice.
    """

    def __init__(self, path: str | os.PathLike[str], task: str, *, column: str,
                 response_column: str | None = None, arguments: Mapping[str, Any] | None = None,
                 options: Mapping[str, Any] | None = None, errors: str = "raise") -> None:
        if errors not in ("raise", "column"):
            raise ValueError(f"errors is {errors!r}, wanted 'raise' or 'column'")
        if response_column is not None and task != "classify":
            raise ValueError(f"response_column is for the task 'classify', not for {task!r}")
        self._column, self._response_column = column, response_column
        self._has_errors = errors == "column"
        options = {"threads": _threads_here(), **(options or {})}
        self._rows = _rows.Rows(path, task, arguments=arguments, options=options)
        self._names = self._rows.columns

    async def __call__(self, batch: pyarrow.Table) -> pyarrow.Table:
        """Returns `batch`, a pyarrow.Table, with the new columns."""
        if not isinstance(batch, pyarrow.Table):
            raise ValueError(f"a batch is of {type(batch).__name__}, wanted pyarrow.Table: call "
                             "map_batches with batch_format='pyarrow', as pool() says")
        self._check_names(batch)
        results = await self._rows.run(self._values(batch))
        for result in results:
            if isinstance(result, _rows.RowError) and not self._has_errors:
                raise ValueError(str(result))
        return self._with_columns(batch, results)

    def _check_names(self, batch: pyarrow.Table) -> None:
        for name in (*self._names, *(["error"] if self._has_errors else [])):
            if name in batch.column_names:
                raise ValueError(f"the dataset has a column {name!r} already; rename it")

    def _values(self, batch: pyarrow.Table) -> list[Any]:
        for name in filter(None, (self._column, self._response_column)):
            if name not in batch.column_names:
                raise ValueError(f"the dataset has no column {name!r}, only "
                                 f"{', '.join(batch.column_names)}")
        values = [_without_nulls(value) for value in batch.column(self._column).to_pylist()]
        if self._response_column is None:
            return values
        answers = batch.column(self._response_column).to_pylist()
        return [value if answer is None else (value, answer)
                for value, answer in zip(values, answers)]

    def _with_columns(self, batch: pyarrow.Table, results: Sequence[Any]) -> pyarrow.Table:
        failed = [isinstance(result, _rows.RowError) for result in results]
        cells = {name: [None if bad else result[name] for result, bad in zip(results, failed)]
                 for name in self._names}
        if self._has_errors:
            cells["error"] = [str(result) if bad else None for result, bad in zip(results, failed)]
        for name, values in cells.items():
            array = pyarrow.array(values, _TYPES.get(name, pyarrow.float64()))
            batch = batch.append_column(name, array)
        return batch


def _without_nulls(value: Any) -> Any:
    """Returns a value without the nulls that Arrow gives to fields that only other rows have."""
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return value
