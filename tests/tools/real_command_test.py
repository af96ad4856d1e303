#!/usr/bin/env python3
"""Tests gemma run, chat, tokenize, perplexity, compare and inspect on the real Gemma 3 270M, a base model."""
import json
import math
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import time
import unittest

from command import BINARY, CommandTest, gemma, read_npy, real_model

GREEDY = ["--temperature", "0"]


class RealTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.model = real_model()


def read_some(stream, seconds):
    """Returns the first bytes that arrive, or nothing if none arrive within this time."""
    ready, _, _ = select.select([stream], [], [], seconds)
    return os.read(stream.fileno(), 4096) if ready else b""


class RunTest(RealTest):
    def run_model(self, *arguments, **options):
        return gemma("run", self.model, *arguments, **options)

    def test_completes_a_text(self):
        result = self.run_model("Monday, Tuesday, Wednesday,", *GREEDY, "-n", 8)
        self.assertEqual(result.returncode, 0, result)
        self.assertIn("Thursday, Friday", result.stdout.decode())
        self.assertTrue(result.stdout.endswith(b"\n"))
        self.assertFalse(result.stdout.endswith(b"\n\n"))
        self.assertRegex(result.stderr.decode(), r"\Agemma: a base model[^\n]*\n"
                         r"gemma: the answer is cut at 8 tokens: --max-tokens\n\Z")

    def test_quiet_and_verbose(self):
        result = self.run_model("The capital of France is", *GREEDY, "-n", 4, "--quiet")
        self.assertEqual(result.stderr, b"")
        result = self.run_model("The capital of France is", *GREEDY, "-n", 4, "--verbose")
        self.assertRegex(result.stderr.decode(),
                         r"\Agemma: a base model[^\n]*\ngemma: the answer is cut [^\n]*\ngemma: prompt: 6 tokens, [\d.]+ tok/s; answer: 4 tokens, [\d.]+ tok/s; [^\n]+\n\Z")

    def test_standard_input_is_a_prompt(self):
        expected = self.run_model("One, two, three,", *GREEDY, "-n", 8).stdout
        for arguments in ([], ["-"]):
            for stdin in (b"One, two, three,", b"One, two, three,\n"):
                result = self.run_model(*arguments, *GREEDY, "-n", 8, stdin=stdin)
                self.assertEqual((result.returncode, result.stdout), (0, expected))

    def test_pipe_follows_the_prompt(self):
        text = "Item: one\nItem: two\n"
        expected = self.run_model("Count.\n\n" + text.rstrip("\n"), *GREEDY, "-n", 8).stdout
        self.assertEqual(self.run_model("Count.", *GREEDY, "-n", 8, stdin=text.encode()).stdout, expected)
        file = self.folder / "items.txt"
        file.write_text(text)
        for arguments, stdin in ((["Count.", "--file", file], b""), (["--file", file, "Count."], b""),
                                 (["Count.", "-f", "-"], text.encode())):
            self.assertEqual(self.run_model(*arguments, *GREEDY, "-n", 8, stdin=stdin).stdout, expected, arguments)
        with open(file, "rb") as opened:
            result = subprocess.run([BINARY, "run", self.model, "Count.", *GREEDY, "-n", "8"], stdin=opened,
                                    capture_output=True, check=False)
        self.assertEqual(result.stdout, expected)

    def test_seed_holds_for_any_threads(self):
        def answer(*arguments):
            return self.run_model("Once upon a time", "-n", 16, *arguments).stdout
        first = answer("--seed", 7)
        self.assertEqual(answer("--seed", 7, "--threads", 1), first)
        self.assertEqual(answer("--seed", 7, "--chunk", 3), first)
        self.assertNotEqual(answer("--seed", 8), first)
        self.assertNotEqual(answer(), answer())  # drawn

    def test_drawn_seed_is_shown(self):
        for arguments in ([], ["--seed", "random"], ["--seed", "-1"]):
            report = json.loads(self.run_model("Once upon a time", "-n", 8, "--json", *arguments).stdout)
            again = self.run_model("Once upon a time", "-n", 8, "-v", "--seed", report["seed"])
            line_end = "" if report["text"].endswith("\n") else "\n"
            self.assertEqual(again.stdout.decode(), report["text"] + line_end)
            self.assertIn(f"; seed {report['seed']}\n", again.stderr.decode())

    def test_guessing_changes_no_answer(self):
        prompt = "red, green, blue, cyan, teal, grey, pink\n" * 4
        arguments = [prompt, "-n", 40, "--verbose"]
        for sampling in (GREEDY, ["--seed", 3, "--temperature", "0.5"]):
            off = self.run_model(*arguments, *sampling, "--speculate", "off")
            auto = self.run_model(*arguments, *sampling, "--speculate", "auto")
            self.assertEqual((off.returncode, auto.returncode), (0, 0))
            self.assertEqual(auto.stdout, off.stdout)
            self.assertNotIn(b"speculation", off.stderr)

    def test_stop(self):
        whole = self.run_model("1 2 3 4 5 6", *GREEDY, "-n", 24).stdout.decode()
        self.assertIn("9", whole)
        result = self.run_model("1 2 3 4 5 6", *GREEDY, "-n", 24, "--stop", "[9]", "--stop", "9")
        self.assertEqual(result.returncode, 0)
        self.assertEqual(result.stdout.decode().rstrip("\n"), whole[:whole.index("9")].rstrip("\n"))

    def test_chat_and_raw(self):
        raw = self.run_model("Hello", *GREEDY, "-n", 8, "--raw")
        self.assertEqual(raw.stdout, self.run_model("Hello", *GREEDY, "-n", 8).stdout)
        chat = self.run_model("Hello", *GREEDY, "-n", 8, "--chat", "--system", "Be brief.")
        self.assertEqual(chat.returncode, 0, chat)
        self.assertIn(b"chat turn", chat.stderr)
        self.fails(2, "run", self.model, "Hello", "--system", "Be brief.", says="--chat")

    def test_output_is_whole_characters(self):
        for prompt in ("日本語の文章：", "Emoji: 😀 😃 😄"):
            process = self.start("run", self.model, prompt, "--seed", 3, "-n", 24, stdin=subprocess.DEVNULL)
            while piece := os.read(process.stdout.fileno(), 4096):
                piece.decode()  # Each write alone is valid UTF-8.

    def test_prompt_longer_than_the_context(self):
        self.fails(1, "run", self.model, "word " * 50, "--context", 20, says=["52 tokens", "20 fit"],
                   cure="--context 512")
        self.fails(1, "run", self.model, "word " * 50, "--chat", "--context", 20, says="20 fit", cure="--context 512")

    def test_full_context_ends_the_answer(self):
        result = self.run_model("Once upon a time", "-n", 50, "--context", 12, "--verbose")
        self.assertEqual(result.returncode, 0)
        self.assertIn(b"context is full", result.stderr)

    def test_empty_prompt(self):
        self.assertEqual(self.run_model("", *GREEDY, "-n", 4).returncode, 0)
        self.assertEqual(self.run_model(*GREEDY, "-n", 4, stdin=b"").returncode, 1)

    def test_streams_until_ctrl_c(self):
        process = self.start("run", self.model, "1 2 3 4 5", *GREEDY, "-n", 3000, stdin=subprocess.DEVNULL)
        first = read_some(process.stdout, 60)
        self.assertNotEqual(first, b"")
        self.assertIsNone(process.poll())  # still running, so the output was streamed
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        stdout, stderr = process.communicate(timeout=30)
        self.assertLess(time.monotonic() - start, 5)
        self.assertEqual(process.returncode, 130)
        self.assertTrue((first + stdout).endswith(b"\n"))
        self.assertEqual(stderr.count(b"\n"), 1)  # only the note about a base model

    def test_ctrl_c_during_long_prefill(self):
        process = self.start("run", self.model, "--context", 32768, "-n", 1)
        process.stdin.write(b"word " * 30000)
        process.stdin.close()
        self.assertIn(b"base model", read_some(process.stderr, 60))
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=30), 130)
        self.assertEqual(process.stdout.read(), b"")

    def test_broken_pipe_ends_quietly(self):
        process = self.start("run", self.model, "1 2 3 4 5", *GREEDY, "-n", 3000, "--quiet", stdin=subprocess.DEVNULL)
        self.assertNotEqual(read_some(process.stdout, 60), b"")
        process.stdout.close()
        self.assertEqual(process.wait(timeout=60), 1)
        self.assertEqual(process.stderr.read(), b"")


class NoShieldTest(RealTest):
    """The model has tokens for Yes and No, and hardly answers with them."""

    def test_classify_warns(self):
        result = gemma("classify", self.model, "hi", "--policy", "hate", "--json")
        self.assertEqual(result.returncode, 0)
        mass = json.loads(result.stdout)["answer_mass"]
        self.assertLess(mass, 0.1)
        self.assertRegex(result.stderr.decode(),
                         rf"\Agemma: [^\n]* does not answer as a ShieldGemma: [^\n]* {mass:.2g}, wanted nearly 1 "
                         r"\(gemma pull hf://google/shieldgemma-2b fetches one\)\n\Z")
        result = gemma("classify", self.model, "--policy", "hate", "--jsonl", stdin=b'"hi"\n')
        self.assertIn(b"does not answer as a ShieldGemma", result.stderr)

    def test_guard_refuses_to_start(self):
        self.fails(1, "run", self.model, "hi", "-q", "-n", 4, "--guard", self.model,
                   says="does not answer as a ShieldGemma", cure="ShieldGemma's family")


class TerminalTest(RealTest):
    """Tests standard error on a terminal, which shows progress and speed."""

    def test_progress_and_stats(self):
        master, slave = pty.openpty()
        process = self.start("run", self.model, "The capital of France is", *GREEDY, "-n", 4, stderr=slave,
                             stdin=subprocess.DEVNULL)
        os.close(slave)
        shown = b""
        try:
            while piece := os.read(master, 4096):
                shown += piece
        except OSError:  # the terminal is closed
            pass
        self.assertEqual(process.wait(timeout=60), 0)
        self.assertIn(b"tok/s", shown)
        # Progress is erased before anything else is printed.
        for line in shown.split(b"\n"):
            if b"\x1b[K" in line:
                self.assertNotIn(b"loading", line.rsplit(b"\x1b[K", 1)[1])
        self.assertNotIn(b"\x1b", process.stdout.read())


class ChatTest(RealTest):
    def chat(self, text, *arguments):
        return gemma("chat", self.model, "--chat", *GREEDY, *arguments, stdin=text.encode())

    def test_base_model_needs_chat_option(self):
        self.fails(1, "chat", self.model, stdin=b"Hello\n", says="not tuned to chat",
                   cure="gemma run completes texts, --chat tries")

    def test_answers_every_line(self):
        result = self.chat("Hello\n\nWhat is two plus two?\n", "-n", 6, "--verbose")
        self.assertEqual(result.returncode, 0, result)
        self.assertEqual(result.stderr.count(b"answer: "), 2)
        self.assertGreaterEqual(result.stdout.count(b"\n"), 2)
        self.assertNotIn(b"> ", result.stdout)

    def test_first_answer_equals_run(self):
        expected = gemma("run", self.model, "Hello there", "--chat", *GREEDY, "-n", 8).stdout
        self.assertEqual(self.chat("Hello there", "-n", 8).stdout, expected)

    def test_exit(self):
        for command in ("/exit", "/quit"):
            result = self.chat(f"{command}\nHello\n")
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, b"", b""))
        self.assertEqual(self.chat("").returncode, 0)

    def test_full_context_is_an_error(self):
        result = self.chat("Hello\n" * 8, "-n", 4, "--context", 48)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr.decode(), r"\Agemma: [^\n]*context[^\n]*\ngemma: [^\n]*/set context-policy[^\n]*\n\Z")

    def test_oldest_turns_are_dropped(self):
        result = self.chat("Hello\n" * 6, "-n", 4, "--context", 48, "--context-policy", "drop-oldest-turns",
                           "--system", "Be brief.", "--verbose")
        self.assertEqual(result.returncode, 0, result)
        self.assertEqual(result.stderr.count(b"answer: "), 6)
        self.assertIn(b"forgot the oldest turn", result.stderr)

    def test_a_message_that_never_fits(self):
        for policy in ("error", "drop-oldest-turns"):
            result = self.chat("word " * 100 + "\n", "--context", 32, "--context-policy", policy)
            self.assertEqual(result.returncode, 1)
            self.assertRegex(result.stderr.decode(), r"\Agemma: [^\n]* 32 fit in the context\ngemma: /set context 512 holds it\n\Z")

    def test_text_that_is_not_utf8(self):
        result = gemma("chat", self.model, "--chat", stdin=b"caf\xe9\n")
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"byte 3 (0xE9) is not UTF-8", result.stderr)

    def test_ctrl_c_stops_answer_only(self):
        process = self.start("chat", self.model, "--chat", *GREEDY, "-n", 3000, "--quiet")
        process.stdin.write(b"Write a list of numbers: 1, 2, 3\n")
        self.assertNotEqual(read_some(process.stdout, 60), b"")
        process.send_signal(signal.SIGINT)
        process.stdin.write(b"/exit\n")
        self.assertEqual(process.wait(timeout=30), 0)  # The whole answer would take longer.

    def test_ctrl_c_at_prompt_leaves(self):
        process = self.start("chat", self.model, "--chat")
        self.wait_for_handler(process)
        time.sleep(1)  # By then the model is loaded. If not, Ctrl-C interrupts the loading.
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=30), 130)


class TokenizeTest(RealTest):
    def tokenize(self, *arguments, **options):
        return [int(word) for word in self.succeeds_quietly("tokenize", self.model, *arguments, **options).split()]

    def test_known_ids(self):
        # The ids come from google/gemma-3's tokenizer.model.
        self.assertEqual(self.tokenize("Hello world"), [9259, 1902])
        self.assertEqual(self.tokenize("Hello world", "--bos"), [2, 9259, 1902])
        self.assertEqual(self.tokenize(""), [])

    def test_standard_input_keeps_line_end(self):
        self.assertEqual(self.tokenize(stdin=b"Hello world"), [9259, 1902])
        self.assertEqual(len(self.tokenize("-", stdin=b"Hello world\n")), 3)

    def test_control_tokens(self):
        self.assertEqual(self.tokenize("<start_of_turn>", "--parse-control"), [105])
        self.assertGreater(len(self.tokenize("<start_of_turn>")), 1)


class PerplexityTest(RealTest):
    TEXT = ("The quick brown fox jumps over the lazy dog. It was the best of times, it was the worst of times. "
            "All happy families are alike; every unhappy family is unhappy in its own way. ") * 3

    reports = {}  # by arguments, which several tests share

    def perplexity(self, *arguments):
        file = self.folder / "text.txt"
        file.write_text(self.TEXT)
        if arguments not in self.reports:
            self.reports[arguments] = json.loads(
                self.succeeds_quietly("perplexity", self.model, "--file", file, "--json", *arguments))
        return self.reports[arguments]

    def test_report(self):
        report = self.perplexity()
        tokens = self.succeeds_quietly("tokenize", self.model, self.TEXT).split()
        self.assertEqual(report["scored_tokens"], len(tokens))
        self.assertEqual((report["options"]["context"], report["windows"]), (2048, 1))
        self.assertAlmostEqual(report["perplexity"], math.exp(report["mean_nll"]))
        self.assertTrue(1 < report["perplexity"] < 100, report)

    def test_windows(self):
        report = self.perplexity("--context", 33)
        self.assertEqual(report["windows"], -(-report["scored_tokens"] // 32))
        self.assertEqual(report["scored_tokens"], self.perplexity()["scored_tokens"])
        self.assertGreater(report["mean_nll"], self.perplexity()["mean_nll"])
        # A text shorter than the window.
        self.assertEqual(self.perplexity("--context", 100000)["mean_nll"], self.perplexity()["mean_nll"])

    def test_same_for_threads_and_chunks(self):
        expected = self.perplexity("--deterministic")["mean_nll"]
        for arguments in (["--threads", 1], ["--threads", 3], ["--chunk", 7]):
            self.assertEqual(self.perplexity("--deterministic", *arguments)["mean_nll"], expected)
        # Without --deterministic, --chunk may change the result, but threads do not.
        self.assertEqual(self.perplexity("--threads", 1)["mean_nll"], self.perplexity("--threads", 3)["mean_nll"])

    def test_is_what_the_logits_say(self):
        ids = self.succeeds_quietly("tokenize", self.model, "The quick brown fox jumps", "--bos").split()
        output = self.folder / "F.npy"
        self.succeeds_quietly("logits", self.model, "--tokens", ",".join(ids), "--output", output, "--force")
        (_, vocab), values = read_npy(output.read_bytes())
        nll = 0
        for row, token in enumerate(ids[1:]):
            logits = values[row * vocab:(row + 1) * vocab]
            top = max(logits)
            nll += top + math.log(sum(math.exp(x - top) for x in logits)) - logits[int(token)]
        file = self.folder / "text.txt"
        file.write_text("The quick brown fox jumps")
        text = self.succeeds_quietly("perplexity", self.model, "--file", file, "--activations", "float32")
        fields = dict(re.findall(r"(?m)^(.+?)  +(\S+)", text))
        self.assertEqual(fields["scored tokens"], str(len(ids) - 1))
        self.assertAlmostEqual(float(fields["mean NLL"]), nll / (len(ids) - 1), places=4)
        self.assertAlmostEqual(float(fields["perplexity"]), math.exp(nll / (len(ids) - 1)), places=1)

    def test_a_comparison_has_the_same(self):
        alone = [self.perplexity("--activations", activations)["perplexity"] for activations in ("float32", "int8")]
        report = json.loads(self.succeeds_quietly(
            "compare", self.model, self.model, "--file", self.folder / "text.txt", "--json",
            "--base-activations", "float32", "--activations", "int8"))
        self.assertAlmostEqual(report["base_perplexity"], alone[0], delta=1e-9 * alone[0])
        self.assertAlmostEqual(report["other_perplexity"], alone[1], delta=1e-9 * alone[1])
        self.assertTrue(0 < report["mean_kl"] < 5e-3, report)
        self.assertGreater(report["top1_agreement"], 0.9)

    def test_bad_texts(self):
        file = self.folder / "text.txt"
        file.write_bytes(b"")
        self.fails(1, "perplexity", self.model, "--file", file, says=[str(file), "no text"])
        file.write_bytes(b"abc\xff")
        self.fails(1, "perplexity", self.model, "--file", file, says=[str(file), "byte 3"])
        self.fails(1, "perplexity", self.model, "--file", "/no/file", says="/no/file")
        self.fails(1, "perplexity", self.model, "--file", self.folder, says=str(self.folder))


class InspectTest(RealTest):
    def test_real_model(self):
        report = json.loads(self.succeeds_quietly("inspect", self.model, "--json"))
        config = report["config"]
        self.assertEqual(config["architecture"], "gemma3")
        self.assertEqual((config["num_layers"], config["model_dim"], config["vocab_size"]), (18, 640, 262144))
        self.assertTrue(report["has_tokenizer"])
        self.assertFalse(report["instruction_tuned"])
        self.assertEqual(report["parameters"], 268098176)
        self.assertGreater(len(report["types"]), 1)
        self.assertEqual((report["path"], report["file_type"]), (os.path.abspath(self.model), "Q4_K - Medium"))

    def test_truncated_file(self):
        data = pathlib.Path(self.model).read_bytes()
        path = self.folder / "cut.gguf"
        for size in (3, 4, 100, 1 << 20, len(data) - 1):
            path.write_bytes(data[:size])
            self.fails(1, "inspect", path, says=str(path), cure="to its end")


if __name__ == "__main__":
    unittest.main()
