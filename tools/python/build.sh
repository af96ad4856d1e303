#!/bin/bash
# Builds the Python wheel on Debian 12 or newer, for all Pythons from 3.10:
#
#   tools/python/build.sh [FOLDER]
#
# Installs missing packages, compiles the module and the gemma command, writes the
# module's types, and checks that the wheel uses only the stable interface of Python
# and runs on the systems that its name promises. Prints the path of the wheel, in
# FOLDER (build/dist). All other output is on stderr.

set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
dist="$(realpath -m "${1:-$root/build/dist}")"

"$root/tools/setup.sh" --wheel
cd "$root"
built="$(mktemp -d)"
trap 'rm -rf "$built"' EXIT

export PYTHONPATH="$root/build/wheel-tools:$root/build/python"
export PATH="$root/build/wheel-tools/bin:$PATH"
export CMAKE_PREFIX_PATH="$root/build/curl:$root/build/deps"
export CMAKE_GENERATOR=Ninja
# The compiler of build/deps, and not that of the machine's Python.
export CC="${CC:-cc}" CXX="${CXX:-c++}"
{
  # What pip would install for the build is in build/wheel-tools.
  python3 -m pip wheel tools/python --wheel-dir "$built" --no-deps --no-index \
    --no-build-isolation --disable-pip-version-check
  # The command's libraries are linked statically, so nothing is copied into the
  # wheel; auditwheel finds the oldest systems that it runs on.
  mkdir -p "$dist" "$built/tagged"
  python3 -m auditwheel repair --wheel-dir "$built/tagged" "$built"/libgemma-*.whl
  python3 -m abi3audit --strict --summary "$built"/tagged/libgemma-*.whl
} >&2
name="$(basename "$built"/tagged/libgemma-*.whl)"
mv "$built/tagged/$name" "$dist/"
echo "$dist/$name"
