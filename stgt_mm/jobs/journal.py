"""A database of what is known of each file, so that work goes on where it was killed."""

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

    ``outcome`` is ``'read'``, ``'unreadable'``, ``'timed_out'`` or ``'crashed'``; ``time_limit`` the seconds
    that one that timed out was given.
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

    Findings made with other ``settings`` are not mixed with these; ``restart`` forgets what is in the file.
    One process at a time can have it open. ``known`` has the finding of each file.
    """

    def __init__(self, path: str | Path, settings: dict[str, Any], restart: bool = False) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._database = self._open(restart)
        try:
            made_with = self._database.execute('SELECT settings FROM journal').fetchone()
            if made_with is None:
                self._database.execute('INSERT INTO journal VALUES (?)', [json.dumps(settings)])
            elif made_with[0] != json.dumps(settings):
                before, now = (
                    ', '.join(f'{key}={value}' for key, value in json.loads(text).items())
                    for text in (made_with[0], json.dumps(settings))
                )
                raise JournalError(
                    f"'{self.path}' was made with other options: {before}; now: {now}. Use the same to go "
                    'on, --restart to begin again, or another --report-dir.'
                )
        except BaseException:
            self._database.close()
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
            rows = database.execute(f'SELECT {_COLUMNS} FROM finding ORDER BY rowid')
            # millions of outcomes, four different
            self.known = {row[0]: Finding(*row[:3], sys.intern(row[3]), *row[4:]) for row in rows}
        except sqlite3.DatabaseError as error:
            database.close()
            if 'locked' in str(error):
                raise JournalError(
                    f"another process is at work in '{self.path.parent}'. Wait for it, or end it."
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
        """Says whether a file need not be looked at again: it is known and has the same ``stamp``.

        ``stamp`` is size in bytes and time of the last change in ns. One that timed out with less than
        ``time_limit`` seconds is looked at again.
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

    def __enter__(self) -> 'Journal':
        return self

    def __exit__(self, *error: object) -> None:
        self._database.close()
