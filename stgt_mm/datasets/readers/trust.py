"""Signs in the packets of a file that they may be counted in place of its frames.

A packet counts as a frame if its parts add up and show one picture; a few bits of it are looked at, nothing
is decoded. All else (hidden or damaged pictures, fields, codecs and containers not known here) is a doubt.
A doubt costs time only: the file is then decoded to be counted.

Source: ITU-T H.264 7.3 and H.265 7.3; RFC 6386 9.1; VP9 bitstream specification 6.2 and annex B; AV1
bitstream specification 5.3, 5.5 and 5.9.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

import av

# They have a table of packets, or a length around each.
_MP4, _MATROSKA = 'mov,mp4,m4a,3gp,3g2,mj2', 'matroska,webm'

_HOLE = 10  # mean distances between frames


class _DoubtError(Exception):
    """What a packet holds is damaged, or may be more or less than a picture."""


def packet_check(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Callable[[memoryview, bool], bool] | None:
    """Returns what says whether a packet (its bytes, whether it is the first) shows one picture.

    None if packets of this stream are not to be counted.
    """
    context, head = stream.codec_context, bytes(stream.codec_context.extradata or b'')
    # a file cut off while it was written, or written for a live audience, has no length in its header
    whole = {_MP4: stream.frames, _MATROSKA: container.duration}.get(container.format.name)
    # two fields may come in two packets; before PyAV 18 that is not told, and shows when frames are read
    if not whole or getattr(context, 'field_order', 0) > 1:
        return None
    codec = context.codec.canonical_name
    if codec in ('h264', 'hevc'):
        count, place = (_count_h264, 4) if codec == 'h264' else (_count_hevc, 21)
        if len(head) <= place or head[0] != 1:  # start codes in place of lengths
            return None
        count = partial(count, (head[place] & 3) + 1)
    else:
        count = {'vp8': _count_vp8, 'vp9': _count_vp9, 'av1': _count_av1}.get(codec)
    return count and partial(_shows_one, count)


def evenly_spaced(pts: Sequence[int]) -> bool:
    """Whether ascending time stamps have no twins, and no hole as where damaged packets were passed over."""
    gaps = [after - before for before, after in pairwise(pts)]
    return not gaps or (min(gaps) > 0 and max(gaps) * len(gaps) <= _HOLE * (pts[-1] - pts[0]))


def _shows_one(count: Callable[[memoryview, bool], int], data: memoryview, first: bool) -> bool:
    try:
        return count(data, first) == 1
    except (_DoubtError, IndexError):
        return False


def _refuse(doubt: bool) -> None:
    if doubt:
        raise _DoubtError


def _units(data: memoryview, width: int) -> Iterator[memoryview]:
    """Splits units with ``width`` bytes of length before each."""
    end = 0
    while end < len(data):
        start = end + width
        end = start + int.from_bytes(data[end:start], 'big')
        _refuse(not start < end <= len(data))
        yield data[start:end]


def _count_h264(width: int, data: memoryview, first: bool) -> int:
    pictures, kinds = 0, set()
    for unit in _units(data, width):
        kind = unit[0] & 31
        _refuse(unit[0] > 127 or kind in (0, 2, 3, 4) or kind > 21)
        kinds.add(kind)
        if kind in (1, 5):
            pictures += unit[1] >> 7  # a slice that begins at the first macroblock
    _refuse(first and 5 not in kinds)  # frames before a recovery point may be left out
    return pictures


def _count_hevc(width: int, data: memoryview, first: bool) -> int:
    pictures = 0
    for unit in _units(data, width):
        kind, layer = unit[0] >> 1, (unit[0] & 1) << 5 | unit[1] >> 3
        # above 63 is damage; after a broken link or the end of a sequence, leading pictures are left out
        _refuse(layer > 0 or kind > 63 or 10 <= kind <= 18 or 22 <= kind <= 31 or kind in (36, 37))
        if kind < 32:
            pictures += unit[2] >> 7
            _refuse(first and kind not in (19, 20))
            # a key picture can say that those before it are not to be shown
            _refuse(not first and kind >= 19 and unit[2] & 64 > 0)
    return pictures


def _count_vp8(data: memoryview, first: bool) -> int:
    key, size = not data[0] & 1, int.from_bytes(data[:3], 'little') >> 5
    _refuse(data[0] & 14 > 6 or size > len(data) - (10 if key else 3) or (first and not key))
    _refuse(key and data[3:6] != b'\x9d\x01\x2a')
    return data[0] >> 4 & 1


def _count_vp9(data: memoryview, first: bool) -> int:
    sizes, mark = [len(data)], data[-1]
    length = 2 + ((mark >> 3 & 3) + 1) * ((mark & 7) + 1)
    if mark >> 5 == 6 and len(data) >= length and data[-length] == mark:
        width, index = (mark >> 3 & 3) + 1, data[1 - length : -1]
        sizes = [int.from_bytes(index[i : i + width], 'little') for i in range(0, len(index), width)]
        _refuse(sum(sizes) != len(data) - length)
    shown = start = 0
    for size in sizes:
        # 2 and the profile, 2 bits each (and 1 in profile 3); then: shows an older frame, no key, is shown
        bits = data[start] << (data[start] & 48 == 48) & 255
        _refuse(data[start] >> 6 != 2)
        old, key = bits & 8 > 0, not bits & 4
        _refuse(not old and key and data[start + 1 : start + 4] != b'\x49\x83\x42')
        _refuse(first and not start and (old or not key))
        shown += old or bits & 2 > 0
        start += size
    return shown


def _count_av1(data: memoryview, first: bool) -> int:
    shown = end = 0
    while end < len(data):
        head, start = data[end], end + 1 + (data[end] >> 2 & 1)
        _refuse(head & 0x83 != 2)  # a size follows, and two bits are zero
        size = shift = 0
        while True:
            size |= (data[start] & 127) << shift
            shift, start = shift + 7, start + 1
            if data[start - 1] < 128:
                break
        end = start + size
        _refuse(end > len(data))
        # a header: shows an older frame, kind in 2 bits (0 is a key frame), is shown
        if head >> 3 & 15 in (3, 6):
            _refuse(size < 1 or (first and not shown and data[start] > 31))
            shown += data[start] >> 7 or data[start] >> 4 & 1
    return shown
