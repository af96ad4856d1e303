#!/usr/bin/env python3
"""Thinking and tools: --think, --tools and their fields in batches, with a toy of Gemma 4 (gemma4_chat.py)."""
import json
import shutil
import unittest

from command import MODELS, TESTDATA, CommandTest, gemma

MODEL = MODELS / "gemma4_chat"
OTHER = TESTDATA / "gguf" / "gemma3_mixed.gguf"
OLD = TESTDATA / "gguf" / "gemma_fill.gguf"
CASES = {case["name"]: case for case in json.loads((TESTDATA / "chat" / "gemma4.json").read_text(encoding="utf-8"))}
# The plain turns of Gemma 4's larger models, with the empty thought that tells them from the small ones.
PLAIN = ("{% if tools %}{{ raise_exception('no tools') }}{% endif %}{{ bos_token }}"
         "{% set first = messages[0].role == 'system' %}{% if enable_thinking or first %}{{ '<|turn>system\\n' }}"
         "{% if enable_thinking %}{{ '<|think|>\\n' }}{% endif %}{% if first %}{{ messages[0].content | trim }}{% endif %}"
         "{{ '<turn|>\\n' }}{% endif %}{% for m in messages[(1 if first else 0):] %}"
         "{{ '<|turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' + m.content | trim + '<turn|>\\n' }}"
         "{% endfor %}{{ '<|turn>model\\n' }}{% if not enable_thinking %}{{ '<|channel>thought\\n<channel|>' }}{% endif %}")
ANSWERS = json.loads((MODEL / "answers.json").read_text(encoding="utf-8"))


class TurnsTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.model = self.folder / "large"
        shutil.copytree(MODEL, self.model)
        (self.model / "chat_template.jinja").write_text(PLAIN)

    def tools(self, value):
        path = self.folder / "tools.json"
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
        return path

    def prompt(self, name, *arguments):
        """The ids of the prompt of a case with one message of a user."""
        case = CASES[name]
        *system, message = case["messages"]
        if case["tools"]:
            arguments += ("--tools", self.tools(case["tools"]))
        if system:
            arguments += ("--system", system[0]["content"])
        answer = json.loads(self.succeeds("run", self.model, message["content"], "-q", "--json", "--logprobs", 0,
                                          "--score-prompt", "-n", 1, *arguments))
        return [token["id"] for token in answer["prompt"]]


class RunTest(TurnsTest):
    def test_tokens_equal_transformers(self):
        for name, arguments in (("plain", []), ("thinking", ["--think"]), ("system_thinking", ["--think"]),
                                ("declaration", []), ("declarations_thinking", ["--think"])):
            with self.subTest(name):
                self.assertEqual(self.prompt(name, *arguments), CASES[name]["tokens"])

    def test_answers_equal_transformers(self):
        for golden in ANSWERS:
            text = self.succeeds("run", self.model, golden["text"], "-q", "--temperature", 0, "--activations", "float32")
            self.assertEqual(text, golden["answer_text"] + "\n")

    def test_models_without_turns_refuse(self):
        self.fails(1, "run", OTHER, "x", "--think", says="thinking is on, but models with the turns of Gemma 1 to 3")
        tools = self.tools(CASES["declaration"]["tools"])
        self.fails(1, "run", OLD, "x", "--chat", "--tools", tools, says="cannot declare any")
        self.fails(1, "chat", OTHER, "--think", says="thinking is on, but models with the turns of Gemma 1 to 3")
        self.fails(2, "run", OTHER, "x", "--raw", "--think", says="--think: thinking is on, but models with the turns")
        self.fails(2, "run", OLD, "x", "--raw", "--tools", tools, says="cannot declare any")
        self.fails(2, "run", self.model, "x", "--raw", "--think", says="--think needs a chat")
        self.fails(2, "run", OTHER, "x", "--think", "--format", "json", says="--think excludes --format json")

    def test_wrong_tools_are_named(self):
        for text, says in (("[", "tools.json"), ("{}", "wanted a list of tools"), ("[{}]", "the key 'function'"),
                           ('[{"function": {}}]', "no key 'name'"),
                           ('[{"function": {"name": "f", "parameters": 3}}]', "parameters' is 3")):
            self.fails(2, "run", self.model, "x", "--tools", self.tools(text), says=says)
        self.fails(1, "run", self.model, "x", "--tools", '[{"function": {}}]', says="No such file",
                   cure="--tools reads a file: in bash, --tools <(echo '...')")


class BatchTest(TurnsTest):
    def batch(self, *lines):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        result = gemma("run", self.model, "--batch", "-", "-n", 1, stdin=text.encode())
        answers = sorted((json.loads(line) for line in result.stdout.splitlines()), key=lambda answer: answer["line"])
        return answers

    def test_prompts_equal_transformers(self):
        names = ["call", "two_calls", "results_in_other_order", "call_result_answer", "thought_before_call",
                 "thought_before_old_call", "result_parts", "developer", "parts", "declarations_thinking"]
        lines = []
        for name in names:
            line = {"messages": CASES[name]["messages"], "tools": CASES[name]["tools"] or []}
            if CASES[name]["thinking"] is not None:
                line["think"] = CASES[name]["thinking"]
            lines.append(line)
        answers = self.batch(*lines)
        self.assertEqual([answer.get("prompt_tokens", answer) for answer in answers],
                         [len(CASES[name]["tokens"]) for name in names])

    def test_wrong_messages_are_named(self):
        user = {"role": "user", "content": "x"}
        for message, says in (
                ({"role": "tool", "content": "y"}, "follows no call"),
                ({"role": "assistant"}, "no 'content'"),
                ({"role": "assistant", "tool_calls": [{}]}, "a call has no 'name'"),
                ({"role": "assistant", "tool_calls": [{"name": "f", "arguments": 1}]}, "'arguments' is of type number"),
                ({"role": "user", "content": "y", "tool_calls": []}, "has 'tool_calls'"),
                ({"role": "robot", "content": "y"}, "'role' is 'robot'")):
            answer, = self.batch({"messages": [user, message]})
            self.assertIn(says, answer["error"])
        answer, = self.batch({"prompt": "x", "think": "yes"})
        self.assertIn("'think' is of type string", answer["error"])

    def test_think_needs_a_chat(self):
        lines = [{"prompt": "x", "think": think} for think in (False, True)]
        result = gemma("run", self.model, "--raw", "--batch", "-", "-n", 1,
                       stdin="".join(json.dumps(line) + "\n" for line in lines).encode())
        plain, thinks = sorted((json.loads(line) for line in result.stdout.splitlines()),
                               key=lambda answer: answer["line"])
        self.assertNotIn("error", plain)
        self.assertIn("'think' needs a chat", thinks["error"])


class ChatTest(TurnsTest):
    def test_think_is_shown_and_changed(self):
        result = gemma("chat", self.model, stdin=b"/think\n/think on\n/think\n/think maybe\n")
        self.assertEqual(result.stderr.decode().splitlines()[:3], ["thinking is off", "thinking is on",
                                                                   "thinking is on"])
        self.assertIn("wanted on or off", result.stderr.decode())
        result = gemma("chat", OTHER, stdin=b"/think on\n")
        self.assertEqual(result.returncode, 1)
        self.assertIn("do not think", result.stderr.decode())

    def test_result_needs_a_call(self):
        result = gemma("chat", self.model, stdin=b"/result f x\n")
        self.assertEqual(result.returncode, 1)
        self.assertIn("waits for no result", result.stderr.decode())


if __name__ == "__main__":
    unittest.main()
