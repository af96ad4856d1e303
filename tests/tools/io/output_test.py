#!/usr/bin/env python3
"""-o FILE is a file on all commands. No command overwrites a file that it reads, under any name of the file."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import unittest

from command import BINARY, MODELS, TESTDATA, CommandTest, gemma

SPEAKING = TESTDATA / "gguf/gemma3_mixed.gguf"
SAE = TESTDATA / "scope/gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4/params.npz"


class OutputTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.model = self.folder / "m.gguf"
        shutil.copy(SPEAKING, self.model)
        self.text = self.folder / "text"
        self.text.write_text("hello the cat")
        self.link = self.folder / "link"
        self.link.symlink_to(self.model)
        self.before = self.files()

    def files(self):
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}

    def refused(self, *command, outputs):
        for output in outputs:
            with self.subTest(output.name):
                self.fails(1, *command, output, says=[str(output), "wanted another file"])
        self.assertEqual(self.files(), self.before)

    def test_importance(self):
        self.refused("importance", self.model, "--file", self.text, "--output",
                     outputs=(self.model, self.link, self.text))

    def test_compare(self):
        command = ["compare", SPEAKING, self.model, "--file", self.text]
        self.refused(*command, "--per-token", outputs=(self.model, self.link, self.text))
        self.refused(*command, "--plot", outputs=(self.model, self.link, self.text))

    def test_logits(self):
        self.text.write_text("2 5")
        self.before = self.files()
        self.refused("logits", self.model, "--tokens-file", self.text, "--output",
                     outputs=(self.model, self.link, self.text))

    def test_embed(self):
        folder = self.folder / "embedder"
        shutil.copytree(MODELS / "embedding_gemma", folder)
        for output in (folder / "config.json", folder / "model.safetensors", self.text):
            before = output.read_bytes()
            self.fails(1, "embed", folder, "--file", self.text, "--output", output, says="wanted another file")
            self.assertEqual(output.read_bytes(), before)

    def test_batch(self):
        self.refused("run", self.model, "--batch", self.text, "--output", outputs=(self.model, self.link, self.text))
        with self.text.open("rb") as source:
            process = self.start("run", self.model, "--batch", "-", "--output", self.text, stdin=source)
            _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1)
        self.assertIn(b"wanted another file", errors)
        self.assertEqual(self.files(), self.before)

    def test_scope(self):
        sae = self.folder / "params.npz"
        shutil.copy(SAE, sae)
        self.before = self.files()
        self.refused("scope", self.model, "--file", self.text, "--sae", f"{sae}:res@1", "--html",
                     outputs=(self.model, self.link, self.text, sae))

    def test_results(self):
        for command in (["inspect", self.model], ["perplexity", self.model, "--file", self.text],
                        ["run", self.model, "--file", self.text], ["tokenize", self.model, "--file", self.text]):
            self.refused(*command, "--force", "-o", outputs=(self.model, self.link))
        self.refused("perplexity", SPEAKING, "--file", self.text, "--force", "-o", outputs=(self.text,))


class ResultFileTest(CommandTest):
    """-o FILE holds what the command would print."""

    def setUp(self):
        super().setUp()
        self.text = self.folder / "text"
        self.text.write_text("hello the cat sat on the mat")
        self.path = self.folder / "result"

    def commands(self):
        """Commands whose result is the same each time."""
        reference = MODELS / "gemma2/reference.npz"
        return (["run", SPEAKING, "hello", "--raw", "-q", "-n", 4, "--seed", 1],
                ["inspect", SPEAKING], ["inspect", SPEAKING, "--json"], ["tokenize", SPEAKING, "hello"],
                ["verify", MODELS / "gemma2", "--reference", reference], ["perplexity", SPEAKING, "--file", self.text],
                ["compare", SPEAKING, SPEAKING, "--file", self.text],
                ["scope", SPEAKING, "hello", "--sae", SAE], ["embed", MODELS / "embedding_gemma", "hello"],
                ["list", "--all"], ["verify-file", SPEAKING], ["completion", "bash"], ["man"])

    def test_same_as_standard_output(self):
        for command in self.commands():
            with self.subTest(command[0]):
                expected = self.succeeds(*command)
                said = self.succeeds(*command, "-o", self.path)
                self.assertEqual(self.path.read_text(), expected)
                self.assertIn(f"{self.path}  ", said) if "-q" not in command else self.assertEqual(said, "")
                self.fails(1, *command, "-o", self.path, says=f"{self.path}: already exists", cure="--force")
                quiet = [] if "-q" in command else ["-q"]
                self.assertEqual(self.succeeds_quietly(*command, "-o", self.path, "--force", *quiet), "")
                self.assertEqual(self.path.read_text(), expected)
                self.path.unlink()

    def test_written_files_get_a_line(self):
        commands = {"2 tokens, 512 logits each": ["logits", SPEAKING, "--tokens", "2,5"],
                    "1 text, 40 dimensions": ["embed", MODELS / "embedding_gemma", "hello"],
                    r"\d+ tokens, 1 window": ["importance", SPEAKING, "--file", self.text]}
        for words, command in commands.items():
            said = self.succeeds(*command, "-o", self.path, "--force")
            self.assertRegex(said, rf"\A{self.path}  {words}, [\d.]+ k?B\n\Z")

    def test_json_of_commands_that_vary(self):
        for command in (["bench", MODELS / "gemma2", "-p", 2, "-n", 0, "-r", 1], ["doctor"]):
            gemma(*command, "--json", "-o", self.path, "--force")
            json.loads(self.path.read_text())

    def test_failures_leave_no_file(self):
        self.path.write_text("old")
        for command in (["run", SPEAKING, "hello", "-c", 1], ["inspect", "/no/model"]):
            result = gemma(*command, "-o", self.path, "--force")
            self.assertEqual((result.returncode, self.path.read_text()), (1, "old"), result)
        self.fails(1, "list", "--quiet", "-o", self.folder, says="is a directory")
        self.fails(1, "list", "--quiet", "-o", "/no/folder/F", says="/no/folder/F")
        self.fails(1, "list", "--quiet", "-o", "/dev/full", says="/dev/full")
        self.assertEqual(sorted(self.folder.iterdir()), [self.path, self.text])

    def test_interrupted_answers_leave_no_file(self):
        process = self.start("run", SPEAKING, "hello", "--raw", "-n", 4000, "-c", 4096, "-t", 1, "-v", "-o", self.path)
        os.read(process.stderr.fileno(), 1)  # the note before the answer
        process.send_signal(signal.SIGINT)
        self.assertIn(process.wait(60), (130, 0))
        self.assertEqual(self.path.exists(), process.returncode == 0)

    def test_a_difference_is_kept(self):
        command = ["verify", MODELS / "gemma2", "--reference", MODELS / "gemma2/reference.npz", "--tolerance", 0]
        result = gemma(*command, "-o", self.path)
        self.assertEqual(result.returncode, 1)
        self.assertIn("largest logit error", self.path.read_text())

    def test_pipes_and_standard_output(self):
        expected = self.succeeds("tokenize", SPEAKING, "hello")
        self.assertEqual(self.succeeds_quietly("tokenize", SPEAKING, "hello", "-o", "-"), expected)
        self.assertEqual(self.succeeds_quietly("tokenize", SPEAKING, "hello", "-o", "/dev/stdout"), expected)
        done = subprocess.run(f'"{BINARY}" tokenize "{SPEAKING}" hello -o >(cat)', shell=True, executable="/bin/bash",
                              capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stdout.decode()), (0, expected), done)
        embed = ["embed", MODELS / "embedding_gemma", "hello"]
        self.assertEqual(self.succeeds(*embed, "-o", "-"), self.succeeds(*embed))
        for command in (["logits", SPEAKING, "--tokens", "2"], ["importance", SPEAKING, "--file", self.text]):
            self.fails(1, *command, "-o", "-", says="wanted a file", cure="./-")

    def test_commands_without_a_result(self):
        for command in (["chat", SPEAKING], ["pull"], ["remove", "x"], ["quantize", SPEAKING, self.path, "q4"]):
            self.fails(2, *command, "-o", pathlib.Path("x"), says="has no option -o", cure="gemma")


if __name__ == "__main__":
    unittest.main()
