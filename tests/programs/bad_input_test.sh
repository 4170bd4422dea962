#!/usr/bin/env bash
# Bad input and bad output places: each ends with one clear message that names the place, the documented exit
# code, and nothing half-written left behind.
. "$(dirname "$0")/support.bash"

config=raw/run.txtpb
must "$torii" synthesize --out raw --users 60 --items 30 --interactions 12
must "$torii" prepare --config $config

# refuses CODE PATTERN COMMAND...: COMMAND fails so and leaves every file below the working folder as it was.
refuses() {
  local code=$1 pattern=$2 before after
  shift 2
  before=$(listing .)
  run "$@"
  expect_error "$code" "$pattern"
  after=$(listing .)
  [ "$before" = "$after" ] || fail "files changed: $(diff <(echo "$before") <(echo "$after") | head -n 5)"
}

# refuses_data CODE PATTERN SETTING...: preparing with the settings fails so, into a new folder and over a good one.
refuses_data() {
  local code=$1 pattern=$2 settings=()
  shift 2
  for setting in "$@"; do settings+=(--set "$setting"); done
  refuses "$code" "$pattern" "$torii" prepare --config $config "${settings[@]}" --set data.prepared_dir=new
  refuses "$code" "$pattern" "$torii" prepare --config $config "${settings[@]}"
}

a_missing_column() {
  refuses_data 65 'raw/interactions.parquet: no column "clicked_at".*the file has: user_id, ' \
    data.interactions.time=clicked_at
  refuses_data 65 "raw/users.parquet: no column \"citi\" \\(did you mean 'city'\\?\\)" \
    'data.users.feature[1].column=["citi"]'
}

text_in_an_integer_column() {
  awk 'BEGIN {
    print "user_id,item_id"
    for (row = 2; row <= 1300000; ++row) print row % 1000 + 1 "," (row == 1234567 ? "12x" : row % 997 + 1)
  }' >big.csv
  printf 'data { prepared_dir: "new" interactions { path: "big.csv" } split { last_k: 1 } }\n' >big.txtpb
  refuses 65 'big.csv:1234567: column "item_id": value "12x" is not an integer' "$torii" prepare --config big.txtpb
  rm big.csv big.txtpb
}

a_damaged_parquet_file() {
  local size
  size=$(stat -c %s raw/interactions.parquet)
  head -c $((size - 100)) raw/interactions.parquet >cut.parquet
  refuses_data 65 'cut.parquet: .*truncated' 'data.interactions.path=["cut.parquet"]'
  head -c $((size / 2)) raw/interactions.parquet >holed.parquet
  printf 'a hole' >>holed.parquet
  tail -c +$((size / 2 + 7)) raw/interactions.parquet >>holed.parquet
  refuses_data 65 'holed.parquet: row group 0 \(from row 1\)' 'data.interactions.path=["holed.parquet"]'
  rm cut.parquet holed.parquet
}

an_unknown_field() {
  sed 's/temperature:/temprature:/' $config >typo.txtpb
  refuses 78 "typo.txtpb:[0-9]+:[0-9]+: .*'temprature'.*did you mean 'temperature'" \
    "$torii" train --config typo.txtpb
  refuses 78 "train.epoch=3: .*did you mean 'epochs'" "$torii" train --config $config --set train.epoch=3
  rm typo.txtpb
}

temperature_zero() {
  refuses 78 'model.scorer.inner_product.temperature: must be positive, not 0' "$torii" train --config $config --set model.scorer.inner_product.temperature=0
  refuses 78 'model.scorer.inner_product.temperature: must be positive, not nan' "$torii" train --config $config --set model.scorer.inner_product.temperature=nan
}

an_empty_file() {
  : >empty.parquet
  : >empty.csv
  echo user_id,item_id,timestamp >header.csv
  refuses_data 65 'empty.parquet: the file is empty' 'data.interactions.path=["empty.parquet"]'
  refuses_data 65 'empty.csv: the file is empty' 'data.interactions.path=["empty.csv"]'
  refuses_data 65 'header.csv: no rows' 'data.interactions.path=["header.csv"]'
  refuses_data 66 'absent.csv: no such file' 'data.interactions.path=["absent.csv"]'
  rm empty.parquet empty.csv header.csv
}

an_item_that_the_items_file_lacks() {
  printf 'user_id,item_id,timestamp\n1,1,5\n1,999999,6\n' >unknown.csv
  refuses_data 65 'unknown.csv:3: column "item_id": item 999999 is not in raw/items.parquet' \
    'data.interactions.path=["unknown.csv"]'
  rm unknown.csv
}

# The prepared folder is whole and stays; the run folder tells of the failure.
more_ranks_than_items() {
  printf 'user_id,item_id\n1,1\n1,2\n2,2\n2,1\n' >two.csv
  printf 'run_dir: "run" data { prepared_dir: "two" interactions { path: "two.csv" } }' >two.txtpb
  run timeout 60 "$torii" train --config two.txtpb --ranks 4
  expect_error 78 '4 ranks, but only 2 items: .*at most 2 ranks'
  check "STATUS.json: $(status phase run) $(status exit_code run)" \
    test "$(status phase run) $(status exit_code run)" = "failed 78"
  no_leftovers .
  check "the prepared folder is whole" "$torii" inspect two >/dev/null
  rm -r two run two.csv two.txtpb
  refuses 64 'ranks 2000: one process runs at most 64 ranks' "$torii" train --config $config --ranks 2000
}

# A path below a regular file: refused to root as well.
an_unwritable_place() {
  must "$torii" train --config $config --run-dir trained --set train.max_steps=1
  refuses 73 'data.prepared_dir: .*raw/users.parquet/x' \
    "$torii" prepare --config $config --set data.prepared_dir=raw/users.parquet/x
  refuses 73 'raw/users.parquet: is a file' \
    "$torii" prepare --config $config --set data.prepared_dir=raw/users.parquet
  refuses 73 'raw/users.parquet/x' "$torii" train --config $config --run-dir raw/users.parquet/x
  refuses 73 'raw/users.parquet/x' "$torii" synthesize --out raw/users.parquet/x
  refuses 73 'raw/users.parquet/x' "$torii" export --checkpoint trained --out raw/users.parquet/x
  refuses 73 'raw: Torii would replace this folder, but it holds what Torii did not write: interactions.parquet' "$torii" export --checkpoint trained --out raw
  run bash -c "'$torii' --help >/dev/full"
  expect_error 74 'standard output: No space left on device'
}

# As on a full disk, the write of a file fails in the middle: a limit of the file size, in KiB.
within_limit() {
  local limit=$1
  shift
  (ulimit -f "$limit" && exec "$@")
}

a_file_that_cannot_grow() {
  refuses 74 '\.new\.new/.*: File too large' \
    within_limit 1 "$torii" prepare --config $config --set data.prepared_dir=new
  refuses 74 '\.out\.new/.*: File too large' within_limit 3 "$torii" export --checkpoint trained --out out
  mkdir more
  refuses 74 'more/users.parquet.*: File too large' within_limit 2 "$torii" synthesize --out more
  rmdir more
}

# Disks from too small for anything to nearly large enough: what is left on them is whole.
a_full_disk() {
  local disk=$scratch/disk size saved
  mkdir -p "$disk"
  if ! mount -t tmpfs -o size=256k none "$disk" 2>/dev/null; then
    skip "a full disk: this user cannot mount a tmpfs (run as root)"
    return
  fi
  trap 'umount "$disk"' EXIT
  for size in 16k 64k 128k; do
    mount -o "remount,size=$size" "$disk"
    refuses 74 "$disk/\\.prepared\\.new/.*No space left on device \\(disk full\\)" \
      "$torii" prepare --config $config --set data.prepared_dir="$disk/prepared"
    check "an empty disk of $size" test -z "$(ls -A "$disk")"
  done
  mount -o "remount,size=16k" "$disk"
  refuses 74 "$disk/\\.out\\.new/.*disk full" "$torii" export --checkpoint trained --out "$disk/out"
  check "an empty disk after the export" test -z "$(ls -A "$disk")"
  for size in 8k 100k 2300k 6000k; do
    rm -rf "${disk:?}/run"
    mount -o "remount,size=$size" "$disk"
    run "$torii" train --config $config --run-dir "$disk/run" --set train.checkpoint.every_steps=1
    expect_error 74 "$disk/run.*disk full"
    no_leftovers "$disk"
    for saved in "$disk"/run/checkpoints/*; do
      [ ! -e "$saved" ] || check "$saved is whole" "$torii" inspect "$saved" --verify >/dev/null
    done
  done
  umount "$disk"
  trap - EXIT
}

a_missing_column
text_in_an_integer_column
a_damaged_parquet_file
an_unknown_field
temperature_zero
an_empty_file
an_item_that_the_items_file_lacks
more_ranks_than_items
an_unwritable_place
a_file_that_cannot_grow
a_full_disk
finish
