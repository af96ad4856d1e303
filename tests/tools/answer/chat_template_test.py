#!/usr/bin/env python3
"""Chat templates of model files: --chat-template, --parse-control and inspect, with a toy model of 512 pieces."""
import json
import os
import shutil
import unittest

from command import MODELS, TESTDATA, CommandTest, command_seconds, gemma, rewrite_gguf

SOURCE = TESTDATA / "gguf" / "gemma3_mixed.gguf"
KEY = "tokenizer.chat_template"
GOLDENS = json.loads((TESTDATA / "chat" / "goldens.json").read_text(encoding="utf-8"))
CHATML = GOLDENS["templates"]["chatml"]
PIECES = {"<unused0>": "<|im_start|>", "<unused1>": "<|im_end|>"}
NOTE = "gemma: the turns are those of {}, because it makes other tokens of a user's message than Gemma's own turns " \
       "(--chat-template gemma: Gemma's own)"
CURE = "--chat-template gemma uses Gemma's own turns"


class TemplateTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.model = self.folder / "m.gguf"

    def write(self, template):
        rewrite_gguf(SOURCE, self.model, {KEY: template}, PIECES)

    def template(self, text):
        path = self.folder / "t.jinja"
        path.write_text(text)
        return path

    def run_json(self, *arguments, model=None, **options):
        result = gemma("run", model or self.model, *arguments, "--json", "--logprobs", 0, "--score-prompt", "-n", 1,
                       "--temperature", 0, **options)
        self.assertEqual(result.returncode, 0, result)
        return json.loads(result.stdout), [note for note in result.stderr.decode().splitlines() if "is cut" not in note]

    def prompt(self, *arguments, **options):
        """The pieces of a prompt."""
        answer, _ = self.run_json(*arguments, "-q", **options)
        return [token["piece"] for token in answer["prompt"]]

    def tokens(self, *arguments, **options):
        answer, _ = self.run_json(*arguments, "-q", **options)
        return [token["id"] for token in answer["prompt"]]


class RunTest(TemplateTest):
    def test_tokens_equal_transformers(self):
        self.write(CHATML)
        golden, = [case["tokens"] for case in GOLDENS["cases"]
                   if case["template"] == "chatml" and case["messages"] == [{"role": "user", "content": "the north"}]]
        answer, notes = self.run_json("the north")
        self.assertEqual([token["id"] for token in answer["prompt"]], golden)
        self.assertEqual(notes[1:], [NOTE.format(f"{self.model}: {KEY}")])

    def test_quiet_hides_note(self):
        self.write(CHATML)
        self.assertEqual(self.run_json("x", "-q")[1], [])

    def test_equal_template_says_nothing(self):
        self.assertEqual(len(self.run_json("x", model=SOURCE)[1]), 1)  # only that it is a chat turn

    def test_caller_chooses(self):
        self.write(CHATML)
        own = self.prompt("x", model=SOURCE)
        self.assertEqual(own[:2], ["<bos>", "<start_of_turn>"])
        self.assertEqual(self.prompt("x", "--chat-template", "gemma"), own)
        self.assertEqual(self.prompt("x", "--chat-template", "none"), ["<bos>", "x"])
        self.assertEqual(self.prompt("x", "--raw"), ["<bos>", "x"])
        self.assertEqual(self.prompt("x", "--chat-template", "file"), self.prompt("x"))
        path = self.folder / "t.jinja"
        path.write_text("{{ bos_token }}<|im_end|>{{ messages[0].content }}")
        answer, notes = self.run_json("x", "--chat-template", path)
        self.assertEqual([token["piece"] for token in answer["prompt"]], ["<bos>", "<|im_end|>", "x"])
        self.assertEqual(notes[1], f"gemma: the turns are those of {path} (--chat-template gemma: Gemma's own)")

    def test_template_makes_chats(self):
        rewrite_gguf(SOURCE, self.model, {KEY: None})
        self.assertEqual(self.prompt("x"), ["<bos>", "x"])
        self.assertEqual(self.prompt("x", "--chat-template", "gemma"), self.prompt("x", model=SOURCE))
        self.fails(1, "run", self.model, "x", "--chat-template", "file", says="there is no chat template", cure=CURE)

    def test_turn_ends_answer(self):
        rewrite_gguf(SOURCE, self.model, {KEY: CHATML.replace("<|im_end|>", "<|end|>")},
                     {"<unused0>": "<|im_start|>", "<unused1>": "<|end|>"})
        end = json.loads(self.succeeds("inspect", self.model, "--json"))["chat_template"]["end_of_turn"]
        for template, reason in (("file", "stop_token"), ("gemma", "max_tokens")):
            answer, _ = self.run_json("x", "--chat-template", template, "--logit-bias", f"{end}=1000")
            self.assertEqual(answer["stop_reason"], reason)

    def test_broken_template_names_cure(self):
        self.write("{% for m in messages %}")
        for arguments in (["x"], ["x", "--chat-template", "file"]):
            self.fails(1, "run", self.model, *arguments, says=f"{self.model}: {KEY}: ", cure=CURE)
        self.fails(1, "chat", self.model, says=f"{self.model}: {KEY}: ", cure=CURE)
        self.assertEqual(self.prompt("x", "--raw"), ["<bos>", "x"])
        self.assertEqual(self.prompt("x", "--chat-template", "gemma"), self.prompt("x", model=SOURCE))
        for command in (["tokenize", self.model, "x"], ["logits", self.model, "--tokens", "2", "--output",
                                                        self.folder / "l.npy"], ["inspect", self.model]):
            self.succeeds(*command)
        self.fails(2, "run", SOURCE, "x", "--chat-template", "", says="--chat-template: '' is not a file, or one of")
        pointer = self.folder / "pointer.jinja"
        pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
        self.fails(1, "run", SOURCE, "x", "--chat-template", pointer, says="pointer.jinja: is a Git LFS pointer",
                   cure="git lfs pull")
        missing = self.folder / "missing.jinja"
        self.fails(1, "run", SOURCE, "x", "--chat-template", missing, says=str(missing), cure=CURE)

    def test_template_comes_from_pipe(self):
        self.write(None)
        expected = self.prompt("x", "--chat-template", self.template(CHATML))
        read, write = os.pipe()
        os.write(write, CHATML.encode())
        os.close(write)
        self.addCleanup(os.close, read)
        self.assertEqual(self.prompt("x", "--chat-template", f"/dev/fd/{read}", pass_fds=[read]), expected)

    def test_empty_template_counts_as_none(self):
        for text in ("", " \n"):
            self.write(text)
            answer, notes = self.run_json("x", "--chat")
            self.assertEqual([token["piece"] for token in answer["prompt"]], self.prompt("x", model=SOURCE))
            self.assertIn(f"gemma: {self.model}: {KEY}: the chat template is empty, and counts as absent", notes)
        self.write("")
        self.assertFalse(json.loads(self.succeeds("inspect", self.model, "--json"))["instruction_tuned"])
        self.fails(1, "run", self.model, "x", "--chat-template", "file", "-q", says="there is no chat template",
                   cure=CURE)

    def test_missing_markers_are_named(self):
        rewrite_gguf(SOURCE, self.model, {KEY: CHATML}, {})
        _, notes = self.run_json("x")
        self.assertIn(f"gemma: {self.model}: {KEY}: the chat template writes '<|im_start|>', '<|im_end|>', which the "
                      "vocabulary lacks: the model reads them as plain text", notes)
        many = self.template("".join(f"<|m{i}|>" for i in range(9)) + "[INST] {{ messages[0].content }}</s><think>")
        _, notes = self.run_json("x", "--chat-template", many, model=SOURCE)
        self.assertIn("writes '<|m0|>', '<|m1|>', '<|m2|>', '<|m3|>', '<|m4|>' and 6 more, which", notes[0])
        # Without Gemma's markers, there is no hint to use its turns.
        rewrite_gguf(SOURCE, self.model, {KEY: CHATML}, {**PIECES, "<start_of_turn>": "<other>"})
        _, notes = self.run_json("x")
        self.assertEqual(notes[-1], f"gemma: the turns are those of {self.model}: {KEY}, because the vocabulary lacks "
                                    "the markers of Gemma's own turns")
        rewrite_gguf(SOURCE, self.model, {KEY: "{% if %}"}, {"<start_of_turn>": "<other>"})
        self.fails(1, "run", self.model, "x", "-q", says=KEY, cure="--chat-template FILE uses the turns of another")

    def test_many_templates_load_fast(self):
        folder = self.folder / "model"
        shutil.copytree(MODELS / "gemma_fill", folder)

        def seconds(name, says, count):
            """The processor time for so many templates."""
            (folder / "tokenizer_config.json").write_text(json.dumps({
                "chat_template": [{"name": name.format(i), "template": "{{ messages[0].content }}"} for i in range(count)],
                "extra_special_tokens": {f"x{i}_token": "y" for i in range(count)}}))
            before = command_seconds()
            self.assertIn(says, json.dumps(self.inspect_template(folder)))
            return command_seconds() - before

        for name, says in (("t{}", "is called 't0', wanted one called 'default'"), ("default", "tokenizer_config.json")):
            # Four times as long, or 16 times if it grows with the square.
            self.assertLess(seconds(name, says, 100_000), 9 * seconds(name, says, 25_000))

    def inspect_template(self, model):
        return json.loads(self.succeeds("inspect", model, "--json"))["chat_template"]

    def test_template_refuses_system(self):
        self.write("{% if messages[0].role == 'system' %}{{ raise_exception('no system here') }}{% endif %}" + CHATML)
        self.fails(1, "run", self.model, "x", "--system", "Be brief.", says="refuses these messages: no system here")
        self.write(GOLDENS["templates"]["alpaca"])
        self.fails(1, "run", self.model, "x", "--system", "Be brief.", says="ignores system messages")

    def test_options_exclude(self):
        for arguments, says in (
                (["--raw", "--chat-template", "gemma"], "--raw and --chat-template exclude each other"),
                (["--chat", "--chat-template", "none"], "--chat needs chat turns, but --chat-template none"),
                (["--system", "x", "--chat-template", "none"], "--system needs chat turns, but --chat-template none")):
            self.fails(2, "run", SOURCE, "x", *arguments, says=says)
        self.fails(2, "chat", SOURCE, "--chat-template", "none", says="a chat needs turns")


class BatchTest(TemplateTest):
    def batch(self, lines, *arguments):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        result = gemma("run", self.model, "--batch", "-", "-n", 1, *arguments, stdin=text.encode())
        return [json.loads(line) for line in result.stdout.splitlines()], result.stderr.decode()

    def test_lines_use_template(self):
        self.write(CHATML)
        count = len(self.tokens("the north"))
        lines = ["the north", {"messages": [{"role": "user", "content": "the north"}]}]
        answers, stderr = self.batch(lines)
        self.assertEqual([answer["prompt_tokens"] for answer in answers], [count, count])
        self.assertEqual(stderr, NOTE.format(f"{self.model}: {KEY}") + "\n")
        answers, _ = self.batch(lines, "--chat-template", "none")
        by_line = {answer["line"]: answer for answer in answers}
        self.assertLess(by_line[1]["prompt_tokens"], count)
        self.assertIn("--chat-template none", by_line[2]["error"])

    def test_broken_template_ends_batch(self):
        self.write("{{ messages | sing }}")
        result = gemma("run", self.model, "--batch", "-", stdin=b'"x"\n')
        self.assertEqual((result.returncode, result.stdout), (1, b""))
        self.assertIn("sing", result.stderr.decode())

    def test_raw_refuses_messages(self):
        rewrite_gguf(SOURCE, self.model)
        lines = [{"messages": [{"role": "user", "content": "x"}]}, {"prompt": "x", "system": "Be brief."}, "x"]
        answers, _ = self.batch(lines, "--raw", "--batch-size", 1)
        by_line = {answer["line"]: answer.get("error") for answer in answers}
        self.assertEqual(by_line, {1: "'messages' need chat turns, but --raw turns them off",
                                   2: "'system' needs chat turns, but --raw turns them off", 3: None})

    def test_control_tokens(self):
        rewrite_gguf(SOURCE, self.model)
        lines = ["<end_of_turn>", "<end_of_turn>x"]
        answers, stderr = self.batch(lines, "--raw", "--batch-size", 1)
        self.assertGreater(answers[0]["prompt_tokens"], 2)
        self.assertEqual(stderr.count("stays text"), 1)
        answers, stderr = self.batch(lines, "--raw", "--parse-control", "--batch-size", 1)
        self.assertEqual([answer["prompt_tokens"] for answer in answers], [2, 3])
        self.assertEqual(stderr, "")


class ControlTest(TemplateTest):
    def test_raw_prompts_name_tokens(self):
        text = "<start_of_turn>user\nx"
        self.assertEqual(self.prompt("--raw", "--parse-control", text, model=SOURCE),
                         ["<bos>", "<start_of_turn>", "user", "\n", "x"])
        # BOS is not doubled.
        self.assertEqual(self.prompt("--raw", "--parse-control", "<bos>x", model=SOURCE), ["<bos>", "x"])
        self.assertEqual(self.prompt("--raw", "--parse-control", "x<bos>", model=SOURCE), ["<bos>", "x", "<bos>"])

    def test_hint_without_option(self):
        answer, notes = self.run_json("--raw", "<start_of_turn>x", model=SOURCE)
        self.assertGreater(len(answer["prompt"]), 4)
        self.assertEqual(notes[1:], ["gemma: the prompt contains '<start_of_turn>', which stays text "
                                     "(--parse-control: the control token)"])
        for arguments in (["--raw", "start_of_turn"], ["--raw", "--parse-control", "<start_of_turn>"],
                          ["<start_of_turn>"]):
            self.assertEqual(len(self.run_json(*arguments, model=SOURCE)[1]), 1)
        self.assertEqual(self.run_json("--raw", "<start_of_turn>x", "-q", model=SOURCE)[1], [])

    def test_chat_turns_never_parse(self):
        self.fails(2, "run", SOURCE, "x", "--parse-control", says="--parse-control needs --raw")
        lines = self.folder / "lines"
        lines.write_text('"x"\n"y"\n')
        self.fails(2, "run", SOURCE, "--parse-control", "--batch", lines, says="--parse-control needs --raw")


class InspectTest(TemplateTest):
    def inspect(self, *arguments, model=None):
        return json.loads(self.succeeds("inspect", model or self.model, "--json", *arguments))["chat_template"]

    def test_says_which_and_why(self):
        place = f"{SOURCE}: {KEY}"
        self.assertEqual(self.inspect(model=SOURCE), {
            "turns": "gemma", "file": "", "reason": f"{place} makes the same tokens", "end_of_turn": 6})
        self.assertIn(f"chat template  Gemma's own turns ({place} makes the same tokens)\n",
                      self.succeeds("inspect", SOURCE))
        self.write(CHATML)
        place = f"{self.model}: {KEY}"
        reason = "it makes other tokens of a user's message than Gemma's own turns"
        self.assertEqual(self.inspect(), {"turns": "file", "file": place, "reason": reason, "end_of_turn": 8})
        self.assertIn(f"chat template  {place} ({reason})\n", self.succeeds("inspect", self.model))
        self.assertEqual(self.inspect("--chat-template", "gemma")["reason"], "it was chosen")
        self.assertEqual(self.inspect("--chat-template", "none"), {"turns": "none", "reason": "it was chosen"})

    def test_says_what_fails(self):
        self.write("{{ messages | sing }}")
        found = self.inspect()
        self.assertEqual(found["turns"], "none")
        self.assertIn("sing", found["reason"])
        rewrite_gguf(SOURCE, self.model, {KEY: None})
        self.assertEqual(self.inspect()["reason"], "there is no chat template")


class ChatTest(TemplateTest):
    def test_blanks_stay_by_all_ways(self):
        # A template that trims neither text.
        self.write("{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}<|im_start|>")
        saved = self.folder / "chat.json"
        result = gemma("chat", self.model, "-q", "-n", 1, stdin=f"  the north \n/save {saved}\n".encode())
        self.assertEqual(result.returncode, 0, result)
        self.assertEqual(json.loads(saved.read_text())["messages"][0]["text"], "  the north ")

    def test_loaded_chat_has_same_tokens(self):
        saved = self.folder / "chat.json"
        tokens = lambda *lines: [line for line in gemma(
            "chat", SOURCE, "-q", "-n", 2, "--logit-bias", '"\u2581"=1000', "--temperature", 0,
            stdin="\n".join(lines).encode()).stderr.decode().splitlines() if "turn 1" in line]
        live = tokens("the north", f"/save {saved}", "the end", "/tokens")
        self.assertEqual(json.loads(saved.read_text())["messages"][1]["text"], "  ")
        self.assertEqual(len(live), 1)
        self.assertEqual(live, tokens(f"/load {saved}", "the end", "/tokens"))

    def test_chat_says_template(self):
        self.write(CHATML)
        result = gemma("chat", self.model, "-n", 2, stdin=b"one\ntwo\n/undo\nthree\n")
        self.assertEqual(result.returncode, 0, result)
        self.assertEqual(result.stderr.decode().splitlines()[0], NOTE.format(f"{self.model}: {KEY}"))
        self.assertEqual(gemma("chat", self.model, "-q", "-n", 2, stdin=b"one\n").stderr, b"")


class QuantizeTest(TemplateTest):
    def test_template_is_kept(self):
        self.write(CHATML)
        small = self.folder / "small.gguf"
        self.succeeds("quantize", self.model, small, "--type", "keep")
        self.assertEqual(self.tokens("the north", model=small), self.tokens("the north"))


if __name__ == "__main__":
    unittest.main()
