#!/usr/bin/env bash
# The losses of 20 steps on generated data are those that are written down here, to 1e-5 relative, on one rank and on
# two: a change of the arithmetic or of any random number shows.
. "$(dirname "$0")/support.bash"

expected=(7.638437 7.521552 7.280039 7.007080 7.056923 6.995146 7.016905 6.966953 6.830345 6.903863
  6.719364 6.865285 6.777319 6.810147 6.740681 6.755131 6.727714 6.651200 6.682180 6.683251)

must "$torii" synthesize --out raw
options=(--config raw/run.txtpb --set train.max_steps=20 --set train.log_every=1 --set train.global_batch=512
  --set sampler.uniform=256 --threads 1)

# compare NAME RUN_DIR: the losses in its metrics.jsonl.
compare() {
  local losses i
  mapfile -t losses < <(sed -nE 's/.*"phase":"train".*/&/p' "$2/metrics.jsonl" | sed -E 's/.*"loss":([-+0-9.e]+|null).*/\1/')
  check "$1: ${#losses[@]} losses, expected ${#expected[@]}" test ${#losses[@]} -eq ${#expected[@]}
  for i in "${!expected[@]}"; do
    check "$1: the loss of step $((i + 1)) is ${losses[i]:-missing}, expected ${expected[i]}" \
      awk -v got="${losses[i]:-nan}" -v want="${expected[i]}" 'BEGIN { d = got / want - 1; exit !(d < 1e-5 && d > -1e-5) }'
  done
}

must timeout 120 "$torii" train "${options[@]}" --run-dir one
compare "one rank" one
must timeout 120 mpirun -np 2 --oversubscribe "$torii" train "${options[@]}" --run-dir two
compare "two ranks" two
finish
