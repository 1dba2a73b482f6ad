"""One clear message for every write of a run that finds the disk full."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stgt_mm.engine.errors import CheckpointSpaceError

# EFBIG: a limit on the size of files (ulimit -f, some network file systems) is met like a full disk
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def explained_when_full(path: str | Path, needed: int = 0) -> Iterator[None]:
    """Turns the errors of a full disk, an exhausted quota or a file size limit into CheckpointSpaceError.

    ``path`` is the file that is written inside, ``needed`` its bytes as far as known.
    """
    folder = Path(path).parent
    try:
        yield
    except (OSError, RuntimeError) as error:
        # torch's zip writer reports a failed write as RuntimeError: its context or the disk tells why
        cause = error if isinstance(error, OSError) else error.__context__
        free = shutil.disk_usage(folder).free
        full = cause.errno in _FULL if isinstance(cause, OSError) else free < needed
        if isinstance(error, CheckpointSpaceError) or not full:
            raise
        wanted = f'{needed / 2**20:.1f} MiB needed, ' if needed else ''
        raise CheckpointSpaceError(
            errno.ENOSPC,
            f'no space left for {path}: {wanted}{free / 2**20:.1f} MiB free on the disk (a quota or '
            '`ulimit -f` may allow less). The previous checkpoint is untouched. Free some space, or lower '
            'max_keep_ckpts, then go on with --resume.',
        ) from error
