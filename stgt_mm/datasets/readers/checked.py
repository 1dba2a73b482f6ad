"""Base of the readers on libraries that believe a file's header: PyAV says what is in it."""

import os
import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from stgt_mm.datasets.readers.base import BaseReader
from stgt_mm.datasets.readers.errors import VideoReadError
from stgt_mm.datasets.readers.pyav import PyAVReader


class CheckedReader(BaseReader):
    """Refuses a file on which the library and PyAV differ before any frame is asked for.

    A subclass names the ``library`` and the ``failures`` that it raises, and implements ``_open``, whose
    result knows its length, and ``_decode``. Arguments and errors are those of ``BaseReader``.
    """

    library: str
    failures: tuple[type[Exception], ...] = (RuntimeError,)

    def __init__(self, path: str | os.PathLike, exact: bool = False) -> None:
        super().__init__(path, exact)
        self._reader: Any = None
        with PyAVReader(self.path, exact) as counted:
            self.facts, self.exact = counted.facts, counted.exact
        self.num_frames = self.facts.num_frames
        if self.facts.num_streams > 1:
            why = f'{self.facts.num_streams} video streams: {self.library} may not take the first'
            raise VideoReadError(self.path, why)
        try:
            self._reader = self._open()
            claimed = len(self._reader)
        except self.failures as error:
            why = f'{self.library} cannot open it ({_first_line(error)})'
            raise VideoReadError(self.path, why) from error
        if claimed != self.num_frames:
            self.close()
            why = f'{self.library} claims {claimed} frames, {self.num_frames} decode'
            raise VideoReadError(self.path, why)

    @property
    def times(self) -> list[float] | None:
        """Seconds from the first frame to each, as PyAV has found them."""
        return self.facts.times

    def _read(self, indices: list[int]) -> Any:
        try:
            return self._decode(indices)
        except self.failures as error:
            why = f'{self.library} cannot decode it ({_first_line(error)})'
            raise VideoReadError(self.path, why) from error

    @abstractmethod
    def _open(self) -> Any:
        """Opens the file with the library."""

    @abstractmethod
    def _decode(self, indices: Sequence[int]) -> Any:
        """Returns the frames of valid indices, uint8 [T, H, W, 3]."""

    def close(self) -> None:
        """Releases the file."""
        self._reader = None


def _first_line(error: BaseException) -> str:
    """Returns what the library says without its clock and source file names."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return re.sub(r'\[[\d:]+\] \S+: ', '', lines[0])[:200]
