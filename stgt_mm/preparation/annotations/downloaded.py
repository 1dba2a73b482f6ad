"""Large sets that people download themselves: where a file lies, which are there, one record at a time."""

import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from stgt_mm.datasets.missing_videos import name_hashes
from stgt_mm.datasets.records import AnnotationError, MissingVideosError, write_records
from stgt_mm.preparation.annotations.common import Notes
from stgt_mm.utils import did_you_mean

ABSENT = 'lines whose file is not there, left out'
FEWER = 'list ends before --max-videos'


class Layout:
    """Where the file of an entry lies: a pattern like ``'{folder}/{id}.mp4'``, or the name of a known one.

    Args:
        pattern: Python format string, or a key of ``known``.
        example: A value for each field that a pattern may use.
        known: Names of patterns.

    Raises:
        ValueError: If a field is unknown, a value cannot be formatted so, or the pattern names one file for
            all entries.
    """

    def __init__(
        self, pattern: str, example: Mapping[str, Any], known: Mapping[str, str] | None = None
    ) -> None:
        known = known or {}
        self.pattern = known.get(pattern, pattern)
        choices = ', '.join([*known, *(f'{{{field}}}' for field in example)])
        try:
            fields = [field for _, field, _, _ in string.Formatter().parse(self.pattern) if field is not None]
            for field in fields:
                if field not in example:
                    raise ValueError(f'no field is called {{{field}}}. {did_you_mean(field, example)}')
            self.path(**example)
        except (ValueError, TypeError, IndexError) as error:
            raise ValueError(f"layout '{pattern}': {error} It is made of: {choices}.") from error
        if not fields:
            raise ValueError(
                f"layout '{pattern}' names the same file for every line. {did_you_mean(pattern, known)} "
                f'It is made of: {choices}.'
            )

    def path(self, **fields: Any) -> str:
        """Returns the path below the root of the set.

        Args:
            **fields: What the pattern may use.

        Returns:
            Relative path with ``/``.
        """
        return self.pattern.format(**fields)


class FilesBelow:
    """Says which files are below a folder, from one listing a sub-folder.

    Asking the system for each of 10 million files takes hours on a network disk, and their names a
    gigabyte; so names are kept as sorted 64-bit hashes, 8 bytes a file. Two names with one hash are expected
    once in a million sets of that size.

    Args:
        root: The folder.

    Raises:
        FileNotFoundError: If there is no such folder.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise FileNotFoundError(f"no folder '{root}' (working directory {Path.cwd()}).")
        self._folders: dict[str, np.ndarray] = {}

    def __contains__(self, relative: str) -> bool:
        folder, _, name = relative.rpartition('/')
        if folder not in self._folders:
            self._folders[folder] = name_hashes(self.root / folder)
        hashes, wanted = self._folders[folder], hash(name)
        place = int(np.searchsorted(hashes, wanted))
        return place < len(hashes) and int(hashes[place]) == wanted


def there(
    records: Iterable[dict[str, Any]], root: str | Path | None, notes: Notes
) -> Iterator[dict[str, Any]]:
    """Leaves out records whose file was not downloaded; some of a web set always are.

    Args:
        records: Records with a ``video`` path.
        root: Folder that the paths are relative to; None keeps all records.
        notes: Where missing files are counted.

    Yields:
        The records whose file is there.

    Raises:
        FileNotFoundError: If there is no such folder.
        MissingVideosError: If no file is there.
    """
    if root is None:
        yield from records
        return
    files, found = FilesBelow(root), False
    for record in records:
        if record['video'] in files:
            found = True
            yield record
        else:
            notes.add(ABSENT, record['video'])
    if not found and notes.counts.get(ABSENT):
        raise MissingVideosError(
            f"no file of {notes.counts[ABSENT]:,} lines is below '{root}'. Looked for, among others: "
            f'{", ".join(notes.examples[ABSENT])}. Correct the folder, or name the --layout.'
        )


def first_videos(
    records: Iterable[dict[str, Any]], limit: int | None, notes: Notes
) -> Iterator[dict[str, Any]]:
    """Ends after a number of videos; lines of one video follow each other.

    Args:
        records: Records; what follows the limit is not read.
        limit: Largest number of videos; None for all.
        notes: Gets a note if there are fewer.

    Yields:
        The records of the first videos.

    Raises:
        ValueError: If ``limit`` is not positive.
    """
    if limit is not None and limit < 1:
        raise ValueError(f'--max-videos {limit}: at least one.')
    count, last = 0, None
    for record in records:
        if record['video'] != last:
            if count == limit:
                return
            count, last = count + 1, record['video']
        yield record
    if limit is not None and count < limit:
        notes.add(FEWER, f'{count:,} of {limit:,} videos')


def count_lines(path: str | Path) -> int:
    """Counts the line ends of a file, for a progress bar.

    Args:
        path: File that exists.

    Returns:
        Their number.
    """
    with Path(path).open('rb') as file:
        return sum(block.count(b'\n') for block in iter(lambda: file.read(1 << 20), b''))


def convert(
    make: Callable[[Notes], Iterator[dict[str, Any]]],
    out: str | Path,
    root: str | Path | None = None,
    limit: int | None = None,
) -> list[str]:
    """Writes an annotation file record by record, whole or not at all.

    Args:
        make: Gives the records; counts in the notes what its user should know.
        out: JSON-lines file to write.
        root: Folder of the files; records whose file is not below it are left out.
        limit: Largest number of videos.

    Returns:
        Lines that say what was met and what was written.

    Raises:
        AnnotationError: If there is no record to write.
    """
    notes = Notes()
    records = first_videos(there(make(notes), root, notes), limit, notes)
    first = next(records, None)
    if first is None:
        met = '; '.join(notes.lines()) or 'the file holds no entry'
        raise AnnotationError(f"nothing to write to '{out}': {met}.")
    count = write_records(chain([first], records), out)
    check = f'python tools/dataset_converters/verify_dataset.py {out} {root or "FOLDER"}'
    return [*notes.lines(), f'{out}: {count:,} lines', f'Unreadable files are found by: {check}']
