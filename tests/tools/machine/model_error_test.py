#!/usr/bin/env python3
"""A file that is not a model, or not the intended one: one line says the cause, one line the cure."""
import gzip
import json
import os
import pathlib
import re
import resource
import shutil
import struct
import unittest
import zipfile

from command import BINARY, MODELS, TESTDATA, CommandTest, gemma

TOY = MODELS / "gemma2"
GGUF = TESTDATA / "gguf/gemma3_mixed.gguf"


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


def gguf_of(architecture):
    """A GGUF file with one key and no tensors."""
    def text(value):
        return struct.pack("<Q", len(value)) + value
    return (b"GGUF" + struct.pack("<IQQ", 3, 0, 1)
            + text(b"general.architecture") + struct.pack("<I", 8) + text(architecture))


class WrongFileTest(CommandTest):
    def wrong(self, name, data, cure, says=()):
        path = self.folder / name
        path.write_bytes(data)
        for command in (["inspect", path], ["run", path, "Hello"], ["tokenize", path, "Hello"]):
            if command[0] == "tokenize" and data.startswith((b"GGUF", b"SBS")):
                continue  # tokenize needs only a tokenizer
            self.fails(1, *command, says=[name, *([says] if isinstance(says, str) else says)], cure=cure)

    def test_files_of_others(self):
        self.wrong("notes.txt", b"Once upon a time.\n", "the first argument is the model", says="is a text, not a model")
        self.wrong("m.gguf", POINTER, "git lfs pull", says="is a Git LFS pointer, not the file itself")
        self.wrong("m.gguf", b"\n<!DOCTYPE html><html><head>", "/resolve/", says="is a web page, not the file itself")
        self.wrong("m.gguf", b'{"error":"Repository not found"}', "/resolve/")
        self.wrong("pytorch_model.bin", b"\x80\x02}q\x00.", "safetensors", says="has PyTorch weights, which")
        with zipfile.ZipFile(self.folder / "zip", "w") as archive:
            archive.writestr("archive/data.pkl", b"x")
        self.wrong("model.pt", (self.folder / "zip").read_bytes(), "safetensors")
        self.wrong("model", (self.folder / "zip").read_bytes(), "safetensors", says="has PyTorch weights, which")
        with zipfile.ZipFile(self.folder / "other", "w") as archive:
            archive.writestr("notes.txt", b"x")
        self.wrong("notes.zip", (self.folder / "other").read_bytes(), "unpack it", says="is a ZIP archive, not a model")
        self.wrong("paper.pdf", b"%PDF-1.7\n", "gemma pull", says="is a PDF document, not a model")
        self.wrong("old.bin", bytes(range(1, 200)), "safetensors")
        self.wrong("2b-it-sfp.sbs", bytes(range(200)), "to its end", says="does not begin as files of gemma.cpp do")
        self.wrong("ggml-model.bin", b"tjgg" + bytes(60), "use a GGUF file", says="before GGUF")
        self.wrong("gemma.tflite", b"\x1c\0\0\0TFL3" + bytes(60), "safetensors", says="LiteRT")
        self.wrong("gemma3-1b-it-int4.task", (self.folder / "zip").read_bytes(), "safetensors", says="MediaPipe")
        self.wrong("gemma3-1b-it-int4.litertlm", b"LITERTLM" + bytes(60), "safetensors", says="LiteRT")
        self.wrong("model.onnx", b"\x08\x0a" + bytes(60), "safetensors", says="ONNX")
        self.wrong("m.gguf.gz", gzip.compress(GGUF.read_bytes()[:1000]), "unpack it", says="is compressed")
        self.wrong("m.gguf.partial", b"\0" * 100, "gemma pull continues", says="has not finished")
        self.wrong("m", b"\0" * 100, "gemma pull", says="is not a model: it begins with")
        self.wrong("m.gguf", b"", "to its end", says="is empty")

    def test_files_of_gemma_cpp(self):
        self.wrong("cut.sbs", b"SBS\n" + struct.pack("<IQ", 3, 4096), "to its end", says="its header says 4096")
        blob = struct.pack("<IQ16sQQ", 1, 260, b"Fc_final_norm", 256, 4).ljust(252, b"\0") + bytes(4)
        self.wrong("old.sbs", b"SBS\n" + blob, "migrate_weights", says="no tensor 'c_embedding'")

    def test_gguf_files_of_other_models(self):
        self.wrong("llama.gguf", gguf_of(b"llama"), "only Gemma models", says="'llama', wanted a Gemma model")
        self.wrong("mmproj.gguf", gguf_of(b"clip"), "the vision part of a model", says="'clip'")

        self.wrong("drafter.gguf", gguf_of(b"gemma4-assistant"), "run here",
                   says="'gemma4-assistant': this Gemma is not read yet")

    def test_pointers_in_a_folder(self):
        names = ["config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json", "tokenizer.model",
                 "model.safetensors", "added_tokens.json", "special_tokens_map.json", "chat_template.jinja",
                 "chat_template.json"]
        of_embedders = ["modules.json", "config_sentence_transformers.json", "sentence_bert_config.json",
                        "1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors"]
        for model, name in [(TOY, name) for name in names] + [(MODELS / "embedding_gemma", name) for name in of_embedders]:
            folder = pathlib.Path(shutil.copytree(model, self.folder / "copy", dirs_exist_ok=True))
            (folder / name).write_bytes(POINTER)
            self.fails(1, "inspect", folder, says=f"{name}: is a Git LFS pointer, not the file itself",
                       cure="git lfs pull")
            shutil.rmtree(folder)
        # A template of a chat is read when a chat needs it.
        folder = pathlib.Path(shutil.copytree(MODELS / "gemma_fill", self.folder / "copy"))
        (folder / "additional_chat_templates").mkdir()
        (folder / "additional_chat_templates/default.jinja").write_bytes(POINTER)
        self.fails(1, "run", folder, "hi", "--chat", says="default.jinja: is a Git LFS pointer", cure="git lfs pull")
        folder = pathlib.Path(shutil.copytree(MODELS / "gemma2_sharded", self.folder / "shards"))
        for name in ("model-00002-of-00002.safetensors", "model.safetensors.index.json"):
            (folder / name).write_bytes(POINTER)
            self.fails(1, "inspect", folder, says=f"{name}: is a Git LFS pointer", cure="git lfs pull")
        (self.folder / "m.gguf").write_bytes(POINTER)
        self.fails(1, "verify-file", self.folder / "m.gguf", says="is a Git LFS pointer", cure="git lfs pull")
        parts = sorted(TESTDATA.rglob("*-of-*.gguf"))
        copies = [pathlib.Path(shutil.copy(part, self.folder)) for part in parts if part.parent == parts[0].parent]
        copies[-1].write_bytes(POINTER)
        self.fails(1, "inspect", copies[0], says=f"{copies[-1].name}: is a Git LFS pointer", cure="git lfs pull")

    def test_answers_of_servers(self):
        folder = pathlib.Path(shutil.copytree(TOY, self.folder / "copy"))
        for data, says in ((b"<!doctype html>\n<html>", "is a web page, not the file itself"),
                           (b'{"error":"Invalid username or password."}', "is a text that begins with '{\"error\""),
                           (b"Access to model google/gemma-2-2b is restricted.", "is a text that begins with 'Access")):
            (folder / "model.safetensors").write_bytes(data)
            self.fails(1, "inspect", folder, says=says, cure="/resolve/")

    def test_a_download_that_ended_early(self):
        data = GGUF.read_bytes()
        for size in (3, 40, len(data) // 2, len(data) - 1):
            self.wrong("m.gguf", data[:size], "to its end")

    def test_directories(self):
        folder = self.folder / "model"
        folder.mkdir()
        self.fails(1, "inspect", folder, says="model", cure="gemma pull")
        shutil.copy(TOY / "config.json", folder)
        self.fails(1, "inspect", folder, says="without weights", cure="gemma pull")
        (folder / "pytorch_model.bin").write_bytes(b"\x80\x02")
        self.fails(1, "inspect", folder, says="has PyTorch weights, which gemma does not read, because reading them "
                   "may run code (pytorch_model.bin)", cure="safetensors")
        (folder / "pytorch_model.bin").unlink()
        for name, cure in (("model.onnx", "ONNX"), ("onnx/model.onnx", "ONNX"), ("flax_model.msgpack", "Flax"),
                           ("model.task", "MediaPipe"), ("model.ckpt", "PyTorch")):
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"x")
            self.fails(1, "inspect", folder, says=cure, cure="safetensors or GGUF")
            path.unlink()
        (folder / "a.safetensors").write_bytes(b"")
        self.fails(1, "inspect", folder, says="that no file lists", cure="model.safetensors.index.json")
        config = json.loads((TOY / "config.json").read_text())
        other = pathlib.Path(shutil.copytree(TOY, self.folder / "other"))
        (other / "config.json").write_text(json.dumps({**config, "model_type": "llama"}))
        self.fails(1, "inspect", other, says="'llama', wanted a Gemma model", cure="only Gemma models")
        for name in ("config.json",):
            self.fails(1, "run", TOY / name, "hi", says=f"{name}: is one file of a model's directory",
                       cure=f"give the directory: {TOY}")
        for command in (["run", TOY / "model.safetensors", "hi"], ["inspect", TOY / "model.safetensors"]):
            self.fails(1, *command, says=["model.safetensors: is a safetensors file, wanted the directory with its "
                                          "config.json", f"give {TOY}"])
        (self.folder / "adapter_model.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
        self.fails(1, "run", self.folder / "adapter_model.safetensors", "hi", says="is an adapter, not a model",
                   cure="--lora")
        (other / "config.json").write_text(json.dumps({**config, "model_type": "paligemma"}))
        self.fails(1, "inspect", other, says="'paligemma': this Gemma is not read yet", cure="run here")

    def test_folders_of_the_cache(self):
        cache = self.folder / "models--google--toy"
        blobs, snapshots, refs = cache / "blobs", cache / "snapshots", cache / "refs"
        for folder in (blobs, snapshots / "a1", refs):
            folder.mkdir(parents=True)
        for number, file in enumerate(sorted(TOY.iterdir())):
            shutil.copy(file, blobs / str(number))
            (snapshots / "a1" / file.name).symlink_to(f"../../blobs/{number}")
        model = lambda folder: json.loads(self.succeeds_quietly("inspect", folder, "--json"))["config"]
        self.assertEqual(model(cache), model(TOY))
        (snapshots / "b2").mkdir()
        self.fails(1, "inspect", cache, says=["has 2 snapshots (a1, b2)", "give the path of a snapshot"])
        (refs / "main").write_text("a1\n")
        self.assertEqual(model(cache), model(TOY))
        # The files of the snapshot are protected as those of a folder are.
        self.fails(1, "logits", cache, "--tokens", "2", "--output", blobs / "0", says="wanted another file")
        # A blob that was removed.
        blob = (snapshots / "a1" / "config.json").resolve()
        kept = blob.read_bytes()
        blob.unlink()
        for path in (cache, snapshots / "a1"):
            self.fails(1, "inspect", path, says=f"a1/config.json: is a link to {blob}, which does not exist: "
                       "download the model again", cure="gemma pull hf://OWNER/REPO")
        blob.write_bytes(kept)
        (snapshots / "a1/README.md").symlink_to("../../blobs/none")  # no file that is read
        self.assertEqual(model(cache), model(TOY))
        (self.folder / "m.gguf").symlink_to("blobs/none")
        self.fails(1, "inspect", self.folder / "m.gguf", says="m.gguf: is a link to ", cure="gemma list")
        (refs / "main").write_text("c3")
        self.fails(1, "inspect", cache, says=["refs/main: is 'c3'", "(a1, b2)"])

    def test_parts(self):
        parts = sorted(TESTDATA.rglob("*-of-*.gguf"))
        self.assertTrue(parts)
        copies = [pathlib.Path(shutil.copy(part, self.folder)) for part in parts if part.parent == parts[0].parent]
        copies[-1].unlink()
        self.fails(1, "inspect", copies[0], says="part ", cure="in one directory")

    def test_names(self):
        os.environ["GEMMA_MODELS"] = str(self.folder)
        self.addCleanup(os.environ.pop, "GEMMA_MODELS")
        self.fails(1, "run", "gemma-3-270m", "Hello", says="not pulled", cure="gemma pull gemma-3-270m fetches it")
        self.fails(1, "run", "gemma-3-270n", "Hello", says="no pulled model", cure="did you mean gemma-3-270m?")
        self.fails(1, "run", "hf://google/gemma-3-1b-it", "Hello", says="not a file", cure="gemma pull hf://")
        (self.folder / "model.gguf").touch()
        self.fails(1, "run", self.folder / "modle.gguf", "Hello", says="modle.gguf", cure="did you mean model.gguf?")
        self.fails(1, "run", "gemma-3-270n", "Hello", cwd=self.folder, says="270n", cure="gemma list --all")
        (self.folder / "gemma-3-270m-q4_k_m.gguf").touch()
        self.fails(1, "run", "gemma-3-270m-q4_km.gguf", "Hello", cwd=self.folder, says="No such file",
                   cure="did you mean gemma-3-270m-q4_k_m.gguf?")


class BaseModelTest(CommandTest):
    def test_the_sibling_that_chats(self):
        for name, sibling in (("gemma-3-1b-pt", "gemma-3-1b-it-q4"), ("gemma-2-2b", "gemma-2-2b-it"),
                              ("gemma-3-270m-q4_k_m", "gemma-3-270m-it-q8"),
                              ("recurrentgemma-2b", "recurrentgemma-2b-it")):
            path = shutil.copytree(TOY, self.folder / name)
            self.fails(1, "chat", path, says=[name, "base model"], cure=f"gemma pull {sibling}, and chat with that")
        path = shutil.copytree(TOY, self.folder / "gemma-3-1b5")
        self.fails(1, "chat", path, says="base model", cure="gemma list --all")


class TooLargeTest(CommandTest):
    """ulimit -v is one of the limits, and the only one that a test can set anywhere."""

    LIMIT = 4 << 30

    def setUp(self):
        super().setUp()
        if b"__asan_init" in pathlib.Path(BINARY).read_bytes():
            self.skipTest("the sanitizer needs more addresses than the limit")

    def limited(self):
        return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_AS, (self.LIMIT, self.LIMIT))}

    def context_over_the_limit(self, *options):
        """Returns a context with which the toy needs more than the limit. With half of it, the toy fits."""
        context = 1024
        while True:
            memory = json.loads(self.succeeds("inspect", TOY, "--context", context, *options, "--json"))["memory"]
            if memory["total"] > self.LIMIT:
                return context
            context *= 2

    def test_refused_before_loading(self):
        context = self.context_over_the_limit()
        arguments = ["logits", TOY, "--tokens", "2", "--output", self.folder / "F.npy", "--context"]
        result = gemma(*arguments, context, **self.limited())
        self.assertEqual((result.returncode, result.stdout), (1, b""), result)
        cause, cure = result.stderr.decode().splitlines()
        self.assertRegex(cause, r"needs \S+ GB more memory \(weights \S+ \S+, cache \S+ GB for a context of "
                                rf"{context}, scratch \S+ \S+\), but the limit of ulimit -v has \S+ \S+ left$")
        self.assertFalse((self.folder / "F.npy").exists())
        # At least a quarter fits: half would fit, but the program itself needs memory too.
        fitting = int(re.search(r"--context (\d+) fits", cure)[1])
        self.assertIn(fitting, (context // 2, context // 4))
        self.succeeds_quietly(*arguments, fitting // 2, **self.limited())

    def test_sequences_that_do_not_fit(self):
        # A sixteenth of a context that is too large for one sequence: 1024 such sequences are too large.
        context = self.context_over_the_limit() // 16
        model = GGUF  # its caches are not much larger than those of the toy
        lines = self.folder / "lines"
        lines.write_text('"hello"\n' * 1024)
        answers = self.folder / "answers"
        batch = ["run", model, "--batch", lines, "--output", answers, "--context", context, "--max-tokens", 1]
        self.fails(1, *batch, "--batch-size", 1024, **self.limited(),
                   says=[f"for 1024 contexts of {context}", "ulimit -v"], cure="--batch-size ")
        self.assertFalse(answers.exists())
        bench = ["bench", TOY, "-p", 0, "-n", context, "-r", 1]
        self.fails(1, *bench, "-q", "-b", 1024, **self.limited(), says=f"for 1024 contexts of {context}",
                   cure="--batch-size ")
        # One line needs only one sequence.
        lines.write_text('"hello"\n')
        self.succeeds_quietly(*batch, "--batch-size", 1024, **self.limited())

    def test_library_refuses_without_check(self):
        context = self.context_over_the_limit()
        self.fails(1, "logits", TOY, "--tokens", "2", "--output", self.folder / "F.npy", "--context", context,
                   "--ignore-memory", **self.limited(), says=f"a sequence of {context} tokens")

    def test_the_doctor_tells_it_too(self):
        context = self.context_over_the_limit()
        result = gemma("doctor", TOY, "--context", context, "--json", **self.limited())
        self.assertEqual(result.returncode, 1)
        found = {finding["about"]: finding for finding in json.loads(result.stdout)["findings"]}
        self.assertEqual(found["memory"]["facts"]["address_limit"], self.LIMIT)
        self.assertEqual((found["model"]["level"], found["model"]["facts"]["fits"]), ("problem", False))
        self.assertIn("fits", found["model"]["cure"])


if __name__ == "__main__":
    unittest.main()
