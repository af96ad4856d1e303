#!/usr/bin/env python3
"""Writes a model of a published shape with random weights, to measure size, memory and speed.

Activations stay finite, but the model's answers are noise. The program writes tensor by tensor, from a scaled and
repeated pool of random values, so it needs little memory, and the disk limits its speed. The vocabulary is that of the
Gemma 3 270M GGUF, cut or padded to the shape's size, so the turn markers are 105 and 106; Gemma 4's shapes give its
control tokens other names. gemma4-26b-a4b-cut has 12 layers of the 26B-A4B, and a small vocabulary. Shapes of 12B and
more are written only in Q4_0.

  random_weights.py gemma2-2b --output DIR [--type bf16|f32]                         Hugging Face directory
  random_weights.py gemma2-2b --output FILE.gguf --format gguf [--type bf16|f32|q8_0|q4_0]
  random_weights.py --list                                                           shapes and their parameters
"""
import argparse
import json
import pathlib
import struct
import sys
import time

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type

import chat_templates
import embedding_toys
import gemma3n_shapes
import gemma4_shapes
import gguf_files
import hf_models
import published_sizes
import toy_models
import vocabulary
from hf_models import ReferenceError

GEMMA = dict(head_dim=256, max_position_embeddings=8192, vocab_size=256000)
GEMMA2 = GEMMA | dict(query_pre_attn_scalar=256, sliding_window=4096)
GEMMA3 = dict(head_dim=256, query_pre_attn_scalar=256, vocab_size=262208, sliding_window=1024,
              max_position_embeddings=131072, rope_parameters=toy_models.LINEAR_X8)
GEMMA3_SMALL = GEMMA3 | dict(vocab_size=262144, sliding_window=512, max_position_embeddings=32768, rope_parameters=None)
RECURRENT = dict(vocab_size=256000, num_key_value_heads=1, attention_window_size=2048)


def _shape(base, d, layers, heads, kv_heads, ffn, **other):
    return base | dict(hidden_size=d, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv_heads,
                       intermediate_size=ffn) | other


SHAPES = {
    "gemma-2b": ("gemma", _shape(GEMMA, 2048, 18, 8, 1, 16384)),
    "gemma-7b": ("gemma", _shape(GEMMA, 3072, 28, 16, 16, 24576)),
    "gemma2-2b": ("gemma2", _shape(GEMMA2, 2304, 26, 8, 4, 9216)),
    "gemma2-9b": ("gemma2", _shape(GEMMA2, 3584, 42, 16, 8, 14336)),
    "gemma2-27b": ("gemma2", _shape(GEMMA2, 4608, 46, 32, 16, 36864, head_dim=128, query_pre_attn_scalar=144)),
    "gemma3-270m": ("gemma3_text", _shape(GEMMA3_SMALL, 640, 18, 4, 1, 2048)),
    "gemma3-1b": ("gemma3_text", _shape(GEMMA3_SMALL, 1152, 26, 4, 1, 6912)),
    "gemma3-4b": ("gemma3_text", _shape(GEMMA3, 2560, 34, 8, 4, 10240)),
    "gemma3-12b": ("gemma3_text", _shape(GEMMA3, 3840, 48, 16, 8, 15360)),
    "gemma3-27b": ("gemma3_text", _shape(GEMMA3, 5376, 62, 32, 16, 21504, head_dim=128, query_pre_attn_scalar=168)),
    "embeddinggemma-300m": ("gemma3_text", _shape(GEMMA3_SMALL, 768, 24, 3, 1, 1152, max_position_embeddings=2048,
                                                  use_bidirectional_attention=True)),
    "recurrentgemma-2b": ("recurrent_gemma", _shape(RECURRENT, 2560, 26, 10, 1, 2 * 7680, lru_width=2560)),
    "recurrentgemma-9b": ("recurrent_gemma", _shape(RECURRENT, 4096, 38, 16, 1, 2 * 12288, lru_width=4096)),
} | gemma3n_shapes.SHAPES | gemma4_shapes.SHAPES
DENSE = {"embeddinggemma-300m": (3072, 768)}  # widths of the layers after pooling
TYPES = {name: Type[name.upper()] for name in published_sizes.TYPES}
BLOCK = 32
BLOCKS = 131_071  # a prime, so that no row of a weight repeats an earlier one
SHARD_BYTES = 5_000_000_000
PIECE_BYTES = 1 << 24


def check_type(shape, kind):
    """Refuses a file that would fill a disk."""
    types = published_sizes.types_of(shape)
    if kind not in types:
        raise ReferenceError(f"{shape} has {published_sizes.PARAMETERS[shape] / 1e9:.1f} billion parameters: it is written "
                             f"only with --format gguf --type {' or '.join(types)}")


def count_parameters(shape):
    """Returns the parameters of a shape, which published_sizes.py must know."""
    shapes = [s for _, s in parameters(make_config(shape))] + dense_shapes(shape)
    count = sum(int(np.prod(s)) for s in shapes)
    if count != published_sizes.PARAMETERS.get(shape):
        raise ReferenceError(f"{shape} has {count:,} parameters, published_sizes.py says otherwise")
    return count


def make_config(shape, vocab=None):
    kind, fields = SHAPES[shape]
    fields = {k: v for k, v in fields.items() if v is not None}
    if vocab:
        fields["vocab_size"] = vocab
    for shapes in (gemma3n_shapes, gemma4_shapes):
        if shape in shapes.SHAPES:
            return shapes.make_config(kind, fields)
    return hf_models.CAUSAL_LM[kind][0](**fields, pad_token_id=0, eos_token_id=1, bos_token_id=2)


def is_gemma4(config):
    return config.model_type in ("gemma4_text", "embedding_gemma2_text")


def own_shapes(config):
    """Returns the module that knows the names and values of a newer family, or None."""
    if config.model_type == gemma3n_shapes.KIND:
        return gemma3n_shapes
    return gemma4_shapes if is_gemma4(config) else None


def parameters(config):
    """Returns (name, shape) of every tensor of a checkpoint, except those in module folders."""
    if own_shapes(config):
        return own_shapes(config).parameters(config)
    with torch.device("meta"):
        model = hf_models.CAUSAL_LM[config.model_type][1](config)
    return [(n, tuple(p.shape)) for n, p in model.named_parameters() if not n.startswith("lm_head.")]


def dense_shapes(shape):
    """Returns (out, in) of each layer after pooling."""
    widths = (SHAPES[shape][1].get("hidden_size"), *DENSE.get(shape, ()))
    return list(zip(widths[1:], widths))


def mean_and_deviation(config, name, shape):
    """Returns the mean and deviation of the normal distribution of a tensor's values."""
    if own_shapes(config):
        return own_shapes(config).mean_and_deviation(config, name, shape)
    leaf = name.rsplit(".", 1)[-1]
    if "norm" in name:
        return 0.0, 0.1
    if leaf == "recurrent_param":
        return -5.5, 1.0  # decays between 0.9 and 0.999 per token, as in trained models
    if leaf.endswith("bias"):
        return 0.0, 0.1
    if "conv_1d" in name:
        return 0.0, 0.5
    fan_in = shape[1] if leaf.endswith("gate_weight") else shape[-1]
    return 0.0, fan_in**-0.5


class Pool:
    """Random values, encoded in a tensor type and repeated to the size of a tensor."""

    def __init__(self, config, seed):
        self._config = config
        self._random = np.random.default_rng(seed)
        self._normal = self._random.standard_normal(BLOCKS * BLOCK, np.float32).reshape(BLOCKS, BLOCK)
        self._encoded = {}

    def _bytes(self, kind, mean, deviation):
        key = kind, mean, deviation
        if key not in self._encoded:
            values = np.float32(mean) + np.float32(deviation) * self._normal
            stored = values if kind == Type.F32 else gguf.quants.quantize(values, kind)
            self._encoded[key] = np.ascontiguousarray(stored).view(np.uint8).reshape(-1)
        return self._encoded[key]

    def write(self, file, name, shape, kind, plus=0.0):
        """Appends a tensor's bytes."""
        mean, deviation = mean_and_deviation(self._config, name, shape)
        pool = self._bytes(kind, mean + plus, deviation)
        left = tensor_bytes(shape, kind)
        offset = int(self._random.integers(BLOCKS)) * (len(pool) // BLOCKS)
        while left:
            piece = pool[offset : offset + min(left, PIECE_BYTES)]
            file.write(piece.data)
            left -= len(piece)
            offset = (offset + len(piece)) % len(pool)


def tensor_bytes(shape, kind):
    block, size = gguf.GGML_QUANT_SIZES[kind]
    return int(np.prod(shape)) // block * size


def write_safetensors(path, tensors, kind, pool):
    """Writes one shard: a length, a JSON header, and the tensors one after the other."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors:
        end = offset + tensor_bytes(shape, kind)
        header[name] = dict(dtype={Type.F32: "F32", Type.BF16: "BF16"}[kind], shape=shape, data_offsets=[offset, end])
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors:
            pool.write(file, name, shape, kind)


def shards(tensors, kind):
    """Divides the tensors into groups of at most SHARD_BYTES (a single tensor may be larger)."""
    groups, size = [[]], 0
    for name, shape in tensors:
        size += tensor_bytes(shape, kind)
        if size > SHARD_BYTES and groups[-1]:
            groups.append([])
            size = tensor_bytes(shape, kind)
        groups[-1].append((name, shape))
    return groups


def write_json(path, fields):
    path.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")


def write_directory(directory, config, dense, kind, pool, words, instruct):
    directory.mkdir(parents=True, exist_ok=True)
    (own_shapes(config) or toy_models).write_config(directory, config, {Type.F32: "float32", Type.BF16: "bfloat16"}[kind])
    tensors = parameters(config)
    if dense:  # the names of a bare Gemma3TextModel, and module folders
        tensors = [(name.removeprefix("model."), shape) for name, shape in tensors]
        embedding_toys.write_modules(directory, config, dense)
        for i, shape in enumerate(dense, 2):
            write_safetensors(directory / f"{i}_Dense" / "model.safetensors", [("linear.weight", shape)], kind, pool)
    groups = shards(tensors, kind)
    weight_map = {}
    for i, group in enumerate(groups, 1):
        name = "model.safetensors" if len(groups) == 1 else f"model-{i:05d}-of-{len(groups):05d}.safetensors"
        write_safetensors(directory / name, group, kind, pool)
        weight_map |= {tensor: name for tensor, _ in group}
    if len(groups) > 1:
        total = sum(tensor_bytes(shape, kind) for group in groups for _, shape in group)
        write_json(directory / "model.safetensors.index.json",
                   dict(metadata=dict(total_size=total), weight_map=weight_map))
    if words:
        words.write_tokenizer_json(directory / "tokenizer.json")
        write_json(directory / "tokenizer_config.json", dict(
            tokenizer_class="GemmaTokenizer", add_bos_token=True, add_eos_token=False, bos_token="<bos>",
            eos_token="<eos>", pad_token="<pad>", unk_token="<unk>"))
    stop = [vocabulary.EOS]
    if instruct:
        template = gemma4_shapes.TEMPLATE if is_gemma4(config) else chat_templates.GEMMA
        (directory / "chat_template.jinja").write_text(template, encoding="utf-8")
        stop.append(words.pieces.index(gemma4_shapes.END_OF_TURN if is_gemma4(config) else "<end_of_turn>"))
    write_json(directory / "generation_config.json", dict(bos_token_id=2, eos_token_id=stop, pad_token_id=0))


def gguf_tensors(config, dense, kind):
    """Returns (transformers name, GGUF name, shape, type) of every tensor whose values are random."""
    if own_shapes(config):
        return own_shapes(config).gguf_tensors(config, kind)
    named = [(name, gguf_files.tensor_name(config.model_type, name), shape) for name, shape in parameters(config)]
    named += [(f"{i}_Dense", gguf_files.DENSE.format(i) + ".weight", shape) for i, shape in enumerate(dense, 2)]
    tensors = []
    for name, stored, shape in named:
        stored_shape = (shape[0], shape[2]) if "conv_1d.weight" in name else shape
        each = Type.F32 if gguf_files.keeps_float32(stored, stored_shape) else kind
        tensors.append((name, stored, stored_shape, each))
    return tensors


def write_gguf(path, config, dense, kind, pool, words, instruct):
    gemma4 = is_gemma4(config)
    shapes = own_shapes(config) or gguf_files
    writer = gguf.GGUFWriter(path, shapes.architecture(config))
    writer.add_name("random weights")
    exact = shapes.add_metadata(writer, config) or {}
    if dense:
        gguf_files.add_pooling(writer, config, [(width, out) for out, width in dense])
    if words and gemma4:
        words.add_to_gguf(writer, add_eos=config.model_type == "embedding_gemma2_text", suppress=False)
    elif words:
        words.add_to_gguf(writer, add_eos=bool(dense))
    if instruct:
        writer.add_chat_template(gemma4_shapes.TEMPLATE if gemma4 else chat_templates.GEMMA)
    tensors = gguf_tensors(config, dense, kind)
    for _, stored, shape, each in tensors:
        writer.add_tensor_info(stored, shape, np.dtype(np.float32), tensor_bytes(shape, each), raw_dtype=each)
    for stored, values in exact.items():
        writer.add_tensor_info(stored, values.shape, values.dtype, values.nbytes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    file = writer.fout[0]
    writer.write_padding(file, file.tell())
    for name, stored, shape, each in tensors:
        plus = 1.0 if gguf_files.is_norm(stored) and not own_shapes(config) else 0.0
        pool.write(file, name, shape, each, plus)
        writer.write_padding(file, tensor_bytes(shape, each))
    for values in exact.values():
        file.write(values.tobytes())
        writer.write_padding(file, values.nbytes)
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", nargs="?", choices=SHAPES, metavar="SHAPE")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--output", type=pathlib.Path, metavar="PATH")
    parser.add_argument("--format", choices=("hf", "gguf"), default="hf")
    parser.add_argument("--type", choices=TYPES, default="bf16")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokenizer-from", type=pathlib.Path, default=vocabulary.cached_model(), metavar="GGUF")
    parser.add_argument("--no-tokenizer", action="store_true")
    parser.add_argument("--instruct", action="store_true", help="add a chat template")
    arguments = parser.parse_args()
    if arguments.list:
        for shape in SHAPES:
            print(f"{shape:20s} {count_parameters(shape):>14,} parameters")
        return
    if arguments.shape is None or arguments.output is None:
        parser.error("SHAPE and --output are needed")
    kind = TYPES[arguments.type]
    check_type(arguments.shape, arguments.type)
    count_parameters(arguments.shape)
    if arguments.format == "hf" and kind not in (Type.F32, Type.BF16):
        raise ReferenceError(f"--type {arguments.type} needs --format gguf")
    # llama.cpp's converter cuts Gemma 3's embedding to the tokenizer's size.
    cut = 262144 if arguments.format == "gguf" and SHAPES[arguments.shape][1].get("vocab_size") == 262208 else None
    config = make_config(arguments.shape, cut)
    words = None
    if not arguments.no_tokenizer:
        if arguments.tokenizer_from is None:
            raise ReferenceError("no 270M GGUF in the cache: give --tokenizer-from or --no-tokenizer")
        words = vocabulary.Vocabulary.from_gguf(arguments.tokenizer_from).resized(config.vocab_size)
        if is_gemma4(config):
            words = gemma4_shapes.words(words)
    if arguments.instruct and words is None:
        raise ReferenceError("--instruct needs a tokenizer")
    start = time.monotonic()
    write = write_gguf if arguments.format == "gguf" else write_directory
    pool = Pool(config, arguments.seed)
    write(arguments.output, config, dense_shapes(arguments.shape), kind, pool, words, arguments.instruct)
    files = [arguments.output] if arguments.output.is_file() else [
        file for file in arguments.output.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    print(f"{arguments.output}: {size / 1e9:.2f} GB in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    try:
        main()
    except (ReferenceError, OSError) as error:
        sys.exit(f"random_weights: {error}")
