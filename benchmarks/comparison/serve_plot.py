#!/usr/bin/env python3
"""Plots tokens/s and times to the first token by streams: serve_plot.py RESULTS.json PLOT.png

In place of RESULTS.json, the page with its table is enough: serve_plot.py benchmarks/README.md PLOT.png
"""
import json
import pathlib
import re
import statistics
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

# A figure, its scale and its name.
PANELS = (("tokens_per_second", "linear", "tokens per second"), ("ttft_median", "log", "seconds to the first token"))
COLORS = ("tab:blue", "tab:orange", "tab:green")
LINES = ("o-", "s--", "^:")


def draw(axes, cells, servers, key, scale, label):
    lengths = sorted({cell["prompt"] for cell in cells})
    for color, server in zip(COLORS, servers):
        for line, length in zip(LINES, lengths):
            points = sorted((cell["streams"], statistics.median(sample[key] for sample in cell["samples"][server]))
                            for cell in cells if cell["prompt"] == length and server in cell["samples"])
            if points:
                axes.plot(*zip(*points), line, color=color, markersize=4,
                          label=f"{server}, {length:,} tokens")
    streams = sorted({cell["streams"] for cell in cells})
    axes.set(xlabel="streams", ylabel=label, xscale="log", yscale=scale, xticks=streams, xticklabels=streams)
    axes.minorticks_off()
    if scale == "linear":
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3, which="both")


def plot(results, path):
    """Draws a row for each model, of prompts without a common beginning."""
    cells = [cell for cell in results["cells"] if cell["beginning"] == "distinct"]
    models = list(dict.fromkeys(cell["model"] for cell in cells))
    size = (9, 3.4 * len(models) + 0.6)
    figure, rows = pyplot.subplots(len(models), len(PANELS), figsize=size, squeeze=False)
    for row, model in zip(rows, models):
        for axes, (key, scale, label) in zip(row, PANELS):
            draw(axes, [cell for cell in cells if cell["model"] == model], list(results["servers"]), key, scale,
                 label)
            axes.set_title(model, fontsize=9)
    cap = f", --simd {results['simd_cap']}" if results["simd_cap"] else ""
    figure.suptitle(f"Servers and prompts, {results['machine']}{cap}", fontsize=9)
    names = {}
    for axes, _ in rows:
        lines, labels = axes.get_legend_handles_labels()
        names |= dict(zip(labels, lines))
    # Above the panels, where it hides no line.
    figure.legend(names.values(), names, ncols=4, fontsize=8, loc="upper center",
                  bbox_to_anchor=(0.5, 0.965))
    figure.tight_layout(rect=(0, 0, 1, 0.955))
    figure.savefig(path, dpi=80, metadata={"Software": None})


def read_table(page):
    """Returns the cells of the first table of "Served", as in RESULTS.json."""
    served = page.read_text(encoding="utf-8").split("\n## Served\n", 1)[1]
    table = re.search(r"(?m)(?:^\|.*\n)+", served)[0]
    servers = ["gemma serve", "llama-server"]
    cells, model = [], ""
    for line in table.splitlines()[2:]:
        name, test, speed, first, *_ = [cell.strip() for cell in line.strip("|").split("|")]
        model = name or model
        streams, length = re.match(r"(\d+) x ([\d,]+)", test).groups()
        pairs = [re.findall(r"[\d.]+", cell)[:2] for cell in (speed, first)]
        samples = {server: [{key: float(pair[i]) for (key, _, _), pair in zip(PANELS, pairs)}]
                   for i, server in enumerate(servers)}
        beginning = "common" if "common" in test else "distinct"
        cells.append({"model": model, "beginning": beginning, "streams": int(streams),
                      "prompt": int(length.replace(",", "")), "samples": samples})
    machine = "two threads, AMD EPYC of the Zen 4 class"
    return {"machine": machine, "simd_cap": "", "servers": servers, "cells": cells}


def main():
    source = pathlib.Path(sys.argv[1])
    is_page = source.suffix == ".md"
    plot(read_table(source) if is_page else json.loads(source.read_text(encoding="utf-8")), sys.argv[2])


if __name__ == "__main__":
    main()
