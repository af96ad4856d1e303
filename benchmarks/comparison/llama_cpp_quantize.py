#!/usr/bin/env python3
"""Writes a GGUF file in another type with llama.cpp, through its C API. quality.py runs it.

  llama_cpp_quantize.py SOURCE TARGET Q4_K_M [--pure] [--importance FILE] [--set KEY=NUMBER]
"""
import argparse
import ctypes
import sys

import gguf
import llama_cpp as llama
import numpy

from llama_cpp_log import Log


def read_importance(path):
    """Returns {tensor's name: mean square of each input channel} from a file like that of llama.cpp's imatrix tool."""
    tensors = {tensor.name: tensor.data for tensor in gguf.GGUFReader(path).tensors}
    found = {}
    for name, sums in tensors.items():
        if name.endswith(".in_sum2"):
            name = name.removesuffix(".in_sum2")
            count = tensors[f"{name}.counts"].reshape(-1, 1)
            means = sums.reshape(len(count), -1) / numpy.maximum(count, 1)
            found[name] = numpy.ascontiguousarray(means.reshape(-1), numpy.float32)
    if not found:
        sys.exit(f"{path}: no tensor *.in_sum2")
    return found


def importance_data(found):
    """Returns the array for llama_model_quantize_params.imatrix, which an entry without a name ends."""
    entries = (llama.llama_model_imatrix_data * (len(found) + 1))()
    for entry, (name, values) in zip(entries, found.items()):
        entry.name = name.encode()
        entry.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        entry.size = values.size
    return entries


def override_data(pairs):
    """Returns the array for llama_model_quantize_params.kv_overrides, which an entry without a key ends."""
    entries = (llama.llama_model_kv_override * (len(pairs) + 1))()
    for entry, (key, number) in zip(entries, pairs):
        entry.tag = llama.LLAMA_KV_OVERRIDE_TYPE_FLOAT
        entry.key = key.encode()
        entry.value.val_f64 = float(number)
    return entries


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("type", help="a name after LLAMA_FTYPE_MOSTLY_ in llama.cpp")
    parser.add_argument("--pure", action="store_true", help="use this type for every tensor that can have it")
    parser.add_argument("--importance", metavar="FILE", help="a GGUF file of llama.cpp's imatrix tool")
    parser.add_argument("--set", action="append", default=[], type=lambda pair: pair.split("=", 1), metavar="KEY=NUMBER",
                        help="a number in the target's metadata")
    arguments = parser.parse_args()
    log = Log()
    parameters = llama.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama, f"LLAMA_FTYPE_MOSTLY_{arguments.type}")
    parameters.pure = arguments.pure
    parameters.allow_requantize = True
    found = read_importance(arguments.importance) if arguments.importance else {}
    entries = importance_data(found)  # `entries` and `found` must live until the end
    if found:
        parameters.imatrix = entries
    overrides = override_data(arguments.set)
    if arguments.set:
        parameters.kv_overrides = overrides
    llama.llama_backend_init()
    if llama.llama_model_quantize(arguments.source.encode(), arguments.target.encode(), ctypes.byref(parameters)) != 0:
        sys.exit(f"llama_model_quantize failed: {'; '.join(log.errors) or 'no reason given'}")


if __name__ == "__main__":
    main()
