#!/usr/bin/env python3
"""Writes toys of EmbeddingGemma, and the results of transformers and torch with them.

  tests/testdata/models/embedding_gemma       a sentence-transformers directory: a small 300M
  tests/testdata/gguf/gemma_embedding.gguf    a smaller one, as llama.cpp's converter writes it with dense modules
  tests/testdata/gguf/gemma_embedding_bare.gguf   the same without dense modules: the mean is the embedding
  tests/testdata/models/embedding_gemma/texts.txt   the texts that all these toys embed, one per line

The file embeddings.npz beside each (for a GGUF file, its name with .npz) holds, for text i:

  ids_<i>            int64   [n]          <bos> text <eos>
  pooled, embedding  float32 [texts, dim] the mean of the states, and the result of the dense layers
  unit_<size>        float32 [texts, size] the first values of the embedding, at length 1
  block_<j>, states  float32 [n, dim]     of text PROBED: the residual stream after block j, and after the last norm
  cut                float32 [texts, dim] the embedding of texts cut to CUT tokens

Matrices have bfloat16 values and are stored as bfloat16; the embedding table is float32. So no file rounds a value.

  embedding_toys.py [--output DIR]
"""
import argparse
import json
import math
import pathlib
import sys

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as Type
from safetensors.torch import save_file
from transformers.initialization import no_init_weights

import gguf_files
import gguf_toys
import hf_models
import toy_models
from hf_models import ReferenceError
from vocabulary import BOS, EOS

TEXTS = [
    "",
    "the",
    "What is the model?",
    "of the user and the time, there or here",
    "Hello <start_of_turn>user <eos> the end <bos>",  # names of control tokens, which stay text
    "日本語 and é, which the vocabulary has in bytes or not",
    "it is the time for all of them to have more than one window " * 3 + "and an end",
    "no model can",
    "1234567890 " * 5,
]
PROBED = 4  # several windows long
CUT = 12

COMMON = dict(vocab_size=512, pad_token_id=0, eos_token_id=EOS, bos_token_id=BOS, max_position_embeddings=512,
              sliding_window=8, use_bidirectional_attention=True)
DIRECTORY = COMMON | dict(
    hidden_size=48, intermediate_size=72, num_hidden_layers=7, num_attention_heads=3, num_key_value_heads=1,
    head_dim=16, query_pre_attn_scalar=24)
DIRECTORY_DENSE = (80, 40)
FILE = COMMON | dict(  # groups of two, and two kv heads
    hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    head_dim=8, query_pre_attn_scalar=8, layer_types=[toy_models.LOCAL, toy_models.GLOBAL])
FILE_DENSE = (64, 32)


class Toy:
    def __init__(self, fields, dense, seed):
        config = transformers.Gemma3TextConfig(**fields)
        config._attn_implementation = "eager"
        with no_init_weights():
            self.trunk = transformers.Gemma3TextModel(config)
        self.trunk.eval().requires_grad_(False)
        toy_models.randomize(self.trunk, seed)
        for name, p in self.trunk.named_parameters():
            if "embed_tokens" not in name:
                p.copy_(p.bfloat16())
        generator = torch.Generator().manual_seed(seed + 1)
        widths = (config.hidden_size, *dense)
        self.dense = [(torch.randn(out, width, generator=generator) / math.sqrt(width)).bfloat16()
                      for width, out in zip(widths, widths[1:])]

    def states(self, ids):
        """Returns the states [n, dim] after the last norm, and the residual stream after each block."""
        blocks = []
        hooks = [layer.register_forward_hook(lambda _module, _inputs, output: blocks.append(output[0].clone()))
                 for layer in self.trunk.layers]
        states = self.trunk(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state[0]
        for hook in hooks:
            hook.remove()
        return states, blocks

    def project(self, pooled):
        for weight in self.dense:
            pooled = torch.nn.functional.linear(pooled, weight.float())
        return pooled

    def arrays(self, texts):
        arrays = {f"ids_{i}": np.array(ids, np.int64) for i, ids in enumerate(texts)}
        states, blocks = self.states(texts[PROBED])
        arrays |= {"states": states.numpy()} | {f"block_{j}": block.numpy() for j, block in enumerate(blocks)}
        pooled = torch.stack([self.states(ids)[0].mean(0) for ids in texts])
        embedding = self.project(pooled)
        arrays |= dict(pooled=pooled.numpy(), embedding=embedding.numpy())
        for size in (embedding.shape[1], 32, 16, 1):
            arrays[f"unit_{size}"] = torch.nn.functional.normalize(embedding[:, :size], dim=1).numpy()
        cut = [ids if len(ids) <= CUT else ids[: CUT - 1] + [EOS] for ids in texts]
        arrays["cut"] = torch.stack([self.project(self.states(ids)[0].mean(0)) for ids in cut]).numpy()
        return arrays


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def write_modules(directory, config, dense, width=None):
    """Writes the files of sentence-transformers except weights.

    dense: (out, in) of each layer after the mean; width: of what the mean is taken of, by default the model's.
    """
    kinds = ["Transformer", "Pooling", *["Dense"] * len(dense), "Normalize"]
    write_json(directory / "modules.json", [
        dict(idx=i, name=str(i), path=f"{i}_{kind}" if i else "", type=f"sentence_transformers.models.{kind}")
        for i, kind in enumerate(kinds)])
    write_json(directory / "1_Pooling" / "config.json", dict(
        word_embedding_dimension=width or config.hidden_size, pooling_mode_cls_token=False,
        pooling_mode_mean_tokens=True, pooling_mode_max_tokens=False, pooling_mode_mean_sqrt_len_tokens=False,
        pooling_mode_weightedmean_tokens=False, pooling_mode_lasttoken=False, include_prompt=True))
    for i, (out, width) in enumerate(dense, 2):
        write_json(directory / f"{i}_Dense" / "config.json", dict(
            in_features=width, out_features=out, bias=False,
            activation_function="torch.nn.modules.linear.Identity"))


def write_directory(directory, toy, words):
    config = toy.trunk.config
    toy_models.write_config(directory, config, "bfloat16")
    save_file({n: p.to(torch.float32 if "embed_tokens" in n else torch.bfloat16).contiguous()
               for n, p in toy.trunk.named_parameters()}, directory / "model.safetensors", metadata={"format": "pt"})
    words.write_tokenizer_json(directory / "tokenizer.json")
    write_json(directory / "sentence_bert_config.json", dict(max_seq_length=256, do_lower_case=False))
    write_modules(directory, config, [weight.shape for weight in toy.dense])
    for i, weight in enumerate(toy.dense, 2):
        save_file({"linear.weight": weight}, directory / f"{i}_Dense" / "model.safetensors", metadata={"format": "pt"})
    (directory / "texts.txt").write_text("".join(text + "\n" for text in TEXTS), encoding="utf-8")


def write_file(path, toy, words):
    config = toy.trunk.config
    writer = gguf.GGUFWriter(path, gguf_files.architecture(config))
    gguf_files.add_metadata(writer, config)
    writer.add_uint32(f"{gguf_files.architecture(config)}.attention.sliding_window_pattern", 2)
    gguf_files.add_pooling(writer, config, [(w.shape[1], w.shape[0]) for w in toy.dense])
    words.add_to_gguf(writer, add_eos=True)
    for name, p in toy.trunk.named_parameters():
        stored = gguf_files.tensor_name("gemma3_text", "model." + name)
        kind = Type.F32 if p.ndim == 1 or "embed_tokens" in name else Type.BF16
        gguf_files.add_tensor(writer, stored, gguf_files.tensor_values(stored, p.numpy()), kind)
    for i, weight in enumerate(toy.dense, 2):
        gguf_files.add_tensor(writer, gguf_files.DENSE.format(i) + ".weight", weight.float().numpy(), Type.BF16)
    gguf_files.finish(writer)


def check(arrays):
    """Checks that some texts have whole windows on both sides and some have none, and that all values are finite."""
    lengths = [len(arrays[f"ids_{i}"]) for i in range(len(TEXTS))]
    if max(lengths) < 48 or min(lengths) != 2:
        raise ReferenceError(f"texts of {lengths} tokens, wanted 2 to 48 and more")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ReferenceError("values that are not finite")


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=hf_models.TESTDATA)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    words = gguf_toys.toy_vocabulary()
    processor = words.processor()
    texts = [[BOS] + processor.encode(text) + [EOS] for text in TEXTS]

    directory = arguments.output / "models" / "embedding_gemma"
    directory.mkdir(parents=True, exist_ok=True)
    (arguments.output / "gguf").mkdir(exist_ok=True)
    toy = Toy(DIRECTORY, DIRECTORY_DENSE, 1)
    write_directory(directory, toy, words)
    written = [(directory / "embeddings.npz", toy.arrays(texts))]
    for name, dense in (("gemma_embedding", FILE_DENSE), ("gemma_embedding_bare", ())):
        toy = Toy(FILE, dense, 2)
        path = arguments.output / "gguf" / f"{name}.gguf"
        write_file(path, toy, words)
        written.append((path.with_suffix(".npz"), toy.arrays(texts)))
    for path, arrays in written:
        check(arrays)
        np.savez(path, **arrays)
        print(f"{path}: {[len(arrays[f'ids_{i}']) for i in range(len(TEXTS))]} tokens,"
              f" embeddings up to {np.abs(arrays['embedding']).max():.2f}")


if __name__ == "__main__":
    try:
        main()
    except (ReferenceError, OSError) as error:
        sys.exit(f"embedding_toys: {error}")
