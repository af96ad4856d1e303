#!/usr/bin/env python3
"""Writes tests/testdata/scales: matrices of 8-bit floats with scales, and the values that they mean.

Each folder is a case: config.json and model.safetensors with the tensors m.weight, its scales and `expected`, which has
the type of the model (dtype). For "fp8", the values are those of transformers' Fp8Dequantize; for "compressed-tensors",
those of that package's `dequantize`, converted to the type of the model as transformers does.

  scaled_weights.py [--output DIR]
"""
import argparse
import json
import pathlib

import torch
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import dequantize
from safetensors.torch import save_file
from transformers.integrations.finegrained_fp8 import Fp8Dequantize

TESTDATA = pathlib.Path(__file__).resolve().parents[2] / "tests" / "testdata"
ROWS, COLS = 12, 20
E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2
BF16, F16, F32 = torch.bfloat16, torch.float16, torch.float32


def codes(dtype, random):
    """Returns random finite codes of all sizes."""
    bits = torch.randint(0, 256, (ROWS, COLS), dtype=torch.uint8, generator=random)
    value = bits.view(dtype).float()
    return torch.where(torch.isfinite(value), bits, 0).view(dtype)


def scales(shape, dtype, random):
    return (torch.rand(shape, generator=random) * 0.01 + 0.001).to(dtype)


def fp8(dtype, shape, block, model, scale=F32):
    """A case of transformers' finegrained fp8."""
    random = torch.Generator().manual_seed(len(shape) + ROWS)
    weight, factors = codes(dtype, random), scales(shape, scale, random)
    values = Fp8Dequantize(None)._dequantize_one(weight, factors, model)
    config = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": block}
    return config, {"m.weight": weight, "m.weight_scale_inv": factors, "expected": values}


def compressed(dtype, shape, args, model, scale):
    """A case of compressed-tensors."""
    random = torch.Generator().manual_seed(len(shape) + 100)
    weight, factors = codes(dtype, random), scales(shape, scale, random)
    weights = {"num_bits": 8, "type": "float", "symmetric": True, "dynamic": False, **args}
    values = dequantize(weight, factors, args=QuantizationArgs(**weights)).to(model)
    config = {"quant_method": "compressed-tensors", "format": "float-quantized", "quantization_status": "compressed",
              "kv_cache_scheme": None, "ignore": ["lm_head"],
              "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights, "output_activations": None,
                                            "input_activations": {"num_bits": 8, "type": "float", "dynamic": True,
                                                                  "strategy": "token"}}}}
    return config, {"m.weight": weight, "m.weight_scale": factors, "expected": values}


CASES = {
    "fp8_block_f32": lambda: fp8(E4M3, (3, 5), [4, 4], F32),
    "fp8_block_bf16": lambda: fp8(E4M3, (3, 5), [4, 4], BF16),
    "fp8_tensor_f16": lambda: fp8(E5M2, (), None, F16),
    "fp8_rows_bf16": lambda: fp8(E5M2, (ROWS, 1), [128, 128], BF16, scale=BF16),
    "ct_channel_bf16": lambda: compressed(E4M3, (ROWS, 1), {"strategy": "channel"}, BF16, BF16),
    "ct_channel_f32": lambda: compressed(E4M3, (ROWS, 1), {"strategy": "channel"}, F32, BF16),
    "ct_tensor_bf16": lambda: compressed(E5M2, (1,), {"strategy": "tensor"}, BF16, F32),
    "ct_block_f16": lambda: compressed(E4M3, (3, 3), {"strategy": "block", "block_structure": [5, 8]}, F32, F16),
    "ct_group_bf16": lambda: compressed(E4M3, (ROWS, 5), {"strategy": "group", "group_size": 4}, BF16, F32),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=TESTDATA / "scales")
    output = parser.parse_args().output
    for name, make in CASES.items():
        config, tensors = make()
        folder = output / name
        folder.mkdir(parents=True, exist_ok=True)
        dtype = str(tensors["expected"].dtype).removeprefix("torch.")
        text = json.dumps({"model_type": "gemma3_text", "dtype": dtype, "quantization_config": config}, indent=1)
        (folder / "config.json").write_text(text + "\n")
        save_file(tensors, folder / "model.safetensors")
        print(f"{name}: {len(tensors['m.weight'])} rows, values up to {tensors['expected'].abs().max():.4g}")


if __name__ == "__main__":
    main()
