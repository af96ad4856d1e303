"""How many parameters the published shapes have, and in which types random_weights.py writes them.

It is apart from random_weights.py because it needs nothing but Python: tests/tools/machine/reference_test.py reads it.
"""
LARGE = 11_000_000_000  # the text models called 12B have 11.8 billion
LARGE_TYPES = ("q4_0",)
TYPES = ("f32", "bf16", "q8_0", "q4_0")

PARAMETERS = {
    "gemma-2b": 2_506_172_416, "gemma-7b": 8_537_680_896, "gemma2-2b": 2_614_341_888, "gemma2-9b": 9_241_705_984,
    "gemma2-27b": 27_227_128_320, "gemma3-270m": 268_098_176, "gemma3-1b": 999_885_952, "gemma3-4b": 3_880_263_168,
    "gemma3-12b": 11_766_034_176, "gemma3-27b": 27_009_346_304, "embeddinggemma-300m": 307_581_696,
    "recurrentgemma-2b": 2_682_862_080, "recurrentgemma-9b": 8_579_977_216, "gemma3n-e2b": 4_435_182_688,
    "gemma3n-e4b": 6_835_235_568, "gemma4-e2b": 4_628_569_379, "gemma4-e4b": 7_463_013_418,
    "gemma4-12b": 11_907_350_320, "gemma4-26b-a4b": 25_233_141_790, "gemma4-26b-a4b-cut": 9_890_254_092,
    "gemma4-31b": 30_697_345_340, "embeddinggemma2": 271_002_648,
}


def types_of(shape):
    """Returns the types in which a shape is written. In others, large shapes would fill a disk: up to 61 GB."""
    return LARGE_TYPES if PARAMETERS[shape] > LARGE else TYPES
