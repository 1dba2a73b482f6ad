import io

import pytest

from stgt_mm import progress
from stgt_mm.progress import ProgressLine, format_duration, track


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, 'monotonic', lambda: now[0])
    return now


@pytest.mark.parametrize(
    'seconds, text', [(-1, '0 s'), (8.4, '8 s'), (250, '4 min 10 s'), (11100, '3 h 05 min')]
)
def test_durations_are_written_for_people(seconds, text):
    assert format_duration(seconds) == text


def test_a_log_gets_a_line_now_and_then(clock, capsys):
    line = ProgressLine('reading', total=10, every=10)
    for _ in range(10):
        clock[0] += 4
        line.advance(note='2 skipped')
    line.close()
    assert capsys.readouterr().err.splitlines() == [
        'reading: 3/10, 28 s left, 2 skipped',
        'reading: 6/10, 16 s left, 2 skipped',
        'reading: 9/10, 4 s left, 2 skipped',
    ]


def test_work_that_goes_on_counts_what_was_done_and_times_what_is_new(clock, capsys):
    line = ProgressLine('step', total=10, start=6)
    for _ in range(3):
        clock[0] += 5
        line.advance(note=lambda: 'loss 1')
    assert capsys.readouterr().err == 'step: 8/10, 10 s left, loss 1\n'


def test_no_time_is_promised_before_it_is_known(clock, monkeypatch):
    monkeypatch.setattr(progress.sys, 'stderr', Terminal())
    with ProgressLine('rendering', total=9000) as line:
        clock[0] += 0.6
        line.advance()
    assert progress.sys.stderr.getvalue().split('\x1b[K')[1].strip() == 'rendering: 1/9000'
    assert progress.sys.stderr.getvalue().endswith('rendering: 1 in 1 s\n')


def test_short_work_says_nothing(capsys):
    assert list(track('abc', 'spelling')) == ['a', 'b', 'c']
    assert capsys.readouterr().err == ''


def test_a_slow_start_is_not_taken_for_the_pace(clock, capsys):
    line = ProgressLine('rendering', total=9000, every=10)
    clock[0] += 12
    line.advance()
    clock[0] += 10
    line.advance(999)
    assert capsys.readouterr().err.splitlines() == [
        'rendering: 1/9000',
        'rendering: 1000/9000, 1 min 20 s left',
    ]
