#!/usr/bin/env bash
# From nothing to a retrieval table: makes .venv, renders Moving Shapes, trains a tiny STGT in both stages, tests it.
# A second run reuses what is there; an interrupted one goes on where it was. Options go to tools/quickstart.py.
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
# glibc else gives the memory of large tensors back to the system after each use, and takes it again.
export MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-33554432}" MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-4294967296}"
exec python tools/quickstart.py "$@"
