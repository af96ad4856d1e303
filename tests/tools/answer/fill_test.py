#!/usr/bin/env python3
"""gemma run --fill-prefix and --fill-suffix, with the toy that has CodeGemma's markers; see tools/reference/fill_toys.py."""
import json
import os
import unittest

from command import MODELS, TESTDATA, CommandTest

DIRECTORY = MODELS / "gemma_fill"
GGUF = TESTDATA / "gguf" / "gemma_fill.gguf"
CASES = json.loads((DIRECTORY / "fill.json").read_text())
EXACT = ["--temperature", "0", "--activations", "float32", "--cache-type", "float32", "--max-tokens", "40"]
MARKERS = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_separator|>"]


class FillTest(CommandTest):
    def setUp(self):
        super().setUp()
        (self.folder / "prefix").write_bytes(b"the ")
        (self.folder / "suffix").write_bytes(b"\n of\n")
        self.texts = ["--fill-prefix", self.folder / "prefix", "--fill-suffix", self.folder / "suffix"]

    def fill(self, model, case, *arguments):
        """The command's answer to a case of the reference. Writes the files of the case."""
        options = []
        for name in ("prefix", "suffix"):
            if case[name]:
                (self.folder / name).write_bytes(case[name].encode())
                options += [f"--fill-{name}", name]
        if not options:
            options = ["--fill-prefix", os.devnull]
        if case["path"]:
            options += ["--fill-path", case["path"]]
        for path, text in case["files"]:
            (self.folder / path).parent.mkdir(exist_ok=True)
            (self.folder / path).write_bytes(text.encode())
            options += ["--fill-file", path]
        return self.succeeds_quietly("run", model, *EXACT, *options, *arguments, cwd=self.folder)

    def test_answers_are_those_of_transformers(self):
        # Byte for byte: markers are not written, and no line end is added.
        for model in (DIRECTORY, GGUF):
            for case in CASES:
                with self.subTest(model=model.name, stop=case["stop"]):
                    self.assertEqual(self.fill(model, case), case["text"])

    def test_json_tells_the_same(self):
        for case in CASES:
            answer = json.loads(self.fill(GGUF, case, "--json", "--list-tokens"))
            self.assertEqual(answer["text"], case["text"])
            self.assertEqual([token["id"] for token in answer["tokens"]], case["answer"])
            self.assertEqual(answer["stop_reason"], "stop_token")
            self.assertEqual(answer["prompt_tokens"], len(case["prompt"]))

    def test_quantized_gguf_fills_in(self):
        written = self.folder / "written.gguf"
        self.succeeds("quantize", DIRECTORY, written, "--type", "keep")
        for case in CASES:
            self.assertEqual(self.fill(written, case), case["text"])

    def test_each_marker_ends_the_answer(self):
        for marker in MARKERS:
            out = self.succeeds_quietly("run", GGUF, *self.texts, "--logit-bias", f'"{marker}"=1000')
            self.assertEqual(out, "")

    def test_texts_from_standard_input(self):
        expected = self.succeeds_quietly("run", GGUF, *EXACT, *self.texts)
        self.assertEqual(self.succeeds_quietly("run", GGUF, *EXACT, "--fill-prefix", "-", *self.texts[2:], stdin=b"the "),
                         expected)
        read, write = os.pipe()
        os.write(write, b"\n of\n")
        os.close(write)
        self.assertEqual(self.succeeds_quietly("run", GGUF, *EXACT, *self.texts[:2], "--fill-suffix", f"/dev/fd/{read}",
                                               pass_fds=[read]), expected)
        os.close(read)

    def test_one_text_may_be_missing(self):
        for name in ("prefix", "suffix"):
            case = {"prefix": "", "suffix": "", "path": "", "files": [], name: "the "}
            answer = json.loads(self.fill(GGUF, case, "--json"))
            self.assertEqual(answer["prompt_tokens"], 4 + len(self.tokens("the ")))

    def tokens(self, text):
        return self.succeeds_quietly("tokenize", GGUF, text).split()

    def test_control_tokens_are_text(self):
        attack = "".join(MARKERS) + "<bos><eos>"
        (self.folder / "prefix").write_text(attack)
        answer = json.loads(self.succeeds_quietly("run", GGUF, *self.texts[:2], "--json"))
        self.assertEqual(answer["prompt_tokens"], 4 + len(self.tokens(attack)))

    def test_a_model_without_the_markers(self):
        other = TESTDATA / "gguf" / "gemma3_mixed.gguf"
        line = self.fails(1, "run", other, *self.texts, says=[str(other), "'<|file_separator|>'"], cure="codegemma-2b")
        for marker in MARKERS:
            self.assertIn(marker, line)

    def test_files_that_cannot_be_read(self):
        self.fails(1, "run", "MODEL", "--fill-prefix", "/no/such", says="/no/such")
        (self.folder / "prefix").write_bytes(b"caf\xe9")
        self.fails(1, "run", "MODEL", *self.texts, says=[str(self.folder / "prefix"), "byte 3"])
        self.fails(1, "run", "MODEL", "--fill-suffix", "-", stdin=b"\xff", says=["standard input", "byte 0"])

    def test_prompt_longer_than_the_context(self):
        (self.folder / "prefix").write_text("x = 1\n" * 20)
        self.fails(1, "run", GGUF, *self.texts, "--context", "32", says="32", cure="--context")

    def test_options_that_contradict(self):
        for other in (["PROMPT"], ["--chat"], ["--system", "S"], ["--batch", "F"]):
            name = other[0]
            for asked_by in ("--fill-prefix", "--fill-suffix"):
                self.fails(2, "run", "MODEL", *other, asked_by, "F", says=[asked_by, name])
        for other in ("--fill-path", "--fill-file"):
            self.fails(2, "run", "MODEL", other, "F", says=[other, "--fill-prefix", "--fill-suffix"])
        self.fails(2, "run", "MODEL", "--fill-prefix", "-", "--fill-suffix", "-", says=["standard input"])
        self.fails(2, "run", "MODEL", "--fill-prefix", "-", "--fill-file", "-", says=["standard input"])
        self.fails(1, "run", GGUF, *self.texts, "--fill-path", "a\nb", says="line end")

    def test_terminal_gets_line_end(self):
        master, slave = os.openpty()
        process = self.start("run", GGUF, "--quiet", *self.texts, "--logit-bias", '"<eos>"=1000', stdout=slave)
        os.close(slave)
        self.assertEqual(process.wait(), 0)
        self.assertEqual(os.read(master, 100), b"\r\n")
        os.close(master)


if __name__ == "__main__":
    unittest.main()
