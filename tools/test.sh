#!/bin/bash
# Installs missing packages, then builds and runs every test. Stops at the first
# step that fails. tests/README.md explains the steps.
#
#   tools/test.sh             all steps: style, dev, tsan, portable, release
#   tools/test.sh STEP...     some steps, also clang, clients, python, ray, beam,
#                             fuzz, arm, parts, posix and soak

set -euo pipefail
cd "$(dirname "$0")/.."

step() {
  echo
  echo "==> [$((SECONDS / 60)):$((SECONDS % 60)) min] $*"
}

# build PRESET [CMAKE_BUILD_OPTION...] builds a preset, release with the Python
# package. GEMMA_TEST_SHARDS=4 runs the cases of a test binary in a few processes.
build() {
  step "Building: $*"
  local options=(-DGEMMA_TEST_SHARDS=4)
  [[ $1 != release ]] || options+=(-DGEMMA_BUILD_PYTHON=ON)
  cmake --preset "$1" "${options[@]}"
  cmake --build --preset "$@"
}

# environment NAME FILE... provides build/NAME-env, a Python environment with the
# packages that files of requirements list: wheels with these hashes, and no other.
environment() {
  local env="build/$1-env" files=("${@:2}") file
  cat "${files[@]}" | cmp --quiet - "$env/installed.txt" && return
  step "Installing: $1"
  python3 -m venv --clear "$env"
  for file in "${files[@]}"; do
    "$env/bin/pip" install --quiet --disable-pip-version-check --no-deps \
      --only-binary :all: --require-hashes --requirement "$file"
  done
  cat "${files[@]}" >"$env/installed.txt"
}

# python_test PYTHON NAME [ARGUMENT...] runs tests/python/NAME_test.py.
python_test() {
  step "Testing: python/$2 ${*:3}"
  local path="$PWD/build/release/python:$PWD/build/python"
  PYTHONPATH="$path:$PWD/tests/python:$PWD/tests/tools" \
    GEMMA_BINARY="$PWD/build/release/gemma" "$1" "tests/python/$2_test.py" "${@:3}"
}

run_style() {
  step "Checking format, layout and documentation"
  tools/check_format.sh
  tools/check_layout.py --self-test
  tools/check_layout.py
  tools/doxygen_filter.py --self-test
  doxygen tools/Doxyfile
}

# Runs all tests except those of a real model under ASan and UBSan.
run_dev() {
  build dev
  step "Testing: dev"
  ctest --preset dev
}

# Runs the tests with threads under the thread sanitizer, on one SIMD target. The
# build also tests add_subdirectory: tools/examples adds this project.
run_tsan() {
  step "Building: tsan, by add_subdirectory"
  cmake -S tools/examples -B build/tsan -G Ninja -DGEMMA_SOURCE="$PWD" \
    -DGEMMA_BUILD_TESTS=ON -DGEMMA_USE_CCACHE=ON -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_CXX_FLAGS="-fsanitize=thread -Wno-tsan -DHWY_COMPILE_ONLY_STATIC" \
    -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g1 -fno-omit-frame-pointer" \
    -DCMAKE_C_FLAGS="-fsanitize=thread" \
    -DCMAKE_PREFIX_PATH="$PWD/build/deps"
  cmake --build build/tsan --target hello_in_c ops_test session_test generate_test batch_test \
    serve_test
  step "Testing: tsan"
  build/tsan/hello_in_c tests/testdata/gguf/gemma3_mixed.gguf "hello"
  SOAK_REQUESTS=1000 ctest --test-dir build/tsan/gemma \
    --output-on-failure -j 2 --no-tests=error -LE real \
    -R 'Workers|Session|Engine|Exchange|FullQueues|Gathering|HeldPasses|LeavingClients|Soak' \
    -E RowPrompts
}

# Tests kernels and formats without SIMD. If these tests pass where others fail,
# a SIMD kernel is wrong, not the reference.
run_portable() {
  build portable
  step "Testing: portable"
  ctest --preset portable
}

# Runs all tests, in the build that users run.
run_release() {
  build release
  GEMMA_TEST_MODEL="$(tools/fetch_model.sh)"
  export GEMMA_TEST_MODEL
  step "Testing: release, with the real model"
  ctest --preset all
}

# Builds with clang, whose warnings differ, and runs all tests without the real
# model.
run_clang() {
  tools/setup.sh --clang
  build clang
  step "Testing: clang"
  ctest --preset clang
}

# Runs the tests of formats, and those of kernels as on CPUs of 64-bit ARM: one
# with neither FEAT_DotProd nor FEAT_I8MM, two with the first, one with both.
run_arm() {
  tools/setup.sh --arm
  build arm
  step "Testing: arm, formats"
  ctest --preset arm -R '^compression/'
  local cpu
  for cpu in cortex-a72 cortex-a76 neoverse-n1 max; do
    step "Testing: arm, as on $cpu"
    QEMU_CPU="$cpu" ctest --preset arm -R '^ops/'
  done
}

# Builds and uses every combination of the parts that a build may leave out, and
# measures the smallest static program.
run_parts() {
  step "Building and testing: parts"
  tests/install/combinations.py
  tests/install/smallest.py
}

# Checks that files which call the system need no Linux.
run_posix() {
  step "Checking calls of the system"
  tools/check_posix.py --self-test
  tools/check_posix.py
}

# Lets clients of OpenAI's API talk to gemma serve with the real model.
run_clients() {
  build release --target gemma_command
  GEMMA_TEST_MODEL="$(tools/fetch_model.sh)"
  export GEMMA_TEST_MODEL GEMMA_BINARY="$PWD/build/release/gemma"
  environment clients tests/clients/real_requirements.txt
  step "Testing: clients"
  build/clients-env/bin/python tests/clients/real_clients.py
}

# Builds the wheel, and runs all tests of the Python package but those of Ray,
# Kubernetes and Beam.
run_python() {
  GEMMA_WHEEL="$(tools/python/build.sh)"
  GEMMA_TEST_MODEL="$(tools/fetch_model.sh)"
  export GEMMA_WHEEL GEMMA_TEST_MODEL
  build release --target gemma_python gemma_command
  step "Testing: python"
  ctest --preset all -R '^python/'
  python_test python3 wheel
  environment asgi tests/clients/requirements.txt tests/python/asgi_requirements.txt
  python_test build/asgi-env/bin/python asgi_servers
  environment clients tests/clients/real_requirements.txt
  python_test build/clients-env/bin/python lm_eval
  environment notebook tests/python/notebook_requirements.txt
  python_test build/notebook-env/bin/python notebooks
}

# Runs the Python package on a cluster of Ray, and checks the manifest for
# Kubernetes.
run_ray() {
  build release --target gemma_python gemma_command
  environment ray tests/python/ray_requirements.txt
  local name
  for name in ray ray_door ray_serve; do python_test build/ray-env/bin/python "$name"; done
  python_test build/ray-env/bin/python page "Ray Data" "Ray Serve"
  environment kubernetes tests/python/kubernetes_requirements.txt
  python_test build/kubernetes-env/bin/python kubernetes
  python_test build/kubernetes-env/bin/python page "Kubernetes"
}

# Runs the Python package in pipelines of Beam.
run_beam() {
  build release --target gemma_python gemma_command
  environment beam tests/python/beam_requirements.txt
  python_test build/beam-env/bin/python beam
  python_test build/beam-env/bin/python page "Apache Beam"
}

# Sends many requests to the command over sockets, a third of which their clients
# leave, and prints what was measured.
run_soak() {
  build release --target gemma_command
  step "Testing: soak"
  GEMMA_BINARY="$PWD/build/release/gemma" PYTHONPATH=tests/tools \
    SOAK_REQUESTS="${SOAK_REQUESTS:-10000}" \
    python3 tests/tools/serve/soak_test.py
}

# Searches for inputs that break a fuzz target, $FUZZ_SECONDS (60) for each of
# $FUZZ_TARGETS (all). The search continues from the inputs that earlier ones
# found, in build/fuzz/corpus. Inputs that fail are in build/fuzz/failed.
run_fuzz() {
  tools/setup.sh --clang
  build fuzz
  local targets name
  read -ra targets <<<"${FUZZ_TARGETS:-$(ls tests/fuzz/corpus | xargs)}"
  mkdir -p build/fuzz/failed
  for name in "${targets[@]}"; do
    step "Fuzzing: $name"
    mkdir -p "build/fuzz/corpus/$name"
    # Sanitizers make code about five times as slow: 25 s stand for 5 s. The
    # cache of the longest session has 1088 MB, of which few pages are ever
    # touched.
    ASAN_SYMBOLIZER_PATH=/usr/bin/llvm-symbolizer-19 "build/fuzz/tests/fuzz_$name" \
      -max_total_time="${FUZZ_SECONDS:-60}" -timeout=25 -malloc_limit_mb=1100 \
      -rss_limit_mb=1280 -artifact_prefix="build/fuzz/failed/$name-" \
      -dict="tests/fuzz/dictionaries/$name.txt" -print_final_stats=1 \
      "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name"
  done
}

steps=("$@")
((${#steps[@]})) || steps=(style dev tsan portable release)
for name in "${steps[@]}"; do
  declare -F "run_$name" >/dev/null || { echo "test.sh: unknown step '$name'" >&2; exit 2; }
done

step "Setting up"
tools/setup.sh
for name in "${steps[@]}"; do "run_$name"; done
step "Done"
