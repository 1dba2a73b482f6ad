"""One training at a time in a work dir."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from stgt_mm.errors import UserError
from stgt_mm.io.whole_file import whole_file

_ORPHANS_SECONDS = 30.0  # loader workers of a killed training hold its lock until they notice


class WorkDirInUseError(UserError):
    """Another training writes into the work dir; the message names its process and host."""


@contextmanager
def work_dir_lock(work_dir: str | Path, launcher: str = 'none') -> Iterator[None]:
    """Keeps a work dir for one training: two would mix metrics and overwrite each other's checkpoints.

    The first process that the launcher started holds the lock for all. The system takes it from a process
    that has died, so none is ever stale. If another training holds it, this is a WorkDirInUseError.
    """
    name = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID'}.get(launcher, '')
    if int(os.environ.get(name, '0')) > 0:
        yield
        return
    folder = Path(work_dir)
    folder.mkdir(parents=True, exist_ok=True)
    lock, owner = FileLock(folder / '.training.lock'), folder / '.training.json'
    me = {'pid': os.getpid(), 'host': socket.gethostname()}
    try:
        lock.acquire(timeout=_ORPHANS_SECONDS if _is_dead(owner, me['host']) else 0)
    except Timeout as error:
        other = _read(owner)
        raise WorkDirInUseError(
            f'{folder} is in use by a training that runs now: process {other.get("pid", "unknown")} on '
            f'{other.get("host", "an unknown host")}. Give this one another --work-dir, or stop that one.'
        ) from error
    except NotImplementedError:  # a file system without locks
        yield
        return
    try:
        with whole_file(owner) as partial:
            partial.write_text(json.dumps(me))
        yield
    finally:
        lock.release()


def _read(owner: Path) -> dict[str, object]:
    try:
        return dict(json.loads(owner.read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def _is_dead(owner: Path, host: str) -> bool:
    known = _read(owner)
    if known.get('host') != host or not isinstance(known.get('pid'), int):
        return False
    try:
        os.kill(known['pid'], 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False
