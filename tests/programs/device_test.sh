#!/usr/bin/env bash
# The same run on the CPU and by a GPU's kernels (emulated): losses and metrics agree, and a checkpoint of either goes on
# on the other.
. "$(dirname "$0")/support.bash"

must "$torii" synthesize --out raw --users 40 --items 30 --interactions 8
options=(--config raw/run.txtpb --set train.global_batch=64 --set train.epochs=3 --set train.log_every=1
  --set train.checkpoint.every_steps=4 --set train.checkpoint.keep=20)
must "$torii" prepare "${options[@]}"
train() { timeout 250 "$torii" train "${options[@]}" "$@"; }
losses() { grep '"phase":"train"' "$1/metrics.jsonl" | sed -E 's/.*"step":([0-9]+),.*"loss":([0-9.e+-]+),.*/\1 \2/'; }
same_losses() {
  paste -d ' ' <(losses "$1") <(losses "$2") |
    awk '{ off = $2 - $4; if (off < 0) off = -off; if ($1 != $3 || off > 1e-4 * $2) bad = 1 } END { exit bad || NR < 6 }'
}

must train --run-dir cpu
must train --run-dir emulated --device emulated
check "the log says so" grep -q "device: a GPU's kernels, run by the CPU" "$err"
check "the losses of the CPU" same_losses cpu emulated
must train --run-dir ranks --device emulated --ranks 2
check "the losses of one rank" same_losses emulated ranks

# From one to the other and back.
run env TORII_FAIL=trainer.step#6=kill timeout 120 "$torii" train "${options[@]}" --run-dir both --device emulated
check "killed" test $rc -eq 137
must train --run-dir both --set train.epochs=2
check "it goes on from the checkpoint of the other device" grep -q 'resumed from' "$err"
must train --run-dir both --device emulated
check "the losses of the CPU" same_losses cpu both
for device in cpu emulated; do
  must "$torii" eval --run-dir emulated --device $device --json
  cp "$out" eval.$device
done
check "the metrics of the CPU" cmp -s eval.cpu eval.emulated

run env TORII_CUDA_PLUGIN=/nowhere.so "$torii" train "${options[@]}" --run-dir none --device cuda
expect_error 78 'device cuda: the plug-in for GPUs cannot be opened: /nowhere.so'
must env TORII_CUDA_PLUGIN=/nowhere.so "$torii" eval --run-dir cpu --device auto
check "auto says why it takes the CPU" grep -q 'device: cpu (the plug-in for GPUs cannot be opened' "$err"
run "$torii" train "${options[@]}" --run-dir none --device gpu
expect_error 64 "'gpu' is none of auto, cpu, cuda and emulated"
finish
