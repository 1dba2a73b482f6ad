"""What verification remembers of files, and how it judges what it found."""

import numpy as np
import pytest

from stgt_mm.preparation.verification import Criteria, Finding, Journal, JournalError, judge

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
