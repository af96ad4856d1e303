#!/usr/bin/env python3
"""gemma run --batch: many prompts from a file, with a toy model that has a vocabulary of 512 pieces."""
import fcntl
import json
import os
import shutil
import signal
import time
import unittest
import zlib

from command import TESTDATA, TIMEOUT, CommandTest, gemma

MODEL = TESTDATA / "gguf" / "gemma3_mixed.gguf"


class BatchTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.input = self.folder / "prompts.jsonl"
        self.output = self.folder / "answers.jsonl"

    def write(self, lines):
        """Lines that are not bytes are written as JSON."""
        encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        self.input.write_bytes(b"".join(line + b"\n" for line in encoded))
        return encoded

    def batch(self, *arguments, **options):
        return gemma("run", MODEL, "--batch", self.input, "--output", self.output, *arguments, **options)

    def answers(self):
        """The answers by line number. Checks that each answers its line."""
        lines = self.input.read_bytes().split(b"\n")
        answers = {}
        for text in self.output.read_bytes().splitlines():
            answer = json.loads(text)
            self.assertNotIn(answer["line"], answers)
            self.assertEqual(answer["input"], "%08x" % zlib.crc32(lines[answer["line"] - 1]))
            answers[answer["line"]] = answer
        return answers

    def alone(self, prompt, *arguments):
        return json.loads(self.succeeds_quietly("run", MODEL, prompt, "-q", "--json", *arguments))


class AnswersTest(BatchTest):
    def test_answers_equal_single_runs(self):
        requests = [
            ({"prompt": "the cat"}, []),
            ({"prompt": "the cat", "seed": 7, "temperature": 1.5}, ["--seed", 7, "--temperature", 1.5]),
            ({"prompt": "the cat sat on the mat " * 30, "max_tokens": 3}, ["-n", 3]),
            ({"prompt": "y", "top_k": 5, "top_p": 0.5, "min_p": 0.01}, ["--top-k", 5, "--top-p", 0.5, "--min-p", 0.01]),
            ({"prompt": "x", "stop": "e"}, ["--stop", "e"]),
            ({"prompt": "x", "stop": ["a", "th"]}, ["--stop", "a", "--stop", "th"]),
            ({"prompt": "x", "repetition_penalty": 2, "penalty_window": 9, "presence_penalty": 0.5},
             ["--repetition-penalty", 2, "--penalty-window", 9, "--presence-penalty", 0.5]),
            ({"prompt": "x", "logit_bias": ["300=1000"], "frequency_penalty": 1, "typical_p": 0.9},
             ["--logit-bias", "300=1000", "--frequency-penalty", 1, "--typical-p", 0.9]),
            ({"prompt": "hello", "system": "Be brief."}, ["--system", "Be brief."]),
            ({"messages": [{"role": "user", "content": "hello"}]}, []),
            ({"messages": [{"role": "user", "content": [{"type": "text", "text": " hel "},
                                                        {"type": "text", "text": "lo"}]}]}, []),
            ({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]},
             ["--system", "Be brief."]),
            ("the dog", []),
        ]
        self.write([request for request, _ in requests])
        for size in (1, 3, 100):
            self.output.unlink(missing_ok=True)
            result = self.batch("--batch-size", size, "--chat", "-n", 12, "--seed", 3)
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, b"", b""))
            answers = self.answers()
            self.assertEqual(sorted(answers), list(range(1, len(requests) + 1)))
            for number, (request, arguments) in enumerate(requests, 1):
                prompt = request if isinstance(request, str) else request.get("prompt", "hello")
                given = [word for word in arguments if isinstance(word, str)]
                defaults = [] if "-n" in given else ["-n", 12]
                defaults += [] if "--seed" in given else ["--seed", 3]
                expected = self.alone(prompt, "--chat", *defaults, *arguments)
                answer = answers[number]
                for field in ("text", "stop_reason", "prompt_tokens", "new_tokens"):
                    self.assertEqual(answer[field], expected[field], (request, field))
                self.assertNotIn("id", answer)

    def test_completions(self):
        self.write(["the cat", {"prompt": "the dog", "max_tokens": 5}])
        self.assertEqual(self.batch("--raw").returncode, 0)
        for number, prompt, arguments in ((1, "the cat", []), (2, "the dog", ["-n", 5])):
            self.assertEqual(self.answers()[number]["text"], self.alone(prompt, "--raw", "--seed", 0, *arguments)["text"])

    def test_system_message_from_command_line(self):
        self.write([{"messages": [{"role": "user", "content": "hello"}]}, "hello",
                    {"messages": [{"role": "system", "content": "Sing."}, {"role": "user", "content": "hello"}]}])
        self.assertEqual(self.batch("--chat", "-n", 5, "--system", "Be brief.").returncode, 0)
        counts = [self.answers()[number]["prompt_tokens"] for number in (1, 2, 3)]
        self.assertEqual(counts[0], counts[1])
        self.assertNotEqual(counts[0], counts[2])

    def test_standard_input_and_output(self):
        lines = b'{"id": "a", "prompt": "x"}\r\n\n  \n{"id": 2, "prompt": "y"}'  # no line end
        result = gemma("run", MODEL, "--batch", "-", "-n", 3, "--raw", stdin=lines)
        self.assertEqual((result.returncode, result.stderr), (0, b""))
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual({(answer["line"], answer["id"]) for answer in answers}, {(1, "a"), (4, 2)})
        result = gemma("run", MODEL, "--batch", "-", "--output", "/dev/null", "--raw", "-n", 1, stdin=lines)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, b"", b""))
        # Without lines, the batch succeeds.
        self.assertEqual(self.succeeds_quietly("run", MODEL, "--batch", "-", stdin=b""), "")

    def test_timeout(self):
        self.write([{"prompt": "x", "timeout": 1e-6}, {"prompt": "x"}])
        self.assertEqual(self.batch("--raw", "-n", 2).returncode, 0)
        self.assertEqual(self.answers()[1]["stop_reason"], "deadline")
        self.assertEqual(self.answers()[2]["stop_reason"], "max_tokens")
        report = self.alone("x", "--raw", "--timeout", "1e-6")
        self.assertEqual((report["stop_reason"], report["text"]), ("deadline", ""))
        self.fails(1, "run", MODEL, "word " * 400, "--raw", "--quiet", "--timeout", "1e-6",
                   says=["--timeout", "tokens were read"])
        for value in ("-1", "nan", "inf", "1e30", "soon"):
            self.fails(2, "run", "MODEL", f"--timeout={value}", says="--timeout")

    def test_verbose_tells_the_sum(self):
        self.write(["x", "y"])
        result = self.batch("--raw", "-n", 2, "-v")
        self.assertRegex(result.stderr.decode(), r"\Agemma: 2 of 2 lines answered; 4 tokens, [0-9.]+ tok/s\n\Z")


class BadLinesTest(BatchTest):
    BAD = [
        (b"", None),  # skipped
        (b"{", "JSON"),
        (b"{}", "there is no prompt"),
        (b"[1, 2]", "array"),
        (b"null", "null"),
        (b"17", "number"),
        (b"\xff\xfe", "UTF-8"),
        (b'{"prompt": "\xc3\x28"}', "UTF-8"),
        (b'{"prompt": "\\ud800"}', "JSON"),
        (b'{"prompt": 5}', "'prompt' is of type number"),
        (b'{"prompt": null}', "null"),
        (b'{"prompt": ["x"]}', "array"),
        (b"[" * 1000000, "nested more than 64 deep"),
        (b'{"a":' * 1000000, "nested"),
        (b'{"prompt": ' + b"[" * 1000000 + b"]" * 1000000 + b"}", "nested"),
        (b'{"prompt": "x", "stop": ' + b"[" * 1000000 + b"]" * 1000000 + b"}", "nested"),
        (b'{"prompt": "x", "stop": ' + b"[" * 60 + b"]" * 60 + b"}", "'stop' is of type array"),
        (b'{"prompt": "x", "seed": 1' + b"0" * 400 + b"}", "too large"),
        (b'{"prompt": "x", "seed": 1' + b"0" * 30 + b"}", "seed"),
        (b'{"prompt": "x", "temperature": -1}', "temperature"),
        (b'{"prompt": "x", "temperature": "warm"}', "temperature"),
        (b'{"prompt": "x", "temperature": {}}', "temperature"),
        (b'{"prompt": "x", "temperature": true}', "temperature"),
        (b'{"prompt": "x", "temperature": [1, 2]}', "temperature"),
        (b'{"prompt": "x", "max_tokens": 0}', "max_tokens"),
        (b'{"prompt": "x", "max_tokens": 1.5}', "max_tokens"),
        (b'{"prompt": "x", "top_k": -1}', "top_k"),
        (b'{"prompt": "x", "stop": ""}', "'stop'"),
        (b'{"prompt": "x", "stop": [1, {}]}', "stop"),
        (b'{"prompt": "x", "logit_bias": "x"}', "'logit_bias'"),
        (b'{"prompt": "x", "logit_bias": ["512=1"]}', "512"),
        (b'{"prompt": "x", "max-tokens": 5}', "max-tokens"),
        (b'{"prompt": "x", "temprature": 1}', "temperature"),  # a suggestion
        (b'{"prompt": "x", "max_new_tokens": 1}', "no field 'max_new_tokens'; gemma's field is max_tokens"),
        (b'{"prompt": "x", "stop_sequences": "y"}', "gemma's field is stop"),
        (b'{"prompt": "x", "repeat_penalty": 1}', "gemma's field is repetition_penalty"),
        (b'{"prompt": "x", "model": "y"}', "the model is an argument of the command"),
        (b'{"prompt": "x", "response_format": {}}', "--schema hold for all lines"),
        (b'{"prompt": "x", "help": 1}', "no field 'help'"),
        (b'{"prompt": "x", "": 1}', "no field ''"),
        (b'{"prompt": "x", "id": {}}', "'id' is of type object"),
        (b'{"prompt": "x", "messages": [{"role": "user", "content": "x"}]}', "excludes"),
        (b'{"messages": []}', "is empty"),
        (b'{"messages": "x"}', "messages"),
        (b'{"messages": ["x"]}', "messages"),
        (b'{"messages": [{"role": "user"}]}', "no 'content'"),
        (b'{"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": "x"}]}', "user"),
        (b'{"messages": [{"role": "pope", "content": "x"}]}', "pope"),
        (b'{"messages": [{"role": "user", "content": 5}]}', "content"),
        (b'{"messages": [{"role": "user", "content": "x", "name": "y"}]}', "name"),
        (b'{"messages": [{"role": "assistant", "content": "x"}]}', "user"),
        (json.dumps({"prompt": "word " * 3000}).encode(), "room for"),
        (b'{"prompt": " \\n"}', "the prompt is empty"),
        (b'{"messages": [{"role": "user", "content": ""}]}', "the last message of 'messages' is empty"),
        (b'{"messages": [{"role": "user", "content": [{"type": "image"}]}]}', "a part of the type 'image', wanted"),
        (b'{"messages": [{"role": "user", "content": [{"text": "x"}]}]}', "'type'"),
        (b'{"custom_id": "a", "method": "POST", "url": "/", "body": {}}', "jq -c '{id: .custom_id} + (.body"),
    ]

    def test_bad_line_fails_alone(self):
        good = json.dumps({"prompt": "x", "id": 1}).encode()
        lines = [line for bad, _ in self.BAD for line in (bad, good)]
        self.write(lines)
        result = self.batch("--chat", "-n", 2, "-c", 1000)
        self.assertEqual((result.returncode, result.stdout), (1, b""))
        num_bad = sum(says is not None for _, says in self.BAD)
        self.assertEqual(result.stderr.decode(),
                         f"gemma: {num_bad} of {num_bad + len(self.BAD)} lines could not be answered; see 'error' in "
                         f"{self.output}\n")
        answers = self.answers()
        for index, (line, says) in enumerate(self.BAD):
            with self.subTest(line=line[:80]):
                self.assertEqual(answers[2 * index + 2]["new_tokens"], 2)
                if says is None:
                    self.assertNotIn(2 * index + 1, answers)
                else:
                    answer = answers[2 * index + 1]
                    self.assertIn(says, answer["error"])
                    self.assertNotIn("text", answer)
        # A second run does nothing and prints the same message.
        before = self.output.read_bytes()
        self.assertEqual(self.batch("--chat", "-n", 2, "-c", 1000).stderr, result.stderr)
        self.assertEqual(self.output.read_bytes(), before)

    def test_errors_name_the_field(self):
        cases = {"prompt": ('{"prompt": "a", "prompt": "b"}', "has 'prompt' twice in an object"),
                 "role": ('{"messages": [{"role": "user", "role": "user", "content": "x"}]}', "has 'role' twice"),
                 "top_k": ('{"prompt": "a", "top_k": "many"}', "'top_k': 'many' is not a whole number"),
                 "speculate": ('{"prompt": "a", "speculate": "x"}', "'speculate': 'x' is not one of"),
                 "timeout": ('{"prompt": "a", "timeout": -1}', "'timeout': '-1' is not a number of seconds from 0"),
                 "stop": ('{"prompt": "a", "stop": ""}', "'stop': the text is empty"),
                 "logit_bias": ('{"prompt": "a", "logit_bias": "x"}', "'logit_bias' x: 'x' is not TOKEN=BIAS"),
                 "unknown": ('{"prompt": "a", "logit_bias": "9999=1"}', "'logit_bias' 9999=1: '9999' is not a token")}
        self.write([line.encode() for line, _ in cases.values()])
        self.assertEqual(self.batch("-q").returncode, 1)
        answers = self.answers()
        for number, (_, says) in enumerate(cases.values(), 1):
            self.assertIn(says, answers[number]["error"])
            self.assertNotIn("--", answers[number]["error"])

    def test_bad_line_keeps_its_id(self):
        self.write([{"id": "seven", "prompt": 5}])
        self.assertEqual(self.batch().returncode, 1)
        self.assertEqual(self.answers()[1]["id"], "seven")

    def test_usage(self):
        self.fails(2, "run", "MODEL", "prompt", "--batch", "F", says=["--batch", "PROMPT"])
        for scores in (["--logprobs", "1"], ["--list-tokens"]):
            self.fails(2, "run", "MODEL", "--batch", "F", "--json", *scores, says=["--batch", scores[0]])
        self.fails(2, "run", "MODEL", "--batch", "F", "--logprobs", "1", says="--batch and --logprobs exclude")
        self.fails(2, "run", "MODEL", "--batch", "F", "--batch-size", "0", says="--batch-size")
        self.fails(2, "run", "MODEL", "--batch", "F", "--batch-size", "1025", says="--batch-size")
        self.fails(1, "run", MODEL, "--batch", self.folder / "none", says="none")
        self.write(["x"])
        self.fails(1, "run", MODEL, "--batch", self.input, "--output", self.folder / "no/such", says="no/such")
        self.fails(1, "run", MODEL, "--batch", self.input, "--output", self.folder, says=str(self.folder))

    def test_files_of_other_forms(self):
        for text, says, cure in (('[\n  "x",\n  "y"\n]', "one JSON array", "jq -c '.[]'"),
                                 ('["x", "y"]', "one JSON array", "jq -c '.[]'"),
                                 ('{\n  "prompt": "x"\n}', "one JSON object on several lines", "jq -c ."),
                                 ("id,prompt\n1,hello\n", "not JSON", '"prompt": ...}')):
            self.input.write_text(text)
            self.fails(1, "run", MODEL, "--batch", self.input, "--output", self.output, says=[str(self.input), says],
                       cure=cure)
            self.assertFalse(self.output.exists())


class ResumeTest(BatchTest):
    def setUp(self):
        super().setUp()
        self.lines = self.write([{"prompt": f"number {i}", "id": i, "seed": i} for i in range(20)])

    def run_all(self):
        result = self.batch("--raw", "-n", 4)
        self.assertEqual((result.returncode, result.stderr), (0, b""))
        return self.answers()

    def test_from_wherever_it_was_killed(self):
        whole = self.run_all()
        written = self.output.read_bytes()
        ends = [i + 1 for i, byte in enumerate(written) if byte == 10]
        for size in (0, 1, ends[0] - 1, ends[0], ends[0] + 5, ends[9], ends[9] + 60, len(written) - 1, len(written)):
            with self.subTest(size=size):
                self.output.write_bytes(written[:size])
                self.assertEqual(self.run_all(), whole)
                kept = max([end for end in ends if end <= size], default=0)
                self.assertTrue(self.output.read_bytes().startswith(written[:kept]))

    def test_an_output_of_another_input(self):
        self.run_all()
        written = self.output.read_bytes()
        first = json.loads(written.splitlines()[0])
        number = first["line"]
        changed = [line.replace(b"number", b"figure") if i == number - 1 else line
                   for i, line in enumerate(self.lines)]
        cases = [
            (changed, written, ["line 1 ", f"line {number} of the input"]),
            (self.lines[:5], written, ["but the last line of the input is line 5"]),
            (self.lines, written + written.splitlines(True)[0], ["line 21 ", f"second answer to line {number}"]),
            (self.lines, written.splitlines(True)[0] + b"garbage\n", ["line 2 ", "not an answer of a batch"]),
            (self.lines, b"\n", ["line 1 ", "not an answer"]),
            (self.lines, b"[" * 1000000 + b"\n", ["line 1 ", "not an answer"]),
            (self.lines, b'{"line": -1, "input": "00000000"}\n', ["line 1 "]),
            (self.lines, b'{"line": 0, "input": "00000000"}\n', ["line 1 "]),
            (self.lines, b'{"line": 18446744073709551615, "input": "00000000"}\n', ["line 1 "]),
            (self.lines, b'{"line": 1e99, "input": "00000000"}\n', ["line 1 "]),
            (self.lines, b'{"line": 1, "input": 5}\n', ["line 1 "]),
        ]
        for lines, output, says in cases:
            with self.subTest(says=says, output=output[:60]):
                self.write(lines)
                self.output.write_bytes(output)
                result = self.batch("--raw", "-n", 4)
                self.assertEqual((result.returncode, result.stdout), (1, b""))
                cause, cure = result.stderr.decode().splitlines()
                for text in [str(self.output), *says]:
                    self.assertIn(text, cause)
                self.assertIn("--output", cure)
                self.assertEqual(self.output.read_bytes(), output)

    def test_answers_of_other_options(self):
        self.run_all()
        written = self.output.read_bytes()
        other = self.folder / "other.gguf"
        shutil.copyfile(MODEL, other)
        cases = [(other, ["-n", 4], f"an answer of '{MODEL}', wanted one of '{other}'"),
                 (MODEL, ["-n", 5], "with max_tokens 4, wanted 5"),
                 (MODEL, ["-n", 4, "--temperature", 0], "with temperature 1, wanted 0"),
                 (MODEL, ["-n", 4, "-c", 100], "with context 4096, wanted 100"),
                 (MODEL, ["-n", 4, "--regex", "x+"], "with regex none, wanted"),
                 (MODEL, ["-n", 4, "--guard", TESTDATA / "classify" / "shield.gguf"], "no guard judged")]
        for model, arguments, says in cases:
            with self.subTest(says=says):
                self.fails(1, "run", model, "--batch", self.input, "--output", self.output, "--raw", *arguments,
                           says=[str(self.output), "line 1 ", says], cure="--force starts over")
                self.assertEqual(self.output.read_bytes(), written)
        # What only changes the speed may differ.
        result = self.batch("--raw", "-n", 4, "-t", 1, "--chunk", 7, "-v")
        self.assertIn(b"20 of 20 lines answered, 20 of them before; 0 tokens", result.stderr)
        self.assertEqual(self.output.read_bytes(), written)
        # The seed of the command line holds for lines without their own.
        self.write(["x"])
        self.output.unlink()
        self.assertEqual(self.batch("--raw", "-n", 4).returncode, 0)
        result = self.batch("--raw", "-n", 4, "--seed", 3)
        self.assertIn(b"with seed 0, wanted 3", result.stderr)

    def test_force_starts_over(self):
        self.run_all()
        result = self.batch("--raw", "-n", 2, "--force")
        self.assertEqual((result.returncode, result.stderr), (0, b""))
        self.assertEqual({answer["new_tokens"] for answer in self.answers().values()}, {2})
        self.assertEqual(len(self.answers()), 20)

    def test_the_input_may_grow(self):
        before = self.run_all()
        self.write(self.lines + [b'"one more"'])
        after = self.run_all()
        self.assertEqual({number: after[number] for number in before}, before)
        self.assertEqual(len(after), 21)

    def test_no_two_at_once(self):
        with open(self.output, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.fails(1, "run", MODEL, "--batch", self.input, "--output", self.output,
                       says=[str(self.output), "another process"])

    def test_interrupted_and_killed(self):
        lines = [{"prompt": f"number {i}", "max_tokens": 100, "seed": i} for i in range(150)]
        self.write(lines)
        for number in (signal.SIGINT, signal.SIGKILL):
            process = self.start("run", MODEL, "--batch", self.input, "--output", self.output, "--raw", "-t", 1)
            before = self.output.stat().st_size if self.output.exists() else 0
            deadline = time.monotonic() + TIMEOUT
            while not self.output.exists() or self.output.stat().st_size <= before + 500:
                self.assertLess(time.monotonic(), deadline)
                self.assertIsNone(process.poll())
                time.sleep(0.01)
            os.kill(process.pid, number)
            code = process.wait(TIMEOUT)
            self.assertEqual(code, 130 if number == signal.SIGINT else -signal.SIGKILL)
            if number == signal.SIGINT:
                self.assertRegex(process.stderr.read().decode(),
                                 r"\Agemma: \d+ of 150 lines done; run the same command to do the rest\n\Z")
                self.assertLess(len(self.answers()), 150)
        # The continued batch has the answers of an uninterrupted one.
        self.assertEqual(self.batch("--raw", "-t", 1).returncode, 0)
        answers = self.answers()
        self.assertEqual(len(answers), 150)
        self.output.unlink()
        self.assertEqual(self.batch("--raw", "-t", 1, "--batch-size", 32).returncode, 0)
        self.assertEqual(self.answers(), answers)


if __name__ == "__main__":
    unittest.main()
