#!/bin/bash
# Installs missing packages, then builds and runs every test. Stops at the first
# step that fails. Takes about half an hour on two cores.
#
#   tools/test.sh             all steps
#   tools/test.sh STEP...     some steps: style, dev, tsan, portable, release

set -euo pipefail
cd "$(dirname "$0")/.."

step() {
  echo
  echo "==> [$((SECONDS / 60)) min] $*"
}

build() {
  step "Building: $*"
  cmake --preset "$1"
  cmake --build --preset "$@"
}

run_style() {
  step "Checking format, layout and documentation"
  tools/check_format.sh
  tools/check_layout.py
  doxygen tools/Doxyfile
}

# Runs all tests except the slow ones and those of a real model under ASan and
# UBSan.
run_dev() {
  build dev
  step "Testing: dev"
  ctest --preset dev
}

# Runs the tests with threads under the thread sanitizer.
run_tsan() {
  build tsan --target ops_test engine_test
  step "Testing: tsan"
  ctest --preset tsan
}

# Tests the code without SIMD, to separate errors of kernels from errors of
# references, and as a part of another project, the examples.
run_portable() {
  step "Building: portable, by add_subdirectory"
  cmake -S tools/examples -B build/subdirectory -G Ninja -DGEMMA_SOURCE="$PWD" \
    -DGEMMA_PORTABLE=ON -DGEMMA_BUILD_TESTS=ON -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_PREFIX_PATH="$PWD/build/deps"
  cmake --build build/subdirectory --target chat_in_c compression_test ops_test
  step "Testing: portable"
  build/subdirectory/chat_in_c tests/testdata/gguf/gemma3_mixed.gguf "hello"
  ctest --test-dir build/subdirectory/gemma --output-on-failure -j 2 \
    --no-tests=error -R '^(compression|ops)/'
}

# Runs all tests, in the build that users run.
run_release() {
  build release
  GEMMA_TEST_MODEL="$(tools/fetch_model.sh)"
  export GEMMA_TEST_MODEL
  step "Testing: release, with the real model"
  ctest --preset all
}

steps=("$@")
((${#steps[@]})) || steps=(style dev tsan portable release)
for name in "${steps[@]}"; do
  declare -F "run_$name" >/dev/null || { echo "test.sh: unknown step '$name'" >&2; exit 2; }
done

step "Setting up"
tools/setup.sh
for name in "${steps[@]}"; do "run_$name"; done
