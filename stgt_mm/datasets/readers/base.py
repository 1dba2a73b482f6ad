"""Interface of the readers."""

import os
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from io import BytesIO

import numpy as np

from stgt_mm.datasets.readers.errors import VideoReadError
from stgt_mm.datasets.readers.shards import MemberFile, is_member, read_member


class BaseReader(ABC):
    """One open video file; a context manager.

    A subclass opens the :meth:`source` in its constructor, sets ``num_frames`` and implements ``_read`` and
    ``close``. Open it in the process that uses it: FFmpeg's handles do not survive a fork.

    Args:
        path: Video file, or the address of a member of a shard.
        exact: Count frames by decoding the file once, in any case. With ``False`` packets are counted where
            nothing in them makes that doubtful, and a frame that then does not decode is an error. Either
            count is remembered for the life of the process.

    Attributes:
        exact: Whether the frames have been counted by decoding.

    Raises:
        VideoReadError: If the file is missing, is not a video, or no frame of it decodes.
    """

    num_frames: int

    def __init__(self, path: str | os.PathLike, exact: bool = False) -> None:
        self.path = os.fspath(path)
        self.exact = exact
        self._member: MemberFile | None = None
        if is_member(self.path):
            self._member = read_member(self.path)
        elif not os.path.isfile(self.path):
            raise VideoReadError(self.path, 'no such file')
        elif os.path.getsize(self.path) == 0:
            raise VideoReadError(self.path, 'the file is empty')

    def source(self) -> str | BytesIO:
        """Returns what to open: the path, or for a member of a shard a new file object at its start."""
        return self.path if self._member is None else MemberFile(self._member.getvalue(), self._member.name)

    def __len__(self) -> int:
        return self.num_frames

    def __enter__(self) -> 'BaseReader':
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def get(self, indices: Sequence[int]) -> np.ndarray:
        """Decodes frames, uint8 [T, H, W, 3], RGB, turned the way the file says it is shown.

        Indices may come in any order and more than once. Raises ``IndexError`` for one out of range,
        ``VideoReadError`` if a frame cannot be decoded.
        """
        indices = [int(i) for i in indices]
        wrong = [i for i in indices if not 0 <= i < self.num_frames]
        if wrong or not indices:
            raise IndexError(f'indices {wrong or "[]"} of {self.path}, which has {self.num_frames} frames')
        return self._read(indices)

    @property
    def times(self) -> Sequence[float] | None:
        """Seconds from the first frame to each; None where the file, or the reader, does not know."""
        return None

    def between(self, start: float | None = None, end: float | None = None) -> range:
        """Returns the frames shown from ``start`` to before ``end``, in seconds; None is an end of the file.

        There is at least one, the one shown at ``start``. ``VideoReadError`` if the file ends before it or
        does not say when its frames are shown.
        """
        start, times = start or 0.0, self.times
        if start < 0 or (end is not None and end <= start):
            raise ValueError(f'from {start} to {end} s of {self.path}: write 0 <= start < end.')
        if times is None:
            raise VideoReadError(self.path, 'it does not say when its frames are shown')
        # the last frame is taken to stay as long as the others
        length = times[-1] * self.num_frames / max(self.num_frames - 1, 1)
        if 0 < start >= length:
            raise VideoReadError(self.path, f'it ends at {length:.3f} s, before {start} s')
        first = bisect_right(times, start) - 1
        return range(first, self.num_frames if end is None else max(bisect_left(times, end), first + 1))

    @abstractmethod
    def _read(self, indices: list[int]) -> np.ndarray:
        """Returns the frames of valid indices, uint8 [T, H, W, 3]."""

    @abstractmethod
    def close(self) -> None:
        """Releases the file; may be called twice."""
