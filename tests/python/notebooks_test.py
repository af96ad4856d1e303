#!/usr/bin/env python3
"""Runs the notebooks of tools/python/notebooks on toys, and compares what they print with the
command.

Needs tests/python/notebook_requirements.txt.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

import nbclient
import nbformat

from command import TESTDATA, CommandTest

NOTEBOOKS = pathlib.Path(__file__).resolve().parents[2] / "tools/python/notebooks"
MODEL = TESTDATA / "gguf/gemma3_mixed.gguf"
SOURCE = TESTDATA / "classify/shield.gguf"  # float16, with a tokenizer
SAE = TESTDATA / "scope/gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4/params.npz"
SECONDS = 600  # for a cell: only a notebook that hangs takes as long


class NotebookTest(CommandTest):
    def run_notebook(self, name, **variables):
        """Returns what the notebook prints, and the number of its pictures."""
        notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
        nbformat.validate(notebook)
        for cell in notebook.cells:
            self.assertFalse(cell.get("outputs"), "a notebook is kept without outputs")
        # The kernel has a folder of its own.
        paths = os.pathsep.join(map(os.path.abspath, os.environ["PYTHONPATH"].split(os.pathsep)))
        variables = {**os.environ, "PYTHONPATH": paths,
                     "MPLBACKEND": "module://matplotlib_inline.backend_inline",
                     **{key: str(value) for key, value in variables.items()}}
        client = nbclient.NotebookClient(notebook, timeout=SECONDS, startup_timeout=SECONDS,
                                         kernel_name="python3",
                                         resources={"metadata": {"path": str(self.folder)}})
        # Sockets are files: another process may take a port before the kernel has it.
        kernel = client.create_kernel_manager()
        kernel.transport, kernel.ip = "ipc", str(self.folder / "kernel")
        client.execute(env=variables)
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        text = "".join(output.text for output in outputs
                       if output.output_type == "stream" and output.name == "stdout")
        errors = "".join(output.text for output in outputs
                         if output.output_type == "stream" and output.name == "stderr")
        self.assertEqual(errors, "")
        pictures = [output for output in outputs if "image/png" in output.get("data", {})]
        return text, len(pictures)

    def test_command_of_the_page(self):
        page = (NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8")
        command = re.search(r"^MODEL=\S+ jupyter execute .*$", page, re.MULTILINE)[0]
        folder = self.folder / "page"
        shutil.copytree(NOTEBOOKS, folder / "tools/python/notebooks")
        (folder / "gemma-3-270m").symlink_to(SOURCE)
        path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
        paths = os.pathsep.join(map(os.path.abspath, os.environ["PYTHONPATH"].split(os.pathsep)))
        done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True,
                              env={**os.environ, "PATH": path, "PYTHONPATH": paths}, check=False,
                              timeout=SECONDS)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        shown = nbformat.read(folder / "tools/python/notebooks/shown.ipynb", as_version=4)
        self.assertTrue(any("image/png" in output.get("data", {}) for cell in shown.cells
                            for output in cell.get("outputs", [])))

    def test_features_over_layers(self):
        text, pictures = self.run_notebook(
            "features.ipynb", MODEL=MODEL, AUTOENCODERS=f"{SAE}:embedding,{SAE}:res@0,{SAE}")
        self.assertEqual(pictures, 6)
        report = json.loads(self.succeeds(
            "scope", MODEL,
            "The quick brown fox jumps over the lazy dog. It was not what you have.", "--sae", SAE,
            "--json", "--activations", "float32", "--cache-type", "float32"))
        values = {}
        for token in report["tokens"][1:]:
            for feature in token["features"][0]:
                index = feature["index"]
                values[index] = max(values.get(index, 0), feature["value"])
        strongest = sorted(values, key=lambda index: -values[index])[:5]
        self.assertIn(f"res@1 {strongest}\n", text)
        self.assertRegex(text, r"plain: .*\nadded: ")

    def test_quality_against_bits(self):
        text, pictures = self.run_notebook("quality.ipynb", MODEL=SOURCE)
        self.assertEqual(pictures, 1)
        rows = re.findall(r"^(q\w+) +([\d.]+) +[\d.]+ +([\d.]+) +([\d.]+)$", text, re.MULTILINE)
        self.assertEqual([row[0] for row in rows], ["q8", "q6", "q5", "q4", "q4s"])
        bits = [float(row[1]) for row in rows]
        self.assertEqual(bits, sorted(bits, reverse=True))
        # The same comparison by the command.
        notebook = nbformat.read(NOTEBOOKS / "quality.ipynb", as_version=4)
        words = re.search(r'"""\n(The lighthouse.*?)"""', notebook.cells[1].source, re.DOTALL)[1]
        path, small = self.folder / "text.txt", self.folder / "small.gguf"
        path.write_text("\n" + words, encoding="utf-8")
        for kind, _, kl, perplexity in rows[2:4]:
            self.succeeds("quantize", SOURCE, small, kind, "--force")
            report = json.loads(self.succeeds(
                "compare", SOURCE, small, "--file", path, "--json", "--activations", "float32",
                "--cache-type", "float32"))
            self.assertAlmostEqual(report["mean_kl"], float(kl), delta=0.03 * report["mean_kl"])
            self.assertAlmostEqual(report["other_perplexity"], float(perplexity),
                                   delta=1e-3 * report["other_perplexity"])


if __name__ == "__main__":
    unittest.main()
