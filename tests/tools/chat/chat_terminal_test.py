#!/usr/bin/env python3
"""gemma chat on a pseudo-terminal, with a toy model. The file that /save writes shows what the chat received."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import stat
import struct
import termios
import unittest

from command import BINARY, TESTDATA, CommandTest

MODEL = TESTDATA / "gguf" / "gemma3_mixed.gguf"
PROMPT = b"\x1b[?2004h"  # pastes are bracketed while a line is read
LEFT, UP, HOME = b"\x1b[D", b"\x1b[A", b"\x1b[H"
CTRL_C, CTRL_D, CTRL_R, CTRL_W, CTRL_Z, TAB = b"\x03", b"\x04", b"\x12", b"\x17", b"\x1a", b"\t"
SECONDS = 60


class Terminal:
    """A command on a pseudo-terminal, by default a chat."""

    def __init__(self, folder, arguments, environment, command=("chat", MODEL, "--temperature", "0"), columns=200):
        variables = {name: value for name, value in os.environ.items()
                     if not re.match(r"LC_|LANG|GEMMA_|XDG_|NO_COLOR|EDITRC", name)}
        variables.update({"HOME": str(folder), "TERM": "xterm", "XDG_STATE_HOME": str(folder / "state"),
                          **environment})
        self.shown = b""
        self.seen = 0  # number of prompts that prompt() has waited for
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.execve(BINARY, [str(word) for word in (BINARY, *command, *arguments)], variables)
        self.status = None

    def read_some(self):
        """Returns whether output came before the deadline."""
        ready, _, _ = select.select([self.master], [], [], SECONDS)
        try:
            data = os.read(self.master, 65536) if ready else b""
        except OSError:  # the other side is closed
            data = b""
        self.shown += data
        return data != b""

    def wait_for(self, text, after=0):
        while text not in self.shown[after:]:
            if not self.read_some():
                raise AssertionError(f"{text!r} was not shown, but {self.shown!r}")

    def prompt(self):
        """Waits for the next prompt."""
        self.seen += 1
        while self.shown.count(PROMPT) < self.seen:
            if not self.read_some():
                raise AssertionError(f"no prompt {self.seen}: {self.shown!r}")

    def type(self, keys):
        os.write(self.master, keys.encode() if isinstance(keys, str) else keys)

    def line(self, keys):
        """Types a line and waits for the next prompt."""
        self.type(keys if isinstance(keys, bytes) else keys.encode())
        self.type(b"\r")
        self.prompt()

    def mode(self):
        return termios.tcgetattr(self.master)

    def end(self):
        """Waits for the end of the chat. Returns the exit code, or the negative number of a signal."""
        while self.read_some():
            pass
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)


class TerminalTest(CommandTest):
    def open(self, *arguments, columns=200, **environment):
        terminal = Terminal(self.folder, arguments or ["-n", "3"], {"LC_ALL": "C.UTF-8", **environment},
                            columns=columns)
        self.addCleanup(terminal.close)
        terminal.prompt()
        return terminal

    def messages(self, terminal):
        """Ends the chat and returns the user's messages."""
        path = self.folder / "saved.json"
        terminal.line(f"/save {path}")
        terminal.type(CTRL_D)
        self.assertEqual(terminal.end(), 0, terminal.shown)
        return [m["text"] for m in json.loads(path.read_text())["messages"] if m["role"] == "user"]


class EditingTest(TerminalTest):
    def test_keys_edit_the_line(self):
        chat = self.open()
        chat.line(b"held" + LEFT + b"l" + LEFT * 4 + b"X\x7f" + b"the ")
        chat.line(b"one two" + CTRL_W + b"three" + HOME + b"not ")
        chat.line(b"abc" + HOME + b"\x1b[3~")
        self.assertEqual(self.messages(chat), ["the helld", "not one three", "bc"])

    def test_characters_are_whole(self):
        for locale in ("C.UTF-8", "C"):
            chat = self.open(LC_ALL=locale)
            chat.line("caf\u00e9 \U0001f600x".encode() + LEFT + b"\x7f" + LEFT + b"\x7f\xffy")
            self.assertEqual(self.messages(chat), ["cafy x"])

    def test_line_wider_than_the_terminal(self):
        chat = self.open()
        text = "word " * 300 + "end"
        chat.line(text)
        self.assertEqual(self.messages(chat), [text])

    def test_another_size_of_the_terminal(self):
        chat = self.open()
        chat.type(b"hel")
        chat.wait_for(b"hel")
        fcntl.ioctl(chat.master, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 40, 0, 0))
        chat.line(b"lo")
        self.assertEqual(self.messages(chat), ["hello"])

    def test_a_suspended_chat_goes_on(self):
        chat = self.open()
        # The kernel does not stop this process, because no parent in its session could continue it.
        chat.type(b"hel" + CTRL_Z)
        chat.prompt()
        chat.line(b"lo")
        self.assertEqual(self.messages(chat), ["hello"])


class HistoryTest(TerminalTest):
    def test_next_chat_finds_lines(self):
        chat = self.open()
        chat.line("first caf\u00e9")
        chat.line("second")
        chat.type(CTRL_D)
        self.assertEqual(chat.end(), 0)
        path = self.folder / "state" / "gemma" / "history"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)

        chat = self.open()
        chat.line(UP + UP + b"!")
        chat.line(CTRL_R + b"seco")
        chat.line(UP + UP)
        self.assertEqual(self.messages(chat), ["first caf\u00e9!", "second", "first caf\u00e9!"])

    def test_killed_chat_keeps_lines(self):
        chat = self.open()
        chat.line("first")
        os.kill(chat.pid, signal.SIGKILL)
        self.assertEqual(chat.end(), -signal.SIGKILL)
        chat = self.open()
        chat.line(UP + b"!")
        self.assertEqual(self.messages(chat), ["first!"])

    def test_history_off_or_elsewhere(self):
        chat = self.open(GEMMA_HISTORY="")
        chat.line("first")
        chat.line(UP + b"!")  # still in memory
        self.assertEqual(self.messages(chat), ["first", "first!"])
        self.assertFalse((self.folder / "state").exists())
        chat = self.open(GEMMA_HISTORY=str(self.folder / "elsewhere"))
        chat.line("first")
        chat.type(CTRL_D)
        self.assertEqual(chat.end(), 0)
        self.assertIn("first", (self.folder / "elsewhere").read_text())

    def test_foreign_history_file_is_kept(self):
        path = self.folder / "notes"
        path.write_text("important\n")
        chat = self.open(GEMMA_HISTORY=str(path))
        self.assertIn(b"not a history", chat.shown)
        chat.line("first")
        self.assertEqual(self.messages(chat), ["first"])
        self.assertEqual(path.read_text(), "important\n")


class CompletionTest(TerminalTest):
    def test_commands_and_files(self):
        (self.folder / "caf\u00e9 notes.txt").write_text("something\n")
        chat = self.open()
        chat.line(b"/re" + TAB + TAB + b"ad caf" + TAB)
        self.assertIn(b"/regen", chat.shown)  # a choice
        self.assertIn("notes.txt: ".encode(), chat.shown)
        chat.line("/sys" + "\t" + "Be brief.")
        chat.line("/system")
        self.assertIn(b"Be brief.\x1b[0m\r\n", chat.shown)
        chat.line("go")
        self.assertEqual(self.messages(chat), ["something\n\n\ngo"])


class SeveralLinesTest(TerminalTest):
    def test_a_paste_is_one_message(self):
        chat = self.open()
        chat.type(b"say: \x1b[200~one\rtwo\r/undo\x07\x1b[31m\r\r\x1b[201~")
        chat.wait_for(b"/undo")
        for shown in (b"one", b"two"):
            self.assertIn(shown, chat.shown)
        self.assertNotIn(b"\x1b[31m", chat.shown)
        chat.line(b"!")
        chat.line(b"\x1b[200~single\x1b[201~ line")
        self.assertEqual(self.messages(chat), ["say: one\ntwo\n/undo[31m!", "single line"])

    def test_long_paste_enters_history(self):
        lines = [f"line {i} of the paste" for i in range(200)]
        chat = self.open("-n", "3", "--context", "20000")
        chat.line(b"\x1b[200~" + "\r".join(lines).encode() + b"\x1b[201~")
        chat.line(UP + b"!")
        text = "\n".join(lines)
        self.assertEqual(self.messages(chat), [text, text + "!"])

    def test_a_block(self):
        chat = self.open()
        for line in ('"""', "/undo", "", "two", '"""'):
            chat.line(line)
        for line in ('"""one', 'two"""'):
            chat.line(line)
        chat.line('"""in one line"""')
        chat.line(UP + UP)
        self.assertEqual(self.messages(chat), ["/undo\n\ntwo", "one\ntwo", "in one line", "one\ntwo"])

    def test_ctrl_c_leaves_a_block(self):
        chat = self.open()
        chat.line('"""one')
        chat.type(b"tw" + CTRL_C)
        chat.prompt()
        chat.line("three")
        self.assertEqual(self.messages(chat), ["three"])


class InterruptTest(TerminalTest):
    def test_during_an_answer(self):
        # No token ends the answer.
        chat = self.open("--context", "200000", "--logit-bias", "1=-1e9", "--logit-bias", "6=-1e9")
        chat.type(b"g\r")
        start = len(chat.shown)
        while len(chat.shown) < start + 2000:  # the answer streams
            self.assertTrue(chat.read_some())
        self.assertTrue(chat.mode()[3] & termios.ISIG)
        chat.type(CTRL_C)
        chat.prompt()
        self.assertIn(b"stopped; the part already shown stays", chat.shown)
        chat.line("/set max-tokens 3")
        chat.line("and?")
        path = self.folder / "saved.json"
        chat.line(f"/save {path}")
        first, answer, second, _ = json.loads(path.read_text())["messages"]
        self.assertEqual((first["text"], second["text"]), ("g", "and?"))
        self.assertGreater(len(answer["text"]), 100)
        # The Ctrl-C during the answer does not count: this one does not end the chat.
        chat.type(CTRL_C)
        chat.prompt()
        chat.type(CTRL_D)
        self.assertEqual(chat.end(), 0)

    def test_at_the_prompt(self):
        chat = self.open()
        chat.type(b"not this" + CTRL_C)
        chat.prompt()
        chat.type(CTRL_C)
        chat.prompt()
        self.assertIn(b"Ctrl-C again ends the chat", chat.shown)
        chat.type(b"x" + CTRL_C)  # not in a row at an empty prompt
        chat.prompt()
        chat.line("this")
        self.assertEqual(self.messages(chat), ["this"])

    def test_twice_at_an_empty_prompt(self):
        chat = self.open()
        chat.type(CTRL_C)
        chat.prompt()
        chat.type(CTRL_C)
        self.assertEqual(chat.end(), 130)
        self.assert_paste_is_off(chat)

    def test_signals_restore_terminal(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            chat = self.open()
            chat.type(b"some text")
            chat.wait_for(b"text")
            self.assertFalse(chat.mode()[3] & termios.ICANON)
            os.kill(chat.pid, number)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(chat.pid, 0)[1]), 128 + number)
            chat.status = 128 + number
            self.assertTrue(chat.mode()[3] & termios.ICANON)
            self.assertTrue(chat.mode()[3] & termios.ECHO)
            chat.end()
            self.assert_paste_is_off(chat)

    def test_sigint_clears_line(self):
        chat = self.open()
        chat.type(b"not this")
        chat.wait_for(b"this")
        os.kill(chat.pid, signal.SIGINT)
        chat.prompt()
        chat.line("this")
        self.assertEqual(self.messages(chat), ["this"])

    def test_ctrl_d_leaves_empty_prompt(self):
        chat = self.open()
        chat.line(b"text" + CTRL_D + HOME + CTRL_D)
        chat.type(CTRL_D)
        self.assertEqual(chat.end(), 0)
        self.assert_paste_is_off(chat)

    def assert_paste_is_off(self, chat):
        self.assertGreater(chat.shown.rfind(b"\x1b[?2004l"), chat.shown.rfind(PROMPT))


class ErrorTest(TerminalTest):
    def test_chat_survives_failures(self):
        chat = self.open("-n", "3", "--context", "64")
        for line, says in (("/sve x", b"did you mean /save?"), ("/load none", b"none"), ("/undo", b"no answer yet"),
                           ("word " * 100, b"64 fit in the context"), ("/set top-k x", b"'x'")):
            chat.line(line)
            self.assertIn(says, chat.shown)
        chat.line("this")
        self.assertEqual(self.messages(chat), ["this"])

    def test_a_terminal_forgets_old_turns(self):
        chat = self.open("--context", "48", "-n", "3")
        for _ in range(6):
            chat.line("the one")
        self.assertIn(b"the context is full: forgot the oldest turn", chat.shown)
        chat.line("/set context-policy")
        self.assertIn(b"context-policy is reset to its value at the start", chat.shown)

    def test_full_context_can_be_undone(self):
        chat = self.open("--context", "40", "--context-policy", "error")
        chat.line("one")
        self.assertIn(b"is full", chat.shown)
        chat.line("/undo")
        chat.line("/set max-tokens 3")
        chat.line("two")
        self.assertEqual(self.messages(chat), ["two"])


class ColourTest(TerminalTest):
    COLOUR = re.compile(rb"\x1b\[[0-9;]*m")

    def shown(self, **environment):
        chat = self.open(**environment)
        chat.line("/help")
        chat.line("/undo")
        chat.type(CTRL_D)
        self.assertEqual(chat.end(), 0)
        return chat.shown

    def test_only_where_they_are_welcome(self):
        shown = self.shown()
        self.assertIn(b"\x1b[1;34m>\x1b[0m ", shown)  # the prompt, which tells questions from answers
        self.assertIn(b"\x1b[2m", shown)  # notes
        self.assertRegex(self.shown(NO_COLOR=""), self.COLOUR)
        self.assertNotRegex(self.shown(NO_COLOR="1"), self.COLOUR)

    def test_a_dumb_terminal_gets_lines(self):
        for term in ("dumb", ""):
            terminal = Terminal(self.folder, ["-n", "3"], {"TERM": term})
            self.addCleanup(terminal.close)
            terminal.wait_for(b"> ")
            terminal.type(b"/help\r")
            terminal.wait_for(b"completes commands")
            # Before the prompt, Ctrl-C would interrupt the command instead.
            terminal.wait_for(b"\n> ", after=terminal.shown.index(b"completes commands"))
            terminal.type(CTRL_C)
            terminal.wait_for(b"Ctrl-C again")
            terminal.type(CTRL_D)
            self.assertEqual(terminal.end(), 0)
            self.assertNotIn(b"\x1b", terminal.shown)


if __name__ == "__main__":
    unittest.main()
