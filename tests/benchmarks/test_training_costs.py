"""Profiles of training: every step is covered once, the cache changes no result and saves the backbone."""

import pytest
from benchmark_feature_cache import CacheRun, largest_difference, set_cache, shorten, train_watched
from command_line import ROOT, run_here
from profile_training import OVERHEAD, overhead, profile_training

from stgt_mm.config import load_config
from stgt_mm.engine.cli import build_runner

TINY = ROOT / 'configs/moving_shapes/stgt_tiny.py'


def options(data):
    return {'data_root': str(data), 'model.data_preprocessor.tokenizer.vocab': f'{data}/vocab.txt'}


def short(data, folder, cache, name):
    cfg = load_config(TINY, options(data))
    folder.mkdir(exist_ok=True)
    shorten(cfg, 2, 16, folder)
    cfg.train_dataloader.batch_size = 8
    set_cache(cfg, cache)
    cfg.update(work_dir=str(folder / name), experiment_name=f'{folder.parent.name}-{name}', launcher='none')
    cfg.log_level = 'ERROR'
    return cfg


def test_a_cache_changes_no_result_of_a_deterministic_pipeline(small_moving_shapes, tmp_path):
    folder = tmp_path / 'run'
    without = train_watched(short(small_moving_shapes, folder, None, 'without'))
    exact = {'root': str(tmp_path), 'dtype': 'float32'}
    single = train_watched(short(small_moving_shapes, folder, exact, 'single'))
    half = train_watched(short(small_moving_shapes, folder, {'root': str(tmp_path)}, 'half'))
    steps = [record for record in without.records if 'loss' in record]
    assert [record['epoch'] for record in steps] == [1, 1, 2, 2]
    assert 'val/t2v/R1' in without.records[-1]
    assert largest_difference(without, single) < 1e-4
    assert 0 < largest_difference(without, half) < 0.5  # float16 rounds, and training amplifies it
    assert single.wall['fill'] > without.wall['fill'] >= 0
    assert len(list(tmp_path.glob('*/features.npy'))) == 4  # training and validation, in two types


def test_a_difference_is_seen():
    first = CacheRun({}, {}, [{'loss': 2.0, 'val/R1': 50.0, 'x': None}])
    assert largest_difference(first, CacheRun({}, {}, [{'loss': 2.0, 'val/R1': 50.0, 'x': None}])) == 0
    assert largest_difference(first, CacheRun({}, {}, [{'loss': 2.0, 'val/R1': 49.0, 'x': None}])) == 0.02
    assert largest_difference(first, CacheRun({}, {}, [{'loss': 2.0, 'val/R1': 50.0, 'x': 1.0}])) > 1e9
    with pytest.raises(ValueError, match='recorded'):
        largest_difference(first, CacheRun({}, {}, [{'loss': 2.0}]))


def test_every_part_of_a_step_is_seen(small_moving_shapes, tmp_path):
    cfg = short(small_moving_shapes, tmp_path / 'run', None, 'profile')
    for key in ('val_cfg', 'val_dataloader', 'val_evaluator'):
        cfg.pop(key, None)
    runner = build_runner(cfg)
    watch = profile_training(runner, steps=2, warm_up=2)
    assert runner.iter == 4 and sum(map(bool, watch.rounds)) == 2
    found = watch.totals()
    assert set(OVERHEAD) <= set(found)
    assert {'neck', 'Q-Former: video', 're-rank', 'heads, losses', 'backward', 'optimizer'} <= set(found)
    assert all(seconds > 0 for seconds in found.values())
    assert 0 < overhead(found) < 1
    with pytest.raises(ValueError, match='are wanted: take fewer'):
        profile_training(runner, steps=50)


def test_the_share_is_of_the_whole():
    assert overhead({'data loading': 1.0, 'seeding': 1.0, 'backward': 6.0}) == 0.25


def test_tools(small_moving_shapes, capfd):
    given = [f'{key}={value}' for key, value in options(small_moving_shapes).items()]
    small = [
        'train_dataloader.batch_size=8',
        'train_dataloader.batch_sampler.curriculum=None',
        'log_level=ERROR',
    ]
    arguments = ['--steps', 2, '--warm-up', 1, '--workers', 0, '--cfg-options', *given, *small]
    assert run_here('../benchmarks/profile_training.py', TINY, *arguments) == 0
    printed = capfd.readouterr().out
    assert '2 steps, 0 workers' in printed and 'not the model (-):' in printed and '- data loading' in printed
    arguments = ['--epochs', 1, '--pairs', 8, '--cfg-options', *given, 'train_dataloader.batch_size=8']
    assert run_here('../benchmarks/benchmark_feature_cache.py', TINY, *arguments) == 0
    printed = capfd.readouterr().out
    assert '1 epochs of 8 pairs' in printed and 'with / without' in printed
    assert float(printed.split('losses and metrics: ')[1]) < 1e-4
    assert run_here('../benchmarks/benchmark_feature_cache.py', TINY, '--pairs', 0) == 2
