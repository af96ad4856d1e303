#!/usr/bin/env python3
"""Compares texts embedded per second, by length: gemma embed, transformers and llama.cpp, on this machine.

MODEL is EmbeddingGemma as a directory, GGUF the same model as a file; random weights are enough
(tools/reference/random_weights.py embeddinggemma-300m). Texts consist of common words. Each engine embeds them one by
one, and in the batches that suit it best; the time includes tokenizing, but not loading. Writes OUTPUT/embed.json and
the plot, and prints a table.

  embed.py embeddinggemma-300m/ embeddinggemma-300m-q8_0.gguf
  embed.py MODEL GGUF --engines gemma,transformers --lengths 16,512 --tokens 2048

The first run installs the other engines in ~/.cache/gemma/compare-venv. Needs our command:
cmake --build build/release --target gemma_command
"""
import argparse
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

from comparison import environment, machine
from comparison.arguments import counts

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parent / "build" / "release"
CHILD = HERE / "comparison" / "embed_child.py"
WORDS = ("the of and to in is that it for was on as with be at by this have from or not you but which are model user one "
         "had all what when there can who will more if out so up no time").split()
# Tokens of padded texts in a batch. transformers gains nothing from more on two cores.
BATCH_TOKENS = 4096


class EmbedError(Exception):
    pass


def write_texts(path, length, count):
    """Writes lines of `length` tokens, including BOS and EOS."""
    choose = random.Random(length)
    path.write_text("".join(" ".join(choose.choices(WORDS, k=length - 2)) + "\n" for _ in range(count)), encoding="utf-8")


def run(command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EmbedError(f"{command[0]} failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}")
    return done


class Gemma:
    def __init__(self, model, threads, build):
        self.command = [build / "gemma", "embed", model, "-v", "--threads", threads]

    def seconds(self, texts, together):
        # A chunk of one token holds only one text.
        chunk = [] if together else ["--chunk", 1]
        with tempfile.NamedTemporaryFile(suffix=".npy") as vectors:
            done = run([*self.command, *chunk, "--file", texts, "--output", vectors.name, "--force"])
        return float(re.search(r"tokens in ([\d.]+) s", done.stderr)[1])


class Other:
    def __init__(self, python, engine, model, threads, dtype=None):
        self.command = [python, CHILD, engine, model]
        self.options = ["--threads", threads, *(["--dtype", dtype] if dtype else [])]

    def seconds(self, texts, together):
        lines = texts.read_text(encoding="utf-8").splitlines()
        batch = max(1, BATCH_TOKENS // (len(lines[0].split()) + 2)) if together else 1
        done = run([*self.command, texts, *self.options, "--batch", batch])
        return json.loads(done.stdout.splitlines()[-1])["seconds"]


def engines(arguments):
    """Returns the engines by name."""
    found = {}
    threads = arguments.threads
    if "gemma" in arguments.engines:
        found["gemma, bfloat16"] = Gemma(arguments.model, threads, arguments.build)
        found["gemma, Q8_0"] = Gemma(arguments.gguf, threads, arguments.build)
    if "transformers" in arguments.engines:
        python = arguments.python or environment.python("transformers")
        for dtype in ("bfloat16", "float32"):
            found[f"transformers, {dtype}"] = Other(python, "transformers", arguments.model, threads, dtype)
    if "llama.cpp" in arguments.engines:
        found["llama.cpp, Q8_0"] = Other(environment.python("llama-cpp"), "llama.cpp", arguments.gguf, threads)
    return found


def measure(arguments):
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        texts = pathlib.Path(folder) / "texts.txt"
        for length in arguments.lengths:
            count = max(arguments.least, arguments.tokens // length)
            write_texts(texts, length, count)
            for name, engine in engines(arguments).items():
                for together in (False, True):
                    seconds = min(engine.seconds(texts, together) for _ in range(arguments.repetitions))
                    rows.append(dict(engine=name, tokens=length, texts=count, together=together, seconds=seconds,
                                     texts_per_second=count / seconds))
                    print(f"{name:24s} {length:5d} tokens, {'together' if together else 'one by one':10s}"
                          f" {count / seconds:9.1f} texts/s {count * length / seconds:8.0f} tok/s", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", type=pathlib.Path, help="a directory")
    parser.add_argument("gguf", metavar="GGUF", type=pathlib.Path, help="a file")
    parser.add_argument("-t", "--threads", type=int, default=2, metavar="N", help="threads of every engine (default 2)")
    parser.add_argument("-r", "--repetitions", type=int, default=1, metavar="N", help="runs; the fastest counts")
    parser.add_argument("--engines", type=lambda text: text.split(","), default=["gemma", "transformers", "llama.cpp"])
    parser.add_argument("--lengths", type=counts, default=[16, 64, 256, 1024], help="tokens of a text")
    parser.add_argument("--tokens", type=int, default=4096, help="about how many tokens a measurement has")
    parser.add_argument("--least", type=int, default=4, help="fewest texts in a measurement")
    parser.add_argument("--python", type=pathlib.Path, help="a Python with torch and transformers")
    parser.add_argument("--build", type=pathlib.Path, default=BUILD, metavar="DIR", help="where gemma is")
    parser.add_argument("--output", type=pathlib.Path, default=BUILD.parent / "embed", metavar="DIR")
    parser.add_argument("--plot", type=pathlib.Path, metavar="FILE.png", help="plot all results in OUTPUT")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    results = arguments.output / "embed.json"
    rows = measure(arguments)
    if results.exists():  # keeps earlier measurements of other tests
        done = {(row["engine"], row["tokens"]) for row in rows}
        rows += [row for row in json.loads(results.read_text())["rows"] if (row["engine"], row["tokens"]) not in done]
    results.write_text(json.dumps(dict(cpu=machine.describe()["cpu"], threads=arguments.threads, rows=rows), indent=1) + "\n")
    if arguments.plot:
        run([environment.python("plots"), HERE / "comparison" / "embed_plot.py", results, arguments.plot])


if __name__ == "__main__":
    try:
        main()
    except (EmbedError, environment.SetupError, OSError) as error:
        sys.exit(f"embed: {error}")
