"""Measures what a feature cache gives in a short training, and whether it changes the result.

The config is trained with and without a cache, in turns and in one process, from the same start and on the
same batches. Losses of all steps and the metrics of the validation are compared. Filling the cache counts.

Example:
    python benchmarks/benchmark_feature_cache.py configs/moving_shapes/stgt_tiny.py --pairs 1024
"""

import argparse
import itertools
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from timing import Stopwatch

from stgt_mm.config import load_config, parse_overrides
from stgt_mm.config_check import resolve_type
from stgt_mm.engine.cli import add_config_options, build_runner, described_parser, run_tool
from stgt_mm.engine.hooks import AlignmentStageHook, FeatureCacheHook
from stgt_mm.engine.hooks.metrics_file_hook import read_metrics


class CacheRun(NamedTuple):
    """Seconds by part of a training (``fill``: of the cache), and the lines of its ``metrics.jsonl``."""

    wall: dict[str, float]
    cpu: dict[str, float]
    records: list[dict[str, float]]


def shorten(cfg: Any, epochs: int, pairs: int, folder: Path) -> None:
    """Makes a training of one stage in place, so many epochs and pairs long, that loads data in this process.

    The learning rate and the objective are those of the last stage, the pairs the first of the annotation
    file, of which ``folder`` gets a shorter one.
    """
    cfg.train_cfg.update(max_epochs=epochs, val_interval=epochs, val_begin=1)
    schedules = cfg.param_scheduler if isinstance(cfg.param_scheduler, list) else [cfg.param_scheduler]
    hooks = [hook for hook in cfg.get('custom_hooks') or [] if _is(hook, AlignmentStageHook)]
    for node in [schedule for schedule in schedules if 'stages' in schedule] + hooks:
        node.stages = [(epochs, node.stages[-1][1])]
    dataset = cfg.train_dataloader.dataset
    with open(dataset.ann_file, encoding='utf-8') as lines:
        (folder / 'train.jsonl').write_text(''.join(itertools.islice(lines, pairs)), encoding='utf-8')
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
    """Sets the feature cache of training and validation in place: ``dict(root=..., ...)``, None for off."""
    for name in ('train_dataloader', 'val_dataloader'):
        if cfg.get(name):
            cfg[name].dataset.feature_cache = cache
    hooks = [hook for hook in cfg.get('custom_hooks') or [] if not _is(hook, FeatureCacheHook)]
    cfg.custom_hooks = [{'type': 'FeatureCacheHook', 'num_workers': 0}, *hooks]


def train_watched(cfg: Any) -> CacheRun:
    """Trains in the config's ``work_dir`` with a clock on filling the cache and on loading clips."""
    runner = build_runner(cfg)
    watch = Stopwatch(next(runner.model.parameters()).device)
    dataset = type(runner.train_loop.dataloader.dataset)
    parts = [('load clips', dataset, '__getitem__'), ('fill', FeatureCacheHook, 'before_train')]
    with watch.watching(*parts), watch.part('train'):
        runner.train()
    return CacheRun(watch.totals(), watch.totals('cpu'), read_metrics(Path(cfg.work_dir) / 'metrics.jsonl'))


def largest_difference(first: CacheRun, second: CacheRun) -> float:
    """Returns the largest relative difference of all losses and metrics, with 1 as the smallest scale.

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


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    add_config_options(parser)
    parser.add_argument('--epochs', type=int, default=3, help='epochs of a training')
    parser.add_argument('--pairs', type=int, default=1024, help='training pairs')
    parser.add_argument('--rounds', type=int, default=1, help='trainings of each kind')
    parser.add_argument('--dtype', default='float32', help='type of the cache: float32 or float16')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads')
    return parser.parse_args(argv)


def train(args: argparse.Namespace, name: str, cache: dict[str, Any] | None, folder: Path) -> CacheRun:
    """Trains once, with or without a cache."""
    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    shorten(cfg, args.epochs, args.pairs, folder)
    set_cache(cfg, cache)
    cfg.update(work_dir=str(folder / name), experiment_name=f'{name}-{id(folder)}', launcher='none')
    cfg.log_level = 'WARNING'
    return train_watched(cfg)


def main(argv: Sequence[str] | None = None) -> None:
    """Trains in turns and prints."""
    args = parse_args(argv)
    if min(args.epochs, args.pairs, args.rounds) < 1:
        raise ValueError('--epochs, --pairs and --rounds are at least 1.')
    torch.set_num_threads(args.threads)
    runs: dict[str, list[Any]] = {'without': [], 'with': []}
    with tempfile.TemporaryDirectory() as name:
        for round_ in range(args.rounds):
            for kind, done in runs.items():
                # a root a round: filling is part of what a cache costs
                root = {'root': str(Path(name) / f'cache{round_}'), 'dtype': args.dtype}
                cache = root if kind == 'with' else None
                done.append(train(args, f'{kind}{round_}', cache, Path(name)))
    print(f'\n{args.epochs} epochs of {args.pairs} pairs, {args.threads} threads, cache in {args.dtype}:')
    for clock in ('wall', 'cpu'):
        sums = {kind: [sum(getattr(run, clock).values()) for run in done] for kind, done in runs.items()}
        for kind, done in runs.items():
            parts = {
                part: median(getattr(run, clock).get(part, 0.0) for run in done) for part in done[0].wall
            }
            shown = ', '.join(f'{part} {seconds:.2f}' for part, seconds in parts.items())
            print(f'  {clock:4} {kind:8}{median(sums[kind]):9.2f} s: {shown}')
        ratio = median(a / b for a, b in zip(sums['with'], sums['without']))
        print(f'  {clock:4} with / without: {ratio:.3f}')
    difference = largest_difference(runs['without'][0], runs['with'][0])
    print(f'largest relative difference of all losses and metrics: {difference:.1e}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
