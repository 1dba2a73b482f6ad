"""The command that renders Moving Shapes: a second call keeps, repairs or replaces what is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SIZES = ('--train', '4', '--val', '9', '--test', '9', '--one-fact', '13', '--jobs', '1')


def _render(folder, *options):
    tool = ROOT / 'tools' / 'dataset_converters' / 'moving_shapes.py'
    env = os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    command = [sys.executable, str(tool), str(folder), *SIZES, *options]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


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
