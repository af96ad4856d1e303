#!/bin/bash
# Fetches the default model, Gemma 3 270M (base, GGUF, Q4_K_M, 253 MB), unless
# it is already there, and prints its path on stdout. All else is on stderr.
#
# The command does it; this needs build/release/gemma.

set -euo pipefail
gemma="$(dirname "$0")/../build/release/gemma"
if [[ ! -x $gemma ]]; then
  echo "fetch_model.sh: build the command first: tools/quickstart.sh does" >&2
  exit 1
fi
exec "$gemma" pull gemma-3-270m
