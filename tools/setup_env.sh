#!/usr/bin/env bash
# Makes .venv with everything the toolbox and its tests need; does nothing when it is already there.
# Sourced by quickstart.sh and run_tests.sh. PYTHON chooses the interpreter; STGT_TORCH_INDEX an index for torch
# (for example the one with CPU-only builds), otherwise pip's default build is taken.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.10; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "stgt_mm needs Python 3.10 to 3.13; none was found. Install one, or name it: PYTHON=/path/to/python bash $0" >&2
    return 1
}

# The stamp names what was installed: a changed requirement installs again, an interrupted install too.
STAMP=".venv/installed-$(cat setup.py requirements/*.txt | cksum | cut -d' ' -f1)"
if [ ! -f "$STAMP" ]; then
    PYTHON_FOUND="$(find_python)"
    [ -x .venv/bin/python ] && .venv/bin/python -c '' 2>/dev/null || "$PYTHON_FOUND" -m venv --clear .venv || {
        echo "Making .venv failed. On Debian and Ubuntu: sudo apt-get install python3-venv" >&2
        exit 1
    }
    echo "Installing into .venv (torch is large: a few minutes on a fast line) ..."
    .venv/bin/python -m pip install --quiet --upgrade pip setuptools wheel
    .venv/bin/python -m pip install --quiet ${STGT_TORCH_INDEX:+--index-url "$STGT_TORCH_INDEX"} torch torchvision
    .venv/bin/python -m pip install --quiet -e '.[tests]'
    touch "$STAMP"
fi
# Threads that wait should sleep: on few cores, spinning ones take the time of those that work.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"
PATH="$ROOT/.venv/bin:$PATH"
export PATH
