#!/usr/bin/env python3
"""Runs the examples of the pages of the Python package on toy models.

  page_test.py            those of tools/python/README.md, which need the package alone
  page_test.py SECTION... those of sections of tools/python/clusters.md, and their commands, which
                          need Ray, Beam, or the packages of kubernetes_requirements.txt

The examples of a section are one program, as readers would type them.
"""
import os
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
    "shieldgemma-2b-q8.gguf": "classify/shield.gguf",
    "gemma-scope.npz": "scope/gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4/params.npz",
}
# What an example finds where it runs: files of texts, and a cluster with the CPUs that it names.
BEFORE = {
    "Ray Data": """\
import pyarrow, pyarrow.parquet
for name in "prompt", "text":
    pyarrow.parquet.write_table(pyarrow.table({name: ["the cat", "a dog"]}), name + "s.parquet")
""",
    "Ray Serve": """\
import ray
ray.init(num_cpus=64)
""",
}
# What is true after the program of a section, and after its commands.
AFTER = {
    "Ray Serve": """
import json, urllib.request
body = json.dumps({"model": "model", "prompt": "the cat", "max_tokens": 3}).encode()
request = urllib.request.Request("http://127.0.0.1:8000/v1/completions", body,
                                 {"Content-Type": "application/json"})
assert json.load(urllib.request.urlopen(request))["usage"]["completion_tokens"] <= 3
""",
}
AFTER_COMMANDS = {
    "Ray Data": """\
import pyarrow.parquet
for name, column in ("answers", "answer"), ("embedded", "embedding"), ("classified", "hate"):
    table = pyarrow.parquet.read_table(name)
    assert len(table) == 2 and table[column].null_count == 0, name
""",
}
GEMMA = os.environ.get("GEMMA_BINARY", str(ROOT / "build/release/gemma"))
# Takes the place of kubectl: fails for objects that Kubernetes would refuse.
KUBECTL = f"""#!{sys.executable}
import sys, kubernetes_validate, yaml
assert sys.argv[1:] == ["apply", "-f", "-"]
objects = list(yaml.safe_load_all(sys.stdin))
assert len(objects) == 3
for each in objects:
    kubernetes_validate.validate(each, "1.37", strict=True)
"""
SECONDS = 600


def sections(page, language="python"):
    """Returns the program of each section that has one, by its heading."""
    found = {}
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        examples = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        if examples:
            found[heading] = "\n".join(examples)
    return found


def make_place(folder):
    """Fills a folder with what a reader has: models, the tools, and commands on the PATH."""
    for name, toy in MODELS.items():
        # A copy, because some kinds are known by the names of their folders or files.
        shutil.copyfile(TESTDATA / toy, folder / name)
    (folder / "tools").symlink_to(ROOT / "tools")
    commands = folder / "commands"
    commands.mkdir()
    (commands / "gemma").symlink_to(GEMMA)
    (commands / "kubectl").write_text(KUBECTL)
    (commands / "kubectl").chmod(0o700)


def run(*programs):
    """Runs programs, each in Python, or in a shell if it begins with "$ ", in a folder that has the
    models. Returns the result of the first one that fails, or of the last one."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_place(folder)
        places = (folder / "commands", pathlib.Path(sys.executable).parent, os.environ["PATH"])
        environment = os.environ | {"PATH": ":".join(map(str, places))}
        for program in programs:
            if program.startswith("$ "):
                command = ["bash", "-e", "-o", "pipefail", "-c", program[2:]]
            else:
                (folder / "program.py").write_text(program)
                command = [sys.executable, "program.py"]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True,
                                  text=True, timeout=SECONDS, check=False,
                                  stdin=subprocess.DEVNULL)
            if done.returncode != 0:
                break
        return done


class PageTest(unittest.TestCase):

    def test_examples_run(self):
        named, page = sys.argv[1:], (CLUSTERS if sys.argv[1:] else PAGE).read_text()
        for heading in named or sections(page):
            with self.subTest(heading):
                programs = [BEFORE.get(heading, "") + sections(page).get(heading, "")
                            + AFTER.get(heading, "")]
                if named and heading in sections(page, "sh"):
                    programs += ["$ " + sections(page, "sh")[heading],
                                 AFTER_COMMANDS.get(heading, "")]
                done = run(*programs)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_programs_run(self):
        commands = re.findall(r"^tools/python/examples/.*$", PAGE.read_text(), re.MULTILINE)
        self.assertEqual(len(commands), 1)
        for command in commands:
            done = run("$ " + command)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertTrue(done.stdout.strip())

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
