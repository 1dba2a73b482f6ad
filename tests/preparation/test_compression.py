"""Compressed videos: the same frames at the same times, smaller; resumed; damage reported."""

import json
import shutil
from itertools import islice

import numpy as np
import pytest
from command_line import load_tool, run_here
from encoded_clips import NOISE, encode

from stgt_mm.datasets.readers import open_video, read_frames, write_video
from stgt_mm.preparation.compression import Compression, compress_file

TOOL = 'dataset_converters/compress_videos.py'


def moving_square(count, height, width):
    frames = np.full((count, height, width, 3), 60, np.uint8)
    for index, frame in enumerate(frames):
        frame[height // 4 : height // 2, 4 * index : 4 * index + width // 4] = 200
    return frames


def test_frames_times_and_rotation_stay(tmp_path):
    stamps = [0, 40, 100, 120, 300, 340, *range(400, 1000, 40)]
    frames = moving_square(len(stamps), 320, 480)
    encode(tmp_path / 'a.mp4', frames, options={'bf': '2', 'g': '250'}, pts=stamps, rotation=90)
    (tmp_path / 'a.mp4').rename(tmp_path / 'a.webm')
    how = Compression(short_side=160, gop=4, crf=10)
    assert compress_file('a.webm', how, tmp_path, tmp_path / 'out') == {'frames': len(stamps)}
    with open_video(tmp_path / 'a.webm', exact=True) as before, open_video(tmp_path / 'out/a.webm') as after:
        assert after.times == pytest.approx(before.times)
        assert after.times == pytest.approx(np.array(stamps) / 1000)
        keys = after.facts.keyframes
        assert max(np.diff(keys)) <= 4 and len(keys) >= len(stamps) // 4
        large, small = before.get([0, 9, 20]), after.get([0, 9, 20])
    assert small.shape == (3, 240, 160, 3)
    halved = large.reshape(3, 240, 2, 160, 2, 3).mean((2, 4))
    assert np.abs(halved - small).mean() < 2


@pytest.mark.parametrize(
    ('size', 'expected'), [((1080, 1920), (288, 512)), ((1920, 1080), (512, 288)), ((101, 35), (100, 34))]
)
def test_sizes_are_even_and_never_larger(size, expected):
    assert Compression().size(*size) == expected


def test_interrupted_it_goes_on_and_reports_damage(tmp_path, capsys, monkeypatch):
    clip = write_video(tmp_path / 'clip.mp4', moving_square(30, 160, 240), gop=250)
    names = [f'{folder}/v{n}.mp4' for folder in 'ab' for n in range(4)]
    for name in names:
        (tmp_path / 'in' / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, tmp_path / 'in' / name)
    (tmp_path / 'in/b/broken.mkv').write_bytes(clip.read_bytes()[:400])
    out = tmp_path / 'out'
    command = (TOOL, tmp_path / 'in', out, '--jobs', '2', '--short-side', '128')

    def interrupt(results, *_):
        yield from islice(results, 4)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr('stgt_mm.jobs.engine.track', interrupt)
        with pytest.raises(SystemExit):
            load_tool(TOOL).main([str(word) for word in command[1:]])
    done = {path: path.stat().st_mtime_ns for path in out.rglob('[!.]*.mp4')}
    assert 3 <= len(done) < 8  # of the four looked at, one may be the broken one
    assert all(read_frames(path, exact=True).shape == (8, 128, 192, 3) for path in done)
    (out / 'b').mkdir(exist_ok=True)  # the kill may come before its first video is begun
    (out / 'b/.v3.partial-0123abcd.mp4').write_bytes(b'what a kill leaves')

    assert run_here(TOOL, tmp_path / 'none', out) == 2 and 'no folder' in capsys.readouterr().err
    assert run_here(*command) == 0
    printed = capsys.readouterr().out
    assert '9 videos: 8 ok, 1 damaged' in printed and 'b/broken.mkv: not a video' in printed
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob('*.*')) == names
    assert sum(path.stat().st_mtime_ns == stamp for path, stamp in done.items()) >= 3
    report = [json.loads(line) for line in (tmp_path / 'out.compression/report.jsonl').open()]
    assert [row['frames'] for row in report if row['outcome'] == 'ok'] == [30] * 8
    assert [row['video'] for row in report if row['outcome'] == 'damaged' and row['why']] == ['b/broken.mkv']


def test_of_a_truncated_file_what_decodes_is_kept(tmp_path):
    clip = write_video(tmp_path / 'clip.mp4', NOISE, gop=40)
    data = bytearray(clip.read_bytes())
    start = data.index(b'mdat')
    half = start + int.from_bytes(data[start - 4 : start], 'big') // 2
    data[half : half + 4000] = bytes(4000)
    clip.write_bytes(data)
    found = compress_file('clip.mp4', Compression(), tmp_path, tmp_path / 'out')
    assert 'ends early' in found['why']
    with open_video(clip, exact=True) as before, open_video(tmp_path / 'out/clip.mp4', exact=True) as after:
        assert 10 < before.num_frames == after.num_frames == found['frames'] < 30


def test_out_among_the_videos_is_refused(tmp_path, capsys):
    write_video(tmp_path / 'a.mp4', moving_square(2, 16, 16))
    assert run_here(TOOL, tmp_path, tmp_path / 'small') != 0
    assert 'choose another folder' in capsys.readouterr().err
