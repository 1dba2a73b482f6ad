#!/usr/bin/env bash
# Fills a folder with the wheels that gpu_proof.sh needs on a machine without network, for Python 3.12 on Linux x86-64:
#   bash tools/analysis_tools/gpu_wheels.sh FOLDER
# That machine has torch, torchvision, transformers, timm and a driver already. The folder and the checkout together
# stay within 64 MiB.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
FOLDER="${1:?usage: bash tools/analysis_tools/gpu_wheels.sh FOLDER}"
PYTHON="${PYTHON:-python3}"
LIMIT_MIB=64
# All without dependencies: torch must not come with them. decord, the second reader, is left out for its size.
WHEELS=(mmengine mmcv-lite av pebble addict yapf platformdirs termcolor iopath yacs portalocker tabulate pytest-timeout)
SOURCES=(fvcore) # has no wheel: built here, it is pure Python

mkdir -p "$FOLDER"
PLATFORMS=()
for glibc in manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014 manylinux2010 manylinux1; do
    PLATFORMS+=(--platform "${glibc}_x86_64")
done
"$PYTHON" -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
    "${PLATFORMS[@]}" --dest "$FOLDER" "${WHEELS[@]}"
"$PYTHON" -m pip wheel --quiet --no-deps --wheel-dir "$FOLDER" "${SOURCES[@]}"

checkout="$(git -C "$ROOT" ls-files -z --cached --others --exclude-standard | (cd "$ROOT" && xargs -0 cat 2>/dev/null) | wc -c)"
wheels="$(cat "$FOLDER"/*.whl | wc -c)"
total=$(((checkout + wheels + 1048575) / 1048576))
echo "$(ls "$FOLDER"/*.whl | wc -l) wheels, $((wheels / 1048576)) MiB; with the checkout $total MiB of $LIMIT_MIB"
if [ "$total" -gt "$LIMIT_MIB" ]; then
    echo "That is more than $LIMIT_MIB MiB: leave a wheel out of WHEELS." >&2
    exit 2
fi
