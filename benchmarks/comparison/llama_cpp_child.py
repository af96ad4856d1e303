#!/usr/bin/env python3
"""Runs one test with llama.cpp, through its C API, and prints the measurements as a line of JSON.

Works like llama-bench: fixed random tokens, no sampling, a warm-up before the time counts, and caches of a sliding
window that are no larger than the window. compare.py runs it; it is not for people.
"""
import argparse
import importlib.metadata
import json
import random
import sys
import time

import numpy
import llama_cpp as llama

from llama_cpp_log import Log

IMPORTED_AT = time.monotonic()
BATCH_TOKENS = 512


LOG = Log()


def fail(what):
    sys.exit(f"{what}: {'; '.join(LOG.errors) or 'no reason given'}")


def load(path):
    parameters = llama.llama_model_default_params()
    parameters.n_gpu_layers = 0
    if hasattr(parameters, "use_mmap"):
        parameters.use_mmap = True
    else:
        parameters.load_mode = llama.LLAMA_LOAD_MODE_MMAP
    model = llama.llama_model_load_from_file(path.encode(), parameters)
    return model or fail("cannot load the model")


def new_context(model, arguments, positions):
    parameters = llama.llama_context_default_params()
    parameters.n_ctx = positions * arguments.batch
    parameters.n_seq_max = arguments.batch
    parameters.n_batch = parameters.n_ubatch = BATCH_TOKENS
    parameters.n_threads = parameters.n_threads_batch = arguments.threads
    parameters.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_ENABLED
    parameters.swa_full = False
    parameters.no_perf = True
    context = llama.llama_init_from_model(model, parameters)
    return context or fail("cannot make a context")


class Sequences:
    """Writes tokens into the caches of `batch` sequences."""

    def __init__(self, model, context, batch):
        self._context = context
        self._size = batch
        self._batch = llama.llama_batch_init(BATCH_TOKENS, 0, 1)
        self._vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
        self._random = random.Random(1)
        self._next = 0

    def clear(self):
        llama.llama_memory_clear(llama.llama_get_memory(self._context), False)
        self._next = 0

    def tokens(self, count):
        return [self._random.randrange(self._vocabulary) for _ in range(count)]

    def _decode(self, entries):
        """Decodes entries (token, position, sequence, whether logits are wanted)."""
        batch = self._batch
        batch.n_tokens = len(entries)
        for i, (token, position, sequence, wanted) in enumerate(entries):
            batch.token[i] = token
            batch.pos[i] = position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = wanted
        if llama.llama_decode(self._context, batch) != 0:
            fail("llama_decode failed")

    def read(self, tokens, sequence=0):
        """Reads a prompt and computes the logits of its last token."""
        for begin in range(0, len(tokens), BATCH_TOKENS):
            part = tokens[begin : begin + BATCH_TOKENS]
            last = begin + len(part) - 1
            self._decode([(token, self._next + begin + i, sequence, begin + i == last) for i, token in enumerate(part)])
        llama.llama_synchronize(self._context)

    def fill(self, depth):
        """Reads random tokens into each sequence."""
        for sequence in range(self._size if depth else 0):
            self.read(self.tokens(depth), sequence)
        self._next = depth

    def generate(self, steps):
        """Decodes random tokens, one for each sequence at a time."""
        for _ in range(steps):
            self._decode([(token, self._next, i, True) for i, token in enumerate(self.tokens(self._size))])
            llama.llama_synchronize(self._context)
            self._next += 1


def run_test(arguments):
    model = load(arguments.model)
    positions = arguments.depth + max(arguments.prompt, arguments.generate)
    sequences = Sequences(model, new_context(model, arguments, positions), arguments.batch)

    sequences.read(sequences.tokens(arguments.prompt))
    sequences.generate(1 if arguments.generate else 0)
    sequences.clear()
    sequences.fill(arguments.depth)
    prompt = sequences.tokens(arguments.prompt)

    start = time.monotonic()
    sequences.read(prompt)
    sequences.generate(arguments.generate)
    seconds = time.monotonic() - start
    return {"seconds": seconds, "peak_memory_bytes": peak_memory(), "buffers": LOG.buffers}


def run_first_token(arguments):
    model = load(arguments.model)
    vocabulary = llama.llama_model_get_vocab(model)
    text = arguments.text.encode()
    tokens = (llama.llama_token * (len(text) + 1))()
    count = llama.llama_tokenize(vocabulary, text, len(text), tokens, len(tokens), True, False)
    if count <= 0:
        fail("cannot tokenize the prompt")
    context = new_context(model, arguments, count + 1)
    Sequences(model, context, 1).read(list(tokens[:count]))
    logits = llama.llama_get_logits_ith(context, -1)
    numpy.ctypeslib.as_array(logits, (llama.llama_vocab_n_tokens(vocabulary),)).argmax()
    return {"first_token_at": time.monotonic(), "imported_at": IMPORTED_AT, "prompt_tokens": count}


def peak_memory():
    """Returns VmHWM in bytes."""
    with open("/proc/self/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def version():
    return {"version": f"llama-cpp-python {importlib.metadata.version('llama-cpp-python')}",
            "system_info": llama.llama_print_system_info().decode().strip()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--prompt", type=int, default=0)
    parser.add_argument("--generate", type=int, default=0)
    parser.add_argument("--depth", type=int, default=0)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--text", help="time from the start to the first token after this prompt")
    parser.add_argument("--version", action="store_true")
    arguments = parser.parse_args()
    llama.llama_backend_init()
    if arguments.version:
        result = version()
    elif arguments.text is not None:
        result = run_first_token(arguments)
    else:
        result = run_test(arguments)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
