"""Annotation files from the lists that people have: CSV, text files beside videos, JSON lists."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.common import bar, has_word
from stgt_mm.preparation.verification.inspection import IMAGE_SUFFIXES

VIDEO_SUFFIXES = ('.mp4', '.mkv', '.webm', '.mov', '.avi', '.m4v', '.mpg', '.mpeg')
FORMATS = ('csv', 'folder', 'json')


def records_from(source: str | Path) -> list[dict[str, Any]]:
    """Makes records from whatever the path is.

    Args:
        source: A ``.csv`` file, a ``.json`` file or a folder; see :func:`from_csv`, :func:`from_json` and
            :func:`from_folder`.

    Returns:
        Records with ``video``, ``text`` and, where the source has them, other keys.

    Raises:
        FileNotFoundError: If there is no such path.
        AnnotationError: If it is none of the three, or something in it is wrong.
    """
    source = Path(source)
    if source.is_dir():
        return from_folder(source)
    if not source.exists():
        raise FileNotFoundError(f"no file or folder '{source}' (working directory {Path.cwd()}).")
    readers = {'.csv': from_csv, '.json': from_json}
    if source.suffix.lower() not in readers:
        raise AnnotationError(
            f"'{source}' is neither a folder, a .csv nor a .json file. Known forms: {', '.join(FORMATS)}."
        )
    return readers[source.suffix.lower()](source)


def from_csv(path: str | Path) -> list[dict[str, Any]]:
    """Reads a comma-separated file with a header.

    Args:
        path: UTF-8; the columns ``video`` and ``caption`` are needed, ``video_id`` and ``text_id`` are kept.

    Returns:
        One record a line.

    Raises:
        AnnotationError: If a column or a value is missing, a line is too long, or the file is not UTF-8.
    """
    path = Path(path)
    records = []
    text = _text(path)
    rows = csv.DictReader(io.StringIO(text, newline=''))
    lacking = [column for column in ('video', 'caption') if column not in (rows.fieldnames or [])]
    if lacking:
        raise AnnotationError(
            f"{path}:1: no column '{lacking[0]}' in the header {rows.fieldnames}. The first line should be: "
            'video,caption (with commas, not with semicolons or tabs)'
        )
    for row in bar(rows, path.name, text.count('\n')):
        where = f'{path}:{rows.line_num}'
        if None in row:
            raise AnnotationError(
                f'{where}: more values than columns: {row[None]}. Put captions with commas into "quotes".'
            )
        extra = {key: row[key] for key in ('video_id', 'text_id') if row.get(key)}
        records.append({'video': _word(row['video'], 'video', where), **extra})
        records[-1]['text'] = _word(row['caption'], 'caption', where)
    return _some(records, path)


def from_folder(folder: str | Path) -> list[dict[str, Any]]:
    """Pairs each video below a folder with the text file of the same name, ``clip.mp4`` with ``clip.txt``.

    Pictures count as videos, so this reads what img2dataset and video2dataset write (``files``), too.

    Args:
        folder: Searched with its sub-folders; each line of a text file that is not empty is a caption.

    Returns:
        One record a caption, videos in the order of their paths, ``video`` relative to ``folder``.

    Raises:
        AnnotationError: If a video has no text file, a text file is empty or not UTF-8, or there is no video.
    """
    folder = Path(folder)
    records = []
    suffixes = (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES)
    videos = sorted(path for path in folder.rglob('*') if path.suffix.lower() in suffixes)
    for video in bar(videos, str(folder)):
        words = video.with_suffix('.txt')
        if not words.is_file():
            raise AnnotationError(
                f"'{video}' has no captions beside it. Write them into '{words}', one a line, or move the "
                'video away.'
            )
        lines = enumerate(_text(words).split('\n'), start=1)
        captions = [_word(line, 'caption', f'{words}:{number}') for number, line in lines if line.strip()]
        if not captions:
            raise AnnotationError(f"'{words}' is empty. Write a caption into it, one a line.")
        name = video.relative_to(folder).as_posix()
        records.extend({'video': name, 'text': caption} for caption in captions)
    return _some(records, folder)


def from_json(path: str | Path) -> list[dict[str, Any]]:
    """Reads a list of objects with a video and its caption.

    ``video``, ``file`` or ``image`` names the video; ``caption`` is a text or a list of texts; entries whose
    caption is null or absent are left out. This covers LAVIS-style lists, ``[{"video", "caption"}]``, where
    test files have lists of captions.

    Args:
        path: UTF-8 JSON file.

    Returns:
        One record a caption.

    Raises:
        AnnotationError: If it is not such a list, or an entry lacks its video or has an empty caption.
    """
    path = Path(path)
    try:
        entries = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f'{path}:{error.lineno}: not JSON ({error.msg} at column {error.colno}). If it holds one object '
            'a line, it may be what you want already: ann_file reads JSON lines.'
        ) from error
    if not isinstance(entries, list):
        raise AnnotationError(f'{path}: holds {type(entries).__name__}, a list of objects was expected.')
    records = [
        record
        for place, entry in enumerate(bar(entries, path.name))
        for record in _entry(entry, f'{path}, entry {place}')
    ]
    return _some(records, path)


def _entry(entry: Any, where: str) -> Iterator[dict[str, Any]]:
    if not isinstance(entry, dict):
        raise AnnotationError(f'{where}: {entry!r} is not an object with "video" and "caption".')
    captions = entry.get('caption')
    if captions is None:
        return
    name = next((entry[key] for key in ('video', 'file', 'image') if entry.get(key) is not None), None)
    if name is None:
        raise AnnotationError(
            f'{where}: neither "video", "file" nor "image" in it; it has: {", ".join(entry)}. Name the video.'
        )
    video = _word(name, 'video', where)
    for caption in captions if isinstance(captions, list) else [captions]:
        yield {'video': video, 'text': _word(caption, 'caption', where)}


def _word(value: Any, key: str, where: str) -> str:
    if not isinstance(value, str) or not has_word(value):
        raise AnnotationError(f'{where}: {key} is {value!r}. Write it, or remove the entry.')
    return value.strip()


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b'\n') + 1
        raise AnnotationError(
            f"{path}:{line}: not UTF-8. Convert it, for example: iconv -f latin1 -t utf-8 '{path}' > fixed"
        ) from error


def _some(records: list[dict[str, Any]], source: Path) -> list[dict[str, Any]]:
    if not records:
        raise AnnotationError(f"'{source}' has no captioned video.")
    return records
