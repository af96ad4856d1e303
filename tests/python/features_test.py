#!/usr/bin/env python3
"""Features and steering of libgemma: those of the command, and NumPy's."""
import json
import unittest

import numpy as np

import libgemma
from command import TESTDATA, CommandTest

MODEL = TESTDATA / "gguf/gemma3_mixed.gguf"
SCOPE = TESTDATA / "scope"
SAE = SCOPE / "gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4/params.npz"
TEXT = "The quick brown fox jumps over the lazy dog. It was not what you have."
FLAGS = ["--activations", "float32", "--cache-type", "float32"]
SITES = {"res@1": "res", "att@0": "att", "mlp@1": "mlp", "transcoder@0": "transcoder",
         "embedding": "embedding"}


class FeaturesTest(CommandTest):
    @classmethod
    def setUpClass(cls):
        cls.llm = libgemma.LLM(MODEL, threads=1, activations="float32", cache="float32",
                               autoencoders={"res": SAE, "mlp": f"{SAE}:mlp@1"})
        cls.addClassCleanup(cls.llm.close)
        cls.sae = libgemma.SparseAutoencoder(str(SAE), weights="float32")
        with np.load(SCOPE / "gemma3_mixed.npz") as reference:
            cls.reference = dict(reference)
        cls.feature = int(cls.reference["res_feature"][0])
        cls.strength = float(cls.reference["res_strength"][0])


class ReadingTest(FeaturesTest):
    def test_features_equal_reference(self):
        for site, name in SITES.items():
            with self.subTest(site):
                sae = libgemma.SparseAutoencoder(str(SAE), site, weights="float32")
                self.assertEqual(sae.site, site)
                found = self.llm.features(TEXT, sae)
                self.assertEqual([token.token for token in found], list(self.reference["ids"]))
                for token, expected in zip(found, self.reference[f"{name}_features"]):
                    self.assertEqual(list(token.indices), list(np.nonzero(expected > 0)[0]))
                    for index, value in zip(token.indices, token.values):
                        self.assertAlmostEqual(value, expected[index],
                                               delta=1e-4 * max(1, expected[index]))

    def test_numbers_of_the_command(self):
        report = json.loads(self.succeeds("scope", MODEL, TEXT, "--sae", SAE, "--json", *FLAGS,
                                          "--top", 3))
        for weights in (None, "int8"):
            if weights:
                report = json.loads(self.succeeds("scope", MODEL, TEXT, "--sae", SAE, "--json",
                                                  *FLAGS, "--top", 3, "--sae-type", weights))
            sae = libgemma.SparseAutoencoder(str(SAE), **({"weights": weights} if weights else {}))
            found = self.llm.features(TEXT, sae, top=3)
            for token, wanted in zip(found, report["tokens"]):
                self.assertEqual((token.token, token.piece), (wanted["id"], wanted["piece"]))
                of, = wanted["features"]
                self.assertEqual(list(token.indices), [feature["index"] for feature in of])
                self.assertEqual(list(token.values),
                                 [np.float32(feature["value"]) for feature in of])

    def test_several_in_one_pass(self):
        res, mlp = self.llm.features(TEXT, ["res", "mlp"])
        for several, name in ((res, "res"), (mlp, "mlp")):
            for a, b in zip(several, self.llm.features(TEXT, name)):
                np.testing.assert_array_equal(a.indices, b.indices)
                np.testing.assert_array_equal(a.values, b.values)

    def test_chosen_features_only(self):
        found = self.llm.features(TEXT, self.sae, features=[7, 0])
        for token, every in zip(found, self.llm.features(TEXT, self.sae)):
            self.assertEqual(list(token.indices), [i for i in every.indices if i in (0, 7)])

    def test_rows_are_encoded(self):
        _, cache = self.llm.run_with_cache(TEXT, "res@1")
        for row, token in zip(self.sae.encode(cache["res@1"]), self.llm.features(TEXT, self.sae)):
            np.testing.assert_array_equal(row[0], token.indices)
            np.testing.assert_array_equal(row[1], token.values)
        strongest, = self.sae.encode(cache["res@1"][3:4], top=1)
        self.assertEqual(len(strongest[0]), 1)

    def test_decoding_is_a_sum(self):
        indices, values = self.llm.features(TEXT, self.sae)[4][2:]
        nothing = self.sae.decode([], np.zeros(0))
        expected = nothing + sum(value * self.sae.direction(int(index))
                                 for index, value in zip(indices, values))
        np.testing.assert_allclose(self.sae.decode(indices, values), expected, rtol=1e-4, atol=1e-4)
        self.assertEqual(nothing.shape, (self.sae.output_dim,))


class SteeringTest(FeaturesTest):
    def answer(self, **options):
        completion = self.llm.generate(TEXT, raw=True, temperature=0, max_tokens=8, logprobs=0,
                                       **options)
        return completion.tokens, [token.logprob for token in completion.logprobs]

    def test_steered_equals_reference(self):
        steer = libgemma.Steer(self.sae, self.feature, self.strength)
        tokens, logprobs = self.answer(steer=steer)
        self.assertEqual(tokens, list(self.reference["greedy"][:len(tokens)]))
        self.assertNotEqual(tokens, self.answer()[0])
        np.testing.assert_allclose(logprobs, self.reference["log_probabilities"][:len(logprobs)],
                                   atol=1e-3)

    def test_answers_of_the_command(self):
        sae = libgemma.SparseAutoencoder(str(SAE))
        for steer, flags in ((libgemma.Steer(sae, self.feature, 3.0),
                              ["--steer", f"{SAE}:{self.feature}=3"]),
                             (libgemma.Steer(sae, self.feature, ablate=True),
                              ["--ablate", f"{SAE}:{self.feature}"])):
            report = json.loads(self.succeeds("run", MODEL, TEXT, "--raw", "-q", "--temperature", 0,
                                              "-n", 8, "--json", "--logprobs", 1, *FLAGS, *flags))
            tokens, logprobs = self.answer(steer=steer)
            self.assertEqual(tokens, [token["id"] for token in report["tokens"]][:len(tokens)])
            self.assertEqual(logprobs,
                             [token["logprob"] for token in report["tokens"]][:len(tokens)])

    def test_logits_equal_reference(self):
        for steer, name in ((libgemma.Steer(self.sae, self.feature, self.strength), "res_steered"),
                            (libgemma.Steer(self.sae, self.feature, ablate=True), "res_ablated")):
            logits, _ = self.llm.run_with_cache(TEXT, "res@1", steer=steer)
            expected = self.reference[name]
            # The last rows; see tools/reference/scope_sites.py.
            np.testing.assert_allclose(logits[-1], expected[-1],
                                       atol=1e-4 * np.max(np.abs(expected)))

    def test_steering_is_adding_a_direction(self):
        direction = self.sae.direction(self.feature)

        def add(site, x):
            x[1 if site.position == 0 else 0:] += np.float32(3) * direction

        _, by_hand = self.llm.run_with_cache(TEXT, "block_output@1", tap=(add, "res@1"))
        _, steered = self.llm.run_with_cache(TEXT, "block_output@1",
                                             steer=[libgemma.Steer(self.sae, self.feature, 3.0)])
        np.testing.assert_allclose(by_hand["block_output@1"], steered["block_output@1"], rtol=1e-5,
                                   atol=1e-4)

    def test_features_after_steering(self):
        before = libgemma.SparseAutoencoder(str(SAE), "res@0")
        plain = self.llm.features(TEXT, self.sae)
        changed = self.llm.features(TEXT, self.sae, steer=libgemma.Steer(before, 3, 30.0))
        self.assertTrue(any(list(a.values) != list(b.values) for a, b in zip(plain, changed)))
        np.testing.assert_array_equal(plain[0].values, changed[0].values)  # BOS

    def test_requests_side_by_side(self):
        steer = libgemma.Steer(self.sae, self.feature, self.strength)
        plain, steered = self.answer()[0], self.answer(steer=steer)[0]
        stream = self.llm.stream(TEXT, raw=True, temperature=0, max_tokens=8, steer=steer)
        self.assertEqual(self.answer()[0], plain)
        list(stream)
        self.assertEqual(self.answer(steer=steer)[0], steered)

    def test_wrong_steering_is_refused(self):
        fits_not = next((SCOPE / "gemma-scope-toy-pt-res").rglob("params.npz"))
        for steer in (libgemma.Steer(self.sae, 16, 1.0), libgemma.Steer(self.sae, 1, 1e20),
                      libgemma.Steer(libgemma.SparseAutoencoder(str(SAE), "res@9"), 1, 1.0),
                      libgemma.Steer(libgemma.SparseAutoencoder(str(fits_not)), 1, 1.0)):
            with self.assertRaises(ValueError):
                self.llm.generate(TEXT, max_tokens=1, steer=steer)
        with self.assertRaises(TypeError):
            self.llm.generate(TEXT, max_tokens=1, steer=["res:7=3"])
        tap = self.llm.tap(lambda site, x: None)
        with self.assertRaisesRegex(ValueError, "steer"):
            self.llm.generate(TEXT, max_tokens=1, steer=libgemma.Steer(self.sae, 1, 1.0), tap=tap)


class RefusalTest(FeaturesTest):
    def test_wrong_files_and_words(self):
        for arguments, options, error, says in (
                ((str(SAE), "rez@1"), {}, ValueError, "site: 'rez@1'"),
                ((str(SAE),), {"weights": "int4"}, ValueError, "weights"),
                ((str(self.folder),), {}, Exception, str(self.folder)),
                (("/no/file",), {}, FileNotFoundError, "/no/file")):
            with self.subTest(says), self.assertRaisesRegex(error, says):
                libgemma.SparseAutoencoder(*arguments, **options)
        with self.assertRaisesRegex(ValueError, "res, mlp"):
            self.llm.features(TEXT, "other")
        with self.assertRaises(ValueError):
            self.llm.features(TEXT, self.sae, features=[16])

    def test_wrong_rows_are_refused(self):
        for rows in (np.zeros((2, 3)), np.zeros(self.sae.input_dim)):
            with self.assertRaises((ValueError, TypeError)):
                self.sae.encode(rows)
        with self.assertRaisesRegex(ValueError, "values: 1 for 2"):
            self.sae.decode([1, 2], np.zeros(1))
        with self.assertRaises(ValueError):
            self.sae.direction(16)


if __name__ == "__main__":
    unittest.main()
