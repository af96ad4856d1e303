#!/usr/bin/env python3
"""Writes a toy with CodeGemma's markers, and the answers of transformers with it.

  models/gemma_fill/     config.json, model.safetensors (bfloat16), tokenizer.json, tokenizer_config.json
  models/gemma_fill/fill.json
                         cases. Each has prefix, suffix, path and files ([path, text]); prompt (the token ids of
                         the published form, by transformers' tokenizer); answer (the greedy continuation without
                         the token that ends it) and its text; stop (the token that ends it). Each marker and
                         <eos> ends the answer of one case.
  gguf/gemma_fill.gguf   the same model

  fill_toys.py [--output DIR]
"""
import argparse
import json
import pathlib
import sys

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import save_file

import gguf_files
import gguf_toys
import hf_models
import toy_models
from hf_models import ReferenceError
from vocabulary import BOS, BYTE, EOS, FILL_MARKERS

PREFIX, SUFFIX, MIDDLE, SEPARATOR = FILL_MARKERS
STOPS = (*FILL_MARKERS, "<eos>")
WORDS = "the of and to in is that it for was".split()
# The square root of this width, the embedding scale, is exact in bfloat16.
SHAPE = dict(
    vocab_size=512, pad_token_id=0, eos_token_id=EOS, bos_token_id=BOS, hidden_size=16, intermediate_size=32,
    num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=16)
# With these values, each of STOPS ends an answer.
SEED = 3
FAVOUR = dict.fromkeys(STOPS, 1.2) | {MIDDLE: 1.3}
ANSWER_TOKENS = range(2, 30)
# Texts with ends and blanks that a careless program would change.
GAPS = (
    dict(prefix="import ", suffix="\nif __name__ == '__main__':\n    sys.exit(0)"),
    dict(prefix="", suffix=" \n\n"),
    dict(prefix="\n\n  the\t", suffix=""),
    dict(prefix="def f():\r\n", suffix="\r\n  return {}  ", path="a/b.py"),
    dict(prefix="x = [1, 2,  ", suffix=", 4]\n", path="b.py", files=[["a/c.py", "the model\n"], ["d e.py", ""]]),
)


def build_vocabulary():
    """Returns gguf_toys' vocabulary, with its first unused pieces renamed to CodeGemma's markers."""
    vocabulary = gguf_toys.toy_vocabulary()
    free = [i for i, piece in enumerate(vocabulary.pieces) if piece.startswith("<unused")]
    for i, name in zip(free, FILL_MARKERS):
        vocabulary.pieces[i] = name
    return vocabulary


def build_model(vocabulary):
    """Returns a model with random bfloat16 weights, in float32, that favour STOPS and avoid bytes."""
    config = hf_models.CAUSAL_LM["gemma"][0](**SHAPE)
    config._attn_implementation = "eager"
    model = hf_models.new_model(config, torch.float32)
    with torch.no_grad():
        toy_models.randomize(model, SEED)
        for name, p in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                p *= 2.0  # so that the answer depends on the texts, not on the last token alone
        rows = model.model.embed_tokens.weight
        for i, kind in enumerate(vocabulary.types):
            rows[i] *= FAVOUR.get(vocabulary.pieces[i], 0.3 if kind == BYTE else 1.0)
        for p in model.parameters():
            p.copy_(p.bfloat16())
    return model


def write_model(directory, model, vocabulary):
    toy_models.write_config(directory, model.config, "bfloat16")
    save_file(toy_models.tensors_of(model, torch.bfloat16), directory / "model.safetensors", metadata={"format": "pt"})
    vocabulary.write_tokenizer_json(directory / "tokenizer.json")
    fields = dict(tokenizer_class="GemmaTokenizer", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>",
                  pad_token="<pad>")
    (directory / "tokenizer_config.json").write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")


def write_gguf(path, model, vocabulary):
    writer = gguf.GGUFWriter(path, "gemma")
    gguf_files.add_metadata(writer, model.config)
    vocabulary.add_to_gguf(writer)
    for name, values in gguf_toys.toy_tensors(model):
        if values.ndim == 1:
            gguf_files.add_tensor(writer, name, values)
            continue
        kind = gguf.GGMLQuantizationType.BF16
        writer.add_tensor(name, gguf.quants.quantize(values.astype(np.float32), kind), raw_dtype=kind)
    gguf_files.finish(writer)


def form(gap):
    """Returns the text of a prompt, with markers by name."""
    line = gap["path"] + "\n" if gap["path"] else ""
    files = "".join(f"{path}\n{text}{SEPARATOR}" for path, text in gap["files"])
    return f"<bos>{files}{line}{PREFIX}{gap['prefix']}{SUFFIX}{gap['suffix']}{MIDDLE}"


def continuation(model, prompt, stops):
    """Returns the greedy answer and the token that ends it.

    Returns None if no token ends it, if its length is not in ANSWER_TOKENS, or if rounding may decide a choice.
    """
    answer = []
    while len(answer) < ANSWER_TOKENS.stop:
        (token,), (margin,) = hf_models.greedy(model, prompt + answer, 1)
        if margin <= toy_models.LEAST_MARGIN:
            return None
        if token in stops:
            return (answer, token) if len(answer) in ANSWER_TOKENS else None
        answer.append(token)
    return None


def find_cases(model, vocabulary, tokenizer):
    """Finds, for each token that may end an answer, a gap whose answer it ends."""
    stops = {vocabulary.pieces.index(name): name for name in STOPS}
    random = np.random.default_rng(0)
    cases = {}
    for _ in range(2_000):
        gap = dict(path="", files=[]) | GAPS[len(cases)]
        words = " ".join(random.choice(WORDS, 5))
        if gap["prefix"]:
            gap["prefix"] = words + gap["prefix"]
        else:
            gap["suffix"] += words
        prompt = tokenizer.encode(form(gap), add_special_tokens=False)
        found = continuation(model, prompt, stops)
        if found is None or found[1] in cases:
            continue
        answer, stop = found
        text = tokenizer.decode(answer, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        if "\ufffd" in text:
            continue  # Decoders do not agree on how many bytes one such character replaces.
        cases[stop] = gap | dict(prompt=prompt, answer=answer, text=text, stop=stops[stop])
        if len(cases) == len(stops):
            return list(cases.values())
    raise ReferenceError(f"only the tokens {sorted(cases)} ended an answer, wanted every one of STOPS")


def check_prompt(case, vocabulary):
    """Checks that sentencepiece gives the same tokens as transformers for the text between markers."""
    processor = vocabulary.processor()
    names = {vocabulary.pieces.index(name): name for name in ("<bos>", *FILL_MARKERS)}
    expected, rest = [], form(case)
    while rest:
        begin, name = min((rest.index(name), name) for name in names.values() if name in rest)
        expected += processor.encode(rest[:begin]) + [vocabulary.pieces.index(name)]
        rest = rest[begin + len(name):]
    if expected != case["prompt"]:
        raise ReferenceError(f"sentencepiece and transformers disagree on {form(case)!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=hf_models.TESTDATA)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    vocabulary = build_vocabulary()
    model = build_model(vocabulary)
    directory = arguments.output / "models" / "gemma_fill"
    for folder in (directory, arguments.output / "gguf"):
        folder.mkdir(parents=True, exist_ok=True)
    write_model(directory, model, vocabulary)
    write_gguf(arguments.output / "gguf" / "gemma_fill.gguf", model, vocabulary)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(directory / "tokenizer.json"))
    cases = find_cases(hf_models.load(directory), vocabulary, tokenizer)
    for case in cases:
        check_prompt(case, vocabulary)
        print(f"{case['stop']:20s} after {len(case['answer']):2d} tokens: {case['text']!r}")
    (directory / "fill.json").write_text(json.dumps(cases, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except (ReferenceError, OSError) as error:
        sys.exit(f"fill_toys: {error}")
