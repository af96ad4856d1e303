#!/bin/bash
# Fails if clang-format 14 would change any of our code; --fix makes the
# changes. Other versions format differently, so only version 14 is used.

set -euo pipefail
cd "$(dirname "$0")/.."

clang_format="$(command -v clang-format-14 || command -v clang-format || true)"
if [[ -z $clang_format || $("$clang_format" --version) != *" version 14."* ]]; then
  echo "check_format.sh: clang-format 14 is not installed (tools/setup.sh installs it)" >&2
  exit 1
fi

arguments=(--dry-run -Werror)
[[ ${1:-} == --fix ]] && arguments=(-i)
find include src ops compression tests benchmarks tools \
  \( -name '*.h' -o -name '*.cc' \) -print0 2>/dev/null |
  xargs -0 -r "$clang_format" --style=file "${arguments[@]}"
echo "format: clean"
