#!/usr/bin/env python3
"""Plots the time of several policies together and of each alone: classify_plot.py RESULTS.json PLOT.png"""
import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402


def draw_seconds(axes, row):
    """Plots the time of policies one after the other, and together."""
    counts = range(1, len(row["seconds"]) + 1)
    axes.plot(counts, [count * row["alone_seconds"] for count in counts], "o--", color="tab:gray",
              label="one by one")
    axes.plot(counts, row["seconds"], "o-", color="tab:blue", label="together")
    axes.set(xlabel="policies", ylabel="seconds", xticks=list(counts), ylim=(0, None),
             title=f"a text of {row['length']} tokens")
    axes.grid(alpha=0.3)
    axes.legend()


def draw_ratios(axes, rows):
    """Plots four together over one, by the length of the text."""
    lengths = [row["length"] for row in rows]
    axes.axhline(len(rows[0]["ratio"]), linestyle="--", color="tab:gray", label="one by one")
    axes.plot(lengths, [row["ratio"][-1] for row in rows], "o-", color="tab:blue", label="together, by time")
    axes.plot(lengths, [row["token_ratio"][-1] for row in rows], ":", color="tab:blue", label="together, by tokens")
    axes.set(xlabel="tokens of the text", ylabel="times the cost of one policy", xscale="log", ylim=(0, None),
             xticks=lengths, xticklabels=lengths, title="four policies")
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()


def main():
    results = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    rows = results["summary"]
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4))
    draw_seconds(axes[0], min(rows, key=lambda row: abs(row["length"] - 300)))
    draw_ratios(axes[1], rows)
    figure.suptitle(f"gemma classify {results['model']}, {results['threads']} threads, {results['machine']['cpu']}")
    figure.tight_layout()
    figure.savefig(sys.argv[2], dpi=90)


if __name__ == "__main__":
    main()
