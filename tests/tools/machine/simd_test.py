#!/usr/bin/env python3
"""--simd: every command computes as on a CPU with fewer instructions, and says so."""
import json
import re
import unittest
from pathlib import Path

from command import MODELS, CommandTest, gemma

TOY = MODELS / "gemma2"
BF16 = MODELS / "gemma2_bf16"
# Other CPUs with AVX-512 BF16 multiply float32 faster.
AMD = "AuthenticAMD" in Path("/proc/cpuinfo").read_text()
KERNELS = {"sse2": "SSE2", "avx2": "AVX2", "avx2-vnni": "AVX2", "avx512": "AVX2"}  # of other caps: the CPU's best


def doctor(*arguments, **options):
    result = gemma("doctor", *arguments, "--json", **options)
    return {finding["about"]: finding for finding in json.loads(result.stdout)["findings"]}["simd"]


class SimdTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.facts = doctor()["facts"]
        self.caps = self.facts["caps"]
        if len(self.facts["compiled"]) == 1:
            self.skipTest("this build has kernels for one instruction set")

    def test_doctor_tells_the_cap(self):
        for cap in self.caps:
            found = doctor("--simd", cap)
            facts = found["facts"]
            want = KERNELS.get(cap, self.facts["chosen"])
            self.assertEqual((facts["cap"], facts["chosen"], facts["cpu"]), (cap, want, self.facts["cpu"]))
            self.assertIn(f"; capped to {cap}", found["text"])
            for weights, product in facts["products"].items():
                self.assertEqual(product["decode"], want, (cap, weights))
                if cap in KERNELS:
                    vnni = cap == "avx2-vnni" and weights == "quantized"
                    self.assertEqual(product["prefill"], "AVX-VNNI" if vnni else want, (cap, weights))
            without = cap == "avx512" or (cap == "avx512-bf16" and not AMD)
            self.assertEqual(found["level"], "warning" if without else "ok", cap)
        self.assertEqual(doctor(env={"GEMMA_SIMD": self.caps[0]})["facts"]["cap"], self.caps[0])
        # All instructions, whatever the variable says
        self.assertEqual(doctor("--simd", "all", env={"GEMMA_SIMD": self.caps[0]})["facts"], self.facts)

    def test_results_equal_the_reference(self):
        for cap in self.caps:
            result = gemma("verify", TOY, "--reference", TOY / "reference.npz", "--simd", cap)
            self.assertEqual(result.returncode, 0, result)

    def test_tiles_are_capped(self):
        tokens = ["logits", BF16, "--tokens", ",".join(map(str, range(2, 66))), "--activations", "int8"]
        exact = self.logits(*tokens, "--deterministic")
        if "avx512-vnni" in self.caps:
            self.assertEqual(self.logits(*tokens, "--simd", "avx512-vnni"), exact)
        if "avx512-bf16" in self.caps:
            rounded = self.logits(*tokens, "--simd", "avx512-bf16")
            self.assertEqual(rounded != exact, AMD)

    def logits(self, *arguments):
        file = self.folder / "logits.npy"
        self.succeeds(*arguments, "--output", file, "--force")
        return file.read_bytes()

    def test_bench_tells_the_target(self):
        for cap in [cap for cap in self.caps if cap in KERNELS]:
            result = gemma("bench", TOY, "-p", 4, "-n", 0, "-r", 1, "--simd", cap, "--json")
            [run] = json.loads(result.stdout)
            self.assertEqual((run["simd"], run["simd_cap"]), (KERNELS[cap], cap))
            note = b"no kernels for the cap 'avx512' alone; those for AVX2 run" if cap == "avx512" else b""
            self.assertIn(note, result.stderr)
            self.assertEqual(result.stderr == b"", note == b"", result)

    def test_errors_name_caps(self):
        self.fails(2, "bench", TOY, "--simd", "avx3", says=f"--simd: 'avx3' is not one of {'|'.join(self.caps)},")
        result = gemma("doctor", env={"GEMMA_SIMD": "avx3"})
        self.assertEqual((result.returncode, b"GEMMA_SIMD: 'avx3' is not" in result.stderr), (2, True), result)
        for cap in set(self.names()) - set(self.caps):  # what this CPU lacks
            error = self.fails(2, "run", TOY, "x", "--simd", cap, says=f"lacks '{cap}'")
            for possible in self.caps:
                self.assertIn(f"'{possible}'", error)

    def names(self):
        [names] = re.findall(r"--simd (\S*)", self.succeeds("doctor", "--help-all"))
        self.assertEqual(names.split("|")[-1], "all")
        return names.split("|")[:-1]


if __name__ == "__main__":
    unittest.main()
