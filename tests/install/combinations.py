#!/usr/bin/env python3
"""Builds the command and the library with each of the 16 combinations of parts, and uses them.

  combinations.py               builds and tests all, in one build folder, where only what differs is compiled again
  combinations.py --configure   only configures them

Prints a row of a table for each. tools/test.sh parts runs this; it needs what tools/setup.sh provides."""

import itertools
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/parts"
PARTS = ["GEMMA_WITH_SCOPE", "GEMMA_WITH_PULL", "GEMMA_WITH_LINE_EDITING", "GEMMA_WITH_SERVE"]
# The packages of CMake and the shared libraries that only these parts need.
NEEDED = {"ZLIB": {"GEMMA_WITH_SCOPE"}, "CURL": {"GEMMA_WITH_PULL"}, "LibEdit": {"GEMMA_WITH_LINE_EDITING"},
          "Boost": {"GEMMA_WITH_SERVE"}, "OpenSSL": {"GEMMA_WITH_PULL", "GEMMA_WITH_SERVE"}}
LINKED = {"libz.": NEEDED["ZLIB"], "libcurl.": NEEDED["CURL"], "libedit.": NEEDED["LibEdit"],
          "libcrypto.": NEEDED["OpenSSL"], "libssl.": {"GEMMA_WITH_SERVE"}}
MODEL = ROOT / "tests/testdata/gguf/gemma3_mixed.gguf"


def run(*command, **options):
    """Runs a command and returns its standard output. Ends with what it printed if it fails."""
    result = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, **options)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def combinations():
    """Returns all sets of parts, each of which differs from the one before in one part."""
    for number in range(1 << len(PARTS)):
        gray = number ^ number >> 1
        yield {part for bit, part in enumerate(PARTS) if not gray >> bit & 1}


def options(built):
    """Hides the packages that must not be needed, so that looking for one of them fails."""
    hidden = [f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}={'OFF' if built & parts else 'ON'}" for name, parts in NEEDED.items()]
    return [f"-D{part}={'ON' if part in built else 'OFF'}" for part in PARTS] + hidden


def check_links(binary, built):
    """The libraries that a binary names itself, not those that they need."""
    named = re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", binary))
    for start, parts in LINKED.items():
        if any(name.startswith(start) for name in named) != bool(built & parts):
            sys.exit(f"{binary} needs {named}, built with {sorted(built)}")


def check_installed(built, folder):
    """Other projects find the library, and need zlib only for scope."""
    prefix = folder / "prefix"
    run("cmake", "--install", BUILD, "--prefix", prefix)
    [pc] = prefix.glob("lib/**/pkgconfig/gemma.pc")
    if ("-lz" in pc.read_text()) != ("GEMMA_WITH_SCOPE" in built):
        sys.exit(f"{pc}: {pc.read_text()}")
    zlib = "OFF" if "GEMMA_WITH_SCOPE" in built else "ON"
    for components in ("", "static"):
        examples = folder / f"examples{components}"
        run("cmake", "-S", ROOT / "tools/examples", "-B", examples, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
            f"-DGEMMA_COMPONENTS={components}", f"-DCMAKE_DISABLE_FIND_PACKAGE_ZLIB={zlib}")
        run("cmake", "--build", examples, "--target", "hello_in_c", "features")
        run(examples / "hello_in_c", MODEL, "hello")
        features = subprocess.run(
            [examples / "features", MODEL,
             ROOT / "tests/testdata/scope/gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4", "hello"],
            capture_output=True, text=True)
        says = "this libgemma was built without sparse autoencoders (GEMMA_WITH_SCOPE)" in features.stderr
        if (features.returncode == 0) != ("GEMMA_WITH_SCOPE" in built) or says == ("GEMMA_WITH_SCOPE" in built):
            sys.exit(f"features: {features}")
    asked = subprocess.run(["cmake", "-S", ROOT / "tools/examples", "-B", folder / "asks", f"-DCMAKE_PREFIX_PATH={prefix}",
                            "-DGEMMA_COMPONENTS=scope"], capture_output=True, text=True)
    if (asked.returncode == 0) != ("GEMMA_WITH_SCOPE" in built):
        sys.exit(f"find_package(gemma COMPONENTS scope): {asked.stderr}")


def main():
    configure_only = "--configure" in sys.argv[1:]
    print(f"| {' | '.join(part.removeprefix('GEMMA_WITH_').lower() for part in PARTS)} | command, bytes | libgemma.so, bytes |")
    print("|---" * (len(PARTS) + 2) + "|")
    for built in combinations():
        run("cmake", "--preset", "release", "-B", BUILD, "-DGEMMA_BUILD_TESTS=OFF", "-DGEMMA_BUILD_BENCHMARKS=OFF",
            "-DGEMMA_BUILD_PYTHON=OFF", *options(built))
        sizes = ["", ""]
        if not configure_only:
            run("cmake", "--build", BUILD, "-j", os.environ.get("JOBS", "2"))
            [library] = BUILD.glob("**/libgemma.so")
            sizes = [str(path.resolve().stat().st_size) for path in (BUILD / "gemma", library)]
            check_links(BUILD / "gemma", built)
            check_links(library, built & {"GEMMA_WITH_SCOPE"})
            environment = dict(os.environ, GEMMA_BINARY=str(BUILD / "gemma"), WANTED_PARTS=" ".join(sorted(built)),
                               PYTHONPATH="tests/tools")
            run(sys.executable, "tests/tools/cli/parts_test.py", env=environment)
            with tempfile.TemporaryDirectory() as folder:
                check_installed(built, pathlib.Path(folder))
        marks = ["yes" if part in built else "no" for part in PARTS]
        print(f"| {' | '.join(marks + sizes)} |", flush=True)


if __name__ == "__main__":
    main()
