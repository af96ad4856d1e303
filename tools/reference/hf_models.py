"""Loads Gemma checkpoints from a local directory and runs them with Hugging Face transformers.

The other tools of this folder share it. Attention is always "eager", so soft-caps and masks are exact. Every result
comes from one plain forward pass without a KV cache.
"""
import argparse
import json
import os
import pathlib

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import torch
import transformers
from safetensors import safe_open
from transformers.initialization import no_init_weights

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TESTDATA = REPOSITORY / "tests" / "testdata"

CAUSAL_LM = {
    "gemma": (transformers.GemmaConfig, transformers.GemmaForCausalLM),
    "gemma2": (transformers.Gemma2Config, transformers.Gemma2ForCausalLM),
    "gemma3_text": (transformers.Gemma3TextConfig, transformers.Gemma3ForCausalLM),
    "gemma3n_text": (transformers.Gemma3nTextConfig, transformers.Gemma3nForCausalLM),
    "gemma4_text": (transformers.Gemma4TextConfig, transformers.Gemma4ForCausalLM),
    "recurrent_gemma": (transformers.RecurrentGemmaConfig, transformers.RecurrentGemmaForCausalLM),
    "vaultgemma": (transformers.VaultGemmaConfig, transformers.VaultGemmaForCausalLM),
}

# Prefixes of the text model in published files, longest first.
TEXT_PREFIXES = ("language_model.model.", "model.language_model.", "model.")


class ReferenceError(Exception):
    """An error that the programs print in one line without a traceback."""


def gguf_arguments(description):
    """Reads the command line of a script that writes GGUF files of toys: --models and --output."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=pathlib.Path, default=TESTDATA / "models")
    parser.add_argument("--output", type=pathlib.Path, default=TESTDATA / "gguf")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    return arguments


def read_config(path):
    """Returns config.json (or a similar file) as the transformers configuration of its text model."""
    try:
        fields = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReferenceError(f"{path}: {error}") from error
    fields = fields.get("text_config", fields)
    kind = fields.get("model_type")
    if kind not in CAUSAL_LM:
        raise ReferenceError(f"{path}: model_type is {kind!r}, wanted one of {', '.join(CAUSAL_LM)}")
    config = CAUSAL_LM[kind][0](**{k: v for k, v in fields.items() if k != "model_type"})
    config._attn_implementation = "eager"
    return config


def new_model(config, dtype):
    """Returns a model whose weights have memory but no values yet."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)  # .to(dtype) would also round the rotary frequencies
    try:
        with no_init_weights():
            model = CAUSAL_LM[config.model_type][1](config)
    finally:
        torch.set_default_dtype(before)
    model.tie_weights()  # without initialisation, the output head is not yet the embedding
    return model.eval().requires_grad_(False)


def shard_files(directory):
    """Returns the safetensors files of a checkpoint, one or many."""
    directory = pathlib.Path(directory)
    index = directory / "model.safetensors.index.json"
    if index.exists():
        return [directory / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    if (directory / "model.safetensors").exists():
        return [directory / "model.safetensors"]
    raise ReferenceError(f"{directory}: neither model.safetensors nor model.safetensors.index.json")


def read_tensors(directory):
    """Yields (name, tensor) of the text model, tensor by tensor, with names that begin with "model."."""
    files = shard_files(directory)
    names = [name for file in files for name in safe_open(file, "pt").keys()]
    nested = next((p for p in TEXT_PREFIXES[:2] if any(n.startswith(p) for n in names)), None)
    prefix = nested or "model."
    for file in files:
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():
                if name.startswith(prefix):
                    yield "model." + name.removeprefix(prefix), tensors.get_tensor(name)


def load(directory, dtype=torch.float32, config=None):
    """Loads the text model of a local Hugging Face directory; `config` replaces config.json."""
    model = new_model(read_config(config or pathlib.Path(directory) / "config.json"), dtype)
    wanted = {name: p for name, p in model.state_dict().items() if not name.startswith("lm_head.")}
    with torch.no_grad():
        for name, tensor in read_tensors(directory):
            if name not in wanted:
                raise ReferenceError(f"{directory}: tensor {name} has no place in {type(model).__name__}")
            target = wanted.pop(name)
            if target.shape != tensor.shape:
                raise ReferenceError(f"{directory}: {name} is {list(tensor.shape)}, wanted {list(target.shape)}")
            target.copy_(tensor)
    if wanted:
        raise ReferenceError(f"{directory}: tensor {next(iter(wanted))} is missing")
    return model


def round_embedding_scale(model):
    """Makes a float32 model scale embeddings like a bfloat16 model. RecurrentGemma always does."""
    if model.config.model_type == "recurrent_gemma":
        return
    for name, scale in model.named_buffers():
        if name.endswith(".embed_scale"):
            scale.copy_(scale.bfloat16())


@torch.no_grad()
def logits(model, ids, last=0):
    """Returns float32 [n, vocab] for token ids [n], from one pass. If `last` is not 0, only the last positions."""
    ids = torch.as_tensor(ids).reshape(1, -1)
    return model(input_ids=ids, use_cache=False, logits_to_keep=last).logits[0].float()


@torch.no_grad()
def logits_and_blocks(model, ids):
    """Returns logits, and the residual stream after every block (float32 [n, model_dim] each)."""
    blocks = []

    def keep(_module, _inputs, output):
        blocks.append((output[0] if isinstance(output, tuple) else output)[0].float().clone())

    hooks = [layer.register_forward_hook(keep) for layer in model.model.layers]
    try:
        return logits(model, ids), blocks
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def greedy(model, ids, steps):
    """Returns the most likely continuation, with every step recomputed from the start, and its margins.

    A margin is the difference between the two best logits. If it is small, a correct implementation that adds in a
    different order may choose a different token.
    """
    ids, tokens, margins = [int(i) for i in ids], [], []
    for _ in range(steps):
        best, index = logits(model, ids + tokens, last=1)[0].topk(2)
        tokens.append(int(index[0]))
        margins.append(float(best[0] - best[1]))
    return tokens, margins
