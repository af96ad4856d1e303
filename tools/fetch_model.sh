#!/bin/bash
# Fetches the default model, Gemma 3 270M (base, GGUF, Q4_K_M, 253 MB), unless
# it is already there, and prints its path on stdout. Other output is on stderr.
#
# The command gemma does the work, so build/release/gemma must exist.

set -euo pipefail
gemma="$(dirname "$0")/../build/release/gemma"
if [[ ! -x $gemma ]]; then
  echo "fetch_model.sh: build the command first, for example with tools/quickstart.sh" >&2
  exit 1
fi
exec "$gemma" pull gemma-3-270m
