#!/usr/bin/env python3
"""Checks gemma importance, on a toy with a tokenizer, against the reference implementation."""
import array
import os
import shutil
import signal
import stat
import time
import unittest

from command import MODELS, TESTDATA, CommandTest, gemma, read_gguf, read_npz

MODEL = TESTDATA / "gguf/gemma3_mixed.gguf"
TEXT = TESTDATA / "real270m/text.txt"
WINDOW = 64  # as in tools/reference/importance.py


class ImportanceTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "F.gguf"

    def importance(self, *arguments, file=TEXT, **options):
        """Runs the command and returns the bytes of its output file."""
        self.path.unlink(missing_ok=True)
        said = self.succeeds_quietly("importance", MODEL, "-f", file, "--context", WINDOW, "-o", self.path, *arguments,
                                     **options)
        self.assertRegex(said, rf"\A{self.path}  \d+ tokens, \d+ windows?, [\d.]+ kB\n\Z")
        return self.path.read_bytes()

    def short_text(self, text="The quick brown fox jumps over the lazy dog."):
        path = self.folder / "short.txt"
        path.write_text(text)
        return path

    def means(self):
        """Returns the means of each matrix, the file's keys, and the count, the same for all matrices."""
        keys, tensors = read_gguf(self.path)
        tensors = {name: array.array("f", data) for name, (_, _, data) in tensors.items()}
        sums = {name.removesuffix(".in_sum2"): values for name, values in tensors.items() if name.endswith(".in_sum2")}
        counts = {tuple(values) for name, values in tensors.items() if name.endswith(".counts")}
        self.assertEqual(len(tensors), 2 * len(sums))
        self.assertEqual(len(counts), 1)
        (count,), = counts
        return {name: [value / count for value in values] for name, values in sums.items()}, keys, count

    def test_equals_transformers(self):
        reference = read_npz(TESTDATA / "importance/gemma3_mixed.npz")
        _, (count,) = reference.pop("counts")
        self.importance("--cache-type", "float32")
        means, keys, actual_count = self.means()
        self.assertEqual(actual_count, count)
        self.assertEqual(means.keys(), reference.keys())
        for name, (_, sums) in reference.items():
            self.assertEqual(len(means[name]), len(sums), name)
            for i, (mean, expected) in enumerate(zip(means[name], sums)):
                self.assertAlmostEqual(mean, expected / count, delta=1e-4 * expected / count, msg=f"{name} {i}")
        self.assertEqual(keys["general.type"], "imatrix")
        self.assertEqual(keys["imatrix.datasets"], ["text.txt"])
        self.assertEqual(keys["imatrix.chunk_size"], WINDOW)
        # A window gives the model WINDOW - 1 tokens; its last position is only scored.
        self.assertEqual(keys["imatrix.chunk_count"], -(-count // (WINDOW - 1)))

    def test_same_for_threads_and_chunks(self):
        file = self.short_text(TEXT.read_text()[:700])
        expected = self.importance(file=file)
        for arguments in (["--threads", 1], ["--threads", 3], ["--chunk", 1], ["--chunk", 7],
                          ["--threads", 4, "--chunk", 40], []):
            self.assertEqual(self.importance(*arguments, file=file), expected, arguments)

    def test_the_text_alone_decides(self):
        file = self.short_text()
        expected = self.importance(file=file)
        other = self.folder / "other"
        other.mkdir()
        self.assertEqual(self.importance(file=shutil.copy(file, other)), expected)
        self.importance(file="-", stdin=file.read_bytes())
        means, keys, _ = self.means()
        self.assertEqual(keys["imatrix.datasets"], ["standard input"])
        self.path.write_bytes(expected)
        self.assertEqual(self.means()[0], means)

    def test_rounded_activations_are_near(self):
        file = self.short_text(TEXT.read_text()[:700])
        self.importance(file=file)
        exact, _, count = self.means()
        self.importance("--activations", "int8", file=file)
        rounded, _, rounded_count = self.means()
        self.assertEqual(rounded_count, count)
        self.assertNotEqual(rounded, exact)
        for name, means in exact.items():
            self.assertLess(abs(sum(rounded[name]) / sum(means) - 1), 0.05, name)

    def test_default_name(self):
        self.succeeds_quietly("importance", MODEL.resolve(), "--file", self.short_text(), cwd=self.folder)
        self.assertTrue((self.folder / "importance.gguf").is_file())

    def test_bad_texts(self):
        file = self.short_text("")
        self.fails(1, "importance", MODEL, "--file", file, "--output", self.path, says=[str(file), "no text"])
        file.write_bytes(b"caf\xe9")
        self.fails(1, "importance", MODEL, "--file", file, "--output", self.path, says=[str(file), "byte 3"])
        self.fails(1, "importance", MODEL, "--file", "/no/file", "--output", self.path, says="/no/file")
        self.fails(1, "importance", MODELS / "gemma2", "--file", self.short_text(), "--output", self.path,
                   says="tokenizer", cure="tokenizer.model")
        self.fails(2, "importance", MODEL, "--file", file, "--context", 1, says="--context")
        self.fails(1, "importance", MODEL, says="standard input: no text to score")
        self.assertFalse(self.path.exists())

    def test_output_that_cannot_be_written(self):
        # The model does not exist, so each failure comes before it is loaded.
        for path in ("/no/folder/F.gguf", self.folder, "/dev/null"):
            self.fails(1, "importance", "/no/model", "--file", TEXT, "--output", path, says=str(path))
        self.assertTrue(stat.S_ISCHR(os.stat("/dev/null").st_mode))

    def test_other_names_are_noted(self):
        path = self.folder / "i.dat"
        result = gemma("importance", MODEL, "--file", self.short_text(), "--context", WINDOW, "-o", path)
        self.assertEqual((result.returncode, result.stderr.decode()), (
            0, f"gemma: {path}: is a GGUF file, which other programs know by the ending .gguf\n"))

    def test_output_replaces_files_only(self):
        file = self.short_text()
        expected = self.importance(file=file)
        link = self.folder / "link.gguf"
        link.symlink_to(self.path)
        self.path.write_text("old")
        arguments = ["importance", MODEL, "--file", file, "--context", WINDOW, "--output", link]
        self.fails(1, *arguments, says="already exists", cure="--force")
        self.assertEqual(self.succeeds_quietly(*arguments, "--force", "--quiet"), "")
        self.assertTrue(link.is_symlink())
        self.assertEqual(self.path.read_bytes(), expected)
        self.assertEqual(sorted(self.folder.iterdir()), [self.path, link, file])

    def test_interrupt_keeps_old_file(self):
        file = self.short_text(TEXT.read_text() * 300)
        self.path.write_text("old")
        process = self.start("importance", MODEL, "--file", file, "--output", self.path, "--force")
        self.wait_for_handler(process)
        time.sleep(0.3)  # By then it likely computes.
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), 130)
        self.assertEqual(self.path.read_text(), "old")
        self.assertEqual(sorted(self.folder.iterdir()), [self.path, file])


if __name__ == "__main__":
    unittest.main()
