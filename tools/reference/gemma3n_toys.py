#!/usr/bin/env python3
"""Writes a toy of Gemma 3n in tests/testdata/models, and the results of transformers with it.

gemma3n/ holds config.json, model.safetensors and reference.npz as toy_models.py describes them, in the form of Google's
files: the text model inside a multimodal checkpoint, and keys and values of layers with shared caches, which no program
may use. block_<i> is the first of the four residual streams. Two layers are wider than the others, as in models that
are cut out of larger ones. The last tokens have no row in the table of per-layer embeddings; their row is that of token
0.

  gemma3n_toys.py [--output DIR]
"""
import argparse
import pathlib
import sys

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

import gemma4_toys
import hf_models
import toy_models
from hf_models import ReferenceError
from toy_models import GLOBAL, LOCAL

TEXT = dict(
    vocab_size=512, vocab_size_per_layer_input=480, pad_token_id=0, eos_token_id=1, bos_token_id=2, hidden_size=16,
    intermediate_size=[128, 64, 48, 64, 48], num_hidden_layers=5, layer_types=[LOCAL, LOCAL, GLOBAL, LOCAL, GLOBAL],
    num_attention_heads=4, num_key_value_heads=2, head_dim=8, hidden_size_per_layer_input=4, num_kv_shared_layers=2,
    laurel_rank=4, activation_sparsity_pattern=[0.95, 0.75, 0.0, 0.0, 0.0], sliding_window=5,
    max_position_embeddings=512)
FIRST_SHARED = 3
SEED = 4


def randomize(model):
    """Sets each weight to noise, of a size that keeps activations near one and makes the streams mix."""
    generator = torch.Generator().manual_seed(SEED)
    width = model.config.hidden_size
    for name, p in model.state_dict().items():
        random = torch.randn(p.shape, generator=generator)
        if name == "model.norm.weight":
            p.copy_(random)  # of both signs, so that a token is not always its own best successor
        elif "q_norm" in name or "k_norm" in name:
            p.copy_(0.8 + 0.3 * random)
        elif name.endswith(("norm.weight", "correct_output_scale")):
            p.copy_(1.0 + 0.3 * random)
        elif "embed_tokens.weight" in name:
            p.copy_(2.0 * random / width**0.5)
        elif "embed_tokens_per_layer" in name:
            p.copy_(random / model.config.hidden_size_per_layer_input**0.5)
        elif "modality_router" in name:
            p.copy_(width**0.5 * random)  # because its input is divided by the width
        elif "prediction_coefs" in name or "correction_coefs" in name:
            p.copy_(0.3 * random)
        elif not name.startswith("lm_head."):
            p.copy_(random / p.shape[-1] ** 0.5)


def build():
    config = transformers.Gemma3nTextConfig(**TEXT)
    config._attn_implementation = "eager"
    model = hf_models.new_model(config, torch.float32)
    randomize(model)
    return model


def check_effects(model, arrays):
    """Checks that a small change of each tensor changes the logits."""
    ids, right = arrays["ids"][0], arrays["out"][0]
    unit = gemma4_toys.TOLERANCE * max(1.0, np.abs(right).max())
    generator = torch.Generator().manual_seed(0)
    for tensor, p in model.state_dict().items():
        kept = p.clone()
        p.mul_(1.0 + 0.1 * torch.randn(p.shape, generator=generator))
        effect = np.abs(hf_models.logits(model, ids).numpy() - right).max() / unit
        p.copy_(kept)
        if effect < gemma4_toys.LEAST_EFFECT and not tensor.startswith("lm_head."):
            raise ReferenceError(f"noise in {tensor} changes the logits by only {effect:.1f} tolerances")


def save(directory, model):
    fields = {
        "architectures": ["Gemma3nForConditionalGeneration"], "model_type": "gemma3n", "dtype": "float32",
        "text_config": TEXT | dict(
            model_type="gemma3n_text", hidden_activation="gelu_pytorch_tanh", rms_norm_eps=1e-6,
            altup_active_idx=0,
            altup_coef_clip=120.0, altup_correct_scale=True, altup_num_inputs=4, attention_bias=False,
            final_logit_softcapping=30.0, rope_local_base_freq=10_000.0, rope_theta=1_000_000.0, rope_scaling=None),
        "vision_config": dict(model_type="gemma3n_vision", architecture="mobilenetv5_300m_enc", hidden_size=8),
        "audio_config": dict(model_type="gemma3n_audio", hidden_size=8),
        "boi_token_id": 470, "image_token_id": 481, "eoi_token_id": 480, "boa_token_id": 471, "audio_token_id": 482,
        "eoa_token_id": 483, "eos_token_id": [1, 6], "initializer_range": 0.02, "transformers_version": "4.53.0.dev0",
    }
    toy_models.write_config(directory, fields, None)
    own = toy_models.tensors_of(model, torch.float32)
    generator = torch.Generator().manual_seed(7)
    for layer in range(FIRST_SHARED, TEXT["num_hidden_layers"]):
        for part in ("k_proj", "v_proj", "k_norm"):
            dead = own[f"model.layers.0.self_attn.{part}.weight"]
            own[f"model.layers.{layer}.self_attn.{part}.weight"] = torch.randn(dead.shape, generator=generator)
    nested = {"model.language_model." + n.removeprefix("model."): p for n, p in own.items()}
    nested["model.vision_tower.timm_model.conv_stem.conv.weight"] = torch.ones(2, 3, 3, 3)
    nested["model.embed_vision.embedding_projection.weight"] = torch.ones(16, 8)
    nested["model.audio_tower.conformer.0.norm.weight"] = torch.ones(8)
    nested["model.embed_audio.embedding_projection.weight"] = torch.ones(16, 8)
    save_file(nested, directory / "model.safetensors", metadata={"format": "pt"})


def check_written(directory, arrays):
    """Reads the text model back from the files."""
    model = hf_models.new_model(hf_models.read_config(directory / "config.json"), torch.float32)
    tensors = dict(hf_models.read_tensors(directory))
    wanted = {name: tensors[name] for name in model.state_dict() if not name.startswith("lm_head.")}
    model.load_state_dict(wanted, strict=False)
    error = np.abs(hf_models.logits(model, arrays["ids"][0]).numpy() - arrays["out"][0]).max()
    if error > 0:
        raise ReferenceError(f"{directory}: read back, the logits differ by {error:.2e}")


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=hf_models.TESTDATA / "models")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    directory = arguments.output / "gemma3n"
    directory.mkdir(parents=True, exist_ok=True)
    model = build()
    arrays = toy_models.reference(model)
    for name in arrays:
        if name.startswith("block_"):
            arrays[name] = arrays[name][0]
    if max(arrays["ids"][0]) < TEXT["vocab_size_per_layer_input"]:
        raise ReferenceError("every token of the prompt has a row of its own, wanted one that has none")
    check_effects(model, arrays)
    save(directory, model)
    np.savez(directory / "reference.npz", **arrays)
    check_written(directory, arrays)
    print(f"gemma3n: logits up to {np.abs(arrays['out']).max():.2f}  least margin {arrays['greedy_margin'].min():.4f}"
          f"  distinct tokens {len(set(arrays['greedy']))}")


if __name__ == "__main__":
    try:
        main()
    except (ReferenceError, OSError) as error:
        sys.exit(f"gemma3n_toys: {error}")
