import os

import pytest

from stgt_mm.io.whole_file import remove_partial_files, whole_file


def test_the_new_content_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / 'new' / 'a.json'
    for content in ('one', 'two'):
        with whole_file(path) as partial:
            assert partial.suffix == '.json' and partial.parent == path.parent
            partial.write_text(content)
        assert path.read_text() == content
    assert os.listdir(path.parent) == ['a.json']


@pytest.mark.parametrize('stop', [ValueError, KeyboardInterrupt])
def test_an_interrupted_write_keeps_the_old_content(tmp_path, stop):
    path = tmp_path / 'a.json'
    path.write_text('old')
    with pytest.raises(stop), whole_file(path) as partial:
        partial.write_text('half')
        raise stop
    assert path.read_text() == 'old' and os.listdir(tmp_path) == ['a.json']


def test_two_writers_do_not_meet(tmp_path):
    with whole_file(tmp_path / 'a') as first, whole_file(tmp_path / 'a') as second:
        assert first != second
        first.write_text('first')
        second.write_text('second')
    assert (tmp_path / 'a').read_text() == 'first'


def test_what_a_kill_left_behind_is_removed_and_nothing_else(tmp_path):
    (tmp_path / 'kept.partial-1.json').touch()
    writing = whole_file(tmp_path / 'a.json')
    writing.__enter__().touch()
    remove_partial_files(tmp_path)
    assert os.listdir(tmp_path) == ['kept.partial-1.json']
