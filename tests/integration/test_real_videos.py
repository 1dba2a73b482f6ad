"""Real captioned videos, from a list to a number: what a user does with a set of their own."""

import json
import os
import runpy
from pathlib import Path

import pytest
from command_line import ROOT, run_here

from stgt_mm.engine.hooks.metrics_file_hook import read_metrics

SHARED = Path(os.environ.get('STGT_SHARED_DATA', ROOT.parent / 'shared' / 'data'))
CONFIG = ROOT / 'configs/retrieval/custom_tiny.py'
EPOCHS = 3
SETTINGS = (
    f'train_cfg.max_epochs={EPOCHS}',
    f'train_cfg.val_interval={EPOCHS}',
    f'param_scheduler.stages=[({EPOCHS},2e-3)]',
)
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not (SHARED / 'videos.json').is_file(),
        reason=f'REAL VIDEOS NOT TESTED: no {SHARED}/videos.json; STGT_SHARED_DATA names the folder',
    ),
]


def call(monkeypatch, tool, *arguments):
    """Runs a tool that reads ``sys.argv``."""
    monkeypatch.setattr('sys.argv', [tool, *map(str, arguments)])
    return runpy.run_path(str(ROOT / 'tools' / tool))['main']()


def test_real_videos_from_list_to_number(tmp_path, monkeypatch, capsys):
    data = tmp_path / 'data/custom'
    data.mkdir(parents=True)
    (data / 'videos').symlink_to(SHARED / 'videos')
    monkeypatch.chdir(tmp_path)

    source, lines = SHARED / 'videos.json', 'data/custom/train.jsonl'
    arguments = [source, lines, '--video-root', 'data/custom/videos']
    assert run_here('dataset_converters/custom.py', *arguments) == 0
    records = [json.loads(line) for line in Path(lines).read_text().splitlines()]
    captioned = {
        entry['file']: entry['caption'] for entry in json.loads(source.read_text()) if entry['caption']
    }
    assert {record['video']: record['text'] for record in records} == captioned
    assert len(records) == 25
    call(monkeypatch, 'dataset_converters/build_vocab.py', lines, 'data/custom/vocab.txt')

    options = ['--work-dir', 'run', '--cfg-options', *SETTINGS]
    assert run_here('train.py', CONFIG, *options) == 0, capsys.readouterr().err
    steps = [record for record in read_metrics('run/metrics.jsonl') if 'loss' in record]
    assert len(steps) == EPOCHS
    assert steps[-1]['loss'] < steps[0]['loss']
    assert steps[-1]['replaced_clips'] == 0

    checkpoint = f'run/epoch_{EPOCHS}.pth'
    assert run_here('test.py', CONFIG, checkpoint, '--out', 'results.json', *options) == 0
    assert 'text -> video' in capsys.readouterr().out
    result = json.loads(Path('results.json').read_text())
    assert (result['protocol']['videos'], result['protocol']['texts']) == (25, 25)
    # cached tokens are float16 and tested ones are not: the two may differ by a tie, not by more
    validated = read_metrics('run/metrics.jsonl')[-1]
    assert abs(result['metrics']['t2v/R1'] - validated['val/t2v/R1']) <= 8
