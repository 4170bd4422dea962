#!/usr/bin/env bash
# A trained model recommends well: on generated data, whose truth is known, it reaches at least nine tenths of the
# Recall@20 of a perfect model, on one rank and on two. Needs no data but its own; about half a minute.
. "$(dirname "$0")/support.bash"

must "$torii" synthesize --out raw
perfect=$(sed -nE 's/^Recall@20 .*: ([0-9.]+) for a perfect model.*/\1/p' "$out")
check "synthesize names the recall of a perfect model" test -n "$perfect"

# recall: recall@20 of the model in the JSON of the last run.
recall() { sed -n '/^  "model": {/,/^  }/p' "$out" | sed -nE 's|^ *"recall@20": ([-+0-9.e]+),?$|\1|p'; }

# above NAME SHARE: the last run reached that share of the perfect recall.
above() {
  local got
  got=$(recall)
  printf '%s: recall@20 %s, a perfect model %s\n' "$1" "$got" "$perfect"
  check "$1: recall@20 $got is less than $2 of $perfect" \
    awk -v got="$got" -v perfect="$perfect" -v share="$2" 'BEGIN { exit !(got >= share * perfect) }'
}

must timeout 120 "$torii" train --config raw/run.txtpb --run-dir one --threads 1 --json
above "one rank" 0.9
must timeout 120 mpirun -np 2 --oversubscribe "$torii" train --config raw/run.txtpb --run-dir two --threads 1 --json
above "two ranks" 0.9

# The gate can fail: a model that has hardly learned does not pass it.
must timeout 120 "$torii" train --config raw/run.txtpb --run-dir short --threads 1 --json --set train.max_steps=5
check "five steps must not be enough: $(recall)" \
  awk -v got="$(recall)" -v perfect="$perfect" 'BEGIN { exit !(got < 0.9 * perfect) }'
finish
