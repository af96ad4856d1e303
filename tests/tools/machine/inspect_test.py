#!/usr/bin/env python3
"""gemma inspect and gemma bench on toy models."""
import csv
import io
import json
import math
import statistics
import struct
import unittest

from command import MODELS, TESTDATA, CommandTest, config_of, toy_models

TOY = MODELS / "gemma2"

# The fields that `llama-bench -o json` of llama.cpp writes.
BENCH_FIELDS = [
    "build_commit", "build_number", "cpu_info", "gpu_info", "backends", "model_filename", "model_type", "model_size",
    "model_n_params", "n_batch", "n_ubatch", "n_threads", "type_k", "type_v", "n_prompt", "n_gen", "n_depth",
    "test_time", "avg_ns", "stddev_ns", "avg_ts", "stddev_ts", "samples_ns", "samples_ts"]


def text_of(text):
    return struct.pack("<Q", len(text)) + text.encode()


def value_of(value):
    if isinstance(value, str):
        return struct.pack("<I", 8) + text_of(value)
    if isinstance(value, list):
        return struct.pack(f"<IIQ{len(value)}I", 9, 4, len(value), *value)
    return struct.pack("<II", 4, value)


def write_gguf(path, keys, shapes):
    """Writes a GGUF file with these keys, and with tensors of zeros. Shapes are outermost first."""
    header = struct.pack("<4sIQQ", b"GGUF", 3, len(shapes), len(keys))
    for key, value in keys.items():
        header += text_of(key) + value_of(value)
    offset = 0
    for name, shape in shapes.items():
        header += text_of(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), 0, offset)
        offset += (4 * math.prod(shape) + 31) // 32 * 32
    path.write_bytes(header + bytes(-len(header) % 32 + offset))


def write_mixed(path, file_type=None, own_head=False, **keys_of_file):
    """Writes a Gemma 3 whose middle layer has different sizes, perhaps with general.file_type."""
    heads, kv_heads, ffw, local = [4, 2, 4], [2, 1, 2], [32, 48, 32], [8, 16, 8]
    keys = {"general.architecture": "gemma3"}
    if file_type is not None:
        keys["general.file_type"] = file_type
    keys.update({key.replace("__", "."): value for key, value in keys_of_file.items()})
    keys.update({f"gemma3.{key}": value for key, value in {
        "embedding_length": 24, "block_count": 3, "feed_forward_length": ffw, "attention.head_count": heads,
        "attention.head_count_kv": kv_heads, "attention.key_length": 16, "attention.value_length": 16,
        "attention.key_length_swa": 8, "attention.value_length_swa": 8, "attention.sliding_window": 4,
        "attention.sliding_window_pattern": 2}.items()})
    shapes = {"token_embd.weight": (40, 24), "output_norm.weight": (24,)}
    if own_head:
        shapes["output.weight"] = (40, 24)
    for i in range(3):
        for name, shape in {
                "attn_norm": (24,), "post_attention_norm": (24,), "ffn_norm": (24,), "post_ffw_norm": (24,),
                "attn_q": (heads[i] * local[i], 24), "attn_k": (kv_heads[i] * local[i], 24),
                "attn_v": (kv_heads[i] * local[i], 24), "attn_output": (24, heads[i] * local[i]),
                "attn_q_norm": (local[i],), "attn_k_norm": (local[i],), "ffn_gate": (ffw[i], 24),
                "ffn_up": (ffw[i], 24), "ffn_down": (24, ffw[i])}.items():
            shapes[f"blk.{i}.{name}.weight"] = shape
    write_gguf(path, keys, shapes)


class InspectTest(CommandTest):
    def inspect(self, *arguments):
        return json.loads(self.succeeds_quietly("inspect", *arguments, "--json"))

    def test_configuration(self):
        config = config_of(TOY)
        report = self.inspect(TOY)
        self.assertEqual(report["model"], str(TOY))
        self.assertFalse(report["has_tokenizer"])
        found = report["config"]
        self.assertEqual(found["architecture"], "gemma2")
        for ours, theirs in (("model_dim", "hidden_size"), ("ffw_dim", "intermediate_size"),
                             ("num_heads", "num_attention_heads"), ("num_kv_heads", "num_key_value_heads"),
                             ("head_dim", "head_dim"), ("vocab_size", "vocab_size"),
                             ("sliding_window", "sliding_window"), ("num_layers", "num_hidden_layers")):
            self.assertEqual(found[ours], config[theirs], ours)
        self.assertEqual(len(found["blocks"]), config["num_hidden_layers"])
        self.assertEqual(set(found["blocks"]), {"local", "global"})

    def test_layers_that_differ_are_listed(self):
        path = self.folder / "mixed.gguf"
        write_mixed(path)
        config = self.inspect(path)["config"]
        self.assertEqual(config["num_heads"], [4, 2, 4])
        self.assertEqual(config["num_kv_heads"], [2, 1, 2])
        self.assertEqual(config["ffw_dim"], [32, 48, 32])
        self.assertEqual(config["head_dim"], [8, 16, 8])
        self.assertEqual(config["rotary_dim"], [8, 16, 8])
        self.assertEqual(config["sliding_window"], 4)
        text = self.succeeds_quietly("inspect", path, "--all")
        self.assertRegex(text, r"(?m)^  head_dim +8 \(layers 0, 2\), 16 \(layers 1\)$")
        self.assertRegex(text, r"(?m)^  sliding_window +4$")

    def test_zeros_that_are_values(self):
        path = self.folder / "zero.gguf"
        write_mixed(path, tokenizer__ggml__bos_token_id=0)
        self.assertRegex(self.succeeds_quietly("inspect", path, "--all"), r"(?m)^  bos_token +0$")
        # Layers without a source or a cut are null, whatever the others have.
        config = self.inspect(path)["config"]
        self.assertEqual((config["kv_source"], config["gate_cutoff"], config["bos_token"]), (None, None, 0))
        # A token that is never chosen changes answers.
        with open(MODELS / "gemma4_chat/generation_config.json", encoding="utf-8") as file:
            tokens = json.load(file)["suppress_tokens"]
        self.assertEqual(self.inspect(MODELS / "gemma4_chat")["config"]["suppress_tokens"], sorted(tokens))
        self.assertRegex(self.succeeds_quietly("inspect", MODELS / "gemma4_chat", "--all"),
                         rf"(?m)^  suppress_tokens +\[{','.join(map(str, sorted(tokens)))}\]$")

    def test_totals_are_sums(self):
        for folder in toy_models():
            with self.subTest(folder.name):
                report = self.inspect(folder)
                tensors, types = report["tensors"], report["types"]
                values = sum(math.prod(tensor["shape"]) for tensor in tensors)
                self.assertEqual(report["parameters"], values)
                self.assertEqual(report["weight_bytes"], 4 * values)
                self.assertEqual(report["bits_per_weight"], 32)
                self.assertEqual([t["type"] for t in types], ["F32"])
                self.assertEqual(types[0]["tensors"], len(tensors))
                self.assertEqual(sum(tensor["bytes"] for tensor in tensors), 4 * values)
                memory = report["memory"]
                self.assertEqual(memory["total"], memory["weights"] + memory["cache"] + memory["scratch"])
                if "nested" not in folder.name:  # these have tensors that are not needed
                    self.assertGreaterEqual(memory["weights"] + memory["table"], 4 * values)

    def test_per_layer_tables_are_apart(self):
        report = self.inspect(MODELS / "gemma4_e2b")
        config, memory = report["config"], report["memory"]
        row = 4 * 5 * 4  # five layers of four float32 values
        rows = config["per_layer_vocab"]
        self.assertEqual((config["per_layer_dim"], memory["table_per_token"], memory["table"]), (4, row, row * rows))
        self.assertEqual(config["kv_source"], [None, None, None, 1, 2])
        self.assertEqual((config["k_eq_v"], config["num_experts"]), (False, 0))
        self.assertEqual(memory["total"], memory["weights"] + memory["cache"] + memory["scratch"])
        text = self.succeeds_quietly("inspect", MODELS / "gemma4_e2b", "--all")
        self.assertRegex(text, rf"(?m)^  table +{row * rows}  .*: stays in the file, a token reads {row} B$")
        self.assertRegex(text, r"(?m)^  kv_source +1 \(layers 3\), 2 \(layers 4\)$")
        self.assertRegex(text, r"(?m)^  per_layer_dim +4$")
        experts = self.inspect(MODELS / "gemma4_moe")
        self.assertEqual([experts["config"][key] for key in ("num_experts", "experts_used", "expert_dim", "k_eq_v")],
                         [5, 2, 32, [False, True]])
        self.assertEqual((experts["memory"]["table"], experts["memory"]["table_per_token"]), (0, 0))

    def test_packed_weights_stay_mapped(self):
        packed = self.folder / "packed.gguf"
        self.succeeds("quantize", TOY, packed, "--type", "q8")
        memory = self.inspect(packed)["memory"]
        matrices = sum(tensor["bytes"] for tensor in self.inspect(packed)["tensors"] if len(tensor["shape"]) > 1)
        self.assertEqual(memory["mapped"], matrices)
        self.assertLess(memory["mapped"], memory["weights"])
        self.assertRegex(self.succeeds("inspect", packed, "--all"), rf"\n  weights .*\n  mapped +{matrices}  ")
        self.assertEqual(self.inspect(TOY)["memory"]["mapped"], 0)
        self.assertNotIn("  mapped ", self.succeeds("inspect", TOY, "--all"))

    def test_parts_of_gemma3n(self):
        report = json.loads(self.succeeds("inspect", MODELS / "gemma3n", "--json"))
        config = report["config"]
        self.assertEqual([config[key] for key in ("altup_streams", "laurel_rank", "ffw_dim")],
                         [4, 4, [128, 64, 48, 64, 48]])
        cutoffs = [round(cutoff, 4) if cutoff else cutoff for cutoff in config["gate_cutoff"]]
        self.assertEqual(cutoffs, [1.6449, 0.6745, None, None, None])
        self.assertEqual(report["memory"]["table_per_token"], 4 * 5 * 4)

    def test_memory_grows_with_the_context(self):
        small = self.inspect(TOY, "--context", 100)["memory"]
        large = self.inspect(TOY, "--context", 10000)["memory"]
        self.assertEqual((small["context"], large["context"]), (100, 10000))
        self.assertGreater(large["cache"], 10 * small["cache"])
        self.assertEqual(large["weights"], small["weights"])

    def test_prints_a_few_lines(self):
        for folder in toy_models():
            text = self.succeeds_quietly("inspect", folder)
            names = [line.split("  ")[0] for line in text.splitlines()]
            names = [name for name in names if name != "table"]  # only some models have one
            self.assertEqual(names[:8], ["path", "architecture", "parameters", "file type", "size", "context", "memory",
                                         "chat template"])
            self.assertLessEqual(len(names), 10)
            self.assertIn(str(folder), text)
            self.assertRegex(text, r"(?m)^file type +F32, 32.00 bits per weight$")
        memory = self.inspect(TOY)["memory"]
        self.assertRegex(self.succeeds_quietly("inspect", TOY),
                         rf"(?m)^memory +{memory['total'] / 1e6:.2f} MB with {memory['context']} tokens: ")

    def test_prints_more_on_request(self):
        short = self.succeeds_quietly("inspect", TOY)
        tensors = self.succeeds_quietly("inspect", TOY, "--tensors")
        text = self.succeeds_quietly("inspect", TOY, "--all")
        for whole in (tensors, text):
            self.assertTrue(whole.startswith(short))
            self.assertIn("\ntensors (", whole)
            self.assertIn("bits/weight", whole)
        self.assertNotIn("\nconfiguration", tensors)
        for heading in ("configuration", "types", "memory"):
            self.assertRegex(text, rf"(?m)^{heading}\b")
        self.assertRegex(text, r"(?m)^  attn_logits_soft_cap +50$")
        for absent in ("lru_width", "biases", "pooling", "num_experts"):  # a Gemma 2 has none
            self.assertNotIn(absent, text)


class BenchTest(CommandTest):
    def bench(self, *arguments):
        return self.succeeds_quietly("bench", TOY, "-p", 6, "-n", 3, "-r", 2, *arguments)

    def test_json_has_llama_bench_fields(self):
        results = json.loads(self.bench("--json"))
        self.assertEqual([(r["n_prompt"], r["n_gen"], r["n_depth"]) for r in results], [(6, 0, 0), (0, 3, 0)])
        for result in results:
            self.assertEqual([f for f in BENCH_FIELDS if f not in result], [])
            self.assertEqual(len(result["samples_ns"]), 2)
            self.assertEqual(len(result["samples_ts"]), 2)
            self.assertAlmostEqual(result["avg_ns"], statistics.mean(result["samples_ns"]), delta=1)
            self.assertAlmostEqual(result["stddev_ns"], statistics.stdev(result["samples_ns"]), delta=1)
            self.assertAlmostEqual(result["avg_ts"], statistics.mean(result["samples_ts"]), places=3)
            count = result["n_prompt"] + result["n_gen"]
            self.assertAlmostEqual(result["samples_ts"][0], count * 1e9 / result["samples_ns"][0], places=3)
            self.assertGreater(result["load_ms"], 0)
            self.assertGreater(result["peak_memory_bytes"], 1 << 20)
            self.assertRegex(result["test_time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    def test_gemma4(self):
        for toy in ("gemma4_e2b", "gemma4_moe"):
            results = json.loads(self.succeeds_quietly(
                "bench", MODELS / toy, "-p", 6, "-n", 3, "-r", 1, "--quantize", "q8", "--json"))
            self.assertEqual([(r["n_prompt"], r["n_gen"]) for r in results], [(6, 0), (0, 3)])
            self.assertRegex(results[0]["model_type"], "^gemma4 .* F32$")

    def test_names_the_file_type(self):
        kind = lambda path: json.loads(self.succeeds_quietly(
            "bench", path, "-p", 2, "-n", 0, "-r", 1, "--json"))[0]["model_type"]
        path = self.folder / "m.gguf"
        # Zeros as norms and weights still run. The number counts, whatever the types of the tensors.
        for number, name in ((15, "Q4_K - Medium"), (14, "Q4_K - Small"), (7, "Q8_0"), (30, "IQ4_XS - 4.25 bpw")):
            write_mixed(path, number)
            self.assertTrue(kind(path).endswith(f" {name}"), kind(path))
            self.assertRegex(self.succeeds_quietly("inspect", path), rf"(?m)^file type +{name}, 32.00 bits per weight$")
        write_mixed(path, 999)
        self.assertTrue(kind(path).endswith(" F32"), kind(path))
        # Types of at least a twentieth of the weights, without a number.
        mixed = TESTDATA / "gguf/gemma3_mixed.gguf"
        types = json.loads(self.succeeds_quietly("inspect", mixed, "--json"))["types"]
        total = sum(kind["values"] for kind in types)
        names = [kind["type"] for kind in sorted(types, key=lambda t: t["values"], reverse=True)
                 if kind["values"] >= total / 20]
        self.assertEqual(len(names), 10)
        self.assertIn(f"file type      {' + '.join(names[:3])} + 7 more, ", self.succeeds_quietly("inspect", mixed))

    def test_lists_make_all_combinations(self):
        results = json.loads(self.succeeds_quietly(
            "bench", TOY, "-p", "4,8", "-n", "0", "-d", "0,5", "-t", "1,2", "-r", 1, "--json"))
        self.assertEqual([(r["n_threads"], r["n_depth"], r["n_prompt"]) for r in results],
                         [(t, d, p) for t in (1, 2) for d in (0, 5) for p in (4, 8)])

    def test_sequences_together(self):
        results = json.loads(self.succeeds_quietly(
            "bench", TOY, "-p", 4, "-n", 3, "-d", 5, "-b", "1,4", "-r", 1, "--json", "-q"))
        self.assertEqual([(r["n_prompt"], r["n_gen"], r["n_parallel"]) for r in results],
                         [(4, 0, 1), (0, 3, 1), (0, 3, 4)])
        self.assertAlmostEqual(results[2]["samples_ts"][0], 12 * 1e9 / results[2]["samples_ns"][0], places=3)

    def test_csv(self):
        rows = list(csv.DictReader(io.StringIO(self.bench("--csv"))))
        self.assertEqual([(r["n_prompt"], r["n_gen"]) for r in rows], [("6", "0"), ("0", "3")])
        self.assertEqual([f for f in BENCH_FIELDS if f not in rows[0]], ["samples_ns", "samples_ts"])

    def test_markdown(self):
        text = self.bench("-d", 4)
        table = [line for line in text.splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table]
        self.assertEqual(cells[0], ["model", "size", "params", "threads", "test", "t/s"])
        self.assertEqual([row[4] for row in cells[2:]], ["pp6 @ d4", "tg3 @ d4"])
        self.assertRegex(cells[2][5], r"^\d+\.\d+ ± \d+\.\d+$")
        self.assertEqual(len({len(line) for line in table}), 1)
        self.assertIn("loaded in", text)

    def test_context_too_small(self):
        self.fails(1, "bench", TOY, "-p", 6, "-n", 0, "--context", 5, says=["6 tokens", "5 fit"], cure="--context 512")


if __name__ == "__main__":
    unittest.main()
