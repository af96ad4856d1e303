#!/usr/bin/env python3
"""Plots KL against bits and against speed: quality_plot.py RESULTS.json PLOT.png"""
import json
import pathlib
import statistics
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

COLORS = {"gemma": "tab:blue", "llama.cpp": "tab:orange"}
ON_GRID = 0.9  # the share of weights from which on a format is that of the source


def kl(row):
    return row["float32"]["mean_kl"]


def bits(row):
    return row["bits"]


def decode(row):
    """Of our engine; None if it was not measured."""
    speeds = row.get("speed", {}).get("gemma", {}).get("decode")
    return statistics.median(speeds) if speeds else None


def lowest(rows, x, more_is_better):
    """Those that none beats in both, in order."""
    kept = []
    for row in sorted(rows, key=x, reverse=more_is_better):
        if not kept or kl(row) < kl(kept[-1]):
            kept.append(row)
    return kept


def draw(axes, rows, x, label, more_is_better):
    """A maker's best are joined, but for formats on the grid of the source, which is no merit of theirs."""
    for maker, color in COLORS.items():
        own = [row for row in rows if row["maker"] == maker and x(row) is not None]
        for row in own:
            fill = "none" if row["same_grid"] > ON_GRID else color
            axes.plot(x(row), kl(row), "^" if row["importance"] else "o", color=color, markerfacecolor=fill)
            axes.annotate(row["title"].replace(" + importance", ""), (x(row), kl(row)), fontsize=6,
                          xytext=(3, 3), textcoords="offset points")
        best = lowest([row for row in own if row["same_grid"] <= ON_GRID], x, more_is_better)
        axes.plot([x(row) for row in best], [kl(row) for row in best], color=color, label=maker)
    axes.plot([], [], "o", color="gray", label="no importance")
    axes.plot([], [], "^", color="gray", label="with importance")
    axes.plot([], [], "o", color="gray", markerfacecolor="none", label="on the source's grid")
    axes.set(xlabel=label, ylabel="mean KL from the reference, nats", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)


def main():
    results = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    rows = [row for row in results["rows"] if row["maker"] and "error" not in row]
    panels = [(bits, "bits per weight", False)]
    if any(decode(row) for row in rows):
        panels.append((decode, "tokens/s, decoding with our engine", True))
    figure, axes = pyplot.subplots(1, len(panels), figsize=(7 * len(panels), 5), squeeze=False)
    for each, (x, label, more_is_better) in zip(axes[0], panels):
        draw(each, rows, x, label, more_is_better)
    figure.suptitle(results["model"])
    figure.tight_layout()
    figure.savefig(sys.argv[2], dpi=120)


if __name__ == "__main__":
    main()
