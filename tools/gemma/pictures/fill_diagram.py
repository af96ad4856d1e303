#!/usr/bin/env python3
"""Draws what a model that fills in is given, and what it gives: fill_diagram.py PLOT.png

A diagram, not a measurement: the text in the gap is an example.
"""
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.patches import FancyBboxPatch  # noqa: E402

PREFIX, SUFFIX, MIDDLE, MARKER, OTHER = "#cfe2f3", "#d9ead3", "#ffe599", "#666666", "#eeeeee"
FONT = dict(family="DejaVu Sans Mono", fontsize=8.5, va="center")
LINE, CHARACTER, PAD = 0.30, 0.098, 0.10  # inches


def box(axes, x, y, lines, color, text_color="black", style="-"):
    """Lines of text in a box whose upper left corner is (x, y); returns its width and height."""
    width = max(len(line) for line in lines) * CHARACTER + 2 * PAD
    height = len(lines) * LINE * 0.72 + PAD
    axes.add_patch(FancyBboxPatch((x, y - height), width, height, boxstyle="round,pad=0,rounding_size=0.06",
                                  facecolor=color, edgecolor="#999999", linestyle=style, linewidth=0.8))
    for i, line in enumerate(lines):
        axes.text(x + PAD, y - PAD / 2 - (i + 0.5) * LINE * 0.72, line, color=text_color, **FONT)
    return width, height


def column(axes, x, y, title, rows, gap=0.05):
    """Boxes below each other."""
    axes.text(x, y, title, fontsize=9.5, weight="bold", va="bottom")
    y -= 0.08
    for row in rows:
        y -= box(axes, x, y, *row)[1] + gap
    return y


def main():
    prefix = ["def mean(xs):", "    return "]
    suffix = ["", "", "print(mean([1, 2, 3]))"]
    middle = ["sum(xs) / len(xs)"]
    width, height = 10.2, 3.6
    figure = pyplot.figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    top = height - 0.45

    column(axes, 0.15, top, "the file, and its gap", [
        (prefix, PREFIX), (["(gap)"], "white", "#999999", "--"), (suffix[1:], SUFFIX)])
    axes.text(0.15, top - 2.0, "--fill-prefix", fontsize=8.5, bbox=dict(facecolor=PREFIX, edgecolor="none", pad=2))
    axes.text(1.25, top - 2.0, "--fill-suffix", fontsize=8.5, bbox=dict(facecolor=SUFFIX, edgecolor="none", pad=2))
    axes.text(0.15, top - 2.3, "--fill-path", fontsize=8.5, bbox=dict(facecolor=OTHER, edgecolor="none", pad=2))

    marker = (MARKER, "white")
    column(axes, 3.55, top, "what the model reads", [
        (["<bos>"], *marker), (["stats/mean.py"], OTHER), (["<|fim_prefix|>"], *marker), (prefix, PREFIX),
        (["<|fim_suffix|>"], *marker), (suffix[1:], SUFFIX), (["<|fim_middle|>"], *marker)], gap=0.03)

    column(axes, 7.0, top, "what it writes", [
        (middle, MIDDLE), (["<|file_separator|>"], *marker)])
    axes.text(7.0, top - 0.82, "Any of the four markers, and <eos>,\nends it, and is not printed.", fontsize=8.5,
              va="top")
    column(axes, 7.0, top - 1.55, "prefix + answer + suffix", [
        (prefix[:1] + [prefix[1] + middle[0]] + suffix[1:], "white")])
    for begin, end in ((2.85, 3.45), (6.2, 6.85)):
        axes.annotate("", xy=(end, top - 0.25), xytext=(begin, top - 0.25),
                      arrowprops=dict(arrowstyle="->", color="#444444", linewidth=1.2))
    figure.savefig(sys.argv[1], dpi=80, pil_kwargs=dict(optimize=True))


if __name__ == "__main__":
    main()
