#!/usr/bin/env bash
# Set-up, build, and tests.
#   tools/test.sh [PRESET]      the whole suite; dev (default), release, asan or tsan
#   tools/test.sh --sanitize    kernels, comm, sampler, sharding and model under AddressSanitizer and
#                               UndefinedBehaviorSanitizer
set -euo pipefail
cd "$(dirname "$0")/.."
preset="${1:-dev}" targets=() only=()
if [ "$preset" = --sanitize ]; then
  preset=asan
  for layer in kernels comm sampler sharding model; do targets+=(--target "${layer}_test"); done
  targets+=(--target comm_mpi_test)
  only=(-R '^(kernels|comm|sampler|sharding|model)_(test|mpi_test.*)$')
fi
tools/setup.sh
tools/format.sh --check
cmake --preset "$preset" >"/tmp/torii-cmake-$$.log" 2>&1 || { cat "/tmp/torii-cmake-$$.log"; exit 1; }
rm -f "/tmp/torii-cmake-$$.log"
echo "== building ($preset)"
cmake --build --preset "$preset" "${targets[@]}" -- --quiet
echo "== testing"
ctest --preset "$preset" -j "$(nproc)" "${only[@]}"
