#!/usr/bin/env bash
# Runs clang-tidy (.clang-tidy) over our sources: all of them (about half an hour on two cores), or the files named as
# arguments. kernels/cpu is left out: it uses built-in functions of g++ that clang lacks. Needs a configured build/dev
# and clang-tidy 14 or later. Not part of tools/test.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v clang-tidy >/dev/null || { echo "torii: clang-tidy is missing: apt-get install clang-tidy" >&2; exit 1; }
[ -f build/dev/compile_commands.json ] || cmake --preset dev -DTORII_BENCH=OFF >/dev/null
layers=$(sed -n 's/^set(TORII_LAYERS \(.*\))$/\1/p' cmake/layers.cmake)

# clang reads neither g++'s precompiled headers nor its warning options.
database=$(mktemp -d)
trap 'rm -rf "$database"' EXIT
sed -E 's/-include [^ ]*cmake_pch\.hxx//g; s/-fpch-preprocess//g; s/-Winvalid-pch//g; s/-fmacro-prefix-map=[^ ]*//g' \
  build/dev/compile_commands.json >"$database/compile_commands.json"

if [ $# -gt 0 ]; then
  sources=("$@")
else
  mapfile -t sources < <(git ls-files $layers | grep '\.cc$' | grep -v '^kernels/cpu/')
fi
printf '%s\0' "${sources[@]}" | xargs -0 -n 4 -P "$(nproc)" clang-tidy --quiet -p "$database" 2> >(grep -v "warnings generated" >&2)
