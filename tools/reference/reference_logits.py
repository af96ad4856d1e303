#!/usr/bin/env python3
"""Writes the results of a reference implementation to F.npz: ids int64 [1, n] and out float32 [1, n, vocab].

`gemma verify MODEL --reference F.npz` compares a model with them. DIR is a local Hugging Face directory of Gemma 1, 2,
3 (also a multimodal one, of which the text tower runs) or RecurrentGemma. --implementation deepmind runs RecurrentGemma
with DeepMind's package, whose attention window is one key longer. --rounded-scale rounds the embedding scale to
bfloat16 in a float32 run, as in runs of bfloat16 checkpoints.

  reference_logits.py DIR --ids 2,17,4 --output F.npz [--implementation transformers|deepmind]
  reference_logits.py DIR --ids-file FILE --output F.npz      ids separated by blanks
  reference_logits.py DIR --text "Hello" --output F.npz       BOS and the ids of DIR's tokenizer.model or .json
"""
import argparse
import pathlib
import sys

import numpy as np
import sentencepiece
import tokenizers
import torch

import deepmind_griffin
import hf_models
from hf_models import ReferenceError

BOS = 2


def encode(directory, text):
    """Returns BOS and the ids of a text. Markers such as <start_of_turn> become their tokens."""
    model, fast = directory / "tokenizer.model", directory / "tokenizer.json"
    if model.exists():
        return [BOS] + sentencepiece.SentencePieceProcessor(model_file=str(model)).encode(text)
    if fast.exists():
        return [BOS] + tokenizers.Tokenizer.from_file(str(fast)).encode(text, add_special_tokens=False).ids
    raise ReferenceError(f"{directory}: neither tokenizer.model nor tokenizer.json: give --ids")


def parse_ids(text, separator=None):
    try:
        return [int(word) for word in text.split(separator)]
    except ValueError as error:
        raise ReferenceError(f"token ids: {error}") from error


def read_ids(arguments):
    if arguments.ids is not None:
        return parse_ids(arguments.ids, ",")
    if arguments.ids_file is not None:
        return parse_ids(arguments.ids_file.read_text(encoding="utf-8"))
    return encode(arguments.directory, arguments.text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path, metavar="DIR")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--ids")
    source.add_argument("--ids-file", type=pathlib.Path)
    source.add_argument("--text")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--implementation", choices=("transformers", "deepmind"), default="transformers")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--rounded-scale", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    ids = read_ids(arguments)
    model = hf_models.load(arguments.directory, getattr(torch, arguments.dtype))
    vocab = model.config.vocab_size
    bad = [i for i in ids if not 0 <= i < vocab]
    if bad or not ids:
        raise ReferenceError(f"token id {bad[0]} is outside the vocabulary of {vocab}" if bad else "no token ids")
    if arguments.rounded_scale:
        hf_models.round_embedding_scale(model)
    if arguments.implementation == "deepmind":
        if model.config.model_type != "recurrent_gemma":
            raise ReferenceError(f"--implementation deepmind: {arguments.directory} is a {model.config.model_type}")
        out = deepmind_griffin.logits(deepmind_griffin.build(model), ids)
    else:
        out = hf_models.logits(model, ids)
    np.savez(arguments.output, ids=np.array([ids], np.int64), out=out[None].numpy())
    print(f"{arguments.output}: {len(ids)} positions of {vocab} logits")


if __name__ == "__main__":
    try:
        main()
    except (ReferenceError, OSError) as error:
        sys.exit(f"reference_logits: {error}")
