"""Toy models, and what the tests of the Python package share.

The environment is that of tests/tools/command.py; the package is in build/PRESET/python.
"""
import contextlib
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

from command import MODELS, TESTDATA, gemma

import libgemma

TUNED = str(TESTDATA / "gguf" / "gemma3_mixed.gguf")  # chats; has a tokenizer
BASE = str(MODELS / "gemma_fill")
TOOLS = str(MODELS / "gemma4_chat")  # knows thoughts and tools
EMBEDS = str(MODELS / "embedding_gemma")
BARE = str(TESTDATA / "gguf" / "gemma3.gguf")  # without a tokenizer
SECONDS = 120  # before a test gives up

# Options of a request that only ends when it is cancelled.
ENDLESS = {"min_tokens": 30000, "max_tokens": 30000}
LONG_CONTEXT = 32768


def run_json(model, prompt, *flags):
    """Returns what `gemma run --json` prints."""
    result = gemma("run", model, *flags, "--json", "--", prompt)
    if result.returncode != 0:
        raise AssertionError(result)
    return json.loads(result.stdout)


def run_batch(model, lines, *flags):
    """Returns what `gemma run --batch` prints for each line, in their order."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "lines.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        result = gemma("run", model, "--batch", file, *flags)
    if result.returncode != 0:
        raise AssertionError(result)
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    return sorted(answers, key=lambda answer: answer["line"])


def wait_until(condition):
    """Waits until the condition holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("the condition never held")
        time.sleep(0.01)


def cancelled(llm):
    """Returns how many requests were cancelled, once none runs or waits."""
    def idle():
        now = llm._engine.snapshot()
        return now["running"] == 0 and now["queued"] == 0

    wait_until(idle)
    return llm._engine.snapshot()["ended"]["cancelled"]


def start_python(script, *arguments):
    """Starts a script in another process that has the same modules, with pipes."""
    path = os.pathsep.join(part for part in sys.path if part)
    return subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env={**os.environ, "PYTHONPATH": path}, text=True)


@contextlib.contextmanager
def room(size):
    """Lets this process have `size` more bytes of addresses, and no more."""
    pages = int(pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def load(model=TUNED, **options):
    """Loads a toy that leaves memory to others."""
    return libgemma.LLM(model, **{"reuse_bytes": 1 << 26, **options})
