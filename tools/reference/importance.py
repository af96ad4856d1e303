#!/usr/bin/env python3
"""Writes to tests/testdata/importance the sums of squares of each matrix's inputs when transformers runs the toys.

  gemma, gemma2, gemma3, gemma3n, recurrent_gemma, gemma4_e2b, gemma4_moe .npz
                                                for the ids of models/<name>/reference.npz
  gemma3_mixed.npz                              with gguf/gemma3_mixed.gguf, for testdata/real270m/text.txt in windows
                                                of 64 positions, as `gemma perplexity` reads it

Each array has the name of the matrix's tensor in GGUF files. It is float32 [columns], summed in double precision.
`counts`, int64 [1], is the number of tokens. The arrays of experts are [experts, columns], of the tokens that chose each;
their numbers are in <tensor>.counts, int64 [experts]. Those of AltUp's first products are [matrices, columns].
RecurrentGemma follows transformers' window.

  importance.py [--testdata DIR] [--output DIR]
"""
import argparse
import pathlib
import sys

import numpy as np
import torch

import gemma3n_gguf
import gemma4_gguf
import gguf_files
import gguf_toys
import hf_models
from hf_models import ReferenceError

TOYS = ("gemma", "gemma2", "gemma3", "gemma3n", "recurrent_gemma", "gemma4_e2b", "gemma4_moe")
UNSEEN = ("router", "_coefs", "altup_unembed_projections", "linear_right")  # matrices without a tap on their input
WINDOW = 64
BOS = 2


def matrix_name(kind, module):
    """Returns the GGUF name of a linear layer's weight; the head is the embedding."""
    name = "model.embed_tokens.weight" if module == "lm_head" else module + ".weight"
    if kind == "gemma3n_text":
        return gemma3n_gguf.tensor_name(name)
    return gemma4_gguf.tensor_name(name) if kind == "gemma4_text" else gguf_files.tensor_name(kind, name)


def add_experts(sums, layer, module, inputs):
    """Adds the squares of what each expert's matrices multiply."""
    hidden, chosen, _ = inputs
    for expert in range(module.num_experts):
        x = hidden[(chosen == expert).any(-1)]
        gate, up = torch.nn.functional.linear(x, module.gate_up_proj[expert]).chunk(2, dim=-1)
        for part, values in (("gate", x), ("up", x), ("down", module.act_fn(gate) * up)):
            name = f"blk.{layer}.ffn_{part}_exps.weight"
            squares = sums.setdefault(name, np.zeros((module.num_experts, values.shape[1])))
            squares[expert] += values.double().square().sum(0).numpy()
            sums.setdefault(name + ".counts", np.zeros(module.num_experts))[expert] += len(values)


def sums_of_squares(model, windows):
    """Returns the arrays of a file."""
    sums = {}

    def hook(name, part):
        def add(_module, inputs):
            squares = inputs[0].reshape(-1, inputs[0].shape[-1]).double().square().sum(0).numpy()
            if part is None:
                sums[name] = sums.get(name, 0) + squares
            else:
                sums.setdefault(name, np.zeros((model.config.altup_num_inputs - 1, len(squares))))[part] += squares
        return add

    kind = model.config.model_type
    hooks = [module.register_forward_pre_hook(hook(
        matrix_name(kind, name), int(name.rsplit(".", 1)[1]) if "altup_projections" in name else None))
             for name, module in model.named_modules()
             if isinstance(module, torch.nn.Linear) and not any(part in name for part in UNSEEN)]
    hooks += [layer.experts.register_forward_pre_hook(
        lambda module, inputs, i=i: add_experts(sums, i, module, inputs))
        for i, layer in enumerate(model.model.layers) if getattr(layer, "enable_moe_block", False)]
    try:
        for ids in windows:
            hf_models.logits(model, ids)
    finally:
        for each in hooks:
            each.remove()
    arrays = {name: values.astype(np.int64 if name.endswith(".counts") else np.float32)
              for name, values in sorted(sums.items())}
    return arrays | dict(counts=np.array([sum(map(len, windows))], np.int64))


def windows_of(tokens):
    """Returns the windows that `gemma perplexity` gives to a model: BOS and all scored tokens except the last."""
    step = WINDOW - 1
    return [[BOS] + tokens[at : at + step][:-1] for at in range(0, len(tokens), step)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--testdata", type=pathlib.Path, default=hf_models.TESTDATA)
    parser.add_argument("--output", type=pathlib.Path, default=hf_models.TESTDATA / "importance")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    runs = {}
    for name in TOYS:
        folder = arguments.testdata / "models" / name
        load = gemma3n_gguf.load if name == "gemma3n" else hf_models.load
        runs[name] = (load(folder), [np.load(folder / "reference.npz")["ids"][0].tolist()])
    text = (arguments.testdata / "real270m" / "text.txt").read_text(encoding="utf-8")
    tokens = gguf_toys.toy_vocabulary().processor().encode(text)
    runs["gemma3_mixed"] = (gguf_toys.load_mixed(arguments.testdata / "gguf" / "gemma3_mixed.gguf"), windows_of(tokens))
    for name, (model, windows) in runs.items():
        arrays = sums_of_squares(model, windows)
        np.savez(arguments.output / f"{name}.npz", **arrays)
        tensors = sum(not key.endswith("counts") for key in arrays)
        print(f"{name:20s} {arrays['counts'][0]} tokens, {tensors} tensors")


if __name__ == "__main__":
    try:
        main()
    except (ReferenceError, OSError) as error:
        sys.exit(f"importance: {error}")
