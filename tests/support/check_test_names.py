#!/usr/bin/env python3
"""Checks the names of tests.

  check_test_names.py BINARY...    lists the tests of GoogleTest binaries
  check_test_names.py --self-test

If the type of a parameter has no printer, GoogleTest lists the parameter as
bytes of memory or as an address. These differ in each run, so that lists of
failures cannot be compared.
"""

import re
import subprocess
import sys

RAW = re.compile(r"-byte object|\b0x[0-9a-f]{5,}\b|\bNULL\b")


def problems(listing):
    """Returns the lines of --gtest_list_tests that differ in each run."""
    return [line.strip() for line in listing.splitlines() if RAW.search(line)]


def self_test():
    good = ("Toys/Golden.\n"
            "  Logits/gemma  # GetParam() = gemma\n"
            "  Logits/1  # GetParam() = \"a 0x41 b\"\n")
    assert problems(good) == [], problems(good)
    for line in ("  A/0  # GetParam() = 104-byte object <80-BB 00-00 ...>",
                 "  A/0  # GetParam() = 0x55d0c8a7b004 pointing to \"gemma\"",
                 "  A/0  # GetParam() = 0x55d0c8a7b004",
                 "  A/0  # GetParam() = NULL"):
        assert problems(good + line) == [line.strip()], line


def main(binaries):
    if binaries == ["--self-test"]:
        self_test()
        return 0
    found = 0
    for binary in binaries:
        listing = subprocess.run([binary, "--gtest_list_tests"], check=True,
                                 stdout=subprocess.PIPE, text=True).stdout
        for line in problems(listing):
            print(f"{binary}: '{line}' differs in each run, wanted a printer for "
                  "the parameter's type")
            found += 1
    return 1 if found or not binaries else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
