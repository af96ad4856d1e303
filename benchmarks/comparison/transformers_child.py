#!/usr/bin/env python3
"""Runs one test with transformers and prints the measurements as a line of JSON. compare.py runs it.

A streamer takes the times: `generate` calls it with the prompt, then with each token. So prefill is the time to the
first token, and decode the time between the first and the last token.
"""
import argparse
import json
import sys
import time

import torch
import transformers

IMPORTED_AT = time.monotonic()


class Times:
    """A streamer that records the time of each token."""

    def __init__(self):
        self.at = []

    def put(self, _):
        self.at.append(time.monotonic())

    def end(self):
        pass


def load(arguments):
    torch.set_num_threads(arguments.threads)
    transformers.logging.set_verbosity_error()
    model = transformers.AutoModelForCausalLM.from_pretrained(arguments.model, dtype=getattr(torch, arguments.dtype))
    return model.eval()


def generate(model, tokens, new):
    """Returns the times of `new` tokens; the first entry is the start."""
    times = Times()
    with torch.inference_mode():
        model.generate(tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=new, min_new_tokens=new,
                       do_sample=False, streamer=times)
    return times.at


def run_test(arguments):
    if arguments.batch > 1:
        sys.exit("batches are not measured")
    if arguments.prompt and arguments.depth:
        sys.exit("prefill is measured at depth 0 only")
    model = load(arguments)
    torch.manual_seed(1)
    length = arguments.prompt or arguments.depth + 1
    tokens = torch.randint(model.config.vocab_size, (1, length))
    generate(model, tokens[:, :8], 2)
    at = generate(model, tokens, arguments.generate + 1)
    seconds = at[-1] - at[1] if arguments.generate else at[1] - at[0]
    return {"seconds": seconds, "peak_memory_bytes": peak_memory()}


def run_first_token(arguments):
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)
    tokens = torch.tensor([tokenizer(arguments.text).input_ids])
    at = generate(load(arguments), tokens, 1)
    return {"first_token_at": at[1], "imported_at": IMPORTED_AT, "prompt_tokens": tokens.shape[1]}


def peak_memory():
    """Returns VmHWM in bytes."""
    with open("/proc/self/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--prompt", type=int, default=0)
    parser.add_argument("--generate", type=int, default=0)
    parser.add_argument("--depth", type=int, default=0)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--text", help="time from the start to the first token after this prompt")
    parser.add_argument("--version", action="store_true")
    arguments = parser.parse_args()
    if arguments.version:
        result = {"version": f"transformers {transformers.__version__}, torch {torch.__version__}, {arguments.dtype}"}
    elif arguments.text is not None:
        result = run_first_token(arguments)
    else:
        result = run_test(arguments)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
