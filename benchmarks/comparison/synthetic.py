#!/usr/bin/env python3
"""Random matrices of Gemma 2 2B's shape, and the errors of llama.cpp's types on them. quality.py runs it.

  synthetic.py DIR    writes DIR/gaussian.f32 and DIR/student_t5.f32, float32 [9216, 2304], and prints a line of JSON:
                      {distribution: {"file": ..., "types": {type: {"bits": ..., "error": ...}}}}

An error is the root mean square of the weights' errors, relative to that of the weights.
"""
import ctypes
import json
import pathlib
import sys

import gguf
import llama_cpp
import numpy
from gguf import GGMLQuantizationType

ROWS, COLS = 9216, 2304  # a feed-forward projection
SEED = 1
TYPES = ("Q8_0", "Q6_K", "Q5_K", "Q5_0", "Q4_K", "Q4_0", "IQ4_NL")


def distributions():
    """Yields matrices of standard deviation 0.02, which weights of this width have."""
    random = numpy.random.default_rng(SEED)
    yield "gaussian", random.standard_normal((ROWS, COLS), numpy.float32) * numpy.float32(0.02)
    student = random.standard_t(5, (ROWS, COLS)) * (0.02 / numpy.sqrt(5 / 3))
    yield "student_t5", student.astype(numpy.float32)


def library():
    """Returns the ggml library that comes with llama.cpp."""
    folder = pathlib.Path(llama_cpp.__file__).parent / "lib"
    ggml = ctypes.CDLL(next(folder.glob("libggml-base.*")))
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64,
                                         ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    return ggml


def lost(ggml, weights, kind):
    values, size = gguf.GGML_QUANT_SIZES[kind]
    encoded = numpy.empty((ROWS, COLS // values * size), numpy.uint8)
    written = ggml.ggml_quantize_chunk(kind, weights.ctypes.data, encoded.ctypes.data, 0, ROWS, COLS, None)
    if written != encoded.nbytes:
        sys.exit(f"ggml_quantize_chunk wrote {written} bytes of {kind.name}, wanted {encoded.nbytes}")
    difference = gguf.quants.dequantize(encoded, kind) - weights
    error = numpy.linalg.norm(difference.astype(numpy.float64)) / numpy.linalg.norm(weights.astype(numpy.float64))
    return {"bits": 8 * size / values, "error": float(error)}


def main():
    folder = pathlib.Path(sys.argv[1])
    ggml = library()
    found = {}
    for name, weights in distributions():
        file = folder / f"{name}.f32"
        weights.tofile(file)
        types = {kind: lost(ggml, weights, GGMLQuantizationType[kind]) for kind in TYPES}
        found[name] = {"file": str(file), "rows": ROWS, "cols": COLS, "types": types}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
