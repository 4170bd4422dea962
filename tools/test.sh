#!/usr/bin/env bash
# Set-up, build, and the whole test suite. The argument names a CMake preset: dev (default), release, asan, tsan.
set -euo pipefail
cd "$(dirname "$0")/.."
preset="${1:-dev}"
tools/setup.sh
tools/format.sh --check
cmake --preset "$preset" >"/tmp/torii-cmake-$$.log" 2>&1 || { cat "/tmp/torii-cmake-$$.log"; exit 1; }
rm -f "/tmp/torii-cmake-$$.log"
echo "== building ($preset)"
cmake --build --preset "$preset" -- --quiet
echo "== testing"
ctest --preset "$preset" -j "$(nproc)"
