"""What is known of each file, one line a file, so that work goes on where it was killed."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from stgt_mm.errors import UserError

FORMAT = 1


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


class Journal:
    """A file that findings are appended to as they come.

    A line that was cut by a kill is removed, what stands before it is used.

    Args:
        path: The file; its folder is made.
        settings: How files are looked at; findings made otherwise are not mixed with these.
        restart: Forget what is in it.

    Raises:
        JournalError: If it was made with other settings, or is no journal.
    """

    def __init__(self, path: str | Path, settings: dict[str, Any], restart: bool = False) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.known: dict[str, Finding] = {}
        head = {'format': FORMAT, **json.loads(json.dumps(settings))}
        if self.path.exists() and not restart:
            self._load(head)
        self._file: IO[bytes] = self.path.open('wb' if restart else 'ab')
        if not self._file.tell():
            self._write(head)

    def _load(self, head: dict[str, Any]) -> None:
        with self.path.open('rb+') as file:
            whole = 0
            for number, line in enumerate(file, start=1):
                if not line.endswith(b'\n'):
                    break
                self._take(line, number, head)
                whole += len(line)
            file.truncate(whole)

    def _take(self, line: bytes, number: int, head: dict[str, Any]) -> None:
        try:
            row = json.loads(line)
            if number > 1:
                row['outcome'] = sys.intern(row['outcome'])  # millions of them, four different
                finding = Finding(**row)
        except (ValueError, TypeError, KeyError) as error:
            raise JournalError(
                f'{self.path}:{number}: not a line of a journal ({error}). Use --restart to begin anew.'
            ) from error
        if number > 1:
            self.known[finding.video] = finding
        elif row != head:
            raise JournalError(
                f"'{self.path}' was made with other options: {_shown(row)}; now: {_shown(head)}. Use the "
                'same to go on, --restart to begin anew, or another --report-dir.'
            )

    def is_current(self, video: str, stamp: tuple[int, int], time_limit: float) -> bool:
        """Says whether a file need not be looked at again.

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
        """Appends a finding, so that a kill right after it does not lose it.

        Args:
            finding: The finding.
        """
        self.known[finding.video] = finding
        self._write({key: value for key, value in asdict(finding).items() if value is not None})

    def _write(self, row: dict[str, Any]) -> None:
        self._file.write(json.dumps(row).encode() + b'\n')
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> 'Journal':
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _shown(head: Any) -> str:
    if not isinstance(head, dict):
        return repr(head)[:80]
    return ', '.join(f'{key}={value}' for key, value in head.items() if key != 'format')
