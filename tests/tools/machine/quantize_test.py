#!/usr/bin/env python3
"""gemma quantize and gemma verify-file: they write the right files, and never change other files."""
import json
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import time
import unittest

from command import BINARY, MODELS, TESTDATA, CommandTest, compares_results, gemma, read_gguf, toy_models

TOY = MODELS / "gemma2"
GGUF = ["--layout", "gguf"]
KEEP = ["--type", "keep", *GGUF]
BF16 = ["--type", "bf16", *GGUF]


class QuantizeTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.target = self.folder / "m.gguf"

    def quantize(self, source, *options, target=None):
        return self.succeeds_quietly("quantize", source, target or self.target, *options)

    def logits(self, model):
        output = self.folder / "logits.npy"
        self.succeeds("logits", model, "--tokens", "2,17,4,59,5,60,3", "--output", output)
        data = output.read_bytes()
        output.unlink()
        return data

    def files(self):
        return sorted(path.name for path in self.folder.iterdir())

    @compares_results
    def test_toys_keep_their_logits(self):
        for folder in toy_models():
            if folder.name == "vaultgemma":
                self.fails(1, "quantize", folder, self.folder / "none.gguf", *KEEP, says="for which GGUF has no keys")
                continue
            with self.subTest(folder.name):
                self.quantize(folder, *KEEP, "--force")
                self.assertEqual(self.logits(self.target), self.logits(folder))
                self.assertIn("as they were written", self.succeeds_quietly("verify-file", self.target))

    def test_says_what_was_written(self):
        line = self.quantize(TOY, *BF16)
        sizes = [json.loads(self.succeeds("inspect", path, "--json"))["weight_bytes"] / 1000
                 for path in (TOY, self.target)]
        self.assertRegex(line, rf"\A\S+/m\.gguf  {sizes[0]:.0f} kB → {sizes[1]:.0f} kB, 16\.\d+ bits/weight "
                               r"\(source: 32\.000\)\n\Z")

    def test_gguf_names_and_keys(self):
        for name, theirs in (("gemma2", "gemma2.gguf"), ("gemma3", "gemma3.gguf"),
                             ("recurrent_gemma", "recurrent_gemma.gguf")):
            self.quantize(MODELS / name, *KEEP, "--force")
            keys, tensors = read_gguf(self.target)
            wanted_keys, wanted = read_gguf(TESTDATA / "gguf" / theirs)
            self.assertEqual(set(tensors), set(wanted))
            for key, value in wanted_keys.items():
                self.assertEqual(keys[key], value, key)
            for tensor, (kind, shape, data) in wanted.items():
                self.assertEqual(tensors[tensor], (kind, shape, data), tensor)

    def test_gemma4_keys(self):
        for name in ("gemma4_e2b", "gemma4_moe", "gemma4_31b"):
            self.quantize(MODELS / name, *KEEP, "--force")
            keys, tensors = read_gguf(self.target)
            for key, value in read_gguf(TESTDATA / "gguf" / f"{name}.gguf")[0].items():
                self.assertEqual(keys[key], value, key)
            self.assertIn("rope_freqs.weight", tensors)

    def test_gemma3n_keys_and_tensors(self):
        self.succeeds("quantize", MODELS / "gemma3n", self.target, *KEEP, "--force")
        keys, tensors = read_gguf(self.target)
        wanted_keys, wanted = read_gguf(TESTDATA / "gguf/gemma3n.gguf")
        for key, value in wanted_keys.items():
            self.assertEqual(keys[key], value, key)
        self.assertEqual(set(tensors), set(wanted))
        for name, (kind, shape, data) in wanted.items():
            if re.fullmatch(r"blk\.[34]\.attn_(k|v|k_norm)\.weight", name):
                data = bytes(len(data))  # of layers that use those of others
            elif name == "per_layer_token_embd.weight":  # tokens without a row use the first
                rows = tensors["token_embd.weight"][1][0]
                data += data[:len(data) // shape[0]] * (rows - shape[0])
                shape = [rows, *shape[1:]]
            self.assertEqual(tensors[name], (kind, shape, data), name)

    def test_tables_and_experts_apart(self):
        def types(model, *options):
            self.quantize(MODELS / model, *options, "--force")
            report = json.loads(self.succeeds("inspect", self.target, "--json"))
            return {tensor["name"]: tensor["type"] for tensor in report["tensors"]}

        table = "per_layer_token_embd.weight"
        self.assertEqual(types("gemma4_e2b", "--type", "q8")[table], "BF16")  # its rows are no whole blocks
        self.assertEqual(types("gemma4_e2b", "--type", "q8", "--table-type", "keep")[table], "F32")
        found = types("gemma4_moe", "--type", "q8", "--expert-type", "q4_0")
        self.assertEqual([found[f"blk.0.ffn_{part}.weight"] for part in ("down", "down_exps", "gate_inp")],
                         ["Q8_0", "Q4_0", "F32"])
        self.fails(1, "quantize", MODELS / "gemma4_e2b", self.target, "--force", "--table-type", "q5",
                   says=["table_type is q5", "row by row"])

    def test_a_gguf_files_keys_stay(self):
        source = TESTDATA / "gguf" / "gemma3_mixed.gguf"
        self.quantize(source, *KEEP)
        text = self.target.read_bytes()
        for words in (b"tokenizer.chat_template", b"<start_of_turn>", b"tokenizer.ggml.scores"):
            self.assertIn(words, text)
        prompt = "the model of 2 <h1>users</h1>\n\n\tand more"
        self.assertEqual(self.succeeds("tokenize", self.target, prompt), self.succeeds("tokenize", source, prompt))
        self.assertEqual(self.logits(self.target), self.logits(source))
        # A file made from its output has the same bytes.
        again = self.folder / "again.gguf"
        self.quantize(self.target, *KEEP, target=again)
        self.assertEqual(again.read_bytes(), self.target.read_bytes())

    def test_the_same_bytes_each_time(self):
        self.quantize(MODELS / "recurrent_gemma", *BF16, "--threads", 1)
        first = self.target.read_bytes()
        for threads in (1, 2, 7):
            self.quantize(MODELS / "recurrent_gemma", *BF16, "--threads", threads, "--force")
            self.assertEqual(self.target.read_bytes(), first)

    def test_replaces_only_with_force(self):
        self.target.write_text("mine")
        self.fails(1, "quantize", TOY, self.target, *KEEP, says="m.gguf: already exists", cure="--force")
        self.assertEqual(self.target.read_text(), "mine")
        self.quantize(TOY, *KEEP, "--force")
        self.assertEqual(self.files(), ["m.gguf"])

    def test_targets_that_cannot_be(self):
        self.fails(1, "quantize", TOY, self.folder / "no" / "m.gguf", *KEEP, says="No such file", cure="directory")
        for force in ([], ["--force"]):
            self.fails(1, "quantize", TOY, self.folder, *KEEP, *force, says="is a directory, wanted a file")
        if os.getuid() != 0:
            self.folder.chmod(0o500)
            self.fails(1, "quantize", TOY, self.target, *KEEP, says="Permission denied")
            self.folder.chmod(0o700)
        self.assertEqual(self.files(), [])

    def test_sources_that_cannot_be(self):
        self.fails(1, "quantize", self.folder / "none", self.target, *KEEP, says="none", cure="gemma list")
        self.fails(1, "quantize", self.folder, self.target, *KEEP, says="is a directory without a model",
                   cure="gemma pull")
        (self.folder / "text").write_text("no model")
        self.fails(1, "quantize", self.folder / "text", self.target, *KEEP, says="is a text, not a model",
                   cure="the first argument")
        self.assertEqual(self.files(), ["text"])

    def test_the_source_is_no_target(self):
        source = self.folder / "source.gguf"
        shutil.copy(TESTDATA / "gguf" / "gemma.gguf", source)
        (self.folder / "link").symlink_to("source.gguf")
        (self.folder / "same").hardlink_to(source)
        before = source.read_bytes()
        for name in ("source.gguf", "link", "same"):
            self.fails(1, "quantize", source, self.folder / name, *BF16, "--force", says="wanted another file")
            # --force would not help.
            self.fails(1, "quantize", source, self.folder / name, *BF16, says="is the input")
        self.assertEqual(source.read_bytes(), before)
        self.assertEqual(self.files(), ["link", "same", "source.gguf"])

    def test_source_files_are_no_targets(self):
        folder = self.folder / "hf"
        shutil.copytree(MODELS / "embedding_gemma", folder)
        (folder / "tokenizer.json").rename(self.folder / "blob")
        (folder / "tokenizer.json").symlink_to(self.folder / "blob")
        (folder / "README.md").write_text("mine")
        (self.folder / "link").symlink_to(folder / "config.json")
        (self.folder / "same").hardlink_to(folder / "config.json")
        files = [path for path in folder.rglob("*") if path.is_file()]
        self.assertGreater(len({path.parent for path in files}), 2)  # also files of modules
        before = {path: path.read_bytes() for path in files}
        for path in [*files, *(self.folder / name for name in ("blob", "link", "same"))]:
            self.fails(1, "quantize", folder, path, "keep", "--force", says=[str(path), "wanted another file"])
        self.assertEqual({path: path.read_bytes() for path in files}, before)
        self.assertTrue((folder / "tokenizer.json").is_symlink())
        # A file that was made from the folder, in the folder, is a different model.
        target = folder / "m.gguf"
        self.quantize(folder, "keep", target=target)
        self.quantize(folder, "keep", "--force", target=target)

    def test_the_importance_is_no_target(self):
        path = self.folder / "importance.gguf"
        path.write_bytes(b"mine")
        self.fails(1, "quantize", TOY, path, "keep", "--importance", path, "--force", says="wanted another file")
        self.assertEqual(path.read_bytes(), b"mine")

    def test_weights_that_are_not_finite(self):
        folder = self.folder / "hf"
        shutil.copytree(TOY, folder)
        weights = folder / "model.safetensors"
        data = bytearray(weights.read_bytes())
        data[-4:] = struct.pack("<f", float("nan"))
        weights.write_bytes(data)
        self.fails(1, "quantize", folder, self.target, *KEEP,
                   says=["model.safetensors: tensor 'model.", "row ", "column "])
        self.assertEqual(self.files(), ["hf"])

    def test_wrong_use(self):
        self.fails(2, "quantize", TOY, says="DST", cure="gemma quantize SRC DST [TYPE]")
        self.fails(2, "quantize", TOY, self.target, "--type", "q7", says="q7")
        self.fails(2, "quantize", TOY, self.target, "--type", "bf16", "--layout", "zip", says="zip")
        self.fails(2, "quantize", TOY, self.target, *BF16, "--bits", "few", says="few")
        self.fails(2, "quantize", TOY, self.target, *BF16, "--threads", "-1", says="-1")
        self.assertEqual(self.files(), [])

    def test_type_as_others_write_it(self):
        self.fails(2, "quantize", TOY, self.target, says="which type?", cure="keep writes the same weights")
        self.assertFalse(self.target.exists())
        self.succeeds_quietly("quantize", TOY, self.target, "Q4_0")
        wanted = self.target.read_bytes()
        self.succeeds_quietly("quantize", TOY, self.target, "--type", "q4_0", "--force")
        self.assertEqual(self.target.read_bytes(), wanted)
        self.fails(2, "quantize", TOY, self.target, "Q4_K_M", says=["'Q4_K_M' is not one of", "the nearest is q4"])
        self.fails(2, "run", TOY, "x", "--quantize", "Q8_0", says="the nearest is q8")
        self.fails(2, "quantize", TOY, self.target, "q4", "--type", "q8", says="TYPE is given, too")
        self.fails(2, "quantize", TOY, self.target, "q4", "--bits", 5, says=["--bits", "--type"])

    def test_second_time_is_noted(self):
        source = TESTDATA / "gguf" / "gemma3_mixed.gguf"
        for options, noted in ((["q4"], True), (["--bits", 5], True), (["keep"], False), (["bf16"], False)):
            result = gemma("quantize", source, self.target, *options, "--force")
            self.assertEqual(result.returncode, 0, result)
            self.assertEqual(b"are quantized already" in result.stderr, noted, options)
        mixed = gemma("quantize", source, self.target, "--bits", 4.4, "--force").stderr.decode()
        types = json.loads(self.succeeds("inspect", source, "--json"))["types"]
        named = sorted(kind["type"] for kind in types if 4.4 < kind["bits_per_weight"] < 16)
        self.assertGreater(len(named), 2)
        self.assertIn(f"already ({', '.join(named)}): ", mixed)
        self.succeeds_quietly("quantize", TOY, self.target, "q4", "--force")

    def test_kept_weights_are_noted(self):
        q8 = self.folder / "q8.gguf"
        self.quantize(TOY, "q8", target=q8)
        note = gemma("quantize", q8, self.target, "bf16").stderr.decode()
        self.assertEqual(note, "gemma: nothing is converted to bf16: the weights (Q8_0) have fewer bits, and are kept, as "
                               "with the type keep\n")
        source = TESTDATA / "gguf" / "gemma3_mixed.gguf"
        types = json.loads(self.succeeds("inspect", source, "--json"))["types"]
        kept = sorted(kind["type"] for kind in types if kind["bits_per_weight"] < 6.5)
        self.assertIn(f"weights that have fewer bits than q6 are kept as they are: {', '.join(kept)}\n",
                      gemma("quantize", source, self.target, "q6", "--force").stderr.decode())
        self.quantize(q8, "keep", target=self.folder / "same.gguf")
        self.quantize(q8, "q8", target=self.folder / "q8_again.gguf")

    def test_type_from_a_variable(self):
        environment = dict(os.environ, GEMMA_TYPE="bf16", GEMMA_LAYOUT="gguf")
        self.succeeds_quietly("quantize", TOY, self.target, env=environment)
        self.assertEqual(read_gguf(self.target)[0]["general.file_type"], 32)


class TypesTest(CommandTest):
    """Packed files, types and budgets. gemma3's rows are whole blocks, gemma2_odd's rows are not."""

    def setUp(self):
        super().setUp()
        self.target = self.folder / "m.gguf"

    def logits(self, model, *options):
        output = self.folder / "logits.npy"
        self.succeeds("logits", model, "--tokens", "2,17,4,59,5,60,3", "--output", output, *options)
        data = output.read_bytes()
        output.unlink()
        return data

    @compares_results
    def test_packed_unchanged_if_kept(self):
        for folder in toy_models():
            if folder.name == "vaultgemma":
                continue
            with self.subTest(folder.name):
                self.succeeds_quietly("quantize", folder, self.target, "keep", "--force")
                self.assertEqual(self.logits(self.target), self.logits(folder))
                self.assertIn("as they were written", self.succeeds_quietly("verify-file", self.target))

    @compares_results
    def test_types_equal_loaded_ones(self):
        sizes = []
        for kind in ("bf16", "q8", "q6", "q5", "q4", "q4s"):
            with self.subTest(kind):
                self.succeeds_quietly("quantize", MODELS / "gemma3", self.target, "--type", kind, "--force")
                self.assertEqual(self.logits(self.target), self.logits(MODELS / "gemma3", "--quantize", kind))
                _, tensors = read_gguf(self.target)
                packed = {number for number, shape, _ in tensors.values() if len(shape) == 2}
                self.assertTrue(all(number >= 0x6E00 for number in packed), packed)
                sizes.append(self.target.stat().st_size)
        self.assertEqual(sizes, sorted(sizes, reverse=True))

    def test_gguf_refuses_packed_types(self):
        for kind in ("q5", "q4s"):
            self.fails(2, "quantize", MODELS / "gemma3", self.target, "--type", kind, *GGUF,
                       says=["--type " + kind, "wanted q6" if kind == "q5" else "wanted q4", "--layout packed"])
        self.fails(2, "quantize", MODELS / "gemma3", self.target, "Q5_0", *GGUF,
                   says="the nearest is q5, with --layout gguf q6")
        self.assertFalse(self.target.exists())

    def test_bits(self):
        for bits in (6.5, 8):
            line = self.succeeds_quietly("quantize", MODELS / "gemma3", self.target, "--bits", bits, "--force")
            self.assertLessEqual(float(re.search(r"([\d.]+) bits/weight", line)[1]), bits)
            self.logits(self.target)
        # In so small a model, norms in float32 and the units of rows are a large part.
        self.fails(1, "quantize", MODELS / "gemma3", self.target, "--bits", 4.5, "--force",
                   says=["4.5 bits for each weight are too few", "the smallest formats take"])
        self.fails(1, "quantize", MODELS / "gemma2_odd", self.target, "--bits", 4.5, "--force", says="are too few")
        self.fails(2, "quantize", MODELS / "gemma3", self.target, "--bits", 99, "--force", says="--bits: '99'")

    def test_packed_is_the_last_step(self):
        self.succeeds_quietly("quantize", MODELS / "gemma3", self.target, "--type", "bf16")
        other = self.folder / "other.gguf"
        says = "m.gguf: is packed already"
        self.fails(1, "quantize", self.target, other, "--type", "q4", says=says)
        self.fails(1, "quantize", self.target, other, *GGUF, says=says)
        self.fails(1, "quantize", self.target, other, "--bits", 8, says=says)
        self.fails(1, "run", self.target, "Hi", "--quantize", "q4", says=says)
        self.succeeds_quietly("quantize", self.target, other, "--type", "keep")
        self.assertEqual(other.read_bytes(), self.target.read_bytes())

    def test_quantize_while_loading(self):
        source = TESTDATA / "gguf" / "gemma3_mixed.gguf"
        self.succeeds("run", source, "the model", "--quantize", "q4", "-n", 4, "--temperature", 0)
        text = self.folder / "text"
        text.write_text("the model of 2 users and more")
        lines = {kind: self.succeeds("perplexity", source, "--file", text, "--quantize", kind)
                 for kind in ("keep", "q4")}
        self.assertNotEqual(lines["keep"], lines["q4"])
        self.assertEqual(lines["keep"], self.succeeds("perplexity", source, "--file", text))
        self.fails(2, "run", source, "Hi", "--quantize", "q7", says="q7")


class OptionsTest(CommandTest):
    def test_wrong_options(self):
        target = self.folder / "m.gguf"
        for options, says in ((["--bits", "-1"], "--bits: '-1' is not 0 (none) or from 1 to 32"),
                              (["--bits", "99"], "--bits: '99' is not"),
                              (["--bits", "0.5"], "--bits: '0.5' is not"),
                              (["--bits", "4.75", "--type", "q4"], "--bits and --type exclude each other"),
                              (["--layout", "gguf", "--type", "q4s"], "--type q4s: gemma writes this type in its own layout only")):
            self.fails(2, "quantize", MODELS / "gemma2", target, *options, says=says)
        self.assertFalse(target.exists())


class WordsTest(CommandTest):
    """Words in a wrong place, and names that promise another file."""

    def test_the_order_is_told(self):
        for words in (["q4", TOY, "a.gguf"], [TOY, "Q4_K_M", "a.gguf"]):
            self.fails(2, "quantize", *words, says="'a.gguf' is not one of", cwd=self.folder)
            line = gemma("quantize", *words, cwd=self.folder).stderr.decode()
            self.assertIn("the order is gemma quantize SRC DST TYPE", line)
        for kind in ("q4", "Q4_K_M"):
            self.fails(2, "quantize", TOY, kind, says="quantize: DST is required",
                       cure=f"gemma quantize SRC DST TYPE: gemma quantize {TOY} FILE.gguf {kind}", cwd=self.folder)
        for option in ("-o", "--output", "--outfile"):
            self.fails(2, "quantize", TOY, option, "g.gguf", says=f"quantize has no option {option}",
                       cure="DST is the file to write")
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_names_of_other_formats(self):
        for name in ("k.safetensors", "k.BIN", "k.sbs"):
            self.fails(2, "quantize", TOY, self.folder / name, "q8", says="quantize writes a GGUF file",
                       cure=f"name it {self.folder}/k.gguf")
        result = gemma("quantize", TOY, self.folder / "k", "q8")
        self.assertEqual(result.returncode, 0, result)
        self.assertIn(b"/k: is a GGUF file, which other programs know by the ending .gguf\n", result.stderr)

    def test_force_where_it_helps(self):
        source, pipe = self.folder / "source.gguf", self.folder / "pipe"
        shutil.copy(TESTDATA / "gguf" / "gemma.gguf", source)
        os.mkfifo(pipe)
        for force in ([], ["--force"]):
            self.fails(1, "quantize", source, source, "q8", *force, says="is the input")
            self.fails(1, "quantize", source, pipe, "q8", *force, says="is a special file")
        with open(self.folder / "out", "wb") as out:  # never with --force: a fault would replace the link
            result = subprocess.run([BINARY, "quantize", source, "/dev/stdout", "q8"], stdout=out,
                                    stderr=subprocess.PIPE, check=False)
        self.assertEqual(result.stderr, b"gemma: /dev/stdout: is a special file, wanted a regular file\n")


class EndsTest(CommandTest):
    """The target is unchanged or complete, and no other file is left in its folder."""

    def setUp(self):
        super().setUp()
        self.source = self.large_model()
        self.target = self.folder / "out" / "m.gguf"
        self.target.parent.mkdir()
        self.target.write_text("old")

    def large_model(self):
        """Returns the toy with more rows, about 64 MB in float32: slow enough to be stopped at any step."""
        folder = self.folder / "large"
        folder.mkdir()
        config = (TOY / "config.json").read_text()
        data = (TOY / "model.safetensors").read_bytes()
        size, = struct.unpack("<Q", data[:8])
        header = json.loads(data[8:8 + size])
        fields = json.loads(config)
        body = data[8 + size:]
        name = "model.embed_tokens.weight"
        rows, cols = header[name]["shape"]
        begin, end = header[name]["data_offsets"]
        times = (64 << 20) // (end - begin)
        rest = {key: body[slice(*value["data_offsets"])] for key, value in header.items() if key not in (name, "__metadata__")}
        out = {name: {"dtype": "F32", "shape": [rows * times, cols], "data_offsets": [0, (end - begin) * times]}}
        at = (end - begin) * times
        for key, values in rest.items():
            out[key] = dict(header[key], data_offsets=[at, at + len(values)])
            at += len(values)
        text = json.dumps(out).encode()
        with open(folder / "model.safetensors", "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for _ in range(times):
                file.write(body[begin:end])
            for values in rest.values():
                file.write(values)
        fields["vocab_size"] = rows * times
        (folder / "config.json").write_text(json.dumps(fields))
        return folder

    def arguments(self):
        return ["quantize", self.source, self.target, *BF16, "--force"]

    def files(self):
        return [path.name for path in self.target.parent.iterdir()]

    def check_old_or_complete(self, killed=False):
        # The finished file has a second name for a moment, before it replaces the old one.
        for name in self.files() if killed else []:
            if re.fullmatch(r"m\.gguf\.\w{6}", name):
                self.succeeds_quietly("verify-file", self.target.with_name(name))
                self.target.with_name(name).unlink()
        self.assertEqual(self.files(), ["m.gguf"])
        if self.target.read_bytes() == b"old":
            return "old"
        self.assertIn("as they were written", self.succeeds_quietly("verify-file", self.target))
        self.target.write_text("old")
        return "new"

    def duration(self):
        start = time.monotonic()
        self.succeeds_quietly(*self.arguments())
        return time.monotonic() - start

    @compares_results
    def test_killed_at_any_moment(self):
        duration = self.duration()
        self.target.write_text("old")
        moments = random.Random(0)
        found = []
        for _ in range(30):
            process = self.start(*self.arguments())
            time.sleep(moments.uniform(0, 1.2 * duration))
            process.send_signal(signal.SIGKILL)
            process.wait()
            found.append(self.check_old_or_complete(killed=True))
        self.assertIn("old", found)

    def test_interrupted(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start(*self.arguments())
            time.sleep(0.02)
            process.send_signal(number)
            process.wait()
            if process.returncode == 0:
                self.check_old_or_complete()
                continue
            self.assertIn(process.returncode, (128 + number, -number))  # -number: the handler was not installed yet
            self.assertEqual(self.check_old_or_complete(), "old")

    def test_no_space(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        self.fails(1, *self.arguments(), says=["m.gguf: ", "large"], preexec_fn=limit)
        self.assertEqual(self.check_old_or_complete(), "old")

    def test_disk_full(self):
        disk = self.folder / "disk"
        disk.mkdir()
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False)
        if mount.returncode != 0:
            self.skipTest("mount is not permitted")
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        self.target = disk / "m.gguf"
        self.target.write_text("old")
        self.fails(1, *self.arguments(), says=["m.gguf: ", "No space left"])
        self.assertEqual(self.check_old_or_complete(), "old")


class VerifyFileTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.file = self.folder / "m.gguf"
        self.succeeds_quietly("quantize", TOY, self.file, *KEEP)

    def test_changed_tensors_are_named(self):
        good = self.file.read_bytes()
        _, tensors = read_gguf(self.file)
        self.assertGreater(len(tensors), 10)
        at = 0
        for name, (_, _, data) in tensors.items():
            at = good.index(data, at)
            bad = bytearray(good)
            bad[at + len(data) // 2] ^= 1
            self.file.write_bytes(bad)
            self.fails(1, "verify-file", self.file, says=f"tensor '{name}' has the checksum", cure="fetch it again")

    def test_cut_and_foreign_files(self):
        good = self.file.read_bytes()
        self.file.write_bytes(good[:len(good) // 2])
        self.fails(1, "verify-file", self.file, says="m.gguf", cure="fetch it again")
        foreign = TESTDATA / "gguf" / "gemma.gguf"
        self.assertIn("no checksums", self.succeeds_quietly("verify-file", foreign))
        self.fails(1, "verify-file", self.folder / "none", says="No such file", cure="gemma list")
        self.fails(1, "verify-file", TOY, says="directory")
        self.fails(2, "verify-file", says="MODEL", cure="")


if __name__ == "__main__":
    unittest.main()
