"""Which files are to be indexed, and what their owner says of them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stgt_mm.datasets.jsonl import AnnotationError, read_jsonl
from stgt_mm.preparation.annotations.video_files import (
    CAMERA_SUFFIXES,
    OLDER_SUFFIXES,
    VIDEO_SUFFIXES,
    list_files,
)
from stgt_mm.search.base import Value
from stgt_mm.search.filters import BUILT_IN

Source = str | os.PathLike | Sequence[str | os.PathLike]
SUFFIXES = frozenset(VIDEO_SUFFIXES + CAMERA_SUFFIXES + OLDER_SUFFIXES)
RESERVED = frozenset({*BUILT_IN, 'stamp', 'kept', 'vectors'})


def list_videos(source: Source, video_root: str | os.PathLike | None = None) -> dict[str, dict[str, Value]]:
    """Lists the absolute paths of the videos of a source, each with its own columns.

    Args:
        source: A folder, all videos below it; a file; a JSON-lines file with ``video`` and any other keys,
            of which those with text, numbers or booleans become columns (not ``text`` and ``text_id``: a
            video may have many, and the first line of a video counts); or a list of folders and files.
        video_root: What ``video`` of a JSON-lines file is relative to, by default the folder of that file.

    Returns:
        Columns by path.

    Raises:
        FileNotFoundError: If the source is not there, or holds no video.
        AnnotationError: If a line of a JSON-lines file cannot be used.
    """
    if not isinstance(source, (str, os.PathLike)):
        found: dict[str, dict[str, Value]] = {}
        for part in source:
            found.update(list_videos(part, video_root))
        return found
    path = Path(source).expanduser()
    if path.is_dir():
        files = [file for file in list_files(path) if _is_video(file)]
        if not files:
            raise FileNotFoundError(f"the folder '{path}' holds no video ({', '.join(sorted(SUFFIXES))}).")
        return {os.path.abspath(path / file): {} for file in sorted(files)}
    if path.suffix == '.jsonl':
        return _from_jsonl(path, path.parent if video_root is None else Path(video_root))
    return {os.path.abspath(path): {}}


def _is_video(file: str) -> bool:
    name = os.path.basename(file)
    return not name.startswith('.') and os.path.splitext(name)[1].lower() in SUFFIXES


def _from_jsonl(path: Path, root: Path) -> dict[str, dict[str, Value]]:
    found: dict[str, dict[str, Value]] = {}
    for number, row in read_jsonl(path):
        place = f'{path}:{number}'
        video = row.get('video')
        if not isinstance(video, str) or not video:
            raise AnnotationError(f"{place}: 'video' is {video!r}: the path of a video is needed.")
        if row.get('reverse'):
            raise AnnotationError(f'{place}: a video played backwards (reverse) cannot be indexed.')
        file = os.path.abspath(root / video)
        if file not in found:
            found[file] = _own_columns(row, place)
    return found


def _own_columns(row: dict[str, Any], place: str) -> dict[str, Value]:
    columns = {}
    for name, value in row.items():
        if name in ('video', 'text', 'text_id', 'reverse') or not isinstance(value, (str, int, float)):
            continue
        if name in RESERVED or not name.isidentifier():
            raise AnnotationError(
                f"{place}: '{name}' cannot be a column of the index: it has letters, digits and _, and is "
                f'none of {", ".join(sorted(RESERVED))}. Rename the key.'
            )
        # whole numbers and others are one kind: a column of both must not fail in the middle of a file
        columns[name] = float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return columns
