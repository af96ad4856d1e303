#!/usr/bin/env python3
"""Compares the speed of `gemma` with other engines on the same files, on this machine.

llama.cpp also runs GGUF files, and transformers runs Hugging Face directories (--transformers). Engines take turns,
with a process for each measurement, so that other load hits all alike; ratios compare neighbouring runs. Writes
OUTPUT/results.json (everything), OUTPUT/results.md (tables) and a plot for each model; prints the tables.

  compare.py gemma-3-270m.gguf                            prefill 512 and decode 64 at depths 0, 4000 and 16000
  compare.py A.gguf B.gguf --depths 0 -r 3                short
  compare.py recurrentgemma-2b --transformers --depths 0  a directory
  compare.py gemma-3-270m.gguf --simd avx2                as on a CPU with AVX2 and without AVX-512

The first run builds llama.cpp from source (10 minutes on 2 cores) in ~/.cache/gemma/compare-venv. With --simd, it
builds another one, for these instructions only, in compare-venv-NAME. Needs `gemma` and ceilings_benchmark:
cmake --build build/release --target gemma_command ceilings_benchmark
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

from comparison import environment, machine, report, simd
from comparison.arguments import numbers, positive
from comparison.engines import EngineError, Gemma, LlamaCpp, Test, Transformers

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parent / "build" / "release"
PROMPT = "The capital of France"  # five tokens with BOS


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="a GGUF file or a Hugging Face directory")
    parser.add_argument("-t", "--threads", type=positive, default=2, metavar="N", help="threads per engine (default 2)")
    parser.add_argument("-r", "--repetitions", type=positive, default=5, metavar="N", help="runs per test (default 5)")
    parser.add_argument("--prefill", type=int, default=512, metavar="N", help="tokens read at once; 0: skip this test")
    parser.add_argument("--decode", type=int, default=64, metavar="N", help="tokens one by one; 0: skip this test")
    parser.add_argument("--depths", type=numbers, default=[0, 4000, 16000], metavar="N,...",
                        help="earlier tokens, whose time does not count (default 0,4000,16000); depths beyond a "
                             "model's context are left out")
    parser.add_argument("--batch", type=numbers, default=[1], metavar="N,...",
                        help="sequences that decode together, at the first depth (default 1)")
    parser.add_argument("--no-first-token", action="store_true", help="do not time process starts")
    parser.add_argument("--no-llama-cpp", action="store_true", help="leave llama.cpp out")
    parser.add_argument("--transformers", action="store_true", help="run directories with transformers too")
    parser.add_argument("--transformers-python", type=pathlib.Path, metavar="PYTHON",
                        help="a Python with torch and transformers; without it they are installed")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16",
                        help="the type in which transformers computes (default bfloat16)")
    parser.add_argument("--simd", default=os.environ.get("GEMMA_SIMD", ""), metavar="NAME",
                        help="compute as on a CPU with fewer instructions, as gemma --simd does; all: with those of this "
                             "CPU (default: $GEMMA_SIMD, or all)")
    parser.add_argument("--build", type=pathlib.Path, default=BUILD, metavar="DIR",
                        help="where gemma and benchmarks/ceilings_benchmark are (default build/release)")
    parser.add_argument("--output", type=pathlib.Path, metavar="DIR",
                        help="where results go (default build/compare, or build/compare-NAME with --simd NAME)")
    parser.add_argument("--setup", action="store_true", help="only set up the Python environment")
    arguments = parser.parse_args()
    if not arguments.models and not arguments.setup:
        parser.error("MODEL is missing")
    if arguments.simd == "all":
        arguments.simd = ""
    if arguments.simd and arguments.transformers:
        parser.error("--simd (or GEMMA_SIMD) does not change transformers; leave one of them out")
    if arguments.output is None:
        arguments.output = BUILD.parent / "-".join(["compare", *filter(None, [arguments.simd])])
    return arguments


def tests_for(arguments, description):
    """Returns the tests that fit into the model's context."""
    tests = []
    for depth in arguments.depths:
        if arguments.prefill:
            tests.append(Test(prompt=arguments.prefill, depth=depth))
        if arguments.decode:
            batches = arguments.batch if depth == arguments.depths[0] else [1]
            tests += [Test(generated=arguments.decode, depth=depth, batch=batch) for batch in batches]
    context = description.get("max_context") or sys.maxsize
    fitting = [test for test in tests if test.positions <= context]
    for test in sorted(set(tests) - set(fitting)):
        print(f"  {test.name}: left out, the model's context is {context}", file=sys.stderr)
    return fitting


def take_turns(engines, repetitions, name, measure):
    """Calls measure(engine) for each engine in turn. Returns {engine's name: its measurements, or the error}."""
    results = {engine.name: {"samples": []} for engine in engines}
    for repetition in range(repetitions):
        for engine in engines:
            result = results[engine.name]
            if "error" in result:
                continue
            start = time.monotonic()
            try:
                result["samples"].append(measure(engine))
            except EngineError as error:
                result["error"] = str(error)
            print(f"  {name}, {engine.name}, {repetition + 1} of {repetitions}: "
                  f"{result.get('error') or engine.show(result['samples'][-1])} "
                  f"({time.monotonic() - start:.0f} s)", file=sys.stderr)
    return results


def read_into_page_cache(model):
    files = [model] if model.is_file() else sorted(model.glob("*.safetensors"))
    for file in files:
        with open(file, "rb", buffering=0) as stream:
            while stream.read(1 << 24):
                pass


def compare_model(arguments, engines, path):
    """Makes all measurements of one model."""
    print(path, file=sys.stderr)
    model = pathlib.Path(path)
    read_into_page_cache(model)
    engines = [engine for engine in engines if engine.reads(model)]
    description = engines[0].describe(model)
    name = model.stem if model.is_file() else model.name
    result = {"path": path, "name": name, "title": name + (f", --simd {arguments.simd}" if arguments.simd else ""),
              "description": description, "engines": [engine.name for engine in engines], "tests": []}
    for test in tests_for(arguments, description):
        measured = take_turns(engines, arguments.repetitions, test.name, lambda engine: engine.measure(model, test))
        result["tests"].append(test.fields() | {"engines": measured})
    if not arguments.no_first_token:
        result["first_token"] = take_turns(engines, arguments.repetitions, "first token",
                                           lambda engine: engine.first_token(model, PROMPT))
    return result


def python_of_llama_cpp(arguments):
    """Returns an interpreter that has llama.cpp for the CPU that --simd names; builds it if necessary."""
    if not arguments.simd:
        return environment.python("llama-cpp")
    return environment.llama_cpp_for(arguments.simd, simd.build_for(arguments.simd).cmake_arguments)


def set_up(arguments):
    if not arguments.no_llama_cpp:
        python_of_llama_cpp(arguments)
    environment.python("plots")
    if arguments.transformers and not arguments.transformers_python:
        environment.python("transformers")


def make_engines(arguments, ours):
    engines = [ours]
    if not arguments.no_llama_cpp:
        theirs = LlamaCpp(python_of_llama_cpp(arguments), arguments.threads)
        if arguments.simd:
            simd.check(theirs.version()["system_info"], arguments.simd)
        engines.append(theirs)
    if arguments.transformers:
        python = arguments.transformers_python or environment.python("transformers")
        engines.append(Transformers(python, arguments.threads, arguments.dtype))
    return engines


def write_results(arguments, results):
    arguments.output.mkdir(parents=True, exist_ok=True)
    file = arguments.output / "results.json"
    file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    text = report.markdown(results)
    (arguments.output / "results.md").write_text(text, encoding="utf-8")
    print(text)
    plot = subprocess.run([environment.python("plots"), HERE / "comparison" / "plot.py", file], check=False)
    if plot.returncode != 0:
        raise EngineError(f"no plots; the rest is in {arguments.output}")
    print(f"written to {arguments.output}", file=sys.stderr)


def main():
    arguments = parse_arguments()
    if arguments.setup:
        set_up(arguments)
        return
    # A build takes minutes, so what the command line asks for is checked first.
    for model in arguments.models:
        if not pathlib.Path(model).exists():
            raise EngineError(f"{model}: no such file or directory")
    ours = Gemma(arguments.build / "gemma", arguments.threads, arguments.simd)
    ours.version()
    set_up(arguments)
    engines = make_engines(arguments, ours)
    results = {"date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "command": sys.argv,
               "threads": arguments.threads, "simd_cap": arguments.simd, "machine": machine.describe(),
               "engines": {engine.name: engine.version() for engine in engines}, "models": []}
    ceilings = [machine.ceilings(arguments.build, arguments.threads, arguments.simd)]
    for model in arguments.models:
        results["models"].append(compare_model(arguments, engines, model))
        ceilings.append(machine.ceilings(arguments.build, arguments.threads, arguments.simd))
    results["ceilings"] = ceilings
    write_results(arguments, results)


if __name__ == "__main__":
    try:
        main()
    except (EngineError, environment.SetupError, OSError) as error:
        sys.exit(f"compare: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
