#!/usr/bin/env python3
"""Rules of the programs in tools/reference that need no other package."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tools" / "reference"))

import published_sizes


class ReferenceTest(unittest.TestCase):
    def test_large_shapes_only_q4_0(self):
        large = ["gemma2-27b", "gemma3-12b", "gemma3-27b", "gemma4-12b", "gemma4-26b-a4b", "gemma4-31b"]
        for shape, parameters in published_sizes.PARAMETERS.items():
            with self.subTest(shape):
                self.assertEqual(parameters > 11e9, shape in large)
                self.assertEqual(published_sizes.types_of(shape),
                                 ("q4_0",) if shape in large else ("f32", "bf16", "q8_0", "q4_0"))
        self.assertLessEqual(set(large), set(published_sizes.PARAMETERS))


if __name__ == "__main__":
    unittest.main()
