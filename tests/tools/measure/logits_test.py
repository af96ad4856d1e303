#!/usr/bin/env python3
"""Checks gemma logits and gemma verify on toy models against the reference implementations."""
import json
import math
import os
import stat
import unittest
import zipfile

from command import MODELS, CommandTest, config_of, read_npy, read_npz, toy_models, write_npy, write_npz

TOY = MODELS / "gemma2"


def reference_name(folder):
    """Returns the name of the array that the command's default settings reproduce."""
    return "out_deepmind" if config_of(folder).get("model_type") == "recurrent_gemma" else "out"


class LogitsTest(CommandTest):
    def logits(self, model, *arguments, **options):
        path = self.folder / "F.npy"
        path.unlink(missing_ok=True)
        said = self.succeeds_quietly("logits", model, "-o", path, *arguments, **options)
        self.assertRegex(said, rf"\A{path}  \d+ tokens, \d+ logits each, [\d.]+ k?B\n\Z")
        return path.read_bytes()

    def test_toys_equal_reference(self):
        self.assertGreaterEqual(len(toy_models()), 4)
        for folder in toy_models():
            with self.subTest(folder.name):
                arrays = read_npz(folder / "reference.npz")
                ids = arrays["ids"][1]
                (_, rows, vocab), expected = arrays[reference_name(folder)]
                shape, actual = read_npy(self.logits(folder, "--tokens", ",".join(map(str, ids))))
                self.assertEqual(shape, (rows, vocab))
                limit = 1e-4 * max(1, max(map(abs, expected)))
                worst = max(abs(a - b) for a, b in zip(actual, expected))
                self.assertLessEqual(worst, limit)

    def test_same_for_threads_and_chunks(self):
        for folder in toy_models():
            with self.subTest(folder.name):
                tokens = ",".join(map(str, read_npz(folder / "reference.npz")["ids"][1]))
                expected = self.logits(folder, "--tokens", tokens)
                for arguments in (["--threads", 1], ["--threads", 3], ["--chunk", 1], ["--chunk", 5],
                                  ["--threads", 2, "--chunk", 7], ["--context", 1000]):
                    self.assertEqual(self.logits(folder, "--tokens", tokens, *arguments), expected, arguments)

    def test_tokens_file(self):
        tokens = self.folder / "tokens.txt"
        tokens.write_text(" 2\t17\n\n4  5 \r\n")
        self.assertEqual(self.logits(TOY, "--tokens-file", tokens), self.logits(TOY, "--tokens", "2,17,4,5"))
        self.assertEqual(self.logits(TOY, "--tokens-file", "-", stdin=tokens.read_bytes()),
                         self.logits(TOY, "--tokens-file", tokens))

    def test_bad_tokens(self):
        path = self.folder / "F.npy"
        for tokens, says in (("2,x", "'x'"), ("2,-1", "'-1'"), (",", "no token"), ("2.0", "'2.0'"),
                             ("99999999999", "'99999999999'")):
            self.fails(2, "logits", TOY, "--tokens", tokens, "--output", path, says=["--tokens", says])
        self.fails(2, "logits", TOY, "--tokens", "2,256", "--output", path, says=["256", "255"])
        file = self.folder / "tokens.txt"
        for text, says in (("2 x", "'x'"), ("", "no token"), ("2,3", "'2,3'"), ("2 256", "255")):
            file.write_text(text)
            self.fails(1, "logits", TOY, "--tokens-file", file, "--output", path, says=[str(file), says])
        self.fails(1, "logits", TOY, "--tokens-file", "/no/file", "--output", path, says="/no/file")
        self.assertFalse(path.exists())

    def test_prompt_longer_than_the_context(self):
        self.fails(1, "logits", TOY, "--tokens", "2,3,4", "--context", 2, "--output", self.folder / "F.npy",
                   says=["3 tokens", "2 fit"], cure="--context 512")

    def test_output_that_cannot_be_written(self):
        self.fails(1, "logits", TOY, "--tokens", "2", "--output", "/no/folder/F.npy", says="/no/folder/F.npy")
        self.fails(1, "logits", TOY, "--tokens", "2", "--output", self.folder, says=str(self.folder))
        self.fails(1, "logits", TOY, "--tokens", "2", "--output", "/dev/full", says="/dev/full")

    def test_output_replaces_files_only(self):
        self.assertEqual(self.succeeds("logits", TOY, "--tokens", "2", "--output", "/dev/null"), "")
        self.assertTrue(stat.S_ISCHR(os.stat("/dev/null").st_mode))
        path, link = self.folder / "F.npy", self.folder / "link.npy"
        path.write_text("old")
        link.symlink_to(path)
        self.fails(1, "logits", TOY, "--tokens", "2", "--output", link, says="already exists", cure="--force")
        self.assertEqual(path.read_text(), "old")
        self.succeeds("logits", TOY, "--tokens", "2", "--output", link, "--force")
        self.assertTrue(link.is_symlink())
        self.assertEqual(read_npy(path.read_bytes())[0], (1, 256))
        self.assertEqual(sorted(self.folder.iterdir()), [path, link])


class VerifyTest(CommandTest):
    def setUp(self):
        super().setUp()
        arrays = read_npz(TOY / "reference.npz")
        (_, self.rows, self.vocab), out = arrays["out"]
        self.ids, self.out = list(arrays["ids"][1]), list(out)
        self.path = self.folder / "F.npz"

    def write(self, ids=None, out=None, ids_shape=None, out_shape=None, **options):
        ids = self.ids if ids is None else ids
        out = self.out if out is None else out
        write_npz(self.path, ids=write_npy("<i8", ids_shape or (len(ids),), ids),
                  out=write_npy("<f4", out_shape or (self.rows, self.vocab), out), **options)

    def passes(self, model=TOY, reference=None, *arguments):
        return json.loads(self.succeeds_quietly("verify", model, "--reference", reference or self.path, "--json",
                                                *arguments))

    def test_every_toy_model_passes(self):
        for folder in toy_models():
            with self.subTest(folder.name):
                report = self.passes(folder, folder / "reference.npz", "--array", reference_name(folder))
                self.assertTrue(report["passed"])
                self.assertLessEqual(report["max_error"], report["limit"])
                self.assertLess(report["mean_kl"], 1e-6)
                self.assertEqual(report["top1_agreement"], 1)
                self.assertGreater(report["tokens_per_second"], 0)

    def test_recurrent_window(self):
        for folder in toy_models():
            if reference_name(folder) == "out":
                continue
            with self.subTest(folder.name):
                reference = folder / "reference.npz"
                self.passes(folder, reference, "--recurrent-window", "transformers")
                self.fails(1, "verify", folder, "--reference", reference, stdout=None)
                self.fails(1, "verify", folder, "--reference", reference, "--array", "out_deepmind",
                           "--recurrent-window", "transformers", stdout=None)

    def test_prints_a_table(self):
        text = self.succeeds_quietly("verify", TOY, "--reference", TOY / "reference.npz")
        # Four lines: a speed would say nothing, because the reference takes time, too.
        self.assertRegex(text, r"\Apositions            37\nlargest logit error  [^\n]*\nmean KL  [^\n]*\n"
                               r"top-1 agreement      100.00 % [^\n]*\n\Z")

    def test_any_accepted_form(self):
        self.write()
        self.passes()
        self.write(ids_shape=(1, self.rows), out_shape=(1, self.rows, self.vocab), compression=zipfile.ZIP_DEFLATED)
        self.passes()
        write_npz(self.path, ids=write_npy("<i4", (self.rows,), self.ids),
                  other=write_npy("<f4", (self.rows, self.vocab), self.out))
        self.passes(TOY, None, "--array", "other")

    def test_one_wrong_logit_fails(self):
        self.out[5 * self.vocab + 7] += 0.5
        self.write()
        line = self.fails(1, "verify", TOY, "--reference", self.path, stdout=None,
                          says=["position 5", "token 7", "5.000e-01"])
        self.assertIn(str(self.path), line)
        self.succeeds_quietly("verify", TOY, "--reference", self.path, "--tolerance", 0.6)
        self.fails(1, "verify", TOY, "--reference", self.path, "--json", "--tolerance", 0, stdout=None)

    def test_numbers_that_are_none(self):
        for value in (math.nan, math.inf):
            self.out[3 * self.vocab] = value
            self.write()
            self.fails(1, "verify", TOY, "--reference", self.path, says=["row 3", "not finite"])

    def test_bad_shapes_and_ids(self):
        for change, says in (
                (dict(out_shape=(self.vocab, self.rows)), f"[{self.vocab}, {self.rows}]"),
                (dict(ids_shape=(self.rows, 1)), f"[{self.rows}, 1]"),
                (dict(out_shape=(2, 1, self.rows * self.vocab // 2)), "[2, 1, "),
                (dict(ids=self.ids[1:]), f"[{self.rows - 1}, {self.vocab}]"),
                (dict(ids=[], out=[], out_shape=(0, self.vocab)), "[0]"),
                (dict(ids=[256] + self.ids[1:]), "256"),
                (dict(ids=[-1] + self.ids[1:]), "-1"),
                (dict(ids=[2**32 + 2] + self.ids[1:]), "ids"),
        ):
            with self.subTest(says):
                self.write(**change)
                self.fails(1, "verify", TOY, "--reference", self.path, says=[str(self.path), says])

    def test_bad_files(self):
        self.fails(1, "verify", TOY, "--reference", "/no/F.npz", says="/no/F.npz")
        self.fails(1, "verify", TOY, "--reference", self.folder, says=str(self.folder))
        self.fails(1, "verify", TOY, "--reference", TOY / "config.json", says="not a zip archive")
        self.fails(1, "verify", TOY, "--reference", TOY / "reference.npz", "--array", "nothing", says="ids.npy")
        self.fails(1, "verify", TOY, "--reference", TOY / "reference.npz", "--array", "ids", says="ids")
        self.write()
        data = bytearray(self.path.read_bytes())
        self.path.write_bytes(data[:-1])
        self.fails(1, "verify", TOY, "--reference", self.path, says="not a zip archive")
        data[data.rindex(b"NUMPY") + 5000] ^= 1
        self.path.write_bytes(data)
        self.fails(1, "verify", TOY, "--reference", self.path, says="CRC")


if __name__ == "__main__":
    unittest.main()
