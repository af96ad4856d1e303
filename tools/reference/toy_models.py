#!/usr/bin/env python3
"""Writes the toy models of tests/testdata/models and the results of transformers with them.

Each <name>/ holds config.json, model.safetensors and reference.npz:

  ids            int64   [1, n]         the prompt, BOS first, more than three attention windows long
  out            float32 [1, n, vocab]  logits of every position
  block_<i>      float32 [n, dim]       residual stream after block i (before the final norm)
  greedy         int64   [64]           most likely continuation of ids; never contains an end token
  greedy_margin  float32 [64]           difference of the two best logits at each step
  RecurrentGemma: out, block_<i> and greedy follow transformers' window (W keys). These follow DeepMind's (W + 1 keys):
  out_deepmind (by DeepMind's own package), block_deepmind_<i>, greedy_deepmind, greedy_margin_deepmind
  bfloat16 files: out and greedy come from a float32 run of the same weights with an unrounded embedding scale;
  out_rounded_scale  float32 run with the embedding scale rounded to bfloat16
  out_bf16           bfloat16 run

Some folders also hold config_old.json, which describes the same model in the form of older files. gemma2_sharded is
gemma2 in two files. gemma3_nested is a text tower inside a multimodal checkpoint.

  toy_models.py [--output DIR] [--only NAME ...]
"""
import argparse
import copy
import json
import math
import pathlib
import sys
import zlib

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

import deepmind_griffin
import hf_models
from hf_models import ReferenceError

PROMPT_TOKENS = 37
GREEDY_TOKENS = 64
LEAST_VARIETY = 12  # distinct tokens on a greedy path, because a model that repeats itself tests little
LEAST_MARGIN = 1e-3  # far above float32's rounding, so that every correct program finds the same tokens
BOS, EOS = 2, 1
LOCAL, GLOBAL = "sliding_attention", "full_attention"
COMMON = dict(vocab_size=256, pad_token_id=0, eos_token_id=EOS, bos_token_id=BOS)
LINEAR_X8 = {
    LOCAL: dict(rope_type="default", rope_theta=10_000.0),
    GLOBAL: dict(rope_type="linear", factor=8.0, rope_theta=1_000_000.0),
}

# name -> (model_type, configuration)
TOYS = {
    "gemma": ("gemma", dict(  # one kv head, heads * head_dim != hidden, as Gemma 2B
        hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=1,
        head_dim=32)),
    "gemma_mha": ("gemma", dict(  # every head its own kv head, as Gemma 7B
        hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
        head_dim=16)),
    "gemma2": ("gemma2", dict(
        hidden_size=64, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, query_pre_attn_scalar=16, sliding_window=8)),
    "gemma2_odd": ("gemma2", dict(  # no width a multiple of 32, own query scale as the 27B, groups of 3, vocab 300
        vocab_size=300, hidden_size=42, intermediate_size=72, num_hidden_layers=3, num_attention_heads=6,
        num_key_value_heads=2, head_dim=24, query_pre_attn_scalar=20, sliding_window=8)),
    "gemma2_wide_head": ("gemma2", dict(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        head_dim=256, query_pre_attn_scalar=256, sliding_window=8)),
    "gemma2_bf16": ("gemma2", dict(
        hidden_size=48, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, query_pre_attn_scalar=16, sliding_window=8)),
    "gemma3": ("gemma3_text", dict(  # scaled global rope as the 4B and larger; a local layer left over at the top
        hidden_size=64, intermediate_size=64, num_hidden_layers=7, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, query_pre_attn_scalar=16, sliding_window=8, rope_parameters=LINEAR_X8)),
    "gemma3_noscale": ("gemma3_text", dict(  # as the 270M and the 1B
        hidden_size=48, intermediate_size=64, num_hidden_layers=6, num_attention_heads=4, num_key_value_heads=1,
        head_dim=32, query_pre_attn_scalar=32, sliding_window=8)),
    "gemma3_4groups": ("gemma3_text", dict(  # own query scale as the 27B, own layer pattern
        hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=8, num_key_value_heads=2,
        head_dim=64, query_pre_attn_scalar=40, sliding_window=8, layer_types=[LOCAL, GLOBAL, LOCAL],
        rope_parameters=LINEAR_X8)),
    "gemma3_bf16": ("gemma3_text", dict(
        hidden_size=48, intermediate_size=96, num_hidden_layers=7, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, query_pre_attn_scalar=16, sliding_window=8, rope_parameters=LINEAR_X8)),
    "gemma3_nested": ("gemma3_text", dict(
        hidden_size=32, intermediate_size=64, num_hidden_layers=6, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, query_pre_attn_scalar=256, sliding_window=8, rope_parameters=LINEAR_X8)),
    "recurrent_gemma": ("recurrent_gemma", dict(  # intermediate_size is twice the real width
        hidden_size=64, intermediate_size=2 * 96, num_hidden_layers=5, num_attention_heads=4,
        num_key_value_heads=1, lru_width=64, attention_window_size=8)),
    "recurrent_gemma_48": ("recurrent_gemma", dict(  # sqrt(48) differs from its bfloat16; the LRU is wider
        hidden_size=48, intermediate_size=2 * 96, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=1, lru_width=64, attention_window_size=8)),
    "vaultgemma": ("vaultgemma", dict(  # as the 1B: all layers global, no soft-caps; own query scale
        vocab_size=128, hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=4, head_dim=8, query_pre_attn_scalar=6, layer_types=[GLOBAL] * 3,
        attn_logit_softcapping=None, final_logit_softcapping=None)),
}
# Toys of configurations that no published model has, in tests/testdata/configs. transformers reads them back with its
# own loader.
CONFIGS = {
    "gemma2_gelu": ("gemma2", dict(  # the exact GELU; all layers scaled
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        head_dim=16, query_pre_attn_scalar=16, sliding_window=8, hidden_activation="gelu",
        rope_parameters=dict(rope_type="linear", factor=4.0, rope_theta=10_000.0))),
    "gemma3_head": ("gemma3_text", dict(  # a head of its own, although config.json says tied; a cap that is ignored
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        head_dim=16, query_pre_attn_scalar=16, sliding_window=8, layer_types=[LOCAL, GLOBAL],
        attn_logit_softcapping=1.0, tie_word_embeddings=False)),
    "vaultgemma_local": ("vaultgemma", dict(  # transformers' defaults: every other layer local, soft-caps
        vocab_size=128, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, query_pre_attn_scalar=8, sliding_window=8, attn_logit_softcapping=5.0)),
}
COMPRESSED = {"gemma2_odd"}  # one file deflated, the rest stored


# The toys in the form of the first published files (2024 and early 2025).
OLD_COMMON = dict(
    bos_token_id=BOS, eos_token_id=EOS, pad_token_id=0, vocab_size=256, rms_norm_eps=1e-6, attention_bias=False,
    attention_dropout=0.0, initializer_range=0.02, use_cache=True, torch_dtype="float32")
OLD_FIELDS = {
    "gemma": dict(  # no hidden_activation, and hidden_act names the GELU that Gemma does not use
        model_type="gemma", architectures=["GemmaForCausalLM"], transformers_version="4.38.0.dev0",
        hidden_act="gelu", max_position_embeddings=8192, rope_scaling=None, rope_theta=10_000.0),
    "gemma2": dict(  # no layer_types
        model_type="gemma2", architectures=["Gemma2ForCausalLM"], transformers_version="4.42.4",
        hidden_act="gelu_pytorch_tanh", hidden_activation="gelu_pytorch_tanh", cache_implementation="hybrid",
        sliding_window_size=8, attn_logit_softcapping=50.0, final_logit_softcapping=30.0,
        max_position_embeddings=8192, rope_theta=10_000.0),
    "gemma3": dict(
        model_type="gemma3_text", architectures=["Gemma3ForCausalLM"], transformers_version="4.50.0.dev0",
        hidden_activation="gelu_pytorch_tanh", _sliding_window_pattern=6, max_position_embeddings=131072,
        attn_logit_softcapping=None, final_logit_softcapping=None, cache_implementation="hybrid",
        rope_theta=1_000_000.0, rope_local_base_freq=10_000.0, rope_scaling=dict(factor=8.0, rope_type="linear")),
    "recurrent_gemma": dict(
        model_type="recurrent_gemma", architectures=["RecurrentGemmaForCausalLM"],
        transformers_version="4.40.0.dev0", hidden_activation="gelu_pytorch_tanh", head_dim=16, conv1d_width=4,
        _block_types=["recurrent", "recurrent", "attention"], block_types=["recurrent", "recurrent", "attention"],
        embeddings_scale_by_sqrt_dim=True, final_w_init_variance_scale=0.4, logits_soft_cap=30.0,
        partial_rotary_factor=0.5, rope_theta=10_000.0, w_init_variance_scale=0.01),
}


def old_config(name):
    """Returns the toy's config.json in the form of the first published files (2024 and early 2025)."""
    shape = {k: v for k, v in TOYS[name][1].items() if k not in ("layer_types", "rope_parameters")}
    return OLD_COMMON | shape | OLD_FIELDS[name]


def randomize(model, seed):
    """Sets weights that keep activations near one, and makes every norm, bias and decay matter."""
    generator = torch.Generator().manual_seed(seed)
    sharp = 2.0 if model.config.model_type == "gemma2" else 1.0  # scores large enough for the soft-cap to show
    for name, p in model.named_parameters():
        random = torch.randn(p.shape, generator=generator)
        leaf = name.rsplit(".", 1)[-1]
        if name in ("model.norm.weight", "model.final_norm.weight"):
            p.copy_(-1.0 + random)  # gains of both signs, so that a token is not always its own best successor
        elif "norm" in name:
            p.copy_(0.2 * random)
        elif leaf == "recurrent_param":
            p.copy_(-1.0 + 0.5 * random)
        elif leaf.endswith("bias"):
            p.copy_(0.1 * random)
        elif leaf in ("input_gate_weight", "recurrent_gate_weight"):
            p.copy_(random / math.sqrt(p.shape[1]))
        elif "conv_1d" in name:
            p.copy_(0.5 * random)
        elif "q_proj" in name or "k_proj" in name:
            p.copy_(sharp * random / math.sqrt(p.shape[-1]))
        else:
            p.copy_(random / math.sqrt(p.shape[-1]))


def build(name):
    """Returns the float32 toy; in a *_bf16 toy every weight is already a bfloat16 value."""
    kind, fields = (TOYS | CONFIGS)[name]
    config = hf_models.CAUSAL_LM[kind][0](**{**COMMON, **fields})
    config._attn_implementation = "eager"
    model = hf_models.new_model(config, torch.float32)
    with torch.no_grad():
        randomize(model, zlib.crc32(name.encode()))
        if name.endswith("_bf16"):
            for p in model.parameters():
                p.copy_(p.bfloat16())
    return model


def with_window(model, window):
    """Returns a model with the same weights and another attention window."""
    config = type(model.config)(**{**model.config.to_dict(), "attention_window_size": window})
    config._attn_implementation = "eager"
    other = hf_models.new_model(config, torch.float32)
    other.load_state_dict(model.state_dict())
    return other


def greedy_is_safe(tokens, margins, forbidden):
    distinct = set(tokens)
    return min(margins) > LEAST_MARGIN and len(distinct) >= LEAST_VARIETY and distinct.isdisjoint(forbidden)


def choose_prompt(models, vocab, forbidden=(0, EOS, BOS)):
    """Finds a prompt after which every model's greedy path has large margins. Returns it and those paths.

    The path has no forbidden tokens, and the prompt none from `vocab` on.
    """
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)
        ids = [BOS] + torch.randint(3, vocab, (PROMPT_TOKENS - 1,), generator=generator).tolist()
        paths = []
        for model in models:
            paths.append(hf_models.greedy(model, ids, GREEDY_TOKENS))
            if not greedy_is_safe(*paths[-1], forbidden):
                break
        else:
            return ids, paths
    raise ReferenceError("no prompt found with a well separated greedy path")


def reference(model, markers=()):
    """Returns the arrays of reference.npz. markers: the last tokens, if neither prompt nor path may have them."""
    recurrent = model.config.model_type == "recurrent_gemma"
    models = [model]
    if recurrent:
        models.append(with_window(model, model.config.attention_window_size + 1))
    ids, paths = choose_prompt(models, model.config.vocab_size - len(markers), (0, EOS, BOS, *markers))
    arrays = dict(ids=np.array([ids], np.int64))
    for suffix, each, (tokens, margins) in zip(("", "_deepmind"), models, paths):
        out, blocks = hf_models.logits_and_blocks(each, ids)
        arrays[f"out{suffix}"] = out[None].numpy()
        arrays[f"greedy{suffix}"] = np.array(tokens, np.int64)
        arrays[f"greedy_margin{suffix}"] = np.array(margins, np.float32)
        for i, block in enumerate(blocks):
            arrays[f"block{suffix}_{i}"] = block.numpy()
    if recurrent:
        official = deepmind_griffin.logits(deepmind_griffin.build(model), ids)[None].numpy()
        error = np.abs(official - arrays["out_deepmind"]).max()
        if error > 2e-5:
            raise ReferenceError(f"transformers with window + 1 is {error:.2e} away from DeepMind's package")
        arrays["out_deepmind"] = official
    return arrays


def bf16_arrays(model, ids):
    """Returns the logits of a bfloat16 checkpoint with its own embedding scale, in float32 and in bfloat16."""
    half = hf_models.new_model(model.config, torch.bfloat16)
    half.load_state_dict(model.state_dict())
    rounded = copy.deepcopy(model)
    hf_models.round_embedding_scale(rounded)
    return dict(out_rounded_scale=hf_models.logits(rounded, ids)[None].numpy(),
                out_bf16=hf_models.logits(half, ids)[None].numpy())


def write_config(directory, config, dtype, name="config.json"):
    fields = dict(config) if isinstance(config, dict) else config.to_diff_dict()
    if not isinstance(config, dict):
        fields["architectures"] = [hf_models.CAUSAL_LM[config.model_type][1].__name__]
        if getattr(config, "use_bidirectional_attention", False):
            fields["architectures"] = ["Gemma3TextModel"]
        fields["dtype"] = dtype
    (directory / name).write_text(json.dumps(fields, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def tensors_of(model, dtype):
    tied = model.config.tie_word_embeddings
    return {n: p.detach().to(dtype).contiguous() for n, p in model.state_dict().items()
            if not (tied and n.startswith("lm_head."))}


def write_toy(directory, name):
    model = build(name)
    half = name.endswith("_bf16")
    arrays = reference(model)
    if half:
        arrays.update(bf16_arrays(model, arrays["ids"][0]))
    directory.mkdir(parents=True, exist_ok=True)
    tensors = tensors_of(model, torch.bfloat16 if half else torch.float32)
    if name == "gemma3_nested":
        write_nested(directory, model.config, tensors)
    else:
        if name in CONFIGS:
            model.config.tie_word_embeddings = True
        write_config(directory, model.config, "bfloat16" if half else "float32")
        save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    if name in OLD_FIELDS:
        write_config(directory, old_config(name), None, "config_old.json")
    (np.savez_compressed if name in COMPRESSED else np.savez)(directory / "reference.npz", **arrays)
    if name == "gemma2":
        write_sharded(directory.parent / "gemma2_sharded", model.config, tensors)
    return model, arrays


def write_sharded(directory, config, tensors):
    """Writes the same tensors in two files with an index. Its reference is that of gemma2."""
    directory.mkdir(parents=True, exist_ok=True)
    write_config(directory, config, "float32")
    names, weight_map = sorted(tensors), {}
    for i, part in enumerate((names[: len(names) // 2], names[len(names) // 2 :]), 1):
        file = f"model-{i:05d}-of-00002.safetensors"
        save_file({n: tensors[n] for n in part}, directory / file, metadata={"format": "pt"})
        weight_map |= {n: file for n in part}
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    index = dict(metadata=dict(total_size=size), weight_map=weight_map)
    (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def write_nested(directory, config, tensors):
    """Writes the first published layout of Gemma 3 4B and larger: text_config, a prefix, and a vision tower."""
    shape = {k: v for k, v in TOYS["gemma3_nested"][1].items() if k != "rope_parameters"}
    del shape["query_pre_attn_scalar"]  # has the default value, like the rotary bases and the norms' epsilon
    text = shape | dict(model_type="gemma3_text", vocab_size=256, rope_scaling=dict(factor=8.0, rope_type="linear"))
    fields = {
        "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "text_config": text,
        "vision_config": {"hidden_size": 8, "image_size": 16, "intermediate_size": 16, "model_type": "siglip_vision_model",
                          "num_attention_heads": 2, "num_hidden_layers": 1, "patch_size": 8,
                          "vision_use_head": False},
        "boi_token_index": 250, "eoi_token_index": 251, "image_token_index": 252, "mm_tokens_per_image": 4,
        "eos_token_id": [1, 106], "initializer_range": 0.02, "torch_dtype": "float32", "transformers_version": "4.50.0.dev0",
    }
    write_config(directory, fields, None)
    nested = {"language_model." + name: tensor for name, tensor in tensors.items()}
    nested["multi_modal_projector.mm_input_projection_weight"] = torch.ones(8, config.hidden_size)
    nested["multi_modal_projector.mm_soft_emb_norm.weight"] = torch.ones(8)
    nested["vision_tower.vision_model.post_layernorm.weight"] = torch.ones(8)
    save_file(nested, directory / "model.safetensors", metadata={"format": "pt"})


def check_loader(directory, arrays):
    """Reads a toy of CONFIGS back as users of transformers do."""
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager", dtype=torch.float32)
    error = np.abs(hf_models.logits(model.eval(), arrays["ids"][0]).numpy() - arrays["out"][0]).max()
    if error > 0:
        raise ReferenceError(f"{directory}: read back, the logits differ by {error:.2e}")


def check_written(directory, name, arrays):
    """Reads the written files back with both configurations, and checks that they give the same logits."""
    ids = arrays["ids"][0]
    for config in ("config.json", "config_old.json"):
        if not (directory / config).exists():
            continue
        out = hf_models.logits(hf_models.load(directory, config=directory / config), ids).numpy()
        error = np.abs(out - arrays["out"][0]).max()
        if error > 0:
            raise ReferenceError(f"{name}/{config}: read back, the logits differ by {error:.2e}")
    if name == "gemma2":
        check_written(directory.parent / "gemma2_sharded", "gemma2_sharded", arrays)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=hf_models.TESTDATA / "models")
    names = [*TOYS, *CONFIGS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.only:
        directory = arguments.output.parent / "configs" / name if name in CONFIGS else arguments.output / name
        _, arrays = write_toy(directory, name)
        if name in CONFIGS:
            check_loader(directory, arrays)
        else:
            check_written(directory, name, arrays)
        size = sum(f.stat().st_size for f in directory.iterdir())
        print(f"{name:20s} {size / 1e6:5.2f} MB  logits up to {np.abs(arrays['out']).max():5.2f}"
              f"  least margin {arrays['greedy_margin'].min():.4f}"
              f"  distinct tokens {len(set(arrays['greedy']))}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (ReferenceError, OSError) as error:
        sys.exit(f"toy_models: {error}")
