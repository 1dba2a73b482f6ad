"""The tools as a user calls them: in a process of their own, or quicker in the one of the test."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from stgt_mm.engine.cli import run_tool

ROOT = Path(__file__).parents[1]


def load_tool(tool):
    path = ROOT / 'tools' / tool
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_here(tool, *arguments):
    """Runs a tool of ``tools/`` in this process and returns its exit status."""
    return run_tool(load_tool(tool).main, [str(argument) for argument in arguments])


def run(tool, *arguments, cwd=None, paths=()):
    """Runs a tool in a new process, a ``.sh`` with bash; ``paths`` join the module path."""
    modules = os.pathsep.join(map(str, [ROOT, *paths]))
    environment = {**os.environ, 'PYTHONPATH': modules, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1'}
    program = 'bash' if tool.endswith('.sh') else sys.executable
    command = [program, str(ROOT / 'tools' / tool), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=cwd, check=False, timeout=500
    )
