"""Annotation files in Arrow columns: made from JSON lines once, every id checked, then mapped into memory."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stgt_mm.datasets.jsonl import BYTE_ORDER_MARK, AnnotationError, parse_lines
from stgt_mm.io.whole_file import whole_file
from stgt_mm.progress import ProgressLine

# columns need no parsing; the line itself keeps whatever else its writer put into it
_PARSED = pa.schema(
    [('line', pa.large_binary())]
    + [(name, pa.large_string()) for name in ('video', 'video_id', 'text', 'text_id')]
)
_ROWS_A_BATCH = 1 << 16


class _Conflict(NamedTuple):
    """Two rows that cannot both be right, in the order in which conflicts are told."""

    row: int
    kind: int  # 0 the video_id, 1 the pair of ids, 2 the text_id: of one row, the first is told
    earlier: int


def open_table(path: Path) -> pa.Table | None:
    """Maps a table into memory; None if the file is not there or damaged."""
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (OSError, pa.ArrowInvalid):
        return None


def convert(path: Path, target: Path, required: Sequence[str], metadata: dict[str, str]) -> None:
    """Checks an annotation file and writes its table, whole or not at all.

    Its columns are ``line`` (bytes), ``video``, ``video_id`` and ``text_id``, the ids completed, ``text_id``
    null where there is no text; ``question_id`` in its place where a ``question`` is required. Its metadata
    has also ``content_hash`` (SHA-256 of the lines without space around them) and ``outside`` (the first
    ``video`` that leads out of the video root, or '').
    """
    subject = 'question' if 'question' in required else 'text'
    with whole_file(target) as partial:
        # the defaults of ids need all lines, which need not fit into memory: they go through a file
        parsed = partial.with_suffix('.parsed')
        try:
            found = _write_parsed(path, parsed, tuple(required), subject)
            table = open_table(parsed)
            table = table.set_column(4, 'text_id', _complete_text_ids(table))
            _check_ids(path, table, subject)
            table = table.drop_columns('text').rename_columns(['line', 'video', 'video_id', f'{subject}_id'])
            table = table.replace_schema_metadata({**metadata, **found})
            with pa.ipc.new_file(str(partial), table.schema) as writer:
                writer.write_table(table, max_chunksize=_ROWS_A_BATCH)
        finally:
            parsed.unlink(missing_ok=True)


def _write_parsed(path: Path, target: Path, required: tuple[str, ...], subject: str) -> dict[str, str]:
    """One pass over the lines; returns what metadata is known by it. Columns of texts hold ``subject``."""
    checked = tuple(dict.fromkeys((*required, 'video', 'text', 'distractor')))
    digest, outside = hashlib.sha256(), ''
    progress = ProgressLine(f'converting {path.name}, MiB', max(1, path.stat().st_size >> 20))
    with progress, pa.ipc.new_file(str(target), _PARSED) as writer:
        batch: list[tuple[Any, ...]] = []
        read = 0
        for number, raw, row in parse_lines(path):
            _check_strings(row, required, checked, f'{path}:{number}')
            if subject == 'question':
                _check_answers(row, f'{path}:{number}')
            if 'noun_phrases' in row:
                _check_phrases(row['noun_phrases'], f'{path}:{number}')
            line = raw.strip().removeprefix(BYTE_ORDER_MARK)
            digest.update(line + b'\n')
            video = row['video']
            leads_out = video[0] == '/' or ('..' in video and '..' in video.split('/'))
            outside = outside or (video if leads_out else '')
            batch.append((line, *_strings(row, subject)))
            read += len(raw)
            if len(batch) == _ROWS_A_BATCH:
                writer.write_batch(_as_batch(batch))
                batch.clear()
                progress.advance((read >> 20) - progress.done)
        writer.write_batch(_as_batch(batch))
    return {'content_hash': digest.hexdigest(), 'outside': outside}


def _as_batch(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    columns = zip(*rows) if rows else [()] * len(_PARSED)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, _PARSED.types)]
    return pa.record_batch(arrays, schema=_PARSED)


def _strings(row: dict[str, Any], subject: str) -> tuple[str, str, str | None, str | None]:
    """Video, its id, text or question, its id; an id that the line leaves out is None."""
    video_id, text, text_id = row.get('video_id'), row.get(subject), row.get(f'{subject}_id')
    video_id = default_video_id(row['video']) if video_id is None else str(video_id)
    return row['video'], video_id, text, None if text_id is None or text is None else str(text_id)


def default_video_id(video: str) -> str:
    """Names a video by its path with ``/``, without the extension."""
    stem, dot, extension = video.rpartition('.')
    # what pathlib would do, without its four microseconds; the rest is left to it
    plain = dot and extension and '/' not in extension and stem and stem[-1] not in './'
    if plain and '//' not in video and '/.' not in video and video[0] not in './':
        return stem
    return str(PurePosixPath(video).with_suffix(''))


def _check_strings(row: dict[str, Any], required: Sequence[str], checked: Sequence[str], where: str) -> None:
    for key in required:
        if key not in row:
            raise AnnotationError(
                f"{where}: no '{key}' in {json.dumps(row, ensure_ascii=False)[:120]}. "
                f'Each line needs: {", ".join(required)}.'
            )
    for key in checked:
        if key not in row:
            continue
        value = row[key]
        if not isinstance(value, str):
            raise AnnotationError(
                f"{where}: '{key}' is {value!r}, a text was expected. One caption or question a line: write "
                'several lines for several of them.'
            )
        if not any(letter.isalnum() for letter in value):
            raise AnnotationError(f"{where}: '{key}' is empty ({value!r}). Write it, or remove the line.")


def _check_answers(row: dict[str, Any], where: str) -> None:
    given = {key: row[key] for key in ('answer', 'answers') if key in row}
    several = given.get('answers', ())
    answers = [given[key] for key in given if key == 'answer']
    answers += several if isinstance(several, (list, tuple)) else [None]
    worded = [isinstance(answer, str) and any(letter.isalnum() for letter in answer) for answer in answers]
    if not worded or not all(worded):
        raise AnnotationError(
            f'{where}: question {row["question"]!r} lacks an answer; there is: {given or "none"}. Write '
            '"answer": "a text" or "answers": ["a text", "another"], or remove the line.'
        )


def _check_phrases(phrases: Any, where: str) -> None:
    words = isinstance(phrases, list) and all(isinstance(own, str) and own.strip() for own in phrases)
    if not words:
        raise AnnotationError(
            f"{where}: 'noun_phrases' is {phrases!r}, a list of texts was expected, "
            '["man", "red car"]; an empty list where there is none.'
        )


def _complete_text_ids(table: pa.Table) -> pa.ChunkedArray:
    """Calls a caption without a text_id ``<video_id>#<n>``, n the captions of its video before it."""
    has_text = table['text'].is_valid().to_numpy()
    codes = _codes(table['video_id'])[has_text]
    order = np.argsort(codes, kind='stable')
    begins = np.flatnonzero(np.diff(codes[order], prepend=-1))
    ranks = np.arange(len(codes)) - np.repeat(begins, np.diff(begins, append=len(codes)))
    numbers = np.zeros(len(table), np.int64)
    numbers[np.flatnonzero(has_text)[order]] = ranks
    shown = pa.array(numbers, mask=~has_text).cast(pa.large_string())
    default = pc.binary_join_element_wise(table['video_id'], shown, pa.scalar('#', pa.large_string()))
    return pc.coalesce(table['text_id'], default)


def _check_ids(path: Path, table: pa.Table, subject: str) -> None:
    """Refuses an id that means two files or two texts, and a pair of ids that occurs twice.

    A text may belong to several videos; a question belongs to one, so that its id alone must be unique.
    """
    videos = _codes(table['video_id'])
    found = list(_disagreements(videos, np.arange(len(table)), table['video'], kind=0))
    with_text = np.flatnonzero(table['text_id'].is_valid().to_numpy())
    texts = _codes(table['text_id'].filter(table['text_id'].is_valid()))
    pairs = np.unique(videos[with_text] * np.int64(len(table)) + texts, return_inverse=True)[1]
    found += _disagreements(texts if subject == 'question' else pairs, with_text, None, kind=1)
    found += _disagreements(texts, with_text, table['text'], kind=2)
    if not found:
        return
    conflict = min(found)  # of the first row that is wrong
    row, before = (table.slice(at, 1).to_pylist()[0] for at in (conflict.row, conflict.earlier))
    where, line = f'{path}:{_line_number(path, conflict.row)}', _line_number(path, conflict.earlier)
    if conflict.kind and subject == 'question':
        raise AnnotationError(
            f"{where}: question_id '{row['text_id']}' ({row['text']!r}) is already on line {line} "
            f'({before["text"]!r}). Remove one of the two lines, or give each question an id of its own.'
        )
    if conflict.kind == 1:
        raise AnnotationError(
            f"{where}: video_id '{row['video_id']}' with text_id '{row['text_id']}' is already on line "
            f'{line}. Remove one of the two lines, or give the caption a text_id of its own.'
        )
    value = 'text' if conflict.kind else 'video'
    raise AnnotationError(
        f"{where}: {value}_id '{row[f'{value}_id']}' stands for {row[value]!r} here and for "
        f'{before[value]!r} on line {line}. Give each its own {value}_id.'
    )


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """Numbers the distinct values of a column from 0, in the order of appearance."""
    chunks = [np.empty(0, np.int64), *(c.indices.to_numpy() for c in column.dictionary_encode().chunks)]
    return np.concatenate(chunks)


def _disagreements(
    codes: np.ndarray, rows: np.ndarray, values: pa.ChunkedArray | None, kind: int
) -> Iterator[_Conflict]:
    """Yields the first row whose value differs from that of the first row with its code.

    Without values, every second row with a code is one.
    """
    first = np.empty(len(codes), np.int64)
    first[codes[::-1]] = rows[::-1]  # of the rows with one code, the first is written last
    first = first[codes]
    again = np.flatnonzero(first != rows)
    if values is not None:
        differ = pc.not_equal(values.take(rows[again]), values.take(first[again]))
        again = again[differ.to_numpy()]
    if len(again):
        yield _Conflict(int(rows[again[0]]), kind, int(first[again[0]]))


def _line_number(path: Path, row: int) -> int:
    with path.open('rb') as lines:
        numbers = (number for number, raw in enumerate(lines, start=1) if not raw.isspace())
        return next(islice(numbers, row, None))
