#!/usr/bin/env bash
# Formats our C++ sources with the pinned clang-format; --check only tells which files differ.
set -euo pipefail
cd "$(dirname "$0")/.."
format="${TORII_VENV:-$PWD/.venv}/bin/clang-format"
mapfile -t sources < <(git ls-files '*.cc' '*.h' '*.cu')
if [ "${1:-}" = "--check" ]; then
  "$format" --dry-run --Werror "${sources[@]}" || { echo "torii: run tools/format.sh" >&2; exit 1; }
else
  "$format" -i "${sources[@]}"
fi
