#!/usr/bin/env python3
"""Embeds the texts of a Parquet file with EmbeddingGemma, on all nodes of a Ray cluster.

  embed_parquet.py embeddinggemma-300m texts.parquet embedded --dimensions 256

OUTPUT, a folder, gets Parquet files with all columns of the input, and the column `embedding`:
float32 values, [dimensions]. A text that is longer than the model reads ends the program. Without a
cluster, Ray uses this machine.
"""
import argparse

import ray

import libgemma.ray


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("model", metavar="MODEL", help="an EmbeddingGemma: a file on each node, or a pulled name")
    add("input", metavar="INPUT", help="a Parquet file, or a folder of them")
    add("output", metavar="OUTPUT", help="a folder")
    add("--column", default="text", help="the texts (default text)")
    add("--prompt", metavar="NAME", help="what the vectors are for, such as document")
    add("--dimensions", type=int, metavar="N", help="(default: all)")
    add("--address", metavar="HOST:PORT", help="of a Ray cluster")
    return parser.parse_args()


def main():
    options = parse_arguments()
    ray.init(address=options.address)
    embedded = ray.data.read_parquet(options.input).map_batches(
        libgemma.ray.Rows, fn_constructor_args=(options.model, "embed"),
        fn_constructor_kwargs={"column": options.column,
                               "arguments": {"prompt": options.prompt,
                                             "dimensions": options.dimensions}},
        **libgemma.ray.pool())
    embedded.write_parquet(options.output)


if __name__ == "__main__":
    main()
