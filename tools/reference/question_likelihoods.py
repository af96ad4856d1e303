#!/usr/bin/env python3
"""Writes tests/clients/likelihoods.json: what transformers makes of tests/clients/questions.jsonl with Gemma 3 270M.

For each question, the log-likelihoods of the texts of its choices (see text_of), after BOS, in float32 with the
dequantised weights of the GGUF file. The program needs about 10 minutes of processor time and 2 GB.
"""
import argparse
import json
import pathlib

import torch

import hf_models
import real_model
import vocabulary

CLIENTS = hf_models.TESTDATA.parent / "clients"
BATCH = 8


def text_of(question, choice):
    return f"Question: {question}\nAnswer: {choice}"


def likelihoods(model, sequences):
    """The sum of log-probabilities of each sequence's tokens after the first."""
    sums = []
    for begin in range(0, len(sequences), BATCH):
        rows = sequences[begin : begin + BATCH]
        longest = max(map(len, rows))
        # Padding comes last, so no token before it sees it.
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        with torch.no_grad():
            logits = model(input_ids=ids, use_cache=False).logits
        for row, out in zip(rows, logits):
            scores = torch.log_softmax(out[: len(row) - 1].double(), -1)
            sums.append(float(sum(scores[i, token] for i, token in enumerate(row[1:]))))
        print(len(sums), flush=True)
    return sums


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, default=vocabulary.cached_model(), help="default: the one in the cache")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    words = vocabulary.Vocabulary.from_gguf(arguments.model).processor()
    lines = (CLIENTS / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [text_of(line["question"], choice) for line in map(json.loads, lines) for choice in line["choices"]]
    model = real_model.load(arguments.model)
    sums = likelihoods(model, [[vocabulary.BOS] + words.encode(text) for text in texts])
    content = "".join(json.dumps([round(value, 4) for value in sums[i : i + 4]]) + ("]" if i + 4 == len(sums) else ",") + "\n"
                      for i in range(0, len(sums), 4))
    (CLIENTS / "likelihoods.json").write_text("[" + content, encoding="utf-8")


if __name__ == "__main__":
    main()
