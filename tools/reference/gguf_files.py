"""Writes Gemma models as GGUF files. Names, metadata and the +1 of the norms are those of llama.cpp's converter.

RecurrentGemma has no such convention. This is ours (arch `recurrentgemma`; N is a block, d the model width, Lr the
recurrent width, F the feed-forward width; shapes are row-major, GGUF lists them in the opposite order):

  token_embd.weight [vocab, d], output_norm.weight [d]                         norms are stored as 1 + w
  blk.N.attn_norm.weight [d]              temporal_pre_norm, 1 + w              every block
  blk.N.ffn_norm.weight [d]               channel_pre_norm, 1 + w
  blk.N.ffn_gate, ffn_up .weight [F, d] .bias [F], blk.N.ffn_down.weight [d, F] .bias [d]
  blk.N.attn_q, attn_k, attn_v .weight, blk.N.attn_output.weight .bias          attention blocks
  blk.N.rec_x, rec_y .weight [Lr, d] .bias [Lr], rec_out.weight [d, Lr] .bias [d]   recurrent blocks
  blk.N.rec_conv.weight [Lr, width] .bias [Lr]                                  the last tap is the current token
  blk.N.rec_gate_in.weight, rec_gate_a.weight [heads, Lr/heads in, Lr/heads out] .bias [heads, Lr/heads]
                                          input gate and recurrence gate, (block, in, out)
  blk.N.rec_a_param.weight [Lr]           recurrent_param unchanged, without softplus

  Metadata recurrentgemma.*: context_length, embedding_length, block_count, feed_forward_length (F, not transformers'
  2F), attention.head_count, attention.head_count_kv, attention.key_length, attention.value_length,
  attention.sliding_window (W; DeepMind's code sees W + 1 keys), attention.layer_norm_rms_epsilon, rope.freq_base,
  rope.dimension_count (rotated dimensions, half of key_length), final_logit_softcapping, recurrent.lru_width,
  recurrent.conv_width, recurrent.block_types (array of strings, one period: "recurrent" or "attention").
  Tensors of one dimension, biases, rec_conv, rec_gate_* and rec_a_param are F32.
"""
import gguf
import numpy as np

ARCHITECTURES = {"gemma": "gemma", "gemma2": "gemma2", "gemma3_text": "gemma3", "recurrent_gemma": "recurrentgemma"}

DENSE = "dense_{}"  # EmbeddingGemma's layers after pooling, numbered from 2 like its module folders


def architecture(config):
    return "gemma-embedding" if getattr(config, "use_bidirectional_attention", False) else ARCHITECTURES[config.model_type]


# transformers' names inside a block -> GGUF's, without .weight or .bias
_GEMMA = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_GEMMA1 = _GEMMA | {"post_attention_layernorm": "ffn_norm"}
_GEMMA23 = _GEMMA | {
    "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
_RECURRENT = {
    "temporal_pre_norm": "attn_norm", "channel_pre_norm": "ffn_norm", "temporal_block.q_proj": "attn_q",
    "temporal_block.k_proj": "attn_k", "temporal_block.v_proj": "attn_v", "temporal_block.o_proj": "attn_output",
    "temporal_block.linear_x": "rec_x", "temporal_block.linear_y": "rec_y", "temporal_block.linear_out": "rec_out",
    "temporal_block.conv_1d": "rec_conv", "mlp_block.gate_proj": "ffn_gate", "mlp_block.up_proj": "ffn_up",
    "mlp_block.down_proj": "ffn_down",
}
_RG_LRU = {
    "recurrent_param": "rec_a_param.weight", "input_gate_weight": "rec_gate_in.weight",
    "input_gate_bias": "rec_gate_in.bias", "recurrent_gate_weight": "rec_gate_a.weight",
    "recurrent_gate_bias": "rec_gate_a.bias",
}
_BLOCK_NAMES = {"gemma": _GEMMA1, "gemma2": _GEMMA23, "gemma3_text": _GEMMA23, "recurrent_gemma": _RECURRENT}


def tensor_name(model_type, name):
    """Returns the GGUF name of a transformers tensor."""
    outside = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
               "model.final_norm.weight": "output_norm.weight"}
    if name in outside:
        return outside[name]
    block, rest = name.removeprefix("model.layers.").split(".", 1)
    if ".rg_lru." in rest:
        return f"blk.{block}.{_RG_LRU[rest.rsplit('.', 1)[1]]}"
    part, leaf = rest.rsplit(".", 1)
    return f"blk.{block}.{_BLOCK_NAMES[model_type][part]}.{leaf}"


def hf_name(model_type, name):
    """Returns the transformers name of a Gemma 1, 2 or 3 GGUF tensor."""
    outside = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    if name in outside:
        return outside[name]
    _, block, part, leaf = name.split(".")
    names = {ours: theirs for theirs, ours in _BLOCK_NAMES[model_type].items()}
    return f"model.layers.{block}.{names[part]}.{leaf}"


# Of Gemma 3n and 4, whose norms are stored as they are: whole names
_PER_LAYER_OUTSIDE = {
    "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
    "model.embed_tokens_per_layer.weight": "per_layer_token_embd.weight",
    "model.per_layer_model_projection.weight": "per_layer_model_proj.weight",
    "model.per_layer_projection_norm.weight": "per_layer_proj_norm.weight",
}
PER_LAYER_BLOCK = {f"{theirs}.weight": f"{ours}.weight" for theirs, ours in (_GEMMA23 | {
    "per_layer_input_gate": "inp_gate", "per_layer_projection": "proj", "post_per_layer_input_norm": "post_norm",
}).items()}


def per_layer_name(name, block):
    """Returns the GGUF name of a transformers tensor of a model with per-layer embeddings; block: as PER_LAYER_BLOCK."""
    if name in _PER_LAYER_OUTSIDE:
        return _PER_LAYER_OUTSIDE[name]
    layer, rest = name.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{block[rest]}"


def add_unused_keys(tensors, config):
    """Adds keys and values of the layers with shared caches: other numbers, in the shapes of the layers they read."""
    random = np.random.default_rng(5)
    own = config.num_hidden_layers - config.num_kv_shared_layers
    for layer in range(own, config.num_hidden_layers):
        source = config.layer_types.index(config.layer_types[layer])
        for part in ("attn_k", "attn_v", "attn_k_norm"):
            shape = tensors[f"blk.{source}.{part}.weight"].shape
            tensors[f"blk.{layer}.{part}.weight"] = random.standard_normal(shape, np.float32)


def is_norm(gguf_name):
    return gguf_name.endswith("norm.weight")


def tensor_values(gguf_name, values):
    """Returns float32 values as the file stores them."""
    values = np.asarray(values, np.float32)
    if is_norm(gguf_name):
        return np.float32(1.0) + values
    return values[:, 0, :] if gguf_name.endswith("rec_conv.weight") else values


def keeps_float32(gguf_name, shape):
    """Returns whether a tensor stays F32 in a file of another type."""
    return len(shape) == 1 or gguf_name.endswith(".bias") or any(
        part in gguf_name for part in ("rec_conv.", "rec_gate_", "rec_a_param"))


def add_metadata(writer, config):
    """Adds the keys of llama.cpp's converter (or the ones above) for a transformers text configuration."""
    a = architecture(config)
    recurrent = config.model_type == "recurrent_gemma"
    writer.add_uint32(f"{a}.context_length", 8192 if recurrent else config.max_position_embeddings)
    writer.add_uint32(f"{a}.embedding_length", config.hidden_size)
    writer.add_uint32(f"{a}.block_count", config.num_hidden_layers)
    writer.add_uint32(f"{a}.feed_forward_length", config.intermediate_size // (2 if recurrent else 1))
    writer.add_uint32(f"{a}.attention.head_count", config.num_attention_heads)
    writer.add_uint32(f"{a}.attention.head_count_kv", config.num_key_value_heads)
    writer.add_uint32(f"{a}.attention.key_length", config.head_dim)
    writer.add_uint32(f"{a}.attention.value_length", config.head_dim)
    writer.add_float32(f"{a}.attention.layer_norm_rms_epsilon", config.rms_norm_eps)
    if config.model_type == "gemma2":
        writer.add_uint32(f"{a}.attention.sliding_window", config.sliding_window)
        writer.add_float32(f"{a}.attn_logit_softcapping", config.attn_logit_softcapping)
        writer.add_float32(f"{a}.final_logit_softcapping", config.final_logit_softcapping)
    elif config.model_type == "gemma3_text":
        rope = config.rope_parameters["full_attention"]
        # The value of config.json: transformers keeps half of a bidirectional window.
        writer.add_uint32(f"{a}.attention.sliding_window", config.to_dict()["sliding_window"])
        writer.add_float32(f"{a}.rope.freq_base", rope["rope_theta"])
        if rope["rope_type"] == "linear":
            writer.add_string(f"{a}.rope.scaling.type", "linear")
            writer.add_float32(f"{a}.rope.scaling.factor", rope["factor"])
    elif recurrent:
        writer.add_uint32(f"{a}.attention.sliding_window", config.attention_window_size)
        writer.add_float32(f"{a}.rope.freq_base", config.rope_parameters["rope_theta"])
        writer.add_uint32(f"{a}.rope.dimension_count", config.head_dim // 2)
        writer.add_float32(f"{a}.final_logit_softcapping", config.logits_soft_cap)
        writer.add_uint32(f"{a}.recurrent.lru_width", config.lru_width)
        writer.add_uint32(f"{a}.recurrent.conv_width", config.conv1d_width)
        writer.add_array(f"{a}.recurrent.block_types", list(config.block_types))


def add_pooling(writer, config, dense):
    """Adds the keys of a model that embeds texts; dense: [(in, out)] of the layers after the mean."""
    a = architecture(config)
    writer.add_uint32(f"{a}.pooling_type", 1)
    for i, (width, out) in enumerate(dense, 2):
        writer.add_uint32(f"{a}.{DENSE.format(i)}_feat_in", width)
        writer.add_uint32(f"{a}.{DENSE.format(i)}_feat_out", out)


def add_tensor(writer, name, values, kind=gguf.GGMLQuantizationType.F32):
    """Adds float32 values, quantised by the package if kind requires it."""
    if kind == gguf.GGMLQuantizationType.F32:
        writer.add_tensor(name, np.ascontiguousarray(values, np.float32))
    elif kind == gguf.GGMLQuantizationType.F16:
        writer.add_tensor(name, values.astype(np.float16))
    else:
        writer.add_tensor(name, gguf.quants.quantize(np.ascontiguousarray(values), kind), raw_dtype=kind)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
