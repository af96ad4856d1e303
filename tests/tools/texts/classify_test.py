#!/usr/bin/env python3
"""gemma classify: with the toy ShieldGemma of tests/testdata/classify, against what transformers computes."""
import json
import os
import pty
import signal
import time
import unittest
import unittest.mock

from command import TESTDATA, CommandTest, gemma

MODEL = TESTDATA / "classify" / "shield.gguf"
CASES = json.loads((TESTDATA / "classify" / "prompts.json").read_text(encoding="utf-8"))
POLICIES = ["dangerous", "harassment", "hate", "sexual"]
TEXT = CASES[0]["text"]
RESPONSE = next(case["response"] for case in CASES if "response" in case)
EXACT = ["--activations", "float32", "--cache-type", "float32"]


def expected(wording="hub", text=TEXT, response=None):
    return {case["policy"]: case["probability"] for case in CASES
            if (case["wording"], case["text"], case.get("response")) == (wording, text, response)}


class ClassifyTest(CommandTest):
    def report(self, *arguments, **options):
        return json.loads(self.succeeds_quietly("classify", MODEL, "--json", *EXACT, *arguments, **options))

    def assert_near(self, actual, wanted):
        self.assertEqual(list(actual), list(wanted))
        for name, probability in wanted.items():
            self.assertAlmostEqual(actual[name], probability, delta=1e-5, msg=name)

    def write(self, name, text):
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path


class TextsTest(ClassifyTest):
    def test_both_wordings_and_forms(self):
        for wording in ("hub", "example"):
            report = self.report(TEXT, "--wording", wording)
            self.assertEqual((report["model"], report["wording"]), (str(MODEL), wording))
            self.assert_near(report["probabilities"], expected(wording))
            report = self.report(TEXT, "--wording", wording, "--response", RESPONSE)
            self.assert_near(report["probabilities"], expected(wording, response=RESPONSE))

    def test_hub_is_the_default(self):
        self.assertEqual(self.report(TEXT)["probabilities"], self.report(TEXT, "--wording", "hub")["probabilities"])

    def test_policies_are_chosen_and_ordered(self):
        everything = self.report(TEXT)
        self.assertEqual(list(everything["probabilities"]), POLICIES)
        tokens = {}
        for policy in POLICIES:
            report = self.report(TEXT, "--policy", policy)
            self.assertEqual(report["probabilities"], {policy: everything["probabilities"][policy]})
            self.assertEqual(report["prompt_tokens"], report["computed_tokens"])
            tokens[policy] = report["prompt_tokens"]
        self.assertEqual(everything["prompt_tokens"], sum(tokens.values()))
        self.assertLess(everything["computed_tokens"], everything["prompt_tokens"])
        self.assertEqual(self.report(TEXT, "--policy", "all"), {**everything, "seconds": unittest.mock.ANY})
        some = self.report(TEXT, "--policy", "sexual", "--policy", "dangerous", "--policy", "sexual")
        self.assertEqual(list(some["probabilities"]), ["sexual", "dangerous"])

    def test_a_line_for_each_policy(self):
        wanted = expected()
        self.assertEqual(self.succeeds_quietly("classify", MODEL, TEXT, *EXACT),
                         "".join(f"{policy:10s}  {wanted[policy]:.4f}\n" for policy in POLICIES))
        self.assertEqual(self.succeeds_quietly("classify", MODEL, TEXT, "--policy", "hate", *EXACT),
                         f"hate  {wanted['hate']:.4f}\n")

    def test_where_the_text_comes_from(self):
        wanted = self.report("the text")["probabilities"]
        file = self.write("text.txt", "the text\n")
        for arguments, stdin in (([], b"the text"), ([], b"the text\n"), (["-"], b"the text\n"),
                                 (["--file", file], b""), (["-f", "-"], b"the text\n")):
            self.assertEqual(self.report(*arguments, stdin=stdin)["probabilities"], wanted)
        self.assertNotEqual(self.report(stdin=b"the text\n\n")["probabilities"], wanted)

    def test_empty_texts_are_errors(self):
        empty = self.write("empty.txt", " \n")
        for code, arguments, says in ((1, [], "standard input"), (1, ["--response", "yes"], "standard input"),
                                      (1, ["-f", empty], str(empty)), (2, [""], "TEXT"),
                                      (2, ["x", "--response", ""], "--response")):
            self.fails(code, "classify", MODEL, *arguments, says=["no text to classify", says])
        # A text in the place of the model.
        self.fails(1, "classify", "no/model", says="no/model: No such file", cure="gemma pull no/model")

    def test_control_tokens_are_text(self):
        hostile = CASES[-2]
        self.assertIn("<end_of_turn>", hostile["text"])
        report = self.report("--response", hostile["response"], "--policy", hostile["policy"], hostile["text"])
        self.assert_near(report["probabilities"], {hostile["policy"]: hostile["probability"]})
        self.assertEqual(report["prompt_tokens"], hostile["num_tokens"])

    def test_verbose_tells_tokens_and_time(self):
        result = gemma("classify", MODEL, TEXT, "-v")
        self.assertRegex(result.stderr.decode(), r"\Agemma: 4 prompts of \d+ tokens, \d+ of them computed, [\d.]+ s\n\Z")

    def test_same_for_chunks_and_threads(self):
        wanted = self.report(TEXT * 20)["probabilities"]
        self.assertEqual(self.report(TEXT * 20, "--chunk", 16, "--threads", 1)["probabilities"], wanted)


class PolicyFileTest(ClassifyTest):
    def test_policies_of_a_file(self):
        title = "Dangerous Content"
        rule = CASES[0]["prompt"].split('"No Dangerous Content": ')[1].split("\n")[0]
        file = self.write("p.json", json.dumps([
            {"name": "mine", "title": title, "prompt_rule": rule},
            {"name": "other", "title": "Cats", "prompt_rule": "No cats.", "response_rule": "No cats."}]))
        probabilities = self.report("--policy-file", file, TEXT)["probabilities"]
        self.assertEqual(list(probabilities), ["mine", "other"])
        self.assertAlmostEqual(probabilities["mine"], expected()["dangerous"], delta=1e-5)
        self.assertEqual(self.report("--policy-file", file, "--policy", "Other", TEXT)["probabilities"],
                         self.report("--policy-file", file, "--policy", "other", TEXT)["probabilities"])
        self.assertEqual(self.report("--policy-file", file, "--policy", "other", TEXT)["probabilities"],
                         {"other": probabilities["other"]})
        self.fails(1, "classify", MODEL, "--policy-file", file, "--response", "x", TEXT,
                   says="the policy 'mine' has no rule for responses")
        self.fails(2, "classify", MODEL, "--policy-file", file, "--policy", "hate", TEXT,
                   says=["--policy", "'hate'", "mine|other|all"])

    def test_bad_files(self):
        for text, says in (("", "p.json"), ("[]", "one policy or more"), ("{", "p.json"), (b"\xff", "p.json"),
                           ('[{"name": "a"}]', "title"), ("[" * 100000, "p.json")):
            self.fails(1, "classify", "/no/model", "--policy-file", self.write("p.json", text), "x", says=says)
        self.fails(1, "classify", "/no/model", "--policy-file", "/no/file", "x", says="/no/file")
        self.fails(1, "classify", "/no/model", "--policy-file", '[{"name": "a"}]', "x", says="No such file",
                   cure="--policy-file reads a file")


class LinesTest(ClassifyTest):
    def lines(self, *arguments, stdin, code=0):
        result = gemma("classify", MODEL, "--jsonl", *EXACT, *arguments, stdin=stdin)
        self.assertEqual(result.returncode, code, result)
        return [json.loads(line) for line in result.stdout.splitlines()], result.stderr.decode()

    def test_lines_are_as_texts_alone(self):
        requests = [{"text": TEXT, "id": 7}, {"text": "the cat", "response": RESPONSE, "id": "b"}, "the dog",
                    {"text": TEXT, "response": RESPONSE}, {"id": 1.5, "text": "x"}]
        requests += [{"text": f"the text {i % 3}", "response": f"{i}"} for i in range(30)]
        stdin = b"".join(json.dumps(request).encode() + b"\n" for request in requests)
        answers, stderr = self.lines(stdin=stdin)
        self.assertEqual(stderr, "")
        self.assertEqual([answer["line"] for answer in answers], list(range(1, len(requests) + 1)))
        self.assertEqual([answer.get("id") for answer in answers[:5]], [7, "b", None, None, 1.5])
        for request, answer in list(zip(requests, answers))[:8]:
            request = {"text": request} if isinstance(request, str) else request
            response = ["--response", request["response"]] if "response" in request else []
            self.assertEqual(answer["probabilities"],
                             self.report(*response, stdin=request["text"].encode() + b"\n")["probabilities"])
        file = self.write("lines.jsonl", stdin.rstrip(b"\n"))  # no line end
        self.assertEqual(self.lines("--file", file, stdin=b"")[0], answers)

    def test_bad_lines_fail_alone(self):
        long = json.dumps({"text": "word " * 3000, "id": "long"}).encode()
        bad = [
            (b"{", "JSON"), (b"[1]", "array"), (b"null", "null"), (b"17", "number"), (b"{}", "there is no 'text'"),
            (b"\xff", "UTF-8"), (b'{"text": "\xc3\x28"}', "UTF-8"), (b'{"text": 5}', "'text' is of type number"),
            (b'{"text": "x", "response": null}', "'response' is of type null"),
            (b'{"text": "x", "id": []}', "'id' is of type array"), (b'{"text": "x", "policy": "hate"}', "'policy'"),
            (b"[" * 1000000, "nested"), (b'{"text": "x", "id": 1' + b"0" * 400 + b"}", "too large"),
            (b'{"text": " "}', "no text to classify: 'text' is empty"), (b'""', "no text to classify"),
            (b'{"text": "x", "response": ""}', "no text to classify: 'response' is empty"),
            (long, "the context has room for 1024"),
        ]
        good = b'{"text": "x", "id": 2}'
        lines = [good, b"", b"  \r", *(line for line, _ in bad), good]
        answers, stderr = self.lines("--context", 1024, "--policy", "hate", stdin=b"\n".join(lines) + b"\n", code=1)
        self.assertEqual(stderr, f"gemma: {len(bad)} of {len(bad) + 2} lines could not be classified; "
                                 "see their 'error'\n")
        self.assertEqual([answer["line"] for answer in answers], [1, *range(4, len(lines) + 1)])
        self.assertEqual({**answers[0], "line": len(lines)}, answers[-1])
        self.assertEqual(list(answers[0]["probabilities"]), ["hate"])
        for (line, says), answer in zip(bad, answers[1:-1]):
            self.assertIn(says, answer["error"], line[:100])
            self.assertNotIn("probabilities", answer)
        self.assertEqual(answers[-2]["id"], "long")

    def test_no_lines(self):
        self.assertEqual(self.lines(stdin=b""), ([], ""))
        self.assertEqual(self.lines(stdin=b"\n \n"), ([], ""))

    def test_lines_are_answered_at_once(self):
        process = self.start("classify", MODEL, "--jsonl")
        for number in (1, 2, 3):
            process.stdin.write(b'"the text"\n')
            self.assertEqual(json.loads(process.stdout.readline())["line"], number)
        process.stdin.write(b'"no line end"')
        process.stdin.close()
        self.assertEqual(json.loads(process.stdout.readline())["line"], 4)
        self.assertEqual((process.wait(), process.stderr.read()), (0, b""))

    def test_interrupt(self):
        process = self.start("classify", MODEL, "--jsonl")
        process.stdin.write(b'"the text"\n')
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(), 130)

    def test_progress_on_a_terminal(self):
        reader, terminal = pty.openpty()
        process = self.start("classify", MODEL, "--jsonl", stderr=terminal)
        os.close(terminal)
        for _ in range(2):
            process.stdin.write(b'"x"\n')
            process.stdout.readline()
            time.sleep(0.4)  # progress is shown only after this time
        process.stdin.close()
        self.assertEqual(process.wait(), 0)
        self.assertRegex(os.read(reader, 1000).decode(), r"classifying 1, [\d.]+ lines/s")
        os.close(reader)


class RefusalsTest(ClassifyTest):
    def test_usage(self):
        self.fails(2, "classify", "MODEL", "x", "--policy", "hat", says=["--policy", "'hat'", "did you mean hate"])
        self.fails(2, "classify", "MODEL", "x", "--policy", "", says="--policy")
        self.fails(2, "classify", "MODEL", "x", "--wording", "mine", says="--wording")
        self.fails(2, "classify", "MODEL", "x", "--file", "F", says="--file")
        self.fails(2, "classify", "MODEL", "x", "--jsonl", says="--jsonl")
        self.fails(2, "classify", "MODEL", "--jsonl", "--response", "x", says="--response")
        self.fails(2, "classify", "MODEL", b"\xff".decode("utf-8", "surrogateescape"), says="TEXT")
        self.fails(2, "classify", "MODEL", "x", "--response", b"\xff".decode("utf-8", "surrogateescape"),
                   says="--response")
        self.fails(1, "classify", MODEL, stdin=b"\xff", says="standard input")
        self.fails(1, "classify", MODEL, "--file", "/no/file", says="/no/file")
        self.fails(1, "classify", MODEL, "--jsonl", "--file", "/no/file", says="/no/file")

    def test_texts_that_are_too_long(self):
        self.fails(1, "classify", MODEL, "word " * 500, "--context", 512,
                   says=["'dangerous' has", "tokens", "room for 512"], cure="--context")

    def test_models_that_are_no_shieldgemma(self):
        for arguments in (["x"], ["--jsonl"]):
            self.fails(1, "classify", TESTDATA / "gguf" / "gemma3_mixed.gguf", *arguments,
                       says="no piece 'Yes'", cure="shieldgemma")
            self.fails(1, "classify", TESTDATA / "models" / "gemma2", *arguments, says="tokenizer", cure="")

    def test_a_reader_that_leaves(self):
        process = self.start("classify", MODEL, "--jsonl")
        process.stdout.close()
        try:
            process.communicate(b'"x"\n' * 100, timeout=60)
        except (BrokenPipeError, ValueError):
            process.wait(60)
        self.assertEqual(process.returncode, 1)


if __name__ == "__main__":
    unittest.main()
