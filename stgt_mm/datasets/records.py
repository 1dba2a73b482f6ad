"""Annotation files: JSON lines, one (video, text) pair a line, checked once and then read from disk."""

import hashlib
import io
import json
import operator
import os
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stgt_mm.datasets.jsonl import (
    AnnotationError,
    no_record,
    open_annotation,
    parse_line,
    read_jsonl,
    write_records,
)
from stgt_mm.datasets.missing_videos import MissingVideosError, check_videos
from stgt_mm.datasets.record_ids import Conflict, IdColumns, complete, default_video_id

__all__ = [
    'AnnotationError',
    'MissingVideosError',
    'Records',
    'check_videos',
    'read_jsonl',
    'read_records',
    'write_records',
]


class Records(Sequence):
    """Records of a file that stays on disk: a line is read and parsed when it is asked for.

    In memory are 12 bytes a line. Each access gives a new dict, so a change to one changes no other. Forked
    workers share everything; the file must stay as it is while it is in use.

    Attributes:
        path: The file.

    Args:
        lines: Where the lines are.
        rows: Which of the lines are meant, in this order; None for all.
    """

    def __init__(self, lines: '_Lines', rows: np.ndarray | None = None) -> None:
        self._lines = lines
        self._rows = rows
        self._hash = lines.digest if rows is None else None

    @property
    def path(self) -> Path:
        """The file."""
        return self._lines.path

    def __len__(self) -> int:
        return len(self._lines.numbers) if self._rows is None else len(self._rows)

    def __getitem__(self, index: int | slice) -> Any:
        """Reads a record, or chooses some.

        Args:
            index: Index of a record, negative from the end, or a slice.

        Returns:
            The record as a dict, or :class:`Records`.

        Raises:
            IndexError: If there is no such record.
            AnnotationError: If the file was changed meanwhile.
        """
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        place = operator.index(index)
        if not -len(self) <= place < len(self):
            raise IndexError(f'record {place} of {self.path}, which has {len(self)}')
        place %= len(self)
        return self._lines.read(place if self._rows is None else int(self._rows[place]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Records, list)):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other))

    __hash__ = None

    def __repr__(self) -> str:
        return f'Records({str(self.path)!r}, {len(self)} records)'

    def take(self, rows: Sequence[int] | np.ndarray) -> 'Records':
        """Chooses records.

        Args:
            rows: Indices of records.

        Returns:
            These, in this order.
        """
        rows = np.asarray(rows, dtype=np.int64)
        return Records(self._lines, rows if self._rows is None else self._rows[rows])

    @property
    def content_hash(self) -> str:
        """SHA-256 of the lines in their order: where the file lies and what was left out do not count."""
        if self._hash is None:
            digest = hashlib.sha256()
            for row in self._rows.tolist():
                digest.update(_plain(self._lines.raw(row)))
            self._hash = digest.hexdigest()
        return self._hash


class _Lines:
    """The lines of a file, by where they begin."""

    def __init__(self, path: Path, file: io.BufferedReader, starts: array, digest: str) -> None:
        self.path = path
        self.digest = digest
        self.starts = np.frombuffer(starts, np.int64)
        self.numbers = np.empty(len(starts) - 1, np.int32)
        self._use(file)

    def _use(self, file: io.BufferedReader) -> None:
        self._file = file
        self._descriptor = file.fileno()
        self._stamp = _stamp(self._descriptor)

    def raw(self, row: int) -> bytes:
        """Reads a line; empty lines behind it come along."""
        if _stamp(self._descriptor) != self._stamp:
            raise AnnotationError(
                f"'{self.path}' was changed while it was in use. Start again; write changes to another file."
            )
        start, end = self.starts[row : row + 2].tolist()
        return _read_at(self._descriptor, end - start, start)

    def read(self, row: int) -> dict[str, Any]:
        """Parses a line and completes its ids; the line was checked before."""
        return complete(json.loads(_plain(self.raw(row))), int(self.numbers[row]))

    def number_of(self, row: int) -> int:
        """Counts the line breaks before a line."""
        with self.path.open('rb') as file:
            return file.read(int(self.starts[row])).count(b'\n') + 1

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key not in ('_file', '_descriptor')}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        checked = self._stamp
        self._use(open_annotation(self.path))
        self._stamp = checked

    def __del__(self) -> None:
        if hasattr(self, '_file'):
            self._file.close()


def read_records(path: str | Path, required: Sequence[str] = ('video', 'text')) -> Records:
    """Checks (video, text) records in one pass; they are read when they are asked for.

    Args:
        path: JSON-lines file. Keys: ``video`` (path below the video root), ``text``, optionally ``video_id``
            (default: the path without extension), ``text_id`` (default: ``<video_id>#<n>``) and any others.
        required: Keys that every line must have.

    Returns:
        The records in file order, each with ``video`` and ``video_id``, and ``text_id`` where there is a
        text.

    Raises:
        FileNotFoundError: If there is no such file.
        AnnotationError: If a line is broken (see :func:`read_jsonl`), lacks a key, holds an empty or
            non-string value, repeats a (video_id, text_id), or gives one id two files or two texts.
    """
    path = Path(path)
    file = open_annotation(path)
    try:
        starts, columns, digest = _check_lines(file, path, tuple(required))
        lines = _Lines(path, file, starts, digest)
    except BaseException:
        file.close()
        raise
    lines.numbers = columns.number_captions()
    conflict = columns.find_conflict(lines.numbers, lines.read)
    if conflict is not None:
        raise _explain(conflict, lines)
    return Records(lines)


def _check_lines(
    file: io.BufferedReader, path: Path, required: tuple[str, ...]
) -> tuple[array, IdColumns, str]:
    """One pass over the file: where its lines begin (and where the last ends), their ids, their hash."""
    checked = tuple(dict.fromkeys((*required, 'video', 'text', 'distractor')))
    starts, columns, digest = array('q'), IdColumns(), hashlib.sha256()
    position = 0
    for number, raw in enumerate(file, start=1):
        if not raw.isspace():
            record = parse_line(raw, path, number)
            _check_strings(record, required, checked, path, number)
            video_id = record.get('video_id')
            record['video_id'] = default_video_id(record['video']) if video_id is None else str(video_id)
            columns.add(record)
            digest.update(_plain(raw))
            starts.append(position)
        position += len(raw)
    if not len(starts):
        raise no_record(path)
    starts.append(position)
    return starts, columns, digest.hexdigest()


def _read_at(descriptor: int, size: int, start: int) -> bytes:
    if hasattr(os, 'pread'):  # leaves the place in the file alone, which forked workers share
        return os.pread(descriptor, size, start)
    os.lseek(descriptor, start, os.SEEK_SET)
    return os.read(descriptor, size)


def _plain(raw: bytes) -> bytes:
    return raw.strip().removeprefix(b'\xef\xbb\xbf') + b'\n'


def _stamp(descriptor: int) -> tuple[int, int, int]:
    facts = os.fstat(descriptor)
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _explain(conflict: Conflict, lines: _Lines) -> AnnotationError:
    record, before = lines.read(conflict.row), lines.read(conflict.earlier)
    where = f'{lines.path}:{lines.number_of(conflict.row)}'
    line = lines.number_of(conflict.earlier)
    if conflict.key == 'pair':
        return AnnotationError(
            f"{where}: video_id '{record['video_id']}' with text_id '{record['text_id']}' is already on line "
            f'{line}. Remove one of the two lines, or give the caption a text_id of its own.'
        )
    key, value = conflict.key, conflict.key.removesuffix('_id')
    return AnnotationError(
        f"{where}: {key} '{record[key]}' stands for {record[value]!r} here and for {before[value]!r} on line "
        f'{line}. Give each its own {key}.'
    )


def _check_strings(
    record: dict[str, Any], required: Sequence[str], checked: Sequence[str], path: Path, number: int
) -> None:
    for key in required:
        if key not in record:
            raise AnnotationError(
                f"{path}:{number}: no '{key}' in {json.dumps(record, ensure_ascii=False)[:120]}. "
                f'Each line needs: {", ".join(required)}.'
            )
    for key in checked:
        if key not in record:
            continue
        value = record[key]
        if not isinstance(value, str):
            raise AnnotationError(
                f"{path}:{number}: '{key}' is {value!r}, a text was expected. One caption a line: write "
                'several lines for several captions.'
            )
        if not any(letter.isalnum() for letter in value):
            raise AnnotationError(
                f"{path}:{number}: '{key}' is empty ({value!r}). Write it, or remove the line."
            )
