#!/usr/bin/env python3
"""Writes the GGUF file of the toy of Gemma 3n (run gemma3n_toys.py first). Names, keys and forms are llama.cpp's.

  tests/testdata/gguf/gemma3n.gguf   the matrices of AltUp that work on the other streams are one tensor of three
                                     dimensions each. The layers with shared caches hold keys and values that no
                                     program may use. The table of per-layer embeddings has fewer rows than tokens, as
                                     in transformers; llama.cpp's converter adds rows of zeros

Its reference is models/gemma3n/reference.npz.

  gemma3n_gguf.py [--models DIR] [--output DIR]
"""
import sys

import gguf
import numpy as np
import torch

import gguf_files
import hf_models
from hf_models import ReferenceError
from toy_models import GLOBAL, LOCAL

A = "gemma3n"
STACKS = {"model.altup_projections.": "altup_proj.weight", "model.altup_unembed_projections.": "altup_unembd_proj.weight"}
BLOCK = gguf_files.PER_LAYER_BLOCK | {
    "altup.modality_router.weight": "altup_router.weight",
    "altup.router_norm.weight": "altup_router_norm.weight",
    "altup.prediction_coefs.weight": "altup_predict_coef.weight",
    "altup.correction_coefs.weight": "altup_correct_coef.weight",
    "altup.correct_output_scale": "altup_correct_scale.weight",
    "laurel.linear_left.weight": "laurel_l.weight",
    "laurel.linear_right.weight": "laurel_r.weight",
    "laurel.post_laurel_norm.weight": "laurel_post_norm.weight",
}


def tensor_name(name):
    """Returns the GGUF name of a transformers tensor of the text model; those of a stack share one."""
    for prefix, stored in STACKS.items():
        if name.startswith(prefix):
            return stored
    return gguf_files.per_layer_name(name, BLOCK)


def add_metadata(writer, config):
    local = [kind == LOCAL for kind in config.layer_types]
    widths = list(config.intermediate_size)
    writer.add_uint32(f"{A}.context_length", config.max_position_embeddings)
    writer.add_uint32(f"{A}.embedding_length", config.hidden_size)
    writer.add_uint32(f"{A}.block_count", config.num_hidden_layers)
    writer.add_array(f"{A}.feed_forward_length", widths)
    writer.add_uint32(f"{A}.attention.head_count", config.num_attention_heads)
    writer.add_uint32(f"{A}.attention.head_count_kv", config.num_key_value_heads)
    writer.add_uint32(f"{A}.attention.key_length", config.head_dim)
    writer.add_uint32(f"{A}.attention.value_length", config.head_dim)
    writer.add_float32(f"{A}.attention.layer_norm_rms_epsilon", config.rms_norm_eps)
    writer.add_uint32(f"{A}.attention.sliding_window", config.sliding_window)
    writer.add_array(f"{A}.attention.sliding_window_pattern", local)
    writer.add_uint32(f"{A}.attention.shared_kv_layers", config.num_kv_shared_layers)
    writer.add_float32(f"{A}.rope.freq_base", config.rope_parameters[GLOBAL]["rope_theta"])
    writer.add_float32(f"{A}.final_logit_softcapping", config.final_logit_softcapping)
    writer.add_uint32(f"{A}.altup.active_idx", config.altup_active_idx)
    writer.add_uint32(f"{A}.altup.num_inputs", config.altup_num_inputs)
    writer.add_uint32(f"{A}.embedding_length_per_layer_input", config.hidden_size_per_layer_input)
    normal = torch.distributions.normal.Normal(0, 1)
    writer.add_array(f"{A}.activation_sparsity_scale", [
        normal.icdf(torch.tensor(share, dtype=torch.float32)).item() for share in config.activation_sparsity_pattern])


def tensors_of(model):
    """Returns the tensors (name -> float32 values)."""
    tensors = {}
    for name, p in model.state_dict().items():
        if name.startswith("lm_head."):
            continue
        stored, values = tensor_name(name), p.detach().float().numpy()
        if stored in STACKS.values():
            values = np.concatenate([tensors.get(stored, np.zeros((0, *values.shape), np.float32)), values[None]])
        tensors[stored] = values
    return tensors


def load(directory):
    """Loads the toy, without the keys and values that no program may use."""
    model = hf_models.new_model(hf_models.read_config(directory / "config.json"), torch.float32)
    own = dict(hf_models.read_tensors(directory))
    model.load_state_dict({n: own[n] for n in model.state_dict() if not n.startswith("lm_head.")}, strict=False)
    return model


def main():
    arguments = hf_models.gguf_arguments(__doc__)
    model = load(arguments.models / "gemma3n")
    tensors = tensors_of(model)
    gguf_files.add_unused_keys(tensors, model.config)
    path = arguments.output / "gemma3n.gguf"
    writer = gguf.GGUFWriter(path, A)
    add_metadata(writer, model.config)
    for name, values in tensors.items():
        gguf_files.add_tensor(writer, name, values)
    gguf_files.finish(writer)
    print(f"{path.name:20s} {path.stat().st_size / 1e3:4.0f} KB")


if __name__ == "__main__":
    try:
        main()
    except (ReferenceError, OSError) as error:
        sys.exit(f"gemma3n_gguf: {error}")
