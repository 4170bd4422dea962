#!/usr/bin/env bash
# The check for machines with a GPU, where there is none: the archive is complete (its programs run with an empty
# environment and load nothing of this machine), and what fails, is missing or takes too long is never said to be passed.
. "$(dirname "$0")/support.bash"

packed=$(dirname "$torii")/gpu_check  # kept: the wheel of Open MPI is fetched once
venv=${TORII_VENV:-$source_dir/.venv}
site=$(echo "$venv"/lib/python3*/site-packages)
run "$source_dir/tools/pack_gpu_check.sh" --build "$(dirname "$torii")" --out "$packed" --data "$source_dir/../shared/data" --level 6
cat "$out"
if [ $rc -eq 75 ]; then skip "$(tail -n 1 "$err")"; exit 77; fi
check "the archive is packed: $(tail -n 3 "$err")" test $rc -eq 0

# gpu_check SCRIPT ARGUMENT...: with an empty environment; the statuses "a passed" ... in the file statuses.
gpu_check() {
  local script=$1
  shift
  rm -rf results
  run env -i /bin/bash "$script" "$@" --torch "$site" --out results
  "$venv/bin/python" - >statuses <<'PYTHON' || fail "results/gpu_check.json is no JSON"
import json
for stage in json.load(open("results/gpu_check.json"))["stages"]:
    print(stage["stage"], stage["status"])
PYTHON
}
# is STAGE STATUS
is() { check "stage $1 must be $2: $(grep -A 9 "^($1)" "$out")" grep -qx "$1 $2" statuses; }

gpu_check "$source_dir/tools/gpu_check.sh" 100 --dry-run --archive "$packed/gpu_check.tar.zst"
cat "$out"
check "a dry run ends with 0, not $rc: $(tail -n 3 "$err")" test $rc -eq 0
is a passed
for stage in b c d f; do is $stage skipped; done
has_data=false
[ ! -d "$source_dir/../shared/data/ml-1m-ultragcn" ] || has_data=true
if $has_data; then is e passed; else is e missing; fi
check "the log has the output of the programs" grep -q '^LibTorch' results/gpu_check.log

zstd -dqc "$packed/gpu_check.tar.zst" | tar -x
tree=$PWD/torii-gpu-check

# No time: nothing is passed that has not run to its end.
gpu_check "$tree/gpu_check.sh" 0 --dry-run
check "without time the check fails" test $rc -eq 1
is a "timed out"

# A gate that the model does not reach.
if $has_data; then
  sed -i 's/^\(recall@20\) .*/\1 0.9 0.9/' "$tree/data/gate"
  gpu_check "$tree/gpu_check.sh" 100 --dry-run
  check "a missed gate is exit code 1, not $rc" test $rc -eq 1
  is a passed
  is e failed
  rm -r "$tree/data"
fi

# Where there is no GPU the real check passes nothing that needs one. Without data or a GPU the rest is short.
if [ ! -e /dev/nvidiactl ]; then
  gpu_check "$tree/gpu_check.sh" 100
  check "without a GPU the check does not end with 0" test $rc -ne 0
  for stage in b c d f; do check "stage $stage needs a GPU" sh -c "! grep -qx '$stage passed' statuses"; done
  is e missing
fi

# A library that was left out is seen, also where this machine has it.
rm "$tree"/lib/libabsl_strings.so*
gpu_check "$tree/gpu_check.sh" 100 --dry-run
check "a library left out is exit code 1, not $rc" test $rc -eq 1
is a failed
check "the library is named" grep -q 'libabsl_strings' results/gpu_check.json
finish
