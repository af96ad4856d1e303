#!/usr/bin/env python3
"""`gemma run`, `--batch` and `chat` give the same answer to a prompt of 300 tokens, in any arithmetic of this CPU."""
import json
import unittest

from command import TESTDATA, CommandTest, gemma

MODEL = TESTDATA / "gguf" / "gemma3_mixed.gguf"
ARITHMETICS = {
    "float32": ["--activations", "float32"],
    "int8": ["--quantize", "q8"],
    "bfloat16": ["--quantize", "bf16"],
}
ANSWER = ["--chat", "-q", "-t", 1, "--top-k", 0, "--top-p", 1]


def chosen(seed):
    return ["--seed", seed, "--temperature", 0 if seed == 0 else 2]


class PromptPathTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.messages = [self.message(300), self.message(270)]

    def message(self, size):
        """A message whose turn has `size` tokens."""
        def count(text):
            return self.run_alone(text, 0, new_tokens=1)["prompt_tokens"]
        empty, one = count("the cat"), count("the cat x")
        text = "the cat" + " x" * ((size - empty) // (one - empty))
        self.assertEqual(count(text), size)
        return text

    def run_alone(self, message, seed, *options, new_tokens=60):
        return json.loads(self.succeeds_quietly("run", MODEL, message, *ANSWER, *chosen(seed), "-n", new_tokens,
                                                "--json", *options))

    def test_run_batch_and_chat_agree(self):
        requests = [(message, seed) for message in self.messages for seed in range(4)]
        lines = "".join(
            json.dumps({"id": number, "prompt": message, "seed": seed, "temperature": 0 if seed == 0 else 2}) + "\n"
            for number, (message, seed) in enumerate(requests))
        for name, arithmetic in ARITHMETICS.items():
            for chunk in (32, 100, 256, 1024):
                options = [*arithmetic, "--chunk", chunk]
                with self.subTest(arithmetic=name, chunk=chunk):
                    texts = [self.run_alone(*request, *options)["text"] for request in requests]
                    result = gemma("run", MODEL, "--batch", "-", *ANSWER, "-n", 60, *options,
                                   stdin=lines.encode())
                    self.assertEqual((result.returncode, result.stderr), (0, b""))
                    answers = {line["id"]: line["text"] for line in map(json.loads, result.stdout.splitlines())}
                    self.assertEqual([answers[number] for number in range(len(requests))], texts)
                    for (message, seed), text in list(zip(requests, texts))[::3]:
                        said = self.succeeds_quietly("chat", MODEL, *ANSWER, *chosen(seed), "-n", 60, *options,
                                                     stdin=message.encode())
                        self.assertEqual(said.removesuffix("\n"), text.removesuffix("\n"))

    def test_logprobs_same_for_any_chunk(self):
        for name, arithmetic in ARITHMETICS.items():
            for message in self.messages:
                options = [*arithmetic, "--deterministic", "--logprobs", 5]
                first, *others = [self.run_alone(message, 0, *options, "--chunk", chunk, new_tokens=10)["tokens"]
                                  for chunk in (32, 100, 256, 1024)]
                for other in others:
                    self.assertEqual(other, first, name)


class PromptSourceTest(CommandTest):
    def test_empty_prompts(self):
        empty = self.folder / "empty.txt"
        empty.write_text("\n")
        for mode in ("--raw", "--chat"):
            self.fails(1, "run", MODEL, mode, says="standard input: is empty, wanted a prompt")
            self.fails(1, "run", MODEL, mode, "-f", empty, says=f"{empty}: is empty, wanted a prompt")
            self.fails(1, "run", MODEL, mode, "x", "-f", empty, says=f"{empty}: is empty")
        self.fails(2, "run", MODEL, "", says="the prompt is empty, wanted a text for the chat turn")
        self.assertIn(b"the prompt is empty: the model writes a text from nothing",
                      gemma("run", MODEL, "--raw", "", "-n", 1).stderr)
        # An empty part before or after another one is left out.
        alone, = {self.succeeds_quietly("run", MODEL, "--raw", "-q", "-n", 3, "--seed", 1, text, stdin=stdin)
                  for text, stdin in (("the cat", b""), ("", b"the cat\n"), ("-", b"the cat"))}
        self.assertTrue(alone)

    def test_file_names_are_noted(self):
        path = self.folder / "p.txt"
        path.write_text("the cat")
        note = f"the prompt is the name of a file: --file {path} reads it"
        for prompt in (path, f"@{path}"):
            self.assertIn(note, gemma("run", MODEL, prompt, "-n", 1).stderr.decode())
        for prompt in (self.folder / "q.txt", self.folder, "the cat"):
            self.assertNotIn(b"name of a file", gemma("run", MODEL, prompt, "-n", 1).stderr)


if __name__ == "__main__":
    unittest.main()
