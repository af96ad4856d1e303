#!/usr/bin/env python3
"""Tests gemma pull with a local server: what it chooses and refuses, and how it continues."""
import json
import os
import pty
import resource
import shutil
import signal
import socket
import threading
import time
import unittest

from command import MODELS, gemma
from hub_server import COMMIT, git_blob, sha256
from pulling import GGUF, PullTest, directory, tokenizer_json

TERMS = "ai.google.dev/gemma/terms"
TOKEN = "hf_secretsecret"


class HubTest(PullTest):
    def test_a_directory(self):
        self.hub.files = directory("gemma2_sharded") | {
            "README.md": b"#", "tokenizer.json": tokenizer_json(), "original/model.safetensors": b"no"}
        path = self.pull("hf://owner/toy")
        self.assertEqual(path, self.store / "toy")
        self.assertEqual({p.name for p in path.iterdir()},
                         {p.name for p in (MODELS / "gemma2_sharded").iterdir()}
                         | {"tokenizer.json", "gemma-pull.json"})
        for file in (MODELS / "gemma2_sharded").iterdir():
            self.assertEqual((path / file.name).read_bytes(), file.read_bytes())
        self.assertEqual(self.partial_files(), [])
        for request in self.hub.take_requests():
            self.assertNotIn("authorization", request.headers)
            self.assertNotIn("README", request.path)

    def test_module_folders(self):
        self.hub.files = directory("embedding_gemma") | {
            "onnx/config.json": b"{}", "2_Dense/pytorch_model.bin": b"no",
            "config_sentence_transformers.json": b'{"prompts": {"query": "Q: "}}'}
        path = self.pull("hf://owner/toy")
        self.assertEqual({p.name for p in path.iterdir()},
                         {"config.json", "model.safetensors", "tokenizer.json", "modules.json", "gemma-pull.json",
                          "sentence_bert_config.json", "config_sentence_transformers.json", "1_Pooling", "2_Dense",
                          "3_Dense"})
        self.assertEqual(self.succeeds_quietly("embed", "toy", "--prompt", "query", "the user"),
                         self.succeeds_quietly("embed", MODELS / "embedding_gemma", "Q: the user"))
        self.assertEqual({p.name for p in (path / "2_Dense").iterdir()}, {"config.json", "model.safetensors"})
        self.assertEqual(self.succeeds_quietly("embed", "toy", "the user"),
                         self.succeeds_quietly("embed", MODELS / "embedding_gemma", "the user"))
        self.pull("hf://owner/toy")  # all files are there

    def test_linked_module_folder_is_refused(self):
        self.hub.files = directory("embedding_gemma")
        path = self.pull("hf://owner/toy")
        outside = self.folder / "outside"
        outside.mkdir()
        shutil.rmtree(path / "2_Dense")
        (path / "2_Dense").symlink_to(outside)
        self.pull_fails(1, "hf://owner/toy", cause=["2_Dense", "Not a directory"])
        self.assertEqual(list(outside.iterdir()), [])

    def test_every_command_takes_the_name(self):
        self.hub.files = directory("gemma2_odd") | {"tokenizer.json": tokenizer_json()}
        self.pull("hf://owner/toy")
        text = self.folder / "text"
        text.write_text("abcab" * 9)
        answer = self.succeeds("run", "toy", "ab c", "-n", 4, "--temperature", 0)
        self.assertEqual(answer, self.succeeds("run", self.store / "toy", "ab c", "-n", 4, "--temperature", 0))
        self.fails(1, "chat", "toy", says="not tuned to chat", cure="gemma run")
        self.assertEqual(self.succeeds_quietly("tokenize", "toy", "ab"),
                         self.succeeds_quietly("tokenize", self.store / "toy", "ab"))
        self.succeeds("perplexity", "toy", "--file", text)
        self.succeeds_quietly("inspect", "toy")
        self.succeeds_quietly("bench", "toy", "-p", 4, "-n", 0, "-r", 1)
        self.succeeds_quietly("logits", "toy", "--tokens", "2,5", "--output", self.folder / "F.npy", "--force")
        self.succeeds_quietly("verify", "toy", "--reference", MODELS / "gemma2_odd" / "reference.npz")

    def test_present_files_are_not_fetched(self):
        self.hub.files = directory("gemma2_sharded")
        path = self.pull("hf://owner/toy")
        before = {p: p.stat().st_mtime_ns for p in path.iterdir()}
        self.hub.take_requests()
        self.assertEqual(self.pull("hf://owner/toy"), path)
        self.assertEqual(self.pull("toy"), path)
        self.assertEqual(["/api/" in request.path for request in self.hub.take_requests()], [True, True])
        self.assertEqual({p: p.stat().st_mtime_ns for p in path.iterdir()}, before)

    def test_damaged_file_is_fetched_again(self):
        self.hub.files = directory("gemma2_sharded")
        path = self.pull("hf://owner/toy")
        damaged = path / "model-00002-of-00002.safetensors"
        data = bytearray(damaged.read_bytes())
        data[-1] ^= 1
        damaged.write_bytes(data)
        self.hub.take_requests()
        self.pull("toy")
        self.assertEqual(damaged.read_bytes(), self.hub.files[damaged.name])
        self.assertEqual(len([r for r in self.hub.take_requests() if "/blob/" in r.path]), 1)

    def test_the_only_gguf_file(self):
        data = (GGUF / "gemma3.gguf").read_bytes()
        self.hub.files = {"README.md": b"#", "config.json": b"{}", "q4/gemma3.gguf": data, "mmproj-f16.gguf": b"GGUF"}
        path = self.pull("hf://owner/toy")
        self.assertEqual(path, self.store / "toy" / "gemma3.gguf")
        self.assertEqual(path.read_bytes(), data)
        self.succeeds_quietly("inspect", "toy")

    def test_one_of_several_gguf_files(self):
        data = (GGUF / "gemma3.gguf").read_bytes()
        self.hub.files = {"a.gguf": b"GGUF", "q4/b.c.gguf": data}
        self.pull_fails(1, "hf://owner/toy", cause=["2 models", "hf://owner/toy/FILE", "a.gguf, q4/b.c.gguf"])
        self.assertEqual(self.pull("owner/toy:A", "--name", "typed").name, "a.gguf")
        self.pull_fails(1, "owner/toy:Q4_K_M", cause=["no GGUF file of the type Q4_K_M", "a.gguf, q4/b.c.gguf"])
        self.fails(1, "run", "owner/toy", says="owner/toy: No such file", cure="gemma pull owner/toy fetches it")
        path = self.pull("hf://owner/toy/q4/b.c.gguf@v1")
        self.assertEqual(path, self.store / "b.c" / "b.c.gguf")
        self.pull_fails(1, "hf://owner/toy/c.gguf", cause="no file c.gguf")

    def test_a_gguf_file_in_parts(self):
        parts = {p.name: p.read_bytes() for p in GGUF.glob("gemma_mha-*-of-*.gguf")}
        self.hub.files = {f"q8/{name}": data for name, data in parts.items()}
        for source, name in (("hf://owner/toy", "toy"),
                             ("hf://owner/toy/q8/gemma_mha-00002-of-00003.gguf", "gemma_mha")):
            path = self.pull(source)
            self.assertEqual(path.parent, self.store / name)
            self.assertEqual({p.name for p in path.parent.glob("*.gguf")}, set(parts))
            self.succeeds_quietly("inspect", name)
        del self.hub.files["q8/gemma_mha-00003-of-00003.gguf"]
        self.pull_fails(1, "hf://owner/toy", "--name", "x", cause="no file q8/gemma_mha-00003-of-00003.gguf")

    def test_nothing_to_choose(self):
        for files in ({}, {"README.md": b"#"}, {"config.json": b"{}"}, {"model.safetensors": b"x"}):
            self.hub.files = files
            self.pull_fails(1, "hf://owner/toy", cause="neither a GGUF file nor config.json")
        self.hub.files = {"adapter_config.json": b"{}", "adapter_model.safetensors": b"x"}
        self.pull_fails(1, "hf://owner/toy", cause="holds only a LoRA adapter, wanted a model", cure="--lora")

    def test_new_commit_replaces_old_files(self):
        self.hub.files = directory("gemma2_sharded")
        path = self.pull("hf://owner/toy")
        (path / "mine.txt").write_text("mine")
        self.hub.files = directory("gemma2")
        self.hub.commit = COMMIT[::-1]
        self.assertEqual(self.pull("hf://owner/toy"), path)
        self.assertEqual({p.name for p in path.iterdir()},
                         {"config.json", "model.safetensors", "gemma-pull.json", "mine.txt"})
        self.assertEqual(self.listing()["toy"]["revision"], self.hub.commit)
        self.succeeds_quietly("inspect", "toy")

    def test_old_model_stays_until_replaced(self):
        self.hub.files = directory("gemma2_sharded")
        path = self.pull("hf://owner/toy")
        self.hub.files["model-00001-of-00002.safetensors"] += b"new"
        self.hub.listing["model-00002-of-00002.safetensors"] = {"lfs": {"sha256": "0" * 64}}
        self.pull_fails(1, "hf://owner/toy", cause="SHA-256", cure="again")
        for file in (MODELS / "gemma2_sharded").iterdir():
            self.assertEqual((path / file.name).read_bytes(), file.read_bytes())
        self.succeeds_quietly("inspect", "toy")

    def test_name_has_one_source(self):
        self.hub.files = directory("gemma2")
        self.pull("hf://owner/toy")
        self.pull_fails(1, "hf://owner/toy@v1", cause=["toy", "hf://owner/toy already", "--name"])
        self.assertEqual(self.pull("hf://owner/toy@v1", "--name", "toy-v1"), self.store / "toy-v1")
        self.assertEqual(self.listing()["toy-v1"]["source"], "hf://owner/toy@v1")

    def test_foreign_folder_is_kept(self):
        self.hub.files = directory("gemma2")
        (self.store / "toy").mkdir()
        (self.store / "toy" / "config.json").write_text("mine")
        self.pull_fails(1, "hf://owner/toy", cause=["did not put there", "--name"])
        self.assertEqual((self.store / "toy" / "config.json").read_text(), "mine")


class KilledTest(PullTest):
    """A process that is killed before it renames a file leaves a temporary file."""
    LEFTOVERS = ("gemma-pull.json.note.partial.tmp.4711", "gemma-pull.json.a1b2c3", "gemma-pull.json.partial",
                 "m.gguf.note.partial.z9y8x7", "m.gguf.note.partial.tmp.12")

    def setUp(self):
        super().setUp()
        self.hub.files = directory("gemma2")
        self.path = self.store / "toy"

    def leave(self, *names):
        self.path.mkdir(exist_ok=True)
        for name in names:
            (self.path / name).write_text("half")

    def test_the_name_is_free(self):
        for name in self.LEFTOVERS:
            with self.subTest(name):
                self.leave(name)
                self.pull("hf://owner/toy")
                self.succeeds_quietly("remove", "toy", "--yes")
                self.assertFalse(self.path.exists())

    def test_the_next_pull_cleans_up(self):
        self.pull("hf://owner/toy")
        names = {path.name for path in self.path.iterdir()}
        self.leave(*self.LEFTOVERS)
        self.pull("hf://owner/toy")
        self.assertEqual({path.name for path in self.path.iterdir()}, names)

    def test_remove_needs_no_record(self):
        self.leave(*self.LEFTOVERS)
        self.succeeds_quietly("remove", "toy", "--yes")
        self.assertFalse(self.path.exists())
        self.fails(1, "remove", "toy", "--yes", says="no model that gemma pull downloaded", cure="gemma list")

    def test_other_files_stay(self):
        for name in ("gemma-pull.json.mine", "notes.tmp.1", "x.partial.txt", "m.gguf.a1b2c3"):
            with self.subTest(name):
                self.leave(self.LEFTOVERS[0], name)
                self.pull_fails(1, "hf://owner/toy", cause="did not put there")
                self.fails(1, "remove", "toy", "--yes", says="no model that gemma pull downloaded", cure="gemma list")
                (self.path / name).unlink()


class HostileTest(PullTest):
    def test_paths_that_escape(self):
        for path in ("../evil.gguf", "/etc/evil.gguf", "a/../../evil.gguf", "a//evil.gguf", "..", ".", "",
                     "a\\..\\evil.gguf", "evil\n.gguf", "./evil.gguf", "evil\0.gguf", "a/",
                     "evil\x1b[2J.gguf", "evil\u009b2J.gguf", "evil\x7f/a.gguf"):
            with self.subTest(path):
                self.hub.files = directory("gemma2") | {path: b"GGUF"}
                lines = self.pull_fails(1, "hf://owner/toy", cause="is not a path inside")
                self.assertNotIn("\0", lines[0])
                self.assertEqual(list(self.folder.rglob("*evil*")), [])
                self.assertFalse((self.store / "toy").exists())

    def test_file_name_too_long(self):
        self.hub.files = {"x" * 250 + ".gguf": b"GGUF"}
        self.pull_fails(1, "hf://owner/toy", cause="cannot be the name")

    def test_listings_that_are_none(self):
        for member, value in (("size", -1), ("size", "9"), ("size", 1.5), ("size", None), ("lfs", {"sha256": "ab"}),
                              ("lfs", {"sha256": "G" * 64}), ("rfilename", 7), ("rfilename", None)):
            with self.subTest(f"{member}={value}"):
                self.hub.files = directory("gemma2")
                self.hub.listing = {"model.safetensors": {member: value}}
                self.pull_fails(1, "hf://owner/toy", cause="hf://owner/toy: the server's list of files")
        self.hub.listing = {}
        self.hub.commit = "main"
        self.pull_fails(1, "hf://owner/toy", cause="'sha'")

    # A terminal may obey such characters, for example move the cursor.
    def test_redirect_with_control_characters(self):
        self.hub.files = directory("gemma2")
        for target in ("ftp://127.0.0.1/\xc2\x9b2J", "http://127.0.0.1:1/\xc2\x9b2J"):  # bytes of U+009B
            self.hub.redirect = target
            result = gemma("pull", "hf://owner/toy")
            self.assertEqual(result.returncode, 1)
            self.assertNotRegex(result.stderr.decode(), "[\x00-\x09\x0b-\x1f\x7f-\x9f]")

    def test_a_wrong_hash(self):
        self.hub.files = directory("gemma2")
        wrong = "0" * 64
        self.hub.listing = {"model.safetensors": {"lfs": {"sha256": wrong}}}
        right = sha256(self.hub.files["model.safetensors"])
        self.pull_fails(1, "hf://owner/toy", cause=["model.safetensors", right, wrong], cure="again")
        self.assertNotIn("model.safetensors.partial", self.partial_files())
        self.fails(1, "inspect", "toy", says="the download is incomplete", cure="gemma pull toy")
        # A small file has only git's hash.
        self.hub.listing = {"config.json": {"blobId": "0" * 40}}
        self.pull_fails(1, "hf://owner/toy", cause=["config.json", git_blob(self.hub.files["config.json"])],
                        cure="again")
        self.hub.listing = {}
        self.pull("hf://owner/toy")

    def test_size_differs_from_listing(self):
        self.hub.files = directory("gemma2")
        size = len(self.hub.files["model.safetensors"])
        for stated in (size - 1, size + 1):
            self.hub.listing = {"model.safetensors": {"size": stated}}
            self.pull_fails(1, "hf://owner/toy", cause=[str(size), str(stated)], cure="again")

    def test_redirects(self):
        self.hub.files = directory("gemma2")
        for target, says in (("ftp://127.0.0.1/x", "http"), ("file:///etc/passwd", "http"),
                             (f"{self.hub.url}/owner/toy/resolve/{COMMIT}/model.safetensors", "redirects"),
                             ("http://user:password@127.0.0.1/x", "http")):
            self.hub.redirect = target
            result = gemma("pull", "hf://owner/toy")
            self.assertEqual(result.returncode, 1)
            self.assertIn(says, result.stderr.decode())

    def test_tampered_record_is_refused(self):
        self.hub.files = directory("gemma2")
        path = self.pull("hf://owner/toy")
        victim = self.folder / "victim"
        victim.write_text("mine")
        record = path / "gemma-pull.json"
        good = json.loads(record.read_text())
        for name in ("../../victim", str(victim), "..", ""):
            record.write_text(json.dumps(good | {"files": [dict(good["files"][0], name=name)]}))
            self.fails(1, "remove", "toy", "--yes", says="gemma-pull.json")
            self.fails(1, "inspect", "toy", says="gemma-pull.json")
        for text in ("", "[]", "{", json.dumps(good | {"version": 2}), json.dumps(good | {"main_file": "../x"})):
            record.write_text(text)
            self.fails(1, "inspect", "toy", says="gemma-pull.json")
        self.assertEqual(self.listing(), {})
        self.assertEqual(victim.read_text(), "mine")


class ResumeTest(PullTest):
    NAME = "model.safetensors"

    def setUp(self):
        super().setUp()
        self.hub.files = directory("gemma2")
        self.size = len(self.hub.files[self.NAME])

    def cut(self):
        """Makes a first try that ends early. Returns the path of the partial file."""
        self.hub.cut_after = 100_000
        self.pull_fails(1, "hf://owner/toy", cause=self.hub.blob_url, cure="what has arrived is kept")
        partial = self.store / "toy" / f"{self.NAME}.partial"
        self.assertEqual(partial.stat().st_size, 100_000)
        self.assertFalse((self.store / "toy" / self.NAME).exists())
        self.hub.cut_after = None
        self.hub.take_requests()
        return partial

    def check(self, first):
        """Checks that the second try starts at byte `first` and succeeds. Returns its request."""
        path = self.pull("hf://owner/toy")
        self.assertEqual((path / self.NAME).read_bytes(), self.hub.files[self.NAME])
        self.assertEqual(self.partial_files(), [])
        request = [r for r in self.hub.take_requests() if "/blob/" in r.path][-1]
        self.assertEqual(request.headers.get("range"), f"bytes={first}-" if first else None)
        self.succeeds_quietly("inspect", "toy")
        return request

    def test_a_truncated_body_goes_on(self):
        self.cut()
        self.fails(1, "inspect", "toy", says="the download is incomplete", cure="gemma pull toy")
        self.assertFalse(self.listing()["toy"]["complete"])
        request = self.check(100_000)
        self.assertEqual(request.headers["if-range"], self.hub.etag(self.NAME))

    def test_range_with_control_characters(self):
        self.cut()
        for stated, shown in (("bytes \xc2\x9b2J", r"'bytes \xc2\x9b2J'"), ("\x1b]0;x\x07", r"'\x1b]0;x\x07'"),
                              ("\x9b2J", r"'\x9b2J'")):
            self.hub.content_range = stated
            lines = self.pull_fails(1, "hf://owner/toy", cause="the bytes from 100000 on, got")
            self.assertIn(shown, lines[0])
        self.hub.content_range = None
        self.hub.take_requests()
        self.check(100_000)

    def test_truncated_again_and_again(self):
        self.hub.cut_after = 150_000
        tries = 0
        while gemma("pull", "hf://owner/toy").returncode != 0:
            tries += 1
            self.assertLess(tries, 20)
        self.assertEqual(tries, self.size // 150_000)
        self.assertEqual((self.store / "toy" / self.NAME).read_bytes(), self.hub.files[self.NAME])

    def test_changed_file_starts_anew(self):
        self.cut()
        self.hub.files[self.NAME] = bytes(reversed(self.hub.files[self.NAME]))
        path = self.pull("hf://owner/toy")
        self.assertEqual((path / self.NAME).read_bytes(), self.hub.files[self.NAME])

    def test_another_etag_starts_anew(self):
        self.cut()
        self.hub.etag_salt = "other"
        self.check(100_000)  # asked for, but the server sent the whole file

    def test_without_etags_the_hash_decides(self):
        self.hub.etags = False
        partial = self.cut()
        self.assertNotIn("if-range", self.check(100_000).headers)
        self.assertFalse(partial.exists())

    def test_changed_partial_file_is_dropped(self):
        partial = self.cut()
        partial.write_bytes(b"\0" * 100_000)
        self.pull_fails(1, "hf://owner/toy", cause="SHA-256", cure="again")
        self.hub.take_requests()
        self.check(0)

    def test_overlong_partial_file_is_dropped(self):
        partial = self.cut()
        partial.write_bytes(b"\0" * (self.size + 1))
        self.check(0)

    def test_complete_partial_file_is_used(self):
        partial = self.cut()
        partial.write_bytes(self.hub.files[self.NAME])
        self.pull("hf://owner/toy")
        self.assertEqual([r.path for r in self.hub.take_requests() if "/blob/" in r.path], [])

    def test_partial_file_without_its_note(self):
        self.cut()
        (self.store / "toy" / f"{self.NAME}.note.partial").unlink()
        self.check(0)

    def test_ctrl_c_keeps_partial_file(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            self.hub.cut_after = 200_000
            self.hub.hold = threading.Event()
            process = self.start("pull", "hf://owner/toy")
            partial = self.store / "toy" / f"{self.NAME}.partial"
            self.wait_for(lambda: partial.exists() and partial.stat().st_size == 200_000)
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=30)
            self.assertEqual((process.returncode, stdout, stderr), (128 + number, b"", b""))
            self.assertEqual(partial.stat().st_size, 200_000)
            self.hub.hold.set()
            self.hub.cut_after = None
            self.hub.take_requests()
            self.check(200_000)
            self.succeeds_quietly("remove", "toy", "--yes")

    def test_two_pulls_at_once(self):
        self.hub.cut_after = 200_000
        self.hub.hold = threading.Event()
        first = self.start("pull", "hf://owner/toy")
        partial = self.store / "toy" / f"{self.NAME}.partial"
        self.wait_for(lambda: partial.exists() and partial.stat().st_size == 200_000)
        self.fails(1, "remove", "toy", "--yes", says="another process is pulling it")
        second = self.start("pull", "hf://owner/toy")
        line = second.stderr.readline()
        self.assertEqual(line, b"gemma: another process is pulling toy: waiting for it\n")
        third = self.start("pull", "hf://owner/toy", "--quiet")
        self.hub.hold.set()
        for process in (first, second, third):
            stdout, stderr = process.communicate(timeout=60)
            self.assertEqual((process.returncode, stdout.decode(), stderr),
                             (0, f"{self.store / 'toy'}\n",
                              b"" if process is third else b"gemma: its name here is toy\n"))
        blobs = [r for r in self.hub.take_requests() if "/blob/" in r.path]
        self.assertEqual(len(blobs), 1)
        self.assertEqual((self.store / "toy" / self.NAME).read_bytes(), self.hub.files[self.NAME])

    def test_who_waits_can_be_interrupted(self):
        self.hub.cut_after = 0
        self.hub.hold = threading.Event()
        first = self.start("pull", "hf://owner/toy")
        self.wait_for(lambda: any("/blob/" in r.path for r in self.hub.requests))
        second = self.start("pull", "hf://owner/toy")
        second.stderr.readline()
        second.send_signal(signal.SIGINT)
        self.assertEqual(second.wait(timeout=30), 130)
        first.send_signal(signal.SIGINT)
        self.assertEqual(first.wait(timeout=30), 130)


class TokenTest(PullTest):
    def setUp(self):
        super().setUp()
        self.hub.files = directory("gemma2")
        self.hub.token = TOKEN

    def test_gated_repository_without_token(self):
        self.pull_fails(1, "hf://owner/toy", cause=["hf://owner/toy", "gated", "401"],
                        cure=f"accept the terms at {self.hub.url}/owner/toy, then set HF_TOKEN")

    def test_token_stays_at_endpoint(self):
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            self.set_environment("HF_TOKEN", None)
            self.set_environment(name, TOKEN)
            self.pull("hf://owner/toy", "--name", name)
            tokens = {(r.port, r.headers.get("authorization")) for r in self.hub.take_requests()}
            first, second = (server.server_address[1] for server in self.hub.servers)
            self.assertEqual(tokens, {(first, f"Bearer {TOKEN}"), (second, None)})
            for path in self.store.rglob("*"):
                if path.is_file():
                    self.assertNotIn(TOKEN.encode(), path.read_bytes())

    def test_no_token_for_other_servers(self):
        self.set_environment("HF_TOKEN", TOKEN)
        other = self.make_hub({"toy.gguf": (GGUF / "gemma3.gguf").read_bytes()})
        self.pull(f"{other.url}/blob/toy.gguf")
        self.assertEqual([r.headers.get("authorization") for r in other.take_requests()], [None])

    def test_a_token_that_is_refused(self):
        self.set_environment("HF_TOKEN", "hf_wrong")
        lines = self.pull_fails(1, "hf://owner/toy", cause="refuses the token (HTTP 401)", cure="HF_TOKEN")
        self.assertNotIn("hf_wrong", "".join(lines))
        self.hub.status = 403
        self.pull_fails(1, "hf://owner/toy", cause="no access (HTTP 403)", cure="accept the terms at")

    def test_a_token_that_is_none(self):
        for token in ("two words", "line\nX-Evil: 1", "caf\u00e9"):
            self.set_environment("HF_TOKEN", token)
            lines = self.pull_fails(2, "hf://owner/toy", cause="HF_TOKEN")
            self.assertNotIn(token.split()[0], lines[0])
        self.set_environment("HF_TOKEN", f" {TOKEN}\n")
        self.pull("hf://owner/toy")


class FailureTest(PullTest):
    def setUp(self):
        super().setUp()
        self.hub.files = directory("gemma2")

    def test_not_found(self):
        self.pull_fails(1, "hf://owner/toy@v9", cause=["hf://owner/toy@v9", "404"], cure=f"{self.hub.url}/models")

    def test_a_server_that_fails(self):
        for status in (429, 500, 503):
            self.hub.status = status
            self.pull_fails(1, "hf://owner/toy", cause=str(status), cure="later")

    def test_no_network(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            self.set_environment("HF_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
            address = f"127.0.0.1:{unused.getsockname()[1]}"
            for source in ("hf://owner/toy", "gemma-3-1b-it", f"http://{address}/m.gguf"):
                self.pull_fails(1, source, cause="127.0.0.1", cure="network")
        self.assertEqual(self.listing(), {})

    def test_server_that_sends_nothing(self):
        self.hub.files = {"m.gguf": b"GGUF"}
        for number in (signal.SIGINT, signal.SIGKILL):
            self.hub.cut_after = 0
            self.hub.hold = threading.Event()
            process = self.start("pull", "hf://owner/toy")
            self.wait_for(lambda: any("/blob/" in request.path for request in self.hub.requests))
            process.send_signal(number)
            process.communicate(timeout=30)
            self.hub.hold.set()
            self.hub.take_requests()
            self.assertEqual(self.listing(), {}, number)
            self.assertRegex(self.succeeds("list"), r"\ANAME +KIND +SIZE +PULLED +PATH in [^\n]*\n\Z")
        self.hub.cut_after = None
        self.pull("hf://owner/toy")

    def test_an_endpoint_that_is_none(self):
        for endpoint in ("huggingface.co", "ftp://127.0.0.1", "http://user:password@127.0.0.1", "http://"):
            self.set_environment("HF_ENDPOINT", endpoint)
            self.pull_fails(2, "hf://owner/toy", cause="HF_ENDPOINT")

    def test_no_room_for_listed_files(self):
        self.hub.listing = {"model.safetensors": {"size": 2**62}}
        self.pull_fails(1, "hf://owner/toy", cause=["toy: needs", "TB more"], cure="GEMMA_MODELS")
        self.hub.listing = {name: {"size": 2**64 - 1} for name in self.hub.files}
        self.pull_fails(1, "hf://owner/toy", cause="needs", cure="GEMMA_MODELS")
        self.assertEqual([r.path for r in self.hub.take_requests() if "/api/" not in r.path], [])

    def test_a_disk_that_gets_full(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        result = gemma("pull", "hf://owner/toy", preexec_fn=limit)
        self.assertEqual((result.returncode, result.stdout), (1, b""))
        cause, cure = result.stderr.decode().splitlines()
        self.assertIn("cannot write to", cause)
        self.assertIn("model.safetensors.partial", cause)
        self.assertIn("make room", cure)
        self.hub.take_requests()
        self.pull("hf://owner/toy")
        self.assertIn("bytes=300000-", [r.headers.get("range") for r in self.hub.take_requests()])

    def test_unwritable_store(self):
        self.set_environment("GEMMA_MODELS", "/dev/null/models")
        self.pull_fails(1, "hf://owner/toy", cause="/dev/null/models")

    def test_wrong_use(self):
        for source in ("hf://owner", "hf://owner/", "hf:///toy", "hf://../toy", "hf://owner/..", 
                       "hf://owner/toy/../x.gguf", "hf://owner/toy@", "hf://owner/toy@../x", "hf://own er/toy",
                       "ftp://127.0.0.1/x.gguf", "http://127.0.0.1/x.bin", "http://",
                       "http://user:password@127.0.0.1/x.gguf", "http://[abc/x.gguf", "http://a%2fb/x.gguf",
                       "http://127.0.0.1/x y.gguf", "", "pip:other==1.0"):
            with self.subTest(source):
                line, = self.pull_fails(2, source)
                self.assertNotIn("password@", line)
        for source in ("hf://owner/toy/x.bin", "https://huggingface.co/owner/toy/blob/main/model.safetensors",
                       "https://huggingface.co/owner/toy/resolve/main/model.safetensors"):
            self.pull_fails(2, source, cause="wanted a FILE that ends in .gguf", cure="gemma pull owner/toy fetches")
        for name, near in (("gemma3:1b", "gemma-3-1b-it-q4"), ("gemma-3-270m:q4", "gemma-3-270m"),
                           ("gemma-3-1b", "gemma-3-1b-it-q4"), ("gemma-3-1b-it-Q4", "gemma-3-1b-it-q4"),
                           ("gemma3:1b-it-qat", "gemma-3-1b-it-qat"), ("gemma-3-27om", "gemma-3-270m")):
            self.pull_fails(2, name, cause=f"'{name}' is not in the catalogue", cure=f"did you mean {near}")
        (self.folder / "it.gguf").touch()
        for source, cure in (
                ("hf:google/x", "did you mean hf://google/x?"), ("HF://google/gemma", "did you mean hf://google/gemma?"),
                ("google/gemma-3-1b-it/model.safetensors", "gemma pull google/gemma-3-1b-it fetches"),
                ("o/r/m.gguf", "gemma pull hf://o/r/m.gguf"), ("../toy", "takes its path, ../toy"),
                (self.folder / "it.gguf", f"takes its path, {self.folder}/it.gguf"), ("./it.gguf", "takes its path, ./it.gguf"),
                ("file:///a/it.gguf", "takes its path, /a/it.gguf"),
                ("ollama.com/library/gemma3", "Hugging Face: gemma pull gemma-3-1b-it-q4 fetches"),
                ("https://ollama.com/library/shieldgemma:9b", "gemma pull google/shieldgemma-9b"),
                ("shieldgemma", "gemma pull google/shieldgemma-2b"), ("ShieldGemma-2b", "google/shieldgemma-2b"),
                ("codegemma:latest", "gemma pull google/codegemma-7b-it")):
            self.pull_fails(2, source, cure=cure)
        for name in ("no-such-model", "llama3", "mistral", "phi3:mini", "qwen2.5:7b"):
            self.pull_fails(2, name, cause=f"'{name}' is not in the catalogue",
                            cure="gemma runs only Gemma models; gemma list --all shows them")
        self.pull_fails(2, "hf://owner/toy", "--name", "../x", cause="'../x'")
        self.pull_fails(2, "hf://owner/toy", "--sha256", "0" * 64, cause="--sha256")
        self.pull_fails(2, "http://127.0.0.1/x.gguf", "--sha256", "12", cause="--sha256")
        self.assertEqual(self.hub.take_requests(), [])


class UrlTest(PullTest):
    def setUp(self):
        super().setUp()
        self.data = (GGUF / "gemma3.gguf").read_bytes()
        self.hub.files = {"toy.gguf": self.data}
        self.url = f"{self.hub.url}/blob/toy.gguf"

    def test_a_file(self):
        path = self.pull(f"{self.url}?signature=secret")
        self.assertEqual(path, self.store / "toy" / "toy.gguf")
        self.assertEqual(path.read_bytes(), self.data)
        self.assertEqual(self.listing()["toy"]["source"], self.url)
        self.assertNotIn("secret", (path.parent / "gemma-pull.json").read_text())
        self.succeeds_quietly("inspect", "toy")

    def test_again(self):
        path = self.pull(self.url)
        self.hub.take_requests()
        self.pull(self.url)
        self.assertEqual([r.headers.get("if-none-match") for r in self.hub.take_requests()],
                         [self.hub.etag("toy.gguf")])
        self.assertEqual(self.partial_files(), [])
        self.hub.files["toy.gguf"] = self.data + b"more"
        self.pull("toy")
        self.assertEqual(path.read_bytes(), self.data + b"more")

    def test_missing_file_is_fetched(self):
        path = self.pull(self.url)
        path.unlink()
        self.pull(self.url)
        self.assertEqual(path.read_bytes(), self.data)

    def test_resume_needs_strong_etag(self):
        for etags, salt, first in ((True, "", "bytes=100000-"), (False, "", None)):
            self.hub.etags, self.hub.cut_after = etags, 100_000
            self.pull_fails(1, self.url, cause=self.hub.url, cure="what has arrived is kept")
            self.hub.cut_after = None
            self.hub.take_requests()
            self.assertEqual(self.pull(self.url).read_bytes(), self.data)
            self.assertEqual([r.headers.get("range") for r in self.hub.take_requests()], [first])
            self.succeeds_quietly("remove", "toy", "--yes")

    def test_changed_file_starts_anew(self):
        self.hub.cut_after = 100_000
        self.pull_fails(1, self.url, cure="what has arrived is kept")
        self.hub.cut_after = None
        self.hub.files["toy.gguf"] = b"GGUF" + self.data[::-1]
        self.assertEqual(self.pull(self.url).read_bytes(), b"GGUF" + self.data[::-1])

    def test_nothing_was_missing(self):
        self.hub.cut_after = 100_000
        self.pull_fails(1, self.url, cure="what has arrived is kept")
        self.hub.cut_after = None
        (self.store / "toy" / "toy.gguf.partial").write_bytes(self.data)
        self.assertEqual(self.pull(self.url).read_bytes(), self.data)

    def test_a_hash(self):
        wrong = "0" * 64
        self.pull_fails(1, self.url, "--sha256", wrong, cause=[sha256(self.data), wrong], cure="again")
        self.assertEqual(self.pull(self.url, "--sha256", sha256(self.data).upper()).read_bytes(), self.data)
        self.hub.take_requests()
        self.pull(self.url, "--sha256", sha256(self.data))
        self.assertEqual(self.hub.take_requests(), [])

    def test_html_page_instead_of_gguf(self):
        self.hub.files["toy.gguf"] = b"<html>Please log in</html>"
        self.pull_fails(1, self.url, cause=["not a GGUF file", self.url], cure="URL")
        self.assertEqual((self.partial_files(), self.listing()), ([], {}))

    def test_not_found(self):
        self.pull_fails(1, f"{self.hub.url}/blob/other.gguf", cause="HTTP 404", cure="URL")
        self.assertEqual((self.partial_files(), self.listing()), ([], {}))
        self.assertFalse((self.store / "other").exists())


class TermsTest(PullTest):
    def test_shown_before_the_first_download(self):
        self.hub.files = directory("gemma2")
        (self.store / ".terms-shown").unlink()
        self.succeeds_quietly("pull", "hf://owner/toy", "--quiet")
        result = gemma("pull", "hf://owner/toy")
        self.assertRegex(result.stderr.decode(), rf"\Agemma: [^\n]+{TERMS}\ngemma: its name here is toy\n\Z")
        self.pull("hf://owner/toy", "--name", "other")


class ProgressTest(PullTest):
    def test_on_a_terminal(self):
        for quiet in (False, True):
            self.hub.files = directory("gemma2")
            self.hub.cut_after = 200_000
            self.hub.hold = threading.Event()
            terminal, child = pty.openpty()
            process = self.start("pull", "hf://owner/toy", "--name", f"toy{quiet}", *(["--quiet"] if quiet else []),
                                 stderr=child)
            os.close(child)
            partial = self.store / f"toy{quiet}" / "model.safetensors.partial"
            self.wait_for(lambda: partial.exists() and partial.stat().st_size == 200_000)
            time.sleep(0.5)  # Shorter tasks show no progress.
            self.hub.hold.set()
            process.wait(timeout=60)
            shown = b""
            while True:
                try:
                    data = os.read(terminal, 4096)
                except OSError:
                    break
                if not data:
                    break
                shown += data
            os.close(terminal)
            self.assertEqual(process.returncode, 0)
            if quiet:
                self.assertEqual(shown, b"")
            else:
                self.assertRegex(shown.decode(), r"model\.safetensors +\d+ %, [\d.]+ MB/s, \d+ s left")
                self.assertTrue(shown.endswith(b"\r\x1b[K"), shown)


if __name__ == "__main__":
    unittest.main()
