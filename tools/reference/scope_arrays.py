#!/usr/bin/env python3
"""Writes autoencoders of odd shapes, and the results of NumPy and PyTorch with them, to tests/testdata/scope.

  arrays/params.npz                        float32, deflated
  arrays/stored.npz, half.npz, double.npz  the same, stored; as float16; as float64
  arrays/affine_{f32,bf16,f16}/            a transcoder with an affine skip connection: params.safetensors, config.json
  arrays/reference.npz                     for params.npz and affine_f32 (prefix `affine_`):
    x                float32 [rows, input]     the inputs
    features         float32 [rows, features]  the features of x
    reconstruction   float32 [rows, output]    the reconstructions from these features
    error            float64 [1]               mean of the squares of x - reconstruction; only for params.npz
    <name>_bf16      the same with W_enc, W_dec and A rounded to bfloat16, as in memory

No value is near its threshold, so the order of sums does not matter.

  scope_arrays.py [--output DIR]
"""
import argparse
import json
import pathlib

import numpy as np
import torch
from safetensors.torch import save_file

INPUT, OUTPUT, FEATURES, ROWS = 37, 21, 52, 6
MATRICES = ("W_enc", "W_dec", "A")
MARGIN = 1e-3


def bfloat16(values):
    return torch.from_numpy(values).bfloat16().float().numpy()


def autoencoder(random, output, affine):
    arrays = {
        "W_enc": random.standard_normal((INPUT, FEATURES)) / np.sqrt(INPUT),
        "W_dec": random.standard_normal((FEATURES, output)) / np.sqrt(output),
        "b_enc": 0.2 * random.standard_normal(FEATURES),
        "b_dec": 0.2 * random.standard_normal(output),
        "threshold": np.abs(0.5 + 0.3 * random.standard_normal(FEATURES)),
    }
    if affine:
        arrays["A"] = random.standard_normal((INPUT, output)) / INPUT
    return {name: values.astype(np.float32) for name, values in arrays.items()}


def rounded(arrays):
    return {name: bfloat16(values) if name in MATRICES else values for name, values in arrays.items()}


def pre_activations(arrays, x):
    return x @ arrays["W_enc"] + arrays["b_enc"]


def run(arrays, x):
    """Returns features and reconstruction from NumPy. PyTorch must agree."""
    pre = pre_activations(arrays, x)
    features = np.where(pre > arrays["threshold"], pre, 0).astype(np.float32)
    out = features @ arrays["W_dec"] + arrays["b_dec"]
    t = {name: torch.from_numpy(values) for name, values in arrays.items()}
    pre = torch.from_numpy(x) @ t["W_enc"] + t["b_enc"]
    other = (pre > t["threshold"]) * torch.relu(pre)
    other_out = other @ t["W_dec"] + t["b_dec"]
    if "A" in arrays:
        out = out + x @ arrays["A"]
        other_out = other_out + torch.from_numpy(x) @ t["A"]
    assert np.abs(other.numpy() - features).max() < 1e-5
    assert np.abs(other_out.numpy() - out).max() < 1e-5
    return features, out.astype(np.float32)


def rows_of(random, arrays):
    """Returns rows x that keep all values away from thresholds, with and without rounded weights."""
    kept = []
    while len(kept) < ROWS:
        x = random.standard_normal((1, INPUT)).astype(np.float32)
        margins = [np.abs(pre_activations(each, x) - each["threshold"]).min() for each in (arrays, rounded(arrays))]
        same = (pre_activations(arrays, x) > arrays["threshold"]) == (
            pre_activations(rounded(arrays), x) > arrays["threshold"])
        if min(margins) > MARGIN and same.all():
            kept.append(x)
    return np.concatenate(kept)


def describe(arrays, x, prefix, ending):
    features, out = run(arrays, x)
    return {f"{prefix}features{ending}": features, f"{prefix}reconstruction{ending}": out} | (
        {f"{prefix}error{ending}": np.array([np.mean((x.astype(np.float64) - out) ** 2)])} if out.shape == x.shape else {})


def write_affine(folder, arrays, dtype):
    folder.mkdir(parents=True, exist_ok=True)
    names = {"A": "affine_skip_connection"}
    save_file({names.get(name, name.lower()): torch.from_numpy(values).to(dtype) for name, values in arrays.items()},
              folder / "params.safetensors")
    (folder / "config.json").write_text(json.dumps({
        "hf_hook_point_in": "model.layers.3.pre_feedforward_layernorm.output",
        "hf_hook_point_out": "model.layers.3.post_feedforward_layernorm.output", "width": FEATURES,
        "model_name": "toy", "architecture": "jump_relu", "l0": 6, "affine_connection": True, "type": "transcoder"},
        indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parents[2] / "tests/testdata/scope"
    parser.add_argument("--output", type=pathlib.Path, default=default)
    folder = parser.parse_args().output / "arrays"
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)

    plain = autoencoder(random, INPUT, affine=False)
    np.savez_compressed(folder / "params.npz", **plain)
    np.savez(folder / "stored.npz", **plain)
    # Arrays of different types, and lower-case names, which some published files have.
    np.savez_compressed(folder / "half.npz", **{name.lower(): values.astype(np.float16) for name, values in plain.items()})
    np.savez_compressed(folder / "double.npz", **{name: values.astype(np.float64) for name, values in plain.items()})
    affine = autoencoder(random, OUTPUT, affine=True)
    for name, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16), ("f16", torch.float16)):
        write_affine(folder / f"affine_{name}", affine, dtype)

    reference = {}
    for prefix, arrays in (("", plain), ("affine_", affine)):
        x = rows_of(random, arrays)
        reference[prefix + "x"] = x
        reference |= describe(arrays, x, prefix, "") | describe(rounded(arrays), x, prefix, "_bf16")
    np.savez_compressed(folder / "reference.npz", **reference)


if __name__ == "__main__":
    main()
