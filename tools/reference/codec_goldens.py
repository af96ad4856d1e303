#!/usr/bin/env python3
"""Writes tests/testdata/codecs: bytes of every format, and the values that they mean.

The Python package `gguf` computes the values. For our own formats, this program follows the description in
compression/codec_n.h.

There are two files for each type, such as q4_k. q4_k.bin holds ROWS rows of 256 values in the bytes of the format.
q4_k.f32 holds the ROWS x 256 dequantised values: float32, little-endian, row-major. The codes are random. The rows
differ in their scales:

  0 positive scales         2 every byte zero                     4 scales that are denormal in fp16
  1 negative scales         3 every code bit one, scales one      5-7 scales of any sign and size

MXFP4 and NVFP4 have bytes for scales. In their rows, 0 has moderate scales, 1 and 4 the smallest ones, 2 zeros, 3
every code bit one and a scale of 1, 5-7 scales of any size. The first row of f8_e4m3 and f8_e5m2, which PyTorch
decodes, has all codes, with zeros for those that are not finite. NumPy rounds f64, which has values halfway between two
floats in row 1, denormal floats in row 4 and values too small for a float in row 5.

This program also decodes gemma.cpp's two formats, which `gguf` does not know. The first row of sfp.bin has all 256
codes, the other rows have random ones. Each row of nuq.bin has a table of such codes and random indices.

  codec_goldens.py [--output DIR]
"""
import argparse
import pathlib
import sys

import gguf
import numpy as np

TESTDATA = pathlib.Path(__file__).resolve().parents[2] / "tests" / "testdata"
ROWS, VALUES = 8, 256

# type -> offsets of the fp16 scales (and minima) inside a block; everything else is codes
SCALES = {
    "F16": None, "BF16": None,
    "Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "IQ4_NL": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_XS": [0],
    "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0], "IQ3_XXS": [0], "IQ3_S": [0],
}


N4_LEVELS = np.array([-32, -27, -21, -16, -12, -9, -6, -3, 0, 3, 6, 9, 13, 17, 22, 28])
# our own formats: values per step, bits per code; a row of blocks of 32 values ends with its unit
OWN = {"N4_32": (32, 4), "N4_16": (16, 4), "N6_16": (16, 6), "N5_16": (16, 5)}


def own_rows(name, random):
    """Returns uint8 [ROWS, row bytes] in one of our formats, and the values."""
    group, bits = OWN[name]
    blocks = random.integers(0, 256, (ROWS, VALUES // 32, 32 // group + 4 * bits), dtype=np.uint8)
    blocks[2], blocks[3] = 0x00, 0xFF
    units = np.exp2(random.uniform(-12, 1, ROWS)).astype("<f4").view("<u4") >> 16
    units[4] = 0x0001  # denormal
    units = units.astype("<u2")
    rows = np.concatenate([blocks.reshape(ROWS, -1), units[:, None].view(np.uint8)], axis=1)

    steps = blocks[:, :, : 32 // group].view(np.int8).astype(np.float32)
    codes = blocks[:, :, 32 // group :]
    q = np.concatenate([codes[:, :, :16] & 15, codes[:, :, :16] >> 4], axis=2)
    if bits == 5:
        fifth = np.unpackbits(codes[:, :, 16:], axis=2, bitorder="little")
        levels = (q | fifth << 4).astype(np.float32) - 16
    elif bits == 6:
        high = np.concatenate([codes[:, :, 16:] >> 2 * j & 3 for j in range(4)], axis=2)
        levels = (q | high << 4).astype(np.float32) - 32
    else:
        levels = N4_LEVELS[q].astype(np.float32)
    unit = (units.astype("<u4") << 16).view("<f4")[:, None, None]
    return rows, (unit * np.repeat(steps, group, axis=2) * levels).reshape(ROWS, VALUES)


def fp16_scales(row, shape, random):
    """Returns bit patterns of the scales of one row."""
    size = np.exp2(random.uniform(-12, 1, shape))
    if row == 1:
        size = -size
    elif row == 2:
        size = np.zeros(shape)
    elif row == 3:
        size = np.ones(shape)
    elif row == 4:
        return random.integers(1, 0x400, shape).astype("<u2")
    elif row > 4:
        size *= random.choice([-1.0, 1.0], shape)
    return size.astype("<f2").view("<u2")


def block_rows(name, random):
    """Returns uint8 [ROWS, row bytes] in a block format."""
    values, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
    blocks = random.integers(0, 256, (ROWS, VALUES // values, size), dtype=np.uint8)
    blocks[2], blocks[3] = 0x00, 0xFF
    for row in range(ROWS):
        for offset in SCALES[name]:
            scales = fp16_scales(row, len(blocks[row]), random)
            blocks[row, :, offset : offset + 2] = scales[:, None].view(np.uint8)
    return blocks.reshape(ROWS, -1)


def byte_scale_rows(name, random):
    """Returns uint8 [ROWS, row bytes] in MXFP4 or NVFP4."""
    values, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
    blocks = random.integers(0, 256, (ROWS, VALUES // values, size), dtype=np.uint8)
    blocks[2], blocks[3] = 0x00, 0xFF
    scales = blocks[:, :, : 1 if name == "MXFP4" else 4]
    # 252 is the largest scale of MXFP4 whose values are all finite
    (one, low, high, end) = (128, 100, 140, 253) if name == "MXFP4" else (0x40, 0x20, 0x60, 256)
    scales[0] = random.integers(low, high, scales[0].shape)
    scales[1] = random.integers(0, 16, scales[1].shape)
    scales[3] = one
    scales[4] = random.integers(0, 3, scales[4].shape)
    scales[5:] = random.integers(0, end, scales[5:].shape)
    if name == "NVFP4":
        scales[5, 0] = [0x7F, 0x80, 0xFF, 0x7E]
    return blocks.reshape(ROWS, -1)


def f64_rows(random):
    """Returns uint8 [ROWS, row bytes] of doubles, and their values in float32."""
    values = random.standard_normal((ROWS, VALUES)) * np.exp2(random.uniform(-120, 120, (ROWS, VALUES)))
    floats = values[1].astype(np.float32)
    values[1] = (floats.astype(np.float64) + np.nextafter(floats, np.float32(np.inf)).astype(np.float64)) / 2
    values[2] = 0
    values[3] = np.finfo(np.float32).max
    values[4] = random.standard_normal(VALUES) * np.exp2(random.uniform(-148, -127, VALUES))
    values[5] = random.standard_normal(VALUES) * 2.0**-160
    return values.astype("<f8").view(np.uint8), values.astype(np.float32)


def f8_rows(name, random):
    import torch
    codes = random.integers(0, 256, (ROWS, VALUES), dtype=np.uint8)
    codes[0] = np.arange(256)
    dtype = {"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2}[name]
    decode = lambda codes: torch.from_numpy(codes).view(dtype).float().numpy()
    codes[~np.isfinite(decode(codes))] = 0
    return codes, decode(codes)


def float_rows(name, random):
    """Returns uint8 [ROWS, row bytes] in F16 or BF16: random finite bit patterns and the limits of the format."""
    infinity = 0x7C00 if name == "F16" else 0x7F80
    bits = random.integers(0, infinity, (ROWS, VALUES), dtype=np.uint16)
    bits |= random.integers(0, 2, (ROWS, VALUES), dtype=np.uint16) << 15
    step = 0x0400 if name == "F16" else 0x0080
    bits[2] = 0
    bits[3] = infinity - 1
    bits[4] = random.integers(1, step, VALUES)  # denormals
    bits[5, :8] = [0x0000, 0x8000, 0x0001, 0x8001, step - 1, step, infinity - 1, 0x8000 | (infinity - 1)]
    return bits.astype("<u2").view(np.uint8)


def sfp_value(code):
    """Returns the value of a byte of gemma.cpp's "switching floating point".

    It is a sign and 7 bits. Values below 2^-7 have 4 bits of exponent, from -23 on, and 2 bits of mantissa. Values
    from 2^-7 on have 3 bits of exponent, up to 0, and 3 bits of mantissa. The code of 2^-23 means zero.
    """
    sign = -1.0 if code & 0x80 else 1.0
    bits = code & 0x7F
    if bits == 0:
        return sign * 0.0
    exponent, mantissa, size = (bits >> 3, bits & 7, 8) if bits & 0x40 else (bits >> 2, bits & 3, 4)
    return sign * (1.0 + mantissa / size) * 2.0 ** (exponent - (15 if size == 8 else 23))


SFP_VALUES = np.array([sfp_value(code) for code in range(256)], np.float32)


def sfp_rows(random):
    codes = random.integers(0, 256, (ROWS, VALUES), dtype=np.uint8)
    codes[0] = np.arange(256)
    return codes, SFP_VALUES[codes]


def nuq_rows(random):
    """Returns a table of 16 SFP codes, then the indices of 256 values, two per byte, the first in the low half."""
    tables = random.integers(0, 256, (ROWS, 16), dtype=np.uint8)
    indices = random.integers(0, 16, (ROWS, VALUES), dtype=np.uint8)
    indices[0], indices[1, ::2], indices[1, 1::2] = np.arange(VALUES) % 16, 0, 15
    rows = np.concatenate([tables, indices[:, ::2] | indices[:, 1::2] << 4], axis=1)
    return rows, np.take_along_axis(SFP_VALUES[tables], indices.astype(np.intp), axis=1)


def write(output, name, rows, values):
    (output / f"{name.lower()}.bin").write_bytes(rows.tobytes())
    (output / f"{name.lower()}.f32").write_bytes(values.astype("<f4").tobytes())
    print(f"{name:7s} {rows.shape[1]:4d} bytes a row, values up to {np.abs(values).max():.4g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=TESTDATA / "codecs")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(SCALES):
        random = np.random.default_rng(seed)
        rows = block_rows(name, random) if SCALES[name] else float_rows(name, random)
        values = gguf.quants.dequantize(rows, gguf.GGMLQuantizationType[name])
        if values.shape != (ROWS, VALUES) or not np.isfinite(values).all():
            sys.exit(f"codec_goldens: {name}: got {values.shape}, finite: {bool(np.isfinite(values).all())}")
        write(output, name, rows, values)
    for seed, name in enumerate(OWN):
        write(output, name, *own_rows(name, np.random.default_rng(1000 + seed)))
    for seed, name in enumerate(["MXFP4", "NVFP4"]):
        rows = byte_scale_rows(name, np.random.default_rng(2000 + seed))
        write(output, name, rows, gguf.quants.dequantize(rows, gguf.GGMLQuantizationType[name]))
    for seed, name in enumerate(["F8_E4M3", "F8_E5M2"]):
        write(output, name, *f8_rows(name, np.random.default_rng(3000 + seed)))
    write(output, "F64", *f64_rows(np.random.default_rng(3002)))
    write(output, "SFP", *sfp_rows(np.random.default_rng(100)))
    write(output, "NUQ", *nuq_rows(np.random.default_rng(101)))


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"codec_goldens: {error}")
