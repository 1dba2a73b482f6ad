"""How verification judges what it found."""

import numpy as np
import pytest

from stgt_mm.jobs.journal import Finding
from stgt_mm.preparation.verification import Criteria
from stgt_mm.preparation.verification.judgement import judge


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
