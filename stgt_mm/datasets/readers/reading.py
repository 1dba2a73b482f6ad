"""Opening a video and taking frames from it, with fallback from reader to reader."""

import os
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from mmengine.logging import print_log

from stgt_mm.datasets.frame_sampling import sample_frame_indices
from stgt_mm.datasets.readers.base import BaseReader
from stgt_mm.datasets.readers.errors import VideoReadError
from stgt_mm.registry import READERS
from stgt_mm.utils import did_you_mean

# Best first; see docs/readers.md for the measurements behind the order.
DEFAULT_ORDER = ('pyav', 'decord')

fallback_counts: Counter = Counter()
"""How often each reader failed on a file in this process: ``{'pyav': 2}``."""


def available_readers() -> list[str]:
    """Returns the names of the readers that can be used here: ``DEFAULT_ORDER``, then others by name."""
    READERS.import_from_location()
    known = set(READERS.module_dict)
    return [n for n in DEFAULT_ORDER if n in known] + sorted(known - set(DEFAULT_ORDER))


def reader_order(reader: str | Sequence[str] = 'auto') -> list[str]:
    """Returns the names of the readers that are tried, first to last.

    ``'auto'`` means all that are installed, best first; a name that one alone; a list those in that order.
    Raises ``ValueError`` if a reader is unknown or not installed here.
    """
    known = available_readers()
    if reader == 'auto':
        return [name for name in DEFAULT_ORDER if name in known]
    names = [reader] if isinstance(reader, str) else list(reader)
    for name in names:
        if name not in known:
            raise ValueError(f"no reader is called '{name}' here. {did_you_mean(name, [*known, 'auto'])}")
    if not names:
        raise ValueError("reader is an empty list; use 'auto' or name at least one")
    return names


def _first_success(
    path: str | os.PathLike,
    reader: str | Sequence[str],
    use: Callable[[BaseReader], object],
    exact: bool,
    failed: list[str] | None = None,
) -> object:
    """Runs ``use`` on the first reader that manages; counts, lists and logs those that do not."""
    path, reasons = os.fspath(path), []
    tries = [(name, exact) for name in reader_order(reader)]
    while tries:
        name, by_decoding = tries.pop(0)
        opened = None
        try:
            opened = READERS.module_dict[name](path, exact=by_decoding)
            result = use(opened)
        except VideoReadError as error:
            reasons.append(f'{name}: {error.why}')
            fallback_counts[name] += 1
            if failed is not None:
                failed.append(name)
            if opened is not None and not opened.exact:
                tries.insert(0, (name, True))  # packets were counted, and not all of them decode
            continue
        if reasons:
            failures = f'failures so far: {dict(fallback_counts)}'
            print_log(f'{path} was read by {name} after {"; ".join(reasons)} ({failures})', logger='current')
        return result
    raise VideoReadError(path, '; '.join(dict.fromkeys(reasons)))


def open_video(
    path: str | os.PathLike, reader: str | Sequence[str] = 'auto', exact: bool = False
) -> BaseReader:
    """Opens a video with the first reader that can; ``VideoReadError`` if none can.

    For ``reader`` see :func:`reader_order`, for ``exact`` :class:`BaseReader`.
    """
    return _first_success(path, reader, lambda opened: opened, exact)


def read_frames(
    path: str | os.PathLike,
    num_frames: int = 8,
    reader: str | Sequence[str] = 'auto',
    indices_fn: Callable[[int], Sequence[int]] | None = None,
    exact: bool = False,
    failed: list[str] | None = None,
    span: tuple[float | None, float | None] | None = None,
) -> np.ndarray:
    """Reads frames of a video with the first reader that can: uint8 [T, H, W, 3], RGB, as displayed.

    ``num_frames`` are spread evenly. ``indices_fn`` in their place gets the number of frames, once for each
    reader that opens the file, and returns indices; one past the end gives the last frame. For ``reader`` see
    :func:`reader_order`, for ``exact`` :class:`BaseReader`; without it, a file whose frames do not all decode
    is counted by decoding and read again. ``span`` takes a moment, (start, end) as of
    :meth:`BaseReader.between`, for the whole: frames are counted and indexed within it. ``failed`` gets the
    names of the readers that were tried in vain. If no reader gives the frames, ``VideoReadError`` has the
    reason of each.
    """
    if num_frames < 1:
        raise ValueError(f'num_frames must be at least 1, got {num_frames}')

    def take(opened: BaseReader) -> np.ndarray:
        with opened:
            frames = range(opened.num_frames) if span is None else opened.between(*span)
            count = len(frames)
            indices = sample_frame_indices(count, num_frames) if indices_fn is None else indices_fn(count)
            return opened.get([frames[min(int(i), count - 1)] for i in indices])

    return _first_success(path, reader, take, exact, failed)
