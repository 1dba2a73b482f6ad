"""torchrun that looks at a run before it starts one, and says in a line why a process of it ended.

Its arguments are those of ``python -m torch.distributed.run``; tools/misc/launch.sh starts it.
"""

import io
import os
import runpy
import signal
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

import torch
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main, parse_args

from stgt_mm.engine.cli import EXIT_USER_ERROR, run_tool


def check_run(arguments: Sequence[str]) -> None:
    """Has the tool check what it is given: a mistake is told by one process, and not buried by a launcher."""
    args = parse_args(arguments)
    check_devices(int(args.nproc_per_node))
    sys.argv[0] = args.training_script  # as which the tool shows its usage
    with redirect_stdout(io.StringIO()):
        runpy.run_path(args.training_script)['main']([*args.training_script_args, '--check-only'])


def check_devices(processes: int) -> None:
    """Raises a ValueError if there are more processes than GPUs or, without any, than a CPU bears."""
    gpus = torch.cuda.device_count()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    if 0 < gpus < processes:
        raise ValueError(f'GPUS={processes}, but this machine has {gpus}. Use at most {gpus}.')
    if gpus:
        return
    if processes > max(8, 4 * cores):
        raise ValueError(
            f'GPUS={processes}, but this machine has no GPU and {cores} CPU cores. '
            f'Use at most {max(8, 4 * cores)}.'
        )
    print(f'no GPU: {processes} processes on the CPU, joined by gloo', file=sys.stderr)
    os.environ.setdefault('OMP_NUM_THREADS', '1')


if __name__ == '__main__':
    arguments = sys.argv[1:]
    if status := run_tool(check_run, arguments):
        sys.exit(status)
    try:
        main(arguments)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode == EXIT_USER_ERROR:
            sys.exit(EXIT_USER_ERROR)
        why = f'ended with status {failure.exitcode}; its own message is above'
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            why = f'was killed ({name})' + (', perhaps for want of memory' if name == 'SIGKILL' else '')
        print(f'\nerror: process {rank} {why}. --resume goes on from the newest checkpoint.', file=sys.stderr)
        sys.exit(1)
