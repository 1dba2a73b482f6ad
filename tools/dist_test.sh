#!/usr/bin/env bash
# Tests with several processes: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT on each.
exec bash "$(dirname "$0")/misc/launch.sh" test.py 2 "$@"
