#!/usr/bin/env python3
"""Steers a model through its activations: steer.py MODEL PROMPT OTHER STRENGTH

The direction is the mean output of a middle layer for OTHER, minus that for PROMPT. While the model
continues PROMPT, STRENGTH times the direction is added to the residual stream after that layer
(Turner et al., arXiv 2308.10248). With --sae FILE[:SITE], steers by a feature of Gemma Scope
instead: OTHER is then the number of the feature.
"""

import argparse

import numpy as np

import libgemma


def mean_output(llm, text, site):
    """Returns the residual stream [model_dim] at a site: the mean over all tokens except BOS."""
    _, cache = llm.run_with_cache(text, site)
    rows = cache[site][1:]
    if not len(rows):
        raise SystemExit("a text is empty")
    return rows.mean(axis=0)


def direction_tap(llm, prompt, other, strength):
    """Returns a tap that adds the direction from one text to the other."""
    site = f"block_output@{llm.num_layers // 2}"
    change = np.float32(strength) * (mean_output(llm, other, site) - mean_output(llm, prompt, site))

    def add(_, activations):
        activations += change

    return llm.tap(add, site)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a file, or a name of gemma pull")
    parser.add_argument("prompt", help="the beginning of a text")
    parser.add_argument("other", help="a text, or with --sae the number of a feature")
    parser.add_argument("strength", type=float)
    parser.add_argument("--sae", metavar="FILE[:SITE]", help="an autoencoder of Gemma Scope")
    parser.add_argument("--tokens", type=int, default=64, help="the most tokens of the answer")
    arguments = parser.parse_args()

    autoencoders = {"sae": arguments.sae} if arguments.sae else {}
    with libgemma.LLM(arguments.model, autoencoders=autoencoders) as llm:
        if arguments.sae:
            changes = {"steer": libgemma.Steer(llm.autoencoders["sae"], int(arguments.other),
                                               arguments.strength)}
        else:
            changes = {"tap": direction_tap(llm, arguments.prompt, arguments.other,
                                            arguments.strength)}
        options = {"raw": True, "temperature": 0, "max_tokens": arguments.tokens}
        for piece in llm.stream(arguments.prompt, **options, **changes):
            print(piece, end="", flush=True)
        print()


if __name__ == "__main__":
    main()
