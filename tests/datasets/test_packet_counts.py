"""Packets are counted in place of frames where that is right, and a count that was wrong is corrected."""

from pathlib import Path

import av
import numpy as np
import pytest
from encoded_clips import NOISE, encode, ramp

from stgt_mm.datasets.readers import VideoReadError, fallback_counts, open_video, read_frames
from stgt_mm.datasets.readers.trust import evenly_spaced


def overwrite(path, packet, content, offset=0):
    """Writes into the packet of this number, in the order of the file."""
    with av.open(path) as container:
        packets = [bytes(packet) for packet in container.demux(video=0)]
    data = bytearray(Path(path).read_bytes())
    start = data.index(packets[packet]) + offset
    data[start : start + len(content)] = content
    Path(path).write_bytes(data)


def test_a_count_of_packets_that_was_wrong_is_corrected(tmp_path):
    path = encode(tmp_path / 'clip.mp4', NOISE, options={'bf': '0', 'g': '40', 'sc_threshold': '0'})
    overwrite(path, 20, b'\x80\0\0\0', offset=5)  # a slice's header that none takes, lengths that add up
    with open_video(path) as video, open_video(path, exact=True) as decoded:
        assert (video.num_frames, decoded.num_frames) == (40, 20)
        with pytest.raises(VideoReadError, match='40 frames were promised'):
            video.get([19, 39])
    before = fallback_counts['pyav']
    np.testing.assert_array_equal(read_frames(path, 8), read_frames(path, 8, exact=True))
    assert fallback_counts['pyav'] == before + 1


CODECS = {
    'h264': ('libx264', 'mp4', {'bf': '2'}),
    'hevc': ('libx265', 'mkv', {'preset': 'ultrafast', 'x265-params': 'log-level=none'}),
    'vp8': ('libvpx', 'webm', {'deadline': 'realtime', 'cpu-used': '8'}),
    'vp9': ('libvpx-vp9', 'webm', {'auto-alt-ref': '1', 'lag-in-frames': '16', 'cpu-used': '5'}),
    'av1': ('libsvtav1', 'mkv', {'preset': '12'}),
}


@pytest.mark.parametrize('codec', CODECS)
def test_packets_are_counted_until_one_is_doubtful(tmp_path, codec):
    encoder, suffix, options = CODECS[codec]
    path = encode(tmp_path / f'clip.{suffix}', ramp(40), encoder, options)
    with open_video(path) as video, open_video(path, exact=True) as decoded:
        assert not video.exact and decoded.exact
        assert video.facts.pts == decoded.facts.pts and video.num_frames == 40
        np.testing.assert_array_equal(video.get([3, 39]), decoded.get([3, 39]))
    overwrite(path, 20, bytes(5))
    with open_video(path) as video, open_video(path, exact=True) as decoded:
        assert video.exact and video.facts == decoded.facts


def test_packets_that_are_not_frames_are_not_counted(tmp_path):
    hidden = encode(tmp_path / 'x.webm', ramp(20), 'libvpx')
    with av.open(hidden) as container:
        head = bytes(list(container.demux(video=0))[10])[0]
    overwrite(hidden, 10, bytes([head & ~16]))  # the bit that says that it is shown
    stream = encode(tmp_path / 'x.ts', ramp(20))
    edited = encode(tmp_path / 'x.mp4', ramp(20), options={'bf': '0'})
    data = Path(edited).read_bytes()
    with av.open(edited) as container:
        skipped = int(container.streams.video[0].time_base ** -1) // 5  # five frames of 25 a second
    entry = data.index(b'elst') + 16  # where in the stream it begins
    Path(edited).write_bytes(data[:entry] + skipped.to_bytes(4, 'big') + data[entry + 4 :])
    for path, count in ((hidden, 19), (stream, 20), (edited, 15)):
        with open_video(path) as video, open_video(path, exact=True) as decoded:
            assert video.exact and video.facts == decoded.facts and video.num_frames == count


def test_holes_and_twins_of_time_stamps():
    assert evenly_spaced((5,)) and evenly_spaced((0, 2, 3, 9)) and evenly_spaced(range(0, 400, 40))
    assert not evenly_spaced((0, 1, 1)) and not evenly_spaced((*range(20), *range(300, 320)))
