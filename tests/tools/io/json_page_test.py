#!/usr/bin/env python3
"""Holds tools/gemma/json.md against the JSON of every command: both have the same fields."""
import json
import os
import pathlib
import re
import sys
import unittest

from command import MODELS, TESTDATA, CommandTest, gemma

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "pull"))
from pulling import PullTest, directory  # noqa: E402  pylint: disable=wrong-import-position

PAGE = pathlib.Path(__file__).resolve().parents[3] / "tools/gemma/json.md"
MODEL = TESTDATA / "gguf/gemma3_mixed.gguf"
SHIELD = TESTDATA / "classify/shield.gguf"
EMBEDS = MODELS / "embedding_gemma"
SAE = TESTDATA / "scope/gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4/params.npz"
SHARED = ("Head", "Model", "Options", "Output")
# No toy thinks, or calls tools.
UNSEEN = {"thoughts", "tool_calls[].name", "tool_calls[].arguments"}
# Options that only some models have, or that are given. `inspect` shows them.
RARE = {"options.lora[].path", "options.lora[].scale", "options.recurrent_window"}


def sections():
    """Returns the fields that each section of the page lists, with those that it begins with."""
    own, begins = {}, {}
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, _, body = section.partition("\n")
        cells = re.findall(r"^\| (`.*?) \|", body, re.MULTILINE)
        own[title] = [field for cell in cells for field in re.findall("`([^`]+)`", cell)]
        begins[title] = re.findall(r"\w+", (re.findall(r"Begins with ([\w,\s]+)", body) or [""])[0])
    return {title: [field for shared in begins[title] if shared in SHARED for field in own[shared]] + fields
            for title, fields in own.items() if title not in SHARED}


def fields_of(value, listed, prefix=""):
    """Yields the paths of all values that have no fields themselves, in the page's words."""
    if isinstance(value, dict):
        if prefix.endswith("findings[]"):  # facts depend on the subject
            value = dict(value)
            about = prefix.replace("[]", f"[{value['about']}]")
            yield from fields_of({"facts": value.pop("facts")}, listed, about)
        for name, inner in value.items():
            path = f"{prefix}.{name}" if prefix else name
            is_any = any(field.startswith(f"{prefix}.*") for field in listed)
            yield from fields_of(inner, listed, f"{prefix}.*" if is_any else path)
    elif isinstance(value, list) and (value == [] or isinstance(value[0], (dict, list)) or f"{prefix}[]" in listed):
        for inner in value:
            yield from fields_of(inner, listed, prefix + "[]")
        if not value and prefix in listed:
            yield prefix
    else:
        yield prefix


class JsonPageTest(PullTest):
    pages = sections()

    def setUp(self):
        super().setUp()
        self.text = self.folder / "text.txt"
        self.text.write_text("The cat sat on the mat.")

    def object(self, *arguments, code=0, **options):
        result = gemma(*arguments, "--json", **options)
        self.assertEqual(result.returncode, code, result)
        return json.loads(result.stdout)

    def lines(self, *arguments, code=0, **options):
        result = gemma(*arguments, **options)
        self.assertEqual(result.returncode, code, result)
        return [json.loads(line) for line in result.stdout.splitlines()]

    def check(self, title, *objects):
        """Expects that the objects together have exactly the fields of a section."""
        listed = self.pages[title]
        self.assertEqual(len(listed), len(set(listed)), listed)
        found = set()
        for value in objects:
            self.assertEqual(list(value)[:2], ["schema_version", "gemma_version"])
            self.assertEqual(value["schema_version"], 1)
            for name in ("path", "base_path", "other_path"):
                self.assertTrue(pathlib.Path(value.get(name, self.folder)).exists())
            found |= set(fields_of(value, set(listed)))
        self.assertEqual(sorted(found - set(listed)), [], "not on the page")
        self.assertEqual(sorted(set(listed) - found - UNSEEN - (set() if title == "inspect" else RARE)), [],
                         "only on the page")

    def test_answers(self):
        policies = ["--guard", SHIELD, "--guard-threshold"]
        schema, tools, template = self.request_files()
        short = ["-q", "-n", 2]
        self.check(
            "run",
            self.object("run", MODEL, "hello", *short, "--logprobs", 1, "--score-prompt", "--raw", "--parse-control",
                        "--stop", "x", "--logit-bias", "5=1", "--steer", f"{SAE}:3=1", "--ablate", f"{SAE}:2"),
            self.object("run", MODEL, "hello", *short, "--chat", "--system", "Be brief.", "--regex", "a+"),
            self.object("run", MODEL, "hello", *short, "--chat-template", template, "--chat", "--choice", "yes"),
            self.object("run", MODEL, "hello", "-q", "--format", "json", "--schema", schema),
            self.object("run", MODELS / "gemma4_chat", "hello", *short, "--chat", "--think", "--tools", tools),
            self.object("run", MODEL, "hello", *short, *policies, 1),
            self.object("run", MODEL, "hello", *short, *policies, 0, code=3))

    def request_files(self):
        """Returns a schema, a list of tools and a chat template."""
        schema = self.folder / "schema.json"
        schema.write_text('{"type": "boolean"}')
        tools = self.folder / "tools.json"
        tools.write_text('[{"type": "function", "function": {"name": "now", "description": "The time."}}]')
        template = self.folder / "chat.jinja"
        template.write_text("{{ bos_token }}{{ messages[-1].content }}")
        return schema, tools, template

    def test_batch_lines(self):
        lines = b'{"prompt": "hello", "id": 7}\n{"prompt": 7}\n'
        batch = ["run", MODEL, "--batch", "-", "-q", "-n", 2, "--guard", SHIELD, "--guard-threshold"]
        schema, tools, template = self.request_files()
        other = [[MODEL, "--raw", "--parse-control", "--stop", "x", "--logit-bias", "5=1"],
                 [MODEL, "--chat", "--system", "Be brief.", "--regex", "a+"],
                 [MODEL, "--chat", "--chat-template", template, "--choice", "yes"],
                 [MODEL, "--format", "json", "--schema", schema],
                 [MODELS / "gemma4_chat", "--chat", "--think", "--tools", tools]]
        more = [line for model, *options in other
                for line in self.lines("run", model, "--batch", "-", "-q", "-n", 2, *options, stdin=b'"x"\n')]
        self.check("run --batch", *self.lines(*batch, 1, stdin=lines, code=1), *self.lines(*batch, 0, stdin=b'"x"\n'),
                   *more)

    def test_texts(self):
        self.check("classify", self.object("classify", SHIELD, "hello"),
                   self.object("classify", SHIELD, "hello", "--response", "yes"))
        self.check("classify --jsonl", *self.lines("classify", SHIELD, "--jsonl", code=1,
                                                   stdin=b'{"text": "a", "id": 1}\n{"text": 1}\n'))
        embed = ["embed", EMBEDS, "-q", "--jsonl", "--json"]
        self.check("embed", *self.lines(*embed, "--prompt", "document", "--title", "t",
                                        stdin=b'{"text": "a", "id": 1}\n'),
                   *self.lines(*embed, "--prefix", "x", stdin=b'"a"\n'),
                   *self.lines(*embed, "--no-prompt", stdin=b'"a"\n'))
        self.check("tokenize", self.object("tokenize", MODEL, "hello"))
        self.check("scope", self.object("scope", MODEL, "hello", "--sae", SAE),
                   self.object("scope", MODEL, "hello", "--sae", SAE, "--features", "3"))

    def test_measures(self):
        tokens = self.folder / "tokens.jsonl"
        other = self.object("compare", MODEL, MODEL, "--file", self.text, "--per-token", tokens)
        self.check("compare", other)
        self.check("compare --per-token", *map(json.loads, tokens.read_text().splitlines()))
        self.check("perplexity", self.object("perplexity", MODEL, "--file", self.text))
        self.check("verify", self.object("verify", MODELS / "gemma3", "--reference", MODELS / "gemma3/reference.npz"))
        self.check("bench", *json.loads(self.succeeds(
            "bench", MODEL, "-p", 2, "-n", 0, "-r", 1, "--output-format", "json")))

    def test_files(self):
        path = self.folder / "file"
        found = self.object("logits", MODEL, "--tokens", "2,5,7", "-o", path)
        self.check("logits", found)
        self.assertEqual((found["tokens"], found["output"], found["output_bytes"]), (3, str(path), path.stat().st_size))
        found = self.object("importance", MODEL, "--file", self.text, "-o", path, "--force", "-c", 8)
        self.check("importance", found)
        self.assertEqual((found["file"], found["options"]["context"], found["output_bytes"]),
                         (str(self.text), 8, path.stat().st_size))
        findings = json.loads(gemma("doctor", "--json").stdout)["findings"]
        [cap] = [finding["facts"]["caps"][0] for finding in findings if finding["about"] == "simd"]
        found = self.object("quantize", MODELS / "gemma2", path, "--type", "q8", "--force", "-t", 1, "--simd", cap,
                            "--lora", TESTDATA / "lora/plain")
        self.check("quantize", found)
        self.assertEqual((found["options"]["threads"], found["options"]["simd_cap"]), (1, cap))
        self.assertEqual((found["options"]["type"], found["output_bytes"]), ("q8", path.stat().st_size))
        outline = self.object("inspect", path)
        self.assertEqual([found[f"output_{name}"] for name in ("file_type", "weight_bytes", "bits_per_weight")],
                         [outline[name] for name in ("file_type", "weight_bytes", "bits_per_weight")])
        checked = self.object("verify-file", path)
        self.check("verify-file", checked)
        self.assertEqual((checked["tensors"], checked["file_type"], checked["has_checksums"]),
                         (len(outline["tensors"]), outline["file_type"], True))

    def test_store(self):
        self.hub.files = directory("gemma2")
        pulled = self.object("pull", "hf://owner/toy")
        self.check("pull", pulled)
        sizes = {name: len(self.hub.files[name]) for name in ("config.json", "model.safetensors")}
        self.assertEqual({file["name"]: file["bytes"] for file in pulled["files"]}, sizes)
        self.assertEqual(pulled["bytes"], sum(sizes.values()))
        removed = self.object("remove", "toy", "--yes")
        self.check("remove", removed)
        self.assertEqual((removed["name"], removed["bytes"], removed["has_other_files"]),
                         ("toy", pulled["bytes"], False))

    def test_machine(self):
        self.check("inspect", self.object("inspect", MODEL), self.object("inspect", MODELS / "gemma4_chat"),
                   self.object("inspect", MODELS / "gemma2", "--lora", TESTDATA / "lora/plain"),
                   self.object("inspect", MODELS / "recurrent_gemma"))
        self.check("doctor", self.object("doctor", MODEL))
        self.check("list", self.object("list", "--all", env={**os.environ, "GEMMA_MODELS": str(self.folder)}))

    def test_every_section_is_checked(self):
        checked = set(re.findall(r'self\.check\(\s*"([^"]+)"', pathlib.Path(__file__).read_text(encoding="utf-8")))
        self.assertEqual(checked, set(self.pages))

    def test_tokens_only_when_asked(self):
        # No token ends the answer.
        command = ["run", MODEL, "hello", "-q", "-n", 2, "--logit-bias", "1=-1e9", "--logit-bias", "6=-1e9"]
        plain = self.object(*command)
        self.assertNotIn("tokens", plain)
        listed = self.object(*command, "--list-tokens", "--seed", plain["seed"])
        self.assertEqual([sorted(token) for token in listed["tokens"]], 2 * [["id", "piece"]])
        self.assertEqual(listed["text"], plain["text"])
        self.fails(2, "run", MODEL, "hello", "--list-tokens", says=["--list-tokens", "json"])

    def test_record_repeats_the_answer(self):
        given = ["--temperature", 1.5, "--top-k", 7, "--stop", "zz", "-c", 100, "-t", 1, "--activations", "float32"]
        answer = self.object("run", MODEL, "hello", "-q", "-n", 8, *given)
        options = answer["options"]
        names = ("temperature", "top_k", "stop", "context", "threads", "activations")
        self.assertEqual([options[name] for name in names], [1.5, 7, ["zz"], 100, 1, "float32"])
        again = ["--seed", answer["seed"]]
        for name in (*(name for name in names if name != "stop"), "top_p", "min_p", "max_tokens", "chunk"):
            again += [f"--{name.replace('_', '-')}", options[name]]
        repeated = self.object("run", answer["path"], answer["input"], "-q", "--stop", "zz", *again)
        self.assertEqual(repeated["text"], answer["text"])

    def test_file_types(self):
        found = [self.object("inspect", path)["file_type"] for path in (MODEL, MODELS / "gemma2", MODELS / "gemma2_bf16")]
        self.assertEqual(found, ["Q8_0 + IQ4_NL + IQ4_XS + 7 more", "F32", "BF16"])

    def test_lines_have_their_seeds(self):
        lines = self.lines("run", MODEL, "--batch", "-", "-q", "-n", 1, stdin=b'"a"\n{"prompt": "b", "seed": 5}\n')
        self.assertEqual({line["line"]: line["seed"] for line in lines}, {1: 0, 2: 5})

    def test_lines_have_their_options(self):
        stdin = b'"a"\n{"prompt": "b", "temperature": 0.5, "max_tokens": 1}\n'
        batch = ["run", MODEL, "--batch", "-", "--json", "-q", "-n", 2, "--top-k", 3]
        lines = {line["line"]: line["options"] for line in self.lines(*batch, stdin=stdin)}
        names = ("temperature", "max_tokens", "top_k")
        self.assertEqual([lines[1][name] for name in names[1:]], [2, 3])
        self.assertEqual([lines[2][name] for name in names], [0.5, 1, 3])
        texts = b'"a"\n"b"\n'
        lines = self.lines("classify", SHIELD, "--jsonl", stdin=texts)
        self.assertEqual(lines, self.lines("classify", SHIELD, "--jsonl", "--json", stdin=texts))
        alone = [self.object("classify", SHIELD, text) for text in "ab"]
        for line, one in zip(lines, alone):
            self.assertEqual([line[name] for name in ("path", "file_type", "options", "wording")],
                             [one[name] for name in ("path", "file_type", "options", "wording")])
        self.assertAlmostEqual(lines[-1]["answer_mass"], min(one["answer_mass"] for one in alone))


if __name__ == "__main__":
    unittest.main()
