"""What verification remembers of files, and how it judges what it found."""

import shutil

import numpy as np
import pytest

from stgt_mm.preparation.verification import Criteria
from stgt_mm.preparation.verification.journal import Finding, Journal, JournalError
from stgt_mm.preparation.verification.judgement import judge

FINDING = Finding('a.mp4', 10, 20, 'read', frames=5, seconds=0.5, sha256='ab')
LATER = Finding('c.mp4', 1, 2, 'unreadable', why='empty')


def test_journal_keeps_findings_over_a_cut(tmp_path):
    path, cut = tmp_path / 'deep' / 'journal.sqlite', tmp_path / 'cut.sqlite'
    with Journal(path, {'reader': ('pyav',)}) as journal:
        journal.add(FINDING)
        journal.add(LATER)
        # as a kill leaves it, and as a power failure in the middle of the last write does
        shutil.copy(path, cut)
        log = path.with_name('journal.sqlite-wal').read_bytes()
    (tmp_path / 'cut.sqlite-wal').write_bytes(log[:-9])
    with Journal(cut, {'reader': ['pyav']}) as journal:
        assert journal.known == {'a.mp4': FINDING}
        journal.add(LATER)
    for file in (path, cut):
        with Journal(file, {'reader': ['pyav']}) as journal:
            assert list(journal.known.items()) == [('a.mp4', FINDING), ('c.mp4', LATER)]
    with Journal(path, {'reader': ['decord']}, restart=True) as journal:
        assert journal.known == {}


def test_journal_refuses_other_options_other_files_and_a_second_process(tmp_path):
    path = tmp_path / 'journal.sqlite'
    with (
        Journal(path, {'exact': True}),
        pytest.raises(JournalError, match=r'another process is at work in'),
    ):
        Journal(path, {'exact': True}, restart=True)
    with pytest.raises(JournalError, match=r'exact=True; now: exact=False.*--restart'):
        Journal(path, {'exact': False})
    path.write_bytes(b'no database, whatever it is' * 99)
    with pytest.raises(JournalError, match=r"journal.sqlite' is no journal .*--restart"):
        Journal(path, {'exact': True})
    with Journal(path, {'exact': True}, restart=True) as journal:
        journal.add(FINDING)


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
