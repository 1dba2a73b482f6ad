"""The content of one file: frames that decode, seconds, a hash of its bytes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import av

from stgt_mm.datasets.readers import VideoReadError, read_frames, read_image
from stgt_mm.datasets.readers.facts import recall
from stgt_mm.io.hashing import file_sha256

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.webp', '.bmp')


@dataclass(frozen=True)
class Inspection:
    """How a file is looked at.

    ``exact`` decodes it whole, as training does when it meets a file for the first time; without it packets
    are counted and three frames decoded, so damage between is not seen. ``hashed`` is to find copies.
    """

    reader: str | Sequence[str] = 'auto'
    exact: bool = True
    hashed: bool = True


def inspect_file(path: str | os.PathLike, how: Inspection, root: str | os.PathLike = '') -> dict[str, Any]:
    """Returns ``frames``, ``seconds`` (None if unknown) and ``sha256`` of a file, or ``why`` not.

    It may hang where a native decoder does.
    """
    path = os.path.join(root, path)
    frames, seconds = 0, None

    def choose_ends_and_middle(count: int) -> list[int]:
        nonlocal frames
        frames = count
        return [0, count // 2, count - 1]

    try:
        if is_image(path):
            frames = len(read_image(path))
        else:
            read_frames(path, reader=how.reader, indices_fn=choose_ends_and_middle, exact=how.exact)
            seconds = _duration(path, frames)
        sha256 = file_sha256(path) if how.hashed else None
    except VideoReadError as error:
        return {'why': error.why}
    except OSError as error:
        return {'why': f'{type(error).__name__}: {error}'}
    return {'frames': frames, 'seconds': seconds, 'sha256': sha256}


def is_image(path: str | os.PathLike) -> bool:
    """Says whether a file is an image, by its extension."""
    return PurePath(path).suffix.lower() in IMAGE_SUFFIXES


def _duration(path: str, frames: int) -> float | None:
    """Seconds from the first frame to the end of the last: by time stamps, else by the frame rate."""
    facts = recall(path, True) or recall(path, False)
    try:
        with av.open(path, metadata_errors='ignore') as container:
            stream = container.streams.video[0]
            unit, rate = stream.time_base, stream.average_rate
    except (av.FFmpegError, OSError, ValueError, IndexError):
        return None  # a reader of the user's own may read what FFmpeg cannot
    if facts and unit and frames > 1 and None not in facts.pts:
        return float((max(facts.pts) - min(facts.pts)) * unit) * frames / (frames - 1)
    return float(frames / rate) if rate else None
