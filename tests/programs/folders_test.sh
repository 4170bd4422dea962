#!/usr/bin/env bash
# Several processes want the same folders, some of them dead or on other machines; some folders hold what others put
# there. Nothing is lost, nobody trains beside another, and no secret is written down.
. "$(dirname "$0")/support.bash"

must "$torii" synthesize --out raw --users 60 --items 30 --interactions 12
options=(--config raw/run.txtpb --set train.global_batch=64 --set train.epochs=1 --set data.prepared_dir=prep)
train() { run timeout 120 "$torii" train "${options[@]}" --threads 1 "$@"; }

six_runs_share_one_preparation() {
  local n code pids=()
  for n in 0 1 2 3 4 5; do
    timeout 120 "$torii" train "${options[@]}" --threads 1 --run-dir run$n >"out$n" 2>"err$n" &
    pids+=($!)
  done
  for n in 0 1 2 3 4 5; do
    wait "${pids[$n]}"
    code=$?
    check "run $n: exit code $code $(grep -h 'error\[' "err$n")" test $code -eq 0
  done
  no_leftovers .
  rm -r run?
}

a_dead_run_is_taken_over_and_a_live_one_is_not() {
  local holder code
  run env TORII_FAIL='trainer.step#3=kill' timeout 120 "$torii" train "${options[@]}" --threads 1 --run-dir dead
  check "killed: exit code $rc" test $rc -eq 137
  check "its lease is left" test -s dead/lease
  if unshare --uts true 2>/dev/null; then
    run unshare --uts bash -c 'hostname elsewhere && exec "$@"' - \
      timeout 120 "$torii" train "${options[@]}" --threads 1 --run-dir dead
  else
    skip "another host name: not permitted here"
    train --run-dir dead
  fi
  check "taken over: exit code $rc" test $rc -eq 0
  check "it is said" grep -q 'is gone; taking over' "$err"
  no_leftovers dead

  # Alive, and stopped before its third step.
  TORII_FAIL='trainer.step#3=stop' "$torii" train "${options[@]}" --threads 1 --run-dir alive >out.alive 2>err.alive &
  holder=$!
  until grep -qs '^State:.*T' "/proc/$holder/status"; do
    kill -0 $holder 2>/dev/null || { fail "it has ended: $(tail -n 3 err.alive)"; return; }
    sleep 0.02
  done
  train --run-dir alive
  expect_error 73 "run folder alive is in use by process $holder on "
  if unshare --pid --fork --mount-proc true 2>/dev/null; then
    run unshare --pid --fork --mount-proc timeout 120 "$torii" train "${options[@]}" --threads 1 --run-dir alive --take-lock
    expect_error 73 "run folder alive is in use by process $holder on "
  else
    skip "another process namespace: not permitted here"
  fi
  kill -CONT $holder
  wait $holder
  code=$?
  check "the live run ends well: exit code $code" test $code -eq 0
  rm -r dead alive
}

another_machine_may_still_live() {
  train --run-dir run
  printf 'host elsewhere\nboot_id another\npid 7\nstarted 2026-01-01T00:00:00Z\nnonce 1\nbeat 1\n' >run/lease
  touch -d '2 minutes ago' run/lease
  train --run-dir run
  check "after two minutes without a sign: exit code $rc" test $rc -eq 0
  check "it is said" grep -q 'process 7 on elsewhere .* has not shown itself for 1[0-9]* s; taking over' "$err"
  printf 'host elsewhere\nboot_id another\npid 7\nstarted 2026-01-01T00:00:00Z\nnonce 1\nbeat 1\n' >run/lease
  train --run-dir run --take-lock
  check "--take-lock: exit code $rc" test $rc -eq 0
  check "it is said" grep -q 'is said to be gone; taking over' "$err"
  rm -r run
}

what_others_put_there_stays() {
  mkdir -p proj/checkpoints
  echo precious >proj/checkpoints/epoch3.ckpt
  train --run-dir proj --resume never
  check "exit code $rc" test $rc -eq 0
  train --run-dir proj --resume never
  train --run-dir proj --resume never
  check "the file is still there" test "$(find proj -name epoch3.ckpt -exec cat {} +)" = precious
  rm -r proj

  train --run-dir prep/run
  expect_error 78 'run_dir: prep/run is in data.prepared_dir, prep'
  train --run-dir ./prep
  expect_error 78 'is in data.prepared_dir'
  echo precious >prep/notes.txt
  run "$torii" prepare "${options[@]}" --set data.split.last_k=2 --force
  expect_error 73 'holds what Torii did not write: notes.txt'
  run "$torii" prepare "${options[@]}"
  check "the dataset is as it was: exit code $rc" grep -q 'prep: up to date' "$err"
  rm prep/notes.txt

  mkdir big
  ln -s big/prep linked
  run "$torii" prepare "${options[@]}" --set data.prepared_dir=linked
  check "into the folder of a link: exit code $rc" test $rc -eq 0
  check "the link is still one" test -L linked
  check "the dataset is where it points" test -e big/prep/dataset.txtpb

  # Nothing is written through a link that somebody put into the run folder.
  train --run-dir run
  echo precious >victim
  rm run/logs/rank-0000.log
  ln -s ../../victim run/logs/rank-0000.log
  ln -s ../victim run/STATUS.json.tmp
  train --run-dir run
  expect_error 73 'STATUS.json.tmp: is a symbolic link'
  check "the victim is as it was" test "$(cat victim)" = precious
  rm -r run
}

other_settings_go_beside_and_a_dataset_may_be_taken_as_it_is() {
  local folder
  train --run-dir one --set data.split.last_k=2
  check "other settings: exit code $rc" test $rc -eq 0
  folder=$(ls -d prep-????????)
  check "in a folder beside: $folder" test -e "$folder/dataset.txtpb"
  check "the run knows it" grep -q "prepared_dir: \"$folder\"" one/config.resolved.txtpb
  run "$torii" eval --run-dir one
  check "eval finds it: exit code $rc" test $rc -eq 0
  run "$torii" eval "${options[@]}" --run-dir one
  check "also with the configuration: exit code $rc" test $rc -eq 0
  train --run-dir one --set data.split.last_k=2
  check "the same command again: exit code $rc" test $rc -eq 0
  check "it was up to date" grep -q "$folder: up to date" "$err"

  mv raw/interactions.parquet away.parquet
  mv "$folder" taken
  train --run-dir two --set data.split.last_k=2
  expect_error 66 'raw/interactions.parquet: no such file'
  train --run-dir two --set data.split.last_k=2 --prepared taken
  check "without raw files: exit code $rc" test $rc -eq 0
  run "$torii" eval --run-dir one --prepared taken
  check "eval of a moved dataset: exit code $rc" test $rc -eq 0
  train --run-dir three --set data.split.last_k=1 --prepared taken
  expect_error 78 'taken was prepared with other settings .*split.last_k: 2 -> 1'
  mv away.parquet raw/interactions.parquet
  run "$torii" prepare "${options[@]}" --verify
  check "compared by content: exit code $rc" grep -q 'prep: up to date' "$err"
  rm -r one two three taken
}

no_secret_is_written_down() {
  run env SLURM_JWT=canary1 TORII_x_key=canary2 timeout 120 "$torii" train "${options[@]}" --threads 1 --run-dir run \
    --set 'data.items.path=["s3://canary3:canary4@bucket/x.parquet?secret_key=canary5"]'
  check "S3 cannot be reached here: exit code $rc" test $rc -ne 0
  check "no canary: $(grep -rl canary run prep "$out" "$err" | head -n 3)" test -z "$(grep -rl canary run prep "$out" "$err")"
}

six_runs_share_one_preparation
a_dead_run_is_taken_over_and_a_live_one_is_not
another_machine_may_still_live
what_others_put_there_stays
other_settings_go_beside_and_a_dataset_may_be_taken_as_it_is
no_secret_is_written_down
finish
