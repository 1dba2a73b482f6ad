"""Verification of a data set: what is wrong with generated and with real files."""

import json

import numpy as np
import pytest
from annotation_files import DATA as SHARED
from annotation_files import needs_real_videos, refuses
from hanging import hang_with_the_lock_held
from PIL import Image

from stgt_mm.datasets.readers import PyAVReader, write_video
from stgt_mm.datasets.records import MissingVideosError
from stgt_mm.jobs import Engine
from stgt_mm.preparation.verification import Criteria, Inspection, verify
from stgt_mm.preparation.verification.inspection import inspect_file
from stgt_mm.registry import READERS

SMALL = 90_000


def clip(path, frames, fps=8, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (frames, 32, 32, 3), np.uint8)
    return write_video(path, noise, fps=fps)


@pytest.mark.parametrize('exact', [True, False])
def test_what_is_found_in_a_file(tmp_path, exact):
    found = inspect_file(clip(tmp_path / 'a.mp4', frames=12, fps=5), Inspection(exact=exact))
    assert found['frames'] == 12
    assert found['seconds'] == pytest.approx(12 / 5)
    assert len(found['sha256']) == 64
    Image.new('RGB', (8, 6), 'red').save(tmp_path / 'b.jpg')
    picture = inspect_file(tmp_path / 'b.jpg', Inspection(hashed=False))
    assert picture == {'frames': 1, 'seconds': None, 'sha256': None}
    (tmp_path / 'c.JPG').write_bytes((tmp_path / 'b.jpg').read_bytes()[:300])
    assert 'picture' in inspect_file(tmp_path / 'c.JPG', Inspection())['why']
    assert 'no such file' in inspect_file(tmp_path / 'd.mp4', Inspection())['why']


@READERS.register_module(name='hangs_on_one')
class HangsOnOne(PyAVReader):
    """Reads with PyAV, but never returns from files called ``endless``, with the interpreter lock held."""

    def __init__(self, path, exact=True):
        if 'endless' in path:
            hang_with_the_lock_held()
        super().__init__(path, exact)


@pytest.fixture
def mixed_set(tmp_path):
    """Nine videos and a picture: two copies, a short one, a damaged one, one that hangs, one missing."""
    root = tmp_path / 'videos'
    for n in range(4):
        clip(root / f'sub/v{n}.mp4', frames=6, seed=n)
    clip(root / 'short.mp4', frames=1)
    clip(root / 'endless.mp4', frames=6, seed=9)
    (root / 'copy.mp4').write_bytes((root / 'sub/v1.mp4').read_bytes())
    (root / 'broken.mp4').write_bytes(b'no video at all')
    Image.new('RGB', (8, 6)).save(root / 'still.png')
    names = ['sub/v0.mp4', 'endless.mp4', 'short.mp4', 'sub/v1.mp4', 'broken.mp4', 'copy.mp4', 'still.png']
    names += ['gone.mp4', 'sub/v2.mp4', 'sub/v3.mp4', 'sub/v0.mp4']
    rows = [{'video': name, 'text': f'caption {n}', 'extra': [n]} for n, name in enumerate(names)]
    annotations = tmp_path / 'train.jsonl'
    annotations.write_text(''.join(json.dumps(row) + '\n' for row in rows))
    return annotations, root


def check(mixed_set, folder, criteria=None, reader='hangs_on_one', **effort):
    engine = Engine(**{'jobs': 2, 'time_limit': 4.0, **effort})
    return verify(*mixed_set, folder, Inspection(reader), criteria or Criteria(), engine)


def names_of(result):
    return {kind: [entry['video'] for entry in entries] for kind, entries in result.problems.items()}


def test_all_kinds_of_problems_are_found(mixed_set, tmp_path):
    result = check(mixed_set, tmp_path / 'r')
    unusable = dict(missing=['gone.mp4'], unreadable=['broken.mp4'], timed_out=['endless.mp4'], crashed=[])
    assert names_of(result) == {**unusable, 'too_short': ['short.mp4'], 'duplicated': ['copy.mp4']}
    assert result.problems['duplicated'][0]['same_as'] == 'sub/v1.mp4'
    out = tmp_path / 'out.jsonl'
    assert result.write_filtered(out) == 6
    lines = mixed_set[0].read_text().splitlines()
    assert out.read_text().splitlines() == [lines[n] for n in (0, 3, 6, 8, 9, 10)]
    (tmp_path / 'r').joinpath('report.txt').unlink(missing_ok=True)
    report, text = result.write(tmp_path / 'r')
    summary = json.loads(report.read_text())
    assert summary['problems'] == result.problems
    assert (summary['videos'], summary['lines'], summary['kept_lines']) == (10, 11, 6)
    shown = ('copy.mp4 = sub/v1.mp4', 'short.mp4: 1 frames', 'endless.mp4: nothing after 4 s', '6 lines')
    assert all(words in text.read_text() for words in shown)
    refuses('the annotation file itself', result.write_filtered, mixed_set[0], error=ValueError)


def test_a_second_run_looks_at_what_is_new_only(mixed_set, tmp_path):
    folder, root = tmp_path / 'r', mixed_set[1]
    assert check(mixed_set, folder).looked_at == 9
    assert check(mixed_set, folder, Criteria(min_seconds=0.8, keep=('too_short',))).looked_at == 0
    clip(root / 'broken.mp4', frames=6, seed=30)
    clip(root / 'gone.mp4', frames=6, seed=31)
    result = check(mixed_set, folder)
    assert result.looked_at == 2
    assert names_of(result)['missing'] == names_of(result)['unreadable'] == []
    kept = check(mixed_set, folder, Criteria(keep=('too_short', 'duplicated')))
    assert kept.dropped == {'endless.mp4'} and kept.problems == result.problems


def test_wrong_use_is_named(mixed_set, tmp_path):
    annotations = mixed_set[0]
    refuses('no folder', check, (annotations, tmp_path / 'nowhere'), tmp_path / 'r', error=FileNotFoundError)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(MissingVideosError, match='none of the 10 videos'):
        check((annotations, tmp_path / 'empty'), tmp_path / 'r1')
    refuses("Did you mean 'pyav'", check, mixed_set, tmp_path / 'r', reader='pyaf', error=ValueError)
    annotations.write_text('{"video": 3, "text": "a"}\n')
    refuses("train.jsonl:1: 'video' is 3", check, mixed_set, tmp_path / 'r')


@needs_real_videos
def test_real_files_damaged_ones_included(tmp_path):
    """The small ones; ``frames_decoded`` was counted with another program."""
    truth = {
        entry['file']: entry['frames_decoded'] for entry in json.loads((SHARED / 'videos.json').read_text())
    }
    small = {name: n for name, n in truth.items() if (SHARED / 'videos' / name).stat().st_size < SMALL}
    assert len(small) > 12
    annotations = tmp_path / 'real.jsonl'
    annotations.write_text(''.join(json.dumps({'video': name, 'text': 'a'}) + '\n' for name in small))
    criteria = Criteria(min_frames=8)
    engine = Engine(jobs=2, time_limit=300)
    result = verify(annotations, SHARED / 'videos', tmp_path, Inspection('pyav'), criteria, engine)
    assert {name: found.frames for name, found in result.findings.items()} == small
    named = names_of(result)
    assert named['unreadable'] == [name for name, count in small.items() if not count]
    assert named['too_short'] == [name for name, count in small.items() if count and count < 8]
    assert {'not_a_video.mp4', 'zero_bytes.mp4'} == set(named['unreadable'])
    assert not named['timed_out'] and not named['crashed']
