#!/usr/bin/env python3
"""benchmarks/compare.py --simd: both engines compute as on the CPU that it names, and results say so. Builds nothing."""
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from comparison import engines, environment, machine, report, simd  # noqa: E402

COMPARE = ROOT / "benchmarks/compare.py"
GEMMA = pathlib.Path(os.environ["GEMMA_BINARY"])
LOWEST, LOWEST_RUNS = ("neon", "NEON") if platform.machine() == "aarch64" else ("sse2", "SSE2")
# What llama.cpp prints, built for CPUs with AVX2 and with AVX-512 BF16.
AVX2 = "CPU : SSE3 = 1 | SSSE3 = 1 | AVX = 1 | AVX2 = 1 | F16C = 1 | FMA = 1 | BMI2 = 1 | REPACK = 1 | "
NATIVE = ("CPU : SSE3 = 1 | SSSE3 = 1 | AVX = 1 | AVX_VNNI = 1 | AVX2 = 1 | F16C = 1 | FMA = 1 | BMI2 = 1 | AVX512 = 1 | "
          "AVX512_VBMI = 1 | AVX512_VNNI = 1 | AVX512_BF16 = 1 | REPACK = 1 | ")


class SimdTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def compare(self, *arguments, **variables):
        """Runs compare.py with an empty cache, into which it must put nothing. Returns its exit code and last line."""
        done = subprocess.run([sys.executable, COMPARE, *arguments, "--build", GEMMA.parent], capture_output=True, text=True,
                              env=os.environ | {"XDG_CACHE_HOME": str(self.folder)} | variables, check=False)
        self.assertEqual(list(self.folder.iterdir()), [])
        return done.returncode, done.stderr.strip().splitlines()[-1]

    def test_all_caps_have_answers(self):
        page = (ROOT / "tools/gemma/README.md").read_text(encoding="utf-8")
        rows = re.search(r"^\| Name \| A CPU with .*\n\|.*\n((?:\|.*\n)+)", page, re.M)[1]
        names = re.findall(r"^\| `([\w-]+)` \|", rows, re.M)
        self.assertGreater(len(names), 8)
        self.assertEqual(names, [*simd.X86, *simd.WITHOUT, *simd.ARM])

    def test_avx2_has_nothing_above(self):
        build = simd.build_for("avx2")
        self.assertEqual({each for each in build.cmake_arguments if each.endswith("=ON")},
                         {f"-DGGML_{name}=ON" for name in ("SSE42", "AVX", "AVX2", "BMI2", "F16C", "FMA")})
        off = ("NATIVE", "AVX_VNNI", "AVX512", "AVX512_VBMI", "AVX512_VNNI", "AVX512_BF16")
        self.assertLessEqual({f"-DGGML_{name}=OFF" for name in off}, set(build.cmake_arguments))
        self.assertIn("-DGGML_AVX_VNNI=ON", simd.build_for("avx2-vnni").cmake_arguments)
        self.assertIn("-DGGML_CPU_ARM_ARCH=armv8.2-a+dotprod", simd.build_for("neon-dotprod").cmake_arguments)

    def test_other_builds_are_errors(self):
        simd.check(AVX2, "avx2")
        simd.check(NATIVE.replace("AVX_VNNI = 1 | ", ""), "avx512-bf16")
        simd.check("CPU : NEON = 1 | ARM_FMA = 1 | DOTPROD = 1 | ", "neon-dotprod")
        for text, name in ((NATIVE, "avx2"), (AVX2, "avx2-vnni"), (AVX2, "sse2"), ("CPU : SSE3 = 1", "avx2"),
                           (AVX2 + "AMX_INT8 = 1 | ", "avx2"), ("CPU : NEON = 1 | SVE = 1 | ", "neon")):
            with self.assertRaises(engines.EngineError, msg=f"{name}: {text}"):
                simd.check(text, name)

    def test_builds_do_not_mix(self):
        def run(command, **options):
            commands.append((list(map(str, command)), options.get("env", {}).get("CMAKE_ARGS")))
            return mock.Mock(returncode=0, stdout="llama_cpp_python==1\n")

        commands = []
        with (mock.patch.object(environment, "DIRECTORY", self.folder / "venv"),
              mock.patch.object(environment.venv, "create", lambda at, **_: pathlib.Path(at).mkdir()),
              mock.patch.object(environment.subprocess, "run", run), mock.patch("sys.stderr")):
            native = environment.python("llama-cpp")
            capped = environment.llama_cpp_for("avx2", simd.build_for("avx2").cmake_arguments)
        self.assertEqual((native, capped), (self.folder / "venv/bin/python", self.folder / "venv-avx2/bin/python"))
        installs = [(command, cmake) for command, cmake in commands if "install" in command]
        self.assertEqual([command[0] for command, _ in installs], [str(native), str(capped)])
        self.assertTrue(all("--no-cache-dir" in command for command, _ in installs))  # it holds builds for other CPUs
        self.assertEqual(["-DGGML_NATIVE=ON" in cmake for _, cmake in installs], [True, False])
        self.assertIn("-DGGML_AVX512=OFF", installs[1][1])

    def test_our_command_is_capped(self):
        with mock.patch.dict(os.environ, GEMMA_SIMD=LOWEST):
            capped = engines.Gemma(GEMMA, 1, LOWEST).version()
            free = engines.Gemma(GEMMA, 1).version()
        self.assertEqual((capped["simd"], capped["simd_cap"], free["simd_cap"]), (LOWEST_RUNS, LOWEST, ""))
        commands = []
        bench = '[{"samples_ns": [1], "peak_memory_bytes": 1, "load_ms": 1}]'
        with mock.patch.object(engines, "run", lambda command, _: commands.append(command) or bench):
            engines.Gemma(GEMMA, 1, LOWEST).measure("model.gguf", engines.Test(prompt=4))
            engines.Gemma(GEMMA, 1).measure("model.gguf", engines.Test(prompt=4))
        self.assertEqual([command[command.index("--simd") + 1] for command in commands], [LOWEST, "all"])

    def test_ceilings_are_capped(self):
        ceilings = self.folder / "benchmarks/ceilings_benchmark"
        ceilings.parent.mkdir()
        ceilings.write_text('#!/bin/sh\necho "{\\"arguments\\": \\"$*\\"}"\n')
        ceilings.chmod(0o755)
        self.assertEqual(machine.ceilings(self.folder, 2, "avx2")["arguments"], "--threads 2 --json --simd avx2")
        self.assertEqual(machine.ceilings(self.folder, 2)["arguments"], "--threads 2 --json")

    def test_impossible_caps_fail_early(self):
        model = str(ROOT / "README.md")  # nothing opens it
        code, line = self.compare(model, "--simd", "avx1024")
        self.assertEqual(code, 1)
        self.assertIn("avx1024", line)
        code, line = self.compare("--setup", "--simd", "amx")
        self.assertEqual(code, 1)
        self.assertIn("avx512-bf16", line)  # one that it can
        code, line = self.compare(model, "--transformers", GEMMA_SIMD=LOWEST)
        self.assertEqual(code, 2)
        self.assertIn("transformers", line)
        other = "sse2" if LOWEST == "neon" else "neon"
        code, line = self.compare(model, "--simd", other)
        self.assertEqual(code, 1)
        self.assertIn(LOWEST, line)

    def test_headings_name_the_cap(self):
        results = {"date": "today", "threads": 2, "simd_cap": "avx2", "machine": machine.describe(),
                   "engines": {"gemma": {"version": "gemma 1", "simd": "AVX2"}, "llama.cpp": {"version": "llama 2"}},
                   "ceilings": [{"read_bytes_per_second": 1e9, "fma_flops_per_second": 1e9, "simd_target": "AVX2"}]}
        with mock.patch.dict(results["machine"], variables={"GEMMA_SIMD": "sse2", "GEMMA_ACTIVATIONS": "float32"}):
            text = report.heading(results)
        self.assertIn("# Speed with --simd avx2, today", text)
        self.assertIn("- gemma: gemma 1, AVX2\n- llama.cpp: llama 2\n", text)
        self.assertIn("GEMMA_ACTIVATIONS=float32", text)
        self.assertNotIn("sse2", text)
        self.assertIn("# Speed, today", report.heading(results | {"simd_cap": ""}))
        model = {"name": "toy", "title": "toy, --simd avx2", "engines": ["gemma"], "tests": [],
                 "description": {"architecture": "gemma", "parameters": 1, "weight_bytes": 1, "types": {}}}
        self.assertTrue(report.model_section(model, {}).startswith("## toy, --simd avx2\n"))


if __name__ == "__main__":
    unittest.main()
