#!/usr/bin/env python3
"""Plots KL against bits and against speed: quality_plot.py RESULTS.json PLOT.png

In place of RESULTS.json, the page with its table is enough: quality_plot.py benchmarks/README.md PLOT.png
"""
import json
import math
import pathlib
import re
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.transforms import Bbox  # noqa: E402

import speeds  # noqa: E402

COLORS = {"gemma": "tab:blue", "llama.cpp": "tab:orange"}
ON_GRID = 0.9  # from this share of weights on, a format counts as that of the source
POINT = 6  # half a point's size, in pixels
NEAR = 10  # a name farther away, in points, gets a line to its point
LINE = 3  # half the width that a line keeps free, in pixels
# Places of a name: its offset from its point, and the part of the name at that place.
PLACES = [((distance * x, distance * y), {1: "left", 0: "center", -1: "right"}[x], {1: "bottom", 0: "center", -1: "top"}[y])
          for distance in (5, 9, 14, 20, 28, 38, 50)
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
    axes.legend(fontsize=8)


def gap(box, other):
    """Returns the distance between two boxes."""
    return math.hypot(max(box.x0 - other.x1, other.x0 - box.x1, 0), max(box.y0 - other.y1, other.y0 - box.y1, 0))


def line_boxes(axes):
    """Returns small boxes along the lines, in pixels."""
    for line in axes.get_lines():
        corners = axes.transData.transform(line.get_xydata()) if len(line.get_xydata()) > 1 else []
        for begin, end in zip(corners, corners[1:]):
            steps = int(max(abs(end - begin)) // (2 * LINE)) + 1
            for step in range(steps + 1):
                x, y = begin + (end - begin) * step / steps
                yield Bbox.from_extents(x - LINE, y - LINE, x + LINE, y + LINE)


def write_names(axes, rows, x):
    """Writes each name at the first of PLACES where it hides no point, name or line, with a line to a far point."""
    renderer = axes.figure.canvas.get_renderer()
    shown = sorted((row for row in rows if x(row) is not None), key=kl)
    points = axes.transData.transform([(x(row), kl(row)) for row in shown])
    taken = [Bbox.from_extents(*(point - POINT), *(point + POINT)) for point in points]
    own = list(taken)
    taken += [axes.get_legend().get_window_extent(renderer), *line_boxes(axes)]
    for row, point in zip(shown, own):
        name = axes.annotate(row["title"].replace(" + importance", ""), (x(row), kl(row)), fontsize=8,
                             color=COLORS[row["maker"]], textcoords="offset points", xytext=PLACES[0][0])
        for offset, horizontal, vertical in PLACES:
            name.set(position=offset, horizontalalignment=horizontal, verticalalignment=vertical)
            box = name.get_window_extent(renderer)
            inside = axes.bbox.x0 < box.x0 and box.x1 < axes.bbox.x1 and axes.bbox.y0 < box.y0 and box.y1 < axes.bbox.y1
            far = max(map(abs, offset)) > NEAR
            is_clear = far or all(gap(box, point) + POINT < gap(box, other) for other in own if other is not point)
            if inside and is_clear and not any(box.overlaps(each) for each in taken if each is not point):
                break
        if far:
            axes.annotate("", (x(row), kl(row)), xytext=offset, textcoords="offset points",
                          arrowprops={"arrowstyle": "-", "color": COLORS[row["maker"]], "linewidth": 0.6})
        taken.append(box)


def read_table(page):
    """Returns the results that the page's first table of formats shows."""
    rows = []
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 11 or not re.match("[0-9.]+e", cells[3]):
            continue
        maker = next((maker for maker in COLORS if cells[0].startswith(maker + " ")), "")
        speed = re.match("[0-9]+", cells[9])
        rows.append({
            "maker": maker, "title": cells[0].removeprefix(maker + " "), "bits": float(cells[1]),
            "float32": {"mean_kl": float(cells[3].split()[0])}, "same_grid": float(cells[10].rstrip("% ")) / 100,
            "importance": "importance" in cells[0],
            "speed": {"gemma": {"decode": [{"tokens_per_second": float(speed[0]), "beside": 1}]}} if speed else {}})
    return {"model": "Gemma 3 270M", "rows": rows}


def main():
    source = pathlib.Path(sys.argv[1])
    results = read_table(source) if source.suffix == ".md" else json.loads(source.read_text(encoding="utf-8"))
    rows = [row for row in results["rows"] if row["maker"] and "error" not in row]
    panels = [(bits, "bits per weight of the file", False)]

    def decode(row):
        return speeds.typical(results["rows"], row, "gemma", "decode")

    if any(decode(row) for row in rows):
        panels.append((decode, "tokens per second, decoding with our engine", True))
    figure, axes = pyplot.subplots(1, len(panels), figsize=(7.5 * len(panels), 7), squeeze=False)
    for each, (x, label, more_is_better) in zip(axes[0], panels):
        draw(each, rows, x, label, more_is_better)
    figure.suptitle(f"What quantization costs {results['model']}: lower is better; left: size, right: speed")
    figure.tight_layout()
    figure.canvas.draw()
    for each, (x, _, _) in zip(axes[0], panels):
        write_names(each, rows, x)
    figure.savefig(sys.argv[2], dpi=120)


if __name__ == "__main__":
    main()
