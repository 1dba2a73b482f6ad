"""WebVid-2M and WebVid-10M: a table with a line a video."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.common import NO_WORD, Notes, bar, has_word
from stgt_mm.preparation.annotations.downloaded import Layout, count_lines
from stgt_mm.preparation.annotations.reading import existing, read_table

COLUMNS = ('videoid', 'page_dir', 'name')
LAYOUTS = {'pages': '{page_dir}/{videoid}.mp4', 'flat': '{videoid}.mp4'}


def webvid_records(path: str | Path, notes: Notes, layout: str = 'pages') -> Iterator[dict[str, Any]]:
    """Reads ``results_2M_train.csv``, ``results_10M_train.csv`` and their like, line by line.

    Source: Bain et al., Frozen in Time, ICCV 2021 (the data set and its table).

    Args:
        path: CSV with the columns ``videoid``, ``page_dir`` and ``name`` in any order.
        notes: Where captions without a word are counted.
        layout: Where a video lies below its root: a key of :data:`LAYOUTS`, or a pattern of ``{page_dir}``
            and ``{videoid}``.

    Yields:
        Records with ``video`` and ``text``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the layout has an unknown field.
        AnnotationError: If a column is missing, or a line is not as the header says.
    """
    where_from = Layout(layout, {'page_dir': '000001_000050', 'videoid': '1066674784'}, LAYOUTS)
    path = existing(path)
    rows = read_table(path, _columns(where_from), notes=notes)
    for number, row in bar(rows, path.name, count_lines(path) - 1):
        text = row.pop('name').strip()
        row = {key: value.strip() for key, value in row.items()}
        for key, value in row.items():
            if value in ('', '.', '..') or '/' in value:
                raise AnnotationError(
                    f"{path}:{number}: {key} is '{value}', a name was expected. Correct it."
                )
        if has_word(text):
            yield {'video': where_from.path(**row), 'text': text}
        else:
            notes.add(NO_WORD, f'{path.name}:{number} {text!r}')


def _columns(layout: Layout) -> tuple[str, ...]:
    """Returns the columns needed: a table without ``page_dir`` serves a layout that does not name it."""
    return tuple(column for column in COLUMNS if column != 'page_dir' or '{page_dir' in layout.pattern)
