#!/usr/bin/env python3
"""Writes adapters for the toy models to tests/testdata/lora, and the logits of the models that peft merges.

Each <name>/ is a PEFT directory. reference.npz holds, for the first 16 tokens of a toy's prompt, the float32 logits
[16, vocab] after merge_and_unload:

  <name>    of the toy with the adapter
  scaled    of gemma2 with `plain` at half its scale
  both      of gemma2 with `plain` at 0.5 and `layers` at -1.25
  merged_bf16 of gemma2_bf16 with `half`, merged into bfloat16 weights, computed in float32
  unmerged_embed of gemma_mha with `embed` before the merge: differs, because the adapter leaves the tied head alone

plain.gguf, embed.gguf and gemma4.gguf hold the same adapters under llama.cpp's names. untied_base/ is a toy with a head
of its own.

  lora_toys.py [--output DIR]
"""
import argparse
import json
import pathlib
import shutil
import sys
import warnings
import zlib

import gguf
import numpy as np
import peft
import torch
from safetensors.torch import load_file, save_file

import gemma4_gguf
import gguf_files
import hf_models
import toy_models
from hf_models import ReferenceError

TOKENS = 16
GEMMA = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
RECURRENT = GEMMA + ["linear_x", "linear_y", "linear_out"]
PER_LAYER = GEMMA + ["per_layer_input_gate", "per_layer_projection", "per_layer_model_projection"]

# name -> (toy, fields of LoraConfig)
ADAPTERS = {
    "plain": ("gemma2", dict(r=2, lora_alpha=8, target_modules=GEMMA)),
    "layers": ("gemma2", dict(r=2, lora_alpha=3, target_modules=["q_proj", "down_proj"], layers_to_transform=[1, 3])),
    "patterns": ("gemma2", dict(
        r=2, lora_alpha=4, target_modules=["q_proj", "up_proj", "down_proj"],
        rank_pattern={"^model.layers.1.mlp.down_proj": 5, r"layers\.(0|3)\..*up_proj": 3, "q_proj": 1},
        alpha_pattern={"layers.2.self_attn.q_proj": 7, "up_proj": 2.5})),
    "rslora": ("gemma3", dict(r=3, lora_alpha=2, use_rslora=True, target_modules=r".*\.(q_proj|v_proj|down_proj)")),
    "nested": ("gemma3_nested", dict(r=2, lora_alpha=4, target_modules="all-linear")),
    "recurrent": ("recurrent_gemma_48", dict(r=2, lora_alpha=4, target_modules=RECURRENT)),
    "embed": ("gemma_mha", dict(r=2, lora_alpha=4, target_modules=["embed_tokens", "q_proj"])),
    "head": ("gemma_mha", dict(r=2, lora_alpha=4, target_modules=["embed_tokens", "lm_head"])),
    "untied": ("untied_base", dict(r=2, lora_alpha=4, target_modules=["embed_tokens", "lm_head", "v_proj"])),
    # Layers 3 and 4 have no keys and values of their own.
    "gemma4": ("gemma4_e2b", dict(r=2, lora_alpha=4, target_modules=PER_LAYER)),
    "gemma4_keys": ("gemma4_31b", dict(r=2, lora_alpha=4, target_modules=GEMMA)),  # keys of layer 2 are its values, too
    "gemma4_moe": ("gemma4_moe", dict(r=2, lora_alpha=4, target_modules=GEMMA)),  # beside experts
    "half": ("gemma2_bf16", dict(r=2, lora_alpha=4, target_modules=GEMMA)),
}
SAVES_EMBEDDINGS = {"untied"}  # peft's default for adapters of embeddings
HALF = {"rslora", "half"}  # written in bfloat16


def untied_model():
    """Returns a tiny Gemma 2 whose head differs from its embedding."""
    config = hf_models.CAUSAL_LM["gemma2"][0](
        vocab_size=64, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, query_pre_attn_scalar=8, sliding_window=8, pad_token_id=0,
        eos_token_id=toy_models.EOS, bos_token_id=toy_models.BOS, tie_word_embeddings=False)
    config._attn_implementation = "eager"
    model = hf_models.new_model(config, torch.float32)
    with torch.no_grad():
        toy_models.randomize(model, seed=7)
    if torch.equal(model.lm_head.weight, model.model.embed_tokens.weight):
        raise ReferenceError("the head of the untied toy is tied")
    return model


def base_model(toy, dtype=torch.float32):
    return untied_model() if toy == "untied_base" else hf_models.load(hf_models.TESTDATA / "models" / toy, dtype)


def prompt(toy):
    if toy == "untied_base":
        return [2] + [3 + 5 * i % 60 for i in range(TOKENS - 1)]
    return np.load(hf_models.TESTDATA / "models" / toy / "reference.npz")["ids"][0][:TOKENS].tolist()


def new_adapter(name):
    """Returns the toy with a random adapter."""
    toy, fields = ADAPTERS[name]
    model = peft.get_peft_model(base_model(toy), peft.LoraConfig(task_type="CAUSAL_LM", **fields))
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    with torch.no_grad():
        for parameter_name, p in sorted(model.named_parameters()):
            if "lora_" not in parameter_name:
                continue
            # Products of about a quarter of the weights, which are near 1 / sqrt(64).
            p.copy_(0.25 * torch.randn(p.shape, generator=generator))
            if name in HALF:
                p.copy_(p.bfloat16())
    return model


def save(model, name, directory):
    model.save_pretrained(directory, save_embedding_layers=name in SAVES_EMBEDDINGS)
    (directory / "README.md").unlink(missing_ok=True)
    config = json.loads((directory / "adapter_config.json").read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = f"toys/{ADAPTERS[name][0]}"
    for field in ("target_modules",):
        if isinstance(config[field], list):
            config[field] = sorted(config[field])
    (directory / "adapter_config.json").write_text(
        json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    path = directory / "adapter_model.safetensors"
    tensors = load_file(path)
    if name in HALF:
        tensors = {n: t.bfloat16() for n, t in tensors.items()}
    if name == "nested":
        # As for the text tower of a multimodal model, and with an adapter's name, as older versions of peft.
        tensors = {n.replace("model.model.layers", "model.model.language_model.layers")
                   .replace(".lora_A.", ".lora_A.default.").replace(".lora_B.", ".lora_B.default."): t
                   for n, t in tensors.items()}
    save_file({n: t.contiguous() for n, t in tensors.items()}, path, metadata={"format": "pt"})


def merged(directory, name, scale=1.0, base=None, dtype=torch.float32):
    """Returns the toy into which peft merged the adapter that it read from its files."""
    toy = ADAPTERS[name][0]
    if name == "nested":
        raise ReferenceError("the names of nested tensors are not those of the text model")
    model = peft.PeftModel.from_pretrained(base if base is not None else base_model(toy, dtype), directory)
    for module in model.modules():
        if isinstance(module, peft.tuners.lora.LoraLayer):
            module.scale_layer(scale)
    return model.merge_and_unload()


def write_gguf(path, directory, name):
    """Writes the adapter as llama.cpp's convert_lora_to_gguf does, which stores the embedding's A transposed."""
    toy, fields = ADAPTERS[name]
    model_type = base_model(toy).config.model_type
    is_gemma4 = model_type == "gemma4_text"
    writer = gguf.GGUFWriter(path, "gemma4" if is_gemma4 else gguf_files.ARCHITECTURES[model_type])
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(fields["lora_alpha"]))
    writer.add_string("general.base_model.0.name", toy)
    for tensor, values in sorted(load_file(directory / "adapter_model.safetensors").items()):
        module, _, part = tensor.removeprefix("base_model.model.").rpartition(".lora_")
        values = values.numpy()
        weight = module + ".weight"
        target = gemma4_gguf.tensor_name(weight) if is_gemma4 else gguf_files.tensor_name(model_type, weight)
        if part == "embedding_A":
            values = values.T
        writer.add_tensor(f"{target}.lora_{part.removeprefix('embedding_')[0].lower()}",
                          np.ascontiguousarray(values, np.float32))
    gguf_files.finish(writer)


def write(output):
    output.mkdir(parents=True, exist_ok=True)
    base = output / "untied_base"
    base.mkdir(exist_ok=True)
    untied = untied_model()
    toy_models.write_config(base, untied.config, "float32")
    save_file({n: p.detach().contiguous() for n, p in untied.named_parameters()}, base / "model.safetensors",
              metadata={"format": "pt"})
    arrays = {"untied_ids": np.array([prompt("untied_base")], np.int64)}
    for name, (toy, _) in ADAPTERS.items():
        directory = output / name
        shutil.rmtree(directory, ignore_errors=True)
        model = new_adapter(name)
        save(model, name, directory)
        if name == "embed":
            arrays["unmerged_embed"] = hf_models.logits(model, prompt(toy)).numpy()
        result = model.merge_and_unload() if name == "nested" else merged(directory, name)
        arrays[name] = hf_models.logits(result, prompt(toy)).numpy()
        plain = hf_models.logits(base_model(toy), prompt(toy)).numpy()
        if np.abs(arrays[name] - plain).max() < 0.1:
            raise ReferenceError(f"{name} hardly changes the logits")
    ids = prompt("gemma2")
    arrays["scaled"] = hf_models.logits(merged(output / "plain", "plain", 0.5), ids).numpy()
    first = merged(output / "plain", "plain", 0.5)
    arrays["both"] = hf_models.logits(merged(output / "layers", "layers", -1.25, first), ids).numpy()
    half = merged(output / "half", "half", dtype=torch.bfloat16).state_dict()
    model = base_model("gemma2_bf16")
    model.load_state_dict({n: t.float() for n, t in half.items()})
    hf_models.round_embedding_scale(model)
    arrays["merged_bf16"] = hf_models.logits(model, prompt("gemma2_bf16")).numpy()
    np.savez_compressed(output / "reference.npz", **arrays)
    for name in ("plain", "embed", "gemma4"):
        write_gguf(output / f"{name}.gguf", output / name, name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=hf_models.TESTDATA / "lora", metavar="DIR")
    warnings.filterwarnings("ignore", category=UserWarning)
    write(parser.parse_args().output)


if __name__ == "__main__":
    try:
        main()
    except (ReferenceError, OSError) as error:
        sys.exit(f"lora_toys: {error}")
