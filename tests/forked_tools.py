"""The tools in forks of the test's process: a new interpreter imports for longer than most tests run."""

import os
import runpy
import socket
import subprocess
import sys
import tempfile
from multiprocessing import get_context

import torch
from command_line import ROOT


def run_forked(tool, *arguments, cwd=None, paths=(), **variables):
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
    words, paths = list(map(str, words)), list(map(str, paths))
    variables = {name: str(value) for name, value in variables.items()}
    printed = [tempfile.TemporaryFile('w+') for _ in range(2)]  # noqa: SIM115
    if torch.cuda.is_available():  # nothing that uses a GPU can be forked
        environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), *paths]), **variables}
        out, err = printed
        process = subprocess.Popen([sys.executable, *words], cwd=cwd, env=environment, stdout=out, stderr=err)
        wait = process.wait
    else:
        process = get_context('fork').Process(target=_become, args=(words, cwd, paths, variables, printed))
        process.start()

        def wait():
            process.join()
            return process.exitcode

    def finished():
        status = wait()
        for file in printed:
            file.seek(0)
        return subprocess.CompletedProcess(words, status, *(file.read() for file in printed))

    return finished


def _become(words, cwd, paths, variables, printed):
    for number, file in enumerate(printed, start=1):
        os.dup2(file.fileno(), number)
    sys.stdout, sys.stderr = (os.fdopen(number, 'w', buffering=1) for number in (1, 2))
    os.environ.update(variables)
    os.chdir(cwd or '.')
    sys.path[:0] = paths
    sys.argv = words
    runpy.run_path(words[0], run_name='__main__')
