#!/usr/bin/env python3
"""What gemma chat and gemma run show on a pseudo-terminal, and the commands of a chat that need one."""
import base64
import json
import re
import shutil
import unittest

from chat_terminal_test import CTRL_C, CTRL_D, MODEL, PROMPT, Terminal, TerminalTest
from command import TESTDATA, gemma, write_record

BASE = TESTDATA / "gguf" / "gemma_fill.gguf"


class StartTest(TerminalTest):
    def test_first_line_describes_model(self):
        chat = self.open("-n", "3", "--threads", "1", "--context", "300")
        self.assertRegex(chat.shown, rb"gemma3_mixed\.gguf: \w+[^,]*, context of 300 tokens, 1 thread\r\n/help lists")

    def test_run_without_prompt_chats(self):
        terminal = Terminal(self.folder, [], {"LC_ALL": "C.UTF-8"}, command=("run", MODEL, "-n", "3"))
        self.addCleanup(terminal.close)
        terminal.prompt()
        self.assertIn(b"/help lists commands", terminal.shown)
        terminal.line("one")
        self.assertEqual(self.messages(terminal), ["one"])

    def test_base_model_wants_prompt(self):
        for command in (("run", BASE, "-n", "3"), ("run", MODEL, "--raw", "-n", "3"), ("run", MODEL, "-", "-n", "3"),
                        ("run", MODEL, "-n", "3", "-o", "answer")):
            terminal = Terminal(self.folder, [], {}, command=command)
            self.addCleanup(terminal.close)
            terminal.wait_for(b"type the prompt, then Enter and Ctrl-D")
            terminal.type(b"one\r" + CTRL_D)
            self.assertEqual(terminal.end(), 0)
            self.assertNotIn(PROMPT, terminal.shown)


class AnswerTest(TerminalTest):
    def run_command(self, *command, columns=200, **environment):
        terminal = Terminal(self.folder, [], {"LC_ALL": "C.UTF-8", **environment}, command=("run", *command),
                            columns=columns)
        self.addCleanup(terminal.close)
        self.assertEqual(terminal.end(), 0, terminal.shown)
        return terminal.shown

    def test_completion_follows_its_prompt(self):
        words = "one two three four five six seven eight nine"
        arguments = (BASE, words, "-n", "2", "--temperature", "0")
        shown = self.run_command(*arguments, columns=20)
        note = shown.index(b"gemma: a base model:\r\n       it completes\r\n")
        echo = shown.index(b"\x1b[2mone two three four\r\nfive six seven eight\r\nnine\x1b[0m")
        self.assertLess(note, echo)
        self.assertNotIn(b"a base model", shown[echo:])
        self.assertIn(b"[cut at 2 tokens:\r\n--max-tokens]", shown[echo:])
        # Nothing of this is in a pipe, nor on a terminal that cannot move.
        self.assertNotIn("one two", self.succeeds("run", *arguments))
        self.assertNotIn(b"one two", self.run_command(*arguments, TERM="dumb"))
        self.assertRegex(self.run_command(*arguments, NO_COLOR="1"), rb"\none two[^\x1b]*\Z")

    def test_ctrl_c_with_a_file(self):
        terminal = Terminal(self.folder, [], {"LC_ALL": "C.UTF-8"},
                            command=("run", MODEL, "g", "-c", "200000", "--temperature", "0", "-o", "answer"))
        self.addCleanup(terminal.close)
        terminal.wait_for(b"your prompt is a chat turn")
        terminal.type(CTRL_C)  # while the prompt is read, or later
        self.assertEqual(terminal.end(), 130)
        self.assertRegex(terminal.shown, rb"\^C(\r\ngemma: prompt: [^\n]*; interrupted\r\n)?"
                                         rb"gemma: interrupted: answer is not written\r\n\Z")

    def test_chat_marks_cut_answers(self):
        chat = self.open("-n", "3")
        chat.line("one")
        self.assertIn(b"[cut at 3 tokens: /set max-tokens]", chat.shown)
        piped = self.succeeds("chat", MODEL, "-n", "3", stdin=b"one\n")
        self.assertNotIn("cut", piped)


class NarrowTest(TerminalTest):
    """At 45 columns, no line breaks inside a word: not those of notes, of errors and of lists."""
    LINES = ("/help", "/set", "/set verbose", "/sve x", "/undo now", "one", "/retry", "/tokens", "/stats", "/copy",
             "/set num_ctx 5", "/set context 0", "/load none", "/model nowhere", "/undo", "/undo", "/set top-k 4")

    def lines_of(self, columns):
        shutil.copy(MODEL, self.folder / "toy.gguf")
        terminal = Terminal(self.folder, [], {"LC_ALL": "C.UTF-8"}, columns=columns,
                            command=("chat", "toy.gguf", "-n", "3", "--seed", "1", "-t", "1"))
        self.addCleanup(terminal.close)
        terminal.prompt()
        lines = []
        for line in self.LINES:
            terminal.line(line)
        for line in re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\][^\x07]*\x07", b"", terminal.shown).split(b"\r\n"):
            if not line.startswith(b">"):
                lines.append(line)
        return lines

    def test_words_stay_whole(self):
        wide, narrow = self.lines_of(1000), self.lines_of(45)
        self.assertGreater(len(narrow), len(wide) + 10)
        self.assertLessEqual(max(map(len, narrow)), 45)
        words, wanted = (re.sub(rb"[0-9.]+ +tok/s", b"tok/s", b" ".join(lines)).split() for lines in (narrow, wide))
        self.assertEqual(words, wanted)
        self.assertIn(b"  /undo                   Remove the last", narrow)
        self.assertIn(b"    message and its answer", narrow)


class CommandsTest(TerminalTest):
    def test_other_programs_words(self):
        chat = self.open()
        chat.line("/?")
        self.assertIn(b"/copy", chat.shown)
        for line, says in (("/show info", b"gemma3_mixed.gguf: "), ("/set system x", b"the system message is set"),
                           ("/show license", b"/model shows the model"), ("/load none", b"/model NAME changes"),
                           ("/set parameter temperature 0.5", b""), ("/set", b"temperature: 0.5\r\n")):
            begin = len(chat.shown)
            chat.line(line)
            self.assertIn(says, chat.shown[begin:])
        chat.line("one")
        chat.line("/retry")
        chat.type("/bye\r")
        self.assertEqual(chat.end(), 0)

    def test_copy_fills_the_clipboard(self):
        chat = self.open()
        chat.line("/copy")
        self.assertIn(b"there is no answer yet", chat.shown)
        chat.line("one")
        chat.line("/copy")
        path = self.folder / "saved.json"
        chat.line(f"/save {path}")
        answer = json.loads(path.read_text())["messages"][1]["text"]
        self.assertIn(b"\x1b]52;c;" + base64.b64encode(answer.encode()) + b"\x07", chat.shown)
        self.assertIn(f"sent {len(answer.encode())} byte".encode(), chat.shown)
        result = self.succeeds("chat", MODEL, "-n", "3", stdin=b"one\n")
        self.assertNotIn("\x1b", result)

    def test_save_keeps_other_files(self):
        path = self.folder / "mine.json"
        path.write_text("")
        chat = self.open()
        chat.line("one")
        chat.line(f"/save {path}")
        self.assertIn(b"already exists", chat.shown)
        self.assertIn(f"/save {path} --force replaces it".encode(), chat.shown)
        self.assertEqual(path.read_text(), "")
        chat.line(f"/save {path} --force")
        self.assertIn(b"saved 1 turn", chat.shown)
        chat.line("two")
        chat.line(f"/save {path}")  # the chat's own file
        self.assertEqual(len(json.loads(path.read_text())["messages"]), 4)

    def test_another_model_reads_on(self):
        other = self.folder / "other.gguf"
        shutil.copy(MODEL, other)
        chat = self.open("-n", "3", "--threads", "1")
        chat.line("one")
        chat.line("/model")
        for model, says in (("none", b"No such file"), (BASE, b"/model NAME changes to an instruction-tuned one")):
            chat.line(f"/model {model}")
            self.assertIn(says, chat.shown)
            self.assertNotIn(b"--chat", chat.shown)
            chat.line("/model")
            self.assertIn(b"gemma3_mixed.gguf: ", chat.shown[-400:])
        chat.line(f"/model {other}")
        self.assertIn(b"it reads the turn with the next message", chat.shown)
        chat.line("two")
        chat.line("/tokens")
        self.assertIn(b"turn 2: ", chat.shown)
        chat.line("/model")
        self.assertIn(b"other.gguf: ", chat.shown[-400:])
        self.assertEqual(self.messages(chat), ["one", "two"])

    def test_tab_completes_pulled_models(self):
        write_record(self.folder / "store", "toy")
        chat = self.open("-n", "3", GEMMA_MODELS=str(self.folder / "store"))
        chat.line("/model")
        self.assertIn(b"pulled models: toy", chat.shown)
        chat.line("/model t\t")
        self.assertIn(b"/store/toy/m.gguf: No such file", chat.shown)  # the record is all that is there

    def test_a_full_context_offers_ways(self):
        chat = self.open("--context", "40", "--context-policy", "error")
        chat.line("one")
        for word in (b"/undo", b"/clear", b"/save", b"/set context"):
            self.assertIn(word, chat.shown[chat.shown.index(b"is full"):])


class StopTest(TerminalTest):
    def test_escapes_are_told(self):
        for text, says in (("\\n", "--stop '\\n': \\n is a line end"), ("a\\d", "--stop 'a\\d': the backslash stays")):
            result = self.gemma_run("--stop", text)
            self.assertIn(says, result.stderr.decode())
            self.assertNotIn(says, self.gemma_run("--stop", text, "-q").stderr.decode())
        self.assertNotIn("--stop", self.gemma_run("--stop", "\n").stderr.decode())

    def gemma_run(self, *options):
        result = gemma("run", MODEL, "one", "-n", "3", *options)
        self.assertEqual(result.returncode, 0, result)
        return result


class OrderTest(TerminalTest):
    def test_model_comes_first(self):
        self.fails(1, "run", "Once upon a time", says="'Once upon a time': No such file",
                   cure="the model comes first (gemma run MODEL")
        self.fails(1, "run", "hello", MODEL, says="'hello': No such file", cure=f"gemma run {MODEL}")

    def test_bare_commands_say_how(self):
        for command in ("run", "chat", "serve"):
            self.fails(2, command, says="MODEL is required", cure=f"gemma {command} MODEL")


if __name__ == "__main__":
    unittest.main()
