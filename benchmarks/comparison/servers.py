"""The servers that serve.py compares: how each starts, and how its clients ask for answers of a fixed length."""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from comparison import simd
from comparison.engines import EngineError, run

START_SECONDS = 120


class Server:
    """The interface of both."""
    name = ""

    def version(self):
        """Returns the entry about the server for the results."""
        raise NotImplementedError

    def command(self, model, streams, context, port):
        """Returns the command that serves `streams` sequences of `context` tokens each."""
        raise NotImplementedError

    def fields(self, model):
        """Returns the fields of a request without which an answer might end early."""
        raise NotImplementedError

    @contextlib.contextmanager
    def running(self, model, streams, context):
        """Runs the server, and gives its port once it is ready."""
        port = _free_port()
        with tempfile.NamedTemporaryFile(suffix=".log") as log:
            command = list(map(str, self.command(model, streams, context, port)))
            with subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process:
                try:
                    _wait_until_ready(process, port, self.name, log.name)
                    yield port
                finally:
                    process.send_signal(signal.SIGTERM)
                    try:
                        process.wait(10)
                    except subprocess.TimeoutExpired:
                        process.kill()


class GemmaServer(Server):
    name = "gemma serve"

    def __init__(self, gemma, binary, threads):
        """`gemma`: comparison.engines.Gemma, of the same binary."""
        self._gemma = gemma
        self._binary = binary
        self._threads = threads

    def version(self):
        return self._gemma.version()

    def command(self, model, streams, context, port):
        return [self._binary, "serve", model, "--port", port, "--threads", self._threads, "--context", context,
                "--batch-size", streams, "--simd", self._gemma.simd, "--quiet"]

    def fields(self, model):
        config = json.loads(run([self._binary, "inspect", model, "--json"], "gemma inspect"))["config"]
        return {"logit_bias": {str(token): -100 for token in config["stop_tokens"]}}

    def tokens(self, model, text):
        """Returns a text's tokens, and the token with which prompts begin."""
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            found = json.loads(run([self._binary, "tokenize", model, "--bos", "--json", "--file", file.name],
                                   "gemma tokenize"))["tokens"]
        first, *rest = [each["id"] for each in found]
        return rest, first

    def run_alone(self, model, text, generated, context):
        """Runs `gemma run` without a server. Returns the tokens per second after the first token."""
        biases = [argument for token, bias in self.fields(model)["logit_bias"].items()
                  for argument in ("--logit-bias", f"{token}={bias}")]
        command = [self._binary, "run", model, text, "--raw", "--json", "--quiet", "--temperature", 0, "--speculate", "off",
                   "--max-tokens", generated, "--threads", self._threads, "--context", context, "--simd",
                   self._gemma.simd, *biases]
        done = json.loads(run(command, "gemma run"))
        if done["new_tokens"] != generated:
            raise EngineError(f"gemma run wrote {done['new_tokens']} tokens, wanted {generated}")
        return (generated - 1) / done["decode_seconds"]


class LlamaServer(Server):
    name = "llama-server"

    def __init__(self, binary, threads, cap=""):
        """`cap`: the CPU for which it was built, as `gemma --simd` calls it, or ""."""
        self._binary = pathlib.Path(binary)
        self._threads = threads
        self._cap = cap

    def version(self):
        done = subprocess.run([self._binary, "--version"], capture_output=True, text=True, check=False)
        found = re.search(r"version: .*", done.stdout + done.stderr)
        if done.returncode != 0 or not found:
            raise EngineError(f"{self._binary} --version failed: {(done.stderr.strip().splitlines() or [''])[-1]}")
        if self._cap:
            self._check()
        package = re.search(r"llama_cpp_python-[\d.]+", str(self._binary.resolve()))
        return {"version": found[0] + (f", of {package[0]}" if package else "")}

    def command(self, model, streams, context, port):
        # Other settings are the server's own: it batches continuously and keeps prompts of its slots.
        return [self._binary, "--model", model, "--host", "127.0.0.1", "--port", port, "--threads", self._threads,
                "--threads-batch", self._threads, "--parallel", streams, "--ctx-size", streams * context]

    def fields(self, model):
        return {"ignore_eos": True}

    def _check(self):
        """Raises EngineError if it was built for another CPU."""
        # Without a model, it says only what it is. Otherwise it says that only with many other lines.
        command = [self._binary, "--model", os.devnull, "--port", str(_free_port()), "--verbosity", "4"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        found = re.search(r"system_info: .*", done.stdout + done.stderr)
        simd.check(found[0] if found else "", self._cap)


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _text(file):
    return pathlib.Path(file).read_text(encoding="utf-8", errors="replace")


def _wait_until_ready(process, port, name, log):
    # llama-server has no /ready: its /health fails until the model is loaded.
    path = "/ready" if name == GemmaServer.name else "/health"
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise EngineError(f"{name}: {(_text(log).strip().splitlines() or ['no reason given'])[-1]}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise EngineError(f"{name} is not ready after {START_SECONDS} s")
