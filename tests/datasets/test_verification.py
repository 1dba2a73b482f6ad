"""Verification of files: the pool that nothing hangs, the journal, and what is wrong with real files."""

import faulthandler
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stgt_mm.datasets.readers import PyAVReader, write_video
from stgt_mm.datasets.records import AnnotationError, MissingVideosError
from stgt_mm.datasets.verification import (
    Criteria,
    Effort,
    Finding,
    Inspection,
    Journal,
    JournalError,
    TimedPool,
    inspect_file,
    judge,
    verify,
)
from stgt_mm.registry import READERS

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get('STGT_SHARED_DATA', Path(__file__).parents[3] / 'shared' / 'data'))
POOL = ROOT / 'stgt_mm/datasets/verification/timed_pool.py'
SMALL = 90_000
LIMIT_S = 1.5


def hang_with_the_lock_held():
    """Backtracks for years inside one call of C code: no signal handler of Python ever runs."""
    re.match(r'(a+)+$', 'a' * 60 + 'b')


def work(item):
    if item == 'hang':
        hang_with_the_lock_held()
    if item == 'sleep':
        time.sleep(1000)
    if item == 'segfault':
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == 'exit':
        os._exit(7)
    if item == 'raise':
        raise RuntimeError('no luck')
    return item * 2


@pytest.mark.parametrize('jobs', [1, 3])
def test_pool_survives_what_its_work_does(jobs):
    bad = ['hang', 'segfault', 'exit', 'raise', 'sleep']
    items = [*range(5), *bad[:2], *range(5, 9), *bad[2:], *range(9, 12)]
    start = time.monotonic()
    outcomes = dict(TimedPool(work, jobs, LIMIT_S).run(items))
    assert len(outcomes) == len(items)
    assert {n: outcomes[n].value for n in range(12)} == {n: 2 * n for n in range(12)}
    assert {name: outcomes[name].kind for name in bad} == {
        'hang': 'timed_out',
        'sleep': 'timed_out',
        'segfault': 'crashed',
        'exit': 'crashed',
        'raise': 'failed',
    }
    assert 'SIGSEGV' in outcomes['segfault'].value and 'status 7' in outcomes['exit'].value
    assert outcomes['raise'].value == 'RuntimeError: no luck'
    assert outcomes['hang'].value == 'nothing after 1.5 s'
    assert time.monotonic() - start < 60


def test_pool_needs_positive_numbers():
    with pytest.raises(ValueError, match='--jobs 0'):
        TimedPool(work, 0, 1.0)
    with pytest.raises(ValueError, match='--time-limit 0'):
        TimedPool(work, 1, 0)


ORPHAN = """
import importlib.util, os, re, sys
spec = importlib.util.spec_from_file_location('timed_pool', sys.argv[2])  # quicker than the package
sys.modules['timed_pool'] = timed_pool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(timed_pool)
timed_pool.GRACE_S = 0
if sys.argv[1] == "alarm":
    timed_pool._die_with_parent = lambda: None
def work(item):
    print(os.getpid(), flush=True)
    re.match(r'(a+)+$', 'a' * 60 + 'b')
list(timed_pool.TimedPool(work, 1, LIMIT).run(['x']))
"""


@pytest.mark.skipif(not hasattr(signal, 'alarm'), reason='no alarms on this system')
@pytest.mark.parametrize('means', ['alarm', 'parent death'])
def test_a_hanging_child_does_not_outlive_a_killed_parent(means):
    if means != 'alarm' and sys.platform != 'linux':
        pytest.skip('only Linux tells a child of the death of its parent')
    code = ORPHAN.replace('LIMIT', '4' if means == 'alarm' else '1000')
    parent = subprocess.Popen([sys.executable, '-c', code, means, POOL], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 60
    while _runs(child):
        assert time.monotonic() < deadline, f'process {child} still hangs'
        time.sleep(0.1)


def _runs(pid):
    try:
        stat = Path(f'/proc/{pid}/stat')
        if stat.exists():
            return stat.read_text().rpartition(')')[2].split()[0] != 'Z'
        os.kill(pid, 0)
    except (ProcessLookupError, FileNotFoundError):
        return False
    return not Path('/proc').is_dir()


FINDING = Finding('a.mp4', 10, 20, 'read', frames=5, seconds=0.5, sha256='ab')


def test_journal_keeps_findings_over_a_cut(tmp_path):
    path = tmp_path / 'deep' / 'journal.jsonl'
    with Journal(path, {'reader': ('pyav',)}) as journal:
        journal.add(FINDING)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"video": "b.mp4", "si')
    with Journal(path, {'reader': ['pyav']}) as journal:
        assert journal.known == {'a.mp4': FINDING}
        journal.add(Finding('c.mp4', 1, 2, 'unreadable', why='empty'))
    assert path.read_bytes().startswith(whole)
    with Journal(path, {'reader': ['pyav']}) as journal:
        assert list(journal.known) == ['a.mp4', 'c.mp4']
    with Journal(path, {'reader': ['decord']}, restart=True) as journal:
        assert journal.known == {}


def test_journal_refuses_other_options_and_other_files(tmp_path):
    path = tmp_path / 'journal.jsonl'
    Journal(path, {'exact': True}).close()
    with pytest.raises(JournalError, match=r'exact=True; now: exact=False.*--restart'):
        Journal(path, {'exact': False})
    path.write_bytes(path.read_bytes() + b'{"frames": 3}\n')
    with pytest.raises(JournalError, match=r'journal.jsonl:2: not a line of a journal'):
        Journal(path, {'exact': True})


def test_what_must_be_looked_at_again(tmp_path):
    stamp = (10, 1_700_000_000_123_456_789)
    with Journal(tmp_path / 'j', {}) as journal:
        assert not journal.is_current('a.mp4', stamp, 60)
        journal.add(Finding('a.mp4', *stamp, 'read', frames=1))
        assert journal.is_current('a.mp4', stamp, 60)
        journal.add(Finding('a.mp4', *stamp, 'timed_out', time_limit=60.0))
        assert journal.is_current('a.mp4', stamp, 60) and not journal.is_current('a.mp4', stamp, 61)
        assert not journal.is_current('a.mp4', (10, stamp[1] + 1), 60)
        assert not journal.is_current('a.mp4', (11, stamp[1]), 60)


def test_judgement_against_brute_force():
    rng = np.random.default_rng(0)
    videos = [f'{n}.mp4' for n in range(60)]
    findings = {}
    for video in videos[:50]:
        seconds = None if rng.random() < 0.2 else float(rng.integers(1, 5))
        facts = dict(frames=int(rng.integers(1, 9)), seconds=seconds, sha256=str(rng.integers(0, 12)))
        findings[video] = Finding(video, 1, 1, 'read', **facts)
    findings['50.mp4'] = Finding('50.mp4', 1, 1, 'crashed', why='SIGSEGV')
    problems = judge(videos, findings, Criteria(min_frames=4, min_seconds=2.5))
    assert [entry['video'] for entry in problems['missing']] == videos[51:]
    assert problems['crashed'] == [{'video': '50.mp4', 'why': 'SIGSEGV'}]
    short = [v for v in videos[:50] if findings[v].frames < 4 or (findings[v].seconds or 9) < 2.5]
    assert [entry['video'] for entry in problems['too_short']] == short
    copies = {}
    for n, video in enumerate(videos[:50]):
        earlier = [v for v in videos[:n] if findings[v].sha256 == findings[video].sha256]
        if earlier:
            copies[video] = earlier[0]
    assert {entry['video']: entry['same_as'] for entry in problems['duplicated']} == copies


def test_criteria_are_checked():
    for options, words in [
        ({'min_frames': 0}, '--min-frames 0'),
        ({'min_seconds': -1.0}, '--min-seconds -1.0'),
        ({'keep': ('too_shrt',)}, "Did you mean 'too_short'"),
        ({'keep': ('missing',)}, 'no such kind'),
    ]:
        with pytest.raises(ValueError, match=words):
            Criteria(**options)


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
    assert inspect_file(tmp_path / 'b.jpg', Inspection(hashed=False)) == {
        'frames': 1,
        'seconds': None,
        'sha256': None,
    }
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
    effort = {'jobs': 2, 'time_limit': 4.0, **effort}
    return verify(*mixed_set, folder, Inspection(reader), criteria or Criteria(), Effort(**effort))


def names_of(result):
    return {kind: [entry['video'] for entry in entries] for kind, entries in result.problems.items()}


def test_all_kinds_of_problems_are_found(mixed_set, tmp_path):
    result = check(mixed_set, tmp_path / 'r')
    assert names_of(result) == {
        'missing': ['gone.mp4'],
        'unreadable': ['broken.mp4'],
        'timed_out': ['endless.mp4'],
        'crashed': [],
        'too_short': ['short.mp4'],
        'duplicated': ['copy.mp4'],
    }
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
    for words in (
        'copy.mp4 = sub/v1.mp4',
        'short.mp4: 1 frames',
        'endless.mp4: nothing after 4 s',
        '6 lines',
    ):
        assert words in text.read_text()
    with pytest.raises(ValueError, match='the annotation file itself'):
        result.write_filtered(mixed_set[0])


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
    with pytest.raises(FileNotFoundError, match='no folder'):
        check((annotations, tmp_path / 'nowhere'), tmp_path / 'r')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(MissingVideosError, match='none of the 10 videos'):
        check((annotations, tmp_path / 'empty'), tmp_path / 'r1')
    with pytest.raises(ValueError, match="Did you mean 'pyav'"):
        check(mixed_set, tmp_path / 'r', reader='pyaf')
    annotations.write_text('{"video": 3, "text": "a"}\n')
    with pytest.raises(AnnotationError, match=r"train.jsonl:1: 'video' is 3"):
        check(mixed_set, tmp_path / 'r')


@pytest.mark.skipif(
    not (SHARED / 'videos.json').is_file(),
    reason=f'REAL VIDEOS NOT TESTED: no {SHARED}/videos.json; set STGT_SHARED_DATA to the folder that has it',
)
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
    result = verify(
        annotations, SHARED / 'videos', tmp_path, Inspection('pyav'), criteria, Effort(jobs=2, time_limit=300)
    )
    assert {name: found.frames for name, found in result.findings.items()} == small
    named = names_of(result)
    assert named['unreadable'] == [name for name, count in small.items() if not count]
    assert named['too_short'] == [name for name, count in small.items() if count and count < 8]
    assert {'not_a_video.mp4', 'zero_bytes.mp4'} == set(named['unreadable'])
    assert not named['timed_out'] and not named['crashed']
