#!/usr/bin/env python3
"""gemma chat without a terminal, with a toy model whose answers make no sense."""
import json
import os
import re
import unittest

from command import TESTDATA, CommandTest, gemma

MODEL = TESTDATA / "gguf" / "gemma3_mixed.gguf"
GREEDY = ["--temperature", "0", "-n", "4"]


class ChatTest(CommandTest):
    def chat(self, *lines, arguments=()):
        text = "".join(line + "\n" for line in lines)
        return gemma("chat", MODEL, *GREEDY, *arguments, stdin=text.encode())

    def says(self, *lines, arguments=()):
        """Standard error of a chat that succeeds."""
        result = self.chat(*lines, arguments=arguments)
        self.assertEqual(result.returncode, 0, result)
        return result.stderr.decode()

    def saved(self, *lines, arguments=()):
        """The conversation after these lines."""
        path = self.folder / "saved.json"
        self.says(*lines, f"/save {path} --force", arguments=arguments)
        return json.loads(path.read_text())

    def messages(self, *lines):
        return [m["text"] for m in self.saved(*lines)["messages"] if m["role"] == "user"]

    def test_a_line_is_a_message(self):
        self.assertEqual(self.messages("one", "", '"""', "  two  ", "//three"), ["one", '"""', "  two  ", "/three"])

    def test_a_set_seed_begins_anew(self):
        text = self.says("/set temperature 1", "one", "two", "/set seed 5", "three", "four", "/clear", "/set seed 5", "five",
                         arguments=["-v", "--seed", 1])
        self.assertEqual(re.findall(r"seed (\d+)", text), ["1", "2", "5", "6", "5"])

    def test_standard_error_is_silent(self):
        self.assertEqual(self.says("one", "two"), "")

    def test_verbose_tells_speed_and_context(self):
        text = self.says("one", "two", arguments=["-v"])
        self.assertRegex(text, r"\A(gemma: prompt: \d+ tokens, [\d.]+ tok/s; answer: 4 tokens, [^\n]*; "
                               r"context: \d+ of 4096 tokens \(\d+ left\)\n){2}\Z")

    def test_help_lists_every_command(self):
        text = self.says("/help")
        for command in ("system", "set", "regen", "undo", "save", "load", "read", "tokens", "stats", "clear", "exit"):
            self.assertRegex(text, rf"(?m)^  /{command} ")

    def test_a_wrong_command_ends_it(self):
        result = self.chat("/sve x", "Hello")
        self.assertEqual((result.returncode, result.stdout), (1, b""))
        self.assertRegex(result.stderr.decode(), r"\Agemma: no command '/sve'; did you mean /save\? [^\n]*\n\Z")

    def test_system(self):
        text = self.says("/system", "/system Be brief.", "/system", "Hello", "/system Be kind.",
                         arguments=["--system", "Be wise."])
        self.assertEqual(text.splitlines()[:2], ["Be wise.", "the system message is set"])
        self.assertIn("\nBe brief.\n", text)
        self.assertIn("reads the turn again", text)
        self.assertIn("reads the 2 turns again", self.says("one", "two", "/system Be kind."))
        self.assertEqual(self.saved("/system Be brief.", "Hello")["system"], "Be brief.")

    def test_system_message_keeps_turns(self):
        plain = self.saved("one", "two")["messages"]
        other = self.saved("one", "/system Say other things.", "two")["messages"]
        self.assertEqual(plain[:3], other[:3])
        text = self.says("one", "/tokens", "/system S", "/tokens")
        used = [int(n) for n in re.findall(r"context: (\d+) of", text)]
        self.assertGreater(used[1], used[0])
        self.assertIn(f"{used[1]} tokens still to be read", text)

    def test_settings(self):
        text = self.says("/set", "/set top-k 7", "/set max-tokens 2", "/set", "/set top-k", "/set",
                         arguments=["--top-k", "9"])
        self.assertEqual(re.findall(r"top-k: (\d+)", text), ["9", "7", "9"])
        self.assertEqual(re.findall(r"max-tokens: (\d+)", text), ["4", "2", "2"])
        text = self.says("/set top-k\t5", "/set repeat_penalty 1.5", "/set")
        self.assertIn("top-k: 5\n", text)
        self.assertIn("repetition-penalty: 1.5\n", text)
        for line, says in (("/set top-k x", "'x'"), ("/set topk 1", "did you mean top-k?"),
                           ("/set temperature -1", "wanted 0 or more")):
            result = self.chat(line)
            self.assertEqual(result.returncode, 1)
            self.assertIn(says, result.stderr.decode())

    def test_undo_and_clear(self):
        self.assertEqual(self.messages("one", "two", "/undo", "three"), ["one", "three"])
        self.assertEqual(self.messages("one", "two", "/clear"), [])
        self.assertEqual(self.saved("/system S", "one", "/clear")["system"], "S")
        # The next answer is the same as without the removed turn.
        self.assertEqual(self.saved("one", "two", "/undo", "three")["messages"],
                         self.saved("one", "three")["messages"])
        for command in ("/undo", "/regen"):
            result = self.chat(command)
            self.assertEqual((result.returncode, result.stderr), (1, b"gemma: there is no answer yet\n"))

    def test_regen(self):
        warm = ["--temperature", "2", "--top-k", "0", "--top-p", "1", "-n", "20"]

        def chat(*lines):
            path = self.folder / "saved.json"
            text = "".join(line + "\n" for line in (*lines, f"/save {path} --force"))
            result = gemma("chat", MODEL, *warm, stdin=text.encode())
            self.assertEqual(result.returncode, 0, result)
            return json.loads(path.read_text())["messages"]
        first, again = chat("one"), chat("one", "/regen")
        self.assertEqual(len(again), 2)
        self.assertEqual(first[0], again[0])
        self.assertNotEqual(first[1], again[1])
        self.assertNotEqual(first, chat("one"))  # each chat draws its seed
        self.assertEqual(chat("/set seed 7", "one"), chat("/set seed 7", "one"))

    def test_context_and_policy_change_inside(self):
        long = "the " * 30
        cramped = self.chat(*[long] * 6, arguments=["--context", 96])
        self.assertEqual(cramped.returncode, 1)
        self.assertIn(b"/set context 512, /set context-policy drop-oldest-turns, /undo or /clear makes room; "
                      b"/save FILE keeps the chat", cramped.stderr)
        text = self.says("/set context-policy drop-oldest-turns", *[long] * 6, "/set", arguments=["--context", 96])
        self.assertIn("forgot the oldest turn", text)
        self.assertIn("context-policy: drop-oldest-turns\n", text)
        text = self.says("one", "/set context 1024", *[long] * 6, "/set", "/tokens", arguments=["--context", 96])
        self.assertIn("the model reads the turn again with the next message", text)
        # Only a larger context helps a message that is too long by itself.
        alone = self.chat("one", "the " * 150, arguments=["--context", 96])
        self.assertRegex(alone.stderr.decode(), r"\A[^\n]* 96 fit in the context\ngemma: /set context 512 holds it\n\Z")
        reset = self.says("/set context 80", "/set context", "/set context-policy", "/set", arguments=["--context", 96])
        self.assertIn("context is reset to its value at the start: 96\n", reset)
        self.assertIn("context-policy is reset to its value at the start: error\n", reset)
        self.assertIn("context: 96\n", reset)
        self.assertRegex(self.says("/set context 200000"), r"\Agemma: the model was trained on \d+ tokens: [^\n]*\n\Z")
        self.assertIn("context: 1024\n", text)
        self.assertIn("turn 7: ", text)
        for line, says in (("/set context 0", "context: '0' is not a whole number"),
                           ("/set context-policy x", "context-policy: 'x' is not one of error|drop-oldest-turns"),
                           ("/set verbose maybe", "verbose: 'maybe' is not on or off"),
                           ("/set contxt 5", "did you mean context?")):
            result = self.chat(line)
            self.assertEqual(result.returncode, 1)
            self.assertIn(says, result.stderr.decode())

    def test_options_of_the_start_lead(self):
        options = set(re.findall(r"(?m)^  (?:-\w, )?--([\w-]+)", self.succeeds_quietly("chat", "--help-all")))
        settings = set(re.findall(r"(?m)^([\w-]+): ", self.says("/set")))
        # /system and /think have commands, and of quiet, /set says more.
        only_at_start = options - settings - {"help", "help-all", "quiet", "system", "think"}
        self.assertGreaterEqual(len(only_at_start), 20)
        for name in only_at_start:
            result = self.chat(f"/set {name} 1")
            self.assertEqual(result.returncode, 1)
            self.assertEqual(result.stderr.decode(),
                             f"gemma: no setting '{name}'\ngemma: --{name} sets it at the start\n")

    def test_verbose_inside(self):
        text = self.says("/set verbose", "one", "/set verbose off", "two")
        self.assertEqual(text.count("; context: "), 1)

    def test_markdown_inside(self):
        text = self.says("/set markdown on", "/set", "/set markdown", "/set", arguments=["--markdown", "off"])
        self.assertEqual(re.findall(r"markdown: (\w+)", text), ["on", "off"])
        self.assertIn("'x' is not on or off", self.chat("/set markdown x").stderr.decode())

    def test_a_loaded_conversation_goes_on(self):
        path = self.folder / "chat.json"
        whole = self.saved("/system S", "one", "/set max-tokens 3", "two", arguments=["--seed", 5])
        self.says("/system S", "one", "/set max-tokens 3", f"/save {path}", arguments=["--seed", 5])
        text = self.says(f"/load {path}", "/system", "/set")
        self.assertIn("loaded 1 turn; context: ", text)
        self.assertIn("\nS\n", text)
        self.assertIn("max-tokens: 3\n", text)
        loaded = self.saved(f"/load {path}", "two")
        self.assertEqual(loaded["messages"][:3], whole["messages"][:3])
        self.assertEqual(loaded["settings"], whole["settings"])

    def test_files_that_are_no_conversation(self):
        path = self.folder / "notes.txt"
        path.write_text("hello")
        for command, word in (("/load", ""), ("/save", ""), ("/save", " --force")):
            result = self.chat(f"{command} {path}{word}")
            self.assertEqual(result.returncode, 1)
            self.assertIn(str(path), result.stderr.decode())
            if not (command == "/save" and word == ""):
                self.assertIn("is not a saved chat", result.stderr.decode())
        self.assertEqual(path.read_text(), "hello")
        self.assertEqual(self.chat(f"/load {self.folder}/none").returncode, 1)

    def test_loaded_escape_sequence_is_shown(self):
        path = self.folder / "chat.json"
        path.write_text(json.dumps({"format": "gemma chat", "version": 1, "system": "a\x1b[2Jb\x9b",
                                    "messages": [{"role": "user", "text": "\x1b[31m"},
                                                 {"role": "model", "text": "x"}]}))
        text = self.says(f"/load {path}", "/system", "/tokens", "/undo")
        self.assertIn(r"a\x1b[2Jb\xc2\x9b", text)
        self.assertNotRegex(text, "[\x00-\x08\x0b-\x1f\x7f-\x9f]")

    def test_read(self):
        path = self.folder / "notes.txt"
        path.write_text("first line\ncaf\u00e9\n")
        text = self.says(f"/read {path}")
        self.assertRegex(text, r"notes.txt: \d+ tokens in front of the next message")
        message, other = self.messages(f"/read {path}", "What is it?", "other")
        self.assertEqual((message, other), ("first line\ncaf\u00e9\n\n\nWhat is it?", "other"))
        self.assertEqual(self.messages(f"/read {path}", f"/read {path}", "x")[0].count("first line"), 2)
        self.assertEqual(self.messages(f"/read {path}", "/clear", "x"), ["x"])

    def test_files_that_cannot_be_read(self):
        path = self.folder / "notes.txt"
        path.write_bytes(b"caf\xe9")
        os.mkfifo(self.folder / "pipe")
        long = self.folder / "long.txt"
        long.write_text("word " * 5000)
        for name, says in ((path, "byte 3 (0xE9) is not UTF-8"), (self.folder / "none", "No such file"),
                           (self.folder, "not a file"), (self.folder / "pipe", "not a file"), ("-", "-"),
                           (long, "tokens, fewer than 4096 fit in the context\n"
                                  "gemma: /set context 32768 holds it")):
            result = self.chat(f"/read {name}", "Hello")
            self.assertEqual((result.returncode, result.stdout), (1, b""), name)
            self.assertIn(says, result.stderr.decode())

    def test_read_makes_room(self):
        path = self.folder / "notes.txt"
        path.write_text("the " * 60)
        lines = ["the " * 30, f"/read {path}", "and?"]
        refused = self.chat(*lines, arguments=["--context", 96])
        self.assertEqual(refused.returncode, 1)
        self.assertRegex(refused.stderr.decode(),
                         r"\A[^\n]*notes.txt: has \d+ tokens, \d+ of the context's 96 are left\n"
                         r"gemma: /set context 512, /set context-policy drop-oldest-turns, /undo or "
                         r"/clear makes room; /save FILE keeps the chat\n\Z")
        text = self.says("/set context-policy drop-oldest-turns", *lines, arguments=["--context", 96])
        self.assertIn("forgot the oldest turn", text)

    def test_tokens_and_stats(self):
        text = self.says("/tokens", "/stats", "one", "a longer message", "/tokens", "/stats")
        self.assertIn("context: 0 of 4096 tokens (4096 left)\nthere is no answer yet\n", text)
        turns = re.findall(r"turn (\d): (\d+) tokens: (.*)\n", text)
        self.assertEqual([(n, message) for n, _, message in turns], [("1", "one"), ("2", "a longer message")])
        used = sum(int(tokens) for _, tokens, _ in turns)
        self.assertIn(f"context: {used} of 4096 tokens ({4096 - used} left)\n", text)
        self.assertRegex(text, r"last answer: prompt: \d+ tokens, [^\n]*\n"
                               r"all: 2 answers; prompts: \d+ tokens, [\d.]+ tok/s; answers: 8 tokens, [\d.]+ tok/s")

    def test_quiet_shows_requested_text_only(self):
        text = self.says("/system S", "/system", "one", "/undo", arguments=["--quiet"])
        self.assertEqual(text, "S\n")

    def test_too_long_turns_are_refused(self):
        path = self.folder / "chat.json"
        self.says(*["a message of some words"] * 12, f"/save {path}")
        result = self.chat(f"/load {path}", arguments=["--context", "64"])
        self.assertEqual(result.returncode, 1)
        self.assertIn("64 fit in the context", result.stderr.decode())
        text = self.says(f"/load {path}", arguments=["--context", "64", "--context-policy", "drop-oldest-turns"])
        self.assertRegex(text, r"loaded 12 turns; context: \d+ of 64 tokens \(0 left\); the next message drops the "
                               r"oldest turns\n\Z")


if __name__ == "__main__":
    unittest.main()
