#!/bin/bash
# Goes from a fresh checkout to an answer:
#
#   tools/quickstart.sh ["prompt"]
#
# Installs missing packages, builds the command, fetches Gemma 3 270M unless
# $GEMMA_MODEL names another model, and runs the prompt. Only the model's answer
# is on stdout; the speed, and what to try next, are on stderr.

set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"

# The most probable answer, the same every time.
run=(run --temperature 0 --max-tokens 60 --verbose)
prompt="${1:-Once upon a time, in a village by the sea, there lived}"

"$root/tools/setup.sh" --release-only
(
  cd "$root"
  cmake --preset release
  cmake --build --preset release --target gemma_command
) >&2
model="${GEMMA_MODEL:-$("$root/tools/fetch_model.sh")}"

echo "==> build/release/gemma ${run[*]} $model \"$prompt\"" >&2
"$root/build/release/gemma" "${run[@]}" "$model" "$prompt" </dev/null

cat >&2 <<END

Next:
  ln -s "$root/build/release/gemma" ~/.local/bin/   # if that folder is in your PATH
  gemma list --all                  # models that can be pulled, also ones that chat
  gemma pull gemma-3-270m           # gives this model a name
  gemma run gemma-3-270m "Water boils at 100 degrees Celsius and freezes at" -n 24
END
