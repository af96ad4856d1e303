#!/usr/bin/env python3
"""A packed model's file that is cut while the command uses it."""
import os
import signal
import subprocess
import unittest

from command import TESTDATA, TIMEOUT, CommandTest

SOURCE = TESTDATA / "gguf" / "gemma3_mixed.gguf"


class CutFileTest(CommandTest):
    def packed(self, name="m.gguf"):
        path = self.folder / name
        self.succeeds("quantize", SOURCE, path, "--type", "q4")
        return path

    def chat(self, model, *options):
        """Starts a chat and waits for its answer to a command: then the model is loaded."""
        process = self.start("chat", model, "-n", "4", *options)
        process.stdin.write(b"/tokens\n")
        self.assertIn(b"context: ", process.stderr.readline())
        return process

    def ends(self, process, name):
        """Expects exit code 1 and a line that names the file."""
        _, error = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, 1, error)
        self.assertRegex(error.decode(), r"\Agemma: [^\n]*/%s: was cut, or became unreadable, while it was in "
                                         r"use[^\n]*\n\Z" % name)

    def test_chat_names_the_file(self):
        for threads in (1, 3):
            with self.subTest(threads):
                path = self.packed(f"m{threads}.gguf")
                process = self.chat(path, "-t", threads)
                os.truncate(path, 0)
                process.stdin.write(b"Hello\n")
                self.ends(process, path.name)

    def test_run_names_the_file(self):
        path = self.packed()
        process = self.start("run", path, "the cat", "-q", "--raw", "-n", 90000, "--context", 100000, "-t", 1,
                             "--logit-bias", '"<eos>"=-1000', "--logit-bias", '"<end_of_turn>"=-1000',
                             stdin=subprocess.DEVNULL)
        self.assertEqual(len(process.stdout.read(1)), 1)
        os.truncate(path, 0)
        self.ends(process, path.name)

    def test_the_name_is_made_printable(self):
        path = self.packed("m\x1b[31m\u009b.gguf")
        process = self.chat(path)
        os.truncate(path, 0)
        process.stdin.write(b"Hello\n")
        self.ends(process, r"m\?\[31m\?\?\.gguf")

    def test_foreign_sigbus_still_kills(self):
        process = self.chat(self.packed())
        process.send_signal(signal.SIGBUS)
        _, error = process.communicate(timeout=TIMEOUT)
        self.assertEqual((process.returncode, error), (-signal.SIGBUS, b""))


if __name__ == "__main__":
    unittest.main()
