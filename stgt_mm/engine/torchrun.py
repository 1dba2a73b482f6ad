"""torchrun that says in a line why a process ended, and nothing where its message is for the user already.

Its arguments are those of ``python -m torch.distributed.run``; tools/misc/launch.sh starts it.
"""

import signal
import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

from stgt_mm.engine.cli import EXIT_USER_ERROR

if __name__ == '__main__':
    try:
        main()
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
