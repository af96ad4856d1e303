#!/usr/bin/env python3
"""Writes the grids of GGUF's IQ2 and IQ3 formats, as the Python package gguf has them, into compression/iq_grids.cc.

Replaces the text between the lines "// Grids begin" and "// Grids end". An entry of an IQ2 grid holds eight
magnitudes, two bits each, and becomes four hexadecimal digits. An entry of an IQ3 grid holds four, three bits each, and
becomes three digits. The first magnitude has the lowest bits.

  iq_grids.py [--output compression/iq_grids.cc]
"""
import argparse
import pathlib
import re

import gguf.quants
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
GRIDS = ["IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S"]


def constant(name):
    """Returns the C++ constant of one grid."""
    codec = getattr(gguf.quants, name)
    codec.init_grid()
    magnitudes = list(codec.grid_map)
    values = codec.grid.reshape(-1, codec.grid_shape[1])
    bits, digits = (2, 4) if values.shape[1] == 8 else (3, 3)
    codes = np.vectorize(magnitudes.index)(values)
    entries = [f"{sum(int(code) << bits * i for i, code in enumerate(row)):0{digits}x}" for row in codes]
    per_line = 72 // digits
    lines = ["".join(entries[i : i + per_line]) for i in range(0, len(entries), per_line)]
    return f"constexpr char k{name.replace('_', '')}Digits[] =\n" + "\n".join(f'    "{line}"' for line in lines) + ";\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "compression/iq_grids.cc")
    output = parser.parse_args().output
    grids = "\n".join(map(constant, GRIDS))
    text, count = re.subn(r"(// Grids begin\n).*?(// Grids end\n)", lambda m: f"{m[1]}\n{grids}\n{m[2]}",
                          output.read_text(), flags=re.DOTALL)
    if count != 1:
        parser.error(f"{output} has {count} places for the grids, wanted 1")
    output.write_text(text)


if __name__ == "__main__":
    main()
