#!/usr/bin/env bash
# slurm.sh TOOL COUNT PARTITION JOB_NAME ARGUMENTS... OPTIONS...: tools/TOOL as a Slurm job; it has COUNT arguments.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
tool="$1"
count="$2"
shift 2
if (($# < count + 2)); then
    echo "error: arguments are missing; usage: $(sed -n 2p "$root/tools/slurm_${tool%.py}.sh" | cut -d: -f2-)" >&2
    exit 2
fi
partition="$1"
job="$2"
shift 2
gpus="${GPUS:-8}"
a_node="${GPUS_PER_NODE:-8}"
for number in "$gpus" "$a_node" "${CPUS_PER_TASK:-5}"; do
    if ! [[ "$number" =~ ^[1-9][0-9]{0,5}$ ]]; then
        echo "error: GPUS, GPUS_PER_NODE and CPUS_PER_TASK are positive numbers, not '$number'" >&2
        exit 2
    fi
done
if [[ -z "${GPUS_PER_NODE:-}" ]] && ((gpus < 8)); then
    a_node="$gpus"
fi
if ! command -v srun >/dev/null; then
    echo "error: there is no srun here. Start this where Slurm is; without Slurm: tools/dist_${tool%.py}.sh" >&2
    exit 2
fi
python="${PYTHON:-$root/.venv/bin/python}"
[[ -x "$python" ]] || python=python3
resources=()
if [[ -n "${GRES-gpu:$a_node}" ]]; then
    resources=(--gres "${GRES-gpu:$a_node}")
fi
if [[ -n "${PORT:-}" ]]; then
    export MASTER_PORT="$PORT"
fi
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
# SRUN_ARGS holds several words.
# shellcheck disable=SC2086
exec srun --partition "$partition" --job-name "$job" ${resources[@]+"${resources[@]}"} --ntasks "$gpus" \
    --ntasks-per-node "$a_node" --cpus-per-task "${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    "$python" -u "$root/tools/$tool" "$@" --launcher slurm
