#!/usr/bin/env python3
"""Runs the examples of the pages of the Python package on toy models.

  page_test.py            those of tools/python/README.md, which need the package alone
  page_test.py SECTION... those of sections of tools/python/clusters.md, which need Ray or Beam

The examples of a section are one program, as readers would type them.
"""
import pathlib
import pkgutil
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "tools/python/README.md"
CLUSTERS = ROOT / "tools/python/clusters.md"
TESTDATA = ROOT / "tests/testdata"
# What examples name, and toys of the same kind.
MODELS = {
    "model.gguf": "gguf/gemma3_mixed.gguf",
    "gemma-3-1b-it-q4": "gguf/gemma4_chat.gguf",
    "gemma-3-270m": "gguf/gemma3_mixed.gguf",
    "embeddinggemma-300m": "gguf/gemma_embedding.gguf",
    "shieldgemma-2b-q8": "classify/shield.gguf",
    "gemma-scope.npz": "scope/gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4/params.npz",
}
# What an example finds where it runs: a file of prompts, and a cluster with the CPUs that it names.
BEFORE = {
    "Ray Data": """\
import pyarrow, pyarrow.parquet
pyarrow.parquet.write_table(pyarrow.table({"prompt": ["the cat", "a dog"]}), "prompts.parquet")
""",
    "Ray Serve": """\
import ray
ray.init(num_cpus=64)
""",
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

    def test_examples_run(self):
        named = sys.argv[1:]
        programs = sections((CLUSTERS if named else PAGE).read_text())
        for heading in named or programs:
            with self.subTest(heading):
                done = run(BEFORE.get(heading, "") + programs[heading])
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_first_page_names_classes(self):
        named = re.findall(r"`(libgemma\.[\w.]+)\(", (ROOT / "README.md").read_text("utf-8"))
        self.assertEqual(len(named), 2)
        for name in named:
            self.assertTrue(callable(pkgutil.resolve_name(name)), name)

    def test_wrong_examples_fail(self):
        done = run("import libgemma\nlibgemma.LLM('gemma-3-270m').generate(3)")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the prompt is 3", done.stderr)

    def test_finds_all_examples(self):
        for page in (PAGE, CLUSTERS):
            text = page.read_text()
            lines = sum(example.count("\n") for example in
                        re.findall(r"^```python$(.*?)^```$", text, re.MULTILINE | re.DOTALL))
            # Each example begins with the end of a line, and examples are joined by one.
            found = sum(program.count("\n") + 1 for program in sections(text).values())
            self.assertEqual(found, lines, page)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
