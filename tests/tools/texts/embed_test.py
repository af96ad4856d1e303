#!/usr/bin/env python3
"""gemma embed on toys of EmbeddingGemma, against what transformers computed."""
import json
import math
import os
import shutil
import unittest

from command import MODELS, TESTDATA, CommandTest, command_seconds, gemma, read_npy, read_npz

TOY = MODELS / "embedding_gemma"
BARE = TESTDATA / "gguf" / "gemma_embedding_bare.gguf"
TEXTS = (TOY / "texts.txt").read_text(encoding="utf-8").splitlines()
REFERENCE = read_npz(TOY / "embeddings.npz")
EXACT = ("--activations", "float32")


def rows(name):
    (count, size), values = REFERENCE[name]
    return [list(values[i * size:(i + 1) * size]) for i in range(count)]


class EmbedTest(CommandTest):
    def embed(self, *arguments, model=TOY, **options):
        return self.succeeds_quietly("embed", model, *EXACT, *arguments, **options)

    def lines(self, *arguments, **options):
        return [json.loads(line) for line in self.embed(*arguments, **options).splitlines()]

    def assert_near(self, actual, expected, limit=1e-5):
        self.assertEqual([len(row) for row in actual], [len(row) for row in expected])
        for found, wanted in zip(actual, expected):
            self.assertLessEqual(max(abs(a - b) for a, b in zip(found, wanted)), limit)

    def test_file_lines_equal_reference(self):
        self.assert_near(self.lines("--file", TOY / "texts.txt"), rows("unit_40"))

    def test_all_inputs_are_alike(self):
        expected = self.embed("--file", TOY / "texts.txt")
        text = (TOY / "texts.txt").read_bytes()
        self.assertEqual(self.embed(stdin=text), expected)
        self.assertEqual(self.embed("--file", "-", stdin=text), expected)
        self.assertEqual(self.embed(stdin=text.replace(b"\n", b"\r\n")), expected)
        self.assertEqual(self.embed(stdin=text.rstrip(b"\n")), expected)
        self.assertEqual(self.embed("--", *TEXTS), expected)
        self.fails(1, "embed", TOY, says="standard input: is empty, wanted a text on each line")

    def test_numbers_are_whole_float32(self):
        path = self.folder / "F.npy"
        said = self.embed("-f", TOY / "texts.txt", "-o", path)
        self.assertRegex(said, rf"\A{path}  {len(TEXTS)} texts, 40 dimensions, [\d.]+ (k?B)\n\Z")
        shape, values = read_npy(path.read_bytes())
        self.assertEqual(shape, (len(TEXTS), 40))
        self.assertIn("  1 text, 40 dimensions, ", self.embed("x", "-o", self.folder / "one.npy"))
        printed = [value for row in self.lines("--file", TOY / "texts.txt") for value in row]
        self.assertEqual(type(values)("f", printed), values)

    def test_dimensions_and_lengths(self):
        for size in (40, 32, 16, 1):
            self.assert_near(self.lines("--file", TOY / "texts.txt", "--dimensions", size), rows(f"unit_{size}"))
        self.assert_near(self.lines("--file", TOY / "texts.txt", "--no-normalize"), rows("embedding"), 2e-5)

    def test_prompts_stand_in_front(self):
        for arguments, words in ((["--prompt", "query"], "task: search result | query: "),
                                 (["--prompt", "document"], "title: none | text: "),
                                 (["--prompt", "document", "--title", "The end"], "title: The end | text: "),
                                 (["--prompt", "STS"], "task: sentence similarity | query: "),
                                 (["--prefix", "of {title} "], "of {title} ")):
            self.assertEqual(self.embed("the user", *arguments), self.embed(words + "the user"))

    def with_prompts(self, **config):
        folder = self.folder / "own"
        shutil.copytree(TOY, folder, dirs_exist_ok=True)
        (folder / "config_sentence_transformers.json").write_text(json.dumps({"similarity_fn_name": "cosine", **config}))
        return folder

    def test_prompts_of_the_folder(self):
        own = self.with_prompts(prompts={"query": "Q: ", "document": "title: none | D: ", "odd": "{title} "},
                                default_prompt_name=None)
        packed = self.folder / "packed.gguf"
        self.succeeds("quantize", own, packed, "--type", "keep")
        for model in (own, packed):
            for arguments, words in (([], ""), (["--prompt", "query"], "Q: "),
                                     (["--prompt", "document"], "title: none | D: "),
                                     (["--prompt", "document", "--title", "The end"], "title: The end | D: "),
                                     (["--prompt", "odd"], "{title} ")):
                self.assertEqual(self.embed("the user", *arguments, model=model),
                                 self.embed("--prefix", words, "the user") if words else self.embed("the user"))
            self.fails(2, "embed", model, "--prompt", "STS", "x", says=["no prompt 'STS'", "query, document, odd"])
            self.fails(2, "embed", model, "--prompt", "query", "--title", "t", "x", says="no place for a title")

    def test_default_prompt_of_the_folder(self):
        own = self.with_prompts(prompts={"query": "Q: ", "other": "O: "}, default_prompt_name="other")
        packed = self.folder / "packed.gguf"
        self.succeeds("quantize", own, packed, "--type", "keep")
        for model in (own, packed):
            self.assertEqual(self.embed("the user", model=model), self.embed("O: the user"))
            self.assertEqual(self.embed("the user", "--prompt", "query", model=model), self.embed("Q: the user"))
            self.assertEqual(self.embed("the user", "--no-prompt", model=model), self.embed("the user"))
            self.assertEqual(self.embed("the user", "--prefix", "P ", model=model), self.embed("P the user"))
            self.fails(2, "embed", model, "--prompt", "document", "x",
                       says=["no prompt 'document'", "wanted one of query, other"])
            self.fails(2, "embed", model, "--no-prompt", "--prompt", "query", "x", says="--no-prompt excludes")

    def test_published_prompts_are_completed(self):
        own = self.with_prompts(prompts={"query": "task: search result | query: ",
                                         "document": "title: none | text: "})
        self.assertEqual(self.embed("the user", "--prompt", "FactChecking", model=own),
                         self.embed("task: fact checking | query: the user"))

    def test_own_prompts_only(self):
        own = self.with_prompts(prompts={"ask": "A: "})
        for name in ("query", "document", "STS"):
            self.fails(2, "embed", own, "--prompt", name, "x", says=[f"no prompt '{name}'", "wanted one of ask"])
        own = self.with_prompts(prompts={"query": "", "document": ""})
        self.assertEqual(self.embed("the user", "--prompt", "document", model=own), self.embed("the user"))
        own = self.with_prompts(prompts={})
        self.fails(2, "embed", own, "--prompt", "query", "x", says="no prompt 'query': the model's files have none")

    def test_many_prompts_load_fast(self):
        wanted = self.embed("7: the user")
        seconds = []
        for count in (50_000, 200_000):
            own = self.with_prompts(prompts={f"name{i}": f"{i}: " for i in range(count)})
            begin = command_seconds()
            self.assertEqual(self.embed("the user", "--prompt", "name7", model=own), wanted)
            seconds.append(command_seconds() - begin)
        self.assertLess(seconds[1], 9 * seconds[0])  # 4 times, or 16 times if it grows with the square
        self.fails(2, "embed", own, "--prompt", "STS", "x", says=" and 199980 more")

    def test_wrong_prompts_are_named(self):
        for config, says in (({"prompts": {"query": 3}}, "'prompts.query' is 3"), ({"prompts": []}, "'prompts'"),
                             ({"default_prompt_name": "no"}, "'default_prompt_name' is the string 'no', wanted null")):
            self.fails(1, "embed", self.with_prompts(**config), "x", says=says)

    def test_jsonl(self):
        lines = [json.dumps("the user"), json.dumps({"text": "the user", "id": "a\n\u00e9"}), "  ",
                 json.dumps({"text": "the user", "id": 7, "prompt": "document"}),
                 json.dumps({"text": "the user", "title": "it", "prompt": "document"})]
        found = self.lines("--jsonl", "--prompt", "query", "--json", stdin="\n".join(lines).encode())
        self.assertEqual([line.get("id") for line in found], [None, "a\n\u00e9", 7, None])
        self.assertEqual([line["index"] for line in found], [0, 1, 2, 3])
        for line, words in zip(found, ("task: search result | query: ", "task: search result | query: ",
                                       "title: none | text: ", "title: it | text: ")):
            self.assertEqual(line["embedding"], self.lines(words + "the user")[0])
            self.assertFalse(line["truncated"])
        text = self.embed("--json", "x").rstrip("\n")
        self.assertEqual(text, json.dumps(json.loads(text), separators=(",", ":")))

    def test_bad_jsonl_names_the_line(self):
        path = self.folder / "lines.jsonl"
        for line, says in (("{", "not JSON"), ("[" * 1000000, "nested"), ("3", "of type number"), ("{}", "no 'text'"), ('{"text": 1}', "'text' is of type number"),
                           ('{"text": "a", "id": []}', "'id' is of type array"), ('{"text": "a", "x": 1}', "no field 'x'"),
                           ('{"text": "a", "prompt": "no"}', "no prompt 'no'"), ('{"text": "a", "title": "t"}', "a title needs"),
                           ('{"text": "a", "prompt": "query", "title": "t"}', "no place for a title")):
            path.write_text('"good"\n\n' + line + "\n")
            self.fails(1, "embed", TOY, "--jsonl", "--file", path, says=[str(path), "line 3", says])
        path.write_bytes(b'"\xff"\n')
        self.fails(1, "embed", TOY, "--jsonl", "--file", path, says=[str(path), "UTF-8"])

    def test_long_texts_cut_with_notice(self):
        result = gemma("embed", TOY, *EXACT, "--file", TOY / "texts.txt", "--context", 12, "--no-normalize", "--json")
        self.assertEqual(result.returncode, 0)
        found = [json.loads(line) for line in result.stdout.splitlines()]
        self.assert_near([line["embedding"] for line in found], rows("cut"), 2e-5)
        lengths = [len(REFERENCE[f"ids_{i}"][1]) for i in range(len(TEXTS))]
        self.assertEqual([line["truncated"] for line in found], [n > 12 for n in lengths])
        self.assertEqual([line["tokens"] for line in found], [min(n, 12) for n in lengths])
        numbers = ", ".join(str(i + 1) for i, n in enumerate(lengths) if n > 12)
        self.assertIn(f"of 9 texts had more than 12 tokens and were cut: number {numbers}", result.stderr.decode())
        self.assertEqual(gemma("embed", TOY, "the " * 400, "-q").stderr, b"")

    def test_missing_dense_layers_are_told(self):
        result = gemma("embed", BARE, *EXACT, "the user")
        self.assertEqual(result.returncode, 0)
        self.assertIn("has no dense layers", result.stderr.decode())
        self.assertEqual(len(result.stderr.splitlines()), 1)
        self.assertEqual(gemma("embed", BARE, *EXACT, "the user", "-q").stderr, b"")
        self.assertEqual(gemma("embed", TOY, *EXACT, "the user").stderr, b"")

    def test_verbose_tells_the_speed(self):
        error = gemma("embed", TOY, "the user", "of it", "-v").stderr.decode()
        self.assertRegex(error, r"gemma: 2 texts, \d+ tokens in [\d.]+ s: [\d.]+ texts/s, [\d.]+ tok/s\n")

    def test_same_for_threads_and_chunks(self):
        expected = self.embed("--file", TOY / "texts.txt")
        for arguments in (["--threads", 1], ["--threads", 3], ["--chunk", 1], ["--chunk", 50]):
            self.assertEqual(self.embed("--file", TOY / "texts.txt", *arguments), expected, arguments)

    def test_vectors_have_length_one(self):
        for vector in self.lines("--file", TOY / "texts.txt", "--dimensions", 7):
            self.assertAlmostEqual(math.fsum(x * x for x in vector), 1, places=6)

    def test_output_files_appear_when_complete(self):
        path = self.folder / "vectors.txt"
        self.embed("the user", "--output", path)
        self.assertEqual(path.read_text(), self.embed("the user"))
        self.fails(1, "embed", TOY, "x", "--output", path, says="already exists", cure="--force")
        self.assertEqual(self.embed("x", "--output", path, "--force", "--quiet"), "")
        self.assertEqual(path.read_text(), self.embed("x"))
        self.fails(1, "embed", TOY, "the user", "--output", "/no/folder/F.npy", says="/no/folder/F.npy")
        self.fails(1, "embed", TOY, "the user", "--output", "/dev/full", says="/dev/full")

    def test_names_of_tables_are_noted(self):
        path = self.folder / "v.csv"
        result = gemma("embed", TOY, "the user", "-o", path)
        self.assertIn(f"gemma: {path}: holds a JSON array in each line; the name FILE.npy", result.stderr.decode())
        self.assertEqual(json.loads(path.read_text()), json.loads(self.embed("the user")))

    def test_prompts_in_any_case(self):
        self.assertEqual(self.embed("the user", "--prompt", "Query"), self.embed("the user", "--prompt", "query"))

    def test_wrong_use(self):
        for arguments, says in ((["--prompt", "no", "x"], ["--prompt", "no prompt 'no'", "query, document"]),
                                (["--prompt", "query", "--title", "t", "x"], ["--prompt", "no place for a title"]),
                                (["--title", "t", "x"], ["--title"]),
                                (["--prefix", "a", "--prompt", "query", "x"], ["--prefix"]),
                                (["--file", "a", "x"], ["--file"]), (["--jsonl", "x"], ["--jsonl"]),
                                (["--npy", "x"], ["--output"]), (["--npy", "--json", "x"], ["--npy", "--json"]),
                                (["--dimensions", 41, "x"], ["--dimensions", "41", "40"]),
                                (["--dimensions", 0, "x"], ["--dimensions"]),
                                (["--context", 257, "x"], ["--context", "257", "2 to 256"]),
                                (["--context", 1, "x"], ["--context", "2 to 256"])):
            self.fails(2, "embed", TOY, *arguments, says=says)
        self.fails(1, "embed", TOY, "--file", "/no/file", says="/no/file")
        self.fails(1, "embed", "/no/model", "x", says="/no/model", cure="gemma list")

    def test_models_are_for_one_thing(self):
        text = MODELS / "gemma3"
        self.fails(1, "embed", text, "x", says=[str(text), "wanted one that embeds them"], cure="gemma pull embeddinggemma-300m")
        for arguments in (["run", TOY, "x"], ["logits", TOY, "--tokens", "2", "--output", self.folder / "F.npy"],
                          ["perplexity", TOY, "--file", TOY / "texts.txt"], ["bench", TOY]):
            self.fails(1, *arguments, says=[str(TOY), "does not continue"], cure="gemma embed")
        self.fails(1, "chat", TOY, says=[str(TOY), "does not continue"], cure="gemma embed")

    def test_tokenizer_and_inspection_work(self):
        self.assertTrue(self.succeeds("tokenize", TOY, "the user"))
        config = json.loads(self.succeeds("inspect", TOY, "--json"))["config"]
        self.assertEqual((config["pooling"], config["bidirectional"], config["dense_dims"]), ("mean", True, [80, 40]))
        self.assertIn("2_Dense/linear.weight", self.succeeds("inspect", TOY, "--tensors"))

    def test_quantized_files(self):
        expected = self.embed("--file", TOY / "texts.txt")
        for layout in ("packed", "gguf"):
            path = self.folder / f"{layout}.gguf"
            self.succeeds("quantize", TOY, path, "--type", "keep", "--layout", layout)
            self.assertEqual(self.embed("--file", TOY / "texts.txt", model=path), expected)

    def test_folders_that_are_not_there(self):
        copy = self.folder / "model"
        shutil.copytree(TOY, copy)
        os.rename(copy / "3_Dense", copy / "4_Dense")
        self.fails(1, "embed", copy, "x", says=["3_Dense/config.json"], cure="gemma pull")
        modules = json.loads((copy / "modules.json").read_text())
        modules[3]["path"] = "../4_Dense"
        (copy / "modules.json").write_text(json.dumps(modules))
        self.fails(1, "embed", copy, "x", says=["modules.json", "../4_Dense"])


if __name__ == "__main__":
    unittest.main()
