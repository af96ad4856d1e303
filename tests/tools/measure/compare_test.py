#!/usr/bin/env python3
"""Checks gemma compare on toy models against gemma logits, gemma perplexity and plain arithmetic."""
import json
import math
import os
import pathlib
import re
import resource
import statistics
import struct
import sys
import unittest

from command import BINARY, MODELS, TESTDATA, CommandTest, read_npy

TOY = TESTDATA / "gguf/gemma3_mixed.gguf"  # has a tokenizer
TEXT = "The cat sat on the mat. Then the dog came, and the cat ran away over the wall! 12 of 7 € naïve.\n" * 2
# Where tools/setup.sh installs matplotlib.
WITH_MATPLOTLIB = dict(os.environ, PATH=f"/usr/bin:{os.environ['PATH']}")


def log_softmax(row):
    top = max(row)
    log_sum = top + math.log(math.fsum(math.exp(value - top) for value in row))
    return [value - log_sum for value in row]


def quantile(values, q):
    """Returns a quantile, interpolated as in NumPy."""
    values = sorted(values)
    at = q * (len(values) - 1)
    below = math.floor(at)
    above = min(below + 1, len(values) - 1)
    return values[below] + (at - below) * (values[above] - values[below])


class CompareTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.text = self.folder / "text.txt"
        self.text.write_text(TEXT)

    def other(self, change=lambda i, value: value * (1 + 0.05 * (i % 7))):
        """Returns the path of a copy of the toy with changed weights in its last norm."""
        data = bytearray(TOY.read_bytes())
        # After the name come the number of extents, 1, the extent, 256, the type, 0 (F32), and the data's offset.
        name = b"output_norm.weight"
        extents, extent, kind, offset = struct.unpack_from("<IQIQ", data, data.index(name) + len(name))
        self.assertEqual((extents, extent, kind), (1, 256, 0))
        begin = len(data) - json.loads(self.succeeds("inspect", TOY, "--json"))["weight_bytes"] + offset
        norm = struct.unpack_from("<256f", data, begin)
        self.assertLess(max(map(abs, norm)), 10)
        struct.pack_into("<256f", data, begin, *(change(i, value) for i, value in enumerate(norm)))
        path = self.folder / "other.gguf"
        path.write_bytes(data)
        return path

    def compare(self, base, other, *arguments):
        return json.loads(self.succeeds_quietly("compare", base, other, "--file", self.text, "--json", *arguments))

    def tokens(self):
        return [int(token) for token in self.succeeds("tokenize", TOY, TEXT).split()]

    def log_probabilities(self, model, context, *arguments):
        """Returns for each token of the text the log-probabilities of the whole vocabulary."""
        tokens, rows, path = self.tokens(), [], self.folder / "F.npy"
        for begin in range(0, len(tokens), context - 1):
            window = [2] + tokens[begin : begin + context - 1][:-1]
            self.succeeds("logits", model, "--tokens", ",".join(map(str, window)), "--output", path, "--force",
                          *arguments)
            (count, size), values = read_npy(path.read_bytes())
            rows += [log_softmax(values[row * size : (row + 1) * size]) for row in range(count)]
        return rows

    def per_token(self, base, other, *arguments):
        path = self.folder / "tokens.jsonl"
        self.compare(base, other, "--per-token", path, "--force", *arguments)
        return [json.loads(line) for line in path.read_text().splitlines()]


class NumbersTest(CompareTest):
    def test_a_model_is_itself(self):
        report = self.compare(TOY, TOY, "--context", 33)
        self.assertEqual(report["scored_tokens"], len(self.tokens()))
        self.assertEqual(report["windows"], -(-len(self.tokens()) // 32))
        for key in ("mean_kl", "mean_kl_error", "median_kl", "kl_90", "kl_99", "kl_99_9", "max_kl",
                    "top1_agreement_error", "perplexity_ratio_error"):
            self.assertEqual(report[key], 0, key)
        self.assertEqual((report["top1_agreement"], report["perplexity_ratio"]), (1, 1))
        self.assertEqual(report["base_perplexity"], report["other_perplexity"])

    def check(self, base, other, base_arguments=(), other_arguments=(), arguments=()):
        """Checks the report and each token's line against arithmetic on the logits. Returns the report."""
        tokens, context = self.tokens(), 50
        ours = self.log_probabilities(base, context, *base_arguments)
        theirs = self.log_probabilities(other, context, *other_arguments)
        path = self.folder / "tokens.jsonl"
        report = self.compare(base, other, "--context", context, "--per-token", path, "--force", *arguments)
        lines = [json.loads(line) for line in path.read_text().splitlines()]

        kl = [math.fsum(math.exp(p) * (p - q) for p, q in zip(*rows)) for rows in zip(ours, theirs)]
        nll = [[-row[token] for row, token in zip(rows, tokens)] for rows in (ours, theirs)]
        top = [[row.index(max(row)) for row in rows] for rows in (ours, theirs)]
        self.assertEqual([line["position"] for line in lines], list(range(len(tokens))))
        self.assertEqual([line["token"] for line in lines], tokens)
        self.assertEqual([line["base_top"] for line in lines], top[0])
        self.assertEqual([line["other_top"] for line in lines], top[1])
        for line, values in zip(lines, zip(kl, *nll)):
            for key, value in zip(("kl", "base_nll", "other_nll"), values):
                self.assertAlmostEqual(line[key], value, delta=1e-6)

        n, difference = len(tokens), [b - a for a, b in zip(*nll)]
        same = [a == b for a, b in zip(*top)]
        means = [statistics.fmean(values) for values in nll]
        errors = {name: statistics.stdev(values) / math.sqrt(n)
                  for name, values in (("kl", kl), ("base", nll[0]), ("other", nll[1]), ("difference", difference),
                                       ("same", same))}
        ratio = math.exp(means[1] - means[0])
        expected = {
            "scored_tokens": n, "mean_kl": statistics.fmean(kl), "mean_kl_error": errors["kl"],
            "median_kl": statistics.median(kl), "kl_90": quantile(kl, 0.9), "kl_99": quantile(kl, 0.99),
            "kl_99_9": quantile(kl, 0.999), "max_kl": max(kl), "max_kl_position": kl.index(max(kl)),
            "top1_agreement": statistics.fmean(same), "top1_agreement_error": errors["same"],
            "base_perplexity": math.exp(means[0]), "base_perplexity_error": math.exp(means[0]) * errors["base"],
            "other_perplexity": math.exp(means[1]), "other_perplexity_error": math.exp(means[1]) * errors["other"],
            "perplexity_ratio": ratio, "perplexity_ratio_error": ratio * errors["difference"],
        }
        self.assertEqual(report["options"]["context"], context)
        for key, value in expected.items():
            self.assertAlmostEqual(report[key], value, delta=1e-6 * max(1, abs(value)), msg=key)
        return report

    def test_other_weights(self):
        report = self.check(TOY, self.other())
        self.assertGreater(report["mean_kl"], 1e-3)
        self.assertGreater(report["max_kl"], 1.5 * report["median_kl"])

    def test_activations_of_each(self):
        report = self.check(TOY, TOY, other_arguments=["--activations", "int8"],
                            arguments=["--base-activations", "float32", "--activations", "int8"])
        self.assertGreater(report["mean_kl"], 0)
        report = self.check(TOY, TOY, base_arguments=["--activations", "int8"],
                            arguments=["--base-activations", "int8"])
        self.assertGreater(report["mean_kl"], 0)
        self.assertEqual(self.compare(TOY, TOY, "--activations", "int8")["max_kl"], 0)

    def test_equals_gemma_perplexity(self):
        other = self.other()
        report = self.compare(TOY, other, "--context", 40)
        for key, model in (("base_perplexity", TOY), ("other_perplexity", other)):
            alone = json.loads(self.succeeds("perplexity", model, "--file", self.text, "--context", 40,
                                             "--activations", "float32", "--json"))
            self.assertAlmostEqual(report[key], alone["perplexity"], delta=1e-9 * report[key])
            error = report[f"{key}_error"]
            self.assertAlmostEqual(error, alone["perplexity_error"], delta=1e-6 * error)
            self.assertAlmostEqual(error / report[key], alone["mean_nll_error"], delta=1e-6)
        text = self.succeeds_quietly("perplexity", other, "--file", self.text, "--context", 40,
                                     "--activations", "float32")
        self.assertRegex(text, rf"\Ascored tokens  {report['scored_tokens']}\n"
                               rf"mean NLL       {math.log(report['other_perplexity']):.6f} \+- \d\.\d{{6}} nats per token\n"
                               rf"perplexity     {report['other_perplexity']:.4f} "
                               rf"\+- {report['other_perplexity_error']:.4f}\n\Z")
        # One token has no deviation.
        text = self.succeeds_quietly("perplexity", other, "--file", "-", stdin=b"a")
        self.assertRegex(text, r"\Ascored tokens  1\nmean NLL +[\d.]+ nats per token\nperplexity +[\d.]+\n\Z")
        alone = json.loads(self.succeeds("perplexity", other, "--file", "-", "--json", stdin=b"a"))
        self.assertEqual((alone["mean_nll_error"], alone["perplexity_error"]), (None, None))

    def test_same_for_threads_and_chunks(self):
        other = self.other()
        expected = self.per_token(TOY, other)
        for arguments in (["--threads", 1], ["--threads", 3], ["--chunk", 1], ["--chunk", 7],
                          ["--chunk", 64, "--context", 1000]):
            self.assertEqual(self.per_token(TOY, other, *arguments), expected, arguments)

    def test_one_token_has_no_error(self):
        self.text.write_text("e")
        report = self.compare(TOY, self.other())
        self.assertEqual((report["scored_tokens"], report["mean_kl_error"]), (1, None))
        self.assertEqual(report["mean_kl"], report["max_kl"])
        table = self.succeeds_quietly("compare", TOY, self.other(), "--file", self.text)
        self.assertRegex(table, r"(?m)^mean KL +[\d.e+-]+ nats$")
        self.assertNotRegex(table, r"nan|\+-")

    def test_standard_input(self):
        expected = self.compare(TOY, TOY)["base_perplexity"]
        text = self.succeeds_quietly("compare", TOY, TOY, "--file", "-", "--json", stdin=TEXT.encode())
        self.assertEqual(json.loads(text)["base_perplexity"], expected)

    def test_the_table(self):
        other = self.other()
        report = self.compare(TOY, other)
        fields = dict(re.findall(r"(?m)^(.+?)  +(\S+)", self.succeeds_quietly("compare", TOY, other, "-f", self.text)))
        for name, key in (("mean KL", "mean_kl"), ("median KL", "median_kl"), ("90 % KL", "kl_90"),
                          ("99 % KL", "kl_99"), ("99.9 % KL", "kl_99_9"), ("largest KL", "max_kl"),
                          ("base perplexity", "base_perplexity"), ("other perplexity", "other_perplexity"),
                          ("other / base", "perplexity_ratio"), ("scored tokens", "scored_tokens")):
            self.assertAlmostEqual(float(fields[name]), report[key], delta=1e-3 * report[key], msg=name)
        self.assertAlmostEqual(float(fields["top-1 agreement"]), 100 * report["top1_agreement"], delta=0.01)

    def test_token_texts_make_the_text(self):
        lines = self.per_token(TOY, TOY)
        # A character of several byte tokens has no text before its last token.
        self.assertEqual("".join(line["text"] for line in lines if "\ufffd" not in line["text"]),
                         TEXT.replace("€", "").replace("ï", ""))


class RefusalTest(CompareTest):
    def refused(self, base, other, *arguments, says, code=1, cure=None, **options):
        self.fails(code, "compare", base, other, "--file", self.text, *arguments, says=says, cure=cure, **options)

    def test_other_vocabularies(self):
        toy = MODELS / "gemma3"
        self.refused(TOY, toy, says=[str(TOY), "512", str(toy), "256", "the same vocabulary"])
        self.refused(toy, TOY, says=[str(toy), "256", str(TOY), "512"])

    def test_other_tokens(self):
        data = TOY.read_bytes()
        # Exchange two pieces of the same length.
        the, other = (struct.pack("<Q", len(piece.encode())) + piece.encode() for piece in ("▁the", "▁and"))
        self.assertTrue(the in data and other in data)
        begin, end = sorted((data.index(the), data.index(other)))
        size = len(the)
        path = self.folder / "exchanged.gguf"
        path.write_bytes(data[:begin] + data[end : end + size] + data[begin + size : end] + data[begin : begin + size]
                         + data[end + size :])
        tokens = [self.succeeds("tokenize", model, TEXT).split() for model in (TOY, path)]
        at = next(i for i, pair in enumerate(zip(*tokens)) if pair[0] != pair[1])
        self.refused(TOY, path, says=[str(TOY), str(path), f"at {at}: {tokens[0][at]} and {tokens[1][at]}",
                                      "the same tokenizer"])
        self.text.write_text("!")
        self.compare(TOY, path)  # Only tokens of the text must be the same.

    def test_missing_tokenizer(self):
        toy = MODELS / "gemma3"
        self.refused(toy, toy, says=["tokenizer", "gemma3"], cure="tokenizer.model")

    def test_bad_files(self):
        self.refused("/no/model.gguf", TOY, says="/no/model.gguf", cure="")
        self.refused(TOY, self.text, says=f"{self.text}: is a text, not a model",
                     cure="the first argument is the model")
        broken = self.folder / "broken.gguf"
        broken.write_bytes(TOY.read_bytes()[:-1])
        self.refused(TOY, broken, says=str(broken), cure="to its end")
        for data, says in ((b"", "no text"), (b"caf\xe9", "byte 3")):
            self.text.write_bytes(data)
            self.refused(TOY, TOY, says=[str(self.text), says])
        self.fails(1, "compare", TOY, TOY, "--file", "/no/file", says="/no/file")

    def test_logits_that_are_none(self):
        path = self.other(lambda i, value: math.nan if i == 255 else value)
        self.refused(TOY, path, says=[str(path), "not finite", "token 0"])
        self.refused(path, TOY, says=[str(path), "not finite", "token 0"])

    def test_usage(self):
        self.fails(2, "compare", says="BASE", cure="gemma compare BASE OTHER [FILE]")
        self.fails(2, "compare", TOY, says="OTHER", cure="gemma compare BASE OTHER [FILE]")
        self.fails(1, "compare", TOY, TOY, says="standard input: no text to score")
        self.fails(2, "compare", TOY, TOY, "--fly", says="--fly", cure="gemma compare --help")
        self.refused("BASE", "OTHER", "--context", 1, code=2, says="--context")
        self.refused("BASE", "OTHER", "--base-activations", "int4", code=2, says="--base-activations")

    def test_both_models_must_fit(self):
        if b"__asan_init" in pathlib.Path(BINARY).read_bytes():
            self.skipTest("the sanitizer needs more addresses than the limit")
        limit, context = 4 << 30, 1024

        def needs(context):
            return json.loads(self.succeeds("inspect", TOY, "--context", context, "--json"))["memory"]["total"]
        while 2 * needs(context) < limit:
            context *= 2
        self.assertLess(needs(context), limit)  # one fits
        words = "cat " * context
        self.text.write_text(words)
        self.refused(TOY, TOY, "--context", context, says=[f"{TOY} and {TOY}: needs ", "ulimit -v"],
                     cure="--context ", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))

    def test_unwritable_outputs_fail_first(self):
        for option in ("--per-token", "--plot"):
            self.refused("/no/model", "/no/model", option, "/no/folder/F", says="/no/folder/F", env=WITH_MATPLOTLIB)
        self.refused(TOY, TOY, "--per-token", "/dev/full", says="/dev/full", stdout=None)


class PlotTest(CompareTest):
    def python(self, text):
        """Returns an environment in which python3 is this shell script."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        script = folder / "python3"
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
        return dict(os.environ, PATH=str(folder))

    def test_a_plot(self):
        plot, lines = self.folder / "plot.png", self.folder / "tokens.jsonl"
        for arguments in ([], ["--per-token", lines]):
            self.succeeds_quietly("compare", TOY, self.other(), "--file", self.text, "--plot", plot, *arguments,
                                  env=WITH_MATPLOTLIB)
            self.fails(1, "compare", TOY, TOY, "--file", self.text, "--plot", plot, says="already exists",
                       cure="--force", env=WITH_MATPLOTLIB)
            data = plot.read_bytes()
            self.assertTrue(data.startswith(b"\x89PNG\r\n\x1a\n") and data.rstrip().endswith(b"IEND\xaeB`\x82"))
            self.assertGreater(len(data), 10000)
            plot.unlink()
        # A model's KL to itself is 0, which has no logarithm.
        self.succeeds_quietly("compare", TOY, TOY, "--file", self.text, "--plot", plot, env=WITH_MATPLOTLIB)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()),
                         ["other.gguf", "plot.png", "text.txt", "tokens.jsonl"])

    def test_without_python(self):
        (self.folder / "empty").mkdir()
        self.fails(1, "compare", "BASE", "OTHER", "--file", self.text, "--plot", self.folder / "plot.png",
                   env=dict(os.environ, PATH=str(self.folder / "empty")), says="python3: not installed",
                   cure="python3-matplotlib")

    def test_without_matplotlib(self):
        # -S hides all installed packages.
        self.fails(1, "compare", "BASE", "OTHER", "--file", self.text, "--plot", self.folder / "plot.png",
                   env=self.python(f'exec "{sys.executable}" -I -S "$@"'), says=["matplotlib", "--plot"],
                   cure="python3-matplotlib")
        self.assertFalse((self.folder / "plot.png").exists())

    def test_a_script_that_fails(self):
        plot = self.folder / "plot.png"
        self.fails(1, "compare", TOY, TOY, "--file", self.text, "--plot", plot, stdout=None, says="cannot plot: no",
                   env=self.python('test $# -eq 2 || { echo "no" >&2; exit 1; }'))
        self.assertFalse(plot.exists())


if __name__ == "__main__":
    unittest.main()
