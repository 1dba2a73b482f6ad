"""Tools in processes of their own that need no imports: clean forks of a server that has done them.

A new interpreter imports for longer than most of these tests run. Forks of the test's own process would have
its threads and its state.
"""

import os
import runpy
import socket
import subprocess
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path

from command_line import ROOT

SERVER = get_context('forkserver')
SERVER.set_forkserver_preload(['torch', 'stgt_mm.models', 'stgt_mm.evaluation', 'stgt_mm.engine.runner'])


def run_tool_process(tool, *arguments, cwd=None, paths=(), **variables):
    """Runs a tool as ``python tools/...`` does; ``paths`` join the module path, ``variables`` are set."""
    return _start([ROOT / 'tools' / tool, *arguments], cwd, paths, variables)()


def run_together(ranks, tool, *arguments, cwd=None, paths=()):
    """Runs a tool in processes that begin together, with the variables of each; the finished ones by rank."""
    words = [ROOT / 'tools' / tool, *arguments]
    return [wait() for wait in [_start(words, cwd, paths, variables) for variables in ranks]]


def torchrun(count):
    """The variables that torchrun gives each process of a machine; the tool gets ``--launcher pytorch``."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        address = {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': free.getsockname()[1], 'WORLD_SIZE': count}
    return [{**address, 'RANK': rank, 'LOCAL_RANK': rank} for rank in range(count)]


def _start(words, cwd, paths, variables):
    words = list(map(str, words))
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    folder = tempfile.TemporaryDirectory()
    printed = [f'{folder.name}/{name}' for name in ('out', 'err')]
    place = os.path.abspath(cwd or '.')
    process = SERVER.Process(target=_become, args=(words, place, [*map(str, paths)], environment, printed))
    process.start()

    def finished():
        process.join()
        with folder:
            said = [Path(file).read_text() for file in printed]
        return subprocess.CompletedProcess(words, process.exitcode, *said)

    return finished


def _become(words, place, paths, environment, printed):
    for number, file in enumerate(printed, start=1):
        os.dup2(os.open(file, os.O_CREAT | os.O_WRONLY), number)
    sys.stdout, sys.stderr = (os.fdopen(number, 'w', buffering=1) for number in (1, 2))
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(place)
    sys.path[:0] = paths
    sys.argv = words
    runpy.run_path(words[0], run_name='__main__')
