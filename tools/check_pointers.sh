#!/usr/bin/env bash
# Raw pointers of tensors and reads of single elements stand in kernels/, in the back ends of comm and where files are
# read and written: everywhere else a tensor may live on any device. Exit 1 with one line for each violation.
set -euo pipefail
cd "$(dirname "$0")/.."
layers=$(sed -n 's/^set(TORII_LAYERS \(.*\))$/\1/p' cmake/layers.cmake)
allowed='^(kernels/|comm/in_process/|comm/mpi/|comm/nccl/'
allowed+='|trainer/checkpoint/(safetensors|checkpoint)\.cc:|exports/)'  # file input and output
pattern='(const_|mutable_)?data_ptr\b|\.item(<[a-z0-9_]+>)?\(\)\.(to|is)|\.item<|\baccessor<|\bSpanOf\(|\bVectorOf\('
if grep -rnE "$pattern" $layers --include='*.h' --include='*.cc' --include='*.cu' | grep -vE "$allowed"; then
  echo "raw pointers of tensors belong into kernels/ (docs/architecture.md, Devices)"
  exit 1
fi
