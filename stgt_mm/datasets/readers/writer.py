"""Writing clips: frames to an H.264 file that every reader opens and that is the same on every run."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from stgt_mm.io.whole_file import whole_file

# Keeps library versions and build dates out of the file: the same frames give the same bytes.
_BITEXACT = {'fflags': '+bitexact'}
# takes an image, uint8 [H, W, 3] of the size given, and its time stamp if there is a clock
Add = Callable[..., None]


def _check_frames(frames: np.ndarray) -> None:
    if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.ndim != 4:
        got = f'{getattr(frames, "dtype", type(frames).__name__)} {getattr(frames, "shape", "")}'
        raise ValueError(f'frames must be a uint8 array of shape [T, H, W, 3], got {got}')
    count, height, width, channels = frames.shape
    if channels != 3 or count < 1:
        raise ValueError(f'frames must be [T, H, W, 3] with T >= 1, got {frames.shape}')
    if height % 2 or width % 2:
        got = f'{height}x{width}'
        raise ValueError(f'yuv420p needs an even height and width, got {got}; pad or crop one pixel')


@contextmanager
def open_clip(
    path: str | os.PathLike,
    size: tuple[int, int],
    fps: float = 8,
    codec: str = 'libx264',
    crf: int = 18,
    preset: str = 'veryfast',
    gop: int = 16,
    threads: int = 1,
    bframes: int = 0,
    clock: Fraction | None = None,
    container_format: str | None = None,
) -> Iterator[Add]:
    """Lends a function that adds an image to a clip of ``size`` (height, width); see :func:`write_video`.

    The file appears when the block ends well. With a ``clock``, the seconds of a unit of time, each image
    comes with its time stamp, ascending; ``container_format`` is for a name whose extension is of another.
    """
    options = {'crf': str(crf)}
    if codec in ('libx264', 'libx265'):
        options.update(preset=preset, bf=str(bframes))
    with (
        whole_file(path) as partial,
        av.open(str(partial), 'w', format=container_format, options=_BITEXACT) as container,
    ):
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options)
        stream.height, stream.width = size
        stream.pix_fmt = 'yuv420p'
        stream.gop_size = gop
        stream.codec_context.thread_count = threads
        if clock is not None:
            stream.codec_context.time_base = clock

        def add(image: np.ndarray, stamp: int | None = None) -> None:
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            if clock is not None:
                frame.pts, frame.time_base = stamp, clock
            container.mux(stream.encode(frame))

        yield add
        container.mux(stream.encode(None))


def write_video(
    path: str | os.PathLike,
    frames: np.ndarray,
    fps: float = 8,
    codec: str = 'libx264',
    crf: int = 18,
    preset: str = 'veryfast',
    gop: int = 16,
    threads: int = 1,
    bframes: int = 0,
) -> Path:
    """Encodes frames, uint8 [T, H, W, 3], RGB, H and W even, to a video file (yuv420p); returns its path.

    The file appears under its name only when it is whole, and the same arguments give the same bytes (no
    library version is in the file; more than one of ``threads`` may change them between machines). The
    extension chooses the container, ``codec`` is the name of an FFmpeg encoder. ``crf`` 0 is lossless, 18 is
    hard to tell from the source. ``gop`` is the largest distance between two key frames: short
    ones make sparse sampling cheap. ``preset`` and ``bframes`` (most in a row) are for x264 and x265.
    """
    _check_frames(frames)
    with open_clip(path, frames.shape[1:3], fps, codec, crf, preset, gop, threads, bframes) as add:
        for image in frames:
            add(image)
    return Path(path)
