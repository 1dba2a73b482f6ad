"""Trainings that end early: the time is up, or the disk is full."""

import pytest
import torch
from command_line import run_here
from engine_runs import CONFIG, files_of_at_most, train

from stgt_mm.engine.checkpoint.files import read_checkpoint, write_text
from stgt_mm.engine.cli import run_tool
from stgt_mm.engine.errors import CheckpointSpaceError
from stgt_mm.engine.hooks import MetricsFileHook, TimeBudgetHook
from stgt_mm.engine.hooks.metrics_file_hook import read_metrics
from stgt_mm.evaluation.report import write_results
from stgt_mm.visualization.curves import plot_curves


@pytest.mark.parametrize(('size', 'message'), [(9000, '/iter_2.pth: 0.0 MiB needed'), (1650, ': ')])
def test_a_training_on_a_full_disk_says_so(tmp_path, capsys, size, message):
    options = ['--cfg-options', 'log_level=ERROR', f'experiment_name=full{tmp_path.name}']
    with files_of_at_most(size):
        status = run_here('train.py', CONFIG, '--work-dir', tmp_path, *options)
    printed = capsys.readouterr().err
    assert status == 2 and 'Traceback' not in printed
    assert f'error: no space left for {tmp_path}{message}' in printed
    assert not list(tmp_path.glob('*.pth')) and not list(tmp_path.glob('.*partial*'))


def test_results_and_curves_say_it_too(tmp_path, capsys):
    def draw(name):
        plot_curves({'loss': ([0, 1], [2.0, 1.0])}, tmp_path / name)

    draw('first.png')  # matplotlib makes its list of fonts
    for tool, name in ((draw, 'loss.png'), (lambda path: write_results(path, {}, {}), 'results.json')):
        with files_of_at_most(20):
            status = run_tool(lambda arguments, tool=tool: tool(tmp_path / arguments[0]), [name])
        printed = capsys.readouterr().err
        assert status == 2 and 'Traceback' not in printed
        assert f'error: no space left for {tmp_path / name}: ' in printed
        assert not (tmp_path / name).exists()


def test_metrics_and_pointer_say_it_too(tmp_path):
    hook = MetricsFileHook()
    hook._path = tmp_path / 'metrics.jsonl'
    hook._records = [{'step': 1, 'loss': torch.tensor(2.0)}]
    write_text(tmp_path / 'last_checkpoint', 'old')
    with files_of_at_most(8):
        with pytest.raises(CheckpointSpaceError, match=r'no space left for .*metrics\.jsonl'):
            hook.before_save_checkpoint(None, {})
        with pytest.raises(CheckpointSpaceError, match=r'no space left for .*last_checkpoint'):
            write_text(tmp_path / 'last_checkpoint', 'a longer text')
    assert (tmp_path / 'last_checkpoint').read_text() == 'old'


# at step 1 the time itself is up
@pytest.mark.parametrize(('step', 'name'), [(1, 'iter_1.pth'), (4, 'iter_4.pth'), (6, 'epoch_1.pth')])
def test_the_last_step_is_saved_and_validated_when_time_is_up(tmp_path, monkeypatch, step, name):
    left = iter([False] * (step - 1) + [True])
    if step > 1:
        monkeypatch.setattr(TimeBudgetHook, '_time_is_up', lambda self: next(left))
    quiet = ['default_hooks.checkpoint.interval=9', 'default_hooks.checkpoint.interval_steps=None']
    hook = "custom_hooks=[{'type': 'TimeBudgetHook', 'seconds': 1e-6}]"
    assert len(train(tmp_path, cfg=[hook, 'train_cfg.val_interval=99', *quiet])) == step
    assert read_checkpoint(tmp_path / name)['meta']['iter'] == step
    assert (tmp_path / 'last_checkpoint').read_text().endswith(name)
    records = read_metrics(tmp_path / 'metrics.jsonl')
    assert [record['step'] for record in records if 'val/t2v/Rmean' in record] == [step]
