"""Shared code for tests of gemma pull and its store: a temporary store, a local server."""
import json
import os
import pathlib
import time

from command import MODELS, TESTDATA, CommandTest, gemma
from hub_server import Hub

GGUF = TESTDATA / "gguf"


def directory(name):
    return {str(path.relative_to(MODELS / name)): path.read_bytes()
            for path in sorted((MODELS / name).rglob("*")) if path.is_file()}


def tokenizer_json():
    """Returns a tokenizer.json with 288 pieces: bytes, letters and one merge."""
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256)),
              "\u2581", *"abcdefghijklmnopqrstuvwxyz", "ab"]
    return json.dumps({"normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
                       "model": {"type": "BPE", "byte_fallback": True, "unk_token": "<unk>", "merges": ["a b"],
                                 "vocab": {piece: i for i, piece in enumerate(pieces)}}}).encode()


class PullTest(CommandTest):
    """Gives each test its own store and a local server in place of Hugging Face."""

    def setUp(self):
        super().setUp()
        self.store = self.folder / "models"
        self.hub = self.make_hub()
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            self.set_environment(name, None)
        self.set_environment("HF_ENDPOINT", self.hub.url)
        self.set_environment("GEMMA_MODELS", str(self.store))
        self.store.mkdir()
        (self.store / ".terms-shown").touch()  # TermsTest removes it

    def set_environment(self, name, value):
        before = os.environ.get(name)

        def put(text):
            if text is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = text
        put(value)
        self.addCleanup(put, before)

    def make_hub(self, *arguments):
        hub = Hub(*arguments)
        self.addCleanup(hub.close)
        return hub

    def pull(self, source, *arguments):
        """Pulls a model, expects at most a note with its name on standard error, and returns the path."""
        result = gemma("pull", source, *arguments)
        self.assertEqual(result.returncode, 0, result)
        self.assertRegex(result.stderr.decode(), r"\A(gemma: its name here is \S+\n)?\Z")
        return pathlib.Path(result.stdout.decode().rstrip("\n"))

    def pull_fails(self, code, *arguments, cause=(), cure=None):
        """Expects a line with `cause` and, with `cure`, a second line with that. Returns them."""
        result = gemma("pull", *arguments)
        self.assertEqual((result.returncode, result.stdout), (code, b""), result)
        lines = result.stderr.decode().splitlines()
        self.assertEqual(len(lines), 1 if cure is None else 2, result)
        for line in lines:
            self.assertRegex(line, r"\Agemma: .")
            self.assertNotRegex(line, "[\x00-\x1f\x7f-\x9f]")
        for text in [cause] if isinstance(cause, str) else cause:
            self.assertIn(text, lines[0])
        if cure is not None:
            self.assertIn(cure, lines[1])
        return lines

    def wait_for(self, condition):
        deadline = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def partial_files(self):
        return sorted(path.name for path in self.store.rglob("*.partial*"))

    def listing(self, *arguments):
        return {row["name"]: row for row in json.loads(self.succeeds_quietly("list", "--json", *arguments))["models"]}
