#!/usr/bin/env python3
"""tools/kubernetes: the manifests are valid, ask for the memory that `gemma inspect` predicts, and
start a server that answers their probes.

Needs tests/python/kubernetes_requirements.txt, and GEMMA_BINARY: the command.
"""
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import unittest
import urllib.request

import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOY = ROOT / "tests" / "testdata" / "gguf" / "gemma3_mixed.gguf"
FILL = ROOT / "tools" / "kubernetes" / "fill.py"
GEMMA = os.environ.get("GEMMA_BINARY", str(ROOT / "build" / "release" / "gemma"))
VERSION = "1.37"  # of Kubernetes
MIB = 1 << 20
REQUIRED = ("--image", "images.example/gemma:1", "--volume", "models")


def fill(*options, model=TOY):
    return subprocess.run([sys.executable, FILL, model, *REQUIRED, "--gemma", GEMMA, *options],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)


def objects(*options):
    """The objects of the manifest, by kind."""
    done = fill(*options)
    assert done.returncode == 0, done.stderr
    return {each["kind"]: each for each in yaml.safe_load_all(done.stdout)}


def container(manifest):
    return manifest["Deployment"]["spec"]["template"]["spec"]["containers"][0]


@contextlib.contextmanager
def serving(args, **replaced):
    """Runs the container's command with other values for some options. Gives the process and its
    port."""
    args = list(args)
    for name, value in replaced.items():
        args[args.index(f"--{name}") + 1] = str(value)
    process = subprocess.Popen([GEMMA, *args], stdout=subprocess.PIPE, text=True)
    try:
        yield process, re.match(r"http://[^/ ]*:(\d+) serves ", process.stdout.readline())[1]
    finally:
        process.terminate()
        process.wait(timeout=120)
        process.stdout.close()


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=120) as response:
        return response.status


class KubernetesTest(unittest.TestCase):
    def test_manifests_are_valid(self):
        for options in ((), ("--name", "true", "--namespace", "1e3", "--replicas", "3")):
            manifest = objects(*options)
            self.assertEqual(set(manifest), {"Deployment", "Service", "NetworkPolicy"})
            for each in manifest.values():
                kubernetes_validate.validate(each, VERSION, strict=True)

    def test_memory_is_what_inspect_predicts(self):
        manifest = container(objects("--cpus", "2", "--context", "2048", "--batch-size", "5",
                                     "--reuse", "100"))
        report = json.loads(subprocess.check_output(
            [GEMMA, "inspect", TOY, "--json", "--context", "2048", "--threads", "2"]))
        memory = report["memory"]
        logits = 4 * report["config"]["vocab_size"]
        served = (memory["weights"] - memory["mapped"] + memory["scratch"] + 100 * MIB
                  + 5 * (memory["cache"] + logits))
        args = manifest["args"]
        self.assertEqual(args[args.index("--memory") + 1], f"{-(-served // MIB)}MiB")
        pod = served + memory["mapped"] + 512 * MIB
        wanted = {"cpu": "2", "memory": f"{-(-pod // MIB)}Mi"}
        self.assertEqual(manifest["resources"], {"requests": wanted, "limits": wanted})
        self.assertEqual(args[args.index("--threads") + 1], "2")

    def test_probes_are_answered(self):
        pod = objects("--cpus", "1")["Deployment"]["spec"]["template"]
        manifest, = pod["spec"]["containers"]
        self.assertEqual(manifest["command"], ["gemma"])
        self.assertEqual(manifest["args"][1], f"/models/{TOY.name}")
        args = [manifest["args"][0], TOY, *manifest["args"][2:]]
        self.assertEqual([args[args.index("--port") + 1], "--no-auth" in args],
                         [pod["metadata"]["annotations"]["prometheus.io/port"], True])
        with serving(args, host="127.0.0.1", port=0) as (process, port):
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                self.assertEqual(get(port, manifest[probe]["httpGet"]["path"]), 200)
            metrics = pod["metadata"]["annotations"]
            self.assertEqual(get(port, metrics["prometheus.io/path"]), 200)
            process.terminate()
            self.assertEqual(process.wait(timeout=120), 0)

    def test_full_server_stays_below_limit(self):
        """With all requests that may run, and as many prompts, less memory than the pod may use."""
        manifest = container(objects("--cpus", "1", "--context", "4096", "--reuse", "64"))
        args = [manifest["args"][0], TOY, *manifest["args"][2:]]
        with serving(args, host="127.0.0.1", port=0) as (process, port):
            body = json.dumps({"model": TOY.stem, "prompt": ["cat " * 900 + str(number)
                                                             for number in range(24)],
                               "max_tokens": 20}).encode()
            request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/completions", body,
                                             {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=300) as response:
                self.assertEqual(len(json.load(response)["choices"]), 24)
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10
        limit = int(manifest["resources"]["limits"]["memory"].removesuffix("Mi")) * MIB
        print(f"peak {peak / MIB:.0f} MiB, limit {limit / MIB:.0f} MiB", file=sys.stderr)
        self.assertLess(peak, limit)

    def test_wrong_values_are_named(self):
        for options, message in ((("--name", "a: b"), "--name is 'a: b'"),
                                 (("--name", "1st"), "--name is '1st'"),
                                 (("--image", "a b"), "--image is 'a b'"),
                                 (("--cpus", "0"), "0 is less than 1")):
            done = fill(*options)
            self.assertEqual(done.returncode, 2)
            self.assertIn(message, done.stderr)
        self.assertNotEqual(fill(model="nothing.gguf").returncode, 0)


if __name__ == "__main__":
    unittest.main()
