#!/usr/bin/env python3
"""Writes the results of toys for words: tokens, and rows, which are vectors in place of tokens and may see each other.

For each toy, tests/testdata/models/<name>/rows.npz holds:

  ids     int64   [n]         tokens; -1 at a row
  values  float32 [rows, d]   the rows, in order; they replace scaled embeddings
  ranges  int64   [r, 3]      begin, end, and 1 if bidirectional or 0 if causal
  out     float32 [n, vocab]  logits of every position

This program computes the logits from the equations in float64, with NumPy alone. The rows of a bidirectional range see
the whole range on every layer; a local layer's window limits only earlier positions. For tokens only, the same code
must give the logits of transformers in reference.npz.

  input_rows.py [--output DIR]
"""
import argparse
import json
import pathlib
import sys

import numpy as np

TOYS = ("gemma", "gemma2", "gemma3")
# One range is longer than the window of 8, one is shorter, one is causal, and one is a single row. Two are neighbours.
RANGES = [(3, 24, 1), (24, 30, 1), (33, 38, 0), (40, 41, 1)]
LENGTH = 45
TOLERANCE = 2e-5  # between transformers in float32 and this program in float64


def read_safetensors(path):
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    out = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "F32", name
        begin, end = (8 + size + o for o in entry["data_offsets"])
        out[name] = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"]).astype(np.float64)
    return out


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3)))


def norm(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * (1 + weight)


def rotate(x, frequencies):
    angles = np.arange(x.shape[0])[:, None, None] * frequencies
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles)], -1)


def cap(x, limit):
    return limit * np.tanh(x / limit) if limit else x


def visible(length, ranges, window):
    query, key = np.arange(length)[:, None], np.arange(length)[None]
    seen = key <= query
    for begin, end, bidirectional in ranges:
        if bidirectional:
            seen |= (query >= begin) & (query < end) & (key >= begin) & (key < end)
    return seen if window is None else seen & (key > query - window)


def attention(config, weights, prefix, kind, x, ranges):
    local = kind == "sliding_attention"
    head_dim = config["head_dim"]
    rope = config["rope_parameters"]
    rope = rope[kind] if kind in rope else rope
    frequencies = rope["rope_theta"] ** (-np.arange(0, head_dim, 2) / head_dim) / rope.get("factor", 1.0)
    q, k, v = ((x @ weights[f"{prefix}{n}_proj.weight"].T).reshape(len(x), -1, head_dim) for n in "qkv")
    if f"{prefix}q_norm.weight" in weights:
        q, k = (norm(m, weights[f"{prefix}{n}_norm.weight"], config["rms_norm_eps"]) for n, m in (("q", q), ("k", k)))
    q, k = rotate(q, frequencies), rotate(k, frequencies)
    k, v = (np.repeat(m, q.shape[1] // m.shape[1], axis=1) for m in (k, v))
    scores = np.einsum("ihd,jhd->hij", q, k) * config.get("query_pre_attn_scalar", head_dim) ** -0.5
    scores = cap(scores, config.get("attn_logit_softcapping"))
    seen = visible(len(x), ranges, config["sliding_window"] if local else None)
    scores = np.where(seen, scores, -np.inf)
    p = np.exp(scores - scores.max(-1, keepdims=True))
    heads = np.einsum("hij,jhd->ihd", p / p.sum(-1, keepdims=True), v)
    return heads.reshape(len(x), -1) @ weights[f"{prefix}o_proj.weight"].T


def forward(config, weights, x, ranges):
    """Returns the logits for x [n, d]: scaled embeddings or rows."""
    eps = config["rms_norm_eps"]
    for layer in range(config["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        kind = config.get("layer_types", ["full_attention"] * (layer + 1))[layer]

        def normed(name, value):
            return norm(value, weights[f"{p}{name}layernorm.weight"], eps)

        def feed_forward(value):
            gate, up, down = (weights[f"{p}mlp.{n}_proj.weight"].T for n in ("gate", "up", "down"))
            return (gelu(value @ gate) * (value @ up)) @ down

        mixed = attention(config, weights, p + "self_attn.", kind, normed("input_", x), ranges)
        if config["model_type"] == "gemma":
            x = x + mixed
            x = x + feed_forward(normed("post_attention_", x))
        else:
            x = x + normed("post_attention_", mixed)
            x = x + normed("post_feedforward_", feed_forward(normed("pre_feedforward_", x)))
    logits = norm(x, weights["model.norm.weight"], eps) @ weights["model.embed_tokens.weight"].T
    return cap(logits, config.get("final_logit_softcapping"))


def check(folder, config, weights, table, scale):
    reference = np.load(folder / "reference.npz")
    off = np.abs(forward(config, weights, table[reference["ids"][0]] * scale, []) - reference["out"][0]).max()
    if off > TOLERANCE:
        sys.exit(f"{folder.name}: the logits of tokens are off by {off:.1e}, wanted at most {TOLERANCE:.0e}")


def write(name, folder, output):
    config = json.loads((folder / "config.json").read_text())
    weights = read_safetensors(folder / "model.safetensors")
    table, scale = weights["model.embed_tokens.weight"], np.sqrt(config["hidden_size"])
    check(folder, config, weights, table, scale)
    random = np.random.default_rng(len(name))
    ids = random.integers(3, config["vocab_size"], LENGTH)
    ids[0] = config["bos_token_id"]
    x = table[ids] * scale
    rows = []
    for begin, end, _ in RANGES:
        # Gives rows the same standard deviation as embeddings.
        values = random.standard_normal((end - begin, x.shape[1])) * x.std()
        rows.append(values.astype(np.float32))
        x[begin:end] = rows[-1]
        ids[begin:end] = -1
    out = forward(config, weights, x, RANGES)
    np.savez(output / name / "rows.npz", ids=ids, values=np.concatenate(rows), ranges=np.array(RANGES),
             out=out.astype(np.float32))


def main():
    models = pathlib.Path(__file__).parents[2] / "tests/testdata/models"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=models)
    output = parser.parse_args().output
    for name in TOYS:
        (output / name).mkdir(parents=True, exist_ok=True)
        write(name, models / name, output)


if __name__ == "__main__":
    main()
