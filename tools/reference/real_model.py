#!/usr/bin/env python3
"""Writes tests/testdata/real270m: the results of transformers and sentencepiece for the real Gemma 3 270M GGUF.

  reference.json          "perplexity": ids of text.txt (BOS first); for windows of BOS and N - 1 tokens, the number of
                          scored tokens and mean_nll, with the embedding scale in float32 and rounded to bfloat16.
                          "prompts": text, ids (BOS first), greedy (32 tokens, not ended by stop tokens) and margins
                          (difference of the two best logits at each step). The package gguf dequantises the weights
                          to float32.
  tokenizer_corpus.jsonl  one line per string: text; ids, from sentencepiece, without BOS and with markers such as
                          <start_of_turn> as ordinary text; ids_special, if matching markers changes the ids

text.txt itself was written by hand. The program needs about 5 minutes and 2 GB.

  real_model.py [--model GGUF] [--output DIR] [--only tokenizer|logits]
"""
import argparse
import json
import pathlib
import sys

import gguf
import numpy as np
import torch

import gguf_files
import hf_models
import tokenizer_corpus
import vocabulary
from hf_models import ReferenceError

BOS = vocabulary.BOS
GREEDY_TOKENS = 32
WINDOWS = (2048, 512)
CONFIG = dict(  # google/gemma-3-270m
    vocab_size=262144, hidden_size=640, intermediate_size=2048, num_hidden_layers=18, num_attention_heads=4,
    num_key_value_heads=1, head_dim=256, query_pre_attn_scalar=256, sliding_window=512,
    max_position_embeddings=32768, pad_token_id=0, eos_token_id=1, bos_token_id=2)
PROMPTS = [
    "The capital of Germany is",
    "Once upon a time, in a small village by the sea, there lived",
    "Water boils at a temperature of",
    "def fibonacci(n):\n    \"\"\"Returns the n-th Fibonacci number.\"\"\"\n",
    "#include <stdio.h>\n\nint main(void) {\n",
    "Q: What is the largest planet in the solar system?\nA:",
    "1, 2, 3, 5, 8, 13,",
    "Monday, Tuesday, Wednesday,",
    "Die Hauptstadt von Frankreich ist",
    "Les trois couleurs primaires sont",
    "El perro corre por el parque y",
    "日本の首都は",
    "中国的首都是",
    "Столица России —",
    "Translate to French: \"Good morning, my friend.\"\nFrench:",
    "Ingredients:\n- 2 cups flour\n- 1 cup sugar\n-",
    "<h1>My first page</h1>\n",
    "{\"name\": \"Alice\", \"age\": 30, \"city\":",
    "The three laws of thermodynamics state that",
    "Dear Sir or Madam,\n\nI am writing to",
]


def load(path):
    """Returns Gemma3ForCausalLM with the file's weights, float32."""
    config = hf_models.CAUSAL_LM["gemma3_text"][0](**CONFIG)
    config._attn_implementation = "eager"
    model = hf_models.new_model(config, torch.float32)
    missing = {n: p for n, p in model.named_parameters() if not n.startswith("lm_head.")}
    for tensor in gguf.GGUFReader(path).tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if gguf_files.is_norm(tensor.name):
            values = values - np.float32(1)
        p = missing.pop(gguf_files.hf_name("gemma3_text", tensor.name))
        p.copy_(torch.from_numpy(np.ascontiguousarray(values)).reshape(p.shape))
    if missing:
        raise ReferenceError(f"{path}: tensor for {next(iter(missing))} is missing")
    return model


def mean_nll(model, ids, window):
    """Returns the number of scored tokens and their mean negative log-likelihood.

    Each window has BOS and window - 1 tokens. The last window may be shorter.
    """
    total, scored = 0.0, 0
    for start in range(0, len(ids), window - 1):
        piece = ids[start : start + window - 1]
        out = hf_models.logits(model, [BOS] + piece)
        for row, token in enumerate(piece):
            total += float(torch.logsumexp(out[row].double(), 0) - out[row, token].double())
        scored += len(piece)
    return scored, total / scored


def logits_reference(model, tokenizer, text):
    ids = tokenizer.encode(text)
    perplexity = dict(ids=[BOS] + ids, windows=[])
    prompts = []
    for prompt in PROMPTS:
        prompt_ids = [BOS] + tokenizer.encode(prompt)
        tokens, margins = hf_models.greedy(model, prompt_ids, GREEDY_TOKENS)
        prompts.append(dict(text=prompt, ids=prompt_ids, greedy=tokens, margins=[round(m, 5) for m in margins]))
        print(f"{prompt!r} -> {tokenizer.decode(tokens)!r}", flush=True)
    plain = {window: mean_nll(model, ids, window) for window in WINDOWS}
    hf_models.round_embedding_scale(model)
    for window in WINDOWS:
        scored, nll = plain[window]
        perplexity["windows"].append(dict(
            window=window, scored=scored, mean_nll=nll, mean_nll_rounded_scale=mean_nll(model, ids, window)[1]))
        print(perplexity["windows"][-1], flush=True)
    return dict(perplexity=perplexity, prompts=prompts)


def write_corpus(path, words):
    plain, special = words.processor(vocabulary.CONTROL), words.processor(vocabulary.USER_DEFINED)
    with open(path, "w", encoding="utf-8") as file:
        for text in tokenizer_corpus.strings():
            line = dict(text=text, ids=plain.encode(text))
            if (matched := special.encode(text)) != line["ids"]:
                line["ids_special"] = matched
            file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, default=vocabulary.cached_model(), help="default: the one in the cache")
    parser.add_argument("--output", type=pathlib.Path, default=hf_models.TESTDATA / "real270m")
    parser.add_argument("--only", choices=("tokenizer", "logits"))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.model is None or not arguments.model.exists():
        raise ReferenceError("the 270M GGUF is not in the cache: give --model")
    words = vocabulary.Vocabulary.from_gguf(arguments.model)
    if arguments.only != "logits":
        write_corpus(arguments.output / "tokenizer_corpus.jsonl", words)
    if arguments.only != "tokenizer":
        text = (arguments.output / "text.txt").read_text(encoding="utf-8")
        reference = logits_reference(load(arguments.model), words.processor(), text)
        content = json.dumps(reference, ensure_ascii=False, indent=None, separators=(",", ":"))
        (arguments.output / "reference.json").write_text(content + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except (ReferenceError, OSError) as error:
        sys.exit(f"real_model: {error}")
