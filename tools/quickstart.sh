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
  cmake --preset release -DGEMMA_BUILD_PYTHON=OFF
  cmake --build --preset release --target gemma_command
) >&2
model="${GEMMA_MODEL:-$("$root/tools/fetch_model.sh")}"

echo "==> build/release/gemma ${run[*]} $model \"$prompt\"" >&2
"$root/build/release/gemma" "${run[@]}" "$model" "$prompt" </dev/null

cat >&2 <<END

Next:
  mkdir -p ~/.local/bin && ln -s "$root/build/release/gemma" ~/.local/bin/
  export PATH="\$HOME/.local/bin:\$PATH"   # if gemma is not found; in ~/.profile, for every login
  gemma pull gemma-3-1b-it-q4 && gemma chat gemma-3-1b-it-q4   # 806 MB, chats
  gemma list --all                  # all models by name, with their sizes
  gemma pull gemma-3-270m           # gives this model a name
  gemma run gemma-3-270m "Water boils at 100 degrees Celsius and freezes at" -n 24
END
