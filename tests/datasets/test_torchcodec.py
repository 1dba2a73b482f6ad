"""The reader on torchcodec gives the frames that PyAV gives, or says what it lacks."""

import sys

import numpy as np
import pytest
from encoded_clips import NOISE, encode

from stgt_mm.datasets.readers import VideoReadError, open_video, read_frames, reader_order, write_video
from stgt_mm.datasets.readers.torchcodec import video_decoder
from stgt_mm.errors import UserError

try:
    video_decoder()
    MISSING = ''
except UserError as error:
    MISSING = f'TORCHCODEC NOT TESTED: {error}'
needs_torchcodec = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@pytest.fixture
def clip(tmp_path):
    stamps = [33 + 40 * index + index % 3 for index in range(40)]
    return encode(tmp_path / 'clip.mkv', NOISE, options={'bf': '3', 'g': '12'}, pts=stamps)


@needs_torchcodec
def test_it_gives_the_frames_that_pyav_gives(clip):
    with open_video(clip, 'torchcodec') as video, open_video(clip, 'pyav') as reference:
        assert video.num_frames == 40 and video.times == reference.times
        wanted = [30, 2, 30, 11, 39, 0]
        np.testing.assert_array_equal(video.get(wanted), reference.get(wanted))


@needs_torchcodec
def test_a_frame_of_another_time_is_an_error(clip):
    with open_video(clip, 'torchcodec') as video:
        stamps = list(video.facts.pts)
        stamps[7] += 2
        object.__setattr__(video.facts, 'pts', tuple(stamps))
        assert len(video.get([6, 8])) == 2
        with pytest.raises(VideoReadError, match='other time stamps'):
            video.get([6, 7])


def test_it_is_used_where_it_is_named_and_says_what_it_lacks(tmp_path, monkeypatch):
    path = write_video(tmp_path / 'clip.mp4', np.zeros((2, 16, 16, 3), np.uint8))
    assert 'torchcodec' not in reader_order('auto')
    monkeypatch.setitem(sys.modules, 'torchcodec.decoders', None)
    with pytest.raises(UserError, match='pip install torchcodec'):
        read_frames(path, reader=['torchcodec', 'pyav'])
