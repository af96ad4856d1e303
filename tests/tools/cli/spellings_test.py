#!/usr/bin/env python3
"""One meaning an option: -o, -f, -q and -v on all commands, and the spellings of before, which work with a note."""
import json
import os
import select
import unittest

from command import COMMANDS, MODELS, OTHER_COMMANDS, STORE_COMMANDS, TESTDATA, CommandTest, gemma

TOY = MODELS / "gemma2"
SPEAKING = TESTDATA / "gguf/gemma3_mixed.gguf"
# What commands need besides a model, or instead of it.
WORDS = {
    "list": [], "doctor": [], "man": [], "completion": ["bash"], "compare": ["a", "b", "--file", "F"],
    "quantize": ["a", "b"], "logits": ["a", "--output", "F"], "perplexity": ["a", "--file", "F"],
    "importance": ["a", "--file", "F"], "verify": ["a", "--reference", "F"], "scope": ["a", "--sae", "F"],
}
BENCH = ["bench", TOY, "-p", 2, "-n", 0, "-r", 1]


class FormTest(CommandTest):
    def noted(self, *arguments, note, **options):
        result = gemma(*arguments, **options)
        self.assertEqual(result.returncode, 0, result)
        self.assertEqual(len(result.stderr.splitlines()), 1, result)
        self.assertIn(note, result.stderr.decode())
        return result.stdout.decode()

    def test_old_spellings_work(self):
        expected = self.succeeds_quietly("inspect", TOY, "--json")
        for words in (["-o", "json"], ["-ojson"], ["--output-format", "json"], ["--output-format=json"],
                      ["--output=json"]):
            note = "is now spelled --json (-o ./json names a file)"
            self.assertEqual(self.noted("inspect", TOY, *words, note=note, cwd=self.folder), expected)
            self.assertEqual(self.succeeds_quietly("inspect", TOY, *words, "-q", cwd=self.folder), expected)
        self.assertEqual(self.noted("inspect", TOY, "-o", "text", note="-o text: text is the default"),
                         self.succeeds_quietly("inspect", TOY))
        self.assertEqual(self.succeeds_quietly("inspect", TOY, "-qo", "json", cwd=self.folder), expected)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_forms_of_llama_bench(self):
        for form in ("json", "csv"):
            self.assertIn("n_prompt", self.noted(*BENCH, "-o", form, note=f"--{form}"))
        self.assertIn("| pp2", " ".join(self.noted(*BENCH, "-o", "md", note="-o md: text is the default").split()))
        self.fails(2, *BENCH, "-o", "sql", says="'sql' is not one of text|json|csv|md", cure="-o ./sql")
        self.fails(2, "man", "-o", "json", says="there is only text", cure="-o ./json")

    def test_batch_of_bench(self):
        words = ["bench", TOY, "-p", 0, "-n", 1, "-r", 1, "--csv"]
        wanted = self.succeeds_quietly(*words, "--batch-size", 2, "-q").splitlines()[0]
        note = "-b: sequences decoded together; llama-bench's -b is --chunk here"
        self.assertEqual(self.noted(*words, "-b", 2, note=note).splitlines()[0], wanted)
        self.fails(2, *words, "-b", "2048", says="--batch-size: '2048' is not a whole number from 1 to 1024; llama-bench's -b "
                                                 "is --chunk here")
        for batch in (["--batch", 2], ["--batch=2"]):
            result = gemma(*words, *batch)
            self.assertEqual(result.stdout.decode().splitlines()[0], wanted)
            self.assertEqual(result.stderr.decode(), f"gemma: --batch is now spelled --batch-size\ngemma: {note}\n")
        # run has its own.
        self.fails(1, "run", "/no/model", "--batch", "F", says="", cure="")

    def test_files_named_like_forms(self):
        self.succeeds_quietly("list", "--quiet", "-o", "./json", cwd=self.folder)
        self.assertTrue((self.folder / "json").read_text().startswith("NAME"))
        # The value of another option, and words after "--"
        self.fails(1, "run", "/no/model", "--stop", "-o", "--", "-o", says="/no/model", cure="")

    def test_variable_of_before(self):
        environment = dict(os.environ, GEMMA_OUTPUT_FORMAT="json")
        report = self.noted("inspect", TOY, note="GEMMA_OUTPUT_FORMAT=json is now spelled GEMMA_JSON=1", env=environment)
        self.assertEqual(json.loads(report)["model"], str(TOY))
        self.assertTrue(self.noted("inspect", TOY, "-o", "text", note="default", env=environment).startswith("path"))
        self.assertIn("n_prompt,", self.noted(*BENCH, "--csv", note="GEMMA_JSON=1", env=environment).replace('"', ""))

    def test_forms_exclude_each_other(self):
        self.fails(2, *BENCH, "--json", "--csv", says=["--csv", "--json"])


class QuietAndVerboseTest(CommandTest):
    def test_all_commands_have_them(self):
        for command in COMMANDS + STORE_COMMANDS + OTHER_COMMANDS:
            words = self.succeeds_quietly(command, "--help-all")
            for option in ("-q, --quiet", "-v, --verbose"):
                self.assertIn(f"\n  {option} ", words, command)
            self.assertEqual("-o, --output FILE" in words, command not in ("chat", "serve", "pull", "remove", "quantize"), command)
            self.assertEqual("-o, " in words, "-o, --output FILE" in words, command)
            if "-f, " in words:
                self.assertIn("-f, --file FILE", words, command)

    def test_together_are_an_error(self):
        for command in COMMANDS + STORE_COMMANDS + OTHER_COMMANDS:
            self.fails(2, command, "-q", "-v", *WORDS.get(command, ["/no/model"]), says=["--quiet", "--verbose"])

    def test_the_line_overrides_variables(self):
        self.succeeds_quietly("list", "-q", env=dict(os.environ, GEMMA_VERBOSE="1"))

    def test_verbose_tells_time_and_memory(self):
        result = gemma("tokenize", SPEAKING, "hello", "-v")
        self.assertRegex(result.stderr.decode(), r"\Agemma: \d+\.\d\d s, at most [\d.]+ MB of memory\n\Z")

    def test_quiet_drops_notes(self):
        target = self.folder / "m.gguf"
        arguments = ["quantize", SPEAKING, target, "q4", "--force"]
        self.assertIn("quantized already", gemma(*arguments).stderr.decode())
        self.assertEqual(self.succeeds_quietly(*arguments, "-q"), "")
        self.assertTrue(target.exists())
        self.fails(1, "quantize", "/no/model", target, "q4", "-q", "--force", says="/no/model", cure="gemma list")


class FileTest(CommandTest):
    def test_f_is_a_file(self):
        text = self.folder / "text"
        text.write_text("hello the cat")
        ids = self.succeeds_quietly("tokenize", SPEAKING, "hello the cat")
        self.assertEqual(self.succeeds_quietly("tokenize", SPEAKING, "-f", text), ids)
        self.assertEqual(self.succeeds_quietly("embed", MODELS / "embedding_gemma", "-f", text),
                         self.succeeds_quietly("embed", MODELS / "embedding_gemma", "hello the cat"))
        self.fails(2, "tokenize", SPEAKING, "-f", text, "hello", says=["--file", "TEXT"])
        self.fails(2, "perplexity", SPEAKING, text, "-f", text, says=["--file", "FILE"])
        # Nothing is destroyed by the -f of before.
        self.fails(2, "quantize", SPEAKING, text, "q4", "-f", says="quantize has no option -f", cure="--force")
        self.assertEqual(text.read_text(), "hello the cat")

    def test_texts_come_three_ways(self):
        text, path = self.folder / "text", self.folder / "F.gguf"
        text.write_text("hello the cat")
        for command in (["perplexity", SPEAKING], ["compare", SPEAKING, SPEAKING],
                        ["importance", SPEAKING, "-o", path, "--force"]):
            wanted = self.succeeds_quietly(*command, "--file", text)
            self.assertEqual(self.succeeds_quietly(*command, text), wanted)
            self.assertEqual(self.succeeds_quietly(*command, stdin=text.read_bytes()), wanted)
            self.assertEqual(self.succeeds_quietly(*command, "-", stdin=text.read_bytes()), wanted)
        environment = dict(os.environ, GEMMA_MODEL=str(SPEAKING), GEMMA_FILE="/no/file")
        self.assertEqual(self.succeeds_quietly("perplexity", text, env=environment),
                         self.succeeds_quietly("perplexity", SPEAKING, text))
        self.assertEqual(self.succeeds_quietly("perplexity", "-", stdin=text.read_bytes(), env=environment),
                         self.succeeds_quietly("perplexity", SPEAKING, stdin=text.read_bytes()))
        self.fails(1, "perplexity", "texxt", env=environment, says="texxt: No such file")
        self.fails(1, "perplexity", SPEAKING, stdin=b"", says="standard input: no text to score")
        self.fails(1, "perplexity", SPEAKING, stdin=b"\xff", says="standard input: byte 0")

    def test_open_pipe_is_told(self):
        quiet = self.start("perplexity", SPEAKING, "-q")
        waiting = [self.start(*words) for words in (["perplexity", SPEAKING], ["compare", SPEAKING, SPEAKING],
                                                    ["tokenize", SPEAKING])]
        for process in waiting:  # side by side: each waits for two seconds
            self.assertTrue(select.select([process.stderr], [], [], 60)[0], process.args)
            self.assertEqual(process.stderr.readline(), b"gemma: waiting for standard input\n", process.args)
        self.assertEqual(quiet.communicate(b"hello the cat")[1], b"")
        self.assertEqual(quiet.returncode, 0)


if __name__ == "__main__":
    unittest.main()
