"""The published shapes of Gemma 3n's text models, for random_weights.py.

The vocabulary is that of Gemma 3 and unused pieces up to 262,400. Norms multiply by their weights as these are. Where
llama.cpp keeps more than four bits in a quantised file, so does this: bfloat16 for the projection that makes per-layer
embeddings, float32 for routers and coefficients.
"""
import torch
import transformers
from gguf import GGMLQuantizationType as Type

import gemma3n_gguf
import toy_models

KIND = "gemma3n_text"


def _shape(layers, ffn, shared):
    return dict(num_hidden_layers=layers, intermediate_size=[ffn] * layers, num_kv_shared_layers=shared,
                vocab_size=262_400)


SHAPES = {"gemma3n-e2b": (KIND, _shape(30, 8192, 10)), "gemma3n-e4b": (KIND, _shape(35, 16384, 15))}


def make_config(_kind, fields):
    return transformers.Gemma3nTextConfig(**fields)


def parameters(config):
    """Returns (name, shape) of every tensor of a checkpoint."""
    with torch.device("meta"):
        model = transformers.Gemma3nForCausalLM(config)
    return [(n, tuple(p.shape)) for n, p in model.state_dict().items() if not n.startswith("lm_head.")]


def _unused_keys(config):
    """Returns (name, shape) of keys and values in layers that use those of others."""
    width, columns = config.num_key_value_heads * config.head_dim, config.hidden_size
    parts = {"k_proj": (width, columns), "v_proj": (width, columns), "k_norm": (config.head_dim,)}
    first = config.num_hidden_layers - config.num_kv_shared_layers
    return [(f"model.layers.{layer}.self_attn.{part}.weight", shape)
            for layer in range(first, config.num_hidden_layers) for part, shape in parts.items()]


def mean_and_deviation(config, name, shape):
    """Returns the mean and deviation of the normal distribution of a tensor's values."""
    if name.endswith(("norm.weight", "correct_output_scale")):
        return 1.0, 0.1
    if "embed_tokens_per_layer" in name:
        return 0.0, config.hidden_size_per_layer_input**-0.5
    if name.endswith("_coefs.weight"):
        return 0.0, 0.02  # small, because each layer multiplies the streams
    return 0.0, shape[-1] ** -0.5


def gguf_tensors(config, kind):
    """Returns (transformers name, GGUF name, shape, type) of every tensor; the matrices of a stack are one tensor.

    Has what only llama.cpp wants: a row of the table for each token, and keys and values that no layer uses."""
    tensors = {}
    for name, shape in parameters(config) + _unused_keys(config):
        if "embed_tokens_per_layer" in name:
            shape = (config.vocab_size, shape[1])
        stored = gemma3n_gguf.tensor_name(name)
        if stored in gemma3n_gguf.STACKS.values():
            shape = (config.altup_num_inputs - 1, *shape)
        exact = len(shape) == 1 or stored.endswith(("altup_router.weight", "_coef.weight"))
        wide = stored == "per_layer_model_proj.weight" and kind != Type.F32
        tensors[stored] = (name, stored, shape, Type.F32 if exact else Type.BF16 if wide else kind)
    return list(tensors.values())


def add_metadata(writer, config):
    gemma3n_gguf.add_metadata(writer, config)


def write_config(directory, config, dtype):
    toy_models.write_config(directory, config, dtype)


def architecture(_config):
    return gemma3n_gguf.A
