#!/usr/bin/env python3
"""Writes toy autoencoders and the results of transformers and NumPy with them to tests/testdata/scope.

  gemma-scope-toy-pt-<site>/layer_1/width_24/average_l0_6/params.npz     for models/gemma2_odd, as in Gemma Scope 1;
                                                                         the embedding's in embedding/width_24/...
  gemma-scope-2-toy-pt/<site>/layer_3_width_24_l0_small/params.safetensors, config.json
                                                                         for models/gemma3_noscale, as in Gemma Scope 2
  gemma-scope-2-e2b-pt, gemma-scope-2-moe-pt, gemma-scope-2-3n-pt
                                                         the same for layer 3 of models/gemma4_e2b, which has per-layer
                                                         embeddings and the cache of another layer, for layer 1 of
                                                         models/gemma4_moe, which has experts, and for layer 3 of
                                                         models/gemma3n, which has several streams
  gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4/params.npz      for gguf/gemma3_mixed.gguf
  gemma2_odd.npz, gemma3_noscale.npz, gemma4_e2b.npz, gemma4_moe.npz, gemma3n.npz: for each site
    ids                 int64   [n]            the tokens
    <site>_in           float32 [n, columns]   the autoencoder's input: an input or output of transformers' module
    transcoder_out      float32 [n, columns]   the activations to reconstruct
    <site>_features     float32 [n, features]  the features of _in, from NumPy
    <site>_feature, _strength                  one feature, and the strength with which it is added
    <site>_steered, _ablated  float32 [2, vocab]  logits of the last two positions with the feature added or removed
  gemma3_mixed.npz: the same for TEXT with one autoencoder at five places and, with its feature added at one place:
    greedy              int64   [8]            the most likely continuation
    log_probabilities   float32 [8]            the log-probabilities of those tokens

A feature is changed at every position except the first. The weights of autoencoders are bfloat16 values, and no
activation is close to its threshold, so rounding does not matter.

  scope_sites.py [--testdata DIR] [--output DIR]
"""
import argparse
import json
import pathlib
import sys
import zlib

import numpy as np
import torch
from safetensors.numpy import save_file

import gemma3n_gguf
import gguf_toys
import hf_models
from hf_models import ReferenceError

TOKENS = 16
KEPT_LOGITS = 2
ACTIVE = 0.25  # the share of a feature's values that are active
TEXT = "The quick brown fox jumps over the lazy dog. It was not what you have."
NEW_TOKENS = 8
ACTIVATION = 8.0  # the strength that is added, as a multiple of the feature's mean active value

# Gemma Scope's sites in transformers' modules. "in": the module's input. "out": its output. "norm": the input of a norm
# divided by its root mean square: the norm's result before its gain.
RES = ("", "out")
ATT = ("self_attn.o_proj", "in")
MLP = ("post_feedforward_layernorm", "out")
SITES = {  # site -> (place of the input, place of the reconstruction)
    "res": (RES, RES), "att": (ATT, ATT), "mlp": (MLP, MLP),
    "transcoder": (("pre_feedforward_layernorm", "norm"), MLP),
    "embedding": (("embed_tokens", "out"),) * 2,
}
SITES_2 = {
    "resid_post": (RES, RES), "attn_out": (ATT, ATT), "mlp_out": (MLP, MLP),
    "transcoder": (("pre_feedforward_layernorm", "out"), MLP),
}
EXPERT_SITES = {site: SITES_2[site] for site in ("mlp_out", "transcoder")}
HOOK_POINTS = {  # the names of these places in config.json
    RES: "model.layers.{}.output", ATT: "model.layers.{}.self_attn.o_proj.input",
    MLP: "model.layers.{}.post_feedforward_layernorm.output",
    ("pre_feedforward_layernorm", "out"): "model.layers.{}.pre_feedforward_layernorm.output",
}


class Hooks:
    """Functions of activations [n, columns], called while a model runs. A returned value replaces the activations."""

    def __init__(self, model, layer):
        self.model, self.layer, self.handles = model.model, layer, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()

    def add(self, place, function):
        name, kind = place
        block = self.model if name == "embed_tokens" else self.model.layers[self.layer]
        module = block.get_submodule(name)
        if kind == "out":
            def after(_module, _inputs, output):
                if isinstance(output, tuple):
                    first = after(_module, _inputs, output[0])
                    return None if first is None else (first, *output[1:])
                if output.dim() == 4:  # all of Gemma 3n's streams, of which the first counts
                    first = after(_module, _inputs, output[0])
                    return None if first is None else torch.cat([first[None], output[1:]])
                changed = function(output[0])
                return None if changed is None else changed[None]
            self.handles.append(module.register_forward_hook(after))
        else:
            def before(module, inputs):
                taken = inputs[0][0]
                changed = function(module._norm(taken) if kind == "norm" else taken)
                return None if changed is None else (changed[None], *inputs[1:])
            self.handles.append(module.register_forward_pre_hook(before))


class Autoencoder:
    """JumpReLU: f = pre where pre > threshold, pre = x W_enc + b_enc; the reconstruction is f W_dec + b_dec (+ x A)."""

    def __init__(self, x, output_columns, features, seed, affine=False):
        random = np.random.default_rng(seed)
        columns = x.shape[1]
        center, scale = x[1:].mean(0), np.sqrt(np.mean(x[1:] ** 2))
        self.w_enc = bfloat16(random.standard_normal((columns, features)) / (scale * np.sqrt(columns)))
        self.b_enc = bfloat16(0.1 * random.standard_normal(features) - center @ self.w_enc)
        self.w_dec = bfloat16(random.standard_normal((features, output_columns)))
        self.w_dec = bfloat16(self.w_dec / np.linalg.norm(self.w_dec, axis=1, keepdims=True))
        self.b_dec = bfloat16(0.1 * random.standard_normal(output_columns))
        self.affine = bfloat16(random.standard_normal((columns, output_columns)) / columns) if affine else None
        self.threshold = self.thresholds(x)

    def pre(self, x):
        return x.astype(np.float32) @ self.w_enc + self.b_enc

    def thresholds(self, x):
        """Returns thresholds in the widest gap between values near the quantile, so that rounding does not matter."""
        values = np.sort(self.pre(x)[1:], axis=0)
        values = np.maximum(values, 1e-3)
        around = int(len(values) * (1 - ACTIVE))
        near = values[around - 2 : around + 3]
        best = np.argmax(np.diff(near, axis=0), axis=0)
        feature = np.arange(values.shape[1])
        return bfloat16((near[best, feature] + near[best + 1, feature]) / 2)

    def encode(self, x):
        pre = self.pre(x)
        margin = np.abs(pre - self.threshold).min()
        if margin < 1e-4:
            raise ReferenceError(f"a value is {margin:.1e} from its threshold")
        return np.where(pre > self.threshold, pre, 0).astype(np.float32)

    def npz(self):
        return dict(W_enc=self.w_enc, W_dec=self.w_dec, b_enc=self.b_enc, b_dec=self.b_dec, threshold=self.threshold)

    def safetensors(self):
        arrays = {name.lower(): values for name, values in self.npz().items()}
        return arrays if self.affine is None else arrays | dict(affine_skip_connection=self.affine)


def bfloat16(values):
    return torch.from_numpy(np.asarray(values, np.float32)).bfloat16().float().numpy()


def activations(model, layer, ids, places):
    """Returns the activations at each place, float32 [n, columns]."""
    seen = {}
    with Hooks(model, layer) as hooks:
        for place in set(places):
            hooks.add(place, lambda x, place=place: seen.__setitem__(place, x.numpy().copy()))
        hf_models.logits(model, ids)
    return [seen[place] for place in places]


def changed(model, layer, places, autoencoder, feature, strength, ablate):
    """Returns hooks that add `strength` times a feature's direction and, if `ablate`, remove its contribution."""
    read, write = places
    direction = torch.from_numpy(autoencoder.w_dec[feature])
    values = {}
    hooks = Hooks(model, layer)

    def measure(x):
        values["of_rows"] = torch.from_numpy(autoencoder.encode(x.numpy())[:, feature])

    def change(x):
        if ablate and read == write:
            measure(x)
        amounts = torch.full((len(x),), strength) - (values["of_rows"] if ablate else 0)
        amounts[0] = 0
        return x + amounts[:, None] * direction

    if ablate and read != write:
        hooks.add(read, measure)
    hooks.add(write, change)
    return hooks


def describe_site(model, layer, ids, site, places, autoencoder, x):
    """Returns the arrays of one site; x: the inputs, and the activations to reconstruct."""
    features = autoencoder.encode(x[0])
    feature = int(np.argmax(features[-1]))  # active at the last position, so a change shows even after the last layer
    active = features[1:, feature]
    strength = np.float32(ACTIVATION * active[active > 0].mean())
    arrays = {"in": x[0], "features": features, "feature": np.array([feature], np.int64),
              "strength": np.array([strength], np.float32)}
    if places[0] != places[1]:
        arrays["out"] = x[1]
    before = hf_models.logits(model, ids)
    for name, amount, ablate in (("steered", float(strength), False), ("ablated", 0.0, True)):
        with changed(model, layer, places, autoencoder, feature, amount, ablate):
            after = hf_models.logits(model, ids)
        if (after - before)[-1].abs().max() < 1e-2:
            raise ReferenceError(f"{site}: {name}, the logits hardly change")
        arrays[name] = after[-KEPT_LOGITS:].numpy()
    return {f"{site}_{name}": values for name, values in arrays.items()}


def write_scope_1(folder, autoencoder):
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "params.npz", **autoencoder.npz())


def write_scope_2(folder, autoencoder, layer, site, places):
    folder.mkdir(parents=True, exist_ok=True)
    save_file(autoencoder.safetensors(), folder / "params.safetensors")
    points = [HOOK_POINTS[place].format(layer) for place in places]
    (folder / "config.json").write_text(json.dumps({
        "hf_hook_point_in": points[0], "hf_hook_point_out": points[1], "width": len(autoencoder.threshold),
        "model_name": "toy", "architecture": "jump_relu", "l0": 6, "affine_connection": autoencoder.affine is not None,
        "type": "transcoder" if site == "transcoder" else "sae"}, indent=1) + "\n", encoding="utf-8")


def toy(testdata, output, name, layer, sites, write, repository="gemma-scope-2-toy-pt"):
    """Writes one toy's autoencoders, one for each of its sites, in Gemma Scope 2's form to `repository`."""
    load = gemma3n_gguf.load if name == "gemma3n" else hf_models.load
    model = load(testdata / "models" / name)
    ids = np.load(testdata / "models" / name / "reference.npz")["ids"][0][:TOKENS]
    arrays = dict(ids=ids)
    for site, places in sites.items():
        x = activations(model, layer, ids, places)
        autoencoder = Autoencoder(x[0], x[1].shape[1], 24, zlib.crc32(f"{name} {site}".encode()),
                                  affine=write == write_scope_2 and site == "transcoder")
        arrays |= describe_site(model, layer, ids, site, places, autoencoder, x)
        if write == write_scope_2:
            write(output / repository / site / f"layer_{layer}_width_24_l0_small", autoencoder, layer, site,
                  places)
        else:
            word = "res" if site == "embedding" else site + "s" * (site == "transcoder")
            place = "embedding" if site == "embedding" else f"layer_{layer}"
            write(output / f"gemma-scope-toy-pt-{word}" / place / "width_24" / "average_l0_6", autoencoder)
    np.savez_compressed(output / f"{name}.npz", **arrays)
    print(f"{name:16s} {len(sites)} sites, {len(ids)} tokens")


def mixed(testdata, output):
    """Writes one autoencoder of the toy with a tokenizer, for the command, and its results at several places."""
    model = gguf_toys.load_mixed(testdata / "gguf" / "gemma3_mixed.gguf")
    ids = [2] + gguf_toys.toy_vocabulary().processor().encode(TEXT)
    (x,) = activations(model, 1, ids, [RES])
    autoencoder = Autoencoder(x, x.shape[1], 16, zlib.crc32(b"mixed"))
    write_scope_1(output / "gemma-scope-mixed-pt-res" / "layer_1" / "width_16" / "average_l0_4", autoencoder)
    arrays = dict(ids=np.array(ids, np.int64), **describe_site(model, 1, ids, "res", (RES, RES), autoencoder, [x, x]))
    del arrays["res_in"]
    for site, layer in (("att", 0), ("mlp", 1), ("transcoder", 0), ("embedding", 0)):
        arrays[f"{site}_features"] = autoencoder.encode(activations(model, layer, ids, SITES[site][:1])[0])
    tokens, log_probabilities = list(ids), []
    with changed(model, 1, (RES, RES), autoencoder, int(arrays["res_feature"][0]), float(arrays["res_strength"][0]),
                 ablate=False):
        for _ in range(NEW_TOKENS):
            after = torch.log_softmax(hf_models.logits(model, tokens, last=1)[0].double(), -1)
            best = after.topk(2)
            if best.values[0] - best.values[1] < 1e-2:
                raise ReferenceError("two tokens are equally likely")
            tokens.append(int(best.indices[0]))
            log_probabilities.append(float(best.values[0]))
    arrays |= dict(greedy=np.array(tokens[len(ids) :], np.int64),
                   log_probabilities=np.array(log_probabilities, np.float32))
    np.savez_compressed(output / "gemma3_mixed.npz", **arrays)
    print(f"{'gemma3_mixed':16s} 5 sites, {len(ids)} tokens")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--testdata", type=pathlib.Path, default=hf_models.TESTDATA)
    parser.add_argument("--output", type=pathlib.Path, default=hf_models.TESTDATA / "scope")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    toy(arguments.testdata, arguments.output, "gemma2_odd", 1, SITES, write_scope_1)
    toy(arguments.testdata, arguments.output, "gemma3_noscale", 3, SITES_2, write_scope_2)
    toy(arguments.testdata, arguments.output, "gemma4_e2b", 3, SITES_2, write_scope_2, "gemma-scope-2-e2b-pt")
    toy(arguments.testdata, arguments.output, "gemma4_moe", 1, EXPERT_SITES, write_scope_2, "gemma-scope-2-moe-pt")
    toy(arguments.testdata, arguments.output, "gemma3n", 3, SITES_2, write_scope_2, "gemma-scope-2-3n-pt")
    mixed(arguments.testdata, arguments.output)


if __name__ == "__main__":
    try:
        main()
    except (ReferenceError, OSError) as error:
        sys.exit(f"scope_sites: {error}")
