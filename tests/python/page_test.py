#!/usr/bin/env python3
"""Runs the examples of the Python page, tools/python/README.md, on toy models.

  page_test.py          those that need the package alone
  page_test.py Ray      those of a section that needs other packages

The examples of a section are one program, as readers would type them.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "tools/python/README.md"
TESTDATA = ROOT / "tests/testdata"
# Sections whose examples need other packages, which the steps of tools/test.sh install.
OTHERS = ["Ray", "Beam"]
# What examples name, and toys of the same kind.
MODELS = {
    "gemma-3-1b-it-q4": "gguf/gemma4_chat.gguf",
    "gemma-3-270m": "gguf/gemma3_mixed.gguf",
    "embeddinggemma-300m": "gguf/gemma_embedding.gguf",
    "shieldgemma-2b-q8": "classify/shield.gguf",
    "gemma-scope.npz": "scope/gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4/params.npz",
}
SECONDS = 300


def sections(page):
    """Returns the program of each section that has one, by its heading."""
    found = {}
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        examples = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
        if examples:
            found[heading] = "\n".join(examples)
    return found


def run(program):
    """Runs a program in a folder that has the models, and returns the result."""
    with tempfile.TemporaryDirectory() as folder:
        for name, toy in MODELS.items():
            # A copy, because some kinds are known by the names of their folders or files.
            shutil.copyfile(TESTDATA / toy, pathlib.Path(folder) / name)
        (pathlib.Path(folder) / "program.py").write_text(program)
        return subprocess.run([sys.executable, "program.py"], cwd=folder, capture_output=True,
                              text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)


class PageTest(unittest.TestCase):

    def runs(self, headings):
        programs = sections(PAGE.read_text())
        for heading in headings or programs.keys() - OTHERS:
            with self.subTest(heading):
                done = run(programs[heading])
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertNotIn("Warning", done.stderr)

    def test_examples_run(self):
        self.runs(sys.argv[1:])

    def test_fails_with_an_example(self):
        self.assertEqual(run("import libgemma\nlibgemma.LLM('gemma-3-270m').generate(3)").returncode, 1)

    def test_finds_all_examples(self):
        page = PAGE.read_text()
        programs = sections(page)
        self.assertLessEqual(set(OTHERS), programs.keys())
        # Joined examples are separated by an empty line more.
        self.assertEqual(sum(program.count("\n") + 1 for program in programs.values()),
                         sum(1 + example.count("\n") for example in
                             re.findall(r"^```python$(.*?)^```$", page, re.MULTILINE | re.DOTALL)))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
