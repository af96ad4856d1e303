#!/usr/bin/env python3
"""Measures bits, quality and speed of each format of weights, ours and llama.cpp's, on this machine.

MODEL is a GGUF file. Its weights as bfloat16 are the reference, from which `gemma quantize` and llama.cpp make one file
for each format. `gemma compare` measures how far each is from the reference on a text that no calibration used; `gemma
bench` and llama.cpp measure its speed. Writes OUTPUT/quality.json (everything), OUTPUT/quality.md and the plot; prints
the tables. The tables list formats that fail, and the exit code is then 1.

  quality.py "$(tools/fetch_model.sh)"                    all formats: an hour
  quality.py MODEL.gguf --only 'q4|Q4_0' --no-speed       some
  quality.py MODEL.gguf --no-speed --keep                 on a busy machine, and then, on an idle one,
  quality.py MODEL.gguf --speed-only --keep -r 1          once for each repetition

The first run builds llama.cpp from source (10 minutes on 2 cores) in ~/.cache/gemma/compare-venv, and fetches the texts
with apt. Needs our programs: cmake --build build/release --target gemma_command quantize_benchmark
"""
import argparse
import concurrent.futures
import hashlib
import json
import pathlib
import random
import re
import subprocess
import sys
import time

from comparison import environment, machine, quality_report, texts
from comparison.engines import EngineError, Gemma, LlamaCpp, Test, run
from comparison.formats import Makers, all_formats

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parent / "build" / "release"
PREFILL, DECODE = Test(prompt=512), Test(generated=64)
BESIDE = "q4"  # the title of the file that runs before each other file; without it, the first file does


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", type=pathlib.Path, help="a GGUF file")
    parser.add_argument("-t", "--threads", type=int, default=2, metavar="N", help="threads of every engine (default 2)")
    parser.add_argument("-r", "--repetitions", type=int, default=9, metavar="N", help="runs per speed (default 9)")
    parser.add_argument("--only", type=re.compile, default=re.compile(""), metavar="REGEX",
                        help="only formats whose title matches, such as 'llama.cpp Q4_0 pure + importance'")
    parser.add_argument("--text", type=pathlib.Path, metavar="FILE", help="predict this text instead")
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument("--no-speed", action="store_true", help="measure only quality")
    speed.add_argument("--speed-only", action="store_true",
                       help="add speeds to OUTPUT/quality.json, with the files that --keep kept")
    parser.add_argument("--no-synthetic", action="store_true", help="leave random matrices out")
    parser.add_argument("--keep", action="store_true", help="keep the files of the formats, in OUTPUT/models")
    parser.add_argument("--build", type=pathlib.Path, default=BUILD, metavar="DIR",
                        help="where gemma and benchmarks/quantize_benchmark are (default build/release)")
    parser.add_argument("--output", type=pathlib.Path, default=BUILD.parent / "quality", metavar="DIR",
                        help="where results go (default build/quality)")
    parser.add_argument("--plot", type=pathlib.Path, default=HERE / "pictures" / "quality.png", metavar="FILE.png",
                        help="where the plot goes (default benchmarks/pictures/quality.png)")
    arguments = parser.parse_args()
    if not arguments.model.is_file():
        parser.error(f"{arguments.model}: no such file")
    return arguments


def note(text):
    print(text, file=sys.stderr, flush=True)


class Quality:
    """Measures files with `gemma` and compares them with the reference."""

    def __init__(self, gemma, text):
        self._gemma = gemma
        self._text = text

    def inspect(self, file):
        return json.loads(run([self._gemma, "inspect", file, "--json"], f"gemma inspect {file}"))

    def compare(self, reference, file, activations):
        """Uses float32 caches, so that only the weights, and the activations if they are int8, differ.

        The result is the same for any number of threads; files are compared side by side instead.
        """
        command = [self._gemma, "compare", reference, file, "--file", self._text, "--json",
                   "--cache-type", "float32", "--base-activations", "float32", "--activations", activations,
                   "--threads", 1]
        return json.loads(run(command, f"gemma compare {file}"))

    def measure(self, source, reference, file):
        """`source` is the output of inspect for the file from which the reference was made."""
        about = self.inspect(file)
        return {"bytes": file.stat().st_size, "bits": 8 * about["weight_bytes"] / about["parameters"],
                "same_grid": same_grid(source, about),
                "float32": self.compare(reference, file, "float32"), "int8": self.compare(reference, file, "int8")}


def same_grid(source, about):
    """Returns the share of weights whose type is also their type in the source."""
    types = {tensor["name"]: tensor["type"] for tensor in source["tensors"] if len(tensor["shape"]) > 1}
    total = same = 0
    for tensor in about["tensors"]:
        values = 1
        for extent in tensor["shape"]:
            values *= extent
        total += values
        same += values if types.get(tensor["name"]) == tensor["type"] else 0
    return same / total


def make_rows(arguments, makers, reference):
    """Makes the files of the formats. Files with the same bytes share one row."""
    rows, digests = [], {}
    for wanted in all_formats():
        title = f"{wanted.maker} {wanted.title}"
        if not arguments.only.search(title):
            continue
        file = reference.parent / wanted.file_name
        row = {"maker": wanted.maker, "title": wanted.title, "importance": wanted.importance, "file": str(file)}
        start = time.monotonic()
        try:
            makers.make(wanted, reference, file)
            row["make_seconds"] = time.monotonic() - start
            first = digests.setdefault(digest_of(file), row)
            if first is not row:
                first.setdefault("same_as", []).append(wanted.title)
                file.unlink()
                continue
        except EngineError as error:
            row["error"] = str(error)
            note(f"  {title}: {error}")
        rows.append(row)
    return rows


def measure_quality(arguments, quality, reference, rows):
    """Measures as many files at once as there are threads. Each file's results go into its row."""
    source = quality.inspect(arguments.model)

    def measure(row):
        start = time.monotonic()
        try:
            row |= quality.measure(source, reference, pathlib.Path(row["file"]))
            note(f"  {row['maker']} {row['title']}: {row['bits']:.3f} bits, mean KL {row['float32']['mean_kl']:.3e} "
                 f"({time.monotonic() - start:.0f} s)")
        except EngineError as error:
            row["error"] = str(error)
            note(f"  {row['maker']} {row['title']}: {error}")

    with concurrent.futures.ThreadPoolExecutor(arguments.threads) as workers:
        list(workers.map(measure, [row for row in rows if "error" not in row]))


def digest_of(file):
    """Hashes all bytes. Where no tensor has a choice, llama.cpp's pure file equals that of the usual mix."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def measure_speeds(arguments, results):
    """Measures engines and files in turn, in a new order each time, and the file for comparison before each of them."""
    ours = Gemma(arguments.build / "gemma", arguments.threads)
    theirs = LlamaCpp(environment.python("llama-cpp"), arguments.threads)
    measurable = [row for row in results["rows"] if "error" not in row]
    beside = next((row for row in measurable if row["title"] == BESIDE), measurable[0])
    results["beside"] = beside["title"]
    runs = [(row, engine, name, test) for row in measurable
            for engine in ([ours, theirs] if row["maker"] == "llama.cpp" else [ours])
            for name, test in (("prefill", PREFILL), ("decode", DECODE))]
    for repetition in range(arguments.repetitions):
        random.shuffle(runs)
        for row, engine, name, test in runs:
            measured = row.setdefault("speed", {}).setdefault(engine.name, {"prefill": [], "decode": []})
            if "error" in measured:
                continue
            try:
                sample = {"beside": ours.measure(pathlib.Path(beside["file"]), test)["tokens_per_second"]}
                sample["tokens_per_second"] = engine.measure(pathlib.Path(row["file"]), test)["tokens_per_second"]
                measured[name].append(sample)
            except EngineError as error:
                measured["error"] = f"speed of {engine.name}: {error}"
        note(f"  speeds, {repetition + 1} of {arguments.repetitions}")


def measure_synthetic(arguments):
    """Returns {distribution: {maker: {type: bits and error}}} for random matrices."""
    python = environment.python("gguf")
    found = json.loads(run([python, HERE / "comparison" / "synthetic.py", arguments.output], "synthetic.py"))
    program = arguments.build / "benchmarks" / "quantize_benchmark"
    results = {}
    for distribution, about in found.items():
        ours = run([program, about["file"], about["rows"], about["cols"]], "quantize_benchmark")
        pathlib.Path(about["file"]).unlink()
        kept = {name: each for name, each in json.loads(ours).items() if each["bits"] < 16}
        results[distribution] = {"gemma": kept, "llama.cpp": about["types"]}
    return results


def measure_all(arguments):
    environment.python("plots")
    environment.python("llama-cpp")
    python = environment.python("gguf")
    gemma = arguments.build / "gemma"
    models = arguments.output / "models"
    models.mkdir(parents=True, exist_ok=True)
    text = arguments.text or arguments.output / "text.txt"
    if not arguments.text:
        text.write_text(texts.evaluation(), encoding="utf-8")
    calibration = arguments.output / "calibration.txt"
    calibration.write_text(texts.calibration(), encoding="utf-8")

    makers = Makers(gemma, python, arguments.output / "importance.gguf")
    quality = Quality(gemma, text)
    reference = models / "reference.gguf"
    note(f"{arguments.model}: making the reference and its formats")
    source = quality.inspect(arguments.model)
    makers.make_reference(arguments.model, reference, source["config"])
    makers.measure_importance(reference, calibration)
    results = {"date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "command": sys.argv,
               "threads": arguments.threads, "machine": machine.describe(), "model": arguments.model.name,
               "text_sha256": digest_of(text), "types": source["types"],
               "gemma": run([gemma, "--version"], "gemma --version").strip(),
               "llama_cpp": LlamaCpp(environment.python("llama-cpp"), arguments.threads).version()["version"]}
    whole = {"maker": "", "title": "reference, BF16", "importance": False, "file": str(reference)}
    shipped = {"maker": "", "title": "as shipped", "importance": False, "file": str(arguments.model)}
    results["rows"] = [whole, shipped] + make_rows(arguments, makers, reference)
    measure_quality(arguments, quality, reference, results["rows"])
    if not arguments.no_synthetic:
        results["synthetic"] = measure_synthetic(arguments)
    return results


def save(arguments, results):
    file = arguments.output / "quality.json"
    file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return file


def saved(arguments):
    file = arguments.output / "quality.json"
    if not file.exists():
        raise EngineError(f"{file} is missing; run --no-speed --keep first")
    return json.loads(file.read_text(encoding="utf-8"))


def write_results(arguments, results):
    file = save(arguments, results)
    text = quality_report.markdown(results)
    (arguments.output / "quality.md").write_text(text, encoding="utf-8")
    print(text)
    script = HERE / "comparison" / "quality_plot.py"
    if subprocess.run([environment.python("plots"), script, file, arguments.plot], check=False).returncode != 0:
        raise EngineError(f"no plot; the rest is in {arguments.output}")
    note(f"written to {arguments.output} and {arguments.plot}")


def main():
    arguments = parse_arguments()
    results = saved(arguments) if arguments.speed_only else measure_all(arguments)
    save(arguments, results)
    if not arguments.no_speed:
        measure_speeds(arguments, results)
    write_results(arguments, results)
    if not arguments.keep:
        for file in (arguments.output / "models").glob("*.gguf"):
            file.unlink()
    return 1 if quality_report.errors(results) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (EngineError, environment.SetupError, texts.TextError, OSError) as error:
        sys.exit(f"quality: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
