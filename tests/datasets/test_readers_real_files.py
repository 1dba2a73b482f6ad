"""Every real file goes through ``read_frames``: frames or a typed error, no hang, no wrong count."""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from stgt_mm.datasets.frame_sampling import sample_frame_indices
from stgt_mm.datasets.readers import VideoReadError, open_video, read_frames
from stgt_mm.datasets.transforms import Resize

SHARED = Path(os.environ.get('STGT_SHARED_DATA', Path(__file__).parents[3] / 'shared' / 'data'))
needs_files = pytest.mark.skipif(
    not (SHARED / 'videos.json').is_file(),
    reason=f'REAL VIDEOS NOT TESTED: no {SHARED}/videos.json; set STGT_SHARED_DATA to the folder that has it',
)
LIMIT_S = 60


def _records():
    return json.loads((SHARED / 'videos.json').read_text(encoding='utf-8'))


def _read_all(pipe, records):
    for record in records:
        path = SHARED / 'videos' / record['file']
        pipe.send((record['file'], None))
        try:
            shape = read_frames(path, num_frames=8).shape
            with open_video(path) as video:
                result = (video.num_frames, shape)
        except VideoReadError as error:
            result = error.why
        pipe.send((record['file'], result))


def _receive(pipe, child):
    """What the child found, file by file; a hang or a crash is the result of the file it had begun."""
    results, name = {}, None
    try:
        while True:
            if not pipe.poll(LIMIT_S):
                results[name] = f'HANG: nothing after {LIMIT_S} s'
                return results
            name, result = pipe.recv()
            if result is not None:
                results[name] = result
    except EOFError:
        child.join()
        if child.exitcode:
            results[name] = f'CRASH: exit code {child.exitcode}'
        return results


@needs_files
def test_every_real_file_gives_frames_or_a_typed_error():
    children = []
    for part in (_records()[::2], _records()[1::2]):
        ours, theirs = multiprocessing.Pipe(duplex=False)
        child = multiprocessing.Process(target=_read_all, args=(theirs, part))
        child.start()
        theirs.close()
        children.append((ours, child))
    results, wrong = {}, {}
    try:
        for ours, child in children:
            results.update(_receive(ours, child))
    finally:
        for _, child in children:
            child.kill()
            child.join()
    for record in _records():
        result = results.get(record['file'], 'not reached')
        if record['frames_decoded'] is None:
            good = isinstance(result, str) and ('empty' in result or 'not a video' in result)
        else:
            sides = (record['height'], record['width'])
            shown = sides[::-1] if record['rotation'] in (90, -90) else sides
            good = result == (record['frames_decoded'], (8, *shown, 3))
        if not good:
            wrong[record['file']] = result
    assert not wrong


@needs_files
@pytest.mark.parametrize('hold', [0, 2**27])
def test_gray_ramp_gives_exactly_the_frame_asked_for(monkeypatch, hold):
    monkeypatch.setattr('stgt_mm.datasets.readers.pyav._HOLD_BYTES', hold)
    with open_video(SHARED / 'videos' / 'gray_ramp_256frames.mp4', exact=bool(hold)) as video:
        wanted = [*range(256), 200, 3, 99]
        assert video.get(wanted).mean(axis=(1, 2, 3)).tolist() == wanted


@needs_files
@pytest.mark.parametrize('name', ['h265_10frames.mp4', 'bunny_180p_vp9.webm', 'stream_rocks.mp4'])
def test_jumps_give_what_a_plain_decode_gives(name):
    path = str(SHARED / 'videos' / name)
    with av.open(path) as container:
        container.streams.video[0].codec_context.thread_count = 1
        frames = [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]
    with open_video(path, exact=False) as video:
        wanted = [len(frames) - 1, *sample_frame_indices(len(frames), 7)]
        np.testing.assert_array_equal(video.get(wanted), np.stack([frames[i] for i in wanted]))


@needs_files
def test_rotated_files_show_the_same_scene_upright():
    upright, turned = (read_frames(SHARED / 'videos' / f'rotate_{a}.mov', 1)[0] for a in (90, 270))
    assert upright.shape == turned.shape == (568, 320, 3)


@needs_files
def test_a_bilinear_resize_with_antialiasing_is_the_nearest_to_decords_own(tmp_path):
    """The release resizes inside decord; it hangs on some files, so it has a process and a time limit."""
    pytest.importorskip('decord')
    script = (
        'import decord, numpy, sys\n'
        'def read(**size):\n'
        '    return decord.VideoReader(sys.argv[1], num_threads=1, **size).get_batch([0, 9]).asnumpy()\n'
        'numpy.savez(sys.argv[2], full=read(), small=read(width=224, height=224))\n'
    )
    command = [sys.executable, '-c', script, SHARED / 'videos/white_rabbit_figurine.webm', tmp_path / 'x.npz']
    subprocess.run(command, check=True, timeout=LIMIT_S)
    full, small = (
        torch.from_numpy(np.load(tmp_path / 'x.npz')[name]).movedim(-1, 1) for name in ('full', 'small')
    )
    options = [('bilinear', True), ('bilinear', False), ('bicubic', True)]
    gaps = [Resize(224, *own)({'frames': full})['frames'].float().sub(small).abs().mean() for own in options]
    assert gaps[0] < 1 and gaps[0] == min(gaps)
