#!/bin/bash
# Goes from a fresh checkout to an answer:
#
#   tools/quickstart.sh ["prompt"]
#
# Installs missing packages, builds the command, fetches Gemma 3 270M unless
# $GEMMA_MODEL names another model, and runs the prompt. Only the model's answer
# is on stdout.

set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"

run=(run --temperature 0)  # the most probable answer, the same every time
prompt="${1:-The capital of France is}"

"$root/tools/setup.sh" --release-only
(
  cd "$root"
  cmake --preset release
  cmake --build --preset release --target gemma_command
) >&2
model="${GEMMA_MODEL:-$("$root/tools/fetch_model.sh")}"

echo "==> build/release/gemma ${run[*]} $model \"$prompt\"" >&2
exec "$root/build/release/gemma" "${run[@]}" "$model" "$prompt"
