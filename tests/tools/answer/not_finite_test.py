#!/usr/bin/env python3
"""A weight that is NaN or infinite ends every command that computes with it."""
import json
import math
import struct
import unittest

from command import TESTDATA, CommandTest, gemma, read_gguf

CHATS = TESTDATA / "gguf/gemma3_mixed.gguf"
EMBEDS = TESTDATA / "gguf/gemma_embedding.gguf"


class NotFiniteTest(CommandTest):
    def damaged(self, model, tensor, value):
        """Returns a copy of the model in which the first value of the F32 tensor is `value`."""
        data = model.read_bytes()
        values = read_gguf(model)[1][tensor][2]
        at = data.find(values)
        copy = self.folder / "damaged.gguf"
        copy.write_bytes(data[:at] + struct.pack("<f", value) + data[at + 4:])
        return copy

    def test_answers_end_with_error(self):
        says = "the model's logits are not finite (position "
        names = "tensor 'blk.0.ffn_norm.weight' has a value that is not finite"
        for value in (math.nan, math.inf):
            model = self.damaged(CHATS, "blk.0.ffn_norm.weight", value)
            for options in (["--temperature", 0], ["--temperature", 1], ["--activations", "float32"]):
                self.fails(1, "run", model, "hi", "--raw", "-q", "-n", 3, *options, says=[says, names])
            self.fails(1, "run", model, "hi", "--raw", "-q", "-n", 3, "--json", "--logprobs", 2, says=says)
            result = gemma("run", model, "--batch", "-", "--raw", "-n", 3, stdin=b'"hi"\n')
            self.assertIn(says, json.loads(result.stdout)["error"])

    def test_measures_name_the_tensor(self):
        text = self.folder / "text.txt"
        text.write_text("a b c d e f g h")
        for value in (math.nan, math.inf):
            bad = self.damaged(CHATS, "blk.0.ffn_norm.weight", value)
            says = (f"{bad}: the model's logits are not finite (token 0 of the text): "
                    "tensor 'blk.0.ffn_norm.weight' has a value that is not finite")
            self.fails(1, "perplexity", bad, "--file", text, "--context", 4, says=says)
            self.fails(1, "compare", CHATS, bad, "--file", text, says=says)
            self.fails(1, "compare", bad, CHATS, "--file", text, says=says)

    def test_embeddings_end_with_error(self):
        model = self.damaged(EMBEDS, "blk.0.ffn_norm.weight", math.nan)
        self.fails(1, "embed", model, "x",
                   says=["the embedding of text 1 has a value that is not finite", "tensor 'blk.0.ffn_norm.weight'"])


if __name__ == "__main__":
    unittest.main()
