#!/usr/bin/env python3
"""LLM's logits, probabilities, vectors and policies: the command's bits, transformers' numbers."""
import json
import subprocess
import sys
import unittest
import warnings
from unittest import mock

import numpy as np

import libgemma
from command import MODELS, TESTDATA, CommandTest

MODEL = TESTDATA / "gguf/gemma3_mixed.gguf"
TEXT = "The quick brown fox jumps over the lazy dog. It was not what you have."
SHIELD = TESTDATA / "classify/shield.gguf"
CASES = json.loads((TESTDATA / "classify/prompts.json").read_text(encoding="utf-8"))
EMBEDDER = MODELS / "embedding_gemma"
EXACT = {"activations": "float32", "cache": "float32"}
FLAGS = ["--activations", "float32", "--cache-type", "float32"]


def load(path, **options):
    return libgemma.LLM(path, threads=1, **{**EXACT, **options})


class LogitsTest(CommandTest):
    @classmethod
    def setUpClass(cls):
        cls.llm = load(MODEL)
        cls.addClassCleanup(cls.llm.close)
        cls.tokens = cls.llm.tokenize(TEXT, bos=True)

    def test_bits_of_the_command(self):
        for options, flags in ((EXACT, FLAGS), ({"activations": "int8", "cache": "auto"},
                                                ["--activations", "int8"])):
            path = self.folder / "F.npy"
            self.succeeds("logits", MODEL, "--tokens", ",".join(map(str, self.tokens)), "-o", path,
                          "--force", *flags)
            with load(MODEL, **options) as llm:
                logits = llm.logits(TEXT)
            self.assertEqual(logits.dtype, np.float32)
            np.testing.assert_array_equal(logits, np.load(path))

    def test_transformers_within_tolerance(self):
        with np.load(TESTDATA / "gguf/gemma3_mixed.npz") as reference:
            ids, expected = reference["ids"].ravel(), reference["out"].reshape(
                -1, self.llm._model.vocab_size)
        error = np.max(np.abs(self.llm.logits(ids) - expected)) / np.max(np.abs(expected))
        self.assertLessEqual(error, 1e-4)

    def test_long_texts_and_chunks(self):
        tokens = (self.tokens * 10)[:300]
        whole = self.llm.logits(tokens)
        self.assertEqual(whole.shape, (300, self.llm._model.vocab_size))
        with load(MODEL, prefill_chunk=7) as llm:
            np.testing.assert_array_equal(llm.logits(np.array(tokens)), whole)
            session = llm.session(max_tokens=300)
            np.testing.assert_array_equal(session.forward(tokens), whole[-1])

    def test_control_tokens(self):
        text = "<start_of_turn>user"
        self.assertLess(len(self.llm.logits(text, parse_control=True)), len(self.llm.logits(text)))
        with self.assertRaisesRegex(ValueError, "parse_control"):
            self.llm.logits([2], parse_control=True)

    def test_wrong_tokens_are_errors(self):
        for tokens in ([], [10**6], [-1], ["a"], [[1]], 3):
            with self.subTest(tokens), self.assertRaises((ValueError, TypeError)):
                self.llm.logits(tokens)
        with load(MODEL) as llm:
            pass
        for call in (llm.logits, llm.token_logprobs, llm.run_with_cache):
            with self.assertRaises(libgemma.FailedPreconditionError):
                call(TEXT)


class ProbabilityTest(CommandTest):
    @classmethod
    def setUpClass(cls):
        cls.llm = load(MODEL)
        cls.addClassCleanup(cls.llm.close)
        cls.tokens = cls.llm.tokenize(TEXT, bos=True)

    def log_softmax(self, tokens):
        rows = self.llm.logits(tokens).astype(np.float64)
        return rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))

    def test_token_logprobs_are_softmax(self):
        rows = self.log_softmax(self.tokens)
        scored = self.llm.token_logprobs(TEXT, alternatives=3)
        self.assertEqual([token.token for token in scored], self.tokens)
        self.assertEqual(scored[0].piece, "<bos>")
        self.assertIsNone(scored[0].logprob)
        for row, token in zip(rows, scored[1:]):
            self.assertAlmostEqual(token.logprob, row[token.token], delta=1e-9)
            best = np.argsort(-row, kind="stable")[:3]
            self.assertEqual([other.token for other in token.alternatives], list(best))
            for other in token.alternatives:
                self.assertAlmostEqual(other.logprob, row[other.token], delta=1e-9)

    def test_perplexity_of_the_command(self):
        path = self.folder / "text.txt"
        path.write_text(TEXT)
        report = json.loads(self.succeeds("perplexity", MODEL, "--file", path, "--json", *FLAGS))
        logprobs = [token.logprob for token in self.llm.token_logprobs(TEXT)[1:]]
        self.assertEqual(report["scored_tokens"], len(logprobs))
        self.assertAlmostEqual(-sum(logprobs) / len(logprobs), report["mean_nll"], delta=1e-9)

    def test_scores_are_sums(self):
        choices = ["dog", " lazy dog", self.tokens[5:9]]
        scores = self.llm.score(TEXT, choices, raw=True)
        for choice, score in zip(choices, scores):
            tokens = self.llm.tokenize(choice) if isinstance(choice, str) else choice
            rows = self.log_softmax(self.tokens + tokens)[len(self.tokens) - 1:]
            expected = sum(row[token] for row, token in zip(rows, tokens))
            self.assertAlmostEqual(score, expected, delta=1e-9)

    def test_prompts_are_those_of_generate(self):
        chat = [{"role": "user", "content": TEXT}]
        read = self.llm.tokens(chat)
        self.assertEqual(self.llm.score(chat, ["dog"]), self.llm.score(read, ["dog"]))
        self.assertNotEqual(self.llm.score(chat, ["dog"]), self.llm.score(TEXT, ["dog"], raw=True))

    def test_wrong_choices_are_errors(self):
        for choices in ([], [""], "dog", [[]], [[10**6]]):
            with self.subTest(choices), self.assertRaises(ValueError):
                self.llm.score(TEXT, choices)
        with self.assertRaisesRegex(TypeError, "temperature"):
            self.llm.score(TEXT, ["dog"], temperature=1)
        for name, value in (("raw", "no"), ("parse_control", 1), ("thinking", 0)):
            with self.assertRaisesRegex(ValueError, f"{name} is .*, wanted True or False"):
                self.llm.score(TEXT, ["dog"], **{name: value})


class EmbedTest(CommandTest):
    @classmethod
    def setUpClass(cls):
        cls.llm = load(EMBEDDER)
        cls.addClassCleanup(cls.llm.close)
        cls.texts = (EMBEDDER / "texts.txt").read_text(encoding="utf-8").splitlines()

    def test_bits_of_the_command(self):
        path = self.folder / "F.npy"
        for options, flags in (({}, []), ({"prompt": "query"}, ["--prompt", "query"]),
                               ({"prompt": "document", "title": "T"},
                                ["--prompt", "document", "--title", "T"]),
                               ({"dimensions": 16}, ["--dimensions", 16]),
                               ({"normalize": False}, ["--no-normalize"])):
            with self.subTest(**options):
                self.succeeds("embed", EMBEDDER, "--file", EMBEDDER / "texts.txt", "-o", path,
                              "--force", "--activations", "float32", *flags)
                vectors = self.llm.embed(self.texts, **options)
                self.assertEqual(vectors.dtype, np.float32)
                np.testing.assert_array_equal(vectors, np.load(path))

    def test_transformers_within_tolerance(self):
        with np.load(EMBEDDER / "embeddings.npz") as reference:
            np.testing.assert_allclose(self.llm.embed(self.texts), reference["unit_40"], atol=1e-5)
            np.testing.assert_allclose(self.llm.embed(self.texts, normalize=False),
                                       reference["embedding"], atol=2e-5)

    def test_one_text_one_vector(self):
        vectors = self.llm.embed(self.texts)
        one = self.llm.embed(self.texts[0])
        self.assertEqual(one.shape, (40,))
        np.testing.assert_allclose(one, vectors[0], atol=1e-6)
        self.assertEqual(self.llm.embed([]).shape[0], 0)

    def test_prompts_have_names(self):
        prompts = self.llm.embed_prompts
        self.assertEqual(prompts["query"], "task: search result | query: ")
        np.testing.assert_array_equal(self.llm.embed("the user", prompt="query"),
                                      self.llm.embed(prompts["query"] + "the user"))

    def test_cut_texts_are_told(self):
        with load(EMBEDDER, context=8) as llm:
            with self.assertWarnsRegex(UserWarning, r"1 of 2 texts had more than 8 tokens .*: 1"):
                llm.embed(["a", "the user " * 30])
        bare = TESTDATA / "gguf/gemma_embedding_bare.gguf"
        with load(bare) as llm, self.assertWarnsRegex(UserWarning, "no dense layers"):
            llm.embed("a")

    def test_progress_and_its_errors(self):
        seen = []
        self.llm.embed(self.texts, progress=lambda done, total: seen.append((done, total)))
        self.assertEqual(seen[-1], (len(self.texts), len(self.texts)))

        def fail(done, total):
            raise RuntimeError("enough")

        with self.assertRaisesRegex(RuntimeError, "enough"):
            self.llm.embed(self.texts, progress=fail)

    def test_wrong_options_are_errors(self):
        for options, says in (({"prompt": "none"}, "'none'"), ({"dimensions": 41}, "41"),
                              ({"dimensions": 0}, "dimensions"), ({"title": "t"}, "title")):
            with self.subTest(**options), self.assertRaisesRegex(ValueError, says):
                self.llm.embed(self.texts, **options)
        with load(MODEL) as llm, self.assertRaises(libgemma.FailedPreconditionError):
            llm.embed("a")
        for call in (self.llm.logits, self.llm.token_logprobs):
            with self.assertRaises(libgemma.FailedPreconditionError):
                call("a")


class ClassifyTest(CommandTest):
    @classmethod
    def setUpClass(cls):
        cls.llm = load(SHIELD)
        cls.addClassCleanup(cls.llm.close)

    def classify(self, *arguments, **options):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*not a ShieldGemma")  # a toy
            return self.llm.classify(*arguments, **options)

    def test_transformers_within_tolerance(self):
        for case in CASES:
            text = (case["text"], case["response"]) if "response" in case else case["text"]
            found = self.classify(text, case["policy"], wording=case["wording"])
            self.assertEqual(list(found), [case["policy"]])
            self.assertAlmostEqual(found[case["policy"]], case["probability"], delta=1e-5)

    def test_bits_of_the_command(self):
        text = CASES[0]["text"]
        report = json.loads(self.succeeds("classify", SHIELD, "--json", *FLAGS, text))
        self.assertEqual(self.classify(text), report["probabilities"])
        response = json.loads(self.succeeds("classify", SHIELD, "--json", *FLAGS, text,
                                            "--response", "no"))
        self.assertEqual(self.classify((text, "no")), response["probabilities"])

    def test_lists_equal_single_texts(self):
        texts = [CASES[0]["text"], (CASES[0]["text"], "no"), "another", (CASES[0]["text"], "yes")]
        self.assertEqual(self.classify(texts), [self.classify(text) for text in texts])

    def test_policies_of_a_file(self):
        path = self.folder / "p.json"
        path.write_text(json.dumps([{"name": "cats", "title": "Cats", "prompt_rule": "No cats."}]))
        policy = libgemma.Policy("cats", "Cats", prompt_rule="No cats.")
        self.assertEqual(self.classify("a cat", path), self.classify("a cat", policy))
        self.assertEqual(self.classify("a cat", str(path)), self.classify("a cat", [policy]))
        self.assertEqual(list(self.classify("a cat", [policy, "hate"])), ["cats", "hate"])
        with self.assertRaisesRegex(ValueError, "no rule for responses"):
            self.classify(("a", "b"), policy)

    def test_wrong_arguments_are_errors(self):
        for arguments, options, says in (
                (("a", "love"), {}, "'love' is neither"), (("a", []), {}, "one or more"),
                (("a", ["hate", "hate"]), {}, "twice"), (("a",), {"wording": "x"}, "wording"),
                ((["a", "b " * 9000],), {}, "text 1: ")):
            with self.subTest(says), self.assertRaisesRegex(ValueError, says):
                self.classify(*arguments, **options)

    def test_progress_of_policies(self):
        seen = []
        self.classify(["a", "b"], ["hate", "sexual"],
                      progress=lambda done, total: seen.append((done, total)))
        self.assertEqual(seen[-1], (4, 4))
        self.assertEqual(seen, sorted(seen))

    def test_progress_that_asks(self):
        for ask in (lambda *_: self.llm.classify("b", "hate"),
                    lambda *_: self.llm._classifier("hub").stats):
            with self.assertRaisesRegex(libgemma.FailedPreconditionError, "its progress function"):
                self.llm.classify("a", "hate", progress=ask)
        self.classify("a", "hate")

    def test_warnings_tell_their_call(self):
        classifier = mock.Mock(**{"classify.return_value": [[0.5]]}, stats={"answer_mass": 0.1})
        with mock.patch.object(self.llm, "_bound_classifiers", {"hub": classifier}, create=True):
            with self.assertWarnsRegex(UserWarning, "0.10 together"):
                self.llm.classify("a", "hate")
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                self.llm.classify("a", "hate")

    def test_shieldgemma_is_quiet(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.llm.classify("a", "hate")


class InterruptTest(unittest.TestCase):
    def test_signals_end_long_work(self):
        script = f"""if True:
            import signal, libgemma
            def stop(*_): raise InterruptedError("alarm")
            signal.signal(signal.SIGALRM, stop)
            llm = libgemma.LLM({str(MODEL)!r}, threads=1)
            session = llm.session(max_tokens=400000)
            for call in (session.append, session.forward, session.forward_all):
                signal.setitimer(signal.ITIMER_REAL, 0.2)
                try:
                    call([5] * 390000)
                except InterruptedError as error:
                    print(error)
                session.rewind(0)
        """
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                                timeout=300, check=False)
        self.assertEqual((result.returncode, result.stdout), (0, "alarm\n" * 3), result.stderr)


if __name__ == "__main__":
    unittest.main()
