#!/usr/bin/env python3
"""Measures what the Python package adds to the time of the C++ library: of `generate`, and of many `astream` at once.

The engine measures how long a request takes in C++, from Submit to the last token. `generate` adds to it what Python
does before and after, while the engine computes undisturbed. `astream` also works during passes, on processors that
the engine wants: the time of all streams is compared with that of one `generate` for the same requests, in turns. All
requests have the same number of tokens and keep no caches, so that every turn computes the same.

  python_overhead.py gemma-3-270m.gguf                     one generate; 32 streams of 64 tokens; 7 pairs
  python_overhead.py gemma-3-270m.gguf --tokens 256 --streams 8

Prints medians and the range of the pairs; how often the engine woke the event loop; and the processor time of the
loop's thread, for each token and as a part of that of all threads, which other programs on the machine change little.
Needs the package on PYTHONPATH: build/release/python:build/python.
"""
import argparse
import asyncio
import json
import pathlib
import statistics
import time

import libgemma
from libgemma import _streams

TEXT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "testdata" / "real270m" / "text.txt"
STRIDE = 37  # words between the beginnings of two prompts


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("-t", "--threads", type=int, default=0, metavar="N", help="threads (default: all cores)")
    parser.add_argument("--streams", type=int, default=32, metavar="N", help="streams at once (default 32)")
    parser.add_argument("--prompt", type=int, default=32, metavar="N", help="tokens of a prompt (default 32)")
    parser.add_argument("--tokens", type=int, default=64, metavar="N", help="tokens of an answer (default 64)")
    parser.add_argument("--pairs", type=int, default=7, metavar="N", help="measurements of each (default 7)")
    return parser.parse_args()


def seconds_of(call):
    begin = time.perf_counter()
    result = call()
    return time.perf_counter() - begin, result


def measure_generate(llm, prompt, options, pairs):
    """Returns what generate took over the engine's own time, as a part of it, for each call."""
    shares = []
    for _ in range(pairs):
        seconds, answer = seconds_of(lambda: llm.generate(prompt, **options))
        engine = answer.times.queued + answer.times.prompt + answer.times.answer
        shares.append(seconds / engine - 1)
    return shares


async def stream_all(llm, prompts, options):
    """Reads all streams at once; returns their tokens."""

    async def read(prompt):
        async for piece in llm.astream(prompt, **options):
            completion = piece.completion
        return completion.tokens

    return await asyncio.gather(*(read(prompt) for prompt in prompts))


def count_wakes(counts):
    """Counts how often event loops are woken."""
    read = _streams._LoopInbox._read

    def counted(self):
        counts["wakes"] += 1
        read(self)

    _streams._LoopInbox._read = counted


def measure_streams(llm, prompts, options, pairs):
    """Returns what the streams took over one generate, as a part of it, for each pair; and what the event loop did."""
    counts = {"wakes": 0}
    count_wakes(counts)
    shares, passes, loop, process = [], 0, 0.0, 0.0
    for index in range(pairs):
        calls = [lambda: [answer.tokens for answer in llm.generate(prompts, **options)],
                 lambda: asyncio.run(stream_all(llm, prompts, options))]
        seconds, tokens = {}, {}
        for which in (0, 1) if index % 2 == 0 else (1, 0):
            before = llm._engine.snapshot()["passes"], time.thread_time(), time.process_time()
            seconds[which], tokens[which] = seconds_of(calls[which])
            if which == 1:
                passes += llm._engine.snapshot()["passes"] - before[0]
                loop += time.thread_time() - before[1]
                process += time.process_time() - before[2]
        if tokens[0] != tokens[1]:
            raise SystemExit("the streams have other tokens than generate")
        shares.append(seconds[1] / seconds[0] - 1)
    num_tokens = pairs * sum(map(len, tokens[1]))
    return shares, {"wakes_per_pass": counts["wakes"] / passes, "microseconds_per_token": 1e6 * loop / num_tokens,
                    "share_of_processor": loop / process}


def summary(shares):
    return {"median": statistics.median(shares), "least": min(shares), "most": max(shares)}


def main():
    arguments = parse_arguments()
    words = TEXT.read_text(encoding="utf-8").split()
    with libgemma.LLM(arguments.model, threads=arguments.threads, sequences=arguments.streams, context=1024,
                      reuse_bytes=0) as llm:
        options = {"seed": 1, "min_tokens": arguments.tokens, "max_tokens": arguments.tokens}
        prompts = [llm.tokenize(" ".join(words[begin:]), bos=True)[:arguments.prompt]
                   for begin in range(0, STRIDE * arguments.streams, STRIDE)]
        llm.generate(prompts[0], **options)  # the first passes allocate memory
        one = measure_generate(llm, prompts[0], options, arguments.pairs)
        many, loop = measure_streams(llm, prompts, options, arguments.pairs)
    print(json.dumps({"generate": summary(one), "astream": summary(many), "loop": loop}, indent=1))


if __name__ == "__main__":
    main()
