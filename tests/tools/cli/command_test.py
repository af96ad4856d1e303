#!/usr/bin/env python3
"""The command as a whole: help, usage errors, exit codes and output streams. Needs only toy models."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import unittest

from command import (BINARY, COMMANDS, MODELS, OTHER_COMMANDS, STORE_COMMANDS, TESTDATA, TIMEOUT, CommandTest,
                     compares_results)

TOY = MODELS / "gemma2"
SPEAKING = TESTDATA / "gguf" / "gemma3_mixed.gguf"


class HelpTest(CommandTest):
    def test_help_names_every_command(self):
        text = self.succeeds_quietly("--help")
        for command in COMMANDS + STORE_COMMANDS + OTHER_COMMANDS:
            self.assertRegex(text, rf"(?m)^  {command} ")
        self.assertIn("Exit codes:", text)

    def help_of(self, command, option="--help-all"):
        text = self.succeeds_quietly(command, option)
        self.assertIn(f"\nUsage: gemma {command} [OPTIONS]", text)
        # Two examples come first.
        examples = text[:text.index("\n\n")]
        self.assertRegex(examples, rf"\A[A-Z][^\n]*:\n  [^\n]*gemma {command}(\s|$)")
        self.assertGreaterEqual(len(re.findall(rf"\n  [^\n]*gemma {command}(?=\s|$)", examples)), 2, text)
        self.assertNotIn("Exit codes:", text)
        for line in text.splitlines():
            self.assertLessEqual(len(line), 80, line)
        return text

    def test_help_has_examples(self):
        for command in STORE_COMMANDS + OTHER_COMMANDS:
            self.help_of(command)
        for command in COMMANDS:
            with self.subTest(command):
                text = self.help_of(command)
                self.assertIn("MODEL", text)
                for option in ("--threads", "--context", "--recurrent-window"):
                    self.assertEqual(option in text, command != "tokenize", option)
                self.assertEqual("--speculate off|auto" in text, command in ("run", "chat"))

    @compares_results
    def test_help_is_short(self):
        for command in COMMANDS + STORE_COMMANDS + OTHER_COMMANDS:
            text = self.help_of(command, "--help")
            self.assertLessEqual(text.count("\n"), 80)
            whole = self.help_of(command)
            self.assertEqual(text == whole, f"gemma {command} --help-all" not in text)
            for line in re.findall(r"(?m)^  (?:-\w, )?--[\w-]+", text):
                self.assertIn(line, whole)
        text, whole = self.help_of("run", "--help"), self.help_of("run")
        for title in ("Often used", "Sampling", "Output", "Guard", "Machine and numbers"):
            self.assertIn(f"\n{title}:\n", whole)
            self.assertEqual(f"\n{title}:\n" in text, title == "Often used")
        for help_text in (text, whole):  # both say where the rest is
            self.assertIn("gemma help batch", help_text)
            self.assertNotIn("see below", help_text)

    @compares_results
    def test_machine_options_wait(self):
        for command in COMMANDS + STORE_COMMANDS + OTHER_COMMANDS:
            self.assertNotIn("\nMachine and numbers:\n", self.help_of(command, "--help"), command)
        self.assertIn("\nMachine and numbers:\n", self.help_of("perplexity"))
        self.assertIn("-b, --batch-size", self.help_of("bench", "--help"))
        quantize = self.help_of("quantize", "--help").replace("\n" + " " * 26, " ")
        self.assertRegex(quantize, r"TYPE +As --type; wanted unless --type or --bits is given\n")
        self.assertNotIn("keep)", quantize)

    def test_help_after_wrong_words(self):
        for words in (["run", TOY, "x", "--temperature", "warm"], ["run", "--stop"], ["run", TOY, "two", "words"]):
            self.assertEqual(self.succeeds_quietly(*words, "--help"), self.help_of("run", "--help"))
            self.assertEqual(self.succeeds_quietly(*words, "--help-all"), self.help_of("run"))
        # After --stop, --help is its value.
        self.fails(1, "run", "/no/model", "x", "--stop=--help", says="/no/model", cure="gemma list")

    def test_help_on_topics(self):
        guard = self.succeeds_quietly("help", "guard")
        self.assertRegex(guard, r"\AOptions of gemma run:\n  --guard MODEL ")
        self.assertIn("\n\nWith --guard, a ShieldGemma model scores", guard)
        self.assertNotIn("--batch", guard)
        batch = self.succeeds_quietly("help", "batch")
        self.assertIn("\n  --batch-size N ", batch)
        self.assertIn("\n\nWith --batch, each line of FILE is", batch)
        self.assertIn("\n  --top-p X ", self.succeeds_quietly("help", "Sampling"))
        self.assertEqual(self.succeeds_quietly("help", "--top_k"), self.succeeds_quietly("help", "top-k"))
        self.assertIn("\n  -d, --n-depth ", self.succeeds_quietly("help", "n-depth").replace(":\n", ":\n\n"))
        self.assertIn("gemma bench:", self.succeeds_quietly("help", "n-depth"))
        self.assertEqual(self.succeeds_quietly("help", "run", "--help-all"), self.help_of("run"))
        self.assertEqual(self.succeeds_quietly("--help-all"), self.succeeds_quietly("--help"))
        for word in ("--help", "-h", "--help-all", "help", "version", "--version"):
            self.assertEqual(self.succeeds_quietly("help", word), self.succeeds_quietly("--help"), word)
        self.assertEqual(self.succeeds_quietly("--help", "run"), self.help_of("run", "--help"))
        self.assertIn("\n  -n, --max-tokens ", self.succeeds_quietly("help", "-n"))
        self.assertIn("\n\n--sae names an autoencoder", self.succeeds_quietly("help", "sae"))

    def test_version(self):
        self.assertRegex(self.succeeds_quietly("--version"), r"\Agemma \d+\.\d+\.\d+\n\Z")
        self.fails(2, "version", "--json", says="--version stands alone, found '--json'", cure="gemma doctor --json")
        for word in ("-v", "-V"):
            self.fails(2, word, says=f"no option {word}", cure="gemma --version")


class UsageTest(CommandTest):
    """Each error is one line, with exit code 2, before any model is loaded."""

    def test_commands(self):
        self.fails(2, says="--help")
        self.fails(2, "fly", says="'fly'", cure="gemma --help")
        self.fails(2, "", says="''", cure="gemma --help")
        self.fails(2, "--fly", says="no option --fly", cure="gemma --help")

    def test_missing_arguments(self):
        for command in COMMANDS:
            self.fails(2, command, says=f"{command}: MODEL is required", cure="gemma-3-270m")
        self.fails(2, "logits", TOY, "--tokens", "2", says="--output")
        self.fails(2, "logits", TOY, "--output", "F.npy", says="--tokens")
        for words in (["perplexity", TOY], ["compare", TOY, TOY], ["importance", TOY]):
            result = subprocess.run([BINARY, *words], stdin=subprocess.DEVNULL, capture_output=True, check=False)
            self.assertEqual(result.returncode, 2)
            self.assertRegex(result.stderr.decode(), rf"{words[0]}: FILE is required\ngemma: gemma {words[0]} [A-Z ]+ FILE")
        self.fails(2, "inspect", TOY, "--context", says="--context")

    def test_unknown_and_surplus_arguments(self):
        for command in COMMANDS:
            self.fails(2, command, "MODEL", "--fly", says="--fly", cure=f"gemma {command} --help")
        self.fails(2, "inspect", "MODEL", "surplus", says="surplus", cure="gemma inspect --help")
        self.fails(2, "inspect", "MODEL", "--threads", "1", "--threads", "2", says="--threads is given more than once")

    def test_flags_take_no_value(self):
        for command in COMMANDS + STORE_COMMANDS + OTHER_COMMANDS:
            self.fails(2, command, "--verbose=5", says="--verbose takes no value, found '5'")
        for command, word in (("run", "--raw=5"), ("tokenize", "--pieces=5"), ("inspect", "--tensors=3"),
                              ("list", "--json=foo"), ("run", "-q=1"), ("quantize", "--force=")):
            self.fails(2, command, word, says=f"{word.split('=')[0]} takes no value")
        self.fails(2, "tokenize", "-d=5", says="-d takes no value", cure="gemma tokenize MODEL --decode 5")
        self.fails(2, "tokenize", SPEAKING, "--decode=2,9", says="--decode takes no value", cure="--decode 2,9")
        self.fails(2, "run", SPEAKING, "-vq=1", says="-q takes no value")
        self.fails(2, "--version=1", says="--version takes no value")
        # The value of an option, and words after "--"
        self.fails(1, "run", "/no/model", "--stop", "-q=1", "--", "--raw=5", says="/no/model", cure="")

    def test_short_options_take_equals(self):
        self.succeeds_quietly("list", "-q", "-o=a=b", cwd=self.folder)
        self.succeeds_quietly("man", "-qo=out", cwd=self.folder)
        self.assertEqual({path.name for path in self.folder.iterdir()}, {"a=b", "out"})
        words = ["run", SPEAKING, "g", "--temperature", 0, "-q"]
        self.assertEqual(self.succeeds_quietly(*words, "-n=3"), self.succeeds_quietly(*words, "-n", 3))
        self.assertEqual(self.succeeds_quietly("inspect", TOY, "-c=8k"), self.succeeds_quietly("inspect", TOY, "-c", 8192))
        self.fails(2, *words, "-n=x", says="--max-tokens: 'x' is not")
        self.fails(2, *words, "-n=", says="--max-tokens: '' is not")
        self.fails(2, "pull", "-o=x", says="pull has no option -o", cure="GEMMA_MODELS")

    def test_values(self):
        bad = {
            "--temperature": ["-1", "nan", "inf", "warm", ""],
            "--top-k": ["-1", "1.5", "0x10", "99999999999999999999"],
            "--top-p": ["-0.1", "1.1", "nan"],
            "--min-p": ["-0.1", "1.1"],
            "--seed": ["-2", "x", ""],
            "--max-tokens": ["-2", "0", "many"],
            "--threads": ["-1", "1e3", "100000"],
            "--context": ["0", "-5", "0k", "17m", "k", "m"],
            "--chunk": ["0", "-1"],
            "--recurrent-window": ["google", ""],
            "--stop": [""],
            "--speculate": ["on", ""],
        }
        for option, values in bad.items():
            for value in values:
                with self.subTest(option=option, value=value):
                    line = self.fails(2, "run", "MODEL", "PROMPT", option, value)
                    self.assertIn(option.strip("-").replace("-", "_"), line.replace("-", "_"))
        self.fails(2, "chat", "MODEL", "--context-policy", "forget", says="--context-policy")
        self.fails(2, "bench", "MODEL", "-p", "0", "-n", "0")
        self.fails(2, "bench", "MODEL", "-p", "1,,2")
        self.fails(2, "verify", "MODEL", "--reference", "F", "--tolerance", "-1", says="--tolerance")
        self.fails(2, "verify", "MODEL", "--reference", "F", "--tolerance", "nan", says="--tolerance")
        self.fails(2, "perplexity", "MODEL", "--file", "F", "--context", "1", says="--context")

    def test_numbers_are_decimal(self):
        # "010" is ten: 11 tokens do not fit.
        self.fails(1, "logits", TOY, "--tokens", ",".join("2" * 11), "--context", "010",
                   "--output", self.folder / "F.npy", says=["11", "10"], cure="--context 512")

    def test_contexts_in_thousands(self):
        memory = lambda context: self.succeeds_quietly("inspect", TOY, "--context", context)
        self.assertIn("with 8192 tokens", memory("8k"))
        self.assertEqual(memory("8K"), memory(8192))
        self.assertEqual(memory("1m"), memory(1 << 20))
        for words in (["-n", "1k"], ["--penalty-window", "2K"], ["--timeout", "5s"]):
            self.fails(1, "run", "/no/model", "x", *words, says="/no/model", cure="")
        self.fails(1, "bench", "/no/model", "-p", "1k,8", says="/no/model", cure="")

    def test_sizes_have_units(self):
        for option in ("--memory", "--max-body", "--max-response"):
            for size in ("9MB", "9 mib", "1.5MiB", "9000000"):
                self.fails(1, "serve", "/no/model", option, size, says="/no/model", cure="")
            for size in ("9MX", "MB", "-1MB", "nanMB", "1e99", ""):
                self.fails(2, "serve", "/no/model", option, size,
                           says=f"{option}: '{size}' is not a size from 1")
        self.fails(2, "serve", "/no/model", "--memory", "999kB", says="a size from 1.00 MB")
        self.fails(2, "serve", "/no/model", "--max-body", "2GB", says="a size from 1 B to 1.07 GB, in B, kB,")
        self.assertRegex(self.succeeds_quietly("serve", "--help-all"), r"--max-body SIZE [^(]+\(default: 8 MiB\)")
        for option in ("--head-timeout", "--idle-timeout", "--ping", "--grace", "--timeout"):
            self.fails(1, "serve", "/no/model", option, "5s", says="/no/model", cure="")
            self.fails(2, "serve", "/no/model", option, "5m", says="seconds from")

    def test_wanted_numbers_are_named(self):
        for option, value, wanted in (("--seed", "18446744073709551616", "a whole number from 0 to 18446744073709551615"),
                                      ("--temperature", "inf", "a finite number"),
                                      ("--timeout", "-1", "a number of seconds from 0 to 1000000000"),
                                      ("--timeout", "5x", "a number of seconds")):
            self.fails(2, "run", "M", "x", option, value, says=f"{option}: '{value}' is not {wanted}")
        self.fails(2, "logits", TOY, "--tokens", "2,x", "-o", "F.npy", says="--tokens: token 2 is 'x'")

    def test_options_that_contradict(self):
        self.fails(2, "run", "MODEL", "PROMPT", "--chat", "--raw", says="--raw")
        self.fails(2, "run", "MODEL", "PROMPT", "--system", "S", "--raw", says="--system")
        self.fails(2, "logits", "MODEL", "--tokens", "2", "--tokens-file", "F", "--output", "F.npy")

    def test_text_that_is_not_utf8(self):
        self.fails(2, "run", "MODEL", b"caf\xe9".decode("utf-8", "surrogateescape"),
                   says=["PROMPT", "byte 3", "0xE9"])
        self.fails(2, "tokenize", "MODEL", b"\xff".decode("utf-8", "surrogateescape"), says="TEXT")
        self.fails(1, "run", TOY, stdin=b"caf\xe9", says=["standard input", "byte 3"])
        self.fails(1, "tokenize", "MODEL", "-", stdin=b"\xc3", says="byte 0")

    def test_prompt_like_an_option(self):
        # Each prompt is accepted: the error is about the model, which does not exist.
        for prompt in ("chat", "run", "[a, b]", "{}", "a b", "--help me"):
            arguments = ["--", prompt] if prompt.startswith("-") else [prompt]
            self.fails(1, "run", "/no/model", *arguments, says="/no/model", cure="gemma list")
        self.fails(1, "run", "/no/model", "x", "--stop", "[END]", "--stop", "{}", says="/no/model", cure="gemma list")


class BadModelTest(CommandTest):
    """Each error is one line that names the file, with exit code 1."""

    def bad(self, path, *says):
        return self.fails(1, "inspect", path, says=[str(path), *says], cure="")

    def copy(self, name):
        return pathlib.Path(shutil.copytree(MODELS / name, self.folder / name))

    def test_not_a_model(self):
        self.bad("/no/such/model.gguf")
        text = self.folder / "text.gguf"
        text.write_text("Once upon a time there was a file that was no model at all.\n" * 10)
        self.bad(text)
        text.write_bytes(b"")
        self.bad(text)
        self.bad(self.folder)  # a directory without a model
        self.fails(1, "inspect", "/dev/null", says="/dev/null: is a device")
        line = self.fails(1, "inspect", "bad\nname\x1b[2J", cure="gemma list")
        self.assertNotIn("\x1b", line)

    def test_truncated_weights(self):
        folder = self.copy("gemma2")
        weights = folder / "model.safetensors"
        data = weights.read_bytes()
        for size in (0, 7, 8, 9, 100, len(data) // 2, len(data) - 1):
            weights.write_bytes(data[:size])
            self.fails(1, "inspect", folder, says="model.safetensors", cure="to its end")

    def test_missing_parts(self):
        folder = self.copy("gemma2_sharded")
        (folder / "model-00002-of-00002.safetensors").unlink()
        self.fails(1, "inspect", folder, says="model-00002-of-00002.safetensors", cure="more files")
        folder = self.copy("gemma2")
        (folder / "config.json").unlink()
        self.fails(1, "inspect", folder, says="config.json", cure="more files")

    def test_config_contradicts_tensors(self):
        folder = self.copy("gemma2")
        config = folder / "config.json"
        config.write_text(config.read_text().replace('"intermediate_size": 96', '"intermediate_size": 97'))
        self.fails(1, "inspect", folder, says=["97", "96"])

    def test_missing_tokenizer(self):
        self.fails(1, "run", TOY, "Hello", says="tokenizer", cure="tokenizer.model")
        self.fails(1, "run", TOY, "Hello", "--chat", says="tokenizer", cure="tokenizer.model")
        self.fails(1, "tokenize", TOY, "Hello", says="tokenizer", cure="tokenizer.model")
        self.fails(1, "chat", TOY, "--chat", says="tokenizer", cure="tokenizer.model")
        text = self.folder / "text.txt"
        text.write_text("Hello")
        self.fails(1, "perplexity", TOY, "--file", text, says="tokenizer", cure="tokenizer.model")

    def test_chat_with_a_base_model(self):
        self.fails(1, "chat", TOY, says="not tuned to chat", cure="gemma run completes texts")


class OutputTest(CommandTest):
    def test_full_disk_is_an_error(self):
        with open("/dev/full", "wb") as full:
            result = subprocess.run([BINARY, "inspect", TOY], stdout=full, stderr=subprocess.PIPE, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr.decode(), r"\Agemma: cannot write to standard output: [^\n]+\n\Z")

    def test_broken_pipe_ends_quietly(self):
        reader, writer = os.pipe()
        os.close(reader)
        result = subprocess.run([BINARY, "inspect", TOY], stdout=writer, stderr=subprocess.PIPE, check=False)
        os.close(writer)
        self.assertEqual((result.returncode, result.stderr), (1, b""))

    def test_closed_stdout_is_an_error(self):
        result = subprocess.run(["sh", "-c", 'exec "$0" inspect "$1" >&-', BINARY, TOY],
                                stderr=subprocess.PIPE, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"standard output", result.stderr)

    def test_no_progress_without_a_terminal(self):
        self.succeeds_quietly("inspect", TOY)
        self.succeeds_quietly("bench", TOY, "-p", 4, "-n", 4, "-r", 1)


class InterruptTest(CommandTest):
    def test_background_job_ignores_ctrl_c(self):
        process = self.start("run", TOY, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
        self.wait_for_handler(process, signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(b"one", timeout=TIMEOUT)
        self.assertEqual(process.returncode, 1)  # because of the toy, which has no tokenizer
        self.assertIn(b"tokenizer", stderr)

    def test_ctrl_c_exits_with_130(self):
        process = self.start("bench", TOY, "-p", 64, "-n", 64, "-r", 10000)
        self.wait_for_handler(process)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=TIMEOUT)
        self.assertEqual((process.returncode, stdout, stderr), (130, b"", b""))

    def test_ctrl_c_while_reading_input(self):
        process = self.start("run", TOY)
        self.wait_for_handler(process)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=TIMEOUT), 130)

    def open_files(self, process):
        for link in pathlib.Path(f"/proc/{process.pid}/fd").glob("*"):
            try:
                yield os.readlink(link)
            except FileNotFoundError:
                pass  # closed meanwhile

    def interrupt(self, *arguments, seconds=0):
        """Stops an answer that never ends. Returns what standard output and error have then. `seconds`: how long the
        command has read its prompt and answered at least."""
        process = self.start("run", SPEAKING, "g", "--temperature", 0, "--logit-bias", "1=-1e9", "--logit-bias",
                             "6=-1e9", "-c", 200000, "-t", 1, *arguments, stdin=subprocess.DEVNULL)
        note = b"" if "-q" in arguments else process.stderr.readline()
        self.wait_for_handler(process)
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, 130, stderr)
        return stdout, (note + stderr).decode()

    def test_interrupted_answer_has_no_file(self):
        output = self.folder / "answer"
        for form in ([], ["--json"]):
            stdout, stderr = self.interrupt("-o", output, *form)
            self.assertEqual(stdout, b"")
            self.assertTrue(stderr.endswith(f"\ngemma: interrupted: {output} is not written\n"), stderr)
            self.assertEqual(list(self.folder.iterdir()), [])
        output.write_text("old")
        _, stderr = self.interrupt("-o", output, "--force", "--json")
        self.assertTrue(stderr.endswith(f"\ngemma: interrupted: {output} is left as it was\n"), stderr)
        self.assertEqual(output.read_text(), "old")
        self.assertEqual(self.interrupt("-o", self.folder / "other", "-q"), (b"", ""))

    def test_interrupted_json_says_so(self):
        for seconds in (0.05, 0.4, 3, 20):
            stdout, _ = self.interrupt("--json", seconds=seconds)
            if stdout:  # the prompt was read
                break
        self.assertEqual(json.loads(stdout)["stop_reason"], "cancelled")

    def test_sigterm_removes_partial_output(self):
        tokens = self.folder / "tokens"
        tokens.write_text("2 " * 30000)
        output = self.folder / "F.npy"
        process = self.start("logits", TOY, "--tokens-file", tokens, "--output", output, "-t", 1, "--chunk", 1)
        # The partial file has its own name, or no name where the file system supports that.
        begun = (f"{self.folder}/F.npy.", f"{self.folder}/#")
        deadline = time.monotonic() + 60
        while not any(path.startswith(begun) for path in self.open_files(process)) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=60), 128 + signal.SIGTERM)
        self.assertEqual(list(self.folder.iterdir()), [tokens])
        self.assertEqual(process.stderr.read().decode(), f"gemma: interrupted: {output} is not written\n")


if __name__ == "__main__":
    unittest.main()
