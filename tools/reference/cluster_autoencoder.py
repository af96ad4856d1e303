#!/usr/bin/env python3
"""Writes an autoencoder in the form of Gemma Scope whose features are clusters of a model's own activations.

It is not trained: it divides the residual stream of the real Gemma 3 270M after a layer, over a text, into clusters
(k-means of the directions of whitened activations). A feature measures how far a token lies in the direction of one
cluster; it is active only at the farthest of the text's tokens. That is enough to try `gemma scope` and `--steer`
without a file of Gemma Scope; the pictures in README.md are made with it.

  cluster_autoencoder.py --text FILE [--layer 9] [--features 1024] [--model GGUF] --output DIR

writes DIR/gemma-scope-270m-pt-res/layer_<N>/width_<features>/average_l0_<L0>/params.npz.
"""
import argparse
import pathlib
import sys

import numpy as np
import torch

import real_model
import vocabulary
from hf_models import ReferenceError

WINDOW = 256  # tokens read at once, BOS first
ITERATIONS = 30
ACTIVE = 0.02  # the share of a text's tokens at which a feature is active


def activations(model, layer, tokens):
    """Returns the stream after the layer [n, model_dim] for all tokens except BOS."""
    kept = []

    def keep(_module, _inputs, output):
        kept.append((output[0] if isinstance(output, tuple) else output)[0, 1:].float().numpy().copy())

    model.model.layers = model.model.layers[: layer + 1]  # later layers would only cost time
    model.config.num_hidden_layers = layer + 1
    hook = model.model.layers[layer].register_forward_hook(keep)
    try:
        with torch.no_grad():
            for at in range(0, len(tokens), WINDOW - 1):
                model.model(input_ids=torch.tensor([[vocabulary.BOS] + tokens[at : at + WINDOW - 1]]), use_cache=False)
    finally:
        hook.remove()
    return np.concatenate(kept)


def whiten(x):
    """Returns the mean, and a matrix that gives centred rows unit variance in all directions that matter."""
    mean = x.mean(0)
    values, vectors = np.linalg.eigh(np.cov((x - mean).T))
    floor = 1e-3 * values.max()
    return mean, (vectors / np.sqrt(np.maximum(values, floor))).astype(np.float32)


def clusters(x, count, random):
    """Returns unit vectors [count, columns]; each row of x points roughly along one of them."""
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    centers = x[random.choice(len(x), count, replace=False)]
    for _ in range(ITERATIONS):
        nearest = (x @ centers.T).argmax(1)
        sums = np.zeros_like(centers)
        np.add.at(sums, nearest, x)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        empty = lengths[:, 0] == 0
        sums[empty] = x[random.choice(len(x), int(empty.sum()))]
        centers = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    return centers


def autoencoder(x, features):
    """Returns the arrays of params.npz, and the mean number of active features per token of x."""
    mean, matrix = whiten(x)
    centers = clusters((x - mean) @ matrix, features, np.random.default_rng(0))
    w_enc = matrix @ centers.T
    pre = (x - mean) @ w_enc
    threshold = np.quantile(pre, 1 - ACTIVE, axis=0)
    active = pre > threshold
    # One unit of a feature moves the stream as far as its tokens lie from the mean per unit.
    w_dec = np.stack([(x[rows] - mean).mean(0) / pre[rows, i].mean() for i, rows in enumerate(active.T)])
    arrays = dict(W_enc=w_enc, W_dec=w_dec, b_enc=-mean @ w_enc, b_dec=mean, threshold=np.maximum(threshold, 1e-3))
    return {name: values.astype(np.float32) for name, values in arrays.items()}, float(active.sum(1).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=pathlib.Path, required=True)
    parser.add_argument("--layer", type=int, default=9)
    parser.add_argument("--features", type=int, default=1024)
    parser.add_argument("--model", type=pathlib.Path, default=vocabulary.cached_model(), help="default: the one in the cache")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    if arguments.model is None or not arguments.model.exists():
        raise ReferenceError("the 270M GGUF is not in the cache: give --model")
    words = vocabulary.Vocabulary.from_gguf(arguments.model).processor()
    tokens = words.encode(arguments.text.read_text(encoding="utf-8"))
    x = activations(real_model.load(arguments.model), arguments.layer, tokens)
    arrays, l0 = autoencoder(x, arguments.features)
    folder = (arguments.output / "gemma-scope-270m-pt-res" / f"layer_{arguments.layer}"
              / f"width_{arguments.features}" / f"average_l0_{round(l0)}")
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "params.npz", **arrays)
    print(f"{folder}/params.npz: {len(x)} tokens, {l0:.1f} features active at one")


if __name__ == "__main__":
    try:
        main()
    except (ReferenceError, OSError) as error:
        sys.exit(f"cluster_autoencoder: {error}")
