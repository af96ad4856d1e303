#!/usr/bin/env python3
"""benchmarks/serve.py: clients count what a server sends, both servers do the same work, and tables compare pairs."""
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import serve  # noqa: E402
from comparison import engines, environment, http_load, llama_server, serve_report, servers  # noqa: E402

GEMMA = pathlib.Path(os.environ["GEMMA_BINARY"])
TOY = ROOT / "tests/testdata/gguf/gemma3_mixed.gguf"
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
CELL = {"streams": 8, "prompt": 64, "beginning": "distinct", "generated": 16, "requests": 2}


def usage(prompt, answer):
    text = json.dumps({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": answer}})
    return f"data: {text}\n\ndata: [DONE]\n\n".encode()


class PlainServer:
    """Sends the same pieces to each request for a completion, and closes the connection."""

    def __init__(self, *pieces):
        self.pieces = pieces
        self.requests = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                request = client.recv(1 << 16)
                if request.startswith(b"GET /health "):
                    client.sendall(HEAD)
                    continue
                self.requests.append(json.loads(request.split(b"\r\n\r\n", 1)[1]))
                for piece in self.pieces:
                    client.sendall(piece)


class ClientTest(unittest.TestCase):
    def load(self, *pieces, **options):
        server = PlainServer(*pieces)
        self.addCleanup(server.listener.close)
        return http_load.run(server.port, [[{"prompt": [2, 3]}], [{"prompt": [4, 5]}]], 2, 3, **options)

    def test_events_count_as_tokens(self):
        found = self.load(HEAD, b"data: a\n\nda", b"ta: b\n\ndata: c\n\n", usage(2, 3))
        self.assertEqual((found["tokens"], found["cut"], found["cached_tokens"]), (10, False, 0))
        self.assertGreater(found["health_99"], 0)
        self.assertGreater(found["client_cpu"], 0)
        self.assertLessEqual(found["ttft_median"], found["seconds"])

    def test_other_lengths_are_errors(self):
        for pieces in ((HEAD, b"data: a\n\n", usage(2, 2)), (HEAD, b"data: a\n\n", usage(3, 3)),
                       (b"HTTP/1.1 400 Bad Request\r\n\r\nwrong",), (HEAD, b"data: a\n\ndata: [DONE]\n\n")):
            with self.assertRaises(http_load.LoadError, msg=pieces):
                self.load(*pieces)

    def test_percentiles_are_measured_values(self):
        self.assertEqual([http_load.percentile([4, 1, 3, 2], share) for share in (0.5, 0.75, 0.95)], [2, 3, 4])
        self.assertEqual(http_load.percentile(range(1, 201), 0.99), 198)


class WorkTest(unittest.TestCase):
    def test_prompts_have_their_beginnings(self):
        for kind, shared in (("distinct", 1), ("common", 48)):
            prompts = serve.make_prompts(list(range(100, 1600)), 2, 64, 64, kind)
            self.assertEqual({len(prompt) for prompt in prompts}, {64})
            self.assertEqual(len({tuple(prompt[:shared]) for prompt in prompts}), 1)
            self.assertEqual(len({prompt[shared] for prompt in prompts}), 64)

    def test_streams_divide_the_requests(self):
        bodies = serve.bodies([[2, number] for number in range(6)], {"ignore_eos": True}, 16, 3)
        self.assertEqual([[body["prompt"][1] for body in stream] for stream in bodies], [[0, 3], [1, 4], [2, 5]])
        self.assertEqual({(body["max_tokens"], body["temperature"], body["ignore_eos"]) for stream in bodies
                          for body in stream}, {(16, 0, True)})

    def test_both_servers_get_equal_room(self):
        ours = servers.GemmaServer(engines.Gemma(GEMMA, 2, "avx2"), GEMMA, 2)
        self.assertEqual(ours.fields(TOY)["logit_bias"].keys(), {"1", "6"})
        command = list(map(str, ours.command("m.gguf", 8, 512, 80)))
        theirs = list(map(str, servers.LlamaServer("llama-server", 2).command("m.gguf", 8, 512, 80)))
        for option, other, value in (("--context", "--ctx-size", (512, 8 * 512)), ("--batch-size", "--parallel", (8, 8)),
                                     ("--threads", "--threads-batch", (2, 2)), ("--threads", "--threads", (2, 2))):
            found = command[command.index(option) + 1], theirs[theirs.index(other) + 1]
            self.assertEqual(found, tuple(map(str, value)))
        self.assertIn("avx2", command)

    def test_other_builds_are_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            binary = pathlib.Path(folder) / "llama-server"
            binary.write_text('#!/bin/sh\n[ "$1" = --version ] && echo version: 5 && exit 0\n'
                              'echo "system_info: CPU : AVX = 1 | AVX2 = 1 | F16C = 1 | FMA = 1 | BMI2 = 1 |" >&2\nexit 1\n')
            binary.chmod(0o755)
            for cap in ("", "avx2"):
                self.assertEqual(servers.LlamaServer(binary, 2, cap).version()["version"], "version: 5")
            with self.assertRaises(engines.EngineError):
                servers.LlamaServer(binary, 2, "avx512").version()

    def test_builds_need_no_page(self):
        def run(command, **_):
            commands.append(list(map(str, command)))
            return mock.Mock(returncode=0)

        commands = []
        with tempfile.TemporaryDirectory() as folder:
            here = pathlib.Path(folder)
            (here / "llama_cpp_python-1/vendor/llama.cpp").mkdir(parents=True)
            for cap in ("native", "avx2"):
                (here / cap).mkdir()
            with (mock.patch.object(llama_server, "DIRECTORY", here), mock.patch("sys.stderr"),
                  mock.patch.object(llama_server.subprocess, "run", run)):
                found = [llama_server.binary(cap) for cap in ("", "avx2", "")]
        self.assertEqual([path.relative_to(here).parts[0] for path in found], ["native", "avx2", "native"])
        configured = [command for command in commands if "-S" in command]
        self.assertEqual(len(configured), 2)  # each once
        self.assertIn("-DGGML_NATIVE=ON", configured[0])
        self.assertIn("-DGGML_AVX512=OFF", configured[1])
        self.assertTrue(all("-DLLAMA_BUILD_UI=OFF" in command for command in configured))


class ReportTest(unittest.TestCase):
    def test_tables_compare_neighbouring_runs(self):
        results = {"machine": "a CPU", "threads": 2, "simd_cap": "avx2", "cells": [],
                   "servers": {"gemma serve": {"version": "1", "simd": "AVX2"}, "llama-server": {"version": "2"}}}
        rest = {"ttft_95": 1, "gap_median": 0.02, "gap_95": 0.03, "health_99": 0.004, "client_cpu": 0.05, "cut": False,
                "decode_per_second": 98}
        for ours, theirs in ((300, 100), (100, 50), (250, 100)):
            serve_report.add(results, "toy", CELL, {
                "gemma serve": rest | {"tokens_per_second": ours, "ttft_median": 0.5},
                "llama-server": rest | {"tokens_per_second": theirs, "ttft_median": 2.0, "cut": True}})
        text = serve_report.markdown(results)
        self.assertEqual(len(results["cells"]), 1)
        self.assertIn("| 8 x 64 | 250 | 100 | 2.50 (2.00 - 3.00) | 500 (1,000) | ≥ 2,000 (1,000) | 0.25 (0.25 - 0.25) | "
                      "20 (30) | 20 (30) | 4.0 | 4.0 | 5 % / 5 % |", text)
        self.assertIn("# Serving with --simd avx2", text)
        alone = CELL | {"streams": 1}
        serve_report.add(results, "toy", alone, {
            "gemma serve": rest | {"tokens_per_second": 1, "ttft_median": 1}, "gemma run": {"decode_per_second": 100}})
        self.assertIn("| 1 x 64 | 98.0 | 100.0 | 0.98 |", serve_report.markdown(results))

    def test_a_toy_is_measured(self):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, ROOT / "benchmarks/serve.py", TOY, "--build", GEMMA.parent, "--no-llama-server",
                       "--streams", "1,3", "--prompts", "64", "--generate", "8", "--pairs", "1", "-t", "1", "--output",
                       folder]
            for _ in range(2):  # the second adds to the first
                done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)
            results = json.loads((pathlib.Path(folder) / "results.json").read_text(encoding="utf-8"))
            self.assertIn("| 3 x 64, common |", done.stdout)
        self.assertEqual([len(cell["samples"]["gemma serve"]) for cell in results["cells"]], [2, 2, 2])
        for cell in results["cells"]:
            for sample in cell["samples"]["gemma serve"]:
                self.assertEqual(sample["tokens"], cell["streams"] * 2 * 72)
        common = results["cells"][2]["samples"]["gemma serve"][0]
        self.assertGreater(common["cached_tokens"], 0)


if __name__ == "__main__":
    unittest.main()
