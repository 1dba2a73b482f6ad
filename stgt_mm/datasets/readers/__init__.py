"""Video readers behind one interface, pictures, and a writer for clips."""

from contextlib import suppress

from stgt_mm.datasets.readers.base import BaseReader
from stgt_mm.datasets.readers.errors import VideoReadError
from stgt_mm.datasets.readers.image import read_image
from stgt_mm.datasets.readers.pyav import PyAVReader
from stgt_mm.datasets.readers.reading import (
    DEFAULT_ORDER,
    available_readers,
    fallback_counts,
    open_video,
    read_frames,
    reader_order,
)
from stgt_mm.datasets.readers.shards import ClipShards, ShardsError
from stgt_mm.datasets.readers.torchcodec import TorchCodecReader
from stgt_mm.datasets.readers.writer import write_video

# decord has wheels for x86-64 only; a broken installation shows as an OSError of its library.
with suppress(ImportError, OSError, RuntimeError):
    from stgt_mm.datasets.readers import decord as _decord  # noqa: F401

__all__ = [
    'DEFAULT_ORDER',
    'BaseReader',
    'ClipShards',
    'PyAVReader',
    'ShardsError',
    'TorchCodecReader',
    'VideoReadError',
    'available_readers',
    'fallback_counts',
    'open_video',
    'read_frames',
    'read_image',
    'reader_order',
    'write_video',
]
