#!/usr/bin/env python3
"""gemma serve with autoencoders, several models and a limit of memory; features against NumPy and the command."""
import json
import re
import struct
import unittest

from command import TESTDATA, CommandTest, gemma, read_npz
from serving import TOY, Serving, ServeTest, request

SCOPE = TESTDATA / "scope"
SAE = SCOPE / "gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4/params.npz"
OTHER = SCOPE / "gemma-scope-toy-pt-att/layer_1/width_24/average_l0_6/params.npz"
EMBEDDER = TESTDATA / "gguf" / "gemma_embedding_bare.gguf"
TEXT = "The quick brown fox jumps over the lazy dog. It was not what you have."
EXACT = ("--activations", "float32", "--cache-type", "float32")


def as_float32(tokens):
    """The values as numbers of 32 bits: the command writes them with more digits."""
    for token in tokens:
        for features in token["features"]:
            for feature in features:
                feature["value"], = struct.unpack("f", struct.pack("f", feature["value"]))
    return tokens


class FeaturesTest(ServeTest):
    """As tests/tools/texts/scope_test.py has them for the command."""
    ARGUMENTS = ("--sae", SAE, "--sae", f"first={SAE}:res@0", "--sae-type", "float32", *EXACT)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reference = read_npz(SCOPE / "gemma3_mixed.npz")
        cls.feature, = cls.reference["res_feature"][1]
        cls.strength, = cls.reference["res_strength"][1]

    def post(self, path, **fields):
        return self.ask(request("POST", path, fields)).json()

    def test_features_equal_the_command(self):
        report = json.loads(gemma("scope", TOY, TEXT, "--sae", SAE, "--sae", f"{SAE}:res@0", "--sae-type", "float32",
                                  "--json", "--top", 4, *EXACT).stdout)
        found = self.post("/v1/features", input=TEXT, top_k=4)
        self.assertEqual(as_float32(found["tokens"]), as_float32(report["tokens"]))
        self.assertEqual(found["autoencoders"], [{"name": "res@1", "site": "res@1", "layer": 1, "features": 16},
                                                 {"name": "first", "site": "res@0", "layer": 0, "features": 16}])
        model, = self.ask(request(path="/v1/models")).json()["data"]
        self.assertEqual(model["autoencoders"], found["autoencoders"])

    def test_features_equal_the_reference(self):
        (count, width), values = self.reference["res_features"]
        found = self.post("/v1/features", input=TEXT, top_k=0, autoencoders=["res@1"])
        self.assertEqual([token["id"] for token in found["tokens"]], list(self.reference["ids"][1]))
        for row, token in enumerate(found["tokens"]):
            features, = token["features"]
            expected = {i: value for i, value in enumerate(values[row * width: (row + 1) * width]) if value > 0}
            self.assertEqual([feature["index"] for feature in features], sorted(expected))
            for feature in features:
                value = expected[feature["index"]]
                self.assertAlmostEqual(feature["value"], value, delta=1e-4 * max(1, value))

    def test_steered_equals_the_reference(self):
        _, greedy = self.reference["greedy"]
        fields = {"prompt": TEXT, "max_tokens": 8, "temperature": 0}
        change = {"autoencoder": "res@1", "feature": int(self.feature), "strength": float(self.strength)}
        steered = self.post("/v1/completions", steer=[change], **fields)
        report = json.loads(gemma("run", TOY, TEXT, "--raw", "-q", "--temperature", 0, "-n", 8, "--json", "--logprobs", 1,
                                  *EXACT, "--steer", f"{SAE}:{self.feature}={self.strength}").stdout)
        self.assertEqual(steered["choices"][0]["text"], report["text"])
        self.assertEqual([token["id"] for token in report["tokens"]], list(greedy)[: len(report["tokens"])])
        # Its caches are its own.
        plain = self.post("/v1/completions", **fields)
        self.assertNotEqual(plain["choices"][0]["text"], steered["choices"][0]["text"])


class StartTest(CommandTest):
    def test_autoencoders_of_other_models(self):
        self.fails(1, "serve", TOY, "--port", 0, "--sae", OTHER, says=[f"--sae {OTHER}", "144 columns", "256"],
                   cure="trained on a model of this server")
        self.fails(1, "serve", TOY, "--port", 0, "--sae", f"{SAE}:res@2", says=["layer 2", "0 to 1"], cure="its layers")
        self.fails(1, "serve", EMBEDDER, "--port", 0, "--sae", SAE, says="--sae", cure="trained on a model")
        self.fails(2, "serve", TOY, "--port", 0, "--sae", SAE, "--sae", SAE, says="two autoencoders have the name 'res@1'",
                   cure="NAME=FILE")
        self.fails(2, "serve", TOY, "--port", 0, "--sae", f"={SAE}", says="''")
        self.fails(1, "serve", TOY, "--port", 0, "--sae", self.folder / "none.npz", says="none.npz")

    def test_memory_that_is_too_small(self):
        self.fails(1, "serve", TOY, "--port", 0, "--memory", "1MB", says=["needs", "but --memory is 1.00 MB"], cure="fits")
        stderr = gemma("serve", TOY, "--port", 0, "--memory", "1MB").stderr.decode()
        fitting = re.search(r"--memory (\d+MB) fits", stderr)[1]
        serving = Serving("--memory", fitting)
        self.addCleanup(serving.end)
        self.assertEqual(serving.ask(request("POST", "/v1/completions", {"prompt": "a", "max_tokens": 2})).status, 200)
        metrics = serving.ask(request(path="/metrics")).body.decode()
        numbers = {name: float(value) for name, value in re.findall(r"^gemma:(memory_\w+) (\S+)$", metrics, re.MULTILINE)}
        self.assertEqual(numbers["memory_max_bytes"], int(fitting[:-2]) * 1e6)
        self.assertTrue(1e5 < numbers["memory_bytes"] <= numbers["memory_max_bytes"], numbers)
        self.fails(1, "serve", TOY, "--port", 0, "--memory", "900TB", says="but", cure="--ignore-memory")
        for text in ("much", "6XB", "-1GB", "0", "12 B"):
            self.fails(2, "serve", TOY, "--port", 0, "--memory", text, says=["--memory", "in B, kB, MB, GB"])


class SharedThreadsTest(ServeTest):
    """Two models with one thread."""
    ARGUMENTS = ()

    @classmethod
    def setUpClass(cls):
        cls.serving = Serving(models=(f"a={TOY}", f"b={TOY}"))
        cls.addClassCleanup(cls.serving.end)

    def test_models_answer_together(self):
        clients = [self.connect().send(request("POST", "/v1/completions", {
            "model": model, "prompt": "the cat", "max_tokens": 40, "seed": 1})) for model in "ab" * 4]
        texts = {client.response().json()["choices"][0]["text"] for client in clients}
        self.assertEqual(len(texts), 1)


if __name__ == "__main__":
    unittest.main()
