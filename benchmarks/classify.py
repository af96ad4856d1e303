#!/usr/bin/env python3
"""Measures the time of several policies together and of each alone: `gemma classify` on texts of several lengths.

MODEL is a Gemma 2 with any weights (tools/reference/random_weights.py gemma2-2b writes one): their values do not change
the time. Each call adds one measurement of each test to OUTPUT/classify.json, in random order, prints the shortest of
all calls, which other load disturbed least, and plots them.

  classify.py gemma2-2b-q4_0.gguf -t 2

Needs our command: cmake --build build/release --target gemma_command
"""
import argparse
import json
import pathlib
import random
import statistics
import subprocess
import sys

from comparison import environment, machine
from comparison.engines import EngineError, run
from comparison.report import table

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parent / "build" / "release"
TEXT = HERE.parent / "tests" / "testdata" / "real270m" / "text.txt"
POLICIES = ["dangerous", "harassment", "hate", "sexual"]
# Each alone, and the first two, three and four together.
SETS = [[policy] for policy in POLICIES] + [POLICIES[:count] for count in range(2, len(POLICIES) + 1)]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", type=pathlib.Path)
    parser.add_argument("-t", "--threads", type=int, default=2, metavar="N", help="threads (default 2)")
    parser.add_argument("--lengths", type=lambda text: [int(part) for part in text.split(",")],
                        default=[30, 100, 300, 1000], metavar="N[,N...]",
                        help="tokens of the texts (default 30,100,300,1000)")
    parser.add_argument("--gemma", type=pathlib.Path, default=BUILD / "gemma", metavar="FILE")
    parser.add_argument("--output", type=pathlib.Path, default=BUILD.parent / "classify", metavar="DIR",
                        help="where results go (default build/classify)")
    parser.add_argument("--plot", type=pathlib.Path, default=HERE / "pictures" / "classify.png", metavar="FILE.png")
    return parser.parse_args()


def tokens_of(arguments, text):
    return len(run([arguments.gemma, "tokenize", arguments.model, text], "gemma tokenize").split())


def text_of(arguments, length):
    """Returns the first words of the text, `length` tokens long."""
    words = TEXT.read_text(encoding="utf-8").split()
    least, most = 0, length  # a word has at least one token
    while len(words) < most:
        words += words
    while most - least > 1:
        middle = (least + most) // 2
        if tokens_of(arguments, " ".join(words[:middle])) < length:
            least = middle
        else:
            most = middle
    return " ".join(words[:most])


def measure(arguments, text, policies):
    command = [arguments.gemma, "classify", arguments.model, text, "--threads", arguments.threads, "--json"]
    for policy in policies:
        command += ["--policy", policy]
    return json.loads(run(command, "gemma classify"))


def add_measurements(arguments, results):
    """Measures each test once."""
    texts = {length: text_of(arguments, length) for length in arguments.lengths}
    tests = [(length, policies) for length in arguments.lengths for policies in SETS]
    random.shuffle(tests)
    for length, policies in tests:
        report = measure(arguments, texts[length], policies)
        key = f"{length} {' '.join(policies)}"
        entry = results["tests"].setdefault(key, {"length": length, "policies": policies, "seconds": []})
        entry |= {name: report[name] for name in ("prompt_tokens", "computed_tokens")}
        entry["seconds"].append(report["seconds"])
        print(f"{key}: {report['seconds']:.2f} s", file=sys.stderr, flush=True)


def summary(results):
    """Returns for each length the mean of single policies, and for several the seconds and tokens over that mean."""
    lengths = sorted({entry["length"] for entry in results["tests"].values()})

    def of(length, policies):
        return results["tests"][f"{length} {' '.join(policies)}"]

    rows = []
    for length in lengths:
        alone = [of(length, [policy]) for policy in POLICIES]
        seconds = statistics.mean(min(entry["seconds"]) for entry in alone)
        tokens = statistics.mean(entry["computed_tokens"] for entry in alone)
        together = [of(length, POLICIES[:count]) for count in range(1, len(POLICIES) + 1)]
        rows.append({"length": length, "alone_seconds": seconds, "alone_tokens": tokens,
                     "seconds": [min(entry["seconds"]) for entry in together],
                     "ratio": [min(entry["seconds"]) / seconds for entry in together],
                     "token_ratio": [entry["computed_tokens"] / tokens for entry in together]})
    return rows


def main():
    arguments = parse_arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    file = arguments.output / "classify.json"
    results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {
        "model": arguments.model.name, "threads": arguments.threads, "machine": machine.describe(), "tests": {}}
    if (results["model"], results["threads"]) != (arguments.model.name, arguments.threads):
        raise EngineError(f"{file} has measurements of another model or thread count; choose a different --output")
    add_measurements(arguments, results)
    results["summary"] = summary(results)
    file.write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(table(["Tokens of text", "One policy, s", "Two", "Three", "Four", "Four, by tokens"],
                [[str(row["length"]), f"{row['alone_seconds']:.2f}", *(f"{ratio:.2f}" for ratio in row["ratio"][1:]),
                  f"{row['token_ratio'][-1]:.2f}"] for row in results["summary"]]))
    plot = [environment.python("plots"), HERE / "comparison" / "classify_plot.py", file, arguments.plot]
    if subprocess.run(plot, check=False).returncode != 0:
        raise EngineError(f"no plot; the rest is in {file}")


if __name__ == "__main__":
    try:
        main()
    except (EngineError, environment.SetupError, OSError) as error:
        sys.exit(f"classify: {error}")
