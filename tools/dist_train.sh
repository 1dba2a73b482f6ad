#!/usr/bin/env bash
# Trains with several processes: bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT on each.
exec bash "$(dirname "$0")/misc/launch.sh" train.py 1 "$@"
