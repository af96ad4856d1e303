#!/usr/bin/env python3
"""Words of Ollama, llama.cpp and transformers: some work, all others lead on in two lines with exit code 2."""
import json
import os
import unittest

from command import MODELS, CommandTest, compares_results, gemma

TOY = MODELS / "gemma2"

COMMANDS = {
    "ps": "gemma list", "top": "gemma list", "stop": "Ctrl-C", "cp": "gemma pull", "create": "--system", "info": "gemma inspect",
    "download": "gemma pull", "generate": "gemma run", "convert": "gemma quantize",
    "push": "uploads nothing", "detokenize": "--decode", "embeddings": "gemma embed", "imatrix": "gemma importance",
    "guard": "gemma help guard", "batch": "gemma help batch", "model.gguf": 'gemma run model.gguf "TEXT"',
    "gemma-3-270m": 'gemma run gemma-3-270m "TEXT"',
    **dict.fromkeys(("HELP", "h", "/?", "?"), "gemma --help lists"),
    **dict.fromkeys(("gen", "infer", "predict", "ask", "start", "prompt"), 'gemma run MODEL "TEXT"'),
    "decode": "gemma tokenize MODEL --decode", "tokens": "gemma tokenize", "import": "a file or a folder is MODEL",
    "ppl": "gemma perplexity", "check": "gemma verify-file", "install": "gemma pull", "update": "gemma pull",
    "search": "gemma list --all", "del": "gemma remove", "mv": "--name NAME", "fill": "--fill-prefix", "infill": "--fill-prefix",
    **dict.fromkeys(("api", "openai", "webui", "listen"), "gemma serve MODEL"), "moderate": "gemma classify",
    "merge": "--lora FILE", "diff": "gemma compare", "describe": "gemma inspect", "export": "--layout gguf",
}
OPTIONS = {
    "run": {
        "-p": "an argument", "--prompt": "an argument", "-m": "first argument", "--model": "first argument",
        "-i": "gemma chat", "-s": "--seed", "-b": "--chunk", "--temp": "--temperature",
        "--version": "gemma --version", "-V": "gemma --version",
        "--n-predict": "--max-tokens", "--max-new-tokens": "--max-tokens", "--max_tokens": "--max-tokens",
        "--ctx-size": "--context", "--repeat-penalty": "--repetition-penalty", "--mlock": "memory",
        "--color": "NO_COLOR", "-ngl": "CPU", "--n-gpu-layers": "CPU", "-no-cnv": "--raw", "-cnv": "--chat",
        "-hf": "gemma pull", "-fa": "attention", "-ctk": "--cache-type", "--json-schema": "--schema",
        "-sys": "--system", "--reverse-prompt": "--stop", "-e": "$'...'", "--token": "HF_TOKEN",
        # Not -n, -c, -f or -o with a value in the same word
        "-np": "--batch", "-ns": "--batch", "-cb": "--batch", "-nocb": "--batch", "-cmoe": "CPU", "-ncmoe": "CPU",
        "-nkvo": "CPU", "-ctv": "--cache-type", "-fim": "--fill-prefix FILE", "-fit": "gemma run --help-all",
        "-fitp": "gemma run --help-all", "-oe": "gemma run --help-all", "-opt": "gemma run --help-all",
        "-ctxcp": "gemma run --help-all", "-cx": "gemma run --help-all", "-nx": "gemma run --help-all",
        # Nothing far-fetched
        "--port": "gemma serve MODEL is the server", "--keep": "--context-policy", "--check": "gemma run --help-all",
        "--spec-type": "--speculate", "--draft-max": "--speculate", "--mirostat-lr": "top-k", "--mmproj": "texts only",
        # gemma.cpp and transformers
        "--prompt_file": "--file", "--image_file": "texts only", "--map": "mapped", "--seq_len": "--context",
        "--greedy": "--temperature", "--num_return_sequences": "--seed", "--n-probs": "--logprobs",
        "--suffix": "--fill-suffix",
        # Underscores
        "--n_predict": "--max-tokens", "--top_k": "--top-k", "--repetition_penalty": "--repetition-penalty",
        "--max_generated_tokens": "--max-tokens", "--num_threads": "--threads", "--weights": "first argument",
        "--load-in-4bit": "--quantize q4", "-help": "--help",
        "-?": "--help", "-temp": "--temperature", "--ctx": "--context", "--context-size": "--context", "--topK": "--top-k",
        "--minP": "--min-p", "--SEED": "--seed", "--rep-pen": "--repetition-penalty", "--stream": "while it is written",
        "--guided-json": "--schema FILE", "--response-format": "--format json", "--ignore-eos": "--max-tokens",
        "--no-think": "only with --think", "--no-chat": "--raw", "--debug": "the option -v", "--num-gpu": "CPU",
        "--perf": "the option -v prints", "--hidethinking": "the option -q", "--grammar-file": "reads no GBNF",
        "--grammar": "--regex EXPR", "--dry-run": "gemma run --help-all", "--dry_base": "top-k", "--trust-remote-code": "no code", "--chat-template-file": "--chat-template",
    },
    "chat": {"--temp": "--temperature", "-ngl": "CPU", "-hf": "gemma pull", "--system-prompt": "--system", "-p": 'gemma run MODEL "TEXT"',
             "--format": "gemma run has --format json"},
    "serve": {"-np": "--batch-size", "--parallel": "--batch-size", "--ctx-size": "--context", "-m": "first argument",
              "--api-key": "--api-key-file FILE", "--alias": "NAME=MODEL", "--ssl-cert-file": "--tls-cert",
              "--max-num-seqs": "--batch-size", "--max-model-len": "--context",
              # vLLM and text-generation-inference
              "--model": "first argument", "--model-id": "first argument", "--gpu-memory-utilization": "--memory SIZE",
              "--tensor-parallel-size": "CPU", "-tp": "CPU", "--kv-cache-dtype": "--cache-type", "--quantization": "--quantize",
              "--enable-prefix-caching": "without an option, up to --memory", "--enable-auto-tool-choice": "without an option",
              "--reasoning-parser": "without an option", "--lora-modules": "--lora FILE", "--download-dir": "GEMMA_MODELS",
              "--disable-log-requests": "-q leaves these out", "--max-total-tokens": "--context",
              "--max-concurrent-requests": "--max-queued",
              # llama-server, llama_cpp.server, uvicorn and Ollama
              "-ngl": "CPU", "-hf": "gemma pull", "-cb": "without an option (--batch-size)", "-cram": "up to --memory",
              "--embeddings": "/v1/embeddings", "--reranking": "/v1/score", "--metrics": "/metrics", "--no-webui": "--no-page",
              "--chat_format": "--chat-template", "--draft-max": "guesses no tokens", "--log-file": "a line for each request",
              "--temp": "a field of its JSON", "--seed": "a field of its JSON", "--max-tokens": "a field of its JSON",
              "--workers": "computed together", "--bind": "--host", "--allow-origins": "--cors", "-d": "gemma serve MODEL &",
              "--keep-alive": "until the server ends"},
    "tokenize": {"--no-bos": "only with --bos", "--ids": "without an option", "--show-count": "wc -w", "--stdin": "a pipe",
                 "--parse-special": "--parse-control", "--add-special-tokens": "--bos",
                 "--prompt": 'gemma tokenize MODEL "TEXT"', "--temp": "gemma tokenize --help-all"},
    "classify": {"-p": 'gemma classify MODEL "TEXT"'},
    "list": {"--format": "gemma list has --json", "--mirostat": "gemma list --help-all"},
    "pull": {"--quant": "OWNER/REPO:Q4_K_M", "--local-dir": "GEMMA_MODELS", "-o": "GEMMA_MODELS"},
    "quantize": {"--outfile": "gemma quantize SRC DST TYPE", "--imatrix": "--importance", "--outtype": "--type", "--dry-run": "gemma inspect"},
    "bench": {"-m": "first argument", "-ngl": "CPU", "--flash-attn": "attention", "-pg": "gemma bench --help-all"},
    "embed": {"--pooling": "the model's files", "-p": 'gemma embed MODEL "TEXT"', "--prompt-name": "--prompt",
              "--normalize": "length 1", "--truncate_dim": "--dimensions"},
    "inspect": {"--template": "tokenizer_config.json", "--license": "gemma list --all --json", "--top": "gemma inspect --help-all"},
    "perplexity": {"--chunks": "head -c", "--kl-divergence": "gemma compare"},
}


class HabitsTest(CommandTest):
    def test_commands_that_work(self):
        environment = {**os.environ, "GEMMA_MODELS": str(self.folder)}
        self.assertIn("NAME", self.succeeds("ls", env=environment))
        self.fails(1, "rm", "-y", "no-such-model", says="no-such-model", cure="", env=environment)
        self.assertEqual(self.succeeds_quietly("show", TOY), self.succeeds_quietly("inspect", TOY))
        self.assertEqual(self.succeeds_quietly("help"), self.succeeds_quietly("--help"))
        self.assertEqual(self.succeeds_quietly("help", "run"), self.succeeds_quietly("run", "--help"))
        self.assertEqual(self.succeeds_quietly("help", "ls"), self.succeeds_quietly("list", "--help"))
        self.assertEqual(self.succeeds_quietly("version"), self.succeeds_quietly("--version"))

    def test_commands_that_lead_on(self):
        for word, cure in COMMANDS.items():
            self.fails(2, word, "x", says=f"no command '{word}'", cure=cure)
        self.fails(2, "quantise", says="did you mean quantize?", cure="gemma --help")
        for word in (TOY.parent, "README.md"):  # a folder and a file, but no model
            (self.folder / "README.md").write_text("x")
            self.fails(2, word, says=f"no command '{word}'", cure="gemma --help lists", cwd=self.folder)
        self.fails(2, TOY, says="no command", cure=f'gemma run {TOY} "TEXT"')
        self.fails(2, "help", "fly", says="no command 'fly'", cure="gemma --help")
        self.fails(2, "run", TOY, "x", "--batch-size", "9", says="--batch-size requires --batch",
                   cure="gemma run --help-all explains both")
        self.fails(2, "RUN", says="did you mean run?", cure="gemma --help")
        for command in ("run", "chat"):
            self.fails(1, command, "help", says="help: No such file", cure="gemma COMMAND --help")

    def test_options_before_the_command(self):
        for words in (("-q", "run", TOY, "x"), ("--threads", "2", "run", TOY, "x")):
            self.fails(2, *words, says=f"no option {words[0]} before the command", cure=f"gemma run ... {words[0]}")

    def test_model_comes_first(self):
        for command, argument in (("run", '"PROMPT"'), ("tokenize", '"TEXT"'), ("classify", '"TEXT"'), ("embed", '"TEXT"'),
                                  ("perplexity", "FILE")):
            self.fails(1, command, "hi", TOY, says="'hi': No such file",
                       cure=f"the model comes first: gemma {command} {TOY} {argument}")

    def test_names_have_no_ending(self):
        environment = {**os.environ, "GEMMA_MODELS": str(self.folder)}
        self.fails(1, "run", "gemma-3-270m.gguf", "x", says="gemma-3-270m.gguf: No such file",
                   cure="a pulled model has a name: gemma-3-270m (gemma pull gemma-3-270m", env=environment)

    @compares_results
    def test_options_that_lead_on(self):
        for command, options in OPTIONS.items():
            for option, cure in options.items():
                for words in ([option, "99"], [f"{option}=99"]):
                    self.fails(2, command, TOY, *words, says=f"{command} has no option {option}", cure=cure)

    def test_mistyped_options(self):
        self.fails(2, "run", TOY, "x", "--temperatur", "0", says="did you mean --temperature?", cure="gemma run --help")
        self.fails(2, "run", TOY, "x", "--sede", "0", says="did you mean --seed?", cure="gemma run --help")
        self.fails(2, "run", TOY, "x", "--max-toknes", "9", says="did you mean --max-tokens?", cure="gemma run --help")
        self.fails(2, "list", "--al", says="did you mean --all?", cure="gemma list --help")
        self.fails(2, "list", "-x", says="has no option -x", cure="gemma list --help")

    def test_short_options_stay_apart(self):
        # "-hf" is not -h and -f, nor "-qh" a way to ask for help.
        self.fails(2, "run", TOY, "-qh", says="-qh", cure="gemma run --help")
        self.fails(2, "run", TOY, "-hx", says="-hx", cure="gemma run --help")
        self.assertIn("Usage", self.succeeds_quietly("run", "--flow", "--help"))
        # A value may look like an option, and a prompt like a number.
        self.fails(1, "run", "/no/model", "x", "--stop", "--temp", says="/no/model", cure="gemma list")
        self.fails(1, "run", "/no/model", "-5", says="/no/model", cure="gemma list")
        self.fails(1, "run", "/no/model", "-qn5", "x", says="/no/model", cure="gemma list")

    def test_missing_words(self):
        environment = {**os.environ, "GEMMA_MODELS": str(self.folder)}
        self.fails(2, "run", says="run: MODEL is required", cure="gemma pull gemma-3-270m", env=environment)
        self.fails(2, "run", TOY, "x", "--stop", says="--stop needs a value")
        self.fails(2, "serve", says="serve: MODEL is required", cure="gemma serve MODEL; no model is pulled: gemma pull",
                   env=environment)
        for command in (["run", "", "x"], ["chat", ""], ["serve", ""], ["tokenize", "", "x"], ["quantize", "", "DST", "q4"]):
            self.fails(2, *command, says="the model's name is empty", cure="gemma pull gemma-3-270m", env=environment)
        self.fails(2, "rm", says="NAME is required", cure="gemma pull gemma-3-270m", env=environment)
        self.fails(2, "quantize", TOY, says="DST is required", cure="gemma quantize SRC DST [TYPE]")
        self.fails(2, "verify", TOY, says="--reference is required", cure="gemma verify-file")

    def test_types_of_other_tools(self):
        # Each type, its nearest here, and what GGUF calls that
        for word, near, gguf in (("q4_k_m", "q4", ""), ("Q8_0", "q8", "Q8_0"), ("q6_K", "q6", "Q6_K"), ("F16", "bf16", ""),
                                 ("IQ4_NL", "q4", "IQ4_NL")):
            end = f"; the nearest is {near}" + (f", which --layout gguf writes as {gguf}" if gguf else "") + "\n"
            for words in (["TYPE", word], ["--type", "--type", word]):
                line = self.fails(2, "quantize", TOY, self.folder / "m.gguf", *words[1:], says=f"{words[0]}: '{word}'")
                self.assertTrue(line.endswith(end), line)
        for word, near in (("q8_0", "int8"), ("F16", "bfloat16"), ("f32", "float32")):
            line = self.fails(2, "run", TOY, "x", "--cache-type", word, says=f"'{word}'")
            self.assertTrue(line.endswith(f"; the nearest is {near}\n"), line)

    def test_choices_in_any_case(self):
        wanted = self.succeeds_quietly("inspect", TOY, "--cache-type", "float32", "--quantize", "q8", "--json")
        self.assertEqual(wanted, self.succeeds_quietly("inspect", TOY, "--cache-type", "Float32", "--quantize", "Q8",
                                                       "--json"))
        self.assertEqual(self.succeeds_quietly("completion", "Bash"), self.succeeds_quietly("completion", "bash"))
        findings = json.loads(gemma("doctor", "--json").stdout)["findings"]
        [cap] = [finding["facts"]["caps"][0] for finding in findings if finding["about"] == "simd"]
        for option, word in (("--simd", cap.upper()), ("--simd", "All"), ("--speculate", "AUTO"), ("--format", "JSON"),
                             ("--seed", "RANDOM"), ("--markdown", "OFF"), ("--recurrent-window", "DeepMind"),
                             ("--chat-template", "NONE")):
            self.fails(1, "run", "/no/model", "x", option, word, says="/no/model", cure="gemma list")

    def test_surplus_words(self):
        notes = self.folder / "notes.txt"
        notes.write_text("x")
        self.fails(2, "run", TOY, "Sum up", notes, says=f"'{notes}'", cure=f"--file {notes}")
        self.fails(2, "run", TOY, "two", "words", says="'words'", cure="quote a prompt")
        self.fails(2, "run", TOY, "x", "--json", "x.json", says="'x.json'", cure="--json takes no value; -o FILE")
        self.fails(2, "run", TOY, "Q:", "-", says="'-'", cure="< FILE")
        self.fails(1, "perplexity", TOY, "some text", says="some text", cure='echo "TEXT" | gemma perplexity MODEL')
        self.fails(2, "classify", TOY, "two", "words", says="'words'", cure="quote a text of several words")
        self.fails(2, "chat", TOY, "hi", says="'hi'", cure='gemma run MODEL "TEXT"')
        self.fails(2, "logits", TOY, "the cat", says="'the cat'", cure='gemma tokenize MODEL --bos "TEXT"')
        self.fails(2, "list", "x", says="takes options only, found more: 'x'", cure="gemma list --help")


if __name__ == "__main__":
    unittest.main()
