"""Profiles training steps: what goes into the model, and what into data, tokens, logging and synchronisation.

The config is trained for some steps through its own loop and hooks, into a folder that is thrown away. The
shares are of one run; validation is left out. The CPU's clock counts the main process with all its threads:
workers and other programs do not show in it; waiting for workers shows by the wall clock alone.

Example:
    python benchmarks/profile_training.py configs/moving_shapes/stgt_tiny.py --workers 2 --steps 50
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence

from stgt_mm.engine.cli import add_config_options, build_runner, described_parser, run_tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    add_config_options(parser)
    parser.add_argument('--steps', type=int, default=50, help='steps that are measured')
    parser.add_argument('--warm-up', type=int, default=5, help='steps before them')
    parser.add_argument('--workers', type=int, default=2, help='processes that load data')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Profiles and prints."""
    args = parse_args(argv)
    if args.steps < 1 or args.warm_up < 0 or args.workers < 0:
        raise ValueError(
            f'--steps {args.steps}, --warm-up {args.warm_up}, --workers {args.workers}: too small.'
        )
    import torch
    from training_profile import OVERHEAD, overhead, profile_training

    from stgt_mm.config import load_config, parse_overrides

    torch.set_num_threads(args.threads)
    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    if not cfg.get('train_dataloader'):
        raise ValueError(f'{args.config} has no train_dataloader: there is no training to profile.')
    cfg.train_dataloader.update(num_workers=args.workers, persistent_workers=args.workers > 0)
    for key in ('cfg', 'dataloader', 'evaluator'):
        cfg.pop(f'val_{key}', None)
        cfg.pop(f'test_{key}', None)
    with tempfile.TemporaryDirectory() as folder:
        cfg.work_dir = folder
        cfg.launcher = 'none'
        watch = profile_training(build_runner(cfg), args.steps, args.warm_up)
    wall, cpu = watch.totals(), watch.totals('cpu')
    print(f'\n{args.steps} steps, {args.workers} workers, {args.threads} threads; of a step:')
    for part, seconds in sorted(wall.items(), key=lambda pair: -pair[1]):
        print(
            f'  {"- " if part in OVERHEAD else "  "}{part:22}{1e3 * seconds / args.steps:9.2f} ms '
            f'{100 * seconds / sum(wall.values()):5.1f}%   CPU {1e3 * cpu[part] / args.steps:9.2f} ms '
            f'{100 * cpu[part] / sum(cpu.values()):5.1f}%'
        )
    each = [1e3 * sum(clock.values()) / args.steps for clock in (wall, cpu)]
    print(
        f'a step {each[0]:.1f} ms, CPU {each[1]:.1f} ms; '
        f'not the model (-): {100 * overhead(wall):.1f}%, CPU {100 * overhead(cpu):.1f}%'
    )


if __name__ == '__main__':
    sys.exit(run_tool(main))
