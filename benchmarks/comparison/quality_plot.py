#!/usr/bin/env python3
"""Plots KL against bits and against speed: quality_plot.py RESULTS.json PLOT.png"""
import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.transforms import Bbox  # noqa: E402

import speeds  # noqa: E402

COLORS = {"gemma": "tab:blue", "llama.cpp": "tab:orange"}
ON_GRID = 0.9  # from this share of weights on, a format counts as that of the source
POINT = 6  # half a point's size, in pixels
# Places of a name: its offset from its point, and the part of the name at that place.
PLACES = [((distance * x, distance * y), {1: "left", 0: "center", -1: "right"}[x], {1: "bottom", 0: "center", -1: "top"}[y])
          for distance in (5, 10, 16, 24)
          for x, y in ((1, 1), (1, 0), (-1, -1), (-1, 0), (1, -1), (-1, 1), (0, 1), (0, -1))]


def kl(row):
    return row["float32"]["mean_kl"]


def bits(row):
    return row["bits"]


def lowest(rows, x, more_is_better):
    """Returns, in order, the rows that no other row beats in both."""
    kept = []
    for row in sorted(rows, key=x, reverse=more_is_better):
        if not kept or kl(row) < kl(kept[-1]):
            kept.append(row)
    return kept


def draw(axes, rows, x, label, more_is_better):
    """Joins a maker's best rows without importance, except formats on the grid of the source, which get it for free."""
    for maker, color in COLORS.items():
        own = [row for row in rows if row["maker"] == maker and x(row) is not None]
        for row in own:
            fill = "none" if row["same_grid"] > ON_GRID else color
            axes.plot(x(row), kl(row), "^" if row["importance"] else "o", color=color, markerfacecolor=fill, zorder=3)
        plain = [row for row in own if row["same_grid"] <= ON_GRID and not row["importance"]]
        best = lowest(plain, x, more_is_better)
        axes.plot([x(row) for row in best], [kl(row) for row in best], color=color, alpha=0.6, label=maker)
    axes.plot([], [], "o", color="gray", label="no importance")
    axes.plot([], [], "^", color="gray", label="with importance")
    axes.plot([], [], "o", color="gray", markerfacecolor="none", label="on the source's grid")
    axes.set(xlabel=label, ylabel="mean KL from the reference, nats", yscale="log")
    axes.margins(0.12, 0.05)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)


def write_names(axes, rows, x):
    """Writes each name at the first of PLACES where it hides neither points nor names."""
    renderer = axes.figure.canvas.get_renderer()
    shown = [row for row in rows if x(row) is not None]
    points = axes.transData.transform([(x(row), kl(row)) for row in shown])
    taken = [Bbox.from_extents(*(point - POINT), *(point + POINT)) for point in points]
    taken.append(axes.get_legend().get_window_extent(renderer))
    for row, own in zip(shown, list(taken)):
        name = axes.annotate(row["title"].replace(" + importance", ""), (x(row), kl(row)), fontsize=7,
                             color=COLORS[row["maker"]], textcoords="offset points", xytext=PLACES[0][0])
        for offset, horizontal, vertical in PLACES:
            name.set(position=offset, horizontalalignment=horizontal, verticalalignment=vertical)
            box = name.get_window_extent(renderer)
            inside = axes.bbox.x0 < box.x0 and box.x1 < axes.bbox.x1
            if inside and not any(box.overlaps(each) for each in taken if each is not own):
                break
        taken.append(box)


def main():
    results = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    rows = [row for row in results["rows"] if row["maker"] and "error" not in row]
    panels = [(bits, "bits per weight", False)]

    def decode(row):
        return speeds.typical(results["rows"], row, "gemma", "decode")

    if any(decode(row) for row in rows):
        panels.append((decode, "tokens/s, decoding with our engine", True))
    figure, axes = pyplot.subplots(1, len(panels), figsize=(7 * len(panels), 6), squeeze=False)
    for each, (x, label, more_is_better) in zip(axes[0], panels):
        draw(each, rows, x, label, more_is_better)
    figure.suptitle(results["model"])
    figure.tight_layout()
    figure.canvas.draw()
    for each, (x, _, _) in zip(axes[0], panels):
        write_names(each, rows, x)
    figure.savefig(sys.argv[2], dpi=120)


if __name__ == "__main__":
    main()
