#!/usr/bin/env bash
# Killed anywhere, stopped by any signal: the same command again ends with the bits of a run that was never
# disturbed. And a rank that fails ends the whole world with its own message.
. "$(dirname "$0")/support.bash"

last=step-00000040
must "$torii" synthesize --out raw --users 60 --items 30 --interactions 12
options=(--config raw/run.txtpb --set train.global_batch=64 --set train.epochs=4
  --set train.checkpoint.every_steps=7 --set train.checkpoint.keep=2)
must "$torii" prepare "${options[@]}"
# A hanging world is a failure, not a wait for ever.
alone=(timeout 120 "$torii" train "${options[@]}" --threads 1)
two_ranks=(timeout 120 mpirun -np 2 --oversubscribe "$torii" train "${options[@]}" --threads 1)

# digest RUN_DIR: of the last checkpoint, with every tensor and the position in the data.
digest() { "$torii" inspect "$1/checkpoints/$last" --digest | grep '^digest'; }

# finishes RUN_DIR EXPECTED COMMAND...: COMMAND goes on, from a checkpoint if there is one, to the end of the run, with
# the expected digest.
finishes() {
  local run_dir=$1 expected=$2 end saved
  shift 2
  saved=$(find "$run_dir" -name 'step-*' -not -name '*.partial')
  run "$@" --run-dir "$run_dir"
  [ -z "$saved" ] || check "it goes on from a checkpoint" grep -q 'resumed from' "$err"
  check "exit code $rc of the same command again: $(tail -n 3 "$err")" test $rc -eq 0
  end="$(status phase "$run_dir") $(status exit_code "$run_dir") $(status restarts "$run_dir")"
  check "STATUS.json says: $end" test "$end" = "done 0 1"
  check "the digest of the undisturbed run" test "$(digest "$run_dir")" = "$expected"
  no_leftovers "$run_dir"
  rm -r "$run_dir"
}

# dies CODE FAULT EXPECTED COMMAND...: with TORII_FAIL=FAULT the run ends with CODE; it can be resumed.
dies() {
  local code=$1 fault=$2 expected=$3
  shift 3
  run env TORII_FAIL="$fault" "$@" --run-dir killed
  printf '%s: exit code %d\n' "$fault" $rc
  check "$fault: exit code $rc, expected $code" test $rc -eq "$code"
  finishes killed "$expected" "$@"
}

# stops_at STEP COMMAND...: starts the run in the background, without its `timeout 120`; rank 0 halts before STEP.
# Sets $pid (of the command) and $rank_zero.
stops_at() {
  local step=$1
  shift
  rm -f stopped/STATUS.json
  TORII_FAIL="trainer.step@0#$step=stop" "${@:3}" --run-dir stopped >"$out" 2>"$err" &
  pid=$!
  until [ "$(status phase stopped 2>/dev/null)" = train ]; do still_running || return; done
  rank_zero=$(status pid stopped)
  until grep -qs '^State:.*T' "/proc/$rank_zero/status"; do still_running || return; done
}

still_running() {
  kill -0 "$pid" 2>/dev/null && sleep 0.02 && return
  fail "the run has ended: $(tail -n 3 "$err")"
  return 1
}

# interrupted SIGNAL EXPECTED COMMAND...: the signal in the middle of step 12 makes a checkpoint, and 75. The wish to stop
# travels with the plan of a step: a signal that comes after the plan of step 12 is heard with that of step 13.
interrupted() {
  local signal=$1 expected=$2
  shift 2
  stops_at 12 "$@"
  kill "-$signal" "$pid"
  kill -CONT "$rank_zero"
  wait "$pid"
  rc=$?
  expect_error 75 'stopped by a signal at step 1[23]; the checkpoint is good, run the same command again'
  end="$(status phase stopped) $(status step stopped)"
  check "STATUS.json says: $end" grep -qx 'interrupted 1[23]' <<<"$end"
  finishes stopped "$expected" "$@"
}

must "${alone[@]}" --run-dir alone
must "${two_ranks[@]}" --run-dir two_ranks
of_one=$(digest alone)
of_two=$(digest two_ranks)
check "the digest has its parts" test "$(wc -l <<<"$of_one")" -gt 5

# One process: before, between and after steps, and at every point of writing a checkpoint.
for fault in run_folder.status#2 trainer.step#1 trainer.step#23 trainer.evaluate#2 metrics.write#2 \
  checkpoint.write#3 checkpoint.before_manifest#2 file.atomic.before_rename#9 checkpoint.before_rename#2 \
  checkpoint.after_rename#3; do
  dies 137 "$fault=kill" "$of_one" "${alone[@]}"
done

# One of two ranks: mpirun ends the other.
for fault in trainer.step@1#23 trainer.step@0#23 checkpoint.write@1#2 checkpoint.before_rename@0#2; do
  dies 137 "$fault=kill" "$of_two" "${two_ranks[@]}"
done

# Killed again while it goes on.
run env TORII_FAIL=trainer.step#31=kill "${alone[@]}" --run-dir killed
run env TORII_FAIL=checkpoint.load=kill "${alone[@]}" --run-dir killed
check "killed while it loads" test $rc -eq 137
run env TORII_FAIL=checkpoint.write#1=kill "${alone[@]}" --run-dir killed
check "killed while it saves again" test $rc -eq 137
run "${alone[@]}" --run-dir killed
check "the fourth start ends well" test $rc -eq 0
check "the digest after three deaths" test "$(digest killed)" = "$of_one"
check "three restarts" test "$(status restarts killed)" = 3
rm -r killed

for signal in TERM INT USR1; do interrupted $signal "$of_one" "${alone[@]}"; done
interrupted USR1 "$of_two" "${two_ranks[@]}"

# mpirun answers Ctrl-C and SIGTERM itself, with 1, and gives the ranks a second.
for signal in INT TERM; do
  stops_at 12 "${two_ranks[@]}"
  kill -$signal "$pid"
  wait "$pid"
  rc=$?
  check "SIG$signal to mpirun: exit code $rc" test $rc -eq 1
  finishes stopped "$of_two" "${two_ranks[@]}"
done

# A rank that fails says why; its code is the world's, and STATUS.json holds both.
run env TORII_FAIL=trainer.step@1#23=eio "${two_ranks[@]}" --run-dir failed
expect_error 74 'failpoint trainer.step, pass 23: Input/output error \(injected\) \(rank 1\)'
end="$(status phase failed) $(status exit_code failed)"
check "STATUS.json says: $end" test "$end" = "failed 74"
check "STATUS.json names the cause" grep -q '"error": ".*pass 23: Input/output error' failed/STATUS.json
finishes failed "$of_two" "${two_ranks[@]}"

# Many configurations: what each of them keeps (moments, momentum, schedule, patience, histories, dropout, weights of every
# part of a model) is in the checkpoint. Killed in a step, in an evaluation and before a checkpoint has its name, each ends with the digest of the
# undisturbed run; started once more, it does nothing. Each model is evaluated, recommends and is exported.
newest() { find "$1/checkpoints" -name 'step-*' -not -name '*.partial' | sort | tail -n 1; }
state_of() { "$torii" inspect "$(newest "$1")" --digest | grep '^digest'; }

# survives NAME FAULTS OPTION...: with the options, one process.
survives() {
  local name=$1 faults=$2 fault want
  shift 2
  local command=(timeout 120 "$torii" train "${options[@]}" --threads 1 "$@")
  must "${command[@]}" --run-dir whole
  want=$(state_of whole)
  must "$torii" eval --run-dir whole
  must "$torii" recommend --run-dir whole --user 1 --k 3
  must "$torii" export --run-dir whole --out exported
  rm -r exported
  for fault in $faults; do
    run env TORII_FAIL="$fault=kill" "${command[@]}" --run-dir killed
    check "$name: $fault ends it with $rc" test $rc -eq 137
    run "${command[@]}" --run-dir killed
    check "$name: exit code $rc after $fault: $(tail -n 3 "$err")" test $rc -eq 0
    check "$name: the digest after $fault" test "$(state_of killed)" = "$want"
    run "${command[@]}" --run-dir killed
    check "$name: nothing to do after the end" grep -q 'nothing to do' "$err"
    check "$name: the digest after nothing was done" test "$(state_of killed)" = "$want"
    rm -r killed
  done
  rm -r whole
}

faults='trainer.step#17 trainer.evaluate#2 checkpoint.before_rename#3'
# Stops early after step 15.
survives patience "trainer.step#12 trainer.evaluate#2 checkpoint.before_rename#3 checkpoint.before_rename#4" --set train.epochs=200 --set train.eval_every_steps=5 \
  --set train.patience=2
survives schedule "$faults" --set tables.optimizer=ADAM --set train.dense.kind=ADAMW \
  --set train.schedule.kind=COSINE --set train.schedule.warmup_steps=5
survives momentum "$faults" --set tables.optimizer=ADAGRAD --set train.dense.kind=SGD \
  --set train.dense.momentum=0.9 --set train.clip_norm=0.5
survives plain_sgd "$faults" --set tables.optimizer=SGD --set train.dense.kind=ADAGRAD --set train.log_every=7
survives history "$faults" --set model.user.history.length=5 --set 'model.user.trunk.mlp.hidden=[8]' \
  --set model.user.trunk.mlp.dropout=0.2 --set model.user.trunk.mlp.layer_norm=true
survives negatives "$faults" --set sampler.uniform=7 --set sampler.popularity=5 --set model.loss.softmax.pairing=B \
  --set sampler.mask_known_positives=true
survives queue "$faults" --set 'sampler.queue={size: 50 after_steps: 4}'
survives full_corpus "$faults" --set sampler.full_corpus=true --set train.prefetch=0
# Losses, parts of a tower, scorers and placements that the ones above leave out. (SmallRunsTest resumes every kind.)
survives bpr "$faults" --set model.loss.bpr.negatives=3 \
  --set 'model.scorer.mlp.hidden=[6]' --set sampler.row_negatives=POPULAR
survives bce "$faults" --set model.loss.bce.negatives=2 \
  --set model.user.history.length=4 --set model.user.history.gru.hidden=32 \
  --set model.user.trunk.residual.hidden=9 --set model.user.trunk.residual.dropout=0.1
survives symmetric "$faults" --set 'model.loss.symmetric.softmax.pairing=A' --set 'model.shared_trunk.mlp.hidden=[7]' \
  --set model.shared_trunk.mlp.dropout=0.1 --set model.scorer.inner_product.learned_temperature=true
survives replicated "$faults" --set tables.placement=REPLICATED --set tables.optimizer=ADAM --ranks 2
survives row_blocks "$faults" --set tables.placement=BLOCKS --ranks 2
survives blocks "$faults" --set train.shuffle_block=4 --set train.user_balance=0.5 --set train.eval_every_epochs=2

# Another number of ranks: the same losses to 1e-5.
losses() { grep '"phase":"train"' "$1/metrics.jsonl" | sed -E 's/.*"step":([0-9]+),.*"loss":([0-9.e+-]+),.*/\1 \2/'; }
same_losses() {
  paste -d ' ' <(losses "$1") <(losses "$2") |
    awk '{ off = $2 - $4; if (off < 0) off = -off; if ($1 != $3 || off > 1e-5 * $2) bad = 1 } END { exit bad || NR < 5 }'
}
every=(--set train.log_every=4)
must "${alone[@]}" "${every[@]}" --run-dir one
for first in 1 2 3; do
  run env TORII_FAIL="trainer.step@0#23=kill" timeout 120 "$torii" train "${options[@]}" "${every[@]}" --threads 1 \
    --ranks $first --run-dir other
  check "killed on $first ranks" test $rc -eq 137
  must timeout 120 "$torii" train "${options[@]}" "${every[@]}" --threads 1 --ranks $((4 - first)) --run-dir other
  check "the losses of $first, then $((4 - first)) ranks" same_losses one other
  rm -r other
done
finish
