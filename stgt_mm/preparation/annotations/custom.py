"""Annotation files from the lists that people have: CSV, text files beside videos, JSON lists."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.captions import Records
from stgt_mm.preparation.annotations.notes import has_word
from stgt_mm.preparation.annotations.reading import read_json, read_text
from stgt_mm.preparation.annotations.video_files import VIDEO_SUFFIXES
from stgt_mm.preparation.verification.inspection import IMAGE_SUFFIXES
from stgt_mm.progress import track

PLAYLIST_SUFFIXES = ('.m3u8', '.m3u', '.ffconcat', '.mpd', '.sdp')


def records_from(source: str | Path) -> Records:
    """Makes records from a ``.csv`` file, a ``.json`` file or a folder of videos."""
    source = Path(source)
    if not source.exists():
        raise FileNotFoundError(f"no file or folder '{source}' (working directory {Path.cwd()}).")
    suffix = source.suffix.lower()
    if source.is_dir():
        return from_folder(source)
    if suffix == '.csv':
        return from_csv(source)
    if suffix == '.json':
        return from_json(source)
    raise AnnotationError(
        f"'{source}' is neither a folder, a .csv nor a .json file. Known forms: csv, folder, json."
    )


def from_csv(path: Path) -> Records:
    """Reads the columns ``video`` and ``caption``, and ``video_id`` and ``text_id`` where they are."""
    records = []
    for place, row in table_rows(path, ('video', 'caption')):
        ids = {key: row[key] for key in ('video_id', 'text_id') if row.get(key)}
        video, caption = video_path(row['video'], place), worded(row['caption'], 'caption', place)
        records.append({'video': video, **ids, 'text': caption})
    return _require_some(records, path)


def table_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Reads a table with these columns, and others: for each row its place, for messages, and its values."""
    text = read_text(path)
    # not read_table: captions keep their own line breaks, and columns may lack values
    rows = csv.DictReader(io.StringIO(text, newline=''))
    lacking = [column for column in columns if column not in (rows.fieldnames or [])]
    if lacking:
        raise AnnotationError(
            f"{path}:1: no column '{lacking[0]}' in the header {rows.fieldnames}. The first line should be: "
            f'{",".join(columns)} (with commas, not with semicolons or tabs)'
        )
    for row in track(rows, path.name, text.count('\n')):
        place = f'{path}:{rows.line_num}'
        if None in row:
            raise AnnotationError(
                f'{place}: more values than columns: {row[None]}. Put texts with commas into "quotes".'
            )
        yield place, row


def from_folder(folder: Path) -> Records:
    """Pairs each video below a folder with the text file of the same name, which has one caption a line.

    Pictures count as videos, so this reads what img2dataset and video2dataset write (``files``), too.
    """
    suffixes = (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES)
    videos = sorted(path for path in folder.rglob('*') if path.suffix.lower() in suffixes)
    records = []
    for video in track(videos, str(folder)):
        words = video.with_suffix('.txt')
        if not words.is_file():
            raise AnnotationError(
                f"'{video}' has no captions beside it. Write them into '{words}', one a line, or move the "
                'video away.'
            )
        lines = [(n, line) for n, line in enumerate(read_text(words).split('\n'), start=1) if line.strip()]
        if not lines:
            raise AnnotationError(f"'{words}' is empty. Write a caption into it, one a line.")
        name = video.relative_to(folder).as_posix()
        for number, line in lines:
            records.append({'video': name, 'text': worded(line, 'caption', f'{words}:{number}')})
    return _require_some(records, folder)


def from_json(path: Path) -> Records:
    """Reads a list of objects with a video and a caption or a list of captions, as LAVIS has them.

    Entries whose caption is null or absent are left out.
    """
    records = []
    advice = 'If it holds one object a line, it may be what you want already: ann_file reads JSON lines.'
    for number, entry in enumerate(track(read_json(path, list, advice), path.name)):
        place = f'{path}, entry {number}'
        if not isinstance(entry, dict):
            raise AnnotationError(f'{place}: {entry!r} is not an object with "video" and "caption".')
        captions = entry.get('caption')
        if captions is None:
            continue
        video = video_of(entry, place)
        for caption in captions if isinstance(captions, list) else [captions]:
            records.append({'video': video, 'text': worded(caption, 'caption', place)})
    return _require_some(records, path)


def video_of(entry: dict[str, Any], place: str) -> str:
    """Takes the path of the video from an entry of a JSON list, which may call it a file or an image."""
    name = next((entry[key] for key in ('video', 'file', 'image') if entry.get(key) is not None), None)
    if name is None:
        raise AnnotationError(
            f'{place}: neither "video", "file" nor "image" in it; it has: {", ".join(entry)}. Name the video.'
        )
    return video_path(name, place)


def video_path(value: Any, place: str) -> str:
    """Checks the path of a video: a text that names no playlist."""
    video = worded(value, 'video', place)
    if PurePosixPath(video).suffix.lower() in PLAYLIST_SUFFIXES:
        raise AnnotationError(
            f"{place}: video is '{video}', a playlist, and playlists are not followed, for they name "
            'other files. Name the video itself.'
        )
    return video


def worded(value: Any, key: str, place: str) -> str:
    """Checks a text that must hold a word."""
    if not isinstance(value, str) or not has_word(value):
        raise AnnotationError(f'{place}: {key} is {value!r}. Write it, or remove the entry.')
    return value.strip()


def _require_some(records: Records, source: Path) -> Records:
    if not records:
        raise AnnotationError(f"'{source}' has no captioned video.")
    return records
