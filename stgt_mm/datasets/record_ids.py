"""Whether ids are used twice, found without keeping the ids: sixteen bytes an id instead of the text.

A line leaves numbers of 64 bits in arrays. Sorting them finds lines that may disagree; these are read again
and compared letter by letter, so that two ids with one number are no mistake.
"""

from array import array
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np

# what stands in place of the number of a caption
OWN, DEFAULT, NO_TEXT = -1, -2, -3
_DIGITS = 9
_KEYS = ('video_id', 'pair', 'text_id')
_FACTOR = np.uint64(0x9E3779B97F4A7C15)

Row = dict[str, Any]


class Conflict(NamedTuple):
    """Two lines that cannot both be right.

    Attributes:
        row: Index of the later record.
        earlier: Index of the earlier one.
        key: What they share: ``'video_id'``, ``'text_id'`` or ``'pair'``.
    """

    row: int
    earlier: int
    key: str


def hash_text(text: str) -> int:
    """Returns 64 bits of a text, the same within a process and the processes forked from it."""
    return hash(text)


def default_video_id(video: str) -> str:
    """Names a video by its path.

    Args:
        video: Path with ``/``.

    Returns:
        The path without extension.
    """
    stem, dot, extension = video.rpartition('.')
    # what pathlib would do, without its four microseconds; the rest is left to it
    plain = dot and extension and '/' not in extension and stem and stem[-1] not in './'
    if plain and '//' not in video and '/.' not in video and video[0] not in './':
        return stem
    return str(PurePosixPath(video).with_suffix(''))


def complete(record: Row, number: int) -> Row:
    """Adds the ids that a line leaves out, in place.

    Args:
        record: What the line says.
        number: How many captions of this video came before, or ``OWN`` or ``NO_TEXT``.

    Returns:
        The record, with ``video_id`` and, where there is a text, ``text_id``.
    """
    video_id = record.get('video_id')
    record['video_id'] = default_video_id(record['video']) if video_id is None else str(video_id)
    if number != NO_TEXT:
        text_id = record.get('text_id')
        record['text_id'] = f'{record["video_id"]}#{number}' if text_id is None else str(text_id)
    return record


class IdColumns:
    """What is kept of the ids of all lines while a file is checked: 36 bytes a line."""

    def __init__(self) -> None:
        self._video_ids, self._videos = array('q'), array('q')
        self._text_ids, self._texts = array('q'), array('q')
        self._tails = array('i')

    def add(self, record: Row) -> None:
        """Notes a line.

        Args:
            record: The line, with ``video_id``, and ``text_id`` where the file says it.
        """
        video_id = hash_text(record['video_id'])
        self._video_ids.append(video_id)
        self._videos.append(hash_text(record['video']))
        self._texts.append(hash_text(record['text']) if 'text' in record else 0)
        if 'text' not in record:
            base, tail = 0, NO_TEXT
        elif record.get('text_id') is None:
            base, tail = video_id, DEFAULT
        else:
            base, tail = _split(str(record['text_id']))
        self._text_ids.append(base)
        self._tails.append(tail)

    def number_captions(self) -> np.ndarray:
        """Counts for each line how many captions of its video came before.

        Returns:
            int32; ``OWN`` where a line has a ``text_id`` of its own, ``NO_TEXT`` where it has no text.
        """
        video_ids, tails = self._ids_and_tails()
        numbers = np.where(tails == NO_TEXT, NO_TEXT, OWN).astype(np.int32)
        rows = np.flatnonzero(tails != NO_TEXT)
        order = rows[np.argsort(video_ids[rows], kind='stable')]
        grouped, ranks = video_ids[order], np.arange(len(order))
        starts = np.ones(len(order), bool)
        starts[1:] = grouped[1:] != grouped[:-1]
        ranks -= np.maximum.accumulate(np.where(starts, ranks, 0))
        numbers[order] = np.where(tails[order] == DEFAULT, ranks, OWN)
        return numbers

    def find_conflict(self, numbers: np.ndarray, read: Callable[[int], Row]) -> Conflict | None:
        """Looks for ids that stand for two things.

        Args:
            numbers: From :meth:`number_captions`; corrected in place where two ids have the same 64 bits.
            read: Gives the record of an index, completed with these numbers.

        Returns:
            The first line that disagrees with one before it, None if all agree.
        """
        video_ids, tails = self._ids_and_tails()
        videos = np.frombuffer(self._videos, np.int64)
        found = [_first(_suspects(video_ids, videos), read, 'video_id')]
        last = len(tails) if found[0] is None else found[0].row
        self._number_exactly(_suspects(video_ids, videos), last, numbers, read)
        if not np.isin(tails, (DEFAULT, NO_TEXT)).all():
            # ids made from video and number differ as soon as one of the two does
            found += self._text_conflicts(numbers, read)
        known = [conflict for conflict in found if conflict is not None]
        return min(known, key=lambda conflict: (conflict.row, _KEYS.index(conflict.key)), default=None)

    def _ids_and_tails(self) -> tuple[np.ndarray, np.ndarray]:
        return np.frombuffer(self._video_ids, np.int64), np.frombuffer(self._tails, np.int32)

    def _number_exactly(
        self, groups: Iterator[np.ndarray], last: int, numbers: np.ndarray, read: Callable[[int], Row]
    ) -> None:
        """Counts anew where two videos have the same 64 bits, as far as the row that counts."""
        _, tails = self._ids_and_tails()
        for rows in groups:
            if rows[1] > last:
                break
            counts: dict[str, int] = {}
            for row in rows[tails[rows] != NO_TEXT].tolist():
                video_id = read(row)['video_id']
                number = counts.get(video_id, 0)
                counts[video_id] = number + 1
                if tails[row] == DEFAULT:
                    numbers[row] = number

    def _text_conflicts(self, numbers: np.ndarray, read: Callable[[int], Row]) -> list[Conflict | None]:
        video_ids, tails = self._ids_and_tails()
        rows = np.flatnonzero(tails != NO_TEXT)
        shown = np.where(tails == DEFAULT, numbers, tails)[rows].astype(np.int64).view(np.uint64)
        keys = np.frombuffer(self._text_ids, np.int64)[rows].view(np.uint64) * _FACTOR + shown
        texts = np.frombuffer(self._texts, np.int64)[rows]
        same_text = (rows[places] for places in _suspects(keys, texts))
        pairs = keys * _FACTOR + video_ids[rows].view(np.uint64)
        same_pair = (rows[places] for places in _suspects(pairs, np.arange(len(rows))))
        return [_first(same_text, read, 'text_id'), _first(same_pair, read, 'pair')]


def _split(text_id: str) -> tuple[int, int]:
    """Splits ``name#7``, which is what the eighth caption of ``name`` is called by default."""
    base, mark, tail = text_id.rpartition('#')
    if mark and len(tail) <= _DIGITS and tail.isascii() and tail.isdigit() and str(int(tail)) == tail:
        return hash_text(base), int(tail)
    return hash_text(text_id), OWN


def _suspects(keys: np.ndarray, values: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the rows of each key that has several values; the key that differs first comes first."""
    order = np.argsort(keys, kind='stable')
    keys, values = keys[order], values[order]
    differ = np.flatnonzero((keys[1:] == keys[:-1]) & (values[1:] != values[:-1])) + 1
    if not len(differ):
        return
    firsts = differ[np.unique(keys[differ], return_index=True)[1]]
    for place in firsts[np.argsort(order[firsts])]:
        begin, end = (np.searchsorted(keys, keys[place], side) for side in ('left', 'right'))
        yield order[begin:end]


def _first(groups: Iterator[np.ndarray], read: Callable[[int], Row], key: str) -> Conflict | None:
    """Compares the lines of each group letter by letter."""
    found = None
    for rows in groups:
        if found is not None and found.row < rows[1]:
            break
        conflict = _compare(rows, read, key)
        if conflict is not None:
            found = conflict if found is None else min(found, conflict)
    return found


def _compare(rows: np.ndarray, read: Callable[[int], Row], key: str) -> Conflict | None:
    known: dict[Any, tuple[Any, int]] = {}
    for row in rows.tolist():
        record = read(row)
        if key == 'pair':
            name, value = (record['video_id'], record['text_id']), row
        else:
            name, value = record[key], record[key.removesuffix('_id')]
        before, earlier = known.setdefault(name, (value, row))
        if before != value:
            return Conflict(row, earlier, key)
    return None
