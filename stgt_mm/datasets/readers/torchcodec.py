"""Reader on torchcodec, an optional requirement that uses the FFmpeg of the system."""

import os
from typing import Any

import numpy as np

from stgt_mm.datasets.readers.checked import CheckedReader
from stgt_mm.datasets.readers.errors import VideoReadError
from stgt_mm.errors import UserError
from stgt_mm.registry import READERS


@READERS.register_module(name='torchcodec')
class TorchCodecReader(CheckedReader):
    """Decodes with torchcodec, one thread; the time stamp of each frame is compared with PyAV's.

    Used where it is named. Arguments and errors are those of ``BaseReader``; ``UserError`` if torchcodec or
    its FFmpeg cannot be loaded, which no other reader stands in for.
    """

    library = 'torchcodec'
    failures = (RuntimeError, ValueError, IndexError)

    def __init__(self, path: str | os.PathLike, exact: bool = False) -> None:
        self._decoder = video_decoder()
        super().__init__(path, exact)

    def _open(self) -> Any:
        return self._decoder(self.source(), dimension_order='NHWC', num_ffmpeg_threads=1)

    def _decode(self, indices: list[int]) -> np.ndarray:
        # in order: it decodes again from a keyframe for a step back
        places = sorted(set(indices))
        batch = self._reader.get_frames_at(places)
        right = np.array([self.facts.pts[i] for i in places], float)  # None becomes NaN, which is never near
        if not np.all(np.abs(batch.pts_seconds.numpy() / self.facts.tick - right) < 0.5):
            raise VideoReadError(self.path, 'torchcodec gives frames of other time stamps than PyAV')
        return batch.data.numpy()[np.searchsorted(places, indices)]


def video_decoder() -> type:
    """Imports torchcodec's decoder; ``UserError`` with the remedy if that fails."""
    try:
        from torchcodec.decoders import VideoDecoder
    except ImportError as error:
        raise UserError(
            "the reader 'torchcodec' needs torchcodec: pip install torchcodec, and FFmpeg on the "
            "system (apt install ffmpeg). reader='auto' needs neither."
        ) from error
    except (RuntimeError, OSError) as error:
        raise UserError(
            'torchcodec is installed and finds no FFmpeg that it can load: install FFmpeg with its shared '
            "libraries (apt install ffmpeg), or use reader='auto', which has its own."
        ) from error
    return VideoDecoder
