# What the tests of the whole program share. A test is `bash name_test.sh TORII SCRATCH SOURCE`: the binary,
# a folder that it may fill, and the source tree. It works in SCRATCH/work; 77 says that nothing was tested.
set -uo pipefail
torii=$1 scratch=$2 source_dir=$3
rm -rf "$scratch"
mkdir -p "$scratch/work"
cd "$scratch/work"
out=$scratch/stdout err=$scratch/stderr rc=0
failures=0 checks=0

fail() {
  failures=$((failures + 1))
  printf 'FAILED: %s\n' "$*"
}

# check WHAT COMMAND...: COMMAND must succeed.
check() {
  local what=$1
  shift
  checks=$((checks + 1))
  "$@" || fail "$what"
}

# run COMMAND...: its exit code in $rc, its output in the files $out and $err.
run() {
  "$@" >"$out" 2>"$err"
  rc=$?
}

# must COMMAND...: a step without which the test makes no sense.
must() {
  run "$@"
  [ $rc -eq 0 ] && return
  printf 'FAILED: exit code %d of: %s\n' $rc "$*"
  cat "$err"
  exit 1
}

# expect_error CODE PATTERN: the last run ended with CODE and with one error line, the last on standard error,
# that matches the extended regular expression PATTERN.
expect_error() {
  local code=$1 pattern=$2 lines
  checks=$((checks + 1))
  lines=$(grep -c '^torii: error\[' "$err")
  if [ $rc -ne "$code" ]; then fail "exit code $rc, expected $code"; fi
  if [ "$lines" -ne 1 ]; then fail "$lines error lines, expected 1"; fi
  if ! grep -qE "^torii: error\[$code\]: .*$pattern" "$err"; then fail "no error[$code] that matches: $pattern"; fi
  if grep -qE 'terminate called|Segmentation fault|c10::Error|Assertion' "$err"; then fail "a crash"; fi
  if [ $failures -ne "${failures_before:-0}" ]; then tail -n 5 "$err"; fi
  failures_before=$failures
  printf '%s\n' "$(grep -m 1 '^torii: error\[' "$err")"
}

# Names and contents of everything below the folders: what a command that fails must leave as it was.
listing() {
  find "$@" -printf '%y %p\n' | sort
  find "$@" -type f -exec cksum {} + | sort
}

# no_leftovers FOLDER: nothing half-written and no lock in it.
no_leftovers() {
  local found
  found=$(find "$1" \( -name '*.tmp*' -o -name '*.partial*' -o -name '*.old-*' -o -name '.*.new' -o -name '.*.old' \
    -o -name '*lock' -o -name '*lease' \) 2>/dev/null)
  [ -z "$found" ] || fail "left behind: $found"
}

# status FIELD RUN_DIR: a field of STATUS.json.
status() { sed -nE "s/^ *\"$1\": \"?([^\",]*)\"?,?$/\1/p" "$2/STATUS.json"; }

skip() { printf 'SKIPPED: %s\n' "$*"; }

finish() {
  if [ $checks -eq 0 ]; then exit 77; fi
  printf '%d checks, %d failures\n' $checks $failures
  [ $failures -eq 0 ]
  exit
}
