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
def explained_when_full(path: str | Path | None = None, needed: int = 0) -> Iterator[None]:
    """Turns the errors of a full disk, an exhausted quota or a file size limit into CheckpointSpaceError.

    ``path`` is what a training writes inside, a file or its work dir, named if the error names none;
    ``needed`` are its bytes as far as known.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        # torch's zip writer reports a failed write as RuntimeError: its context or the disk tells why
        cause = error if isinstance(error, OSError) else error.__context__
        told = isinstance(cause, OSError)
        place = getattr(cause, 'filename', None) or path
        if isinstance(error, CheckpointSpaceError) or place is None or (told and cause.errno not in _FULL):
            raise
        folder = next(parent for parent in Path(place).absolute().parents if parent.is_dir())
        free = shutil.disk_usage(folder).free
        if not told and free >= needed:
            raise
        wanted = f'{needed / 2**20:.1f} MiB needed, ' if needed else ''
        remedy = 'Free some space, then start again.'
        if path is not None:
            remedy = 'Free some space, or lower max_keep_ckpts, then go on with --resume.'
        raise CheckpointSpaceError(
            errno.ENOSPC,
            f'no space left for {place}: {wanted}{free / 2**20:.1f} MiB free on the disk (a quota or '
            f'`ulimit -f` may allow less). What was whole before is untouched. {remedy}',
        ) from error
