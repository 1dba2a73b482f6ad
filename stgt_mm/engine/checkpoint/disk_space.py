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
    """Turns the errors of a full disk, an exhausted quota or a file size limit into one with a cure.

    Args:
        path: File that is written inside.
        needed: Bytes it will have, as far as known.

    Yields:
        Nothing.

    Raises:
        CheckpointSpaceError: If a write inside failed for lack of space; other errors pass as they are.
    """
    path = Path(path)
    try:
        yield
    except (OSError, RuntimeError) as error:
        if isinstance(error, CheckpointSpaceError) or not _is_full(error, path.parent, needed):
            raise
        raise CheckpointSpaceError(errno.ENOSPC, _message(path, needed)) from error


def _is_full(error: Exception, folder: Path, needed: int) -> bool:
    # torch's zip writer reports a failed write as RuntimeError, so ask the disk in that case
    if isinstance(error, OSError):
        return error.errno in _FULL
    cause = error.__context__
    if isinstance(cause, OSError) and cause.errno in _FULL:
        return True
    return shutil.disk_usage(folder).free < needed


def _message(path: Path, needed: int) -> str:
    free = shutil.disk_usage(path.parent).free / 2**20
    wanted = f'{needed / 2**20:.1f} MiB needed, ' if needed else ''
    return (
        f'no space left for {path}: {wanted}{free:.1f} MiB free on the disk (a quota or `ulimit -f` may '
        'allow less). The previous checkpoint is untouched. Free some space, or lower max_keep_ckpts, '
        'then go on with --resume.'
    )
