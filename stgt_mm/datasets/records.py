"""Records of annotation files: checked once, then read from a memory-mapped table."""

import hashlib
import json
import operator
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from filelock import FileLock

from stgt_mm.datasets.annotation_table import convert, open_table
from stgt_mm.datasets.jsonl import AnnotationError, check_annotation, read_jsonl, write_records
from stgt_mm.datasets.missing_videos import MissingVideosError, check_videos

__all__ = [
    'AnnotationError',
    'MissingVideosError',
    'Records',
    'check_videos',
    'read_jsonl',
    'read_records',
    'write_records',
]
_VERSION = 1
_PROBES, _PROBE_BYTES = 16, 1 << 16


class Records(Sequence):
    """Records of a table that stays on disk: a line is parsed when it is asked for.

    Each access gives a new dict. Processes share what is in memory. A file that is changed or replaced while
    it is in use changes nothing here; a process that opens it later (spawned workers do) and finds other
    content stops. ``outside`` is the first ``video`` that leads out of the video root, or ''.
    """

    def __init__(self, path: Path, cache: Path, table: pa.Table, rows: np.ndarray | None = None) -> None:
        self.path = path
        self.outside = table.schema.metadata[b'outside'].decode()
        self._cache = cache
        self._table = table
        self._rows = rows
        # the last column is the id of a text or of a question
        self._id_name = table.column_names[-1]
        self._columns = [table[name] for name in ('line', 'video_id', self._id_name)]

    def __len__(self) -> int:
        return len(self._table) if self._rows is None else len(self._rows)

    def __getitem__(self, index: int | slice) -> Any:
        """Returns a record as a dict, or for a slice :class:`Records`."""
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        place = operator.index(index)
        if not -len(self) <= place < len(self):
            raise IndexError(f'record {place} of {self.path}, which has {len(self)}')
        place %= len(self)
        row = place if self._rows is None else int(self._rows[place])
        line, video_id, text_id = (column[row].as_py() for column in self._columns)
        record = json.loads(line)
        record['video_id'] = video_id
        if text_id is not None:
            record[self._id_name] = text_id
        return record

    def __repr__(self) -> str:
        return f'Records({str(self.path)!r}, {len(self)} records)'

    def take(self, rows: Sequence[int] | np.ndarray) -> 'Records':
        """Returns the records of these indices, in this order."""
        rows = np.asarray(rows, dtype=np.int64)
        return Records(self.path, self._cache, self._table, rows if self._rows is None else self._rows[rows])

    def column(self, name: str) -> Iterator[Any]:
        """Yields the values of 'line', 'video', 'video_id', 'text_id' or 'question_id', parsing no line."""
        column = self._table[name]
        for chunk in (column if self._rows is None else column.take(self._rows)).chunks:
            yield from chunk.to_pylist()

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the lines in their order: where the file lies and what was left out do not count."""
        if self._rows is None:
            return self._table.schema.metadata[b'content_hash'].decode()
        digest = hashlib.sha256()
        for line in self.column('line'):
            digest.update(line + b'\n')
        return digest.hexdigest()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.path, self._cache, self._table.schema.metadata, self._rows)


def _reopen(path: Path, cache: Path, metadata: dict[bytes, bytes], rows: np.ndarray | None) -> Records:
    table = open_table(cache)
    if table is None or table.schema.metadata[b'content_hash'] != metadata[b'content_hash']:
        raise AnnotationError(
            f"'{path}' was changed while it was in use. Start again; write changes to another file."
        )
    return Records(path, cache, table, rows)


def read_records(
    path: str | Path, required: Sequence[str] = ('video', 'text'), made_by: str | None = None
) -> Records:
    """Opens (video, text) records, checked and converted to Arrow when the file is new or has changed.

    The Arrow file is kept in ``.arrow_cache`` beside it or, where that cannot be written, below
    ``$XDG_CACHE_HOME/stgt_mm`` (``~/.cache/stgt_mm``). Of several processes one converts, the others wait.

    Keys of a line are ``video`` (path below the video root), ``text``, optionally ``video_id`` (default: the
    path without extension), ``text_id`` (default: ``<video_id>#<n>``) and any others. With ``question`` among
    the ``required`` keys a line is a question with ``answer``, ``answers`` or both, and ``question_id`` takes
    the place of ``text_id``. An ``AnnotationError`` names a line that is broken, lacks a ``required`` key,
    holds an empty or non-string value, repeats a (video_id, text_id), or gives one id two files or two texts.
    ``made_by`` says what makes the file, for the message if it is not there.
    """
    path = check_annotation(path, made_by)
    made_from = json.dumps([_VERSION, list(required), *_stamp(path)])
    name = f'{path.name}.{hashlib.sha256("|".join(required).encode()).hexdigest()[:8]}.arrow'
    own = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'stgt_mm' / 'annotations'
    own /= hashlib.sha256(str(path.resolve().parent).encode()).hexdigest()[:16]
    caches = [folder / name for folder in (path.parent / '.arrow_cache', own)]
    for cache in caches:
        table = _open_fitting(cache, made_from)
        if table is not None:
            return Records(path, cache, table)
    beside = caches[0].parent if caches[0].parent.exists() else path.parent
    cache = caches[0] if os.access(beside, os.W_OK) else caches[1]
    cache.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cache.with_suffix('.lock')):
        table = _open_fitting(cache, made_from)
        if table is None:
            convert(path, cache, required, {'made_from': made_from})
            table = open_table(cache)
    return Records(path, cache, table)


def _open_fitting(cache: Path, made_from: str) -> pa.Table | None:
    # in the file itself, not in a marker beside it: the two could not be replaced at once
    table = open_table(cache)
    fits = table is not None and (table.schema.metadata or {}).get(b'made_from') == made_from.encode()
    return table if fits else None


def _stamp(path: Path) -> tuple[int, int, str]:
    """Tells files apart by size, time and up to 1 MiB of bytes: a small file is hashed whole."""
    facts = path.stat()
    digest = hashlib.sha256()
    with path.open('rb') as file:
        for start in np.linspace(0, max(0, facts.st_size - _PROBE_BYTES), _PROBES).astype(int).tolist():
            file.seek(start)
            digest.update(file.read(_PROBE_BYTES))
    return facts.st_size, facts.st_mtime_ns, digest.hexdigest()
