"""The command that renders Moving Shapes: a second call keeps, repairs or replaces what is there."""

import pytest
from command_line import run

SIZES = ('--train', '4', '--val', '9', '--test', '9', '--one-fact', '13', '--jobs', '1')


def _render(folder, *options):
    done = run('dataset_converters/moving_shapes.py', folder, *SIZES, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.integration
def test_a_second_call_renders_only_what_is_missing(tmp_path):
    assert 'rendered' in _render(tmp_path)
    videos = sorted((tmp_path / 'videos').iterdir())
    assert (tmp_path / 'contact_sheet.png').is_file()
    assert len(videos) >= 22
    before = {path.name: path.read_bytes() for path in videos}

    assert 'rendered' not in _render(tmp_path)
    videos[3].unlink()
    assert 'rendered 1/1' in _render(tmp_path)
    assert {path.name: path.read_bytes() for path in videos} == before

    annotation = (tmp_path / 'train.jsonl').read_bytes()
    _render(tmp_path, '--seed', '1')
    assert (tmp_path / 'train.jsonl').read_bytes() != annotation
    assert (tmp_path / 'videos' / 'video0.mp4').read_bytes() != before['video0.mp4']
