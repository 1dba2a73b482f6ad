"""Measures what a feature cache gives in a short training, and whether it changes the result.

The config is trained with and without a cache, in turns and in one process, from the same start and on the
same batches. Losses of all steps and the metrics of the validation are compared. Filling the cache counts.

Example:
    python benchmarks/benchmark_feature_cache.py configs/moving_shapes/stgt_tiny.py --pairs 1024
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from stgt_mm.engine.cli import add_config_options, described_parser, run_tool


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


def train(args: argparse.Namespace, name: str, cache: dict[str, Any] | None, folder: Path) -> Any:
    """Trains once.

    Args:
        args: Options.
        name: Name of the run.
        cache: The cache, or None.
        folder: Where it writes.

    Returns:
        The run.
    """
    from cache_benchmark import set_cache, shorten, train_watched

    from stgt_mm.config import load_config, parse_overrides

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
    import torch
    from cache_benchmark import largest_difference

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
