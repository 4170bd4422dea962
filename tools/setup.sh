#!/usr/bin/env bash
# Installs what Torii needs to build and run: Debian packages (with root; without it prints the one line to
# run and stops) and the pinned torch and pyarrow wheels in .venv (or $TORII_VENV). Repeating it is cheap.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(g++ cmake ninja-build python3 python3-venv libopenmpi-dev openmpi-bin libprotobuf-dev
  protobuf-compiler libabsl-dev libgtest-dev libgmock-dev libbenchmark-dev
  nlohmann-json3-dev libxxhash-dev libicu-dev ccache zstd)
wheels=(torch==2.11.0 pyarrow==26.0.1 nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85
  clang-format==23.1.3)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  install="apt-get install -y --no-install-recommends ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    echo "torii: Debian packages are missing. Run this once, then start again:" >&2
    echo "  sudo $install" >&2
    exit 1
  fi
  echo "== installing ${#missing[@]} Debian packages"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $install >/dev/null
fi

venv="${TORII_VENV:-$PWD/.venv}"
stamp="$venv/torii-wheels"
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "${wheels[*]}" ]; then
  echo "== installing the torch and pyarrow wheels in $venv (about 600 MB to download)"
  # Debian's python3: a venv then needs nothing else of the machine.
  [ -x "$venv/bin/pip" ] || { [ -x /usr/bin/python3 ] && /usr/bin/python3 -m venv "$venv"; } || python3 -m venv "$venv"
  # --no-deps keeps 3 GB of CUDA libraries away that a CPU does not need.
  "$venv/bin/pip" install --quiet --no-deps --no-compile "${wheels[@]}"
  echo "${wheels[*]}" >"$stamp"
fi
