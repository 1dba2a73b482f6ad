#!/usr/bin/env bash
# From nothing to a retrieval table: makes .venv, renders Moving Shapes, trains a tiny STGT in both stages, tests it.
# A second run reuses what is there; an interrupted one goes on where it was. Options go to tools/quickstart.py.
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
exec python tools/quickstart.py "$@"
