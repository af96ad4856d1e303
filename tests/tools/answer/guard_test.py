#!/usr/bin/env python3
"""gemma run and chat with --guard: a toy ShieldGemma judges another toy. Its scores mean nothing.

Thresholds come from the scores of gemma classify for the same texts.
"""
import json
import signal
import unittest

from command import MODELS, TESTDATA, CommandTest, gemma

MODEL = TESTDATA / "gguf" / "gemma3_mixed.gguf"
SHIELD = TESTDATA / "classify" / "shield.gguf"
POLICIES = ["dangerous", "harassment", "hate", "sexual"]
ANSWER = ["--temperature", "0", "--max-tokens", "8"]
PROMPTS = ["the model", "of no use at all", "Hello user", "who is that one", "x", "you have to be in this"]


def highest(scores):
    """The policy with the highest probability, and that probability."""
    return max(scores.items(), key=lambda score: score[1])


class GuardTest(CommandTest):
    scores = {}  # (prompt, answer or None) -> probabilities by policy
    answers = {}  # prompt -> answer without a guard

    def score(self, prompt, answer=None):
        if (prompt, answer) not in self.scores:
            response = [] if answer is None else [f"--response={answer}"]
            self.scores[prompt, answer] = json.loads(
                self.succeeds_quietly("classify", SHIELD, "--json", *response, "--", prompt))["probabilities"]
        return self.scores[prompt, answer]

    def free(self, prompt):
        if prompt not in self.answers:
            self.answers[prompt] = json.loads(
                self.succeeds("run", MODEL, *ANSWER, "--quiet", "--json", prompt))["text"]
        return self.answers[prompt]

    def prompt_where(self, answer_is_worse):
        """The prompt with the highest score of its answer (else: of itself), and a threshold just below that score.

        The prompt's other score is below the threshold.
        """
        scores = {}
        for prompt in PROMPTS:
            scores[prompt, False] = highest(self.score(prompt))[1]
            scores[prompt, True] = highest(self.score(prompt, self.free(prompt)))[1]
        prompt = max(PROMPTS, key=lambda prompt: scores[prompt, answer_is_worse])
        score = scores[prompt, answer_is_worse]
        lower = max(other for other in scores.values() if other < score)
        self.assertGreater(score - lower, 1e-3)
        self.assertLessEqual(scores[prompt, not answer_is_worse], lower)
        return prompt, (score + lower) / 2

    def guarded(self, *arguments, threshold, **options):
        return gemma("run", MODEL, *ANSWER, "--quiet", "--guard", SHIELD, "--guard-threshold", threshold, *arguments,
                     **options)

    def assert_refused(self, result, text, scores, stdout=b""):
        policy, probability = highest(scores)
        self.assertEqual((result.returncode, result.stdout), (3, stdout), result)
        self.assertRegex(result.stderr.decode(),
                         rf"\Agemma: refused: the {text} violates '{policy}' with a probability of {probability:.4f}, "
                         r"more than the --guard-threshold of [\d.e-]+\n\Z")


class RunTest(GuardTest):
    def test_allowed_equals_unguarded(self):
        for prompt in PROMPTS:
            result = self.guarded(prompt, threshold=1)
            self.assertEqual((result.returncode, result.stderr), (0, b""))
            self.assertEqual(result.stdout, gemma("run", MODEL, *ANSWER, prompt).stdout)

    def test_a_prompt_is_refused(self):
        prompt, threshold = self.prompt_where(answer_is_worse=False)
        for least in (0, threshold):
            self.assert_refused(self.guarded(prompt, threshold=least), "prompt", self.score(prompt))

    def test_refused_answer_is_hidden(self):
        prompt, threshold = self.prompt_where(answer_is_worse=True)
        self.assertTrue(self.free(prompt))
        self.assert_refused(self.guarded(prompt, threshold=threshold), "answer",
                            self.score(prompt, self.free(prompt)))

    def test_the_threshold_itself_is_allowed(self):
        prompt, _ = self.prompt_where(answer_is_worse=False)
        report = json.loads(self.guarded(prompt, "--json", threshold=1).stdout)["guard"]
        most = highest(report["prompt"])[1]
        self.assertEqual(self.guarded(prompt, threshold=f"{most + 1e-6}").returncode, 0)
        self.assertEqual(self.guarded(prompt, threshold=f"{most - 1e-6}").returncode, 3)

    def test_chosen_policies_only(self):
        prompt = PROMPTS[0]
        for policy in POLICIES:
            result = self.guarded(prompt, "--guard-policy", policy, threshold=0)
            self.assert_refused(result, "prompt", {policy: self.score(prompt)[policy]})

    def test_policies_of_a_file(self):
        rule = {"name": "rude", "title": "Rude Words", "response_rule": "The chatbot must not be rude."}
        (self.folder / "policies.json").write_text(json.dumps([rule]))
        file = ["--guard-policy-file", self.folder / "policies.json"]
        # The policy has no rule for prompts, so the answer is refused.
        result = self.guarded(PROMPTS[0], *file, "--json", threshold=0)
        guard = json.loads(result.stdout)["guard"]
        self.assertEqual((guard["prompt"], list(guard["answer"])), ({}, ["rude"]))
        self.assertEqual((guard["refused"]["text"], guard["refused"]["policy"]), ("answer", "rude"))

    def test_json_tells_the_scores(self):
        prompt = PROMPTS[0]
        result = self.guarded(prompt, "--json", threshold=1)
        report = json.loads(result.stdout)
        self.assertEqual(result.returncode, 0)
        self.assertEqual(report["text"], self.free(prompt))
        guard = report["guard"]
        self.assertEqual((guard["threshold"], list(guard)), (1, ["threshold", "prompt", "answer"]))
        for scores, wanted in ((guard["prompt"], self.score(prompt)),
                               (guard["answer"], self.score(prompt, self.free(prompt)))):
            self.assertEqual(list(scores), POLICIES)
            for policy in POLICIES:
                self.assertAlmostEqual(scores[policy], wanted[policy], delta=1e-6)

    def test_refusal_json_hides_answer(self):
        for answer_is_worse in (True, False):
            prompt, threshold = self.prompt_where(answer_is_worse)
            result = self.guarded(prompt, "--json", threshold=threshold)
            report = json.loads(result.stdout)
            text = "answer" if answer_is_worse else "prompt"
            scores = self.score(prompt, self.free(prompt) if answer_is_worse else None)
            self.assert_refused(result, text, scores, stdout=result.stdout)
            self.assertEqual(list(report), ["schema_version", "gemma_version", "model", "path", "file_type", "options",
                                            "input", "guard"])
            # A refused prompt is not answered.
            self.assertEqual("answer" in report["guard"], answer_is_worse)
            refused = report["guard"]["refused"]
            self.assertEqual((refused["text"], refused["policy"]), (text, highest(scores)[0]))
            self.assertAlmostEqual(refused["probability"], highest(scores)[1], delta=1e-6)

    def test_verbose_tells_the_highest_scores(self):
        prompt = PROMPTS[0]
        of_prompt, of_answer = highest(self.score(prompt)), highest(self.score(prompt, self.free(prompt)))
        result = gemma("run", MODEL, *ANSWER, "--guard", SHIELD, "--guard-threshold", "1", "-v", prompt)
        self.assertIn(f"gemma: guard: prompt {of_prompt[1]:.4f} ({of_prompt[0]}), "
                      f"answer {of_answer[1]:.4f} ({of_answer[0]})\n", result.stderr.decode())

    def test_choice_limits_guarded_answer(self):
        result = self.guarded("x", "--choice", "yes", "--choice", "no", threshold=1)
        self.assertIn(result.stdout, (b"yes\n", b"no\n"))

    def test_wrong_use(self):
        for option, value in (("--guard-threshold", "0.1"), ("--guard-policy", "hate"), ("--guard-policy-file", "F"),
                              ("--guard-wording", "example")):
            for command in (("run", "MODEL", "x"), ("chat", "MODEL")):
                self.fails(2, *command, option, value, says=[option, "--guard"])
        for value in ("-0.1", "1.1", "nan", "high"):
            self.fails(2, "run", "MODEL", "x", "--guard", "S", "--guard-threshold", value, says="--guard-threshold")
        for command in (("run", "MODEL", "x"), ("chat", "MODEL")):
            self.fails(2, *command, "--guard", "S", "--guard-policy", "hat", says=["--guard-policy", "'hat'", "hate"])
        self.fails(2, "run", "MODEL", "--fill-prefix", "F", "--guard", "S", says=["--fill-prefix", "--guard"])

    def test_nothing_to_judge(self):
        self.fails(1, "run", MODEL, "--raw", "-q", "", "--guard", SHIELD,
                   says="--guard: no text to classify: the prompt is empty")

    def test_a_model_that_cannot_judge(self):
        self.fails(1, "run", MODEL, "x", "--quiet", "--guard", MODELS / "gemma2", says="tokenizer", cure="")
        self.fails(1, "run", MODEL, "x", "--quiet", "--guard", "/no/shield", says="/no/shield", cure="")
        self.fails(1, "run", MODEL, "x", "--quiet", "--guard", MODEL, says="Yes", cure="")

    def test_too_long_is_refused(self):
        text = "word " * 9000
        result = self.guarded("--context", "100000", text, threshold=1)
        self.assertEqual((result.returncode, result.stdout), (1, b""))
        self.assertRegex(result.stderr.decode(), r"\Agemma: --guard: the prompt: [^\n]*\d+ tokens[^\n]*\n\Z")

    def test_interrupted_answer_is_hidden(self):
        process = self.start("run", MODEL, "--guard", SHIELD, "--guard-threshold", "1", "--context", "200000",
                             "--logit-bias", '"<eos>"=-inf', "--logit-bias", '"<end_of_turn>"=-inf', "x")
        process.stderr.readline()  # the models are loaded
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.communicate(), (b"", b""))
        self.assertEqual(process.returncode, 130)


class BatchTest(GuardTest):
    def test_refused_lines_are_marked(self):
        worse_answer, threshold = self.prompt_where(answer_is_worse=True)
        expected = {}
        for prompt in PROMPTS:
            expected[prompt] = None
            if highest(self.score(prompt))[1] > threshold:
                expected[prompt] = "prompt"
            elif highest(self.score(prompt, self.free(prompt)))[1] > threshold:
                expected[prompt] = "answer"
        self.assertEqual(expected[worse_answer], "answer")
        lines = [json.dumps(prompt) for prompt in PROMPTS]
        lines.append(json.dumps({"messages": [{"role": "user", "content": "x"}, {"role": "model", "content": "y"},
                                              {"role": "user", "content": worse_answer}]}))
        result = self.guarded("--batch", "-", threshold=threshold, stdin="\n".join(lines).encode())
        self.assertEqual((result.returncode, result.stderr), (0, b""))
        answers = {answer["line"]: answer for answer in map(json.loads, result.stdout.splitlines())}
        self.assertEqual(len(answers), len(lines))
        for number, prompt in enumerate(PROMPTS, 1):
            answer = answers[number]
            if expected[prompt]:
                self.assertEqual(list(answer), ["schema_version", "gemma_version", "model", "path", "file_type", "line",
                                                "input", "options", "guard"])
                self.assertEqual(answer["guard"]["refused"]["text"], expected[prompt])
            else:
                self.assertEqual(answer["text"], self.free(prompt))
                self.assertNotIn("refused", answer["guard"])
            self.assertAlmostEqual(highest(answer["guard"]["prompt"])[1], highest(self.score(prompt))[1], delta=1e-6)
        # The last message is the prompt.
        self.assertAlmostEqual(highest(answers[len(lines)]["guard"]["prompt"])[1], highest(self.score(worse_answer))[1],
                               delta=1e-6)

    def test_refused_line_is_not_repeated(self):
        output = self.folder / "answers.jsonl"
        for _ in range(2):
            result = self.guarded("--batch", "-", "--output", output, threshold=0, stdin=b'"x"\n"y"\n')
            self.assertEqual(result.returncode, 0)
            self.assertEqual(len(output.read_text().splitlines()), 2)


class ChatTest(GuardTest):
    def chat(self, *lines, threshold=None, arguments=()):
        guard = [] if threshold is None else ["--guard", SHIELD, "--guard-threshold", threshold]
        return gemma("chat", MODEL, *ANSWER, *guard, *arguments, stdin="".join(line + "\n" for line in lines).encode())

    def test_chat_forgets_refused_turns(self):
        for answer_is_worse in (False, True):
            refused, threshold = self.prompt_where(answer_is_worse)
            allowed = next(prompt for prompt in PROMPTS
                           if highest(self.score(prompt))[1] < threshold
                           and highest(self.score(prompt, self.free(prompt)))[1] < threshold)
            with self.subTest(answer_is_worse=answer_is_worse):
                wanted = self.chat(allowed, "/tokens")
                result = self.chat(refused, allowed, "/tokens", threshold=threshold)
                self.assertEqual((result.returncode, result.stdout), (0, wanted.stdout))
                refusal, rest = result.stderr.decode().split("\n", 1)
                self.assertRegex(refusal, r"\Agemma: refused: the %s violates '\w+' "
                                          % ("answer" if answer_is_worse else "prompt"))
                self.assertIn("turn 1", rest)
                self.assertEqual(rest, wanted.stderr.decode())

    def test_everything_is_refused(self):
        result = self.chat("one", "/regen", "/undo", threshold=0)
        # There is no turn that could be answered again.
        self.assertEqual((result.returncode, result.stdout), (1, b""))
        self.assertRegex(result.stderr.decode(), r"\Agemma: refused: the prompt [^\n]*\ngemma: there is no answer yet\n\Z")

    def test_nothing_is_refused(self):
        self.assertEqual(self.chat("one", "two", threshold=1).stdout, self.chat("one", "two").stdout)

    def test_verbose_tells_the_scores(self):
        result = self.chat("one", threshold=1, arguments=["-v"])
        self.assertRegex(result.stderr.decode(), r"gemma: guard: prompt 0\.\d{4} \(\w+\), answer 0\.\d{4} \(\w+\)\n")


if __name__ == "__main__":
    unittest.main()
