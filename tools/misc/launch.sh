#!/usr/bin/env bash
# launch.sh TOOL COUNT ARGUMENTS... GPUS OPTIONS...: runs tools/TOOL in GPUS processes; COUNT arguments precede GPUS.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
tool="$1"
count="$2"
shift 2
if (($# <= count)); then
    echo "error: GPUS is missing; usage: $(sed -n 2p "$root/tools/dist_${tool%.py}.sh" | cut -d: -f2-)" >&2
    exit 2
fi
arguments=("${@:1:count}")
gpus="${*:count+1:1}"
options=("${@:count+2}")
python="${PYTHON:-$root/.venv/bin/python}"
[[ -x "$python" ]] || python=python3
if ! [[ "$gpus" =~ ^[1-9][0-9]{0,8}$ ]]; then
    echo "error: GPUS is a positive number, not '$gpus'" >&2
    exit 2
fi
if ((${NNODES:-1} > 1)); then
    if [[ -z "${NODE_RANK:-}" || -z "${MASTER_ADDR:-}" ]]; then
        echo "error: NNODES=$NNODES: set NODE_RANK (0 to $((NNODES - 1))) and MASTER_ADDR (address of node 0) too" >&2
        exit 2
    fi
    meeting=(--nnodes "$NNODES" --node_rank "$NODE_RANK" --master_addr "$MASTER_ADDR" --master_port "${PORT:-29500}")
elif [[ -n "${PORT:-}" ]]; then
    meeting=(--nnodes 1 --master_addr "${MASTER_ADDR:-127.0.0.1}" --master_port "$PORT")
else
    meeting=(--standalone)
fi
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -m stgt_mm.engine.torchrun "${meeting[@]}" --nproc_per_node "$gpus" \
    "$root/tools/$tool" "${arguments[@]}" --launcher pytorch ${options[@]+"${options[@]}"}
