#!/usr/bin/env python3
"""The transcripts of README.md and tools/gemma/README.md are what the real Gemma 3 270M prints."""
import os
import pathlib
import re
import subprocess
import unittest

from command import BINARY, CommandTest, real_model

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


if __name__ == "__main__":
    unittest.main()
