#!/usr/bin/env python3
"""Writes the GGUF files of the toys of Gemma 4 (run gemma4_toys.py first). Names, keys and forms are llama.cpp's.

  tests/testdata/gguf/gemma4_e2b.gguf   widths of the feed-forward layers as an array. The layers with shared caches
                                        hold keys and values that no program may use: the first apart, the last fused
  tests/testdata/gguf/gemma4_moe.gguf   numbers of kv heads as an array. The first layer's experts hold gate and up in
                                        one tensor, the last layer's in two
  tests/testdata/gguf/gemma4_31b.gguf   the first layer's query, key and value are one tensor

Their references are models/<name>/reference.npz.

  gemma4_gguf.py [--models DIR] [--output DIR]
"""
import sys

import gguf
import numpy as np

import gguf_files
import hf_models
from hf_models import ReferenceError
from toy_models import GLOBAL, LOCAL

BLOCK = gguf_files.PER_LAYER_BLOCK | {
    "layer_scalar": "layer_output_scale.weight",
    "router.proj.weight": "ffn_gate_inp.weight",
    "router.scale": "ffn_gate_inp.scale",
    "router.per_expert_scale": "ffn_down_exps.scale",
    "experts.gate_up_proj": "ffn_gate_up_exps.weight",
    "experts.down_proj": "ffn_down_exps.weight",
    "pre_feedforward_layernorm_2.weight": "pre_ffw_norm_2.weight",
    "post_feedforward_layernorm_1.weight": "post_ffw_norm_1.weight",
    "post_feedforward_layernorm_2.weight": "post_ffw_norm_2.weight",
}


def tensor_name(name):
    """Returns the GGUF name of a transformers tensor of the text model."""
    return gguf_files.per_layer_name(name, BLOCK)


def rotation_factors(config):
    """Returns what divides the frequencies of global layers: 1 for pairs that turn, and a huge number for others."""
    rope = config.rope_parameters[GLOBAL]
    pairs = config.per_layer_config[GLOBAL].head_dim // 2
    turned = int(pairs * rope["partial_rotary_factor"])
    return np.array([1.0] * turned + [1e30] * (pairs - turned), np.float32)


def add_sizes(writer, a, config):
    """Adds the keys that all architectures with two kinds of layers have."""
    narrow, wide = config.per_layer_config[LOCAL], config.per_layer_config[GLOBAL]
    local = [kind == LOCAL for kind in config.layer_types]
    writer.add_uint32(f"{a}.context_length", config.max_position_embeddings)
    writer.add_uint32(f"{a}.embedding_length", config.hidden_size)
    writer.add_uint32(f"{a}.block_count", config.num_hidden_layers)
    writer.add_uint32(f"{a}.attention.head_count", config.num_attention_heads)
    if wide.num_key_value_heads != narrow.num_key_value_heads:
        writer.add_array(f"{a}.attention.head_count_kv",
                         [(narrow if here else wide).num_key_value_heads for here in local])
    else:
        writer.add_uint32(f"{a}.attention.head_count_kv", wide.num_key_value_heads)
    for part in ("key", "value"):
        writer.add_uint32(f"{a}.attention.{part}_length", wide.head_dim)
        writer.add_uint32(f"{a}.attention.{part}_length_swa", narrow.head_dim)
    writer.add_array(f"{a}.attention.sliding_window_pattern", local)
    writer.add_float32(f"{a}.attention.layer_norm_rms_epsilon", config.rms_norm_eps)
    writer.add_float32(f"{a}.rope.freq_base", config.rope_parameters[GLOBAL]["rope_theta"])
    writer.add_float32(f"{a}.rope.freq_base_swa", config.rope_parameters[LOCAL]["rope_theta"])
    writer.add_uint32(f"{a}.rope.dimension_count", wide.head_dim)
    writer.add_uint32(f"{a}.rope.dimension_count_swa", narrow.head_dim)
    writer.add_uint32(f"{a}.embedding_length_per_layer_input", config.hidden_size_per_layer_input)


def add_metadata(writer, config):
    a = "gemma4"
    add_sizes(writer, a, config)
    width = config.intermediate_size
    if config.use_double_wide_mlp:
        own = config.num_hidden_layers - config.num_kv_shared_layers
        writer.add_array(f"{a}.feed_forward_length", [width] * own + [2 * width] * config.num_kv_shared_layers)
    else:
        writer.add_uint32(f"{a}.feed_forward_length", width)
    writer.add_uint32(f"{a}.attention.sliding_window", config.sliding_window)
    writer.add_uint32(f"{a}.attention.shared_kv_layers", config.num_kv_shared_layers)
    writer.add_float32(f"{a}.final_logit_softcapping", config.final_logit_softcapping)
    if config.enable_moe_block:
        writer.add_uint32(f"{a}.expert_count", config.num_experts)
        writer.add_uint32(f"{a}.expert_used_count", config.top_k_experts)
        writer.add_uint32(f"{a}.expert_feed_forward_length", config.moe_intermediate_size)


def tensors_of(model):
    """Returns the tensors (name -> float32 values) in the plainest form: nothing fused, nothing unused."""
    tensors = {tensor_name(name): p.detach().float().numpy() for name, p in model.state_dict().items()
               if not name.startswith("lm_head.")}
    return tensors | {"rope_freqs.weight": rotation_factors(model.config)}


def fuse_attention(tensors, layer):
    parts = [tensors.pop(f"blk.{layer}.attn_{part}.weight") for part in "qkv"]
    tensors[f"blk.{layer}.attn_qkv.weight"] = np.concatenate(parts)


def split_experts(tensors, layer):
    both = tensors.pop(f"blk.{layer}.ffn_gate_up_exps.weight")
    half = both.shape[1] // 2
    tensors[f"blk.{layer}.ffn_gate_exps.weight"] = both[:, :half]
    tensors[f"blk.{layer}.ffn_up_exps.weight"] = both[:, half:]


def write(path, config, tensors, words=None, kind=gguf.GGMLQuantizationType.F32):
    """Writes a file. words: a gemma4_vocabulary.Words; kind: the type of the matrices."""
    writer = gguf.GGUFWriter(path, "gemma4")
    add_metadata(writer, config)
    if words:
        words.add_to_gguf(writer)
    for name, values in tensors.items():
        single = values.ndim == 1 or name.endswith("ffn_gate_inp.weight")
        gguf_files.add_tensor(writer, name, values, gguf.GGMLQuantizationType.F32 if single else kind)
    gguf_files.finish(writer)


def main():
    arguments = hf_models.gguf_arguments(__doc__)
    for name in ("gemma4_e2b", "gemma4_moe", "gemma4_31b"):
        model = hf_models.load(arguments.models / name)
        tensors = tensors_of(model)
        if name == "gemma4_e2b":
            gguf_files.add_unused_keys(tensors, model.config)
            fuse_attention(tensors, model.config.num_hidden_layers - 1)
        elif name == "gemma4_moe":
            split_experts(tensors, model.config.num_hidden_layers - 1)
        else:
            fuse_attention(tensors, 0)
        path = arguments.output / f"{name}.gguf"
        write(path, model.config, tensors)
        print(f"{path.name:20s} {path.stat().st_size / 1e3:4.0f} KB")


if __name__ == "__main__":
    try:
        main()
    except (ReferenceError, OSError) as error:
        sys.exit(f"gemma4_gguf: {error}")
