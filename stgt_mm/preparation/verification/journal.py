"""What is known of each file, kept in a database, so that work goes on where it was killed."""

import json
import sqlite3
import sys
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from stgt_mm.errors import UserError


class JournalError(UserError):
    """A journal that cannot be gone on with; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at a file has shown.

    Args:
        video: Path below the video root.
        size: Bytes of the file.
        mtime_ns: Time of its last change.
        outcome: ``'read'``, ``'unreadable'``, ``'timed_out'`` or ``'crashed'``.
        frames: Frames that decode.
        seconds: Duration, None where it is unknown.
        sha256: Hash of the bytes, None where it was not asked for.
        why: Why the file could not be read.
        time_limit: Seconds it was given, for one that timed out.
    """

    video: str
    size: int
    mtime_ns: int
    outcome: str
    frames: int | None = None
    seconds: float | None = None
    sha256: str | None = None
    why: str | None = None
    time_limit: float | None = None


_COLUMNS = ', '.join(field.name for field in fields(Finding))
_PLACES = ', '.join('?' for _ in fields(Finding))


class Journal:
    """A database of findings, each written as it comes: a kill right after it does not lose it.

    Attributes:
        known: What is known of each file, in the order in which it was found.

    Args:
        path: The file; its folder is made. One process at a time can have it open.
        settings: How files are looked at; findings made otherwise are not mixed with these.
        restart: Forget what is in it.

    Raises:
        JournalError: If it was made with other settings, is no journal, or another process has it open.
    """

    def __init__(self, path: str | Path, settings: dict[str, Any], restart: bool = False) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        wanted = json.loads(json.dumps(settings))
        self._database = self._open(restart)
        try:
            made_with = self._database.execute('SELECT settings FROM journal').fetchone()
            if made_with is None:
                self._database.execute('INSERT INTO journal VALUES (?)', [json.dumps(wanted)])
            elif json.loads(made_with[0]) != wanted:
                raise JournalError(
                    f"'{self.path}' was made with other options: {_shown(json.loads(made_with[0]))}; now: "
                    f'{_shown(wanted)}. Use the same to go on, --restart to begin again, or another '
                    '--report-dir.'
                )
            rows = self._database.execute(f'SELECT {_COLUMNS} FROM finding ORDER BY rowid')
            # millions of outcomes, four different
            self.known = {row[0]: Finding(*row[:3], sys.intern(row[3]), *row[4:]) for row in rows}
        except BaseException:
            self.close()
            raise

    def _open(self, restart: bool) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=0, isolation_level=None)
        try:
            # one process, so that the log of changes works on network disks too
            database.execute('PRAGMA locking_mode = EXCLUSIVE')
            database.execute('PRAGMA journal_mode = WAL')
            database.execute('PRAGMA synchronous = NORMAL')
            if restart:
                database.execute('DROP TABLE IF EXISTS journal')
                database.execute('DROP TABLE IF EXISTS finding')
            database.execute('CREATE TABLE IF NOT EXISTS journal (settings TEXT)')
            columns = _COLUMNS.replace('video', 'video PRIMARY KEY')
            database.execute(f'CREATE TABLE IF NOT EXISTS finding ({columns})')
        except sqlite3.DatabaseError as error:
            database.close()
            if 'locked' in str(error):
                raise JournalError(
                    f"another process is verifying into '{self.path.parent}'. Wait for it, or end it."
                ) from error
            if restart:
                for suffix in ('', '-wal'):
                    self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
                return self._open(restart=False)
            raise JournalError(
                f"'{self.path}' is no journal ({error}). Use --restart to begin again."
            ) from error
        return database

    def is_current(self, video: str, stamp: tuple[int, int], time_limit: float) -> bool:
        """Says whether a file need not be looked at again: it is known and has not changed.

        Args:
            video: Path below the video root.
            stamp: Size in bytes and time of the last change in ns that the file has now.
            time_limit: Seconds a file has now; one that timed out with less is looked at again.

        Returns:
            False for a file that is new or has changed, too.
        """
        known = self.known.get(video)
        if known is None or (known.size, known.mtime_ns) != stamp:
            return False
        return known.outcome != 'timed_out' or time_limit <= (known.time_limit or 0.0)

    def add(self, finding: Finding) -> None:
        """Keeps a finding, in place of an older one of the same file."""
        try:
            self._database.execute(f'INSERT OR REPLACE INTO finding VALUES ({_PLACES})', astuple(finding))
        except sqlite3.OperationalError as error:
            raise JournalError(
                f"cannot write to '{self.path}': {error}. Make room; the same command goes on where it was."
            ) from error
        self.known[finding.video] = finding

    def close(self) -> None:
        """Closes the file, for another process to open."""
        self._database.close()

    def __enter__(self) -> 'Journal':
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _shown(settings: dict[str, Any]) -> str:
    return ', '.join(f'{key}={value}' for key, value in settings.items())
