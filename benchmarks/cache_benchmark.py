"""What a feature cache saves in a short training, and whether it changes the result."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timing import Stopwatch

from stgt_mm.config_check import resolve_type
from stgt_mm.datasets import read_records, write_records
from stgt_mm.engine.cli import build_runner
from stgt_mm.engine.hooks import AlignmentStageHook, FeatureCacheHook
from stgt_mm.engine.hooks.metrics_file_hook import read_metrics


@dataclass
class CacheRun:
    """A training.

    Attributes:
        wall: Part -> seconds of the wall clock; ``fill`` is the cache's, 0 without one.
        cpu: The same in CPU time; nothing runs in other processes.
        records: Lines of ``metrics.jsonl``: losses of all steps, metrics of the validations.
    """

    wall: dict[str, float]
    cpu: dict[str, float]
    records: list[dict[str, float]]


def shorten(cfg: Any, epochs: int, pairs: int, folder: Path) -> None:
    """Makes a training of one stage, so many epochs and pairs long; data are loaded in this process.

    Args:
        cfg: The config, changed in place. The learning rate and the objective are those of its last stage.
        epochs: Epochs.
        pairs: Training pairs, the first of the annotation file.
        folder: Where the shorter annotation file goes.
    """
    cfg.train_cfg.update(max_epochs=epochs, val_interval=epochs, val_begin=1)
    schedules = cfg.param_scheduler if isinstance(cfg.param_scheduler, list) else [cfg.param_scheduler]
    hooks = [hook for hook in cfg.get('custom_hooks') or [] if _is(hook, AlignmentStageHook)]
    for node in [schedule for schedule in schedules if 'stages' in schedule] + hooks:
        node.stages = [(epochs, node.stages[-1][1])]
    dataset = cfg.train_dataloader.dataset
    records = list(read_records(dataset.ann_file))[:pairs]
    write_records(records, folder / 'train.jsonl')
    dataset.ann_file = str(folder / 'train.jsonl')
    # whole batches in the order of the data: a curriculum would leave clips out of a training this short
    cfg.train_dataloader.pop('batch_sampler', None)
    cfg.train_dataloader.sampler.pop('samples_per_epoch', None)
    for name in ('train_dataloader', 'val_dataloader'):
        if cfg.get(name):
            cfg[name].update(num_workers=0, persistent_workers=False)
    for key in ('test_cfg', 'test_dataloader', 'test_evaluator'):
        cfg.pop(key, None)


def set_cache(cfg: Any, cache: dict[str, Any] | None) -> None:
    """Turns the feature cache of training and validation on or off.

    Args:
        cfg: The config, changed in place.
        cache: ``dict(root=..., ...)``, or None for off.
    """
    for name in ('train_dataloader', 'val_dataloader'):
        if cfg.get(name):
            cfg[name].dataset.feature_cache = cache
    hooks = [hook for hook in cfg.get('custom_hooks') or [] if not _is(hook, FeatureCacheHook)]
    cfg.custom_hooks = [{'type': 'FeatureCacheHook', 'num_workers': 0}, *hooks]


def train_watched(cfg: Any) -> CacheRun:
    """Trains with a clock on filling the cache and on loading clips; all else is ``train``.

    Args:
        cfg: The config, with a ``work_dir`` of its own.

    Returns:
        What it took, and its numbers.
    """
    runner = build_runner(cfg)
    watch = Stopwatch(next(runner.model.parameters()).device)
    dataset = type(runner.train_loop.dataloader.dataset)
    parts = [('load clips', dataset, '__getitem__'), ('fill', FeatureCacheHook, 'before_train')]
    with watch.watching(*parts), watch.part('train'):
        runner.train()
    return CacheRun(watch.totals(), watch.totals('cpu'), read_metrics(Path(cfg.work_dir) / 'metrics.jsonl'))


def largest_difference(first: CacheRun, second: CacheRun) -> float:
    """Compares all losses and metrics of two runs.

    Args:
        first: A run.
        second: Another.

    Returns:
        The largest relative difference, with 1 as the smallest scale.

    Raises:
        ValueError: If they have not recorded the same things.
    """
    worst = 0.0
    for one, other in zip(first.records, second.records, strict=True):
        if one.keys() != other.keys():
            raise ValueError(f'one run recorded {sorted(one)}, the other {sorted(other)}.')
        for key, value in one.items():
            if value is not None and other[key] is not None:
                worst = max(worst, abs(value - other[key]) / max(1.0, abs(value)))
            elif value is not other[key]:
                return math.inf
    return worst


def _is(node: Any, kind: type) -> bool:
    found = resolve_type(node['type'], ('custom_hooks',))
    return isinstance(found, type) and issubclass(found, kind)
