"""A lock between processes that share a folder, released by the system when its holder dies."""

from contextlib import suppress
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


class FileLock:
    """An advisory lock on a file of its own, which stays behind.

    Where the system or the file system has no such lock, or the folder cannot be written to, it is granted
    to everybody.

    Args:
        path: The file; it and its folder are made.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: IO[str] | None = None

    def acquire(self, wait: bool = True) -> bool:
        """Takes the lock.

        Args:
            wait: Wait for whoever holds it.

        Returns:
            False if somebody else holds it and ``wait`` is off.
        """
        if fcntl is None:
            return True
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open('a')
            fcntl.flock(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            self.release()
            return False
        except OSError:
            self.release()
        return True

    def release(self) -> None:
        """Gives the lock back, also if forked workers have inherited the file; harmless if it is not held."""
        if self._file is None:
            return
        with suppress(OSError):
            fcntl.flock(self._file, fcntl.LOCK_UN)
        self._file.close()
        self._file = None

    def __enter__(self) -> 'FileLock':
        self.acquire()
        return self

    def __exit__(self, *error: Any) -> None:
        self.release()
