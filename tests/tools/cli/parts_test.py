#!/usr/bin/env python3
"""Parts that a build may leave out: their commands answer, or say how to build them."""
import json
import os
import pty
import subprocess
import unittest

from command import BINARY, TESTDATA, CommandTest

# The commands of each part.
PARTS = {
    "GEMMA_WITH_SERVE": ["serve"],
    "GEMMA_WITH_PULL": ["pull"],
    "GEMMA_WITH_LINE_EDITING": [],
    "GEMMA_WITH_SCOPE": ["scope", "verify"],
}
LIBRARIES = {"GEMMA_WITH_SERVE": ["Boost", "OpenSSL"], "GEMMA_WITH_PULL": ["libcurl", "OpenSSL"],
             "GEMMA_WITH_LINE_EDITING": ["libedit"], "GEMMA_WITH_SCOPE": ["zlib"]}
SPEAKING = TESTDATA / "gguf/gemma3_mixed.gguf"
SAE = TESTDATA / "scope/gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4"


class PartsTest(CommandTest):
    def setUp(self):
        super().setUp()
        findings = {finding["about"]: finding for finding in json.loads(self.succeeds("doctor", "--json"))["findings"]}
        self.parts = findings["parts"]["facts"]
        self.text = findings["parts"]["text"]
        self.versions = findings["versions"]["facts"]

    def commands(self, built):
        return [(option, command) for option, commands in PARTS.items() if self.parts[option] is built
                for command in commands]

    def test_doctor_lists_parts(self):
        self.assertEqual(set(self.parts), set(PARTS))
        wanted = os.environ.get("WANTED_PARTS")  # of a build that chose them
        if wanted is not None:
            self.assertEqual({option for option, built in self.parts.items() if built}, set(wanted.split()))
        for option, built in self.parts.items():
            self.assertEqual(f"({option})" in self.text, not built)
        used = {library for option, built in self.parts.items() if built for library in LIBRARIES[option]}
        self.assertEqual({library for names in LIBRARIES.values() for library in names} & set(self.versions), used)

    def test_commands_say_so(self):
        listed = self.succeeds_quietly("--help")
        for option, command in self.commands(built=False):
            message = f"this gemma was built without {command} ({option})"
            cure = f"build it with -D{option}=ON"
            for arguments in ([], ["a"], ["--no-such-option"]):
                self.fails(1, command, *arguments, says=message, cure=cure)
            for help in ([command, "--help"], [command, "--help-all"], ["help", command]):
                text = self.succeeds_quietly(*help)
                self.assertIn(message, text)
                self.assertIn(cure, text)
            self.assertRegex(listed, rf"  {command} +Left out of this build \({option}\)\n")

    def test_built_commands_help(self):
        listed = self.succeeds_quietly("--help")
        for _, command in self.commands(built=True):
            self.assertIn(f"Usage: gemma {command}", self.succeeds_quietly(command, "--help"))
            self.assertNotRegex(listed, rf"  {command} +Left out")

    def test_other_commands_work(self):
        self.assertIn("hello", self.succeeds("tokenize", SPEAKING, "hello", "--json"))
        self.succeeds("run", SPEAKING, "hello", "-n", 2, "--temperature", 0)
        self.succeeds("list", env=dict(os.environ, GEMMA_MODELS=str(self.folder)))
        self.succeeds("completion", "bash")
        self.succeeds("man")

    def test_steering_without_scope(self):
        steer = ["run", SPEAKING, "hello", "-n", 1, "--steer", f"{SAE}:1=1"]
        if self.parts["GEMMA_WITH_SCOPE"]:
            self.succeeds(*steer)
        else:
            self.fails(1, *steer, says="built without scope (GEMMA_WITH_SCOPE)", cure="-DGEMMA_WITH_SCOPE=ON")

    def test_chat_on_a_terminal(self):
        user, terminal = pty.openpty()
        self.addCleanup(os.close, user)
        os.write(user, b"/exit\n")
        ended = subprocess.run([BINARY, "chat", str(SPEAKING)], stdin=terminal, capture_output=True, timeout=60,
                               env=dict(os.environ, GEMMA_HISTORY="", TERM="dumb"))
        os.close(terminal)
        self.assertEqual(ended.returncode, 0, ended)
        self.assertEqual(b"built without line editing (GEMMA_WITH_LINE_EDITING)" in ended.stderr,
                         not self.parts["GEMMA_WITH_LINE_EDITING"])


if __name__ == "__main__":
    unittest.main()
