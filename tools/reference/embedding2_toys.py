#!/usr/bin/env python3
"""Writes a toy of EmbeddingGemma 2, and the results of transformers with it.

  tests/testdata/models/embedding_gemma2     a sentence-transformers directory, with tiny towers for images and sound,
                                             texts.txt, and embeddings.npz: the arrays of embedding_toys.py
  tests/testdata/gguf/gemma_embedding2.gguf  the text model; its reference is the same embeddings.npz

pooled is the mean of the states after the last norm, before the projection; embedding is that after it.

Matrices have bfloat16 values and are stored as bfloat16; the embedding table is float32. So no file rounds a value.

  embedding2_toys.py [--output DIR]
"""
import argparse
import json
import pathlib
import sys

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as Type
from safetensors.torch import save_file
from transformers.initialization import no_init_weights

import embedding_toys
import gemma4_gguf
import gguf_files
import hf_models
from gemma4_chat import Words
from hf_models import ReferenceError
from toy_models import GLOBAL, LOCAL
from vocabulary import BOS, EOS

TEXTS = [text.replace("<start_of_turn>", "<|turn>") for text in embedding_toys.TEXTS]
TEXT = dict(
    vocab_size=512, hidden_size=16, intermediate_size=24, num_hidden_layers=5,
    layer_types=[LOCAL, LOCAL, GLOBAL, LOCAL, GLOBAL], num_attention_heads=4, num_key_value_heads=2, head_dim=8,
    global_head_dim=16, num_global_key_value_heads=1, hidden_size_per_layer_input=8, embedding_dim=40,
    sliding_window=3, max_position_embeddings=512)
VISION = dict(model_type="gemma4_vision", hidden_size=8, intermediate_size=8, num_hidden_layers=1,
              num_attention_heads=1, num_key_value_heads=1, head_dim=8, patch_size=2, position_embedding_size=4,
              pooling_kernel_size=2)
AUDIO = dict(model_type="gemma4_audio", hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
             subsampling_conv_channels=[4, 4], conv_kernel_size=3, output_proj_dims=8)
MARKERS = dict(boi_token_id=17, boa_token_id=18, image_token_id=507, audio_token_id=508, eoi_token_id=509,
               eoa_token_index=510, video_token_id=511)
PROMPTS = dict(query="task: search result | query: ", document="title: none | text: ",
               Clustering="task: clustering | query: ")
TOLERANCE = 1e-4
LEAST_EFFECT = 100  # of a wrong radius, in tolerances
# GGUF's names where they differ from Gemma 4's.
NAMES = {
    "embedding_projection.weight": "output.weight",
    "ple.per_layer_model_projection.weight": "per_layer_model_proj.weight",
    "ple.per_layer_projection_norm.weight": "per_layer_proj_norm.weight",
}


class Toy:
    def __init__(self, seed):
        config = transformers.EmbeddingGemma2Config(text_config=TEXT, vision_config=VISION, audio_config=AUDIO, **MARKERS)
        config._attn_implementation = config.text_config._attn_implementation = "eager"
        with no_init_weights():
            self.whole = transformers.EmbeddingGemma2Model(config)
        self.whole.eval().requires_grad_(False)
        self.trunk = self.whole.language_model
        generator = torch.Generator().manual_seed(seed)
        for name, p in self.whole.state_dict().items():
            random = torch.randn(p.shape, generator=generator)
            if "q_norm" in name or "k_norm" in name:
                random = 0.8 + 0.3 * random
            elif name.endswith(("norm.weight", "layer_scalar")):
                random = 1.0 + 0.3 * random
            elif p.ndim > 1:
                random /= p.shape[-1] ** 0.5
            p.copy_(random if "embed_tokens" in name else random.bfloat16())

    def states(self, ids):
        """Returns the states [n, dim] after the last norm, and the residual stream after each block."""
        blocks, states = [], []
        hooks = [layer.register_forward_hook(lambda _module, _inputs, output: blocks.append(output[0].clone()))
                 for layer in self.trunk.layers]
        hooks.append(self.trunk.norm.register_forward_hook(lambda _module, _inputs, output: states.append(output[0])))
        self.projected = self.whole(input_ids=torch.tensor([ids])).last_hidden_state[0]
        for hook in hooks:
            hook.remove()
        return states[0], blocks

    def project(self, pooled):
        return torch.nn.functional.linear(pooled, self.trunk.embedding_projection.weight)

    def check(self, ids):
        """Checks that the projection may follow the mean, and that another radius shows."""
        right = self.project(self.states(ids)[0].mean(0))
        if (self.projected.mean(0) - right).abs().max() > 1e-5:
            raise ReferenceError("the mean of the projected states is not the projected mean")
        for by in (-1, 1):
            self.trunk.config.sliding_window += by
            effect = float((self.project(self.states(ids)[0].mean(0)) - right).abs().max() / right.abs().max())
            self.trunk.config.sliding_window -= by
            if effect < LEAST_EFFECT * TOLERANCE:
                raise ReferenceError(f"a radius changed by {by} changes the embedding by only {effect:.1e}")


def write_config(directory, config):
    """Writes config.json with the layers' numbers of equal length, as in files of more than ten layers."""
    fields = config.to_diff_dict()
    text = fields["text_config"]
    text["per_layer_config"] = {f"{int(i):02d}": sizes for i, sizes in text["per_layer_config"].items()}
    fields |= dict(architectures=["EmbeddingGemma2Model"], dtype="bfloat16")
    embedding_toys.write_json(directory / "config.json", fields)


def write_directory(directory, toy, words):
    write_config(directory, toy.whole.config)
    save_file({n: p.to(torch.float32 if "embed_tokens" in n else torch.bfloat16).contiguous()
               for n, p in toy.whole.state_dict().items()}, directory / "model.safetensors", metadata={"format": "pt"})
    words.write_tokenizer_json(directory / "tokenizer.json")
    embedding_toys.write_json(directory / "sentence_bert_config.json", dict(max_seq_length=256, do_lower_case=False))
    embedding_toys.write_json(directory / "config_sentence_transformers.json", dict(
        model_type="SentenceTransformer", prompts=PROMPTS, default_prompt_name=None, similarity_fn_name="cosine"))
    embedding_toys.write_modules(directory, toy.trunk.config, [])
    (directory / "texts.txt").write_text("".join(text + "\n" for text in TEXTS), encoding="utf-8")


def write_file(path, toy, words):
    config, a = toy.trunk.config, "gemma-embedding2"
    writer = gguf.GGUFWriter(path, a)
    gemma4_gguf.add_sizes(writer, a, config)
    writer.add_uint32(f"{a}.feed_forward_length", config.intermediate_size)
    writer.add_uint32(f"{a}.attention.sliding_window", 2 * config.sliding_window)  # half to each side
    writer.add_bool(f"{a}.attention.causal", False)
    writer.add_uint32(f"{a}.embedding_length_out", config.embedding_dim)
    writer.add_uint32(f"{a}.pooling_type", 1)
    words.add_to_gguf(writer, add_eos=True, suppress=False)
    for name, p in toy.trunk.state_dict().items():
        stored = NAMES.get(name) or gemma4_gguf.tensor_name("model." + name.replace("ple_block.", ""))
        kind = Type.F32 if p.ndim == 1 or "embed_tokens" in name else Type.BF16
        gguf_files.add_tensor(writer, stored, p.numpy(), kind)
    gguf_files.finish(writer)


def check_loader(directory, toy, ids):
    model, report = transformers.AutoModel.from_pretrained(
        directory, attn_implementation="eager", dtype=torch.float32, output_loading_info=True)
    if report["missing_keys"] or report["unexpected_keys"] or report["mismatched_keys"]:
        raise ReferenceError(f"{directory}: {report}")
    toy.states(ids)
    error = model.eval()(input_ids=torch.tensor([ids])).last_hidden_state[0] - toy.projected
    if error.abs().max() > 0:
        raise ReferenceError(f"{directory}: read back, the states differ by {error.abs().max():.2e}")


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=hf_models.TESTDATA)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    words = Words.toy()
    plain = words.plain_tokenizer()
    texts = [[BOS] + plain.encode(text).ids + [EOS] for text in TEXTS]
    directory = arguments.output / "models" / "embedding_gemma2"
    for folder in (directory, arguments.output / "gguf"):
        folder.mkdir(parents=True, exist_ok=True)
    toy = Toy(3)
    toy.check(texts[embedding_toys.PROBED])
    write_directory(directory, toy, words)
    check_loader(directory, toy, texts[embedding_toys.PROBED])
    write_file(arguments.output / "gguf" / "gemma_embedding2.gguf", toy, words)
    arrays = embedding_toys.Toy.arrays(toy, texts)
    embedding_toys.check(arrays)
    np.savez(directory / "embeddings.npz", **arrays)
    print(f"{directory}: {[len(ids) for ids in texts]} tokens, embeddings up to {np.abs(arrays['embedding']).max():.2f}")


if __name__ == "__main__":
    try:
        main()
    except (ReferenceError, OSError) as error:
        sys.exit(f"embedding2_toys: {error}")
