"""WebVid-2M and WebVid-10M: a table with a line a video.

Source: Bain et al., "Frozen in Time" (ICCV 2021).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.conversion import layout_pattern
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.reading import count_lines, read_table
from stgt_mm.progress import track

LAYOUTS = {'pages': '{page_dir}/{videoid}.mp4', 'flat': '{videoid}.mp4'}
FIELDS = {'page_dir': '000001_000050', 'videoid': '1066674784'}


def webvid_records(path: str | Path, notes: Notes, layout: str = 'pages') -> Iterator[dict[str, Any]]:
    """Yields records of ``results_2M_train.csv``, ``results_10M_train.csv`` and their like.

    The columns ``videoid``, ``page_dir`` and ``name`` come in any order; a layout that does not name
    ``page_dir`` needs no such column.
    """
    pattern = layout_pattern(layout, LAYOUTS, FIELDS)
    columns = ('videoid', 'page_dir', 'name') if '{page_dir' in pattern else ('videoid', 'name')
    for number, row in track(read_table(path, columns, notes), Path(path).name, count_lines(path) - 1):
        row = {key: value.strip() for key, value in row.items()}
        text = row.pop('name')
        for key, value in row.items():
            if value in ('', '.', '..') or '/' in value:
                raise AnnotationError(
                    f"{path}:{number}: {key} is '{value}', a name was expected. Correct it."
                )
        if notes.accepts(text, f'{Path(path).name}:{number} {text!r}'):
            yield {'video': pattern.format(**row), 'text': text}
