#!/usr/bin/env python3
"""The table of files in src/formats/README.md: each row is tried, and fails with the words that it states."""
import json
import pathlib
import re
import shutil
import struct
import tempfile
import unittest

import sbs_test
from command import MODELS, TESTDATA, CommandTest, gemma

PAGE = pathlib.Path(__file__).resolve().parents[3] / "src/formats/README.md"
GGUFS = TESTDATA / "gguf"
TOY = MODELS / "gemma2"
HTML = b"<!doctype html>\n<html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


def read_table():
    """Returns the row of each file: what the page says of it, and the words of the error."""
    section = PAGE.read_text().split("## Files\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {file: (result, re.findall(r"`([^`]*)`", words)) for file, result, words in rows[2:]}


def with_config(**changes):
    def build(folder):
        shutil.copytree(TOY, folder / "m")
        config = json.loads((TOY / "config.json").read_text())
        (folder / "m/config.json").write_text(json.dumps({**config, **changes}))
        return folder / "m"
    return build


def with_file(name, data):
    """Builds a file, or a file in a folder with a configuration."""
    def build(folder):
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(data)
        if path.parent == folder:
            return path
        shutil.copy(TOY / "config.json", folder / "m")
        return folder / "m"
    return build


def with_weights(data):
    def build(folder):
        shutil.copytree(TOY, folder / "m")
        (folder / "m/model.safetensors").write_bytes(data)
        return folder / "m"
    return build


def gguf_of(*keys):
    """A GGUF file with keys that are texts, and without tensors."""
    def text(value):
        return struct.pack("<Q", len(value)) + value
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(keys)) + b"".join(
        text(key) + struct.pack("<I", 8) + text(value) for key, value in keys)


def quantized(*options):
    def build(folder):
        result = gemma("quantize", TOY, folder / "m.gguf", *options)
        assert result.returncode == 0, result
        return folder / "m.gguf"
    return build


def cache(folder, snapshots=("a1",)):
    for name in snapshots:
        shutil.copytree(TOY, folder / "models--google--toy/snapshots" / name)
    return folder / "models--google--toy"


def broken_cache(folder):
    path = cache(folder)
    (path / "snapshots/a1/model.safetensors").unlink()
    (path / "snapshots/a1/model.safetensors").symlink_to("../../blobs/0123")
    return path


def sbs_without_sizes(folder):
    blob = struct.pack("<IQ16sQQ", 1, 260, b"Fc_final_norm", 256, 4).ljust(252, b"\0") + bytes(4)
    (folder / "m.sbs").write_bytes(b"SBS\n" + blob)
    return folder / "m.sbs"


def files(*sources):
    """Copies files. Returns the folder if they are several models, else the first of them."""
    def build(folder):
        copies = [shutil.copy(source, folder) for source in sources]
        return folder if len({re.sub("-0.*", "", copy) for copy in copies}) > 1 else copies[0]
    return build


def files_alone(name):
    return lambda folder: pathlib.Path(shutil.copytree(TOY, folder / "m")) / name


def without(name, toy="gemma2"):
    def build(folder):
        path = pathlib.Path(shutil.copytree(MODELS / toy, folder / "m"))
        (path / name).unlink()
        return path
    return build


ARCHITECTURE = b"general.architecture"
ADAPTER = gguf_of((ARCHITECTURE, b"gemma2"), (b"general.type", b"adapter"), (b"adapter.type", b"lora"))
PARTS = sorted(GGUFS.glob("gemma_mha-0*.gguf"))

FILES = {
    "GGUF, version 3": files(GGUFS / "gemma3.gguf"),
    "GGUF, version 2": files(GGUFS / "gemma_mha-v2.gguf"),
    "GGUF in parts (`-00001-of-00003.gguf`)": files(*PARTS),
    "GGUF of `gemma quantize`, both layouts": [
        quantized("--layout", "gguf"), quantized("keep")],
    "Hugging Face directory: `config.json`, `model.safetensors`": with_config(),
    "Hugging Face directory with an index and its shards": lambda folder: MODELS / "gemma2_sharded",
    "sentence-transformers directory with its modules (EmbeddingGemma)": lambda folder: MODELS / "embedding_gemma",
    "Hugging Face cache folder (`models--OWNER--NAME`)": cache,
    "gemma.cpp (`.sbs`)": with_file("m.sbs", sbs_test.toy_file()),
    "GGUF, version 1": with_file("m.gguf", b"GGUF" + struct.pack("<I", 1) + bytes(60)),
    "GGUF, big-endian": with_file("m.gguf", b"GGUF" + struct.pack(">IQQ", 3, 0, 0) + bytes(60)),
    "GGUF in parts, one of them absent": files(*PARTS[:2]),
    "GGUF that ends early": with_file("m.gguf", (GGUFS / "gemma3.gguf").read_bytes()[:5000]),
    "GGUF of another architecture": with_file("m.gguf", gguf_of((ARCHITECTURE, b"llama"))),
    "GGUF of a Gemma that is not read yet (a drafter of Gemma 4)": with_file(
        "m.gguf", gguf_of((ARCHITECTURE, b"gemma4-assistant"))),
    "GGUF with the vision part of a model (`mmproj`)": with_file("m.gguf", gguf_of((ARCHITECTURE, b"clip"))),
    "GGUF with a LoRA adapter": with_file("m.gguf", ADAPTER),
    "GGML (before GGUF)": with_file("m.bin", b"tjgg" + bytes(60)),
    "directory with several models": files(GGUFS / "gemma.gguf", GGUFS / "gemma2.gguf"),
    "directory with a LoRA adapter alone": lambda folder: TESTDATA / "lora/plain",
    "safetensors file without its directory": files_alone("model.safetensors"),
    "safetensors directory without `config.json`": without("config.json"),
    "Hugging Face directory, a shard absent": without("model-00002-of-00002.safetensors", "gemma2_sharded"),
    "Hugging Face directory of another architecture": with_config(model_type="llama"),
    "Hugging Face directory of a Gemma that is not read yet (PaliGemma)": with_config(model_type="paligemma"),
    "Hugging Face directory of a classifier": with_config(architectures=["Gemma2ForSequenceClassification"]),
    "weights quantized by mlx": with_config(quantization={"group_size": 64, "bits": 4}),
    "weights quantized by GPTQ": with_config(quantization_config={"quant_method": "gptq", "bits": 4}),
    "weights quantized by AWQ": with_config(quantization_config={"quant_method": "awq", "bits": 4}),
    "weights quantized by bitsandbytes": with_config(quantization_config={"quant_method": "bitsandbytes"}),
    "Hugging Face cache folder with two snapshots, without `refs/main`": lambda folder: cache(folder, ("a1", "b2")),
    "Hugging Face cache folder with a link to a file that was removed": broken_cache,
    "gemma.cpp from before 2025, whose sizes cannot be derived": sbs_without_sizes,
    "PyTorch (`.bin`, `.pt`, `.pth`, `.ckpt`)": [
        with_file("m/pytorch_model.bin", b"x"), with_file("m/a.pt", b"x"), with_file("a.pth", bytes(9)),
        with_file("a.ckpt", b"\x80\x02}q\0.")],
    "ONNX (`.onnx`)": [with_file("m/onnx/model.onnx", b"x"), with_file("a.onnx", b"\x08\x0a")],
    "LiteRT and MediaPipe (`.tflite`, `.task`, `.litertlm`)": [
        with_file("m.litertlm", b"LITERTLM" + bytes(60)), with_file("m.tflite", b"\x1c\0\0\0TFL3" + bytes(60)),
        with_file("m/m.task", b"x")],
    "Flax and Keras (`.msgpack`, `.h5`)": [with_file("m/flax_model.msgpack", b"x"), with_file("m/m.h5", b"x")],
    "Git LFS pointer": with_file("m.gguf", POINTER),
    "web page": with_weights(HTML),
    "download that `gemma pull` has not finished": with_file("m.gguf.partial", bytes(100)),
}


class FileTableTest(CommandTest):
    def test_lists_files_tried(self):
        self.assertEqual(list(read_table()), list(FILES))

    def test_files_do_as_stated(self):
        for file, (result, words) in read_table().items():
            self.assertIn(bool(words), [result == "refused"], file)
            builders = FILES[file] if isinstance(FILES[file], list) else [FILES[file]]
            for build in builders:
                with self.subTest(file=file), tempfile.TemporaryDirectory(dir=self.folder) as folder:
                    self.try_file(build(pathlib.Path(folder)), result, words, embeds="EmbeddingGemma" in file)

    def try_file(self, path, result, words, embeds):
        output = self.folder / "out.npy"
        arguments = ["embed", path, "x"] if embeds else ["logits", path, "--tokens", "2,5", "--output", output,
                                                                 "--force"]
        found = gemma(*arguments)
        self.assertEqual(found.returncode, {"runs": 0, "refused": 1}[result], found.stderr)
        for word in words:
            self.assertIn(word, found.stderr.decode())


if __name__ == "__main__":
    unittest.main()
