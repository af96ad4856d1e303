#!/usr/bin/env python3
"""quantize and inspect of libgemma: the bytes and numbers of the command."""
import json
import unittest

import numpy as np

import libgemma
from command import MODELS, TESTDATA, CommandTest

MODEL = TESTDATA / "gguf/gemma3.gguf"


class QuantizeTest(CommandTest):
    def test_bytes_of_the_command(self):
        for options, flags in ((dict(type="q4"), ["q4"]), (dict(bits=5.5), ["--bits", 5.5]),
                               (dict(type="q8", layout="gguf"), ["q8", "--layout", "gguf"])):
            with self.subTest(**options):
                ours, theirs = self.folder / "ours.gguf", self.folder / "theirs.gguf"
                libgemma.quantize(MODEL, ours, overwrite=True, **options)
                self.succeeds("quantize", MODEL, theirs, "--force", *flags)
                self.assertEqual(ours.read_bytes(), theirs.read_bytes())

    def test_kept_weights_same_bits(self):
        target = self.folder / "keep.gguf"
        libgemma.quantize(str(MODEL), str(target), "keep")
        with libgemma.LLM(MODEL, threads=1) as a, libgemma.LLM(target, threads=1) as b:
            np.testing.assert_array_equal(a.logits([2, 17, 4]), b.logits([2, 17, 4]))

    def test_existing_files_stay(self):
        target = self.folder / "t.gguf"
        target.write_text("mine")
        with self.assertRaises(libgemma.GemmaError) as raised:
            libgemma.quantize(MODEL, target, "q4")
        self.assertEqual(raised.exception.code, "ALREADY_EXISTS")
        self.assertEqual(target.read_text(), "mine")

    def test_progress_and_its_errors(self):
        seen = []
        libgemma.quantize(MODEL, self.folder / "a", "q8",
                          progress=lambda done, total: seen.append((done, total)))
        self.assertEqual(seen, sorted(seen))
        self.assertEqual(*seen[-1])

        def fail(done, total):
            raise RuntimeError("enough")

        with self.assertRaisesRegex(RuntimeError, "enough"):
            libgemma.quantize(MODEL, self.folder / "b", "q8", progress=fail)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["a"])

    def test_wrong_options_are_errors(self):
        target = self.folder / "t.gguf"
        for options, says in (({}, "type and bits"), ({"type": "q4", "bits": 4}, "type and bits"),
                              ({"type": "q3"}, "type is 'q3'"), ({"bits": 0}, "bits"),
                              ({"type": "q4", "layout": "x"}, "layout"),
                              ({"type": "q5", "layout": "gguf"}, "q5"),
                              ({"type": "q4", "table_type": "q9"}, "table_type"),
                              ({"type": "q4", "adapters": [3]}, "adapters")):
            with self.subTest(**options), self.assertRaisesRegex((ValueError, TypeError), says):
                libgemma.quantize(MODEL, target, **options)
        with self.assertRaises(FileNotFoundError):
            libgemma.quantize("/no/model", target, "q4")
        self.assertFalse(target.exists())


class InspectTest(CommandTest):
    def test_numbers_of_the_command(self):
        for path in (MODEL, MODELS / "gemma4_e2b", MODELS / "gemma4_moe",
                     MODELS / "embedding_gemma", MODELS / "recurrent_gemma"):
            with self.subTest(path.name):
                report = json.loads(self.succeeds("inspect", path, "--json", "--threads", 2))
                context = report["memory"]["context"]
                found = libgemma.inspect(path, context=context, threads=2)
                self.assertEqual(found["memory"].pop("sequences"), 1)
                for key in ("instruction_tuned", "has_tokenizer", "notes", "config", "parameters",
                            "weight_bytes", "bits_per_weight", "types", "memory", "tensors"):
                    self.assertEqual(found[key], report[key], key)

    def test_memory_grows_with_sequences(self):
        one = libgemma.inspect(MODEL, context=1024)["memory"]
        four = libgemma.inspect(MODEL, context=1024, sequences=4)["memory"]
        self.assertEqual(four["cache"], 4 * one["cache"])
        self.assertEqual(four["weights"], one["weights"])
        small = libgemma.inspect(MODEL, context=1024, cache="int8")["memory"]
        self.assertLess(small["cache"], one["cache"])

    def test_wrong_options_are_errors(self):
        with self.assertRaises(FileNotFoundError):
            libgemma.inspect("/no/model")
        with self.assertRaisesRegex(ValueError, "cache"):
            libgemma.inspect(MODEL, cache="int4")
        for name in ("context", "sequences"):
            with self.assertRaisesRegex(ValueError, f"{name} is 0, wanted 1 or more"):
                libgemma.inspect(MODEL, **{name: 0})
        with self.assertRaisesRegex(ValueError, "path is ''"):
            libgemma.inspect("")


if __name__ == "__main__":
    unittest.main()
