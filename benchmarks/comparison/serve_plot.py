#!/usr/bin/env python3
"""Plots tokens/s and times to the first token by streams: serve_plot.py RESULTS.json PLOT.png"""
import json
import pathlib
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
                axes.plot(*zip(*points), line, color=color, markersize=4, label=f"{server}, {length:,}")
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
    figure, rows = pyplot.subplots(len(models), len(PANELS), figsize=(9, 3.4 * len(models)), squeeze=False)
    for row, model in zip(rows, models):
        for axes, (key, scale, label) in zip(row, PANELS):
            draw(axes, [cell for cell in cells if cell["model"] == model], list(results["servers"]), key, scale,
                 label)
            axes.set_title(model, fontsize=9)
        row[0].legend(fontsize=7)
    cap = f", --simd {results['simd_cap']}" if results["simd_cap"] else ""
    figure.suptitle(f"Server and tokens of a prompt, {results['machine']}{cap}", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=80, metadata={"Software": None})


def main():
    plot(json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")), sys.argv[2])


if __name__ == "__main__":
    main()
