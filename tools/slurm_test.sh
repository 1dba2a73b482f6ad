#!/usr/bin/env bash
# Tests as a Slurm job: [GPUS=8] bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]
# One task a GPU. GPUS_PER_NODE (8), CPUS_PER_TASK (5), SRUN_ARGS and PORT are taken; GRES= is for nodes without GPU.
exec bash "$(dirname "$0")/misc/slurm.sh" test.py 2 "$@"
