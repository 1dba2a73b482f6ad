"""The place of the videos that records name: a folder or shards, which answer the same questions."""

import os
from pathlib import Path

import numpy as np

from stgt_mm.datasets.readers.shards import INDEX, ClipShards, open_shards


class VideoFolder:
    """The files below a folder."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def __str__(self) -> str:
        return str(self.root)

    def __contains__(self, video: str) -> bool:
        return (self.root / video).is_file()

    def address(self, video: str) -> str:
        """Returns what a reader opens."""
        return str(self.root / video)

    def name_hashes(self, folder: str) -> np.ndarray:
        """Lists a folder below, as sorted int64 hashes of the names in it, good for this process only."""
        place = self.root / folder
        if not place.is_dir():
            return np.empty(0, np.int64)
        with os.scandir(place) as entries:
            return np.sort(np.fromiter((hash(entry.name) for entry in entries if _is_file(entry)), np.int64))


VideoRoot = VideoFolder | ClipShards


def find_root(root: str | os.PathLike) -> VideoRoot:
    """Opens the shards of a folder that has ``shards.arrow``, or of an address; else it is a plain folder."""
    root = os.fspath(root)
    is_sharded = '://' in root or os.path.isfile(os.path.join(root, INDEX))
    return open_shards(root) if is_sharded else VideoFolder(root)


def _is_file(entry: os.DirEntry) -> bool:
    try:
        return entry.is_file()
    except OSError:  # links in a circle
        return False
