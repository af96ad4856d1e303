#!/usr/bin/env python3
"""This test writes a toy as a file of gemma.cpp. It must compute the same as transformers."""
import json
import struct
import unittest

from command import MODELS, CommandTest, gemma

TOY = MODELS / "gemma2"
HEADS, KV_HEADS, SIZE, WIDTH, LAYERS = 4, 2, 16, 64, 4


def read_tensors():
    """Returns the bytes of the toy's tensors: float32, row after row."""
    data = (TOY / "model.safetensors").read_bytes()
    size = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    return {name.removeprefix("model."): data[8 + size + t["data_offsets"][0] : 8 + size + t["data_offsets"][1]]
            for name, t in header.items()}


def words(*values):
    """Returns the fields of a record: numbers, strings (padded) and records (lists, after their size)."""
    out = b""
    for value in values:
        if isinstance(value, list):
            inner = words(*value)
            out += struct.pack("<I", len(inner) // 4) + inner
        elif isinstance(value, str):
            text = value.encode() + bytes(-len(value) % 4)
            out += struct.pack("<I", len(text) // 4) + text
        else:
            out += struct.pack("<f" if isinstance(value, float) else "<I", value)
    return out


def store(blobs):
    """Returns a file: the directory of the blobs, then the blobs."""
    offset = -(-(16 + 32 * len(blobs)) // 256) * 256
    keys, ranges, data = b"", b"", b""
    for key, blob in blobs.items():
        keys += key.encode().ljust(16, b"\0")
        ranges += struct.pack("<QQ", offset + len(data), len(blob))
        data += blob + bytes(-len(blob) % 256)
    head = b"SBS\n" + struct.pack("<IQ", len(blobs), offset + len(data)) + keys + ranges
    return head.ljust(offset, b"\0") + data


def heads(matrix, count):
    step = len(matrix) // count
    return [matrix[i * step : (i + 1) * step] for i in range(count)]


def by_head(matrix):
    """Returns [width, heads * size] as [heads, width, size]."""
    rows = heads(matrix, WIDTH)
    return b"".join(row[4 * SIZE * h : 4 * SIZE * (h + 1)] for h in range(HEADS) for row in rows)


def toy_file():
    config = json.loads((TOY / "config.json").read_text())
    tensors = read_tensors()
    blobs, toc = {}, b""

    def add(name, rows, data):
        nonlocal toc
        cols = len(data) // 4 // rows
        toc += words([name, 1, 4, rows * cols, rows, cols, 1.0, cols])
        blobs[name] = data

    add("c_embedding", config["vocab_size"], tensors["embed_tokens.weight"])
    add("c_final_norm", 1, tensors["norm.weight"])
    for i in range(LAYERS):
        layer = {name.removeprefix(f"layers.{i}.").removesuffix(".weight"): data for name, data in tensors.items()
                 if name.startswith(f"layers.{i}.")}
        for base, name in (("pre_att_ns", "input_layernorm"), ("post_att_ns", "post_attention_layernorm"),
                           ("pre_ff_ns", "pre_feedforward_layernorm"), ("post_ff_ns", "post_feedforward_layernorm")):
            add(f"{base}_{i}", 1, layer[name])
        pairs = zip(heads(layer["self_attn.k_proj"], KV_HEADS), heads(layer["self_attn.v_proj"], KV_HEADS))
        kv = b"".join(k + v for k, v in pairs)
        add(f"qkv_ein_{i}", (HEADS + 2 * KV_HEADS) * SIZE, layer["self_attn.q_proj"] + kv)
        add(f"att_ein_{i}", HEADS * WIDTH, by_head(layer["self_attn.o_proj"]))
        add(f"gating_ein_{i}", 2 * config["intermediate_size"], layer["mlp.gate_proj"] + layer["mlp.up_proj"])
        add(f"linear_w_{i}", WIDTH, layer["mlp.down_proj"])
    layer = [WIDTH, 0, config["intermediate_size"], HEADS, KV_HEADS, SIZE, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    windows = [config["sliding_window"], 8192] * (LAYERS // 2)
    blobs["config"] = words([2, "toy", 7, 1, 1, LAYERS, WIDTH, config["vocab_size"], 8192, 0, 50.0, 30.0, 0, 0, 0,
                             LAYERS, *[layer] * LAYERS, LAYERS, *windows, 1])
    blobs["toc"] = toc
    return store(blobs)


class SbsTest(CommandTest):
    def test_the_command_takes_it(self):
        path = self.folder / "toy.sbs"
        path.write_bytes(toy_file())
        result = gemma("verify", path, "--reference", TOY / "reference.npz")
        self.assertEqual(result.returncode, 0, result.stderr)
        shown = json.loads(gemma("inspect", path, "--json").stdout)
        self.assertEqual(shown["config"]["architecture"], "gemma2")
        self.assertFalse(shown["instruction_tuned"])
        self.assertEqual(shown["parameters"], sum(len(data) // 4 for data in read_tensors().values()))
        self.fails(1, "tokenize", path, "Hello", says="no blob 'tokenizer'", cure="tokenizer.model")


if __name__ == "__main__":
    unittest.main()
