"""Reader on decord, for files whose facts PyAV has confirmed."""

import os

import decord
import numpy as np
from decord.logging import QUIET, set_level

from stgt_mm.datasets.readers.checked import CheckedReader
from stgt_mm.datasets.readers.errors import VideoReadError
from stgt_mm.registry import READERS

# Its FFmpeg writes to stderr what also comes as an exception.
set_level(QUIET)


@READERS.register_module(name='decord')
class DecordReader(CheckedReader):
    """Decodes with decord, one thread.

    decord believes the header: where that promises too many frames, it repeats the last ones or
    never returns, with the interpreter lock held, and of several video streams it takes the largest.
    So frames are always counted by decoding.
    Its jumps to a keyframe give wrong frames where pictures before that keyframe are stored after it
    (open GOP), so a file with several keyframes is decoded from the start. Arguments and errors are those of
    ``BaseReader``.
    """

    library = 'decord'
    failures = (decord.DECORDError, RuntimeError)

    def __init__(self, path: str | os.PathLike, exact: bool = True) -> None:
        del exact  # packets that promise too much would make it hang
        super().__init__(path, exact=True)

    def _open(self) -> decord.VideoReader:
        return decord.VideoReader(self.source(), num_threads=1)

    def _decode(self, indices: list[int]) -> np.ndarray:
        single = len(self._reader.get_key_indices()) == 1
        frames = self._reader.get_batch(indices).asnumpy() if single else self._decode_from_start(indices)
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
