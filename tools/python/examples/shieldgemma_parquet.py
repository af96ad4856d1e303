#!/usr/bin/env python3
"""Classifies the texts of a Parquet file with ShieldGemma, on all nodes of a Ray cluster.

  shieldgemma_parquet.py shieldgemma-2b-q8.gguf texts.parquet classified
  shieldgemma_parquet.py shieldgemma-2b-q8.gguf chats.parquet classified \\
      --column prompt --response answer

OUTPUT, a folder, gets Parquet files with all columns of the input, and for each policy a column:
the probability that the text violates it, or with --response, that the answer does. If the model
refuses a text, such as one that is too long, these are null, and the column `error` has the reason.
Without a cluster, Ray uses this machine.
"""
import argparse

import ray

import libgemma.ray


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("model", metavar="MODEL", help="a ShieldGemma: a file on each node, or a pulled name")
    add("input", metavar="INPUT", help="a Parquet file, or a folder of them")
    add("output", metavar="OUTPUT", help="a folder")
    add("--column", default="text", help="the texts of users (default text)")
    add("--response", metavar="COLUMN", help="the answers of a model to them")
    add("--policy", action="append", metavar="NAME", help="may be repeated (default: all)")
    add("--address", metavar="HOST:PORT", help="of a Ray cluster")
    return parser.parse_args()


def main():
    options = parse_arguments()
    ray.init(address=options.address)
    classified = ray.data.read_parquet(options.input).map_batches(
        libgemma.ray.Rows, fn_constructor_args=(options.model, "classify"),
        fn_constructor_kwargs={"column": options.column, "response_column": options.response,
                               "arguments": {"policies": options.policy}, "errors": "column"},
        **libgemma.ray.pool())
    classified.write_parquet(options.output)


if __name__ == "__main__":
    main()
