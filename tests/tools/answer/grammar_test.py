#!/usr/bin/env python3
"""gemma run --format json, --schema, --regex and --choice, with a toy model that has a vocabulary of 512 pieces."""
import json
import re
import unittest

import jsonschema
from command import TESTDATA, CommandTest, gemma

MODEL = TESTDATA / "gguf" / "gemma3_mixed.gguf"
PROMPT = "the cat sat on the mat"
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 6},
        "kind": {"enum": ["cat", "dog"]},
        "age": {"type": "integer", "minimum": 0, "maximum": 30},
        "tags": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3},
    },
    "required": ["name", "kind", "age"],
    "additionalProperties": False,
}


class GrammarTest(CommandTest):
    def answer(self, *arguments):
        """The report of a whole answer."""
        return json.loads(self.succeeds_quietly("run", MODEL, PROMPT, "--raw", "-q", "--json", *arguments))

    def schema(self, schema):
        path = self.folder / "schema.json"
        path.write_text(schema if isinstance(schema, str) else json.dumps(schema))
        return path

    def test_help(self):
        text = self.succeeds_quietly("run", "--help-all")
        for option in ("--format", "--schema", "--regex", "--choice"):
            self.assertIn(f"  {option} ", text)

    def test_schema(self):
        path = self.schema(SCHEMA)
        for seed in range(20):
            report = self.answer("--format", "json", "--schema", path, "--seed", seed, "--temperature", 3,
                                 "--top-k", 0 if seed % 2 else 64)
            self.assertEqual(report["stop_reason"], "grammar_end")
            jsonschema.validate(json.loads(report["text"]), SCHEMA)
        text = self.succeeds_quietly("run", MODEL, PROMPT, "--raw", "-q", "--format", "json", "--schema", path)
        self.assertEqual(text.count("\n"), 1)
        jsonschema.validate(json.loads(text), SCHEMA)

    def test_any_json(self):
        whole = 0
        for seed in range(20):
            report = self.answer("--format", "json", "--seed", seed, "--temperature", 2, "-n", 100)
            if report["stop_reason"] in ("stop_token", "grammar_end"):
                json.loads(report["text"])
                whole += 1
        self.assertGreater(whole, 0)

    def test_regex_and_choice(self):
        for seed in range(8):
            report = self.answer("--regex", r"[a-f]{2,4}-\d+x", "--seed", seed)
            if report["stop_reason"] == "grammar_end":
                self.assertTrue(re.fullmatch(r"[a-f]{2,4}-\d+x", report["text"], re.ASCII))
            report = self.answer("--choice", "yes", "--choice", "--no", "--choice", "maybe", "--seed", seed)
            self.assertIn(report["text"], ("yes", "--no", "maybe"))
            self.assertEqual(report["stop_reason"], "grammar_end")

    def test_cut_short(self):
        report = self.answer("--regex", "a{50}", "-n", 3)
        self.assertEqual(report["stop_reason"], "max_tokens")
        self.assertTrue(re.fullmatch("a{1,49}", report["text"]))

    def test_cut_answers_are_noted(self):
        digits = self.schema({"type": "array", "items": {"type": "integer"}, "minItems": 40})
        for arguments, says in ((["--format", "json", "--schema", digits, "-n", 4], "the answer is not whole JSON: cut at 4"),
                                (["--regex", "a{50}", "-n", 3], "only the beginning of one that is allowed: cut at"),
                                (["--raw", "-n", 1], "the answer is cut at 1 token: --max-tokens"),
                                (["--raw", "-c", 20, "--logit-bias", "1=-1000"], "the context of 20 tokens is full")):
            result = gemma("run", MODEL, "the cat", "--temperature", 0, *arguments)
            self.assertEqual(result.returncode, 0, result)
            self.assertIn(says, result.stderr.decode().splitlines()[-1])
            self.assertNotIn(b"cut", result.stdout)
            self.assertEqual(gemma("run", MODEL, "the cat", "--temperature", 0, *arguments, "-q").stderr, b"")
        # Whole JSON has no note, and neither has an answer that a grammar ends.
        result = gemma("run", MODEL, "the cat", "--choice", "yes", "--choice", "no")
        self.assertNotIn(b"cut", result.stderr)

    def test_one_choice_with_commas(self):
        note = "--choice yes,no allows one answer, with its commas: repeat --choice for several"
        self.assertIn(note, gemma("run", MODEL, "x", "--choice", "yes,no").stderr.decode())
        self.assertNotIn("commas", gemma("run", MODEL, "x", "--choice", "a,b", "--choice", "c").stderr.decode())

    def test_same_answer_with_log_probabilities(self):
        path = self.schema(SCHEMA)
        arguments = ("--format", "json", "--schema", path, "--seed", 5)
        report = self.answer(*arguments, "--logprobs", 2)
        self.assertEqual(report["text"], self.answer(*arguments)["text"])
        self.assertTrue(all(token["logprob"] <= 0 for token in report["tokens"]))

    def test_wrong_use(self):
        run = ("run", MODEL, PROMPT)
        self.fails(2, *run, "--format", "xml", says=("--format", "text|json"))
        self.fails(2, *run, "--schema", self.schema(SCHEMA), says=("--schema needs --format json",))
        self.fails(2, *run, "--format", "json", "--regex", "a", says=("only one may be given",))
        self.fails(2, *run, "--regex", "b", "--regex", "a", says=("only one may be given",))
        self.fails(2, *run, "--regex", "a(?=b)", says=("--regex: byte 1 of the expression: look-ahead",))
        self.fails(1, *run, "--format", "json", "--schema", self.folder / "none.json", says=("none.json",))
        # As other programs take it
        for before in (" ", "\t", "\n\t"):
            self.fails(1, *run, "--format", "json", "--schema", before + '{"type": "object"}', says="No such file",
                       cure="--schema reads a file: in bash, --schema <(echo '...')")
        path = self.schema({"properties": {"a": {"uniqueItems": True}}})
        self.fails(2, *run, "--format", "json", "--schema", path,
                   says=("schema.json: '#/properties/a/uniqueItems'",))
        path = self.schema('{"type": }')
        self.fails(2, *run, "--format", "json", "--schema", path, says=("schema.json",))


if __name__ == "__main__":
    unittest.main()
