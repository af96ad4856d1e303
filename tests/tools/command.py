"""Runs the gemma command for the tests of this folder.

GEMMA_BINARY     the command
GEMMA_TESTDATA   the folder testdata; by default tests/testdata
GEMMA_TEST_MODEL the real Gemma 3 270M as a GGUF file, for real_*_test.py
"""
import array
import ast
import json
import os
import pathlib
import re
import resource
import signal
import struct
import subprocess
import tempfile
import time
import unittest
import zipfile

BINARY = os.path.abspath(os.environ.get("GEMMA_BINARY", "build/release/gemma"))
TESTDATA = pathlib.Path(os.environ.get(
    "GEMMA_TESTDATA", pathlib.Path(__file__).resolve().parent.parent / "testdata"))
MODELS = TESTDATA / "models"
COMMANDS = ["run", "chat", "serve", "classify", "tokenize", "inspect", "embed", "logits", "perplexity", "verify", "scope",
            "importance", "bench"]
STORE_COMMANDS = ["pull", "list", "remove"]  # these load no model
OTHER_COMMANDS = ["compare", "quantize", "verify-file", "doctor", "completion", "man"]
TIMEOUT = 300

# For tests that only compare results, which need no sanitizers.
SANITIZED = bool(os.environ.get("GEMMA_SANITIZED"))
compares_results = unittest.skipIf(SANITIZED, "under sanitizers")


def command_seconds():
    """The processor time of all commands that have ended: other programs do not change it much."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# Remove the caller's variables, because they would set options.
for _name in [name for name in os.environ if name.startswith("GEMMA_")]:
    if _name not in ("GEMMA_BINARY", "GEMMA_TESTDATA", "GEMMA_TEST_MODEL"):
        del os.environ[_name]


def real_model():
    """Returns the real model's path. Fails if the variable is not set."""
    path = os.environ.get("GEMMA_TEST_MODEL")
    if not path:
        raise AssertionError("GEMMA_TEST_MODEL is not set: see tools/fetch_model.sh")
    return path


def gemma(*arguments, stdin=b"", **options):
    return subprocess.run([BINARY, *map(str, arguments)], input=stdin, capture_output=True,
                          timeout=TIMEOUT, check=False, **options)


class CommandTest(unittest.TestCase):
    """Assertions on what the command prints and returns."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def start(self, *arguments, **options):
        """Starts the command with pipes, and with Ctrl-C enabled: background jobs ignore it."""
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                     preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        process = subprocess.Popen([BINARY, *map(str, arguments)], **{**pipes, **options})

        def end():
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
        self.addCleanup(end)
        return process

    def wait_for_handler(self, process, number=signal.SIGINT):
        """Waits until the command handles a signal, which would end it before."""
        deadline = time.monotonic() + TIMEOUT
        while process.poll() is None and time.monotonic() < deadline:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            if int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> (number - 1) & 1:
                return
            time.sleep(0.01)
        self.fail(f"no handler of signal {number}")

    def succeeds(self, *arguments, **options):
        """Returns standard output as text."""
        result = gemma(*arguments, **options)
        self.assertEqual(result.returncode, 0, result)
        return result.stdout.decode()

    def succeeds_quietly(self, *arguments, **options):
        """As above. Standard error must be empty, because it is not a terminal."""
        result = gemma(*arguments, **options)
        self.assertEqual((result.returncode, result.stderr), (0, b""), result)
        return result.stdout.decode()

    def fails(self, code, *arguments, says=(), cure=None, stdout=b"", **options):
        """Expects the exit code and one line on standard error; with `cure`, a second line. Returns the first line."""
        result = gemma(*arguments, **options)
        self.assertEqual(result.returncode, code, result)
        if stdout is not None:
            self.assertEqual(result.stdout, stdout, result)
        error = result.stderr.decode()
        lines = 1 if cure is None else 2
        self.assertRegex(error, r"\A(gemma: [^\n]+\n){%d}\Z" % lines, result)
        line = error.splitlines(keepends=True)[0]
        for text in [says] if isinstance(says, str) else says:
            self.assertIn(text, line)
        if cure is not None:
            self.assertIn(cure, error.splitlines()[1])
        return line


def write_record(store, name, complete=True):
    """Writes the record of a pulled model into a store, without the model's files."""
    folder = store / name
    folder.mkdir(parents=True)
    (folder / "gemma-pull.json").write_text(json.dumps({
        "version": 1, "source": "hf://a/b", "revision": "", "main_file": "m.gguf", "pulled_at": "2026-01-31T12:00:00Z",
        "complete": complete, "files": [{"name": "m.gguf", "bytes": 1, "digest": "", "etag": ""}]}))


def read_npy(data):
    """Returns shape and values of a float32 or int64 array."""
    assert data[:8] == b"\x93NUMPY\x01\x00", data[:8]
    size, = struct.unpack("<H", data[8:10])
    assert (10 + size) % 64 == 0
    header = ast.literal_eval(data[10:10 + size].decode())
    assert not header["fortran_order"]
    values = array.array({"<f4": "f", "<i8": "q"}[header["descr"]])
    values.frombytes(data[10 + size:])
    return header["shape"], values


def write_npy(descr, shape, values):
    header = repr({"descr": descr, "fortran_order": False, "shape": shape})
    header += " " * (-(11 + len(header)) % 64) + "\n"
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
            + array.array({"<f4": "f", "<i8": "q", "<i4": "i"}[descr], values).tobytes())


def read_npz(path):
    with zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy"): read_npy(archive.read(name)) for name in archive.namelist()}


def read_gguf(path):
    """Reads a GGUF file without the library. Returns keys and tensors (name: type, shape outermost first, data)."""
    data = path.read_bytes()
    at = 0

    def number(form):
        nonlocal at
        value, = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize(form)
        return value

    def text():
        nonlocal at
        size = number("Q")
        at += size
        return data[at - size:at].decode()

    def value(kind):
        if kind == 8:
            return text()
        if kind == 9:
            element, count = number("I"), number("Q")
            return [value(element) for _ in range(count)]
        return number({0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}[kind])

    assert data[:4] == b"GGUF"
    at = 4
    assert number("I") == 3
    num_tensors, num_keys = number("Q"), number("Q")
    keys = {}
    for _ in range(num_keys):
        name = text()
        keys[name] = value(number("I"))
    infos = []
    for _ in range(num_tensors):
        name = text()
        shape = [number("Q") for _ in range(number("I"))][::-1]
        infos.append((name, shape, number("I"), number("Q")))
    alignment = keys.get("general.alignment", 32)
    begin = -(-at // alignment) * alignment
    tensors = {}
    for name, shape, kind, offset in infos:
        size = {0: 4, 1: 2, 30: 2}.get(kind, 0)  # blocks and panels: only types and shapes are read
        for n in shape:
            size *= n
        tensors[name] = (kind, shape, data[begin + offset:begin + offset + size])
    return keys, tensors


def rewrite_gguf(source, target, texts=(), pieces=()):
    """Copies a GGUF file with other texts for keys, or without them (None), and with other names for tokens."""
    data, texts, pieces = source.read_bytes(), dict(texts), dict(pieces)
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    at = 24

    def number(form):
        nonlocal at
        at += struct.calcsize("<" + form)
        return struct.unpack_from("<" + form, data, at - struct.calcsize("<" + form))[0]

    def text():
        nonlocal at
        size = number("Q")
        at += size
        return data[at - size:at].decode()

    def stored(value):
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def value(key):
        """The value's bytes, changed if wanted."""
        nonlocal at
        begin = at
        kind = number("I")
        if kind == 8:
            return data[begin:begin + 4] + stored(texts.get(key, text()))
        if kind != 9:
            at += sizes[kind]
            return data[begin:at]
        element, count = number("I"), number("Q")
        if element != 8:
            at += sizes[element] * count
            return data[begin:at]
        head = data[begin:at]
        return head + b"".join(stored(pieces.get(piece, piece)) for piece in (text() for _ in range(count)))

    num_tensors, num_keys = struct.unpack_from("<QQ", data, 8)
    keys = []
    for _ in range(num_keys):
        key = text()
        if texts.get(key, "") is None:
            texts[key], dropped = "", True
        else:
            dropped = False
        changed = value(key)
        if not dropped:
            keys.append(stored(key) + changed)
    begin = at
    for _ in range(num_tensors):
        text()
        num_dims = number("I")
        at += 8 * num_dims + 12
    header = data[:16] + struct.pack("<Q", len(keys)) + b"".join(keys) + data[begin:at]
    target.write_bytes(header + bytes(-len(header) % 32) + data[-(-at // 32) * 32:])


def write_npz(path, compression=zipfile.ZIP_STORED, **arrays):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in arrays.items():
            archive.writestr(name + ".npy", data)


def toy_models():
    """Returns the folders of toy models in float32 that have a reference, and of which commands print no note."""
    models = []
    for folder in sorted(MODELS.iterdir()):
        config = folder / "config.json"
        if not config.exists() or not (folder / "reference.npz").exists():
            continue
        text = config.read_text()
        if re.search('"gemma(3n|4)', text) and '"vision_config"' in text:  # a note says that its towers are skipped
            continue
        if '"float32"' in text and "bfloat16" not in text:
            models.append(folder)
    return models


def config_of(folder):
    return json.loads((folder / "config.json").read_text())
