"""Reader on decord, for files whose facts PyAV has confirmed."""

import os
import re

import decord
import numpy as np
from decord.logging import QUIET, set_level

from stgt_mm.datasets.readers.base import BaseReader
from stgt_mm.datasets.readers.errors import VideoReadError
from stgt_mm.datasets.readers.pyav import PyAVReader
from stgt_mm.registry import READERS

# Its FFmpeg writes to stderr what also comes as an exception.
set_level(QUIET)


@READERS.register_module(name='decord')
class DecordReader(BaseReader):
    """Decodes with decord, one thread.

    decord believes the header: where that promises too many frames, it repeats the last ones or
    never returns, with the interpreter lock held, and of several video streams it takes the largest.
    So PyAV counts first, and a file on which the two disagree is refused before any frame is asked for.
    Its jumps to a keyframe give wrong frames where pictures before that keyframe are stored after it
    (open GOP), so a file with several keyframes is decoded from the start. Arguments and errors are those of
    ``BaseReader``.
    """

    def __init__(self, path: str | os.PathLike, exact: bool = True) -> None:
        super().__init__(path, exact)
        self._reader = None
        with PyAVReader(self.path, exact) as counted:
            self.facts = facts = counted.facts
        self.num_frames = facts.num_frames
        if facts.num_streams > 1:
            why = f'{facts.num_streams} video streams: decord may not take the first'
            raise VideoReadError(self.path, why)
        try:
            self._reader = decord.VideoReader(self.source(), num_threads=1)
            claimed = len(self._reader)
        except (decord.DECORDError, RuntimeError) as error:
            raise VideoReadError(self.path, f'decord cannot open it ({_first_line(error)})') from error
        if claimed != self.num_frames:
            self.close()
            raise VideoReadError(self.path, f'decord claims {claimed} frames, {self.num_frames} decode')

    @property
    def times(self) -> list[float] | None:
        """Seconds from the first frame to each, as PyAV has found them."""
        return self.facts.times

    def _read(self, indices: list[int]) -> np.ndarray:
        try:
            single = len(self._reader.get_key_indices()) == 1
            frames = self._reader.get_batch(indices).asnumpy() if single else self._decode_from_start(indices)
        except (decord.DECORDError, RuntimeError) as error:
            raise VideoReadError(self.path, f'decord cannot decode it ({_first_line(error)})') from error
        if frames.shape[-1] != 3:
            why = f'decord gives padded rows, shape {frames.shape}, for so narrow a video'
            raise VideoReadError(self.path, why)
        return frames

    def _decode_from_start(self, indices: list[int]) -> np.ndarray:
        self._reader.seek(0)
        wanted, arrays = set(indices), {}
        for index in range(max(indices) + 1):
            frame = self._reader.next()
            if index in wanted:
                arrays[index] = frame.asnumpy()
        return np.stack([arrays[i] for i in indices])

    def close(self) -> None:
        """Releases the file."""
        self._reader = None


def _first_line(error: BaseException) -> str:
    """Returns what the library says without its clock and source file names."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return re.sub(r'\[[\d:]+\] \S+: ', '', lines[0])[:200]
