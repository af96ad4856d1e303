#!/usr/bin/env python3
"""Writes the GGUF files of tests/testdata/gguf from the toys of tests/testdata/models (run toy_models.py first).

  gemma, gemma2, gemma3, recurrent_gemma .gguf   the toys in F32; their reference is models/<name>/reference.npz
  gemma_mha-v2.gguf                              models/gemma_mha as GGUF version 2
  gemma_mha-0000N-of-00003.gguf                  models/gemma_mha, split like llama.cpp's gguf-split
  gemma3_mixed.gguf, gemma3_mixed.npz            every tensor type, a tokenizer of 512 pieces and a chat template;
                                                 ids, out, greedy, greedy_margin of the dequantised weights

  gguf_toys.py [--models DIR] [--output DIR]
"""
import struct
import sys

import gguf
import numpy as np
import torch

import chat_templates
import gguf_files
import hf_models
import toy_models
from gguf import GGMLQuantizationType as Type
from hf_models import ReferenceError
from vocabulary import BYTE, CONTROL, NORMAL, USER_DEFINED, Vocabulary

MIXED = dict(
    vocab_size=512, pad_token_id=0, eos_token_id=1, bos_token_id=2, hidden_size=256, intermediate_size=256,
    num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=64, query_pre_attn_scalar=64,
    sliding_window=8, layer_types=[toy_models.LOCAL, toy_models.GLOBAL])
MIXED_TYPES = {
    "token_embd": Type.Q8_0,
    "blk.0.attn_q": Type.Q4_0, "blk.0.attn_k": Type.Q4_1, "blk.0.attn_v": Type.Q5_0, "blk.0.attn_output": Type.Q5_1,
    "blk.0.ffn_gate": Type.Q2_K, "blk.0.ffn_up": Type.Q3_K, "blk.0.ffn_down": Type.Q4_K,
    "blk.1.attn_q": Type.Q5_K, "blk.1.attn_k": Type.F16, "blk.1.attn_v": Type.BF16, "blk.1.attn_output": Type.Q6_K,
    "blk.1.ffn_gate": Type.IQ4_NL, "blk.1.ffn_up": Type.IQ4_XS, "blk.1.ffn_down": Type.Q8_0,
}
# Formats that the package reads but does not write: (offsets of fp16 scale and minimum, minimum / scale).
# The ratio centres the values of random codes on zero.
RANDOM_BLOCKS = {
    Type.Q2_K: ((80, 82), 1.5), Type.Q3_K: ((108,), 0), Type.Q4_K: ((0, 2), 7.5), Type.Q5_K: ((0, 2), 15.5),
    Type.Q6_K: ((208,), 0), Type.IQ4_NL: ((0,), 0), Type.IQ4_XS: ((0,), 0),
}


def write_toy(path, model):
    """Writes one float32 file."""
    writer = gguf.GGUFWriter(path, gguf_files.ARCHITECTURES[model.config.model_type])
    gguf_files.add_metadata(writer, model.config)
    for name, values in toy_tensors(model):
        gguf_files.add_tensor(writer, name, values)
    gguf_files.finish(writer)


def toy_tensors(model):
    """Yields (GGUF name, stored float32 values)."""
    kind = model.config.model_type
    for name, p in model.named_parameters():
        if not name.startswith("lm_head."):
            stored = gguf_files.tensor_name(kind, name)
            yield stored, gguf_files.tensor_values(stored, p.detach().numpy())


def write_split(directory, stem, model, count):
    """Writes the file in `count` parts: metadata in the first, split.* in all, tensors in order."""
    tensors = list(toy_tensors(model))
    for part in range(count):
        writer = gguf.GGUFWriter(directory / f"{stem}-{part + 1:05d}-of-{count:05d}.gguf",
                                 gguf_files.ARCHITECTURES[model.config.model_type])
        if part == 0:
            gguf_files.add_metadata(writer, model.config)
        writer.add_uint16("split.no", part)
        writer.add_uint16("split.count", count)
        writer.add_int32("split.tensors.count", len(tensors))
        for name, values in tensors[part * len(tensors) // count : (part + 1) * len(tensors) // count]:
            gguf_files.add_tensor(writer, name, values)
        gguf_files.finish(writer)


def as_version_2(path):
    """Turns a file of version 3 into one of version 2. If they are little-endian, only the number differs."""
    content = bytearray(path.read_bytes())
    if struct.unpack_from("<4sI", content) != (b"GGUF", 3):
        raise ReferenceError(f"{path}: not a GGUF of version 3")
    struct.pack_into("<I", content, 4, 2)
    path.write_bytes(content)


def random_blocks(kind, shape, random):
    """Returns blocks with random codes. Their values are about as large as those of a weight matrix."""
    values, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (shape[0], shape[1] // values, size), dtype=np.uint8)
    offsets, ratio = RANDOM_BLOCKS[kind]

    def set_scales(scale):
        for offset, value in zip(offsets, (scale, scale * ratio)):
            blocks[..., offset : offset + 2] = value.astype("<f2")[..., None].view(np.uint8)

    shape_of_blocks = blocks.shape[:2]
    set_scales(np.ones(shape_of_blocks))
    rms = np.sqrt(np.mean(gguf.quants.dequantize(blocks.reshape(shape[0], -1), kind) ** 2))
    set_scales(random.uniform(0.5, 1.3, shape_of_blocks) / (rms * np.sqrt(shape[1])))
    return blocks.reshape(shape[0], -1)


def toy_vocabulary(size=MIXED["vocab_size"], more_words=()):
    """Returns pieces in the order and with the kinds of Gemma 3: markers, runs, tags, bytes, merges, letters."""
    pieces = [(p, CONTROL, -1000.0) for p in ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>",
                                              "<end_of_turn>", "<unused0>", "<unused1>")]
    runs = ["\n" * n for n in range(1, 8)] + [" " * n for n in range(2, 9)] + ["\t" * n for n in range(1, 5)]
    tags = ["<table>", "</table>", "<h1>", "</h1>", "<b>", "</b>", "<code>", "</code>"]
    pieces += [(p, USER_DEFINED, -1000.0) for p in runs + tags]
    pieces += [(f"<0x{b:02X}>", BYTE, 0.0) for b in range(256)]
    letters = "\u2581etaoinsrhldcumfpgwybvk,.xjqzTAIS'-HWMCBPDLNRFEGO?!:;()01234567892YUKJVQXZ\"/=_{}\u00e9\u00fc\u65e5\u672c\u8a9e"
    letters = list(dict.fromkeys(letters))
    words = ("the of and to in is that it for was on as with be at by this have from or not you but which are "
             "model user one had all what when there can who will more if out so up no time").split()
    merges = []  # each from two existing pieces, as byte-pair training makes them
    known = set(letters)
    for word in ["\u2581" + w for w in words] + ["er", "ing", "ed", "Hello", "\u65e5\u672c", "user", "model", *more_words]:
        for end in range(2, len(word) + 1):
            if word[:end] not in known:
                known.add(word[:end])
                merges.append(word[:end])
    pieces += [(p, NORMAL, -float(i)) for i, p in enumerate(merges + letters)]
    names, types, scores = (list(column) for column in zip(*pieces))
    return Vocabulary(names, scores, types).resized(size)


def write_mixed(path):
    """Writes the quantised toy and, from its dequantised weights, its reference."""
    config = hf_models.CAUSAL_LM["gemma3_text"][0](**MIXED)
    config._attn_implementation = "eager"
    model = hf_models.new_model(config, torch.float32)
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "gemma3")
    gguf_files.add_metadata(writer, config)
    writer.add_uint32("gemma3.attention.sliding_window_pattern", 2)
    writer.add_float32("gemma3.rope.freq_base_swa", 10_000.0)
    toy_vocabulary().add_to_gguf(writer)
    writer.add_chat_template(chat_templates.GEMMA)
    with torch.no_grad():
        toy_models.randomize(model, 0)
        for name, p in model.named_parameters():
            stored = gguf_files.tensor_name("gemma3_text", name)
            kind = MIXED_TYPES.get(stored.removesuffix(".weight"), Type.F32)
            if kind in RANDOM_BLOCKS:
                blocks = random_blocks(kind, p.shape, random)
                writer.add_tensor(stored, blocks, raw_dtype=kind)
                p.copy_(torch.from_numpy(gguf.quants.dequantize(blocks, kind)))
                continue
            values = gguf_files.tensor_values(stored, p.numpy())
            gguf_files.add_tensor(writer, stored, values, kind)
            if kind != Type.F32:
                p.copy_(torch.from_numpy(gguf.quants.dequantize(gguf.quants.quantize(values, kind), kind)))
    gguf_files.finish(writer)
    ids, [(tokens, margins)] = toy_models.choose_prompt([model], config.vocab_size, forbidden=range(9))
    np.savez_compressed(
        path.with_suffix(".npz"), ids=np.array([ids], np.int64), out=hf_models.logits(model, ids)[None].numpy(),
        greedy=np.array(tokens, np.int64), greedy_margin=np.array(margins, np.float32))


def load_mixed(path):
    """Returns the quantised toy, read with the package and dequantised."""
    config = hf_models.CAUSAL_LM["gemma3_text"][0](**MIXED)
    config._attn_implementation = "eager"
    model = hf_models.new_model(config, torch.float32)
    parameters = dict(model.named_parameters())
    for tensor in gguf.GGUFReader(path).tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if gguf_files.is_norm(tensor.name):
            values = values - np.float32(1)
        p = parameters[gguf_files.hf_name("gemma3_text", tensor.name)]
        p.copy_(torch.from_numpy(values.reshape(p.shape)))
    return model


def check_mixed(path):
    """Reads the file back and checks that it gives the same logits."""
    model = load_mixed(path)
    reference = np.load(path.with_suffix(".npz"))
    error = np.abs(hf_models.logits(model, reference["ids"][0]).numpy() - reference["out"][0]).max()
    if error > 1e-5:
        raise ReferenceError(f"{path}: read back, the logits differ by {error:.2e}")


def main():
    arguments = hf_models.gguf_arguments(__doc__)
    for name in ("gemma", "gemma2", "gemma3", "recurrent_gemma"):
        write_toy(arguments.output / f"{name}.gguf", hf_models.load(arguments.models / name))
    mha = hf_models.load(arguments.models / "gemma_mha")
    write_toy(arguments.output / "gemma_mha-v2.gguf", mha)
    as_version_2(arguments.output / "gemma_mha-v2.gguf")
    write_split(arguments.output, "gemma_mha", mha, 3)
    write_mixed(arguments.output / "gemma3_mixed.gguf")
    check_mixed(arguments.output / "gemma3_mixed.gguf")
    for path in sorted(arguments.output.iterdir()):
        print(f"{path.name:32s} {path.stat().st_size / 1e6:5.2f} MB")


if __name__ == "__main__":
    try:
        main()
    except (ReferenceError, OSError) as error:
        sys.exit(f"gguf_toys: {error}")
