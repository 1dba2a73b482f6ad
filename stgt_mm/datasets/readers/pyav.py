"""Reader on PyAV: right on every file that FFmpeg opens, and the default."""

import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from stgt_mm.datasets.readers import facts as memory
from stgt_mm.datasets.readers.base import BaseReader
from stgt_mm.datasets.readers.errors import VideoReadError
from stgt_mm.datasets.readers.facts import VideoFacts
from stgt_mm.datasets.readers.trust import evenly_spaced, packet_check
from stgt_mm.registry import READERS

# What was read to count stays in memory up to this size, so that it is read once: frames or packets.
_HOLD_BYTES = 128 * 2**20

# A playlist among the videos could name any file of this machine, or an address: FFmpeg would open it.
_PLAYLISTS = {'concat', 'concatf', 'dash', 'hls', 'imf', 'lavfi', 'rtp', 'rtsp', 'sdp', 'webm_dash_manifest'}
_NO_OTHER_FILES = {
    'format_whitelist': ','.join(sorted(av.formats_available - _PLAYLISTS)),
    'protocol_whitelist': 'file',
}

# Starting converter threads costs ten times what converting a small frame does; older PyAV has none.
_ONE_THREAD = {'threads': 1} if 'threads' in (VideoReformatter.reformat.__doc__ or '') else {}


class _FrameMissingError(Exception):
    """Decoding did not give the frame that the table promises."""


@READERS.register_module(name='pyav')
class PyAVReader(BaseReader):
    """Decodes with PyAV (FFmpeg), one thread, first video stream.

    Frames are those that the decoder gives before its first error: what is left of a truncated or
    damaged file is read, and counted right. A stream that changes its size in the middle comes out
    at the size of the first frame taken. Colours follow the matrix and range that the stream names;
    pixels are taken as square. Arguments and errors are those of ``BaseReader``.
    """

    def __init__(self, path: str | os.PathLike, exact: bool = False) -> None:
        super().__init__(path, exact)
        self._container = None
        self._held: list[av.VideoFrame] = []
        self._packets: list[av.Packet] = []
        self.facts = memory.recall(self.path, exact) or self._find_facts()
        self.num_frames, self.exact = self.facts.num_frames, self.facts.decoded

    @property
    def times(self) -> list[float] | None:
        """Seconds from the first frame to each, by the time stamps."""
        return self.facts.times

    def close(self) -> None:
        """Releases the file and what is held of it."""
        self._held, self._packets = [], []
        if self._container is not None:
            self._container.close()
            self._container = None

    def decode(self) -> Iterator[av.VideoFrame]:
        """Decodes all frames, first to last; ``VideoReadError`` where that ends early."""
        if not self._packets:
            self._open()
        try:
            yield from self._decode_from(0)
        except av.FFmpegError as error:
            raise VideoReadError(self.path, f'decoding ends early ({_reason(error)})') from error

    def _open(self) -> None:
        self.close()
        try:
            self._container = av.open(self.source(), metadata_errors='ignore', options=_NO_OTHER_FILES)
        except (av.FFmpegError, OSError, ValueError) as error:
            why = _reason(error)
            if isinstance(error, av.ArgumentError):  # what a format that is not on the list gives
                why += '; playlists are not followed'
            raise VideoReadError(self.path, f'not a video that FFmpeg can open ({why})') from error
        # A cover picture of a sound file is a video stream as well, of one picture.
        streams = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            raise VideoReadError(self.path, 'no video stream')
        self._num_streams = len(streams)
        self._stream = streams[0]
        self._clock = [float(value or 0) for value in (self._stream.time_base, self._stream.average_rate)]
        if self._stream.codec_context is None:
            raise VideoReadError(self.path, 'FFmpeg has no decoder for its video stream')
        self._stream.codec_context.thread_count = 1

    def _find_facts(self) -> VideoFacts:
        try:
            self._open()
            shows_one = None if self.exact else packet_check(self._container, self._stream)
            facts = self._list_packets(shows_one) if shows_one else None
            if facts is None:
                if shows_one:
                    self._open()  # from the start again
                facts = self._decode_all()
        except BaseException:
            self.close()
            raise
        memory.remember(self.path, self.exact, facts)
        return facts

    def _decode_all(self) -> VideoFacts:
        pts, keyframes, room, why = [], [0], _HOLD_BYTES, 'no packet holds a frame'
        try:
            for index, frame in enumerate(self._container.decode(self._stream)):
                pts.append(frame.pts)
                if frame.key_frame and index:
                    keyframes.append(index)
                if room > 0:
                    room -= sum(plane.buffer_size for plane in frame.planes)
                    self._held.append(frame)
                else:
                    self._held.clear()
        except av.FFmpegError as error:
            why = _reason(error)
        if not pts:
            raise VideoReadError(self.path, f'no frame decodes ({why})')
        return VideoFacts(tuple(pts), tuple(keyframes), self._num_streams, *self._clock)

    def _list_packets(self, shows_one: Callable[[memoryview, bool], bool]) -> VideoFacts | None:
        """Counts packets, and holds them; None if that may not be the number of frames."""
        stamps, keys, room = [], set(), _HOLD_BYTES
        try:
            for packet in self._container.demux(self._stream):
                if packet.size:
                    flawed = packet.is_discard or packet.is_corrupt or packet.pts is None
                    if flawed or not shows_one(memoryview(packet), not stamps):
                        return None
                    if packet.is_keyframe:
                        keys.add(len(stamps))
                    stamps.append(packet.pts)
                room -= packet.size
                self._packets.append(packet)
                if room < 0:
                    self._packets.clear()
        except av.FFmpegError:
            return None
        self._order = sorted(range(len(stamps)), key=stamps.__getitem__)
        pts = tuple(stamps[packet] for packet in self._order)
        if not pts or self._stream.frames not in (0, len(pts)) or not evenly_spaced(pts):
            return None
        keyframes = (index for index, packet in enumerate(self._order) if index and packet in keys)
        return VideoFacts(pts, (0, *keyframes), self._num_streams, *self._clock, decoded=False)

    def _read(self, indices: list[int]) -> np.ndarray:
        wanted = sorted(set(indices))
        if self._held:
            try:
                arrays = dict(zip(wanted, to_arrays(self._held[i] for i in wanted)))
            except (av.FFmpegError, ValueError) as error:
                raise VideoReadError(self.path, f'no conversion to RGB ({_reason(error)})') from error
        else:
            arrays = self._read_file(wanted)
        return np.stack([arrays[i] for i in indices])

    def _read_file(self, wanted: list[int]) -> dict[int, np.ndarray]:
        # Jumping is checked frame by frame against the table; where it does not fit, decode from the start.
        for seek in (True, False) if self.facts.seekable else (False,):
            if not self._packets:
                self._open()
            try:
                return dict(zip(wanted, to_arrays(self._walk(wanted, seek))))
            except (_FrameMissingError, av.FFmpegError, ValueError) as error:
                why = _reason(error)
                self._packets = []
        raise VideoReadError(self.path, f'{self.num_frames} frames were promised, but not all decode ({why})')

    def _decode_from(self, key: int) -> Iterator[av.VideoFrame]:
        """Decodes from a keyframe on: packets that are held, or the file, opened again for the first."""
        if self._packets:
            self._stream.codec_context.flush_buffers()
            # each is decoded when it is asked for
            return (frame for packet in self._packets[self._order[key] :] for frame in packet.decode())
        if key:
            self._container.seek(self.facts.pts[key], stream=self._stream)
        return self._container.decode(self._stream)

    def _walk(self, wanted: list[int], seek: bool) -> Iterator[av.VideoFrame]:
        """Yields the wanted frames (ascending), jumping to keyframes if ``seek``."""
        pts, position = self.facts.pts, -1
        frames = self._decode_from(0)
        for index in wanted:
            key = self.facts.keyframe_before(index)
            if seek and key > position + 1:
                frames = self._decode_from(key)
            for frame in frames:
                if seek and frame.pts is None:
                    raise _FrameMissingError('a frame has no time stamp')
                position = bisect_right(pts, frame.pts) - 1 if seek else position + 1
                if position >= index:
                    break
            if position != index or frame.pts != pts[index]:
                raise _FrameMissingError(f'frame {index} is missing')
            yield frame


def _reason(error: BaseException) -> str:
    return getattr(error, 'strerror', None) or str(error) or type(error).__name__


def to_arrays(
    frames: Iterable[av.VideoFrame], resize: Callable[[int, int], tuple[int, int]] | None = None
) -> Iterator[np.ndarray]:
    """Converts frames to RGB arrays [H, W, 3], sized and turned like the first of them.

    ``resize`` maps its height and width to those wanted, before it is turned.
    """
    convert, size, turns = VideoReformatter(), None, 0
    options = {'format': 'rgb24', **_ONE_THREAD, **({'interpolation': 'BICUBIC'} if resize else {})}
    for frame in frames:
        if size is None:
            height, width = resize(frame.height, frame.width) if resize else (frame.height, frame.width)
            size, turns = (width, height), round(frame.rotation / 90) % 4
        yield np.rot90(convert.reformat(frame, *size, **options).to_ndarray(), turns)
