"""What the converters share: notes on what they meet, a progress bar, writing."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from stgt_mm.datasets.records import read_records, write_records

Item = TypeVar('Item')
EXAMPLES = 3
NO_WORD = 'captions without a letter or digit, left out'
REPEATED = 'repeat one of the same video, kept'


class Notes:
    """Counts what a converter met and its user should know; none of it stops the conversion.

    Attributes:
        counts: How often each thing was met, in the order of first meeting.
        examples: The first :data:`EXAMPLES` places of each.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.examples: dict[str, list[str]] = {}

    def add(self, what: str, example: str, count: int = 1) -> None:
        """Counts one more.

        Args:
            what: What was met and what was done about it, in the plural: it follows a number.
            example: Where, for example file and line.
            count: How many at once.
        """
        self.counts[what] = self.counts.get(what, 0) + count
        places = self.examples.setdefault(what, [])
        if len(places) < EXAMPLES:
            places.append(example)

    def lines(self) -> list[str]:
        """Returns one line a note: number, what, the first places."""
        return [
            f'{count:,} {what}: {", ".join(self.examples[what])}{", ..." if count > EXAMPLES else ""}'
            for what, count in self.counts.items()
        ]


def bar(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Shows on the error stream how far a loop is.

    Args:
        items: What the loop goes through.
        what: Name of the work, e.g. the file.
        total: Number of items where ``items`` does not know it.

    Returns:
        The items.
    """
    return iter(tqdm(items, desc=what, total=total, file=sys.stderr, mininterval=0.5, unit=''))


def has_word(text: str) -> bool:
    """Says whether a caption has a letter or a digit; records without one are refused when they are read."""
    return any(letter.isalnum() for letter in text)


def note_repeats(records: Iterable[dict[str, Any]], split: str, notes: Notes) -> None:
    """Counts captions that repeat one of the same video.

    Args:
        records: Records with ``video_id`` and ``text``.
        split: Name of the split, for the note.
        notes: Where they are counted.
    """
    seen: set[tuple[str, str]] = set()
    for record in records:
        pair = (record['video_id'], record['text'])
        if pair in seen:
            notes.add(f'captions of {split} {REPEATED}', f'{pair[0]} {pair[1]!r}')
        seen.add(pair)


def save(records: Sequence[dict[str, Any]], path: str | Path) -> str:
    """Writes an annotation file, whole or not at all, and reads it as a data set will.

    Args:
        records: Records.
        path: JSON-lines file to write.

    Returns:
        A line that says what was written.

    Raises:
        AnnotationError: If a data set could not read the file, for example because an id means two texts.
    """
    texts = write_records(records, path)
    videos = len({record['video_id'] for record in read_records(path)})
    return f'{path}: {texts:,} texts of {videos:,} videos'
