"""Runs RecurrentGemma weights with DeepMind's own PyTorch code (package `recurrentgemma`).

Its attention sees attention_window_size + 1 keys, one more than transformers' attention.
"""
import importlib
import importlib.machinery
import sys
import types

import torch

from hf_models import ReferenceError


def _package():
    """Imports recurrentgemma.torch without the package's __init__, which would import JAX and Flax."""
    if "recurrentgemma" not in sys.modules:
        spec = importlib.machinery.PathFinder.find_spec("recurrentgemma")
        if spec is None:
            raise ReferenceError("package recurrentgemma is missing: pip install --no-deps recurrentgemma==1.0.1")
        package = types.ModuleType("recurrentgemma")
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules["recurrentgemma"] = package
    return importlib.import_module("recurrentgemma.common"), importlib.import_module("recurrentgemma.torch.griffin")


def _rename(weights, layers):
    """Returns transformers' tensors with DeepMind's names and layouts."""
    out = {
        "embedder.input_embedding": weights["model.embed_tokens.weight"],
        "final_norm.scale": weights["model.final_norm.weight"],
    }
    for i in range(layers):
        source, target = f"model.layers.{i}.", f"blocks.{i}."
        temporal = source + "temporal_block."
        for norm in ("temporal_pre_norm", "channel_pre_norm"):
            out[f"{target}{norm}.scale"] = weights[f"{source}{norm}.weight"]
        if temporal + "q_proj.weight" in weights:
            block = target + "attention_block."
            for ours, theirs in (("q", "q"), ("k", "k"), ("v", "v"), ("o", "final")):
                out[f"{block}proj_{theirs}.weight"] = weights[f"{temporal}{ours}_proj.weight"]
            out[block + "proj_final.bias"] = weights[temporal + "o_proj.bias"]
        else:
            block = target + "recurrent_block."
            for linear in ("linear_x", "linear_y", "linear_out"):
                for part in ("weight", "bias"):
                    out[f"{block}{linear}.{part}"] = weights[f"{temporal}{linear}.{part}"]
            out[block + "conv_1d.w"] = weights[temporal + "conv_1d.weight"][:, 0, :].T
            out[block + "conv_1d.b"] = weights[temporal + "conv_1d.bias"]
            out[block + "rg_lru.a_param"] = weights[temporal + "rg_lru.recurrent_param"]
            for ours, theirs in (("input_gate", "input_gate"), ("recurrent_gate", "a_gate")):
                out[f"{block}rg_lru.{theirs}.w"] = weights[f"{temporal}rg_lru.{ours}_weight"]
                out[f"{block}rg_lru.{theirs}.b"] = weights[f"{temporal}rg_lru.{ours}_bias"]
        mlp = source + "mlp_block."
        gate_up = [weights[f"{mlp}{part}_proj.weight"].T for part in ("gate", "up")]
        biases = [weights[f"{mlp}{part}_proj.bias"] for part in ("gate", "up")]
        out[target + "mlp_block.ffw_up.w"] = torch.stack(gate_up)
        out[target + "mlp_block.ffw_up.b"] = torch.stack(biases)[:, None, None, :]
        for part in ("weight", "bias"):
            out[f"{target}mlp_block.ffw_down.{part}"] = weights[f"{mlp}down_proj.{part}"]
    return out


def build(model):
    """Returns DeepMind's Griffin with the weights of a transformers RecurrentGemmaForCausalLM."""
    common, griffin = _package()
    config = model.config
    kinds = {"recurrent": common.TemporalBlockType.RECURRENT, "attention": common.TemporalBlockType.ATTENTION}
    pattern = config.block_types
    weights = dict(model.named_parameters())
    dtype = weights["model.embed_tokens.weight"].dtype
    with torch.device("meta"):
        ours = griffin.Griffin(
            common.GriffinConfig(
                vocab_size=config.vocab_size,
                width=config.hidden_size,
                mlp_expanded_width=config.intermediate_size // 2,
                num_heads=config.num_attention_heads,
                block_types=tuple(kinds[pattern[i % len(pattern)]] for i in range(config.num_hidden_layers)),
                embeddings_scale_by_sqrt_dim=True,
                attention_window_size=config.attention_window_size,
                logits_soft_cap=config.logits_soft_cap,
                lru_width=config.lru_width,
            ),
            gradient_checkpointing=False,
            dtype=dtype,
        )
    ours.load_state_dict(_rename(weights, config.num_hidden_layers), strict=True, assign=True)
    return ours.eval()


@torch.no_grad()
def logits(griffin, ids):
    """Returns the logits, float32 [n, vocab], of token ids [n], from one pass."""
    ids = torch.as_tensor(ids).reshape(1, -1)
    positions = torch.arange(ids.shape[1]).reshape(1, -1)
    return griffin(tokens=ids, segment_pos=positions)[0][0].float()
