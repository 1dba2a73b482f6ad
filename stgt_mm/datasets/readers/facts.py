"""Frame tables of files, remembered within the process once a file has been decoded."""

import os
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass

from stgt_mm.datasets.readers.shards import file_stamp

_LIMIT = 20_000
_known: OrderedDict[tuple, 'VideoFacts'] = OrderedDict()


@dataclass(frozen=True)
class VideoFacts:
    """Frame table of the first video stream."""

    pts: tuple[int | None, ...]  # time stamp of each frame in the order they are shown
    keyframes: tuple[int, ...]  # indices of the frames that decoding can start at, ascending from 0
    num_streams: int  # video streams in the file
    tick: float = 0.0  # seconds of a unit of the time stamps, 0 where unknown
    rate: float = 0.0  # frames a second by the header, 0 where unknown
    decoded: bool = True  # whether decoding has found the frames; else packets were counted

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self.pts)

    @property
    def seekable(self) -> bool:
        """Whether every frame can be told by its time stamp, and there is somewhere to jump to."""
        return len(self.keyframes) > 1 and self.ascends

    @property
    def ascends(self) -> bool:
        """Whether every frame has a time stamp, and a later one than the frame before."""
        return None not in self.pts and all(a < b for a, b in zip(self.pts, self.pts[1:]))

    @property
    def times(self) -> list[float] | None:
        """Seconds from the first frame to each; by the header's rate where stamps are no help, else None."""
        if self.tick and self.ascends:
            # rounded: frame 19 of 10 a second is at 1.9 s, as people write it
            return [round((stamp - self.pts[0]) * self.tick, 9) for stamp in self.pts]
        return [index / self.rate for index in range(self.num_frames)] if self.rate else None

    def keyframe_before(self, index: int) -> int:
        """Returns the index of the last keyframe at or before a frame."""
        return self.keyframes[bisect_right(self.keyframes, index) - 1]


def _key(path: str, exact: bool) -> tuple:
    return os.path.abspath(path), file_stamp(path), exact


def recall(path: str, exact: bool) -> VideoFacts | None:
    """Returns the facts by decoding (``exact``), or those it is opened with; None if it is new or changed."""
    return _known.get(_key(path, exact))


def remember(path: str, exact: bool, facts: VideoFacts) -> None:
    """Keeps the facts about a file; the oldest of 20,000 files is forgotten."""
    _known[_key(path, exact)] = facts
    if facts.decoded:
        _known[_key(path, True)] = facts
    while len(_known) > _LIMIT:
        _known.popitem(last=False)


def forget_all() -> None:
    """Empties the memory, for tests and benchmarks."""
    _known.clear()
