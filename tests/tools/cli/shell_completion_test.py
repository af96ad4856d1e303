#!/usr/bin/env python3
"""Scripts of gemma completion: bash runs its script; the scripts of other shells must hold every word of --help."""
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import time
import unittest

from command import BINARY, COMMANDS, OTHER_COMMANDS, STORE_COMMANDS, CommandTest, write_record

ALL = COMMANDS + STORE_COMMANDS + OTHER_COMMANDS

# Completes the words in "$@" and prints what bash would offer, one word per line.
DRIVER = """
set -u
source "$SCRIPT"
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
COMPREPLY=()
_gemma
printf '%s\\n' "${COMPREPLY[@]-}"
"""


class CompletionTest(CommandTest):
    def setUp(self):
        super().setUp()
        bin_folder = self.folder / "bin"
        bin_folder.mkdir()
        (bin_folder / "gemma").symlink_to(pathlib.Path(BINARY).resolve())
        self.store = self.folder / "store"
        self.work = self.folder / "work"
        self.work.mkdir()
        self.environment = dict(os.environ, PATH=f"{bin_folder}:{os.environ['PATH']}", GEMMA_MODELS=str(self.store))

    def script(self, shell):
        path = self.folder / f"script.{shell}"
        path.write_text(self.succeeds_quietly("completion", shell))
        return path

    def options_of(self, command):
        lines = self.succeeds_quietly(command, "--help-all").splitlines()
        names = " ".join(re.split(r"\s{2,}", line.strip())[0] for line in lines if line.startswith("  -"))
        return set(re.findall(r"(?<![\w-])--?[a-z0-9][a-z0-9-]*", names))

    def bash(self, *words):
        result = subprocess.run(["bash", "-c", DRIVER, "bash", "gemma", *words], cwd=self.work, capture_output=True,
                                text=True, env=dict(self.environment, SCRIPT=str(self.script("bash"))), check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result)
        return set(result.stdout.split("\n")) - {""}

    def test_bash_completes_commands(self):
        self.assertLessEqual(set(ALL) | {"--help", "--version"}, self.bash(""))
        self.assertEqual(self.bash("ch"), {"chat"})
        self.assertEqual(self.bash("--v"), {"--version"})
        self.assertEqual(self.bash("no-such", ""), set())

    def test_bash_completes_every_option(self):
        for command in ALL:
            with self.subTest(command):
                self.assertEqual(self.bash(command, "-"), self.options_of(command))
        self.assertEqual(self.bash("run", "MODEL", "--max"), {"--max-tokens"})

    def test_bash_completes_choices(self):
        self.assertEqual(self.bash("run", "--cache-type", ""), {"auto", "float32", "bfloat16", "int8"})
        self.assertEqual(self.bash("run", "--cache-type", "b"), {"bfloat16"})
        self.assertEqual(self.bash("run", "--cache-type", "="), {"auto", "float32", "bfloat16", "int8"})
        self.assertEqual(self.bash("run", "--cache-type", "=", "i"), {"int8"})
        self.assertEqual(self.bash("run", "--format", ""), {"text", "json"})
        self.assertEqual(self.bash("completion", ""), {"bash", "zsh", "fish"})

    def test_bash_completes_files_and_models(self):
        (self.work / "text one.txt").touch()
        (self.work / "model.gguf").touch()
        write_record(self.store, "mine")
        files = {"text one.txt", "model.gguf"}
        self.assertEqual(self.bash("perplexity", "m", "--file", ""), files)
        self.assertEqual(self.bash("perplexity", "m", "-f", "te"), {"text one.txt"})
        self.assertEqual(self.bash("perplexity", "m", "-o", "te"), {"text one.txt"})
        self.assertEqual(self.bash("run", ""), files | {"mine"})
        self.assertEqual(self.bash("run", "mi"), {"mine"})
        # Options and their values do not count as arguments. A prompt has no completion.
        self.assertEqual(self.bash("run", "--threads", "2", "--raw", "--seed", "=", "3", "mi"), {"mine"})
        self.assertEqual(self.bash("run", "mine", ""), set())
        self.assertEqual(self.bash("run", "mine", "--guard", ""), files | {"mine"})
        self.assertEqual(self.bash("run", "--threads", ""), set())
        self.assertEqual(self.bash("remove", ""), {"mine"})
        self.assertEqual(self.bash("compare", "mi"), {"mine"})
        self.assertEqual(self.bash("compare", "mine", ""), files | {"mine"})
        self.assertIn("gemma-3-270m", self.bash("pull", "gemma-3"))

    def test_other_shells_know_every_word(self):
        for shell in ("zsh", "fish"):
            script = self.script(shell).read_text()
            for command in ALL:
                with self.subTest(shell=shell, command=command):
                    if shell == "zsh":
                        part = script.split(f"        {command})\n", 1)[1].split(";;", 1)[0]
                        found = set(re.findall(r"(?<=[{,')])--?[a-z0-9][a-z0-9-]*(?=[},'])", part))
                    else:
                        part = "".join(line for line in script.splitlines(keepends=True)
                                       if f"from {command}'" in line)
                        found = ({"--" + name for name in re.findall(r" -l ([a-z0-9-]+)", part)}
                                 | {"-" + name for name in re.findall(r" -s (\w)", part)})
                    self.assertEqual(found, self.options_of(command))
                    self.assertRegex(script, rf"(?m)({command}:|-a {command} )")

    def test_shells_read_their_scripts(self):
        for shell in ("bash", "zsh", "fish"):
            script = self.script(shell)
            if not shutil.which(shell):
                continue  # the test above still checks the words
            result = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False)
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""), shell)

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish_completes(self):
        write_record(self.store, "mine")
        script = self.script("fish")

        def fish(line):
            result = subprocess.run(["fish", "-c", f'source {script}; complete -C "{line}"'], cwd=self.work,
                                    capture_output=True, text=True, check=False,
                                    env=dict(self.environment, HOME=str(self.folder)))
            self.assertEqual((result.returncode, result.stderr), (0, ""), result)
            return {word.split("\t")[0] for word in result.stdout.splitlines()}
        self.assertLessEqual(set(ALL), fish("gemma "))
        self.assertEqual(fish("gemma run --cache-type "), {"auto", "float32", "bfloat16", "int8"})
        self.assertEqual(fish("gemma run --max"), {"--max-tokens"})
        self.assertEqual(fish("gemma remove "), {"mine"})
        self.assertEqual(fish("gemma run mi"), {"mine"})

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh_completes(self):
        write_record(self.store, "mine")
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.work)
            os.execvpe("zsh", ["zsh", "-f", "-i"], dict(self.environment, TERM="dumb", HOME=str(self.folder)))
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.kill, pid, signal.SIGKILL)

        def answer(typed, wanted):
            os.write(terminal, typed.encode())
            seen, deadline = b"", time.monotonic() + 60
            while wanted.encode() not in seen and time.monotonic() < deadline:
                if select.select([terminal], [], [], 1)[0]:
                    seen += os.read(terminal, 4096)
            self.assertIn(wanted, seen.decode())
        script = self.script("zsh")
        answer(f"autoload -Uz compinit; compinit -u -d ~/dump; source {script}; print -r RE''ADY\n", "READY")
        for typed, wanted in (("tok", "tokenize"), ("run --max-t", "--max-tokens"), ("run --cache-type bf", "bfloat16"),
                              ("remove mi", "mine"), ("run mi", "mine"), ("completion f", "fish")):
            answer(f"gemma {typed}\t", wanted + " ")
            answer("\x15print -r RE''ADY\n", "READY")  # clears the line


class ManTest(CommandTest):
    def page(self):
        return self.succeeds_quietly("man")

    def test_every_option_and_variable(self):
        page = self.page().replace("\\-", "-")
        for command in ALL:
            part = page.split(f"\n.SS gemma {command}\n", 1)[1].split("\n.SS ", 1)[0]
            text = self.succeeds_quietly(command, "--help")
            for variable in re.findall(r"\[(GEMMA_\w+)\]", text):
                self.assertIn(f"Variable: {variable}.", part)
            for option in re.findall(r"(?m)^  (?:-\w,)?(--[a-z0-9-]+)", text):
                self.assertIn(f"\\fB{option}\\fR", part)
            self.assertIn(f"gemma {command}", part)
        for word in ("SYNOPSIS", "ENVIRONMENT", "GEMMA_MODELS", "FILES", "EXIT STATUS", "130", "HF_TOKEN"):
            self.assertIn(word, page)

    def test_roff_has_no_complaint(self):
        page = self.folder / "gemma.1"
        page.write_text(self.page())
        result = subprocess.run(["groff", "-ww", "-man", "-Tutf8", "-rLL=80n", page], capture_output=True, check=False)
        self.assertEqual((result.returncode, result.stderr), (0, b""), result.stderr.decode())
        text = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout.decode())
        self.assertIn("--max-tokens", text)
        self.assertIn("gemma run gemma-3-270m \"Once upon\" --json --logprobs 3", text)
        if shutil.which("mandoc"):
            lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", page], capture_output=True, text=True, check=False)
            # The page has no date, so that two builds give the same page.
            complaints = [line for line in lint.stdout.splitlines() if "missing date" not in line]
            self.assertEqual(complaints, [])


if __name__ == "__main__":
    unittest.main()
