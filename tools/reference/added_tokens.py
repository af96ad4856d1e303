#!/usr/bin/env python3
"""Writes to tests/testdata/text what Hugging Face's tokenizers makes of texts with added tokens and other normalizers.

  added_tokens.json   `model`: the model of a tokenizer.json. `cases`, each with a `name`, the `fields` of its
                      tokenizer.json, and for each of `texts` the ids with special tokens found (`ids`) and with their
                      names as text (`as_text`).

With --word-characters, prints instead the characters that may not stand beside a token with `single_word`: the lengths
of runs of code points that alternately are not and are such characters, for src/text/tokenizer/unicode_classes.cc.

  added_tokens.py [--output DIR] [--word-characters]
"""
import argparse
import json
import pathlib
import random

import tokenizers

SPACE = "\u2581"
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
WORDS = ["th", "the", SPACE + "the", "he", "ab", "abc", SPACE + "a", SPACE + "ab", "wo", "wor", "word", SPACE + "word"]
LETTERS = "abcdehiortwxyz_.,\n\t" + SPACE
BLANKS = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
NO_SPLIT = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}


def model():
    """Returns a model: special tokens, bytes, letters, and words that merges make."""
    vocab = {}
    for piece in SPECIAL + [f"<0x{byte:02X}>" for byte in range(256)] + list(LETTERS) + WORDS:
        vocab[piece] = len(vocab)
    # All ways to make a word, as in Gemma's files.
    merges = [[w[:i], w[i:]] for w in WORDS for i in range(1, len(w)) if w[:i] in vocab and w[i:] in vocab]
    return {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
            "vocab": vocab, "merges": merges}


def token(vocab, content, **fields):
    """Returns an added token. It has the id of the vocabulary, if that has one."""
    return dict({"id": vocab.get(content), "content": content, "single_word": False, "lstrip": False, "rstrip": False,
                 "normalized": False, "special": False}, **fields)


def cases(vocab):
    """Yields names, added tokens, normalizers and pre-tokenizers."""
    def new(content, **fields):
        return token(vocab, content, **fields)
    lines = [new("\n"), new("\t")]
    yield "plain", [*lines, new("zyzzy")], BLANKS, NO_SPLIT
    yield "normalized", [*lines, new("zyzzy", normalized=True), new("two words", normalized=True)], BLANKS, NO_SPLIT
    yield "blanks inside", [*lines, new("two words"), new(SPACE + "xy"), new("a b", special=True)], BLANKS, NO_SPLIT
    overlap = [*lines, new("abc", normalized=True), new("bcd"), new("cde", normalized=True), new("ab")]
    yield "overlap", overlap, BLANKS, NO_SPLIT
    single = [*lines, new("zyzzy", single_word=True), new("the", single_word=True, normalized=True),
              new("<|x|>", single_word=True, special=True)]
    yield "single word", single, BLANKS, NO_SPLIT
    strips = [*lines, new("<|l|>", lstrip=True, special=True), new("<|r|>", rstrip=True, special=True),
              new("zl", lstrip=True), new("zr", rstrip=True), new("zb", lstrip=True, rstrip=True, normalized=True)]
    yield "strips", strips, BLANKS, NO_SPLIT
    yield "strips and words", [new("word", lstrip=True, single_word=True), new("\n", rstrip=True)], BLANKS, NO_SPLIT
    prepend = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE}, BLANKS]}
    some = [*lines, new("zyzzy", normalized=True), new("<|x|>", special=True)]
    yield "prepend", some, prepend, None
    strip = {"type": "Sequence", "normalizers": [
        {"type": "Strip", "strip_left": True, "strip_right": False}, BLANKS,
        {"type": "Replace", "pattern": {"String": "xy"}, "content": "the"}]}
    yield "strip and replace", some, strip, NO_SPLIT
    for scheme in ("always", "first", "never"):
        for split in (True, False):
            space = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": split}
            yield f"metaspace {scheme} {split}", some, None, space
    yield "old metaspace", some, None, {"type": "Metaspace", "replacement": SPACE, "add_prefix_space": True}
    yield "two metaspaces", some, prepend, {"type": "Sequence", "pretokenizers": [
        {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "first", "split": False}]}


def texts(added, seed):
    """Returns texts that such tokens are hard to find in."""
    generator = random.Random(seed)
    contents = [each["content"] for each in added]
    parts = contents * 2 + ["the", " the", "word", " ", "  ", "\n", "\t", SPACE, "a", "b", "_", ".", "1", "xy", "two words",
                            "abcde", "\u00e9", "\u0301", "\u200d", "\u00a0", "\u3000", "\u65e5", "\u00b7", "\u203f",
                            "<|", "<bos>", "<start_of_turn>", "-", "x"]
    out = ["", " ", *contents, " ".join(contents), "".join(contents)]
    return out + ["".join(generator.choices(parts, k=generator.randint(1, 9))) for _ in range(40)]


def encode(fields, texts_, as_text):
    """Returns the ids of each text."""
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(fields))
    tokenizer.encode_special_tokens = as_text
    for each in fields["added_tokens"]:
        if tokenizer.token_to_id(each["content"]) != each["id"]:
            raise SystemExit(f"tokenizers gives {each['content']!r} another id than {each['id']}")
    return [tokenizer.encode(text, add_special_tokens=False).ids for text in texts_]


def word_characters():
    """Returns the lengths of runs of code points, first of those that are not word characters."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.add_tokens([tokenizers.AddedToken("x", single_word=True, normalized=False)])
    runs, is_word = [0], False
    for begin in range(0, 0x110000, 0x4000):
        codes = range(begin, begin + 0x4000)
        surrogates = {code for code in codes if 0xD800 <= code < 0xE000}
        batch = tokenizer.encode_batch(["-x" if code in surrogates else chr(code) + "x" for code in codes])
        for encoding in batch:
            word = 1 not in encoding.ids
            if word != is_word:
                runs.append(0)
                is_word = word
            runs[-1] += 1
    return runs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parents[2] / "tests/testdata/text")
    parser.add_argument("--word-characters", action="store_true")
    options = parser.parse_args()
    if options.word_characters:
        print(*word_characters(), sep=", ")
        return
    base = model()
    special = [token(base["vocab"], content, special=True) for content in SPECIAL]
    written = []
    for seed, (name, added, normalizer, pre_tokenizer) in enumerate(cases(base["vocab"])):
        free = len(base["vocab"])
        for each in added:
            if each["id"] is None:
                each["id"] = free
                free += 1
        fields = {"added_tokens": special + added, "normalizer": normalizer, "pre_tokenizer": pre_tokenizer}
        whole = dict(fields, version="1.0", truncation=None, padding=None, post_processor=None, decoder=None, model=base)
        inputs = texts(added, seed)
        written.append(dict(name=name, fields=fields, texts=inputs, ids=encode(whole, inputs, False),
                            as_text=encode(whole, inputs, True)))
    options.output.mkdir(parents=True, exist_ok=True)
    with open(options.output / "added_tokens.json", "w", encoding="utf-8") as file:
        json.dump({"model": base, "cases": written}, file, ensure_ascii=True, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
