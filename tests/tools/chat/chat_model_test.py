#!/usr/bin/env python3
"""/model: what another model keeps of the chat and its options, and what is said if it cannot be had."""
import json
import shutil
import unittest

from chat_terminal_test import MODEL, TerminalTest
from command import TESTDATA, gemma, rewrite_gguf
from machine.lora_test import write_adapter

OTHER = TESTDATA / "gguf" / "gemma4_chat.gguf"
SAE = TESTDATA / "scope/gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4/params.npz"
CHATML = json.loads((TESTDATA / "chat" / "goldens.json").read_text(encoding="utf-8"))["templates"]["chatml"]
TEMPLATE = "tokenizer.chat_template"


class ModelTest(TerminalTest):
    def setUp(self):
        super().setUp()
        self.copy = self.folder / "copy.gguf"
        shutil.copy(MODEL, self.copy)

    def says(self, *lines, arguments=()):
        result = gemma("chat", MODEL, "--chat", "-n", 3, "-t", 1, *arguments, stdin="".join(f"{x}\n" for x in lines).encode())
        self.assertEqual(result.returncode, 0, result)
        return result.stderr.decode()

    def with_template(self, text):
        path = self.folder / "template.gguf"
        rewrite_gguf(MODEL, path, texts={TEMPLATE: text})
        return path

    def test_context_is_kept(self):
        chosen = self.says("/set context 512", f"/model {self.copy}")
        self.assertIn("copy.gguf: ", chosen)
        self.assertIn(", context of 512 tokens, ", chosen)
        self.assertIn("context of 300 tokens", self.says(f"/model {self.copy}", arguments=["-c", 300]))
        # Without a choice, each model decides.
        self.assertIn("context of 512 tokens", self.says(f"/model {OTHER}"))

    def test_options_are_named(self):
        said = self.says(f"/model {self.copy}", arguments=["--chat-template", "gemma", "--steer", f"{SAE}:3=0.5",
                                                           "--ablate", f"{SAE}:2"])
        self.assertTrue(said.endswith(f", 1 thread, --chat-template gemma, --steer {SAE}:3=0.5, --ablate {SAE}:2\n"), said)

    def test_adapter_is_named_or_refused(self):
        adapter = self.folder / "adapter"
        write_adapter(adapter, "model.layers.0.self_attn.q_proj", 256, 256)
        said = self.says(f"/model {self.copy}", "one", arguments=["--lora", adapter])
        self.assertIn("copy.gguf: ", said)
        self.assertTrue(said.endswith(f", adapter {adapter}\n"), said)
        chat = self.open("-n", "3", "--lora", str(adapter), columns=1000)
        chat.line("one")
        begin = len(chat.shown)
        chat.line(f"/model {OTHER}")
        self.assertIn(b"adapter_model.safetensors: ", chat.shown[begin:])
        self.assertIn(f"gemma: the chat goes on with {MODEL}\r\n".encode(), chat.shown[begin:])
        chat.line("two")
        self.assertEqual(self.messages(chat), ["one", "two"])

    def test_turns_note_names_no_option(self):
        said = self.says(f"/model {self.with_template(CHATML)}")
        self.assertRegex(said, r"\ngemma: the turns are those of [^\n(]*template.gguf: tokenizer.chat_template, because [^\n(]*\n")

    def test_failures_keep_the_chat(self):
        chat = self.open("-n", "3", "--chat", "--steer", f"{SAE}:3=0.5", columns=1000)
        chat.line("one")
        broken = self.with_template("{% if %}")
        for model, says in ((OTHER, f"gemma: the chat goes on with {MODEL}\r\n"),
                            (broken, f"gemma: /save FILE, then gemma chat {broken} --chat-template gemma and /load FILE "),
                            ("not a model", "gemma: gemma list shows the pulled models\r\n"),
                            (SAE.parent, "gemma pull fetches models")):
            begin = len(chat.shown)
            chat.line(f"/model {model}")
            self.assertIn(says.encode(), chat.shown[begin:])
            for word in (b"--context", b"gemma run", b"--raw"):
                self.assertNotIn(word, chat.shown[begin:])
        chat.line("two")
        self.assertEqual(self.messages(chat), ["one", "two"])

    def test_turns_must_fit(self):
        chat = self.open("-n", "3", "--chat", "--context-policy", "error", columns=1000)
        chat.line("the " * 600)
        begin = len(chat.shown)
        chat.line(f"/model {OTHER}")
        self.assertIn(b"1 turn has ", chat.shown[begin:])
        self.assertIn(b"/set context 1024, /set context-policy drop-oldest-turns, /undo or /clear", chat.shown[begin:])
        chat.line("/set context 1024")
        chat.line(f"/model {OTHER}")
        self.assertIn(b"context of 1024 tokens, ", chat.shown)
        self.assertIn(b"it reads the turn with the next message", chat.shown)


if __name__ == "__main__":
    unittest.main()
