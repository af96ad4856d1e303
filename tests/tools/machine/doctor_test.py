#!/usr/bin/env python3
"""gemma doctor: its findings about this machine and about models."""
import json
import os
import pathlib
import platform
import pty
import re
import unittest

from command import BINARY, MODELS, TESTDATA, CommandTest, gemma, write_record
from inspect_test import write_mixed

TOY = MODELS / "gemma2"
ABOUT = ["cpu", "simd", "threads", "memory", "huge pages", "models", "parts", "versions"]


class DoctorTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.environment = dict(os.environ, GEMMA_MODELS=str(self.folder / "models"))

    def findings(self, *arguments, code=0, **environment):
        result = gemma("doctor", *arguments, "--json", env={**self.environment, **environment})
        self.assertEqual((result.returncode, result.stderr), (code, b""), result)
        return {finding["about"]: finding for finding in json.loads(result.stdout)["findings"]}

    def test_text(self):
        lines = self.succeeds_quietly("doctor", env=self.environment).splitlines()
        found = [line for line in lines if not line.startswith(" ")]
        self.assertEqual([line[9:19].rstrip() for line in found], ABOUT)
        for line in found:
            self.assertRegex(line, r"^(ok     |warning|problem)  ")
            self.assertNotIn("\x1b", line)

    def test_the_machine(self):
        found = self.findings()
        self.assertEqual(list(found), ABOUT)
        cpu = found["cpu"]["facts"]
        self.assertEqual(cpu["allowed"], len(os.sched_getaffinity(0)))
        self.assertEqual(cpu["processors"], os.sysconf("SC_NPROCESSORS_ONLN"))
        self.assertLessEqual(cpu["usable"], cpu["allowed"])
        simd = found["simd"]["facts"]
        self.assertIn(simd["chosen"], simd["compiled"])
        self.assertEqual(simd["cap"], "")
        for weights, use in simd["products"].items():
            text = f"{weights} weights: "
            if use["decode"] != simd["chosen"]:
                self.assertIn(text + use["decode"], found["simd"]["text"])
            elif use["prefill"] != simd["chosen"]:
                self.assertIn(text + use["prefill"] + " for prompts", found["simd"]["text"])
        flags = re.search(r"flags\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
        if platform.machine() == "x86_64" and flags and len(simd["compiled"]) > 1:
            flags = flags[1].split()
            self.assertEqual(simd["chosen"] != "SSE2", "avx2" in flags)
            for name, flag in (("AVX2", "avx2"), ("AVX-VNNI", "avx_vnni"), ("AVX-512", "avx512vl"),
                               ("AVX-512 VNNI", "avx512_vnni"), ("AVX-512 BF16", "avx512_bf16")):
                self.assertEqual(name in simd["cpu"], flag in flags, name)
            for name, flag in (("AMX-BF16", "amx_bf16"), ("AMX-INT8", "amx_int8")):
                if name in simd["cpu"]:  # which the system may refuse
                    self.assertIn(flag, flags)
        memory = found["memory"]["facts"]
        [total] = re.findall(r"MemTotal: +(\d+) kB", pathlib.Path("/proc/meminfo").read_text())
        self.assertEqual(memory["total"], int(total) * 1024)
        self.assertLessEqual(memory["available"], memory["total"])
        self.assertEqual(memory["page_size"], os.sysconf("SC_PAGESIZE"))
        setting = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
        if setting.exists():
            self.assertIn(f"[{found['huge pages']['facts']['setting']}]", setting.read_text())
        versions = found["versions"]["facts"]
        self.assertEqual(self.succeeds("--version").split()[1], versions["gemma"])
        self.assertEqual(versions["Linux"], platform.release())
        for name in ("compiler", "Highway", "abseil", "libcurl", "libedit", "OpenSSL", "Boost", "zlib"):
            self.assertRegex(versions[name], r"\d")

    def test_threads(self):
        found = self.findings("-t", 3, "--decode-threads", 2)["threads"]
        self.assertEqual(found["facts"], {"prefill": 3, "decode": 2})
        found = self.findings("-t", 1024)["threads"]
        self.assertEqual(found["level"], "warning")
        self.assertIn("--threads", found["cure"])
        usable = self.findings()["cpu"]["facts"]["usable"]
        self.assertEqual(self.findings()["threads"]["facts"], {"prefill": usable, "decode": usable})

    def test_affinity_counts(self):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[:1])
        self.addCleanup(os.sched_setaffinity, 0, allowed)
        found = self.findings()
        self.assertEqual((found["cpu"]["facts"]["allowed"], found["threads"]["facts"]["prefill"]), (1, 1))

    def test_the_store(self):
        store = self.findings()["models"]
        self.assertEqual(store["facts"]["directory"], str(self.folder / "models"))
        self.assertEqual(store["facts"]["models"], 0)
        self.assertGreater(store["facts"]["free_bytes"], 0)
        write_record(self.folder / "models", "unbegun", complete=False)
        write_record(self.folder / "models", "half", complete=False)
        (self.folder / "models/half/m.gguf.partial").write_bytes(b"G")
        store = self.findings()["models"]
        self.assertEqual((store["level"], store["facts"]["incomplete"]), ("warning", ["half"]))
        self.assertIn("half", store["cure"])

    def test_a_model(self):
        found = self.findings(TOY, "--context", 1000)["model"]
        inspected = json.loads(self.succeeds("inspect", TOY, "--context", 1000, "--json"))["memory"]
        for part in ("weights", "cache", "scratch", "total", "context"):
            self.assertEqual(found["facts"][part], inspected[part])
        self.assertEqual(found["facts"]["instruction_tuned"], False)
        self.assertEqual(found["facts"]["fits"], True)
        # The toy has no tokenizer, so it cannot run.
        self.assertEqual(found["level"], "warning")
        self.assertIn("tokenizer", found["cure"])
        long = self.findings(TESTDATA / "gguf" / "gemma3_mixed.gguf", "--context", 140000)["model"]
        self.assertEqual((long["level"], long["cure"]), (
            "warning", "the model was trained on 131072 tokens: in the context of 140000, answers get worse beyond them"))
        self.assertEqual(self.findings(GEMMA_MODEL=str(TOY))["model"]["facts"]["model"], str(TOY))

    def test_tables_in_files(self):
        toy = MODELS / "gemma4_e2b"
        found = self.findings(toy, "--context", 64)["model"]
        memory = json.loads(self.succeeds("inspect", toy, "--context", 64, "--json"))["memory"]
        for part in ("weights", "total", "table"):
            self.assertEqual(found["facts"][part], memory[part])
        self.assertGreater(memory["table"], 0)
        self.assertIn(", and reads per-layer embeddings in ", found["text"])

    def test_speed_by_weights_and_memory(self):
        def memory_and_tensors(model):
            report = json.loads(self.succeeds("inspect", model, "--json"))
            return report["memory"], {tensor["name"]: tensor["bytes"] for tensor in report["tensors"]}, report["config"]

        def weight_bytes(model, *options):
            found = self.findings(model, "--context", 64, "-t", 1, *options)["speed"]
            facts = found["facts"]
            self.assertAlmostEqual(facts["tokens_per_second"],
                                   facts["read_bytes_per_second"] / facts["weight_bytes_per_token"])
            self.assertEqual((found["level"], facts["threads"]), ("ok", 1))
            self.assertRegex(found["text"], r"\Aabout [\d.]+ tokens/s when decoding: a token reads [\d.]+ [kM]?B "
                                            r"of weights, and 1 thread reads [\d.]+ [kMGT]?B/s\Z")
            return facts["weight_bytes_per_token"]

        self.assertEqual(weight_bytes(TOY), memory_and_tensors(TOY)[0]["weights"])
        # Of a head in Q8_0, the lower 2 of 8 bits of 256 * 64 values are not read.
        quantized = self.findings(TOY, "--context", 64, "-t", 1, "--quantize", "q8")["model"]["facts"]["weights"]
        self.assertEqual(weight_bytes(TOY, "--quantize", "q8"), quantized - 256 * 64 / 4)
        # With a head of its own, only a row of the embedding is read.
        path = self.folder / "head.gguf"
        write_mixed(path, own_head=True)
        with_head = weight_bytes(path)
        write_mixed(path)
        self.assertEqual(with_head, weight_bytes(path))
        # A row of the table of per-layer embeddings.
        memory = memory_and_tensors(MODELS / "gemma4_e2b")[0]
        self.assertEqual(weight_bytes(MODELS / "gemma4_e2b"), memory["weights"] + memory["table_per_token"])
        # Two of five experts.
        memory, tensors, config = memory_and_tensors(MODELS / "gemma4_moe")
        experts = sum(size for name, size in tensors.items() if ".experts." in name)
        self.assertGreater(experts, 0)
        self.assertEqual(weight_bytes(MODELS / "gemma4_moe"),
                         memory["weights"] - experts * (1 - config["experts_used"] / config["num_experts"]))
        # A model that embeds texts decodes none.
        self.assertNotIn("speed", self.findings(MODELS / "embedding_gemma"))

    def test_problems_exit_with_1(self):
        found = self.findings("/no/model.gguf", code=1)["model"]
        self.assertEqual(found["level"], "problem")
        self.assertIn("/no/model.gguf", found["text"])
        self.assertIn("gemma list", found["cure"])
        result = gemma("doctor", "/no/model.gguf", env=self.environment)
        self.assertEqual((result.returncode, result.stderr), (1, b""))
        self.assertRegex(result.stdout.decode(), r"(?m)^problem  model  .*\n {21}gemma list")

    def terminal(self, **environment):
        """Returns what the command prints on a terminal."""
        pid, fd = pty.fork()
        if pid == 0:
            os.execvpe(BINARY, [BINARY, "doctor"], {**self.environment, **environment})
        out = b""
        while True:
            try:
                data = os.read(fd, 4096)
            except OSError:
                break
            if not data:
                break
            out += data
        os.close(fd)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
        return out

    def test_colours_on_terminals_only(self):
        self.assertIn(b"\x1b[32mok", self.terminal(TERM="xterm", NO_COLOR=""))
        for environment in ({"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb", "NO_COLOR": ""}):
            self.assertNotIn(b"\x1b", self.terminal(**environment))


if __name__ == "__main__":
    unittest.main()
