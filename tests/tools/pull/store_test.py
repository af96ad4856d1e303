#!/usr/bin/env python3
"""Tests gemma list, gemma remove, and names of models in place of paths."""
import json
import os
import pty
import re
import shutil
import subprocess
import unittest

from command import MODELS, gemma, write_record
from hub_server import COMMIT
from pulling import GGUF, PullTest, directory


class ListTest(PullTest):
    def test_what_was_pulled(self):
        self.assertEqual(self.listing(), {})
        result = gemma("list")
        self.assertRegex(result.stdout.decode(), r"\ANAME +KIND +SIZE +PULLED +PATH in \S+\n\Z")
        self.assertRegex(result.stderr.decode(), r"\Agemma: no model is pulled: gemma pull gemma-3-270m [^\n]+\n\Z")
        self.hub.files = directory("gemma2")
        self.pull("hf://owner/toy")
        self.hub.files = {"a.gguf": (GGUF / "gemma3.gguf").read_bytes()}
        self.pull("hf://owner/toy/a.gguf")
        (self.store / "mine").mkdir()
        rows = self.listing()
        self.assertEqual(list(rows), ["a", "toy"])
        self.assertEqual({key: rows["a"][key] for key in ("kind", "bytes", "path", "source", "complete", "revision")},
                         {"kind": "GGUF", "bytes": len(self.hub.files["a.gguf"]), "path": str(self.store / "a/a.gguf"),
                          "source": "hf://owner/toy/a.gguf", "complete": True, "revision": COMMIT})
        self.assertRegex(rows["toy"]["pulled_at"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")
        text = self.succeeds_quietly("list")
        self.assertRegex(text, r"(?m)^toy +safetensors +[\d.]+ kB +just now +toy$")
        self.assertTrue(text.splitlines()[0].endswith(f"PATH in {self.store}"))
        record = self.store / "toy/gemma-pull.json"
        record.write_text(re.sub(r"\d{4}(-\d\d-\d\dT\S+Z)", r"2020\1", record.read_text()))
        self.assertRegex(self.succeeds_quietly("list"), r"(?m)^toy +safetensors +[\d.]+ kB +\d+ years ago +toy$")

    def test_the_catalogue(self):
        rows = self.listing("--all")
        gated = [row["gated"] for row in rows.values()]
        self.assertEqual(gated, sorted(gated, key=[False, True, None].index))
        first = next(iter(rows.values()))  # the smallest that chats well
        self.assertEqual((first["name"], first["gated"]), ("gemma-3-1b-it-q4", False))
        self.assertLess(max(first["bytes"], first["memory"]), 10**9)
        for name, row in rows.items():
            self.assertIsNone(row["path"])
            new = name.startswith(("gemma-4-", "embeddinggemma-2"))
            self.assertEqual(row["licence"], "Apache-2.0" if new else "Gemma Terms of Use")
            self.assertGreater(row["bytes"], 10**8)
            self.assertGreater(row["memory"], 10**8)
            self.fails(1, "inspect", name, says="not pulled", cure=f"gemma pull {name} fetches it")
        for name in ("gemma-3n-E2B", "gemma-3n-E2B-it", "gemma-3n-E4B", "gemma-3n-E4B-it"):
            self.assertEqual(rows[name.lower()]["source"], f"hf://google/{name}")
        for size in ("E2B", "E4B", "12B", "26B-A4B", "31B"):
            for ending in ("", "-it"):
                row = rows[f"gemma-4-{size.lower()}{ending}"]
                self.assertEqual(row["source"], f"hf://google/gemma-4-{size}{ending}")
            quantized = rows[f"gemma-4-{size.lower()}-it-qat"]
            self.assertEqual(quantized["source"], f"hf://google/gemma-4-{size}-it-qat-q4_0-gguf")
            self.assertLess(quantized["bytes"], row["bytes"] / 3)
        for size in ("1b", "4b"):
            self.assertEqual(rows[f"gemma-3-{size}-it-qat"]["source"], f"hf://google/gemma-3-{size}-it-qat-q4_0-gguf")

    def test_catalogue_is_in_groups(self):
        text = self.succeeds_quietly("list", "--all")
        open_, gated, unknown = re.split(r"\n\n", text)
        self.assertRegex(open_, r"\AOpen\nNAME +DOWNLOAD +MEMORY +MODEL\n"
                                r"gemma-3-1b-it-q4 +~806 MB +~950 MB +Gemma 3 1B, chats, Q4_K_M\n")
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
        self.assertRegex(open_, r"(?m)^gemma-3-270m +253 MB ")
        self.assertRegex(gated, r"\AGated: accept the terms at huggingface.co, and set HF_TOKEN\nNAME ")
        self.assertRegex(unknown, r"\ANot checked: may be gated; HF_TOKEN then opens them\nNAME ")
        self.assertIn("gemma-4-31b ", unknown)
        self.hub.files = directory("gemma2")
        self.pull("hf://owner/toy")
        text = self.succeeds_quietly("list", "--all")
        self.assertRegex(text, r"\ANAME +KIND +SIZE +PULLED +PATH in [^\n]*\ntoy [^\n]*\n\nOpen\n")

    def test_bare_pull_tells_size(self):
        # No program is found that could fetch the package.
        error = gemma("pull", env={**os.environ, "PATH": str(self.folder)}).stderr.decode()
        self.assertRegex(error, r"\Agemma: fetching gemma-3-270m, Gemma 3 270M, base, Q4_K_M, 253 MB; "
                                r"one that chats: gemma pull gemma-3-1b-it-q4, 806 MB\n")
        self.assertNotIn("fetching", gemma("pull", "gemma-3-270m", env={**os.environ, "PATH": ""}).stderr.decode())
        self.assertRegex(self.succeeds_quietly("pull", "--help"), r"\(default:\s+gemma-3-270m,\s+253\s+MB\)")

    def test_catalogue_uses_endpoint(self):
        self.pull_fails(1, "gemma-3-1b-it", cause="hf://google/gemma-3-1b-it", cure="models")
        self.assertEqual([r.path for r in self.hub.take_requests()],
                         ["/api/models/google/gemma-3-1b-it/revision/main?blobs=true"])

    def test_where_models_are(self):
        self.hub.files = directory("gemma2")
        self.set_environment("GEMMA_MODELS", None)
        self.set_environment("XDG_CACHE_HOME", str(self.folder / "cache"))
        self.assertEqual(self.succeeds("pull", "hf://owner/toy"), f"{self.folder}/cache/gemma/models/toy\n")
        self.set_environment("XDG_CACHE_HOME", None)
        self.set_environment("HOME", str(self.folder / "home"))
        self.assertEqual(self.succeeds("pull", "hf://owner/toy"), f"{self.folder}/home/.cache/gemma/models/toy\n")
        self.set_environment("HOME", None)
        self.fails(1, "list", says=["HOME", "GEMMA_MODELS"])
        self.fails(1, "inspect", "toy", says="GEMMA_MODELS")
        self.succeeds_quietly("inspect", MODELS / "gemma2")  # A path needs no store.


class NameTest(PullTest):
    def test_a_path_wins(self):
        self.hub.files = directory("gemma2")
        self.pull("hf://owner/toy")
        work = self.folder / "work"
        work.mkdir()
        shutil.copytree(MODELS / "gemma3", work / "toy")
        config = json.loads(self.succeeds_quietly("inspect", "toy", "--json", cwd=work))
        self.assertEqual(config["config"]["architecture"], "gemma3")
        config = json.loads(self.succeeds_quietly("inspect", "toy", "--json", cwd=self.folder))
        self.assertEqual(config["config"]["architecture"], "gemma2")

    def test_unknown_model_tells_the_cure(self):
        self.fails(1, "run", "gemma-3-270m", "x", says="not pulled", cure="gemma pull gemma-3-270m")
        self.fails(1, "tokenize", "gemma-3-270m", "x", says="not pulled", cure="gemma pull gemma-3-270m")
        self.fails(1, "run", "no-such", "x", says="no-such: No such file", cure="gemma list")
        self.fails(1, "run", "hf://owner/toy", "x", says="not a file", cure="gemma pull")
        self.fails(1, "run", "./no-such", "x", says="./no-such", cure="gemma list")
        for name, near in (("gemma3:1b", "gemma-3-1b-it-q4"), ("gemma-3-270m:latest", "gemma-3-270m"),
                           ("gemma3:latest", "gemma-3-1b-it-q4"), ("gemma2:2b", "gemma-2-2b-it"),
                           ("gemma3n:e4b", "gemma-3n-e4b-it"), ("gemma3:270m", "gemma-3-270m-it-q8"),
                           ("gemma3:1b-it-q4_K_M", "gemma-3-1b-it-q4"), ("gemma-3-1B-PT", "gemma-3-1b-pt"),
                           ("gemma3:270m-pt-q4_K_M", "gemma-3-270m")):
            self.fails(1, "run", name, "x", says=f"{name}: No such file or directory, and no pulled model has this name",
                       cure=f"did you mean {near}? gemma pull {near} fetches it")
        self.fails(1, "run", "llama3:8b", "x", says="llama3:8b", cure="gemma list")
        write_record(self.store, "gemma-3-270m")
        line = gemma("run", "gemma-3-270m:latest", "x").stderr.decode()
        self.assertTrue(line.endswith("gemma: did you mean gemma-3-270m?\n"), line)
        self.assertEqual(self.hub.take_requests(), [])  # These commands never download.

    def test_paths_are_no_repositories(self):
        (self.folder / "gone").symlink_to(self.folder / "none.gguf")
        for path, cure in (("bad/nothere.gguf", "gemma list"), ("models/x", "gemma list"), ("models/x.gguf", "gemma list")):
            line = self.fails(1, "run", path, "hi", says=f"{path}: No such file or directory", cure=cure, cwd=self.folder)
            self.assertNotIn("repository", line)
        self.fails(1, "run", "gone", "hi", says="gone: is a link to", cure="gemma list", cwd=self.folder)
        self.fails(1, "run", "file:///x.gguf", "hi", says="not a file", cure="its path, /x.gguf")
        self.fails(1, "run", "ollama.com/library/gemma3", "hi", says="No such file", cure="gemma pull gemma-3-1b-it-q4")
        self.fails(1, "run", "shieldgemma:2b", "hi", says="shieldgemma:2b", cure="gemma pull google/shieldgemma-2b")

    def test_source_of_pulled_model(self):
        self.hub.files = {"toy-Q4_K_M.gguf": (GGUF / "gemma3.gguf").read_bytes()}
        result = gemma("pull", "owner/toy:Q4_K_M")
        self.assertEqual((result.returncode, result.stderr), (0, b"gemma: its name here is toy-q4_k_m\n"), result)
        self.assertEqual(gemma("pull", "owner/toy:Q4_K_M", "--quiet").stderr, b"")
        for source in ("toy-q4_k_m", "owner/toy:Q4_K_M", "hf://owner/toy:q4_k_m", "hf.co/owner/toy:Q4_K_M"):
            self.succeeds_quietly("inspect", source)
        for source in ("owner/toy", "hf.co/owner/toy", "huggingface.co/owner/toy:Q8_0", "hf://owner/toy"):
            self.fails(1, "inspect", source, says=source,
                       cure=f"toy-q4_k_m is pulled from the same repository; gemma pull {source} fetches it")
        self.fails(1, "inspect", "hf.co/owner/tooy", says="not a file", cure="gemma: gemma pull hf.co/owner/tooy fetches")
        self.fails(1, "inspect", "owner/toy:Q8_0", says="No such file", cure="gemma pull owner/toy:Q8_0")


class RemoveTest(PullTest):
    def setUp(self):
        super().setUp()
        self.hub.files = directory("gemma2")
        self.pull("hf://owner/toy")

    def test_removes(self):
        said = self.succeeds_quietly("remove", "toy", "--yes")
        self.assertRegex(said, r"\Aremoved toy, [\d.]+ kB\n\Z")
        self.assertFalse((self.store / "toy").exists())
        self.assertEqual(self.listing(), {})
        self.fails(1, "remove", "toy", "--yes", says="toy: no model that gemma pull downloaded", cure="gemma list")
        self.fails(1, "inspect", "toy", says="No such file", cure="gemma list")

    def test_removes_module_folders(self):
        self.hub.files = directory("embedding_gemma")
        folder = self.pull("hf://owner/toy", "--name", "modules")
        outside = self.folder / "outside"
        outside.mkdir()
        (outside / "config.json").touch()
        (folder / "3_Dense" / "config.json").unlink()
        (folder / "3_Dense" / "model.safetensors").unlink()
        (folder / "3_Dense").rmdir()
        (folder / "3_Dense").symlink_to(outside)
        (folder / "2_Dense" / "model.safetensors.partial").touch()
        self.succeeds_quietly("remove", "modules", "--yes")
        self.assertFalse(folder.exists())
        self.assertTrue((outside / "config.json").exists())

    def test_asks_on_a_terminal_only(self):
        self.fails(2, "remove", "toy", says="--yes")
        self.fails(1, "remove", "nothere", says="nothere: no model that gemma pull", cure="gemma list")
        self.assertTrue((self.store / "toy").exists())
        for answer, code in ((b"n\n", 1), (b"\n", 1), (b"yes\n", 0)):
            terminal, child = pty.openpty()
            process = self.start("remove", "toy", stdin=child, stderr=subprocess.PIPE)
            os.close(child)
            os.write(terminal, answer)
            self.assertIn(b"Remove toy", process.stderr.read())
            self.assertEqual(process.wait(timeout=60), code)
            os.close(terminal)
            self.assertEqual((self.store / "toy").exists(), code != 0)

    def test_refuses_models_not_pulled(self):
        mine = self.store / "mine"
        shutil.copytree(MODELS / "gemma2", mine)
        for name in ("mine", str(mine), "../models/toy", ".", "..", "", "gemma-3-270m"):
            self.fails(1, "remove", name, "--yes", says=f"{name}: no model", cure="gemma list")
        self.assertTrue((mine / "config.json").exists())

    def test_leaves_files_of_others(self):
        mine = self.store / "toy" / "mine.txt"
        mine.write_text("mine")
        result = gemma("remove", "toy", "--yes")
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stderr.decode(), r"\Agemma: [^\n]+/toy: has other files, which stay\n\Z")
        self.assertEqual(list((self.store / "toy").iterdir()), [mine])

    def test_removes_link_not_target(self):
        target = self.folder / "precious"
        target.write_text("mine")
        config = self.store / "toy" / "config.json"
        config.unlink()
        config.symlink_to(target)
        self.succeeds_quietly("remove", "toy", "--yes")
        self.assertEqual(target.read_text(), "mine")

    def test_what_is_incomplete(self):
        self.hub.cut_after = 1000
        self.assertEqual(gemma("pull", "hf://owner/toy", "--name", "other").returncode, 1)
        row = self.listing()["other"]
        self.assertFalse(row["complete"])
        self.assertTrue(0 < row["bytes_here"] < row["bytes"], row)
        self.assertRegex(self.succeeds_quietly("list"), r"(?m)^other .*incomplete, [\d.]+ (B|kB) here ")
        self.assertEqual(self.succeeds_quietly("remove", "other", "--yes", "--quiet"), "")
        self.assertFalse((self.store / "other").exists())

    def test_wrong_use(self):
        self.fails(2, "remove", says="NAME", cure="")


if __name__ == "__main__":
    unittest.main()
