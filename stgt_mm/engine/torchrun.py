"""torchrun that keeps quiet where the processes have already said what their user can correct.

Its arguments are those of ``python -m torch.distributed.run``; tools/misc/launch.sh starts it.
"""

import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

from stgt_mm.engine.cli import EXIT_USER_ERROR

if __name__ == '__main__':
    try:
        main()
    except ChildFailedError as error:
        if error.get_first_failure()[1].exitcode != EXIT_USER_ERROR:
            raise
        sys.exit(EXIT_USER_ERROR)
