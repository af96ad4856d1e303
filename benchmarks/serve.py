#!/usr/bin/env python3
"""Compares the speed of `gemma serve` and llama-server on the same GGUF files, over HTTP, on this machine.

For each number of streams, length of prompt and kind of beginning, both servers run in turn, each in a fresh process,
with the same clients: every stream sends its requests one after the other and reads a stream of events. Answers are
greedy and have a fixed number of tokens: tokens that would end them are forbidden on both sides. Prompts are tokens
of one text; with a common beginning, they share their first three quarters. With several streams, one more client asks
for /health. With one, `gemma run` also decodes as many tokens without a server.

  serve.py gemma-3-270m.gguf                                  1, 8 and 32 streams, prompts of 64 and 1,024 tokens
  serve.py MODEL --streams 32 --prompts 1024 --pairs 1        short
  serve.py MODEL --simd avx2                                  as on a CPU with AVX2 and without AVX-512

Adds to what OUTPUT/results.json has, writes OUTPUT/results.md (a table) and OUTPUT/serve.png, and prints the table. The
first run builds llama-server (15 minutes on 2 cores) in ~/.cache/gemma/llama-server, with --simd another one for these
instructions only. Needs our command: cmake --build build/release --target gemma_command
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

from comparison import environment, http_load, llama_server, machine, serve_report
from comparison.arguments import counts, positive
from comparison.engines import EngineError, Gemma
from comparison.servers import GemmaServer, LlamaServer

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parent / "build" / "release"
TEXT = HERE.parent / "tests" / "testdata" / "real270m" / "text.txt"
KINDS = ("distinct", "common")
STRIDE = 37  # tokens between the beginnings of two prompts; no short cycle in the text


def kinds(text):
    values = text.split(",")
    if not set(values) <= set(KINDS):
        raise ValueError
    return values


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="a GGUF file")
    parser.add_argument("-t", "--threads", type=positive, default=2, metavar="N", help="threads per server (default 2)")
    parser.add_argument("--pairs", type=positive, default=3, metavar="N", help="runs of each server (default 3)")
    parser.add_argument("--streams", type=counts, default=[1, 8, 32], metavar="N,...",
                        help="clients at the same time (default 1,8,32)")
    parser.add_argument("--prompts", type=counts, default=[64, 1024], metavar="N,...",
                        help="tokens of a prompt (default 64,1024)")
    parser.add_argument("--beginnings", type=kinds, default=list(KINDS), metavar="KIND,...",
                        help="whether prompts share three quarters: distinct, common (default both)")
    parser.add_argument("--generate", type=positive, default=64, metavar="N", help="tokens of each answer (default 64)")
    parser.add_argument("--requests", type=positive, default=2, metavar="N", help="requests of each stream (default 2)")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="cut a run that takes longer; it then counts what came")
    parser.add_argument("--simd", default=os.environ.get("GEMMA_SIMD", ""), metavar="NAME",
                        help="compute as on a CPU with fewer instructions, as gemma --simd does (default: $GEMMA_SIMD, "
                             "or all)")
    parser.add_argument("--llama-server", type=pathlib.Path, metavar="FILE",
                        help="a llama-server for this CPU or for --simd; without it, one is built")
    parser.add_argument("--no-llama-server", action="store_true", help="leave llama-server out")
    parser.add_argument("--no-run", action="store_true", help="leave gemma run out")
    parser.add_argument("--build", type=pathlib.Path, default=BUILD, metavar="DIR", help="where gemma is")
    parser.add_argument("--output", type=pathlib.Path, metavar="DIR",
                        help="where results go (default build/serve, or build/serve-NAME with --simd NAME)")
    parser.add_argument("--setup", action="store_true", help="only build llama-server")
    arguments = parser.parse_args()
    if not arguments.models and not arguments.setup:
        parser.error("MODEL is missing")
    if arguments.generate < 2:
        parser.error("--generate is less than 2, so nothing lies between two tokens")
    if arguments.simd == "all":
        arguments.simd = ""
    if arguments.output is None:
        arguments.output = BUILD.parent / "-".join(["serve", *filter(None, [arguments.simd])])
    return arguments


def make_prompts(tokens, first, length, count, kind):
    """Returns `count` prompts of `length` tokens, cut from a text that is read in a circle."""
    def cut(begin, size):
        return [tokens[(begin + i) % len(tokens)] for i in range(size)]

    shared = length * 3 // 4 if kind == "common" else 1
    return [[first] + cut(0, shared - 1) + cut(STRIDE * (number + 1), length - shared) for number in range(count)]


def bodies(prompts, fields, generated, streams):
    """Returns each stream's requests."""
    made = [{"prompt": prompt, "max_tokens": generated, "temperature": 0, "stream": True,
             "stream_options": {"include_usage": True}} | fields for prompt in prompts]
    return [made[stream::streams] for stream in range(streams)]


def cells(arguments):
    return [{"streams": streams, "prompt": prompt, "beginning": kind, "generated": arguments.generate,
             "requests": arguments.requests}
            for prompt in arguments.prompts for kind in arguments.beginnings for streams in arguments.streams
            if streams > 1 or kind == KINDS[0]]


def context_of(cell):
    """Returns the tokens for which a sequence has room: a multiple of 256, because llama-server rounds up."""
    return (cell["prompt"] + cell["generated"] + 1 + 255) // 256 * 256


def measure(server, model, cell, prompts, limit):
    """Runs a server with its clients once, and returns the figures."""
    streams, generated = cell["streams"], cell["generated"]
    with server.running(model, streams, context_of(cell)) as port:
        fields = server.fields(model)
        warm_up = bodies([[*prompts[0][:1], *reversed(prompts[0][1:17])]], fields, 4, 1)
        http_load.run(port, warm_up, len(warm_up[0][0]["prompt"]), 4)
        return http_load.run(port, bodies(prompts, fields, generated, streams), cell["prompt"], generated, limit)


def compare(arguments, servers, model, cell, results):
    """Adds the samples of a cell."""
    ours = servers[0]
    tokens, first = ours.tokens(model, TEXT.read_text(encoding="utf-8"))
    prompts = make_prompts(tokens, first, cell["prompt"], cell["streams"] * cell["requests"], cell["beginning"])
    for pair in range(arguments.pairs):
        found = {}
        for server in servers:
            begin = time.monotonic()
            found[server.name] = measure(server, model, cell, prompts, arguments.limit)
            print(f"  {serve_report.name_of(cell)}, {server.name}, {pair + 1} of {arguments.pairs}: "
                  f"{found[server.name]['tokens_per_second']:.0f} tokens/s ({time.monotonic() - begin:.0f} s)",
                  file=sys.stderr)
        if cell["streams"] == 1 and not arguments.no_run:
            text = TEXT.read_text(encoding="utf-8")[:4 * cell["prompt"]]
            alone = ours.run_alone(model, text, cell["generated"], context_of(cell) + 256)
            found["gemma run"] = {"decode_per_second": alone}
        serve_report.add(results, model.stem, cell, found)
        write_json(arguments, results)


def read_results(arguments, servers):
    """Returns the earlier results in OUTPUT if they are of the same machine and threads."""
    head = {"machine": machine.describe()["cpu"], "threads": arguments.threads, "simd_cap": arguments.simd}
    file = arguments.output / "results.json"
    results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"cells": []} | head
    for key, value in head.items():
        if results[key] != value:
            raise EngineError(f"{file} has the {key} {results[key]!r}, wanted {value!r}; choose another --output")
    return results | {"servers": {server.name: server.version() for server in servers}}


def write_json(arguments, results):
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def write_report(arguments, results):
    text = serve_report.markdown(results)
    (arguments.output / "results.md").write_text(text, encoding="utf-8")
    print(text)
    if arguments.no_llama_server:
        return
    command = [environment.python("plots"), HERE / "comparison" / "serve_plot.py", arguments.output / "results.json",
               arguments.output / "serve.png"]
    if subprocess.run(command, check=False).returncode != 0:
        raise EngineError(f"no plot; the rest is in {arguments.output}")
    print(f"written to {arguments.output}", file=sys.stderr)


def main():
    arguments = parse_arguments()
    for model in arguments.models:
        if not pathlib.Path(model).is_file():
            raise EngineError(f"{model}: no such file")
    if arguments.setup:
        llama_server.binary(arguments.simd)
        return
    gemma = arguments.build / "gemma"
    servers = [GemmaServer(Gemma(gemma, arguments.threads, arguments.simd), gemma, arguments.threads)]
    servers[0].version()  # fails early
    if not arguments.no_llama_server:
        binary = arguments.llama_server or llama_server.binary(arguments.simd)
        servers.append(LlamaServer(binary, arguments.threads, arguments.simd))
    results = read_results(arguments, servers)
    for path in arguments.models:
        print(path, file=sys.stderr)
        for cell in cells(arguments):
            compare(arguments, servers, pathlib.Path(path), cell, results)
    write_report(arguments, results)


if __name__ == "__main__":
    try:
        main()
    except (EngineError, http_load.LoadError, environment.SetupError, OSError) as error:
        sys.exit(f"serve: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
