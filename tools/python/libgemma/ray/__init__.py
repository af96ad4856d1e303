"""Gemma in Ray: rows of a dataset through a model (here), and a server (libgemma.ray.serve).

    import ray, libgemma.ray

    rows = ray.data.read_parquet("prompts.parquet").map_batches(
        libgemma.ray.Rows, fn_constructor_args=("model.gguf", "generate"),
        fn_constructor_kwargs={"column": "prompt", "arguments": {"max_tokens": 64, "seed": 1}},
        **libgemma.ray.pool())
    rows.write_parquet("answers")

Needs `pip install "ray[data,serve]"`.
"""

from libgemma.ray.data import Rows, pool

__all__ = ["Rows", "pool"]
