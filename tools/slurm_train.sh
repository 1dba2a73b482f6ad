#!/usr/bin/env bash
# Trains as a Slurm job: [GPUS=8] bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of tools/train.py]
# One task a GPU. GPUS_PER_NODE (8), CPUS_PER_TASK (5), SRUN_ARGS and PORT are taken; GRES= is for nodes without GPU.
exec bash "$(dirname "$0")/misc/slurm.sh" train.py 1 "$@"
