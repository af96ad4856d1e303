#!/usr/bin/env python3
"""The transcripts of README.md and the pages of tools/gemma are what the real Gemma 3 270M prints."""
import contextlib
import doctest
import io
import os
import pathlib
import re
import subprocess
import unittest

from command import BINARY, TESTDATA, CommandTest, real_model
from serve.serving import Serving

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIMD = "avx512-vnni"  # with which the pages were written; greedy answers part where others round otherwise


class TranscriptTest(CommandTest):
    def setUp(self):
        super().setUp()
        for name in ("gemma-3-270m", "gemma-3-270m-q4_k_m.gguf"):
            (self.folder / name).symlink_to(os.path.abspath(real_model()))

    def transcripts(self, page):
        """Returns (command, output) for each run of the real model that a page shows."""
        found = re.findall(r"(?ms)^\$ (gemma run (?:[^\n]*\\\n)*[^\n]*)\n(.*?)(?=^\$ |^```$)",
                           (ROOT / page).read_text("utf-8"))
        return [(command, output) for command, output in found
                if "gemma-3-270m" in command and "--temperature -1" not in command]

    def printed(self, command):
        script = f'gemma() {{ "$BINARY" "$@" 2>&1; }}\n{command}\n'
        result = subprocess.run(["bash", "-c", script], cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, check=False, env={**os.environ, "BINARY": BINARY, "GEMMA_SIMD": SIMD})
        if "GEMMA_SIMD" in result.stdout:
            self.skipTest(f"this CPU or build lacks {SIMD}: {result.stdout}")
        return result.stdout

    def test_first_transcript_tells_a_story(self):
        [(command, output)] = self.transcripts("README.md")
        printed = self.printed(command)
        self.assertEqual(printed.split(), output.split())  # the page breaks lines
        sentences = re.findall(r"[^.]+\.", printed)
        self.assertGreaterEqual(len(sentences), 3)
        self.assertEqual(len(set(sentences)), len(sentences))

    def test_other_transcripts(self):
        shown = self.transcripts("tools/gemma/README.md")
        self.assertGreaterEqual(len(shown), 2)
        for command, output in shown:
            self.assertEqual(self.printed(command), output)


class ServingPageTest(CommandTest):
    """The sessions with gemma serve that a page shows."""
    PAGE = (ROOT / "tools/gemma/serving.md").read_text("utf-8")
    ADDRESS = "http://127.0.0.1:8080"

    def setUp(self):
        super().setUp()
        listed = subprocess.run([BINARY, "doctor", "--simd", SIMD], capture_output=True, text=True, check=False)
        if listed.returncode:
            self.skipTest(f"this CPU or build lacks {SIMD}: {listed.stderr}")
        models = (f"gemma-3-270m={real_model()}", TESTDATA / "gguf" / "gemma_embedding.gguf")
        serving = Serving("--simd", SIMD, models=models)
        self.addCleanup(serving.end)
        self.url = f"http://127.0.0.1:{serving.address[1]}"

    def test_curl_prints_what_is_shown(self):
        shown = re.findall(r"(?ms)^```console\n\$ (.*?)^```$", self.PAGE)
        self.assertEqual(len(shown), 4)
        for block in shown:
            command, output = re.fullmatch(r"(?s)(.*?\}'[^\n]*)\n(.*)", block).groups()
            script = command.replace(self.ADDRESS, self.url)
            result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
            drawn = r'"(id|created|seed)":("\w+-\w+"|\d+)'
            self.assertEqual(re.sub(drawn, r'"\1":0', result.stdout).split(), re.sub(drawn, r'"\1":0', output).split(), script)

    def test_python_prints_what_is_shown(self):
        blocks = re.findall(r"(?ms)^```pycon\n(.*?)^```$", self.PAGE)
        self.assertEqual(len(blocks), 5)
        text = "\n".join(blocks).replace(self.ADDRESS, self.url)
        test = doctest.DocTestParser().get_doctest(text, {}, "serving.md", None, 0)
        report = io.StringIO()
        with contextlib.redirect_stdout(report):
            failed = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=report.write).failed
        self.assertEqual(failed, 0, report.getvalue())


if __name__ == "__main__":
    unittest.main()
