#!/usr/bin/env python3
"""No command overwrites a file that it reads, under any name of the file."""
import shutil
import unittest

from command import MODELS, TESTDATA, CommandTest

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


if __name__ == "__main__":
    unittest.main()
