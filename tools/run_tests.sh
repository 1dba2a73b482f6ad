#!/usr/bin/env bash
# Makes .venv and runs every check: lint, docstrings, tests. Arguments go to pytest (bash tools/run_tests.sh -k graph).
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
if [ $# -eq 0 ]; then
    ruff check .
    ruff format --check .
    pydoclint --quiet stgt_mm tools
fi
python -m pytest -q "$@"
