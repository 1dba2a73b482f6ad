"""The journal: what is known of files outlives a kill, and is not mixed with anything else."""

import shutil

import pytest

from stgt_mm.jobs.journal import Finding, Journal, JournalError

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
