#!/usr/bin/env python3
"""Sampling of gemma run and chat, and log-probabilities, with a toy model that has a vocabulary of 512 pieces."""
import json
import math
import unittest

from command import TESTDATA, CommandTest, gemma, read_npy

MODEL = TESTDATA / "gguf" / "gemma3_mixed.gguf"
PROMPT = "the cat sat on the mat"
OPTIONS = ["--typical-p", "--repetition-penalty", "--frequency-penalty", "--presence-penalty", "--penalty-window",
           "--logit-bias"]


class SamplingTest(CommandTest):
    def json(self, *arguments):
        return json.loads(self.succeeds_quietly("run", MODEL, PROMPT, "--raw", "-q", "--json", "--list-tokens", *arguments))

    def ids(self, *arguments):
        return [token["id"] for token in self.json(*arguments)["tokens"]]


class OptionsTest(SamplingTest):
    def test_help(self):
        for command in ("run", "chat"):
            text = self.succeeds_quietly(command, "--help-all")
            for option in OPTIONS:
                self.assertIn(f"  {option} ", text)
        self.assertIn("--logprobs", self.succeeds_quietly("run", "--help-all"))

    def test_values(self):
        bad = {
            "--typical-p": ["-0.1", "1.1", "nan", "x"],
            "--repetition-penalty": ["0", "-1", "inf", ""],
            "--frequency-penalty": ["nan", "inf", "often"],
            "--presence-penalty": ["nan", "-inf", "x"],
            "--penalty-window": ["-1", "1.5", "x"],
            "--logit-bias": ["5", "=", "x=1", "5=x", "5=nan", "5=inf", "-5=1", '""=1', ""],
        }
        for option, values in bad.items():
            for command in ("run", "chat"):
                for value in values:
                    with self.subTest(option=option, value=value):
                        line = self.fails(2, command, "MODEL", f"{option}={value}")
                        self.assertIn(option.strip("-").replace("-", "_"), line.replace("-", "_"))
        self.fails(2, "run", "MODEL", "--logprobs", "-1", "--json", says="--logprobs")
        self.fails(2, "run", "MODEL", "--logprobs", "1001", "--json", says="--logprobs")
        self.fails(2, "run", "MODEL", "--logprobs", "1", says=["--logprobs", "json"])
        self.fails(2, "run", "MODEL", "--json", "--score-prompt", says="--logprobs", cure="explains both")
        self.fails(2, "run", "MODEL", "--output-format", "yaml", says="'yaml' is not one of text|json", cure="-o ./yaml")

    def test_bad_logit_bias_tokens(self):
        for command in ("run", "chat"):
            for biases, says in ((["512=1"], ["--logit-bias", "512", "0 to 511"]),
                                 (['"no such"=1'], ["--logit-bias", "no such"]),
                                 (["5=1", "5=2"], ["logit_bias", "token 5 twice"])):
                self.fails(2, command, MODEL, "--chat", *[f"--logit-bias={bias}" for bias in biases], says=says,
                           stdin=b"x")

    def test_every_option_has_its_effect(self):
        plain = self.ids("-n", 40, "--seed", 5)
        self.assertEqual(plain, self.ids("-n", 40, "--seed", 5))
        self.assertEqual(plain, self.ids("-n", 40, "--seed", 5, "--speculate", "off"))
        for option, off, on in (("--typical-p", "1", "0.3"), ("--repetition-penalty", "1", "3"),
                                ("--frequency-penalty", "0", "3"), ("--presence-penalty", "0", "9")):
            with self.subTest(option):
                self.assertEqual(self.ids("-n", 40, "--seed", 5, option, off), plain)
                changed = self.ids("-n", 40, "--seed", 5, option, on)
                self.assertNotEqual(changed, plain)
                self.assertEqual(self.ids("-n", 40, "--seed", 5, option, on, "--speculate", "off"), changed)
        # No token occurs twice within the window.
        once = self.ids("-n", 40, "--presence-penalty", 1000, "--penalty-window", 0)
        self.assertEqual(len(set(once)), len(once))
        near = self.ids("-n", 40, "--presence-penalty", 1000, "--penalty-window", 3)
        for i in range(len(near)):
            self.assertEqual(len(set(near[i:i + 4])), len(near[i:i + 4]))

    def test_logit_bias(self):
        pieces = {token["id"]: token["piece"] for token in self.json("-n", 10, "--logit-bias", "300=1000")["tokens"]}
        self.assertEqual(list(pieces), [300])
        self.assertEqual(self.ids("-n", 3, "--logit-bias", f'"{pieces[300]}"=1000'), [300, 300, 300])
        forbidden = self.ids("-n", 1, "--temperature", 0)
        self.assertNotEqual(self.ids("-n", 1, "--temperature", 0, "--logit-bias", f"{forbidden[0]}=-inf"), forbidden)

    def test_chat_counts_earlier_turns(self):
        def chat(*arguments):
            result = gemma("chat", MODEL, "--chat", "-n", 8, "--temperature", 0, *arguments, stdin=b"a\nb\nc\n")
            self.assertEqual(result.returncode, 0, result)
            return result.stdout
        every = ["--frequency-penalty", 2, "--penalty-window", 0]
        self.assertEqual(chat(*every), chat(*every))
        self.assertNotEqual(chat(*every), chat())
        # Only the first window includes earlier turns.
        self.assertNotEqual(chat(*every), chat("--frequency-penalty", 2, "--penalty-window", 4))


class JsonTest(SamplingTest):
    def test_fields(self):
        report = self.json("-n", 6, "--seed", 3)
        self.assertEqual(list(report), ["schema_version", "gemma_version", "model", "path", "file_type", "options", "input", "text",
                                        "tokens", "stop_reason", "prompt_tokens", "new_tokens", "seed",
                                        "prefill_seconds", "decode_seconds"])
        self.assertEqual(report["seed"], 3)
        self.assertEqual(report["model"], str(MODEL))
        self.assertEqual(report["new_tokens"], len(report["tokens"]))
        self.assertEqual(report["stop_reason"], "max_tokens")
        prompt = self.succeeds_quietly("tokenize", MODEL, PROMPT, "--bos").split()
        self.assertEqual(report["prompt_tokens"], len(prompt))
        for token in report["tokens"]:
            self.assertEqual(list(token), ["id", "piece"])
        text = self.succeeds_quietly("run", MODEL, PROMPT, "--raw", "-q", "-n", 6, "--seed", 3)
        self.assertEqual(text.rstrip("\n"), report["text"].rstrip("\n"))

    def test_stop_reasons(self):
        whole = self.json("-n", 20, "--seed", 3)
        end = "\n" if "\n" in whole["text"] else whole["text"][3:5]
        report = self.json("-n", 20, "--seed", 3, "--stop", end)
        self.assertEqual((report["stop_reason"], report["text"]),
                         ("stop_string", whole["text"][:whole["text"].index(end)]))
        # -1: until the context is full, in a completion too
        report = self.json("--context", whole["prompt_tokens"] + 3, "--seed", 3, "-n", -1)
        self.assertEqual((report["stop_reason"], report["options"]["max_tokens"]), ("context_full", -1))
        self.assertEqual(self.json("--context", whole["prompt_tokens"] + 3, "--seed", 3)["stop_reason"],
                         "context_full")
        report = self.json("--logit-bias", '"<eos>"=1000')
        self.assertEqual((report["stop_reason"], report["tokens"], report["text"]), ("stop_token", [], ""))

    def logits_of(self, ids):
        """A function from a position to log(softmax) of its logits."""
        output = self.folder / "F.npy"
        self.succeeds_quietly("logits", MODEL, "--tokens", ",".join(map(str, ids)), "--output", output)
        (_, vocab), values = read_npy(output.read_bytes())

        def row(position):
            logits = values[position * vocab:(position + 1) * vocab]
            log_sum = math.log(sum(math.exp(x) for x in logits))
            return [x - log_sum for x in logits]
        return row

    def check(self, tokens, position, row, num):
        """Compares the scores of tokens, the first at `position`, with logits."""
        for i, token in enumerate(tokens, position):
            expected = row(i - 1)
            self.assertAlmostEqual(token["logprob"], expected[token["id"]], places=4)
            self.assertEqual(len(token["alternatives"]), num)
            best = sorted(range(len(expected)), key=lambda id: -expected[id])[:num]
            for other, id in zip(token["alternatives"], best):
                self.assertEqual(list(other), ["id", "piece", "logprob"])
                self.assertAlmostEqual(other["logprob"], expected[id], places=4)
                self.assertAlmostEqual(expected[other["id"]], expected[id], places=4)

    def test_logprobs_match_logits(self):
        prompt = [int(id) for id in self.succeeds_quietly("tokenize", MODEL, PROMPT, "--bos").split()]
        exact = ["-n", 6, "--activations", "float32", "--temperature", "2", "--presence-penalty", "1", "--seed", "1"]
        plain = self.json(*exact)
        row = self.logits_of(prompt + [token["id"] for token in plain["tokens"]])
        for num in (0, 1, 5):
            report = self.json(*exact, "--logprobs", num)
            self.assertEqual(report["text"], plain["text"])
            self.assertNotIn("prompt", report)
            self.check(report["tokens"], len(prompt), row, num)
            report = self.json(*exact, "--logprobs", num, "--score-prompt")
            self.assertEqual(report["text"], plain["text"])
            self.check(report["tokens"], len(prompt), row, num)
            self.assertEqual([token["id"] for token in report["prompt"]], prompt)
            self.assertEqual(list(report["prompt"][0]), ["id", "piece"])
            self.check(report["prompt"][1:], 1, row, num)


if __name__ == "__main__":
    unittest.main()
