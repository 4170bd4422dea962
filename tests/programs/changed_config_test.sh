#!/usr/bin/env bash
# A run goes on only as the same model: another configuration is refused by field, ranks that were started with
# different ones do not train, and nothing that is there is lost in silence.
. "$(dirname "$0")/support.bash"

must "$torii" synthesize --out raw --users 60 --items 30 --interactions 12
options=(--config raw/run.txtpb --set train.global_batch=64)
must "$torii" prepare "${options[@]}"
options+=(--threads 1)
train() { run timeout 120 "$torii" train "${options[@]}" --run-dir run "$@"; }
refused() { expect_error 78 "$1"; }

must timeout 120 "$torii" train "${options[@]}" --run-dir run --set train.max_steps=8
cp run/config.resolved.txtpb before
train --set train.max_steps=8 --set tables.learning_rate=0.5 --set train.dense.learning_rate=0.5
refused 'tables.learning_rate 0.05 -> 0.5, train.dense.learning_rate 0.001 -> 0.5'
check "the resolved configuration stays" cmp -s before run/config.resolved.txtpb
train --set model.normalize=false
refused 'model.normalize true -> false'
train --set train.global_batch=400 --seed 9
refused 'seed 1 -> 9, train.global_batch 64 -> 400; .*--resume accept-config'
train --set train.max_steps=10 --set train.global_batch=400 --resume accept-config
check "accepted: exit code $rc" test $rc -eq 0
check "accepted: it is said" grep -q 'train.global_batch 64 -> 400' "$err"
train --set train.global_batch=400 --set train.max_steps=12 --set train.log_every=1 --set train.checkpoint.keep=3
check "harmless changes go on: exit code $rc" test $rc -eq 0
check "they are said" grep -q 'changed since .*train.log_every 50 -> 1, train.checkpoint.keep 2 -> 3' "$err"
train --set train.global_batch=400 --set train.max_steps=12
check "nothing to do" grep -q 'the run is complete (12 of 12 steps): nothing to do' "$err"
rm -r run

# Nothing readable: neither zero nor silence.
must timeout 120 "$torii" train "${options[@]}" --run-dir run --set train.max_steps=8
for manifest in run/checkpoints/*/manifest.json; do sed -i 's/"version": 2/"version": 3/' "$manifest"; done
listing run/checkpoints >before
train --set train.max_steps=8
expect_error 78 'step-00000008/manifest.json: format version 3, this program reads version 2'
listing run/checkpoints >after
check "nothing is removed" cmp -s before after
train --set train.max_steps=8 --resume never
check "--resume never: exit code $rc" test $rc -eq 0
check "the old ones are aside" test -e run/checkpoints.old-1/step-00000008/manifest.json
train --resume nevr
expect_error 64 "'nevr' is none of auto, accept-config and never"

# The best checkpoint is damaged: another good one takes its place, loudly.
rm -r run
must timeout 120 "$torii" train "${options[@]}" --run-dir run --set train.max_steps=20 --set train.eval_every_steps=4 \
  --set train.checkpoint.keep=9
best=$("$torii" inspect run | sed -n 's/^checkpoint *//p')
printf 'x' | dd of="$best/replicated.safetensors" bs=1 seek=100 conv=notrunc status=none
for command in eval "recommend --user 1" "export --out exported"; do
  # shellcheck disable=SC2086
  run "$torii" $command --run-dir run
  check "$command without the best checkpoint: $rc $(tail -n 1 "$err")" test $rc -eq 0
  check "$command says so" grep -q "the best checkpoint cannot be used: $best" "$err"
done

run timeout 120 "$torii" train "${options[@]}" --run-dir profiled --profile nodir/p.json
expect_error 73 '--profile nodir/p.json: nodir is not there'
check "no run folder was made" test ! -e profiled

# Ranks of one world, started differently.
two() { run timeout 120 mpirun -np 1 "$torii" train "${options[@]}" --run-dir two "${@:1:2}" : -np 1 "$torii" train \
  "${options[@]}" --run-dir two "${@:3:2}"; }
two --seed 1 --seed 2
expect_error 78 'seed is 1 on rank 0 and 2 on rank 1'
two --set tables.learning_rate=0.1 --set tables.learning_rate=0.2
expect_error 78 'tables.learning_rate is 0.1 on rank 0 and 0.2 on rank 1'
two --set train.eval_every_steps=3 --set train.eval_every_steps=4
expect_error 78 'train.eval_every_steps is 3 on rank 0 and 4 on rank 1'
check "nothing was written" test ! -e two
finish
