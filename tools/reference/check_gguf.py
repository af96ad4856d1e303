#!/usr/bin/env python3
"""Opens GGUF files of gemma quantize with other programs and checks what they read.

  check_gguf.py FILE.gguf... [--gemma build/release/gemma] [--tolerance 0.05]

The Python package gguf must read every key and tensor, know the tensors' names as those of the architecture, except
for RecurrentGemma, which it does not know, and dequantise the tensors to finite values. If llama-cpp-python is installed (benchmarks/compare.py makes such an environment), it must load the file and give the logits of gemma, again except for
RecurrentGemma. It keeps keys, values and activations with fewer bits, so the largest error may be --tolerance times the
largest logit.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

import gguf
import numpy as np

try:
    import llama_cpp
except ImportError:
    llama_cpp = None

OURS = "recurrentgemma"


class CheckError(Exception):
    pass


def check_names(path, architecture, names):
    """Checks that the package lists all names for the architecture."""
    known = {name: arch for arch, name in gguf.MODEL_ARCH_NAMES.items()}
    if architecture not in known:
        if architecture == OURS:
            return
        raise CheckError(f"{path}: gguf does not know the architecture {architecture!r}")
    listed = {gguf.TENSOR_NAMES[tensor] for tensor in gguf.MODEL_TENSORS[known[architecture]]}
    for name in names:
        plain = re.sub(r"^blk\.\d+\.", "blk.{bid}.", name).rsplit(".", 1)[0]
        if plain not in listed:
            raise CheckError(f"{path}: gguf does not know the tensor {name!r} of {architecture!r}")


def check_read(path):
    """Reads everything with the package. Returns the architecture and the number of tokens of the table."""
    reader = gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    check_names(path, fields["general.architecture"], [tensor.name for tensor in reader.tensors])
    rows = 0
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if not np.isfinite(values).all():
            raise CheckError(f"{path}: {tensor.name} is not finite")
        if list(values.shape) != list(tensor.shape)[::-1]:
            raise CheckError(f"{path}: {tensor.name} is {values.shape}, but its shape {tensor.shape}")
        if tensor.name == "token_embd.weight":
            rows = values.shape[0]
    print(f"{path}: gguf reads {len(fields)} keys and {len(reader.tensors)} tensors")
    return fields["general.architecture"], rows


def our_logits(command, path, tokens):
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder) / "logits.npy"
        subprocess.run([command, "logits", path, "--tokens", ",".join(map(str, tokens)), "--output", output], check=True)
        return np.load(output)


def their_logits(path, tokens):
    model = llama_cpp.Llama(str(path), n_ctx=64, n_batch=64, logits_all=True, verbose=False)
    model.eval(tokens)
    return np.array(model.scores[:len(tokens)])


def check_logits(command, path, rows, tolerance):
    tokens = [2] + [int(t) for t in np.random.default_rng(0).integers(3, rows, 15)]
    ours = our_logits(command, path, tokens)
    theirs = their_logits(path, tokens)
    if ours.shape != theirs.shape:
        raise CheckError(f"{path}: logits {ours.shape}, llama.cpp has {theirs.shape}")
    error = np.abs(ours - theirs).max() / np.abs(ours).max()
    print(f"{path}: llama.cpp's logits differ by {error:.2e} of the largest, "
          f"top-1 agrees in {(ours.argmax(1) == theirs.argmax(1)).mean():.0%}")
    if not error <= tolerance:
        raise CheckError(f"{path}: logits differ by {error:.2e}, wanted at most {tolerance:.2e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=pathlib.Path, metavar="FILE.gguf")
    parser.add_argument("--gemma", default="build/release/gemma")
    parser.add_argument("--tolerance", type=float, default=0.05)
    arguments = parser.parse_args()
    for path in arguments.files:
        architecture, rows = check_read(path)
        if llama_cpp is None:
            print(f"{path}: llama-cpp-python is not installed: logits were not compared")
        elif architecture != OURS:
            check_logits(arguments.gemma, path, rows, arguments.tolerance)


if __name__ == "__main__":
    try:
        main()
    except (CheckError, OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"check_gguf: {error}")
