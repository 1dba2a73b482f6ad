import json
import logging
import re
from types import SimpleNamespace

import pytest
import torch
from engine_runs import CONFIG, epochs, load_tool, losses, train
from mmengine.logging import MessageHub
from torch import nn

from stgt_mm.engine.checkpoint.files import read_checkpoint
from stgt_mm.engine.console import short_console
from stgt_mm.engine.errors import NonFiniteLossError
from stgt_mm.engine.hooks import AlignmentStageHook, MetricsFileHook, VideoTextCheckpointHook
from stgt_mm.engine.hooks.metrics_file_hook import read_metrics
from stgt_mm.engine.loops.epoch_loop import ResumableEpochLoop, step_seed


@pytest.fixture(scope='module')
def one_epoch(tmp_path_factory):
    """A run of an epoch, which tests compare with runs under other options."""
    work_dir = tmp_path_factory.mktemp('one_epoch')
    assert len(train(work_dir, cfg=epochs(1))) == 6
    return work_dir


def test_loss_that_is_not_finite_stops_before_update_and_checkpoint(tmp_path):
    cfg = ['train_dataloader.dataset.bad_index=5', 'default_hooks.checkpoint.interval_steps=1']
    with pytest.raises(NonFiniteLossError) as error:
        train(tmp_path, cfg=cfg)
    text = str(error.value)
    steps = [int(path.stem.split('_')[1]) for path in tmp_path.glob('iter_*.pth')]
    stopped = int(text.split('step ')[1].split()[0])
    assert max(steps, default=0) == stopped - 1
    assert 'went bad: loss_vtc=' in text
    assert 'still fine: loss_vtm=' in text
    videos = text.split('videos of the batch: ')[1].splitlines()[0].split(', ')
    assert 'clip5' in videos and len(videos) == 4
    last = read_checkpoint(tmp_path / (tmp_path / 'last_checkpoint').read_text().split('/')[-1])
    assert all(torch.isfinite(value).all() for value in last['state_dict'].values())


def test_files_of_a_run(tmp_path):
    train(tmp_path, cfg=['default_hooks.checkpoint.max_keep_ckpts=2', 'train_cfg.val_interval=1'])
    kept = {path.name for path in tmp_path.glob('*.pth')}
    assert kept == {'epoch_4.pth', 'iter_22.pth', 'best_t2v_Rmean.pth'}
    assert (tmp_path / 'last_checkpoint').read_text().endswith('epoch_4.pth')
    scores = [r['val/t2v/Rmean'] for r in read_metrics(tmp_path / 'metrics.jsonl') if 'val/t2v/Rmean' in r]
    assert len(scores) == 4
    best = read_checkpoint(tmp_path / 'best_t2v_Rmean.pth')
    assert best['meta']['best'] == {'t2v/Rmean': max(scores)}
    assert best['meta']['epoch'] == scores.index(max(scores)) + 1
    assert 'optimizer' not in best
    # plain values only: this is what weights_only accepts
    assert torch.load(tmp_path / 'epoch_4.pth', weights_only=True)['meta']['iter'] == 24


def test_frozen_weights_can_be_kept(tmp_path):
    train(tmp_path, cfg=['default_hooks.checkpoint.save_frozen=True', *epochs(1)])
    checkpoint = read_checkpoint(tmp_path / 'epoch_1.pth')
    assert checkpoint['frozen'] == {}
    assert 'backbone.linear.weight' in checkpoint['state_dict']


def test_alpha_follows_the_epoch(tmp_path):
    hook = AlignmentStageHook(stages=[(2, 1.0), (1, 0.5), (1, 0.0)])
    assert [hook.alpha(epoch) for epoch in range(6)] == [1.0, 1.0, 0.5, 0.0, 0.0, 0.0]
    head = SimpleNamespace(alpha=1.0)
    model = nn.Linear(1, 1)
    model.contrastive_head = head
    runner = SimpleNamespace(model=nn.DataParallel(model), epoch=2, max_epochs=4)
    hook.before_train(runner)
    assert head.alpha == 0.5
    with pytest.raises(ValueError, match=r'contrastive_head\.alpha'):
        hook.before_train(SimpleNamespace(model=nn.Linear(1, 1), epoch=0, max_epochs=4))
    with pytest.raises(ValueError, match='alpha in'):
        AlignmentStageHook(stages=[(2, 1.5)])


def test_stages_change_the_objective(one_epoch, tmp_path):
    first = losses(one_epoch)
    second = train(tmp_path, cfg=[*epochs(1), 'custom_hooks.0.stages=[(1,0.0)]'])
    assert second[0]['loss_vtc'] == pytest.approx(first[0]['loss_vtc'] / 3, rel=1e-5)
    assert second[0]['loss_vtm'] == first[0]['loss_vtm']


@pytest.mark.parametrize(
    'option',
    [
        'train_cfg.max_epochs=5',
        'param_scheduler.stages=[(3,1e-2)]',
        'custom_hooks.0.stages=[(2,1.0),(3,0.0)]',
        "train_dataloader.batch_sampler={'type': 'GroupBatchSampler', 'max_epochs': 9}",
    ],
)
def test_lengths_that_do_not_agree_stop_before_any_work(tmp_path, option):
    with pytest.raises(ValueError, match='do not agree') as error:
        train(tmp_path, cfg=[option])
    text = str(error.value)
    for key in ('train_cfg.max_epochs=', 'param_scheduler.stages=', 'custom_hooks.0.stages='):
        assert key in text
    if 'batch_sampler' in option:
        assert 'train_dataloader.batch_sampler.max_epochs=9: 9 epochs' in text
    assert not list(tmp_path.glob('*.pth'))


def test_a_schedule_in_steps_is_not_compared_with_epochs(tmp_path):
    schedule = "{'type': 'StagedWarmupCosine', 'stages': [(6, 1e-2)]}"
    assert len(train(tmp_path, cfg=[*epochs(1)[::2], f'param_scheduler={schedule}'])) == 6


def test_auto_scale_lr_scales_the_schedule(one_epoch, tmp_path):
    records = train(tmp_path, '--auto-scale-lr', cfg=epochs(1))
    half = [record['lr'] / 2 for record in losses(one_epoch)]
    assert [record['lr'] for record in records] == pytest.approx(half, rel=1e-12)  # 4 of 8
    with pytest.raises(ValueError, match='base_batch_size'):
        train(tmp_path / 'b', '--auto-scale-lr', cfg=['auto_scale_lr=None'])


@pytest.mark.skipif(torch.cuda.is_available(), reason='asks for a machine without GPU')
def test_amp_on_the_cpu_is_bfloat16(one_epoch, tmp_path, capsys):
    records, plain = train(tmp_path, '--amp', cfg=epochs(1)), losses(one_epoch)
    assert 'bfloat16 autocast on the CPU' in capsys.readouterr().err
    assert records[0]['loss'] != plain[0]['loss']
    assert records[0]['loss'] == pytest.approx(plain[0]['loss'], rel=0.05)


def test_the_cpu_clock_of_steps_leaves_out_what_is_between_epochs(tmp_path, monkeypatch):
    clock = iter([10.0, 20.0, 21.0, 23.0, 50.0, 54.0])
    monkeypatch.setattr(
        'stgt_mm.engine.hooks.metrics_file_hook.time', SimpleNamespace(process_time=clock.__next__)
    )
    hook, scalars = MetricsFileHook(flush_interval=3), SimpleNamespace(log_scalars={})
    runner = SimpleNamespace(work_dir=str(tmp_path), iter=0, epoch=0, message_hub=scalars)
    hook.before_train(runner)
    for steps in (2, 1):
        hook.before_train_epoch(runner)
        for _ in range(steps):
            hook.after_train_iter(runner, 0)
            runner.iter += 1
    records = read_metrics(tmp_path / 'metrics.jsonl', with_times=True)
    assert [record['cpu_time'] for record in records] == [1.0, 2.0, 4.0]


def test_metrics_of_a_cut_off_line_are_left_out(tmp_path):
    path = tmp_path / 'metrics.jsonl'
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "val/t2v/R1": 3.0}\n{"step": 2, "lo')
    assert [record['step'] for record in read_metrics(path)] == [1, 2]
    hook = MetricsFileHook()
    hook.before_train(SimpleNamespace(work_dir=str(tmp_path), iter=2))
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{'step': 1, 'loss': 2.0}]
    runner = SimpleNamespace(iter=1, epoch=0, message_hub=MessageHub.get_instance('test_metrics_file'))
    outputs = {'loss': torch.tensor(1.5), 'loss_vtm': torch.tensor(float('nan'))}
    hook.after_train_iter(runner, 1, outputs=outputs)
    hook.after_train(runner)
    expected = {'step': 2, 'epoch': 1, 'loss': 1.5, 'loss_vtm': None}
    assert read_metrics(path)[-1] == expected


def test_checkpoints_do_not_fall_between_accumulated_batches(tmp_path):
    wrapper = SimpleNamespace(_accumulative_counts=4)
    runner = SimpleNamespace(optim_wrapper=wrapper, work_dir=str(tmp_path))
    VideoTextCheckpointHook(interval_steps=8).before_train(runner)
    with pytest.raises(ValueError, match='use 8'):
        VideoTextCheckpointHook(interval_steps=6).before_train(runner)
    with pytest.raises(ValueError, match='interval_steps=0'):
        VideoTextCheckpointHook(interval_steps=0)


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('optim_wrapper.type=OptimWrapper', 'use AutocastOptimWrapper'),
        ('train_cfg.val_interval=0', r'train_cfg\.val_interval=0: at least 1'),
        ('optim_wrapper.clip_grad.max_norm=-1', r'clip_grad\.max_norm=-1: above 0'),
        ('default_hooks.checkpoint.save_best=t2v/Rmea', "Did you mean 't2v/Rmean'"),
    ],
)
def test_what_cannot_train_is_refused(tmp_path, option, message):
    with pytest.raises(KeyError if 'save_best' in option else ValueError, match=message):
        train(tmp_path, cfg=[option])


@pytest.mark.parametrize('position', [(0, 7), (1, 5), (5, 30), (-1, 0), (4, 25)])
def test_a_checkpoint_from_beyond_the_training_is_refused(position):
    loop = ResumableEpochLoop.__new__(ResumableEpochLoop)
    loop._dataloader = loop.dataloader = [0] * 6
    loop._max_epochs = 4
    for good in ((0, 0), (0, 6), (1, 6), (3, 20), (4, 24)):
        loop.restore(*good)
    message = rf'epoch {position[0]} and step {position[1]}; with 6 steps an epoch'
    with pytest.raises(ValueError, match=message):
        loop.restore(*position)


def test_step_seeds_differ():
    seeds = {step_seed(seed, step, rank) for seed in range(3) for step in range(20) for rank in range(2)}
    assert len(seeds) == 120
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_progress_line(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr('stgt_mm.progress._SURE_AFTER_SECONDS', 0)
    hook = [f'default_hooks.progress.{option}' for option in ('type=ProgressHook', 'seconds=0')]
    train(tmp_path, cfg=[*epochs(1), *hook])
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith('step: ')]
    assert len(lines) == 6
    assert re.fullmatch(r'step: 6/6, 0 s left, loss \d+\.\d{3}, \d+\.\d clips/s', lines[-1])


def test_tool_tests_a_checkpoint_strictly(one_epoch, tmp_path):
    test_set = ["test_cfg={'type': 'TestLoop'}", "test_evaluator={'type': 'ToyMetric'}"]
    loader = "test_dataloader={'batch_size': 4, 'dataset': {'type': 'ToyPairs', 'size': 8}, 'sampler': "
    loader += "{'type': 'EpochSampler', 'shuffle': False}, 'collate_fn': {'type': 'toy_collate'}}"
    out = tmp_path / 'results.json'
    arguments = [CONFIG, one_epoch / 'epoch_1.pth', '--work-dir', tmp_path, '--out', out]
    arguments = [str(argument) for argument in arguments]
    options = ['--cfg-options', 'log_level=ERROR', f'experiment_name=toy{tmp_path.name}', *test_set, loader]
    load_tool('test.py').main([*arguments, *options])
    expected = [r['val/t2v/Rmean'] for r in read_metrics(one_epoch / 'metrics.jsonl') if 'val/t2v/Rmean' in r]
    assert json.loads(out.read_text())['metrics']['t2v/Rmean'] == expected[-1]
    with pytest.raises(ValueError, match=r'layers\.0\.weight'):
        load_tool('test.py').main([*arguments, *options, 'model.hidden=9'])
    with pytest.raises(ValueError, match='takes no skip_broken'):
        load_tool('test.py').main([*arguments, '--skip-broken', *options])


def test_pages_go_to_the_file_alone_and_warnings_everywhere(tmp_path, capsys):
    logger = logging.Logger('console', logging.INFO)
    logger.addHandler(logging.StreamHandler())
    logger.addHandler(logging.FileHandler(tmp_path / 'run.log'))
    assert short_console(short_console(logger)) is logger
    assert len(logger.handlers[0].filters) == 1
    logger.info('one line')
    logger.info('page\n' * 30)
    logger.warning('broken\n' * 30)
    shown, filed = capsys.readouterr().err, (tmp_path / 'run.log').read_text()
    assert 'one line' in shown and 'page' not in shown and shown.count('broken') == 30
    assert filed.count('page') == 30 and filed.count('broken') == 30
