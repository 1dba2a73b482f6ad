#!/usr/bin/env bash
# Measures and tests what runs on a GPU, on a machine that may have no network:
#   bash tools/analysis_tools/gpu_proof.sh OUT [--wheels FOLDER] [--part NAME] [--reduced]
# OUT gets a JSON file and a log for each part, and one page of tables, ready for docs/measured/. torch, torchvision,
# transformers and timm must be there; what else is missing comes from the folder that gpu_wheels.sh makes.
# A part takes at most 9 minutes and does not mind that another failed. Without a GPU: --reduced.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
PYTHON="${PYTHON:-python3}"
ARGUMENTS=()
WHEELS=
while [ $# -gt 0 ]; do
    case "$1" in
        --wheels) WHEELS="${2:?--wheels needs a folder}" && shift ;;
        *) ARGUMENTS+=("$1") ;;
    esac
    shift
done
export PYTHONPATH="$ROOT:$ROOT/benchmarks${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"
if [ -n "$WHEELS" ]; then
    # beside the installed packages and behind the checkout, for this run alone
    SITE="$(mktemp -d)"
    trap 'rm -rf "$SITE"' EXIT
    "$PYTHON" -m pip install --quiet --no-index --no-deps --no-compile --target "$SITE" "$WHEELS"/*.whl
    export PYTHONPATH="$PYTHONPATH:$SITE"
fi
"$PYTHON" -m gpu_proof "${ARGUMENTS[@]}"
