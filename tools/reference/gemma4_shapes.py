"""The published shapes of Gemma 4 and EmbeddingGemma 2, for random_weights.py.

The vocabulary is that of Gemma 3, with the names and the form that Gemma 4 gives its control tokens. Tensors have the
names of Gemma4ForCausalLM's files and of the text model in EmbeddingGemma 2's. Norms multiply by their weights as these
are. Where llama.cpp keeps more than four bits in a quantised file, so does this: bfloat16 for the projection that makes
per-layer embeddings, float32 for routers.
"""
import torch
import transformers
from gguf import GGMLQuantizationType as Type

import embedding_toys
import gemma4_chat
import gemma4_gguf
import toy_models
from toy_models import GLOBAL, LOCAL
from vocabulary import BYTE, CONTROL, NORMAL, SPACE, USER_DEFINED

EMBEDDING = "gemma-embedding2"  # GGUF's architecture
VOCAB = 262_144
CONTROL_TOKENS = {
    4: "<mask>", 46: "<|tool>", 47: "<tool|>", 48: "<|tool_call>", 49: "<tool_call|>", 50: "<|tool_response>",
    51: "<tool_response|>", 52: '<|"|>', 98: "<|think|>", 100: "<|channel>", 101: "<channel|>", 105: "<|turn>",
    106: "<turn|>", 255_999: "<|image>", 256_000: "<|audio>", 258_880: "<|image|>", 258_881: "<|audio|>",
    258_882: "<image|>", 258_883: "<audio|>", 258_884: "<|video|>"}
END_OF_TURN = "<turn|>"
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|turn>' + message['role'].replace('assistant', 'model') + '\\n' "
    "+ message['content'] | trim + '<turn|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|turn>model\\n' }}{% endif %}")


def _layer_types(layers, period):
    return [GLOBAL if i % period == period - 1 else LOCAL for i in range(layers)]


def _shape(d, layers, heads, kv_heads, ffn, period=6, window=1024, context=262_144, **other):
    return dict(hidden_size=d, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv_heads,
                intermediate_size=ffn, layer_types=_layer_types(layers, period), sliding_window=window,
                max_position_embeddings=context, final_logit_softcapping=30.0, head_dim=256, global_head_dim=512,
                vocab_size=VOCAB, hidden_size_per_layer_input=0) | other


def _small(*sizes, **other):
    """E2B and E4B: per-layer embeddings, and shared caches."""
    return _shape(*sizes, window=512, context=131_072, hidden_size_per_layer_input=256,
                  vocab_size_per_layer_input=VOCAB, **other)


def _large(*sizes, global_kv_heads, **other):
    """12B and larger: the values of global layers are their keys."""
    return _shape(*sizes, attention_k_eq_v=True, num_global_key_value_heads=global_kv_heads,
                  use_bidirectional_attention="vision", **other)


def _experts(layers, **other):
    return _large(2816, layers, 16, 8, 2112, global_kv_heads=2, enable_moe_block=True, num_experts=128,
                  top_k_experts=8, moe_intermediate_size=704, **other)


SHAPES = {
    "gemma4-e2b": ("gemma4_text", _small(1536, 35, 8, 1, 6144, period=5, num_kv_shared_layers=20,
                                         use_double_wide_mlp=True)),
    "gemma4-e4b": ("gemma4_text", _small(2560, 42, 8, 2, 10240, num_kv_shared_layers=18)),
    "gemma4-12b": ("gemma4_text", _large(3840, 48, 16, 8, 15360, global_kv_heads=1)),
    "gemma4-26b-a4b": ("gemma4_text", _experts(30)),
    "gemma4-26b-a4b-cut": ("gemma4_text", _experts(12, vocab_size=32_768)),
    "gemma4-31b": ("gemma4_text", _large(5376, 60, 32, 16, 21504, global_kv_heads=4)),
    "embeddinggemma2": ("embedding_gemma2_text", {}),  # the class's defaults
}


def make_config(kind, fields):
    """Returns the configuration of a shape; kind: its model_type."""
    make = transformers.EmbeddingGemma2TextConfig if kind == "embedding_gemma2_text" else transformers.Gemma4TextConfig
    return make(**fields)


def words(old):
    """Returns Gemma 3's vocabulary in the form of Gemma 4's: runs of blanks and tags are merged, not matched."""
    pieces, scores, types = list(old.pieces), list(old.scores), list(old.types)
    for i, (piece, kind) in enumerate(zip(old.pieces, old.types)):
        if i in CONTROL_TOKENS:
            pieces[i] = CONTROL_TOKENS[i]
            types[i] = USER_DEFINED if pieces[i] in gemma4_chat.PRINTED else CONTROL
        elif kind == USER_DEFINED:
            pieces[i], types[i], scores[i] = piece.replace(" ", SPACE), NORMAL, 1000.0 + len(piece)
        elif i >= 4 and kind != BYTE:
            types[i] = NORMAL
    return gemma4_chat.Words(pieces, scores, types)


def parameters(config):
    """Returns (name, shape) of every tensor of a checkpoint."""
    from transformers.models.embedding_gemma2 import modeling_embedding_gemma2

    embeds = config.model_type == "embedding_gemma2_text"
    with torch.device("meta"):
        model = (modeling_embedding_gemma2.EmbeddingGemma2TextModel(config) if embeds
                 else transformers.Gemma4ForCausalLM(config))
    prefix = "language_model." if embeds else ""
    return [(prefix + n, tuple(p.shape)) for n, p in model.state_dict().items() if not n.startswith("lm_head.")]


def mean_and_deviation(config, name, shape):
    """Returns the mean and deviation of the normal distribution of a tensor's values."""
    if name.endswith(("norm.weight", "norm_1.weight", "norm_2.weight", "layer_scalar", ".scale", "per_expert_scale")):
        return 1.0, 0.1
    if "embed_tokens_per_layer" in name:
        return 0.0, config.hidden_size_per_layer_input**-0.5
    return 0.0, shape[-1] ** -0.5


def gguf_tensors(config, kind):
    """Returns (transformers name, GGUF name, shape, type) of every tensor whose values are random."""
    tensors = []
    for name, shape in parameters(config):
        if name == "language_model.embedding_projection.weight":
            stored = "output.weight"
        else:
            plain = name.removeprefix("language_model.").replace("ple_block.", "")
            stored = gemma4_gguf.tensor_name("model." + plain.removeprefix("ple.").removeprefix("model."))
        exact = len(shape) == 1 or stored.endswith("ffn_gate_inp.weight")
        wide = stored == "per_layer_model_proj.weight" and kind != Type.F32
        tensors.append((name, stored, shape, Type.F32 if exact else Type.BF16 if wide else kind))
    return tensors


def add_metadata(writer, config):
    """Adds the keys of the architecture. Returns the tensors whose values are not random."""
    if config.model_type == "gemma4_text":
        gemma4_gguf.add_metadata(writer, config)
        return {"rope_freqs.weight": gemma4_gguf.rotation_factors(config)}
    a = EMBEDDING
    gemma4_gguf.add_sizes(writer, a, config)
    writer.add_uint32(f"{a}.feed_forward_length", config.intermediate_size)
    writer.add_uint32(f"{a}.attention.sliding_window", 2 * config.sliding_window)
    writer.add_bool(f"{a}.attention.causal", False)
    writer.add_uint32(f"{a}.embedding_length_out", config.embedding_dim)
    writer.add_uint32(f"{a}.pooling_type", 1)
    return {}


def write_config(directory, config, dtype):
    """Writes config.json, and for EmbeddingGemma 2 the files of sentence-transformers."""
    if config.model_type == "gemma4_text":
        toy_models.write_config(directory, config, dtype)
        return
    toy_models.write_config(directory, dict(
        architectures=["EmbeddingGemma2Model"], model_type="embedding_gemma2", dtype=dtype, vision_config=None,
        audio_config=None, text_config=config.to_diff_dict()), dtype)
    embedding_toys.write_modules(directory, config, [], config.embedding_dim)


def architecture(config):
    return "gemma4" if config.model_type == "gemma4_text" else EMBEDDING
