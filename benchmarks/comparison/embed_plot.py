#!/usr/bin/env python3
"""Plots texts per second against their length: embed_plot.py RESULTS.json PLOT.png"""
import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

STYLES = {
    "gemma, bfloat16": ("tab:blue", "o-"), "gemma, Q8_0": ("tab:cyan", "s-"), "transformers, bfloat16": ("tab:red", "o--"),
    "transformers, float32": ("tab:pink", "s--"), "llama.cpp, Q8_0": ("tab:orange", "^--"),
}


def main():
    results = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    figure, both = pyplot.subplots(1, 2, figsize=(8.5, 3.4), sharey=True)
    for axes, together, title in ((both[0], False, "one by one"), (both[1], True, "many together")):
        for name, (color, style) in STYLES.items():
            rows = sorted((row["tokens"], row["texts_per_second"]) for row in results["rows"]
                          if row["engine"] == name and row["together"] == together)
            if rows:
                axes.plot(*zip(*rows), style, color=color, label=name, markersize=4)
        lengths = sorted({row["tokens"] for row in results["rows"]})
        axes.set(title=title, xlabel="tokens of a text", xscale="log", yscale="log", xticks=lengths, xticklabels=lengths)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    both[0].set_ylabel("texts per second")
    both[0].legend(fontsize=7)
    figure.suptitle(f"EmbeddingGemma 300M, {results['threads']} threads, {results['cpu']}", fontsize=9)
    figure.tight_layout()
    figure.savefig(sys.argv[2], dpi=80, metadata={"Software": None})


if __name__ == "__main__":
    main()
