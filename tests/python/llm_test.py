"""LLM: its numbers are those of the command, its options, forms and errors."""
import asyncio
import io
import json
import pickle
import sys
import tempfile
import unittest
from unittest import mock

from toys import BARE, BASE, EMBEDS, TOOLS, TUNED, load, run_batch, run_json

import libgemma
from libgemma import _core

WEATHER = {"type": "function", "function": {
    "name": "weather", "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 5}},
                   "required": ["city"]}}}


def tokens_of(report):
    """Returns the tokens and log-probabilities of `gemma run --json --logprobs`."""
    return [(token["id"], token["piece"], token["logprob"],
             [(other["id"], other["piece"], other["logprob"]) for other in token["alternatives"]])
            for token in report["tokens"]]


def tokens_in(completion):
    return [(token.token, token.piece, token.logprob,
             [(other.token, other.piece, other.logprob) for other in token.alternatives])
            for token in completion.logprobs]


class Numbers(unittest.TestCase):
    """Answers equal those of the command, bit for bit."""

    def assert_same(self, completion, report):
        self.assertEqual(completion.text, report["text"])
        self.assertEqual(completion.stop_reason, report["stop_reason"])
        self.assertEqual(completion.prompt_tokens, report["prompt_tokens"])
        self.assertEqual(len(completion.tokens), report["new_tokens"])
        self.assertEqual(completion.seed, report["seed"])

    def test_generate_equals_run(self):
        for model in (TUNED, BASE, TOOLS):
            with self.subTest(model=model), load(model) as llm:
                for seed in range(5):
                    report = run_json(model, "Hello, you", "--seed", seed, "-n", 30,
                                      "--logprobs", 3)
                    answer = llm.generate("Hello, you", seed=seed, max_tokens=30, logprobs=3)
                    self.assert_same(answer, report)
                    self.assertEqual(tokens_in(answer), tokens_of(report))
                    self.assertEqual(answer.tokens, [token["id"] for token in report["tokens"]])

    def test_options_equal_flags(self):
        options = [{"temperature": 0}, {"temperature": 0.3, "top_k": 7}, {"top_p": 0.5},
                   {"min_p": 0.2}, {"typical_p": 0.4}, {"repetition_penalty": 1.5},
                   {"frequency_penalty": 0.7, "penalty_window": 3}, {"presence_penalty": 1.1},
                   {"stop": "e"}, {"min_tokens": 0, "seed": 9}, {"top_k": 0, "top_p": 1.0}]
        with load() as llm:
            for given in options:
                flags = [part for name, value in given.items() if name != "min_tokens"
                         for part in ("--" + name.replace("_", "-"), value)]
                with self.subTest(options=given):
                    report = run_json(TUNED, "Hi", "-n", 24,
                                      *([] if "seed" in given else ["--seed", 3]), *flags)
                    answer = llm.generate("Hi", max_tokens=24, **{"seed": 3, **given})
                    self.assert_same(answer, report)

    def test_load_options_equal_flags(self):
        for options, flags in (({"activations": "float32"}, ["--activations", "float32"]),
                               ({"cache": "int8"}, ["--cache-type", "int8"]),
                               ({"quantize": "q4"}, ["--quantize", "q4"]),
                               ({"context": 20}, ["--context", 20]),
                               ({"chat_template": "none"}, ["--chat-template", "none"])):
            with self.subTest(options=options), load(TUNED, **options) as llm:
                report = run_json(TUNED, "Hi", "--seed", 1, "-n", 30, "--logprobs", 0, *flags)
                answer = llm.generate("Hi", seed=1, max_tokens=30, logprobs=0)
                self.assert_same(answer, report)
                self.assertEqual(tokens_in(answer), tokens_of(report))

    def test_many_equal_batch(self):
        prompts = [f"Prompt {index % 7}, {'word ' * (index % 11)}" for index in range(40)]
        reports = run_batch(TUNED, prompts, "--seed", 5, "-n", 20)
        with load(sequences=5) as llm:
            for completion, report in zip(llm.generate(prompts, seed=5, max_tokens=20), reports,
                                          strict=True):
                self.assert_same(completion, report)

    def test_alone_as_together(self):
        prompts = ["one", "two words", "one more", "and " * 30, "one"]
        with load() as llm:
            together = llm.generate(prompts, seed=2, max_tokens=25, logprobs=2)
        for prompt, completion in zip(prompts, together):
            with load() as llm:
                alone = llm.generate(prompt, seed=2, max_tokens=25, logprobs=2)
            self.assertEqual((alone.text, alone.tokens, alone.logprobs),
                             (completion.text, completion.tokens, completion.logprobs))

    def test_chats_equal_batch(self):
        chats = [[{"role": "user", "content": "Hi"}],
                 [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
                 [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"},
                  {"role": "user", "content": "Again"}]]
        for model in (TUNED, TOOLS):
            lines = [{"messages": chat} for chat in chats]
            reports = run_batch(model, lines, "--seed", 5, "-n", 20)
            with load(model) as llm:
                for completion, report in zip(llm.chat(chats, seed=5, max_tokens=20), reports):
                    self.assert_same(completion, report)
                    self.assertEqual(completion.thoughts, report.get("thoughts", ""))

    def test_tokens_equal_command(self):
        with load(TOOLS) as llm:
            tokens = llm.tokenize("Hello <|turn> you", bos=True)
            self.assertEqual(llm.detokenize(tokens), "Hello <|turn> you")
            self.assertNotEqual(llm.tokenize("Hello <|turn> you", parse_control=True, bos=True),
                                tokens)
            self.assertEqual(llm.generate(tokens, seed=1, max_tokens=9).text,
                             llm.generate("Hello <|turn> you", seed=1, max_tokens=9).text)

    def test_caches_are_reused(self):
        prompt = "A long prompt that comes twice. " * 20
        with load() as llm:
            first, second = (llm.generate(prompt, seed=1, max_tokens=9) for _ in range(2))
        self.assertEqual(first.tokens, second.tokens)
        self.assertEqual(first.cached_tokens, 0)
        self.assertGreater(second.cached_tokens, 100)


class Options(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.llm = load()
        cls.addClassCleanup(cls.llm.close)

    def refused(self, *says, error=libgemma.InvalidArgumentError, prompt="Hi", **options):
        with self.assertRaises(error) as caught:
            self.llm.generate(prompt, **options)
        for text in says:
            self.assertIn(text, str(caught.exception))

    def test_wrong_values_are_named(self):
        for name, value in (("temperature", -1), ("temperature", "hot"), ("top_k", -1),
                            ("top_k", 1.5), ("top_p", 2), ("min_p", -0.1), ("typical_p", 3),
                            ("repetition_penalty", 0), ("penalty_window", "all"),
                            ("max_tokens", 0), ("max_tokens", True), ("seed", -1), ("seed", 2**64),
                            ("stop", 5), ("stop", ""), ("stop", [""]), ("stop_tokens", "a"),
                            ("stop_tokens", [1 << 40]), ("logprobs", "yes"), ("timeout", -1),
                            ("timeout", float("nan")), ("logit_bias", [1]),
                            ("logit_bias", {"no such piece at all": 1}), ("logit_bias", {-1: 1}),
                            ("logit_bias", {3: "x"}), ("logit_bias", {True: 1.0}),
                            ("logit_bias", {3: True}), ("client", 5), ("raw", "no"),
                            ("thinking", "no")):
            with self.subTest(name=name, value=value):
                self.refused(name, **{name: value})

    def test_unknown_options_have_hints(self):
        self.refused("'temperatur'", "did you mean 'temperature'", error=TypeError, temperatur=1)
        for method in (self.llm.stream, self.llm.chat, self.llm.astream):
            with self.assertRaises(TypeError):
                method("Hi", max_token=3)

    def test_none_is_the_default(self):
        answers = {self.llm.generate("Hi", seed=1, max_tokens=9, **options).text
                   for options in ({}, {"temperature": None, "top_k": None, "stop": None})}
        self.assertEqual(len(answers), 1)

    def test_seeds_are_told(self):
        answers = self.llm.generate(["Hi"] * 8, max_tokens=30)
        self.assertEqual(len({answer.seed for answer in answers}), 8)
        for answer in answers:
            again = self.llm.generate("Hi", max_tokens=30, seed=answer.seed)
            self.assertEqual(again.tokens, answer.tokens)

    def test_numbers_may_be_numpys(self):
        import numpy as np
        tokens = np.array(self.llm.tokens("Hi"), dtype=np.int32)
        for prompt in (tokens, list(tokens)):
            self.assertEqual(
                self.llm.generate(prompt, seed=np.int64(1), max_tokens=np.int8(9),
                                  temperature=np.float32(0.5)).tokens,
                self.llm.generate("Hi", seed=1, max_tokens=9, temperature=0.5).tokens)
        self.assertEqual(len(self.llm.generate([tokens, tokens], max_tokens=1)), 2)
        self.assertEqual(
            self.llm.generate(tokens, seed=np.int64(1), max_tokens=np.int8(9)).tokens,
            self.llm.generate("Hi", seed=1, max_tokens=9).tokens)

    def test_logit_bias_by_pieces(self):
        token = self.llm.tokenize("when")[-1]
        piece = self.llm._model.piece(token)
        for key in (token, piece, piece.replace("\u2581", " ")):
            answer = self.llm.generate("Hi", logit_bias={key: 1000.0}, max_tokens=3)
            self.assertEqual(answer.tokens, [token] * 3)

    def test_deadline_ends_answers(self):
        answer = self.llm.generate("Hi", timeout=0)
        self.assertEqual((answer.stop_reason, answer.finish_reason), ("deadline", "length"))

    def test_prompts_must_fit(self):
        self.refused("the prompt is", "wanted a text", prompt=5)
        for prompt in ({"role": "user", "content": "Hi"}, b"Hi", {"a", "b"}, None):
            self.refused("the prompt is", "wanted a text", prompt=prompt)
        self.refused("the prompt is empty", prompt=" ")
        self.refused("token 1 of", prompt=[2, "x"])
        self.refused("token 1 of the prompt is 9999999", prompt=[2, 9999999])
        self.refused("4096", error=libgemma.OutOfRangeError, prompt=[2] * 5000)

    def test_context_options_exclude(self):
        self.refused("'raw'", prompt=[2, 3], raw=True)
        self.refused("'parse_control'", parse_control=True)
        self.refused("'system' needs a chat", system="x", raw=True)
        with load(BASE) as llm, self.assertRaisesRegex(ValueError, "'tools' needs a chat"):
            llm.generate("Hi", tools=[WEATHER])

    def test_raw_completes_texts(self):
        self.assertEqual(self.llm.generate("Hi", raw=True, seed=1, max_tokens=20).text,
                         run_json(TUNED, "Hi", "--raw", "--seed", 1, "-n", 20)["text"])
        self.assertEqual(self.llm.tokens("Hi", raw=True), self.llm.tokenize("Hi", bos=True))

    def test_wrong_error_cancels_others(self):
        with self.assertRaises(libgemma.InvalidArgumentError):
            self.llm.generate(["Hi", [9999999]], min_tokens=4000)
        self.assertEqual(self.llm.generate([]), [])


class Forms(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.llm = load(TOOLS)
        cls.addClassCleanup(cls.llm.close)

    def test_schemas_of_all_kinds(self):
        schema = {"type": "object", "properties": {"a": {"type": "integer", "maximum": 99,
                                                         "minimum": 0}},
                  "required": ["a"]}

        class OfPydantic:
            @staticmethod
            def model_json_schema():
                return {"title": "T", **schema}

        answers = {self.llm.generate("Hi", schema=given, seed=4, max_tokens=100).text
                   for given in (schema, json.dumps(schema), OfPydantic)}
        self.assertEqual(len(answers), 1)
        self.assertIn(json.loads(answers.pop())["a"], range(100))

    def test_other_forms(self):
        self.assertRegex(self.llm.generate("Hi", regex="[ab]{3}c", seed=1).text, r"\A[ab]{3}c\Z")
        self.assertIn(self.llm.generate("Hi", choices=["yes", "no"]).text, ("yes", "no"))
        answer = self.llm.generate("Hi", json=True, seed=2, max_tokens=200)
        if answer.finish_reason == "stop":
            json.loads(answer.text)

    def test_forms_equal_the_command(self):
        report = run_json(TOOLS, "Hi", "--regex", "[a-z ]{5,9}", "--seed", 3)
        self.assertEqual(self.llm.generate("Hi", regex="[a-z ]{5,9}", seed=3).text, report["text"])

    def test_wrong_forms(self):
        for says, options in (("'schema' excludes 'json'", {"schema": {}, "json": True}),
                              ("schema is 5", {"schema": 5}), ("json is 5", {"json": 5}),
                              ("regex", {"regex": 5}), ("byte", {"regex": "("}),
                              ("#/madeUp", {"schema": {"madeUp": 1}}),
                              ("no room for thoughts", {"json": True, "thinking": True}),
                              ("tool_choice", {"tool_choice": 5}),
                              ("'tools' is missing", {"tool_choice": "required"}),
                              ("schema is 0", {"schema": 0}), ("regex is 0", {"regex": 0}),
                              ("choices is 0", {"choices": 0}),
                              ("choices is 'abc'", {"choices": "abc"}),
                              ("tools is ''", {"tools": ""}), ("tools is {}", {"tools": {}})):
            with self.subTest(options=options):
                with self.assertRaisesRegex(libgemma.InvalidArgumentError, says):
                    self.llm.chat([{"role": "user", "content": "Hi"}], **options)

    def test_required_tools_are_called(self):
        for choice in ("required", "weather",
                       {"type": "function", "function": {"name": "weather"}}):
            answer = self.llm.chat([{"role": "user", "content": "Hi"}], tools=[WEATHER],
                                   tool_choice=choice, parallel_tool_calls=False, seed=3)
            self.assertEqual(answer.finish_reason, "tool_calls")
            self.assertEqual([call.name for call in answer.tool_calls], ["weather"])
            self.assertEqual(list(answer.tool_calls[0].parsed_arguments()), ["city"])

    def test_cut_calls_give_no_text(self):
        chat = [{"role": "user", "content": "Hi"}]
        options = {"tools": [WEATHER], "tool_choice": "required", "seed": 3, "max_tokens": 9}
        answer = self.llm.chat(chat, **options)
        self.assertEqual((answer.finish_reason, answer.text, answer.tool_calls),
                         ("length", "", []))
        pieces = list(self.llm.stream(chat, **options).pieces())
        self.assertEqual(pieces[-1].completion.tokens, answer.tokens)
        self.assertEqual("".join(piece.text for piece in pieces), "")

    def test_results_of_tools(self):
        chat = [{"role": "user", "content": "Hi"},
                {"role": "assistant", "content": None, "tool_calls": [
                    {"id": "1", "type": "function",
                     "function": {"name": "weather", "arguments": '{"city":"Bern"}'}}]},
                {"role": "tool", "tool_call_id": "1", "content": {"sky": "blue"}}]
        report = run_batch(TOOLS, [{"messages": chat, "tools": [WEATHER]}], "-n", 1)[0]
        answer = self.llm.chat(chat, tools=[WEATHER], max_tokens=1)
        self.assertEqual(answer.prompt_tokens, report["prompt_tokens"])

    def test_wrong_messages(self):
        for says, chat in (("messages\\[0\\].role", [{"content": "x"}]),
                           ("role is 'boss'", [{"role": "boss", "content": "x"}]),
                           ("has 'name'", [{"role": "user", "content": "x", "name": "y"}]),
                           ("no 'content'", [{"role": "user"}]),
                           ("content is 5", [{"role": "user", "content": 5}]),
                           ("tool_calls", [{"role": "assistant", "tool_calls": 5}])):
            with self.subTest(chat=chat), self.assertRaisesRegex(ValueError, says):
                self.llm.chat(chat)
        call = {"name": "weather", "arguments": {}}
        for says, message in (
                ("the same", {"content": "x", "thoughts": "a", "reasoning_content": "b"}),
                ("has 'nmae'", {"tool_calls": [{"function": call, "nmae": "x"}]}),
                ("type is 'custom'", {"tool_calls": [{"type": "custom", "function": call}]}),
                ("type is 'custom'", {"tool_calls": [{"type": "custom", **call}]})):
            with self.subTest(message=message), self.assertRaisesRegex(ValueError, says):
                self.llm.chat([{"role": "user", "content": "x"}, {"role": "assistant", **message},
                               {"role": "user", "content": "y"}])
        for messages in (["Hi"], []):
            with self.assertRaisesRegex(ValueError, "messages is"):
                self.llm.chat(messages)


class Life(unittest.TestCase):

    def test_closed_refuses(self):
        with load() as llm:
            self.assertFalse(llm.closed)
        self.assertTrue(llm.closed)
        llm.close()
        for call in (lambda: llm.generate("Hi"), lambda: llm.stream("Hi"),
                     lambda: llm.tokenize("Hi")):
            with self.assertRaisesRegex(libgemma.FailedPreconditionError, "closed"):
                call()

    def test_close_cancels_requests(self):
        llm = load(context=32768)
        stream = llm.stream("Hi", min_tokens=30000, max_tokens=30000)
        next(stream)
        llm.close()
        list(stream)
        self.assertEqual(stream.completion.finish_reason, "cancelled")

    def test_models_without_tokenizer(self):
        with load(BARE) as llm:
            self.assertEqual(llm._model.architecture, "gemma3")
            with self.assertRaises(libgemma.FailedPreconditionError) as caught:
                llm.generate([2, 3])
            self.assertEqual(caught.exception.reason, "NO_TOKENIZER")

    def test_embedding_models_load(self):
        with load(EMBEDS) as llm:
            self.assertTrue(llm._model.embeds)
            with self.assertRaisesRegex(libgemma.InvalidArgumentError, "embeds texts"):
                llm.generate([2, 3])

    def test_progress_of_loading(self):
        calls = []
        load(progress=lambda done, total: calls.append((done, total))).close()
        self.assertEqual(calls[-1][0], calls[-1][1])

        def fail(done, total):
            raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            load(progress=fail)

    def test_progress_of_prompts(self):
        calls = []
        with load() as llm:
            llm.generate(["Hi"] * 20, max_tokens=3,
                         progress=lambda done, total: calls.append((done, total)))
        self.assertEqual(calls[-1], (20, 20))
        self.assertEqual(calls, sorted(calls))

    def test_lists_fit_short_queues(self):
        with load(max_queued=1) as llm:
            self.assertEqual(len(llm.generate(["Hi"] * 20, max_tokens=2)), 20)
            answers = asyncio.run(llm.agenerate(["Hi"] * 20, max_tokens=2))
            self.assertEqual(len(answers), 20)

    def test_progress_bars(self):
        class Bar:
            made = []

            def __init__(self, total, desc, unit, unit_scale):
                self.made.append(self)
                self.total, self.desc, self.n = total, desc, 0

            def update(self, count):
                self.n += count

            def close(self):
                self.desc += " closed"

        with mock.patch.dict(sys.modules, {"tqdm.auto": mock.Mock(tqdm=Bar),
                                           "tqdm": mock.Mock()}):
            with load(progress=True) as llm:
                llm.generate(["Hi"] * 3, max_tokens=1, progress=True)
        self.assertEqual([(bar.desc, bar.n == bar.total) for bar in Bar.made],
                         [("loading closed", True), ("answering closed", True)])

    def test_no_terminal_no_line(self):
        for is_terminal in (True, False):
            stream = io.StringIO()
            stream.isatty = lambda: is_terminal
            with mock.patch.dict(sys.modules, {"tqdm.auto": None}):
                with mock.patch("sys.stderr", stream):
                    load(progress=True).close()
            self.assertEqual("loading 100 %" in stream.getvalue(), is_terminal)
            self.assertEqual(bool(stream.getvalue()), is_terminal)

    def test_pickles_path_and_options(self):
        with load(context=50, sequences=3) as llm:
            data = pickle.dumps(llm)
            self.assertLess(len(data), 2000)
            text = llm.generate("Hi", seed=1).text
        with pickle.loads(data) as copy:
            self.assertEqual(copy._options, llm._options)
            self.assertEqual(copy.generate("Hi", seed=1).text, text)

    def test_wrong_load_options(self):
        for says, options in (("cache is 'x', wanted auto", {"cache": "x"}),
                              ("activations is", {"activations": 5}),
                              ("threads", {"threads": 100000}), ("threads is", {"threads": "2"}),
                              ("max_sequences is 0", {"sequences": 0}),
                              ("quantize is 'q9'", {"quantize": "q9"}),
                              ("adapters", {"adapters": [("x", "y")]}),
                              ("max_bytes", {"memory": 5}), ("progress is 5", {"progress": 5}),
                              ("chat_template is ''", {"chat_template": ""}),
                              ("simd|cpu|CPU", {"simd": "mmx"})):
            with self.subTest(options=options):
                with self.assertRaisesRegex(libgemma.InvalidArgumentError, says):
                    load(**options)


class Errors(unittest.TestCase):

    def test_classes_of_python(self):
        for error, base in (("InvalidArgumentError", ValueError),
                            ("NotFoundError", FileNotFoundError), ("OutOfRangeError", ValueError),
                            ("ResourceExhaustedError", MemoryError),
                            ("FailedPreconditionError", RuntimeError),
                            ("UnimplementedError", NotImplementedError),
                            ("DataLossError", ValueError),
                            ("PermissionDeniedError", PermissionError)):
            found = getattr(libgemma, error)
            self.assertTrue(issubclass(found, base))
            self.assertTrue(issubclass(found, libgemma.GemmaError))

    def test_codes_and_reasons(self):
        with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
            file.write(b"no model" * 100)
            file.flush()
            with self.assertRaises(libgemma.GemmaError) as caught:
                libgemma.LLM(file.name)
        error = pickle.loads(pickle.dumps(caught.exception))
        self.assertEqual((type(error), error.code, error.reason, str(error)),
                         (type(caught.exception), "INVALID_ARGUMENT", "NOT_A_MODEL",
                          str(caught.exception)))
        self.assertIn(file.name, str(error))

    def test_surrogates_are_refused(self):
        with load() as llm, self.assertRaises(UnicodeEncodeError):
            llm.generate("\ud800")

    def test_foreign_classes(self):
        with load() as llm:
            for call in (lambda: _core.Engine.create(5, {}), lambda: llm.detokenize("x"),
                         lambda: llm.tokenize(5)):
                with self.assertRaises((TypeError, ValueError)):
                    call()


if __name__ == "__main__":
    unittest.main()
