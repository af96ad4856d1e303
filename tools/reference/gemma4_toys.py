#!/usr/bin/env python3
"""Writes the toys of Gemma 4 in tests/testdata/models, and the results of transformers with them.

Each gemma4_<name>/ holds config.json, model.safetensors and reference.npz as toy_models.py describes them; the windows
are 5 positions wide, or 3. All weights are random: each norm, scalar and scale too. config_published.json describes
the same model in the form of Google's files, which give the sizes of global layers by global_head_dim and
num_global_key_value_heads, where transformers writes per_layer_config. gemma4_nested and gemma4_unified have only that
form, and are text models inside multimodal checkpoints. Layers with a shared cache hold k_proj, v_proj and k_norm there,
which no program may use.

A toy is written only if its logits tell the right model from those with the mistakes of gemma4_mistakes.py, and if
a small change of any tensor shows in them.

  gemma4_toys.py [--output DIR] [--only NAME ...]
"""
import argparse
import json
import pathlib
import sys
import tempfile
import zlib

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers.initialization import no_init_weights

import gemma4_mistakes
import hf_models
import toy_models
from hf_models import ReferenceError
from toy_models import GLOBAL, LOCAL

TOLERANCE = 1e-4  # of the C++ tests, times the largest logit
LEAST_EFFECT = 5  # of a change of any tensor by about a tenth, in tolerances
LEAST_ROUTER_MARGIN = 1e-3  # between the logits of the last expert that is chosen and the first that is not

VOCAB = 96
MANY_TOKENS = dict(vocab_size=256, vocab_size_per_layer_input=256)  # as the tests of all toys need
COMMON = dict(
    vocab_size=VOCAB, vocab_size_per_layer_input=VOCAB, pad_token_id=0, eos_token_id=1, bos_token_id=2,
    max_position_embeddings=512, sliding_window=5, final_logit_softcapping=30.0, head_dim=8, global_head_dim=16,
    hidden_size_per_layer_input=0)
PATTERN_5 = [LOCAL] * 4 + [GLOBAL]

TOYS = {
    "gemma4_e2b": dict(  # per-layer embeddings; the last two layers share the caches of layers 1 and 2, and are wide
        **MANY_TOKENS,
        hidden_size=32, intermediate_size=32, num_hidden_layers=5, layer_types=[LOCAL, LOCAL, GLOBAL, LOCAL, GLOBAL],
        num_attention_heads=2, num_key_value_heads=1, hidden_size_per_layer_input=4, num_kv_shared_layers=2,
        use_double_wide_mlp=True),
    "gemma4_moe": dict(  # as the 26B: experts in each layer; values of global layers are their keys
        **MANY_TOKENS,
        hidden_size=32, intermediate_size=32, num_hidden_layers=2, layer_types=[LOCAL, GLOBAL],
        num_attention_heads=4, num_key_value_heads=2, attention_k_eq_v=True, num_global_key_value_heads=1,
        enable_moe_block=True, num_experts=5, top_k_experts=2, moe_intermediate_size=32),
    "gemma4_31b": dict(  # as the 12B and the 31B
        **MANY_TOKENS,
        hidden_size=32, intermediate_size=48, num_hidden_layers=3, layer_types=[LOCAL, LOCAL, GLOBAL],
        num_attention_heads=4, num_key_value_heads=2, attention_k_eq_v=True, num_global_key_value_heads=1),
    "gemma4_bf16": dict(  # sqrt(24) differs from its bfloat16
        hidden_size=24, intermediate_size=32, num_hidden_layers=4, layer_types=[LOCAL, GLOBAL, LOCAL, GLOBAL],
        num_attention_heads=2, num_key_value_heads=1, hidden_size_per_layer_input=4, num_kv_shared_layers=2,
        use_double_wide_mlp=True),
    "gemma4_nested": dict(
        hidden_size=16, intermediate_size=16, num_hidden_layers=4, layer_types=[LOCAL, GLOBAL, LOCAL, GLOBAL],
        num_attention_heads=2, num_key_value_heads=1, hidden_size_per_layer_input=4, num_kv_shared_layers=2,
        use_double_wide_mlp=True),
    "gemma4_unified": dict(  # the form of the 12B
        hidden_size=16, intermediate_size=16, num_hidden_layers=3, layer_types=[LOCAL, LOCAL, GLOBAL],
        num_attention_heads=4, num_key_value_heads=2, attention_k_eq_v=True, num_global_key_value_heads=1),
    "gemma4_shared": dict(  # two periods of the E2B; layers 6 to 8 read the cache of layer 5, and layer 9 that of 4
        hidden_size=16, intermediate_size=16, num_hidden_layers=10, layer_types=PATTERN_5 * 2,
        num_attention_heads=4, num_key_value_heads=2, hidden_size_per_layer_input=8, num_kv_shared_layers=4,
        use_double_wide_mlp=True, sliding_window=3),
    "gemma4_unshared": dict(  # per-layer embeddings alone
        hidden_size=16, intermediate_size=24, num_hidden_layers=3, layer_types=[LOCAL, LOCAL, GLOBAL],
        num_attention_heads=2, num_key_value_heads=2, hidden_size_per_layer_input=4),
    "gemma4_narrow": dict(  # as the E4B: shared caches, but no wide layers
        hidden_size=16, intermediate_size=24, num_hidden_layers=5, layer_types=[LOCAL, LOCAL, GLOBAL, LOCAL, GLOBAL],
        num_attention_heads=4, num_key_value_heads=2, hidden_size_per_layer_input=4, num_kv_shared_layers=2),
}
NESTED = ("gemma4_nested", "gemma4_unified")
MARKERS = range(88, VOCAB)  # of these two: the second end token, and those of images and sound
SEEDS = {"gemma4_bf16": "gemma4_bf161"}  # with the name itself, every greedy path meets a control token
ROPE = {
    GLOBAL: dict(rope_type="proportional", partial_rotary_factor=0.25, rope_theta=1_000_000.0),
    LOCAL: dict(rope_type="default", rope_theta=10_000.0),
}


def published_config(name):
    """Returns the text model's configuration in the form of Google's files."""
    fields = dict(model_type="gemma4_text", hidden_activation="gelu_pytorch_tanh", rms_norm_eps=1e-6, use_cache=True,
                  attention_bias=False, attention_dropout=0.0, initializer_range=0.02, tie_word_embeddings=True,
                  rope_parameters=ROPE, attention_k_eq_v=False, num_global_key_value_heads=None,
                  num_kv_shared_layers=0, use_double_wide_mlp=False, enable_moe_block=False, num_experts=None,
                  top_k_experts=None, moe_intermediate_size=None, use_bidirectional_attention=None)
    return fields | COMMON | TOYS[name] | dict(dtype=dtype_of(name))


def dtype_of(name):
    return "bfloat16" if name.endswith("_bf16") else "float32"


def randomize(model, seed):
    """Sets each weight to noise, of a size that keeps activations near one."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.state_dict().items():
        random = torch.randn(p.shape, generator=generator)
        if name == "model.norm.weight":
            p.copy_(random)  # of both signs, so that a token is not always its own best successor
        elif "q_norm" in name or "k_norm" in name:
            p.copy_(0.8 + 0.3 * random)  # scores of about three, because nothing scales them
        elif name.endswith("router.scale"):
            p.copy_(1.5 + 0.5 * random)
        elif name.endswith(("norm.weight", "norm_1.weight", "norm_2.weight", "layer_scalar", "scale")):
            p.copy_(1.0 + 0.3 * random)
        elif "embed_tokens.weight" in name or "lm_head" in name:
            if "lm_head" not in name:
                p.copy_(2.0 * random / p.shape[-1] ** 0.5)
        elif "embed_tokens_per_layer" in name:
            p.copy_(random / model.config.hidden_size_per_layer_input**0.5)
        elif "router.proj" in name:
            p.copy_(2.0 * random)
        else:
            p.copy_(random / p.shape[-1] ** 0.5)


def build(name):
    """Returns the float32 toy; in a *_bf16 toy every weight is already a bfloat16 value."""
    config = transformers.Gemma4TextConfig(**(COMMON | TOYS[name]))
    config._attn_implementation = "eager"
    model = hf_models.new_model(config, torch.float32)
    with torch.no_grad():
        randomize(model, zlib.crc32(SEEDS.get(name, name).encode()))
        if name.endswith("_bf16"):
            for p in model.state_dict().values():
                p.copy_(p.bfloat16())
    return model


@torch.no_grad()
def router_margin(model, ids):
    """Returns the least difference between the logits of a chosen expert and one that is not chosen."""
    margins = []

    def keep(router, _inputs, output):
        best = output[0].log().topk(router.config.top_k_experts + 1).values
        margins.append(float((best[:, -2] - best[:, -1]).min()))

    hooks = [layer.router.register_forward_hook(keep) for layer in model.model.layers if layer.enable_moe_block]
    hf_models.logits(model, ids)
    for hook in hooks:
        hook.remove()
    return min(margins, default=1.0)


def check_effects(name, model, arrays):
    """Checks that each tensor, and each of the mistakes that the toy can show, changes the logits."""
    ids, right = arrays["ids"][0], arrays["out"][0]
    unit = TOLERANCE * max(1.0, np.abs(right).max())
    margin = router_margin(model, [*ids, *arrays["greedy"]])
    if margin < LEAST_ROUTER_MARGIN:
        raise ReferenceError(f"{name}: two experts are only {margin:.1e} apart")
    generator = torch.Generator().manual_seed(0)
    last_scalar = f"model.layers.{model.config.num_hidden_layers - 1}.layer_scalar"  # the last norm hides it
    for tensor, p in model.state_dict().items():
        if tensor.startswith("lm_head.") or tensor == last_scalar:
            continue
        kept = p.clone()
        p.mul_(1.1 if p.numel() == 1 else 1.0 + 0.1 * torch.randn(p.shape, generator=generator))
        effect = np.abs(hf_models.logits(model, ids).numpy() - right).max() / unit
        p.copy_(kept)
        if effect < LEAST_EFFECT:
            raise ReferenceError(f"{name}: noise in {tensor} changes the logits by only {effect:.1f} tolerances")
    return gemma4_mistakes.check(model, ids, right, unit)


def save(directory, name, model):
    toy_models.write_config(directory, model.config, dtype_of(name))
    toy_models.write_config(directory, published_config(name) | dict(architectures=["Gemma4ForCausalLM"]), None,
                            "config_published.json")
    tensors = toy_models.tensors_of(model, getattr(torch, dtype_of(name)))
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})


def nested_config(name):
    """Returns config.json of a multimodal checkpoint with tiny parts for images and sound."""
    fields = {
        "dtype": "float32", "text_config": published_config(name),
        "image_token_id": 89, "audio_token_id": 90, "video_token_id": 91, "boi_token_id": 92, "eoi_token_id": 93,
        "boa_token_id": 94, "eoa_token_id": 95, "eoa_token_index": 95, "eos_token_id": [1, 88],
        "initializer_range": 0.02, "tie_word_embeddings": True, "transformers_version": "5.5.0",
    }
    if name == "gemma4_unified":
        text = fields["text_config"] | dict(model_type="gemma4_unified_text", use_bidirectional_attention="vision")
        for key in ("hidden_size_per_layer_input", "vocab_size_per_layer_input", "enable_moe_block", "num_experts",
                    "top_k_experts", "moe_intermediate_size"):
            del text[key]
        return fields | {
            "architectures": ["Gemma4UnifiedForConditionalGeneration"], "model_type": "gemma4_unified",
            "text_config": text,
            "vision_config": dict(model_type="gemma4_unified_vision", patch_size=1, pooling_kernel_size=2,
                                  mm_embed_dim=8, mm_posemb_size=4, output_proj_dims=8),
            "audio_config": dict(model_type="gemma4_unified_audio", audio_embed_dim=8),
        }
    return fields | {
        "architectures": ["Gemma4ForConditionalGeneration"], "model_type": "gemma4", "vision_soft_tokens_per_image": 280,
        "vision_config": dict(
            model_type="gemma4_vision", hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
            num_key_value_heads=1, head_dim=8, patch_size=2, position_embedding_size=4, pooling_kernel_size=2),
        "audio_config": dict(
            model_type="gemma4_audio", hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
            subsampling_conv_channels=[4, 4], conv_kernel_size=3, output_proj_dims=8),
    }


def save_nested(directory, name, model):
    """Writes the layout of the published files."""
    fields = nested_config(name)
    toy_models.write_config(directory, fields, None)
    kind = getattr(transformers, fields["architectures"][0])
    with no_init_weights():
        whole = kind(kind.config_class.from_pretrained(directory))
    generator = torch.Generator().manual_seed(7)
    nested = {n: torch.randn(p.shape, generator=generator) for n, p in whole.state_dict().items()
              if not n.startswith(("lm_head.", "model.language_model."))}
    own = toy_models.tensors_of(model, torch.float32)
    first_shared = model.config.num_hidden_layers - model.config.num_kv_shared_layers
    for target in range(first_shared, model.config.num_hidden_layers):
        source = model.config.layer_types.index(model.config.layer_types[target])
        for part in ("k_proj", "v_proj", "k_norm"):
            unused = own[f"model.layers.{source}.self_attn.{part}.weight"]
            own[f"model.layers.{target}.self_attn.{part}.weight"] = torch.randn(unused.shape, generator=generator)
    nested |= {"model.language_model." + n.removeprefix("model."): p for n, p in own.items()}
    save_file(nested, directory / "model.safetensors", metadata={"format": "pt"})


def check_loader(directory, config, arrays):
    """Reads a toy back as users of transformers do, with one of its configurations."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder)
        (copy / "config.json").write_bytes((directory / config).read_bytes())
        (copy / "model.safetensors").write_bytes((directory / "model.safetensors").read_bytes())
        kind = json.loads((copy / "config.json").read_text())["architectures"][0]
        model, report = getattr(transformers, kind).from_pretrained(
            copy, attn_implementation="eager", dtype=torch.float32, output_loading_info=True)
    if report["missing_keys"] or report["unexpected_keys"] or report["mismatched_keys"]:
        raise ReferenceError(f"{directory}/{config}: {report}")
    error = np.abs(hf_models.logits(model.eval(), arrays["ids"][0]).numpy() - arrays["out"][0]).max()
    if error > 0:
        raise ReferenceError(f"{directory}/{config}: read back, the logits differ by {error:.2e}")


def write_toy(directory, name):
    model = build(name)
    arrays = toy_models.reference(model, MARKERS if name in NESTED else ())
    effects = check_effects(name, model, arrays)
    if name.endswith("_bf16"):
        arrays |= toy_models.bf16_arrays(model, arrays["ids"][0])
    directory.mkdir(parents=True, exist_ok=True)
    (save_nested if name in NESTED else save)(directory, name, model)
    np.savez(directory / "reference.npz", **arrays)
    for config in sorted(directory.glob("config*.json")):
        check_loader(directory, config.name, arrays)
    return arrays, effects


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=hf_models.TESTDATA / "models")
    parser.add_argument("--only", nargs="+", choices=TOYS, default=TOYS, metavar="NAME")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.only:
        directory = arguments.output / name
        arrays, effects = write_toy(directory, name)
        size = sum(f.stat().st_size for f in directory.iterdir())
        print(f"{name:16s} {size / 1e3:4.0f} KB  logits up to {np.abs(arrays['out']).max():5.2f}"
              f"  least margin {arrays['greedy_margin'].min():.4f}  distinct tokens {len(set(arrays['greedy']))}")
        for mistake, effect in effects.items():
            print(f"    {mistake:40s} {effect:8.0f} tolerances", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (ReferenceError, OSError) as error:
        sys.exit(f"gemma4_toys: {error}")
