"""A sentencepiece BPE vocabulary, read from a GGUF file and written in each of the three forms of Gemma's files."""
import dataclasses
import json
import os
import pathlib
import struct

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from hf_models import ReferenceError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
PAD, EOS, BOS, UNK = 0, 1, 2, 3
SPACE = "\u2581"

# Pieces that are user-defined in Google's tokenizer.model or in GGUF files. A message's text must never become one.
FILL_MARKERS = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_separator|>")
MARKERS = ("<mask>", "[multimodal]", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>",
           "<image_soft_token>") + FILL_MARKERS


def cached_model():
    """Returns the path where tools/quickstart.sh keeps the default model's GGUF, or None."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "gemma"
    return next(iter(sorted(cache.glob("models/*/*270m*.gguf"))), None)


def is_marker(piece):
    return piece in MARKERS or (piece.startswith("<unused") and piece.endswith(">"))


def read_metadata(path):
    """Returns all keys of a GGUF file.

    The package gguf has a reader, but it needs 20 s for the 262,144 strings of Gemma 3's vocabulary.
    """
    numbers = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
    string, array = 8, 9
    with open(path, "rb") as file:

        def read(form):
            form = "<" + form
            return struct.unpack(form, file.read(struct.calcsize(form)))

        def value(kind):
            if kind == string:
                return file.read(read("Q")[0]).decode("utf-8")
            if kind == array:
                element, count = read("IQ")
                return [value(element) for _ in range(count)] if element == string else read(f"{count}{numbers[element]}")
            return read(numbers[kind])[0]

        try:
            magic, _, _, count = read("4sIQQ")
            if magic != b"GGUF":
                raise ReferenceError(f"{path}: not a GGUF file")
            return {value(string): value(read("I")[0]) for _ in range(count)}
        except (struct.error, KeyError, UnicodeDecodeError) as error:
            raise ReferenceError(f"{path}: broken metadata: {error}") from error


@dataclasses.dataclass
class Vocabulary:
    """Pieces as in GGUF: user-defined pieces have real spaces, normal ones U+2581."""

    pieces: list
    scores: list
    types: list

    @classmethod
    def from_gguf(cls, path):
        fields = read_metadata(path)
        return cls(*(list(fields[f"tokenizer.ggml.{key}"]) for key in ("tokens", "scores", "token_type")))

    def resized(self, size):
        """Returns the first `size` pieces, or all of them followed by unused ones."""
        extra = max(0, size - len(self.pieces))
        return Vocabulary(
            self.pieces[:size] + [f"<unused{100_000 + i}>" for i in range(extra)],
            self.scores[:size] + [-1000.0] * extra,
            self.types[:size] + [CONTROL] * extra)

    def proto(self, markers=CONTROL):
        """Returns a sentencepiece model with Gemma's settings. Google's own files have markers=USER_DEFINED."""
        model = sentencepiece_model_pb2.ModelProto()
        trainer, normalizer = model.trainer_spec, model.normalizer_spec
        trainer.model_type = trainer.BPE
        trainer.vocab_size = len(self.pieces)
        trainer.byte_fallback = trainer.split_digits = trainer.allow_whitespace_only_pieces = True
        trainer.pad_id, trainer.eos_id, trainer.bos_id, trainer.unk_id = PAD, EOS, BOS, UNK
        trainer.pad_piece, trainer.eos_piece, trainer.bos_piece = "<pad>", "<eos>", "<bos>"
        normalizer.name = "identity"
        normalizer.add_dummy_prefix = normalizer.remove_extra_whitespaces = False
        normalizer.escape_whitespaces = True
        for i, (piece, score, kind) in enumerate(zip(self.pieces, self.scores, self.types)):
            if i == UNK:
                kind = UNKNOWN
            elif is_marker(piece):
                kind = markers
            if kind == USER_DEFINED:
                piece = piece.replace(" ", SPACE)
            model.pieces.add(piece=piece, score=score, type=kind)
        return model

    def processor(self, markers=CONTROL):
        """Returns sentencepiece's own processor with these pieces."""
        return sentencepiece.SentencePieceProcessor(model_proto=self.proto(markers).SerializeToString())

    def add_to_gguf(self, writer, add_eos=False):
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list(self.pieces)
        writer.add_token_scores(self.scores)
        writer.add_token_types(self.types)
        writer.add_bos_token_id(BOS)
        writer.add_eos_token_id(EOS)
        writer.add_unk_token_id(UNK)
        writer.add_pad_token_id(PAD)
        writer.add_add_bos_token(True)
        writer.add_add_eos_token(add_eos)
        writer.add_add_space_prefix(False)

    def merges(self):
        """Returns every way to build a piece from two, best first, as in tokenizer.json. Runs of blanks come first."""
        ids, ranks = {}, {}
        for i, (piece, score, kind) in enumerate(zip(self.pieces, self.scores, self.types)):
            if kind in (NORMAL, USER_DEFINED) and not is_marker(piece):
                piece = piece.replace(" ", SPACE)
                ids[piece] = i
                ranks[piece] = (kind == NORMAL, -score, i)
        out = []
        for piece in sorted(ids, key=ranks.get):
            splits = ((piece[:i], piece[i:]) for i in range(1, len(piece)))
            out += sorted((s for s in splits if s[0] in ids and s[1] in ids), key=lambda s: (ids[s[0]], ids[s[1]]))
        return out

    def write_tokenizer_json(self, path):
        """Writes the Hugging Face form."""
        added = [dict(id=i, content=p.replace(" ", SPACE), single_word=False, lstrip=False, rstrip=False, normalized=False,
                      special=i <= UNK or is_marker(p))
                 for i, (p, t) in enumerate(zip(self.pieces, self.types)) if t in (UNKNOWN, CONTROL, USER_DEFINED)]
        vocab = {p.replace(" ", SPACE) if t == USER_DEFINED else p: i
                 for i, (p, t) in enumerate(zip(self.pieces, self.types))}
        bos = {"id": "<bos>", "type_id": 0}
        fields = {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
            "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious",
                              "invert": False},
            "post_processor": {"type": "TemplateProcessing",
                               "single": [{"SpecialToken": bos}, {"Sequence": {"id": "A", "type_id": 0}}],
                               "pair": [{"SpecialToken": bos}, {"Sequence": {"id": "A", "type_id": 0}},
                                        {"SpecialToken": {"id": "<bos>", "type_id": 1}},
                                        {"Sequence": {"id": "B", "type_id": 1}}],
                               "special_tokens": {"<bos>": {"id": "<bos>", "ids": [BOS], "tokens": ["<bos>"]}}},
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "}, {"type": "ByteFallback"},
                {"type": "Fuse"}]},
            "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                      "vocab": vocab, "merges": self.merges()},
        }
        with open(path, "w", encoding="utf-8") as file:
            json.dump(fields, file, ensure_ascii=False)
