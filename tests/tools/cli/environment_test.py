#!/usr/bin/env python3
"""Options that come from variables, as a shell sets them. See environment_test.cc for every option."""
import json
import os
import unittest

from command import MODELS, TESTDATA, CommandTest, read_npy

TOY = MODELS / "gemma2"
SPEAKING = TESTDATA / "gguf/gemma3_mixed.gguf"  # has a tokenizer


def variables(**values):
    return dict(os.environ, **{f"GEMMA_{name}": str(value) for name, value in values.items()})


class EnvironmentTest(CommandTest):
    def test_a_command_without_a_word(self):
        output = self.folder / "F.npy"
        self.succeeds_quietly("logits", env=variables(MODEL=TOY, TOKENS="2,5,3", OUTPUT=output, THREADS=1))
        self.assertEqual(read_npy(output.read_bytes())[0][0], 3)
        other = self.folder / "G.npy"
        self.succeeds_quietly("logits", "--tokens", "2", "--output", other,
                              env=variables(MODEL=TOY, TOKENS="2,5,3", OUTPUT=output))
        self.assertEqual(read_npy(other.read_bytes())[0][0], 1)

    def test_only_argument_is_the_text(self):
        expected = self.succeeds_quietly("tokenize", SPEAKING, "hello the cat", "--bos")
        environment = variables(MODEL=SPEAKING, BOS=1)
        self.assertEqual(self.succeeds_quietly("tokenize", "hello the cat", env=environment), expected)
        self.assertEqual(self.succeeds_quietly("tokenize", stdin=b"hello the cat", env=environment), expected)
        ids = expected.split()
        self.assertEqual(self.succeeds_quietly("tokenize", "--decode", *ids[1:], env=variables(MODEL=SPEAKING)),
                         "hello the cat\n")
        toy = MODELS / "embedding_gemma"
        self.assertEqual(self.succeeds_quietly("embed", "hello", "the cat", env=variables(MODEL=toy)),
                         self.succeeds_quietly("embed", toy, "hello", "the cat"))
        # An argument that is the path of a model is the model.
        environment = variables(MODEL="/no/model.gguf", BOS="true")
        self.assertEqual(self.succeeds_quietly("tokenize", SPEAKING, stdin=b"hello the cat", env=environment), expected)

    def test_foreign_output_variables_are_ignored(self):
        environment = variables(OUTPUT=self.folder / "F.npy", JSON=1)
        self.succeeds_quietly("run", SPEAKING, "hello", "-q", "--max-tokens", 1, env=environment)
        self.succeeds_quietly("bench", TOY, "-p", 2, "-n", 0, "-r", 1, env=environment)
        self.succeeds_quietly("bench", TOY, "-p", 2, "-n", 0, "-r", 1, env=variables(OUTPUT_FORMAT="text"))
        # Flags override variables of flags that they exclude.
        self.assertIn("n_gen", self.succeeds_quietly("bench", TOY, "-p", 2, "-n", 0, "-r", 1, "--csv", env=environment))
        self.succeeds_quietly("list", env=environment)
        self.assertFalse((self.folder / "F.npy").exists())

    def test_bad_values_are_usage_errors(self):
        self.fails(2, "run", "MODEL", "PROMPT", env=variables(MAX_TOKENS="many"),
                   says=["GEMMA_MAX_TOKENS: 'many' is not a whole number from 1 to "])
        self.fails(2, "run", "MODEL", "PROMPT", env=variables(RAW="yes"),
                   says="GEMMA_RAW: 'yes' is not one of 1, true, 0 and false")
        self.fails(2, "list", env=variables(OUTPUT_FORMAT="xml"), says="GEMMA_OUTPUT_FORMAT: 'xml' is not one of")
        # Also errors that are found later.
        self.fails(2, "run", "MODEL", "PROMPT", env=variables(TEMPERATURE=-1), says="temperature is -1",
                   cure="GEMMA_TEMPERATURE is '-1'")
        self.fails(2, "run", "MODEL", "PROMPT", env=variables(RAW=1, CHAT=1), says="--chat and --raw",
                   cure="GEMMA_RAW is '1'")
        self.fails(2, "run", "MODEL", "PROMPT", "--temperature", "-1", env=variables(RAW=1), says="temperature is -1")

    def test_options_override_contrary_variables(self):
        for options, environment in ((["--chat"], {"RAW": 1}), (["--raw"], {"CHAT_TEMPLATE": "gemma"}),
                                     (["--raw"], {"SYSTEM": "Be brief.", "CHAT": 1})):
            self.fails(1, "run", "/no/model", "PROMPT", *options, env=variables(**environment), says="/no/model",
                       cure="gemma list")
        tokens = lambda **environment: json.loads(self.succeeds(
            "run", SPEAKING, "hello", "--raw", "-n", 1, "--json", env=variables(**environment)))["prompt_tokens"]
        self.assertEqual(tokens(CHAT_TEMPLATE="gemma"), tokens())
        # A variable does not count without the option that its own option needs; the option does.
        plain = lambda **environment: self.succeeds_quietly(
            "run", SPEAKING, "hello", "--raw", "-q", "-n", 3, "--temperature", 0, env=variables(**environment))
        self.assertEqual(plain(LOGPROBS=3, GUARD_THRESHOLD=0.3, SCHEMA="/no/file", SAE_TYPE="int8"), plain())
        self.fails(2, "run", SPEAKING, "hello", "--list-tokens", env=variables(GUARD_THRESHOLD=0.3),
                   says="--list-tokens needs --json")
        # An option whose own value is wrong stays wrong.
        self.fails(2, "run", "MODEL", "PROMPT", "--temperature", "-1", env=variables(TOP_P=9), says="temperature is -1")

    def test_help_needs_no_good_values(self):
        text = self.succeeds_quietly("run", "--help", env=variables(MAX_TOKENS="many", MODEL="x", RAW="?",
                                                                              OUTPUT_FORMAT="?"))
        self.assertEqual(text.replace("[MODEL]", "MODEL"), self.succeeds_quietly("run", "--help"))
        self.assertIn("--max-tokens\nby GEMMA_MAX_TOKENS", self.succeeds_quietly("--help"))

    def test_model_variable_errors(self):
        self.fails(1, "inspect", env=variables(MODEL="/no/model.gguf"), says="gemma: GEMMA_MODEL: /no/model.gguf: ",
                   cure="gemma list")
        self.fails(1, "inspect", env=variables(MODEL="nothere"), says="GEMMA_MODEL: nothere: ", cure="gemma list")
        self.fails(2, "inspect", env=variables(MODEL=""), says="MODEL", cure="")


if __name__ == "__main__":
    unittest.main()
