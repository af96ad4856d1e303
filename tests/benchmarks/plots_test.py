#!/usr/bin/env python3
"""The plots of benchmarks/: labels do not run into each other, and axes say what they measure."""
import importlib
import importlib.util
import itertools
import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks/comparison"))


@unittest.skipUnless(importlib.util.find_spec("matplotlib"), "matplotlib is not installed")
class PlotTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.picture = pathlib.Path(folder.name) / "plot.png"
        self.pyplot = importlib.import_module("matplotlib.pyplot")
        self.addCleanup(self.pyplot.close, "all")

    def panels(self):
        """Returns the panels of the figure that was drawn last."""
        self.assertTrue(self.picture.exists())
        figure = self.pyplot.gcf()
        figure.canvas.draw()
        return figure.axes

    def check_apart(self, texts, legend=()):
        """Expects that no text lies on another or on a legend. Returns the number of texts."""
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text()]
        count = len(boxes)
        boxes += [("the legend", each.get_window_extent()) for each in legend]
        for (name, box), (other, near) in itertools.combinations(boxes, 2):
            self.assertFalse(box.overlaps(near), f"{name} lies on {other}")
        return count

    def test_quality_names_lie_apart(self):
        plot = importlib.import_module("quality_plot")
        page = ROOT / "benchmarks/README.md"
        rows = [row for row in plot.read_table(page)["rows"] if row["maker"]]
        self.assertGreater(len(rows), 20)
        with mock.patch.object(sys, "argv", ["quality_plot.py", str(page), str(self.picture)]):
            plot.main()
        by_bits, by_speed = self.panels()
        self.assertEqual(self.check_apart(by_bits.texts, [by_bits.get_legend()]), len(rows))
        self.assertGreater(self.check_apart(by_speed.texts, [by_speed.get_legend()]), 10)
        self.assertEqual([axes.get_xlabel().split()[0] for axes in (by_bits, by_speed)], ["bits", "tokens"])

    def test_speed_ticks_lie_apart(self):
        plot = importlib.import_module("plot")
        sample = [{"tokens_per_second": 100.0}, {"tokens_per_second": 90.0}]
        for depths in ([0, 4000, 16000], list(range(0, 34000, 2000))):
            tests = [{"prompt": 512, "generated": 0, "depth": depth, "batch": 1} for depth in depths]
            tests += [{"prompt": 0, "generated": 64, "depth": depth, "batch": 1} for depth in depths]
            tests += [{"prompt": 0, "generated": 64, "depth": 0, "batch": batch} for batch in (2, 4, 8)]
            for test in tests:
                test["engines"] = {"gemma": {"samples": sample}}
            plot.plot({"name": "toy", "tests": tests, "engines": ["gemma"]}, self.picture)
            axes = self.panels()
            self.assertEqual([each.get_xlabel() for each in axes], 2 * ["tokens already in the context"] + ["sequences"])
            for each in axes:
                self.assertEqual(each.get_ylabel(), "tokens per second")
                self.assertGreater(self.check_apart(each.get_xticklabels()), 2)

    def test_served_ticks_lie_apart(self):
        plot = importlib.import_module("serve_plot")
        sample = [{"tokens_per_second": 100.0, "ttft_median": 0.2}]
        cells = [{"model": model, "beginning": "distinct", "prompt": prompt, "streams": streams,
                  "samples": {"gemma serve": sample, "llama-server": sample}}
                 for model in ("toy", "other") for prompt in (64, 1024) for streams in (1, 8, 32)]
        plot.plot({"machine": "a CPU", "simd_cap": "", "servers": ["gemma serve", "llama-server"], "cells": cells},
                  self.picture)
        self.check_served()

    def test_served_page_is_drawn(self):
        plot = importlib.import_module("serve_plot")
        page = ROOT / "benchmarks/README.md"
        cells = plot.read_table(page)["cells"]
        cases = {(cell["model"], cell["beginning"], cell["prompt"], cell["streams"]) for cell in cells}
        self.assertEqual(len(cases), len(cells))
        self.assertEqual(len(cases), 20)
        self.assertEqual(cells[-1]["samples"]["llama-server"],
                         [{"tokens_per_second": 46, "ttft_median": 394}])
        with mock.patch.object(sys, "argv", ["serve_plot.py", str(page), str(self.picture)]):
            plot.main()
        self.check_served()

    def check_served(self):
        axes = self.panels()
        self.assertEqual([each.get_ylabel().split()[0] for each in axes], 2 * ["tokens", "seconds"])
        [legend] = axes[0].figure.legends
        for each in axes:
            self.assertEqual(self.check_apart(each.get_xticklabels()), 3)
            # The legend hides no line, and no title.
            self.assertFalse(legend.get_window_extent().overlaps(each.get_window_extent()))
            self.check_apart([each.title], [legend])
        self.assertEqual(len(legend.get_texts()), 4)


if __name__ == "__main__":
    system = "/usr/bin/python3"  # for which tools/setup.sh installs matplotlib
    if not importlib.util.find_spec("matplotlib") and sys.executable != system and os.path.exists(system):
        os.execv(system, [system, *sys.argv])
    unittest.main()
