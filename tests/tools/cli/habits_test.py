#!/usr/bin/env python3
"""Words of Ollama, llama.cpp and transformers: some work, all others lead on in two lines with exit code 2."""
import os
import unittest

from command import MODELS, CommandTest, compares_results

TOY = MODELS / "gemma2"

COMMANDS = {
    "ps": "gemma list", "stop": "Ctrl-C", "cp": "gemma pull", "create": "--system", "info": "gemma inspect",
    "download": "gemma pull", "generate": "gemma run", "serve": "--batch", "convert": "gemma quantize",
    "push": "uploads nothing", "detokenize": "--decode", "embeddings": "gemma embed", "imatrix": "gemma importance",
}
OPTIONS = {
    "run": {
        "-p": "an argument", "--prompt": "an argument", "-m": "first argument", "--model": "first argument",
        "-i": "gemma chat", "-s": "--seed", "-b": "--chunk", "--temp": "--temperature",
        "--n-predict": "--max-tokens", "--max-new-tokens": "--max-tokens", "--max_tokens": "--max-tokens",
        "--ctx-size": "--context", "--repeat-penalty": "--repetition-penalty", "--mlock": "memory",
        "--color": "NO_COLOR", "-ngl": "CPU", "--n-gpu-layers": "CPU", "-no-cnv": "--raw", "-cnv": "--chat",
        "-hf": "gemma pull", "-fa": "attention", "-ctk": "--cache-type", "--json-schema": "--schema",
        "-sys": "--system", "--reverse-prompt": "--stop", "-e": "$'...'", "--token": "HF_TOKEN",
    },
    "chat": {"--temp": "--temperature", "-ngl": "CPU", "-hf": "gemma pull", "--system-prompt": "--system"},
    "quantize": {"--imatrix": "--importance", "--outtype": "--type"},
    "bench": {"-m": "first argument", "-ngl": "CPU", "--flash-attn": "attention"},
}


class HabitsTest(CommandTest):
    def test_commands_that_work(self):
        environment = {**os.environ, "GEMMA_MODELS": str(self.folder)}
        self.assertIn("NAME", self.succeeds("ls", env=environment))
        self.fails(1, "rm", "-y", "no-such-model", says="no-such-model", cure="", env=environment)
        self.assertEqual(self.succeeds_quietly("show", TOY), self.succeeds_quietly("inspect", TOY))
        self.assertEqual(self.succeeds_quietly("help"), self.succeeds_quietly("--help"))
        self.assertEqual(self.succeeds_quietly("help", "run"), self.succeeds_quietly("run", "--help"))
        self.assertEqual(self.succeeds_quietly("help", "ls"), self.succeeds_quietly("list", "--help"))
        self.assertEqual(self.succeeds_quietly("version"), self.succeeds_quietly("--version"))

    def test_commands_that_lead_on(self):
        for word, cure in COMMANDS.items():
            self.fails(2, word, "x", says=f"no command '{word}'", cure=cure)
        self.fails(2, "quantise", says="did you mean quantize?", cure="gemma --help")
        self.fails(2, "help", "fly", says="no command 'fly'", cure="gemma --help")

    @compares_results
    def test_options_that_lead_on(self):
        for command, options in OPTIONS.items():
            for option, cure in options.items():
                for words in ([option, "99"], [f"{option}=99"]):
                    self.fails(2, command, TOY, *words, says=f"{command} has no option {option}", cure=cure)

    def test_mistyped_options(self):
        self.fails(2, "run", TOY, "x", "--temperatur", "0", says="has no option --temperatur", cure="--temperature")
        self.fails(2, "run", TOY, "x", "--max-toknes", "9", says="did you mean --max-tokens?", cure="gemma run --help")
        self.fails(2, "list", "--al", says="did you mean --all?", cure="gemma list --help")
        self.fails(2, "list", "-x", says="has no option -x", cure="gemma list --help")

    def test_short_options_stay_apart(self):
        # "-hf" is not -h and -f, nor "-qh" a way to ask for help.
        self.fails(2, "run", TOY, "-qh", says="-qh", cure="gemma run --help")
        self.fails(2, "run", TOY, "-hx", says="-hx", cure="gemma run --help")
        self.assertIn("Usage", self.succeeds_quietly("run", "--flow", "--help"))
        # A value may look like an option, and a prompt like a number.
        self.fails(1, "run", "/no/model", "x", "--stop", "--temp", says="/no/model", cure="gemma list")
        self.fails(1, "run", "/no/model", "-5", says="/no/model", cure="gemma list")
        self.fails(1, "run", "/no/model", "-qn5", "x", says="/no/model", cure="gemma list")

    def test_missing_words(self):
        environment = {**os.environ, "GEMMA_MODELS": str(self.folder)}
        self.fails(2, "run", says="run: MODEL is required", cure="gemma pull gemma-3-270m", env=environment)
        self.fails(2, "run", TOY, "x", "--stop", says="--stop needs a value")

    def test_surplus_words(self):
        self.fails(2, "perplexity", TOY, "notes.txt", "--file", "F", says="'notes.txt'", cure="--file notes.txt")
        self.fails(2, "list", "x", says="takes options only, found more: 'x'", cure="gemma list --help")


if __name__ == "__main__":
    unittest.main()
