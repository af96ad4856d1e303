#!/usr/bin/env python3
"""Sessions and taps of libgemma: toys, against what transformers computes."""
import gc
import tempfile
import threading
import unittest

import numpy as np

import libgemma
from command import MODELS, TESTDATA
from libgemma import _core

# Allowed error: this times the largest number of the reference; see tests/README.md.
TOLERANCE = 1e-4
# Folders, options, and the arrays of the reference.
TOYS = [
    *((name, {}, "out", "block_") for name in (
        "gemma", "gemma_mha", "gemma2", "gemma2_odd", "gemma2_wide_head", "gemma3",
        "gemma3_noscale", "gemma3_4groups", "gemma3_nested", "gemma3n", "gemma4_e2b",
        "gemma4_31b", "gemma4_moe")),
    ("recurrent_gemma", {"recurrent_window": "transformers"}, "out", "block_"),
    ("recurrent_gemma", {}, "out_deepmind", "block_deepmind_"),
]


def load(path, **options):
    """Loads a model without an engine: most toys have no tokenizer."""
    return _core.Model.load(str(path).encode(), {"activations": "float32", "threads": 1, **options},
                            None)


def relative_error(actual, expected):
    return np.max(np.abs(actual - expected)) / np.max(np.abs(expected))


class GoldenTest(unittest.TestCase):
    def test_logits_equal_transformers(self):
        for name, options, array, _ in TOYS:
            path = MODELS / name / "reference.npz"
            with self.subTest(name, **options), np.load(path) as reference:
                model = load(MODELS / name, **options)
                logits = libgemma.Session(model, max_tokens=64).forward_all(reference["ids"][0])
                self.assertEqual(logits.dtype, np.float32)
                self.assertLessEqual(relative_error(logits, reference[array][0]), TOLERANCE)

    def test_block_outputs_equal_transformers(self):
        for name, options, _, block in TOYS:
            path = MODELS / name / "reference.npz"
            with self.subTest(name, **options), np.load(path) as reference:
                model = load(MODELS / name, prefill_chunk=16, **options)
                rows = [[] for _ in range(model.num_layers)]
                tap = libgemma.Tap(model, lambda site, x, rows=rows: rows[site.layer].append(x),
                                   ["block_output"])
                session = libgemma.Session(model, max_tokens=64)
                session.set_tap(tap)
                session.append(reference["ids"][0])
                for layer, found in enumerate(rows):
                    found = np.concatenate(found)
                    expected = reference[f"{block}{layer}"]
                    self.assertLessEqual(relative_error(found, expected), TOLERANCE, layer)

    def test_wrong_window_is_noticed(self):
        with np.load(MODELS / "recurrent_gemma" / "reference.npz") as reference:
            session = libgemma.Session(load(MODELS / "recurrent_gemma"), max_tokens=64)
            logits = session.forward_all(reference["ids"][0])
            self.assertGreater(relative_error(logits, reference["out"][0]), TOLERANCE)


class SessionTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = load(MODELS / "gemma3", prefill_chunk=8)
        cls.tokens = [2, 17, 4, 99, 5, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42]

    def session(self, **options):
        return libgemma.Session(self.model, **{"max_tokens": 64, **options})

    def test_all_ways_same_bits(self):
        every = self.session().forward_all(self.tokens)
        whole = self.session().forward(self.tokens)
        np.testing.assert_array_equal(whole, every[-1])
        steps = self.session()
        for token, row in zip(self.tokens, every):
            np.testing.assert_array_equal(steps.forward([token]), row)
        parts = self.session()
        parts.append(self.tokens[:5])
        np.testing.assert_array_equal(parts.forward(np.array(self.tokens[5:])), whole)
        top = self.session().forward_top(self.tokens, 3)
        best = np.argsort(-whole)[:3]
        np.testing.assert_array_equal(top[best], whole[best])

    def test_rewind_fork_and_checkpoint(self):
        session = self.session()
        wanted = session.forward(self.tokens)
        session.rewind(4)
        self.assertEqual((session.position, session.tokens), (4, self.tokens[:4]))
        session.checkpoint()
        fork = session.fork()
        np.testing.assert_array_equal(session.forward(self.tokens[4:]), wanted)
        np.testing.assert_array_equal(fork.forward(self.tokens[4:]), wanted)
        self.assertEqual(session.remaining, 64 - len(self.tokens))
        self.assertEqual(session.max_tokens, 64)

    def test_saved_sessions_continue(self):
        with tempfile.TemporaryDirectory() as folder:
            session = self.session()
            session.append(self.tokens[:7])
            session.save(f"{folder}/s")
            other = libgemma.Session.restore(self.model, f"{folder}/s")
            np.testing.assert_array_equal(other.forward(self.tokens[7:]),
                                          session.forward(self.tokens[7:]))
            with self.assertRaises(libgemma.FailedPreconditionError):
                libgemma.Session.restore(load(MODELS / "gemma2"), f"{folder}/s")
            with self.assertRaises(FileNotFoundError):
                libgemma.Session.restore(self.model, f"{folder}/none")

    def test_batch_equals_single_calls(self):
        parts = [self.tokens[:3], self.tokens[3:9], [5]]
        sessions = [self.session() for _ in parts]
        logits = libgemma.forward_batch(list(zip(sessions, parts)))
        for row, part in zip(logits, parts):
            np.testing.assert_array_equal(row, self.session().forward(part))
        with self.assertRaises(libgemma.FailedPreconditionError):
            libgemma.forward_batch([(sessions[0], [1]), (sessions[0], [2])])
        for wrong in (None, 5, "session"):
            with self.subTest(wrong), self.assertRaises(TypeError):
                libgemma.forward_batch([(wrong, [1])])

    def test_batch_keeps_its_sessions(self):
        class Made:
            """Pairs that exist only while they are read."""

            def __init__(self, session):
                self.session = session

            def __len__(self):
                return 2

            def __getitem__(self, index):
                if index == 0:
                    return self.session()
                if index == 1:
                    return [5]
                raise IndexError

        logits = libgemma.forward_batch([Made(self.session) for _ in range(4)])
        for row in logits:
            np.testing.assert_array_equal(row, self.session().forward([5]))

    def test_scores_equal_softmax(self):
        session = self.session()
        choices = [[7], [8, 9], [7, 9, 11]]
        scores = session.score(self.tokens, choices)
        self.assertEqual(session.tokens, self.tokens)
        for choice, score in zip(choices, scores):
            rows = self.session().forward_all(self.tokens + choice)[len(self.tokens) - 1:-1]
            rows = rows.astype(np.float64)
            rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
            expected = [row[token] for row, token in zip(rows, choice)]
            np.testing.assert_allclose(score.token_log_probabilities, expected, atol=1e-9)
            self.assertAlmostEqual(score.log_probability, sum(expected), delta=1e-9)

    def test_errors_change_nothing(self):
        session = self.session()
        wanted = session.forward(self.tokens)
        for call, error, says in (
                (lambda: session.forward([256]), ValueError, "256"),
                (lambda: session.forward([]), ValueError, "token"),
                (lambda: session.forward_all([0] * 60), libgemma.OutOfRangeError, "do not fit"),
                (lambda: session.forward(["a"]), ValueError, "token 0"),
                (lambda: session.forward(1), ValueError, "list of tokens"),
                (lambda: session.score([1], []), ValueError, "choice"),
                (lambda: session.rewind(99), libgemma.OutOfRangeError, "99"),
                (lambda: self.session(cache="int4"), ValueError, "cache is 'int4'"),
                (lambda: self.session(max_tokens=0), ValueError, "max_tokens")):
            with self.assertRaisesRegex(error, says):
                call()
        self.assertEqual(session.tokens, self.tokens)
        session.rewind(len(self.tokens) - 1)
        np.testing.assert_array_equal(session.forward(self.tokens[-1:]), wanted)

    def test_logits_belong_to_python(self):
        session = self.session()
        first = session.forward([2])
        kept = first.copy()
        session.forward([3])
        session.close()
        np.testing.assert_array_equal(first, kept)
        first[0] = 1  # writable
        with self.assertRaisesRegex(libgemma.FailedPreconditionError, "closed"):
            session.forward([2])

    def test_one_thread_at_a_time(self):
        session, entered, leave = self.session(), threading.Event(), threading.Event()

        def wait(site, activations):
            entered.set()
            leave.wait(60)

        session.set_tap(libgemma.Tap(self.model, wait, ["embedding"]))
        thread = threading.Thread(target=session.append, args=([2],))
        thread.start()
        self.assertTrue(entered.wait(60))
        with self.assertRaisesRegex(libgemma.FailedPreconditionError, "in use"):
            session.forward([3])
        leave.set()
        thread.join()
        self.assertEqual(session.tokens, [2])


class TapTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = load(MODELS / "gemma3", prefill_chunk=8)
        cls.tokens = list(range(2, 22))

    def run_tapped(self, function, sites=None, model=None):
        session = libgemma.Session(model or self.model, max_tokens=64)
        session.set_tap(libgemma.Tap(model or self.model, function, sites))
        return session.forward(self.tokens)

    def test_sites_come_in_order(self):
        seen = []
        self.run_tapped(lambda site, x: seen.append((site.name, site.position, x.shape)))
        layer = ["mix_input", "mix_hidden", "mix_output", "mixed_stream", "ffw_input", "ffw_hidden",
                 "ffw_output", "block_output"]
        names = ["embedding@0", *(f"{point}@{i}" for i in range(7) for point in layer),
                 "head_input@7"]
        self.assertEqual([name for name, position, _ in seen if position == 0], names)
        self.assertEqual(sorted({position for _, position, _ in seen}), [0, 8, 16])
        shapes = {name: shape for name, position, shape in seen if position == 16}
        self.assertEqual(shapes["embedding@0"], (4, self.model.model_dim))

    def test_readers_change_nothing(self):
        plain = libgemma.Session(self.model, max_tokens=64).forward(self.tokens)
        np.testing.assert_array_equal(self.run_tapped(lambda site, x: None), plain)
        np.testing.assert_array_equal(self.run_tapped(lambda site, x: x), plain)

    def test_changes_take_effect(self):
        plain = libgemma.Session(self.model, max_tokens=64).forward(self.tokens)

        def in_place(site, x):
            x += 0.5

        changed = self.run_tapped(in_place, ["block_output@3"])
        self.assertFalse(np.array_equal(changed, plain))
        np.testing.assert_array_equal(
            self.run_tapped(lambda site, x: x + np.float32(0.5), ["block_output@3"]), changed)
        # The same site by other names.
        for name in ("res@3", "blocks.3.hook_resid_post", "blocks.4.hook_resid_pre"):
            np.testing.assert_array_equal(self.run_tapped(in_place, [name]), changed)
        self.assertFalse(np.array_equal(self.run_tapped(in_place, ["block_output"]), changed))

    def test_kept_arrays_keep_values(self):
        kept = []
        self.run_tapped(lambda site, x: kept.append((x, x[:1], x.copy())), ["mix_input@2"])
        for _ in range(3):
            self.run_tapped(lambda site, x: x.fill(7))
            gc.collect()
        for array, row, copy in kept:
            np.testing.assert_array_equal(array, copy)
            np.testing.assert_array_equal(row, copy[:1])
            array[:] = 0  # memory of its own

    def test_exceptions_come_back(self):
        class Odd(Exception):
            pass

        def fail(site, x):
            raise Odd("no")

        session = libgemma.Session(self.model, max_tokens=64)
        wanted = session.forward(self.tokens[:5])
        session.set_tap(libgemma.Tap(self.model, fail, ["block_output@6"]))
        for call in (session.forward, session.append, session.forward_all):
            with self.assertRaisesRegex(Odd, "no"):
                call(self.tokens)
            self.assertEqual(session.tokens, self.tokens[:5])
        session.set_tap(None)
        self.assertFalse(session.has_tap)
        session.rewind(4)
        np.testing.assert_array_equal(session.forward(self.tokens[4:5]), wanted)

    def test_wrong_results_are_errors(self):
        for result, error in (("x", TypeError), (3, TypeError), (np.zeros((1, 2)), ValueError),
                              (np.zeros(5), TypeError)):
            with self.subTest(result), self.assertRaisesRegex(error, "a tap returned"):
                self.run_tapped(lambda site, x, result=result: result, ["embedding"])

    def test_wrong_sites_are_errors(self):
        for site in ("", "resid", "block_output@7", "block_output@x", "embedding@1", "res@9",
                     "expert_input", "per_layer_input@0", "blocks.7.hook_resid_post",
                     "transcoder@1", "head_input@3"):
            with self.subTest(site), self.assertRaisesRegex(ValueError, "sites: "):
                libgemma.Tap(self.model, print, [site])
        with self.assertRaisesRegex(TypeError, "function"):
            libgemma.Tap(self.model, 3)
        with self.assertRaisesRegex(ValueError, "no function"):
            libgemma.Tap(self.model, None, ["embedding"])

    def test_taps_of_other_models(self):
        session = libgemma.Session(load(MODELS / "gemma3"), max_tokens=64)
        with self.assertRaisesRegex(ValueError, "different model"):
            session.set_tap(libgemma.Tap(self.model, print))

    def test_points_of_other_models(self):
        for name, sites in (("gemma4_moe", ["expert_input", "expert_choice", "expert_hidden"]),
                            ("gemma4_e2b", ["per_layer_input", "per_layer_hidden"])):
            seen = set()
            self.run_tapped(lambda site, x, seen=seen: seen.add(site.point), sites,
                            load(MODELS / name))
            self.assertEqual(seen, set(sites))

    def test_session_in_own_tap(self):
        session = libgemma.Session(self.model, max_tokens=64)
        errors = []

        def meddle(site, x):
            for call in (lambda: session.forward([1]), lambda: session.position,
                         lambda: session.set_tap(None), session.close,
                         lambda: libgemma.Session(self.model, max_tokens=64).forward([1])):
                try:
                    call()
                except libgemma.FailedPreconditionError as error:
                    errors.append(error)

        session.set_tap(libgemma.Tap(self.model, meddle, ["embedding"]))
        session.append([2])
        self.assertEqual(len(errors), 5)

    def test_taps_follow_each_other(self):
        seen = []
        first = libgemma.Tap(self.model, lambda site, x: x.fill(3), ["mix_output@1"])
        both = libgemma.Tap(self.model, lambda site, x: seen.append(x), ["mix_output@1"],
                            before=first)
        session = libgemma.Session(self.model, max_tokens=64)
        session.set_tap(both)
        session.append(self.tokens)
        self.assertTrue(all((x == 3).all() for x in seen))
        self.assertTrue(seen)

    def test_other_threads_go_on(self):
        session = libgemma.Session(self.model, max_tokens=4096)
        thread = threading.Thread(target=session.append, args=([3] * 4000,))
        thread.start()
        seen = False
        while thread.is_alive() and not seen:
            try:
                session.position
            except libgemma.FailedPreconditionError:
                seen = True  # while the other thread computes
        thread.join()
        self.assertTrue(seen)


class CacheTest(unittest.TestCase):
    """run_with_cache of LLM, with a toy that has a tokenizer."""

    @classmethod
    def setUpClass(cls):
        cls.llm = libgemma.LLM(TESTDATA / "gguf/gemma3_mixed.gguf", threads=1,
                               activations="float32", cache="float32")
        cls.text = "The quick brown fox jumps over the lazy dog."

    @classmethod
    def tearDownClass(cls):
        cls.llm.close()

    def test_names_and_shapes(self):
        tokens = self.llm.tokenize(self.text, bos=True)
        logits, cache = self.llm.run_with_cache(self.text, ["embedding", "res@1", "mix_output"])
        layers = self.llm._model.num_layers
        self.assertEqual(list(cache), ["embedding", "res@1",
                                       *(f"mix_output@{i}" for i in range(layers))])
        for rows in cache.values():
            self.assertEqual(rows.shape, (len(tokens), self.llm._model.model_dim))
        np.testing.assert_array_equal(logits, self.llm.logits(tokens))
        np.testing.assert_array_equal(
            self.llm.run_with_cache(tokens)[1]["block_output@1"], cache["res@1"])

    def test_stream_is_a_sum(self):
        _, cache = self.llm.run_with_cache(
            self.text, ["embedding", "mix_output@0", "blocks.0.hook_resid_mid", "ffw_output@0",
                        "block_output@0"])
        np.testing.assert_array_equal(cache["embedding"] + cache["mix_output@0"],
                                      cache["blocks.0.hook_resid_mid"])
        np.testing.assert_array_equal(cache["blocks.0.hook_resid_mid"] + cache["ffw_output@0"],
                                      cache["block_output@0"])

    def test_cache_sees_changes(self):
        _, cache = self.llm.run_with_cache(self.text, "res@0",
                                           tap=(lambda site, x: x.fill(2), "res@0"))
        self.assertTrue((cache["res@0"] == 2).all())

    def test_tap_of_an_answer(self):
        plain = self.llm.generate(self.text, raw=True, temperature=0, max_tokens=6)
        same = self.llm.generate(self.text, raw=True, temperature=0, max_tokens=6,
                                 tap=lambda site, x: None)
        self.assertEqual(plain.tokens, same.tokens)
        token = plain.tokens[0]

        def never(site, x):
            x[:] = -x

        other = self.llm.generate(self.text, raw=True, temperature=0, max_tokens=6,
                                  tap=(never, ["head_input"]))
        self.assertNotEqual(other.tokens[0], token)

    def test_sizes_are_not_ignored(self):
        for says, options in (("max_tokens", {"max_tokens": 0}), ("cache is ''", {"cache": ""})):
            with self.subTest(says), self.assertRaisesRegex(ValueError, says):
                self.llm.session(**options)

    def test_error_in_an_answer(self):
        def fail(site, x):
            raise KeyError("inside")

        with self.assertRaisesRegex(KeyError, "inside"):
            self.llm.generate(self.text, raw=True, max_tokens=4, tap=fail)
        self.assertTrue(self.llm.generate(self.text, raw=True, max_tokens=4).tokens)


if __name__ == "__main__":
    unittest.main()
