#!/usr/bin/env python3
"""Plots tokens/s against depth, and against sequences in a batch: plot.py RESULTS.json writes a PNG for each model.

benchmarks/pictures/speed.json holds what speed.png shows.
"""
import json
import pathlib
import statistics
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402


MOST_TICKS = 6  # more labels would run into each other


def speeds(tests, engine, x):
    """Returns (x, lowest, median, highest) of each test that was measured."""
    points = []
    for test in tests:
        samples = [sample["tokens_per_second"] for sample in test["engines"][engine]["samples"]]
        if samples:
            points.append((test[x], min(samples), statistics.median(samples), max(samples)))
    return sorted(points)


def draw(axes, tests, engines, x, title, label):
    for engine in engines:
        points = speeds(tests, engine, x)
        if not points:
            continue
        xs, low, median, high = zip(*points)
        [line] = axes.plot(xs, median, marker="o", label=engine)
        axes.fill_between(xs, low, high, color=line.get_color(), alpha=0.2)
    measured = sorted({test[x] for test in tests})
    axes.set(title=title, xlabel=label, ylabel="tokens per second")
    axes.set_ylim(bottom=0)
    if len(measured) <= MOST_TICKS:
        axes.set_xticks(measured, [f"{each:,}" for each in measured])
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()


def panels(model):
    """Returns (tests, x, title, label) of each plot that has something to show."""
    tests = model["tests"]
    prefill = [test for test in tests if test["prompt"]]
    decode = [test for test in tests if test["generated"] and test["batch"] == 1]
    first = [test for test in tests if test["generated"] and test["depth"] == tests[0]["depth"]]
    found = []
    if prefill:
        found.append((prefill, "depth", f"Prefill: {prefill[0]['prompt']} tokens at once",
                      "tokens already in the context"))
    if decode:
        found.append((decode, "depth", f"Decode: {decode[0]['generated']} tokens one by one",
                      "tokens already in the context"))
    if any(test["batch"] > 1 for test in first):
        found.append((first, "batch", "Decode of several sequences together", "sequences"))
    return found


def plot(model, path):
    found = panels(model)
    if not found:
        return
    figure, axes = pyplot.subplots(1, len(found), figsize=(5 * len(found), 4), squeeze=False)
    for each, (tests, x, title, label) in zip(axes[0], found):
        draw(each, tests, model["engines"], x, title, label)
    figure.suptitle(model.get("title", model["name"]))
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main():
    file = pathlib.Path(sys.argv[1])
    for model in json.loads(file.read_text(encoding="utf-8"))["models"]:
        plot(model, file.with_name(f"{model['name']}.png"))


if __name__ == "__main__":
    main()
