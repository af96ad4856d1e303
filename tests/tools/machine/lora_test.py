#!/usr/bin/env python3
"""--lora of the commands: adapters are merged, notes are said, and what is no adapter is refused."""
import json
import math
import shutil
import struct
import unittest

from command import MODELS, TESTDATA, CommandTest, gemma, read_npy

TOY = MODELS / "gemma2"
LORA = TESTDATA / "lora"
PLAIN = LORA / "plain"
TOKENS = "2,17,4,99,5,60,3"


def write_adapter(folder, module, rows, cols):
    """Writes a PEFT directory of rank 1 that changes one matrix."""
    tensors = {f"base_model.model.{module}.lora_A.weight": (1, cols),
               f"base_model.model.{module}.lora_B.weight": (rows, 1)}
    header, data = {}, b""
    for name, shape in tensors.items():
        values = [0.1 * math.cos(i) for i in range(math.prod(shape))]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * len(values)]}
        data += struct.pack(f"<{len(values)}f", *values)
    text = json.dumps(header).encode()
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 1, "lora_alpha": 8}))


class LoraTest(CommandTest):
    def logits(self, *arguments):
        output = self.folder / "logits.npy"
        self.succeeds_quietly("logits", *arguments, "--tokens", TOKENS, "--output", output, "--force")
        return read_npy(output.read_bytes())[1]

    def assert_near(self, actual, wanted):
        self.assertEqual(len(actual), len(wanted))
        error = max(abs(x - y) for x, y in zip(actual, wanted))
        self.assertLess(error, 1e-4 * max(1, max(map(abs, wanted))))

    def test_merges_each_form(self):
        base = self.logits(TOY)
        merged = self.logits(TOY, "--lora", PLAIN)
        self.assertGreater(max(abs(x - y) for x, y in zip(base, merged)), 0.1)
        self.assert_near(self.logits(TOY, "--lora", LORA / "plain.gguf"), merged)
        self.assert_near(self.logits(TOY, "--lora", f"{PLAIN}=0.25", "--lora", f"{PLAIN}=0.75"), merged)
        self.assert_near(self.logits(TOY, "--lora", f"{PLAIN}=-1", "--lora", PLAIN), base)

    def test_zero_scale_is_noted(self):
        output = self.folder / "logits.npy"
        for lora in (f"{PLAIN}=0", self.changed(lora_alpha=0)):
            result = gemma("logits", TOY, "--tokens", TOKENS, "--output", output, "--force", "--lora", lora)
            self.assertEqual(result.returncode, 0, result)
            self.assertRegex(result.stderr.decode(), r"the scale of \d+ of its \d+ products is 0: they change nothing\n")
            self.assert_near(read_npy(output.read_bytes())[1], self.logits(TOY))

    def changed(self, **fields):
        """Returns a copy of an adapter whose configuration has other fields."""
        copy = self.folder / "changed"
        shutil.copytree(PLAIN, copy, dirs_exist_ok=True)
        config = {**json.loads((PLAIN / "adapter_config.json").read_text()), **fields}
        (copy / "adapter_config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not ...}))
        return copy

    def test_tasks_of_other_heads(self):
        for task in (None, "CAUSAL_LM", "FEATURE_EXTRACTION", ...):
            self.succeeds("inspect", TOY, "--lora", self.changed(task_type=task))
        for task in ("SEQ_CLS", "TOKEN_CLS", "SEQ_2_SEQ_LM", "QUESTION_ANS"):
            self.fails(1, "inspect", TOY, "--lora", self.changed(task_type=task),
                       says=[f"'task_type' is the string '{task}'", "wanted 'CAUSAL_LM' or 'FEATURE_EXTRACTION'"])

    def test_missing_alpha_is_eight(self):
        self.assert_near(self.logits(TOY, "--lora", self.changed(lora_alpha=...)),
                         self.logits(TOY, "--lora", self.changed(lora_alpha=8)))

    def test_chat_names_adapters(self):
        model, adapter = MODELS / "gemma_fill", self.folder / "adapter"
        config = json.loads((model / "config.json").read_text())
        write_adapter(adapter, "model.layers.0.self_attn.q_proj", config["num_attention_heads"] * config["head_dim"],
                      config["hidden_size"])
        # /model keeps them for another model.
        said = gemma("chat", model, "--chat", "-q", "--lora", adapter, "-t", 1,
                     stdin=f"/model\n/model {model}\n/model\n".encode()).stderr.decode()
        self.assertEqual(said.count(f", 1 thread, adapter {adapter}\n"), 2, said)

    def test_inspect_lists_adapters(self):
        shown = json.loads(self.succeeds("inspect", TOY, "--lora", f"{PLAIN}=0.5", "--json"))
        self.assertEqual(shown["options"]["lora"], [{"path": str(PLAIN), "scale": 0.5}])
        self.assertIn(f"adapter        {PLAIN} (scale 0.5)\n", self.succeeds("inspect", TOY, "--lora",
                                                                                    f"{PLAIN}=0.5"))
        for empty in ("", "=1"):
            self.fails(2, "inspect", TOY, "--lora", empty, says=f"--lora: '{empty}' is not FILE or FILE=SCALE")

    def test_other_tokens_are_noted(self):
        model, adapter = self.folder / "model", self.folder / "adapter"
        shutil.copytree(MODELS / "gemma_fill", model)
        config = json.loads((model / "config.json").read_text())
        write_adapter(adapter, "model.layers.0.self_attn.q_proj", config["num_attention_heads"] * config["head_dim"],
                      config["hidden_size"])
        tokenizer = json.loads((model / "tokenizer.json").read_text())
        (adapter / "tokenizer.json").write_text(json.dumps(tokenizer, indent=1))  # other bytes, the same tokens
        for folder in (model, adapter):
            (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")
        notes = lambda: json.loads(self.succeeds("inspect", model, "--lora", adapter, "--json"))["notes"]
        self.assertFalse([note for note in notes() if "differs" in note])
        text = json.dumps(tokenizer)
        self.assertIn('"<end_of_turn>"', text)
        (adapter / "tokenizer.json").write_text(text.replace('"<end_of_turn>"', '"<|end|>"'))
        (adapter / "chat_template.jinja").write_text("{{ messages[0].content }}!")
        tokens, template = [note for note in notes() if "differs" in note]
        self.assertRegex(tokens, f"^{adapter}: the adapter's tokenizer differs from the model's, which is used: token "
                                 r"\d+ is '<\|end\|>' there and '<end_of_turn>' here$")
        self.assertEqual(template, f"{adapter}/chat_template.jinja: the adapter's chat template differs from the "
                                   "model's turns, which are used")

    def test_quantize_merges_first(self):
        target = self.folder / "m.gguf"
        self.succeeds_quietly("quantize", TOY, target, "--lora", f"{PLAIN}=0.5", "--layout", "gguf")
        self.assert_near(self.logits(target), self.logits(TOY, "--lora", f"{PLAIN}=0.5"))

    def test_paths_may_hold_equals(self):
        copy = self.folder / "rank=2"
        shutil.copytree(PLAIN, copy)
        merged = self.logits(TOY, "--lora", PLAIN)
        self.assertEqual(self.logits(TOY, "--lora", copy), merged)
        self.assertEqual(self.logits(TOY, "--lora", f"{copy}=1"), merged)
        self.fails(2, "inspect", TOY, "--lora", f"{PLAIN}=half", says="--lora: 'half' is not a number")

    def test_inspect_predicts_memory(self):
        def weights(*arguments, notes=b""):
            result = gemma("inspect", *arguments, "--json")
            self.assertEqual(result.returncode, 0, result)
            self.assertIn(notes, result.stdout + result.stderr)
            return json.loads(result.stdout)["memory"]["weights"]

        small = self.folder / "q8.gguf"
        self.succeeds_quietly("quantize", TOY, small, "--type", "q8")
        base = weights(small)
        self.assertGreater(weights(small, "--lora", PLAIN, notes=b"28 quantized matrices become float32"), 2 * base)
        self.assertEqual(weights(small, "--lora", PLAIN, "--quantize", "q8"), base)

    def test_compare_adapts_only_other(self):
        text = self.folder / "text"
        text.write_text("the model of 2 users " * 20)
        model = TESTDATA / "gguf" / "gemma3_mixed.gguf"
        write_adapter(self.folder / "adapter", "model.layers.0.self_attn.q_proj", 256, 256)
        result = gemma("compare", model, model, "--file", text, "--lora", self.folder / "adapter", "--json")
        self.assertEqual(result.returncode, 0, result)
        self.assertGreater(json.loads(result.stdout)["mean_kl"], 1e-4)

    def test_notes_what_is_unexpected(self):
        folder = self.folder / "model"
        shutil.copytree(TOY, folder)
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            shutil.copy(PLAIN / name, folder / name)
        beside = "adapter_config.json: the adapter beside the model's weights is not merged into them"
        for command in (["inspect", folder], ["bench", folder, "-p", "4", "-n", "0", "-r", "1"],
                        ["quantize", folder, self.folder / "m.gguf", "keep"]):
            result = gemma(*command)
            self.assertEqual(result.returncode, 0, result)
            self.assertEqual((result.stdout + result.stderr).decode().count(beside), 1, result)
        result = gemma("bench", folder, "-p", "4", "-n", "0", "-r", "1", "--lora", folder)
        self.assertEqual((result.returncode, result.stderr), (0, b""), result)
        tied = gemma("bench", MODELS / "gemma_mha", "-p", "4", "-n", "0", "-r", "1", "--lora", LORA / "embed")
        self.assertIn(b"changes the embedding and the head, which are one matrix here", tied.stderr)

    def test_adapter_is_no_model(self):
        for path, base in ((PLAIN, "toys/gemma2"), (LORA / "plain.gguf", "gemma2")):
            for command in (["inspect", path], ["run", path, "Hello"], ["quantize", path, self.folder / "m.gguf", "keep"]):
                self.fails(1, *command, says=f"holds only a LoRA adapter for '{base}', wanted a model",
                           cure="give the base model, and the adapter with --lora")

    def test_says_what_is_wrong(self):
        copy = self.folder / "adapter"
        shutil.copytree(PLAIN, copy)
        config = json.loads((copy / "adapter_config.json").read_text())
        config["use_dora"] = True
        (copy / "adapter_config.json").write_text(json.dumps(config))
        target = self.folder / "m.gguf"
        for command in (["inspect", TOY], ["quantize", TOY, target]):
            self.fails(1, *command, "--lora", copy, says=["adapter_config.json: 'use_dora' is true", "wanted false"])
        self.assertFalse(target.exists())
        self.fails(1, "inspect", MODELS / "gemma3", "--lora", PLAIN, says=["adapter_model.safetensors", "toys/gemma2"])
        self.fails(1, "inspect", TOY, "--lora", TOY, says="not a LoRA adapter")
        self.fails(1, "inspect", TOY, "--lora", self.folder / "none", says="none: No such file")

    def test_outputs_spare_adapters(self):
        copy = self.folder / "adapter"
        shutil.copytree(PLAIN, copy)
        target = copy / "adapter_model.safetensors"
        before = target.read_bytes()
        result = gemma("logits", TOY, "--tokens", "2", "--lora", copy, "--output", target)
        self.assertEqual(result.returncode, 1, result)
        result = gemma("quantize", TOY, target, "--lora", copy, "--force")
        self.assertEqual(result.returncode, 1, result)
        self.assertEqual(target.read_bytes(), before)


if __name__ == "__main__":
    unittest.main()
