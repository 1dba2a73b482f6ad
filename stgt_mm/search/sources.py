"""Files that are to be indexed, and the columns that their owner gives them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stgt_mm.datasets.jsonl import AnnotationError, read_jsonl
from stgt_mm.preparation.annotations import video_files
from stgt_mm.search.filters import BUILT_IN

Source = str | os.PathLike | Sequence[str | os.PathLike]
Videos = dict[str, dict[str, Any]]  # own columns by absolute path

RESERVED = (*BUILT_IN, 'stamp', 'tokens', 'queries')
_NO_COLUMNS = ('video', 'text', 'text_id')  # a video may have many texts


def list_videos(source: Source, video_root: str | os.PathLike | None = None) -> Videos:
    """Lists the videos of a source.

    Args:
        source: A folder, all videos below it; a file; a JSON-lines file with ``video`` and any other keys,
            of which text, numbers and booleans become columns (from the first line of each video, and not
            ``text`` and ``text_id``); or a list of folders and files.
        video_root: What ``video`` of JSON lines is relative to, by default the folder of their file.

    Returns:
        Own columns by absolute path.

    Raises:
        FileNotFoundError: If a folder holds no video.
        AnnotationError: If JSON lines cannot be used.
    """
    if not isinstance(source, (str, os.PathLike)):
        return {path: own for part in source for path, own in list_videos(part, video_root).items()}
    path = Path(os.path.abspath(os.path.expanduser(source)))
    if path.suffix == '.jsonl':
        return _from_jsonl(path, Path(video_root or path.parent).expanduser().absolute())
    if not path.is_dir():
        return {str(path): {}}
    return {str(path / file): {} for file in video_files.list_videos(path)}


def _from_jsonl(path: Path, root: Path) -> Videos:
    videos: Videos = {}
    kinds: dict[str, type] = {}
    for number, row in read_jsonl(path):
        video = row.get('video')
        if not isinstance(video, str) or row.get('reverse'):
            wrong = 'is played backwards' if row.get('reverse') else f"'video' is {video!r}"
            raise AnnotationError(f'{path}:{number}: {wrong}. Name a video to be indexed as it is.')
        own = {name: value for name, value in row.items() if isinstance(value, (str, int, float))}
        own = {name: value for name, value in own.items() if name not in (*_NO_COLUMNS, 'reverse')}
        wrong = [name for name in own if name in RESERVED or not name.isidentifier() or name[0] == '_']
        if wrong:
            raise AnnotationError(
                f"{path}:{number}: '{wrong[0]}' cannot be a column of the index: it must be letters, digits "
                f'and _, begin with a letter, and be none of {", ".join(RESERVED)}. Rename the key.'
            )
        # whole numbers and others are one kind: a column of both must not fail in the middle
        own |= {name: float(value) for name, value in own.items() if type(value) is int}
        for name, value in own.items():
            if kinds.setdefault(name, type(value)) is not type(value):
                raise AnnotationError(
                    f"{path}:{number}: '{name}' is {value!r}, which is no {kinds[name].__name__} as in a "
                    'line before. Give all one kind.'
                )
        videos.setdefault(os.path.abspath(root / video), own)
    return videos
