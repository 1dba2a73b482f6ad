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
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import torch
from mmengine.hooks import Hook
from timing import Stopwatch, model_parts

from stgt_mm.config import load_config, parse_overrides
from stgt_mm.engine.cli import add_config_options, build_runner, described_parser, run_tool
from stgt_mm.engine.loops import epoch_loop
from stgt_mm.utils import bare_model

# What a step is not for; all other parts are the model and its update.
OVERHEAD = (
    'data loading',
    'tokenising',
    'seeding',
    'synchronisation',
    'hooks and logging',
    'rest of the step',
)


class StopAfterHook(Hook):
    """Ends training after some steps; the checkpoint that follows is booked on a round of its own."""

    priority = 'LOWEST'

    def __init__(self, steps: int, watch: Stopwatch) -> None:
        self.steps = steps
        self.watch = watch

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        """Stops the loop when the steps are done."""
        if runner.iter + 1 >= self.steps:
            runner.train_loop.stop_training = True
            self.watch.new_round()


def profile_training(runner: Any, steps: int, warm_up: int = 3) -> Stopwatch:
    """Trains some steps through the runner's own loop and hooks, with a clock on each part.

    Args:
        runner: A ``VideoTextRunner`` without validation.
        steps: Steps that are measured.
        warm_up: Steps before them.

    Returns:
        The watch, a round a step. Outside the loop (start, checkpoint at the end) nothing is booked.

    Raises:
        ValueError: If the training is too short.
    """
    loop = runner.train_loop
    if loop.max_iters < steps + warm_up:
        raise ValueError(f'training has {loop.max_iters} steps, {warm_up} + {steps} are wanted: take fewer.')
    model = bare_model(runner.model)
    watch = Stopwatch(next(model.parameters()).device)
    runner.register_hook(StopAfterHook(steps + warm_up, watch))
    batches_from = loop._batches_from

    def watched_batches(start: int) -> Iterator[Any]:
        batches = batches_from(start)
        if loop.iter == 0:
            # only now: schedulers take the methods of the optimizer when training starts
            wrapper = runner.optim_wrapper
            updates = [('backward', 'backward'), ('optimizer', 'step'), ('optimizer', 'zero_grad')]
            stack.enter_context(watch.watching(*((part, wrapper, name) for part, name in updates)))
        while True:
            watch.new_round()
            with watch.part('data loading'):
                try:
                    batch = next(batches)
                except StopIteration:
                    return
            yield batch

    parts = [part for part in model_parts(model) if part[0] != 'prepare']
    parts += [
        ('tokenising', model.data_preprocessor, 'forward'),
        ('heads, losses', model, 'loss'),
        ('hooks and logging', runner, 'call_hook'),
        ('rest of the step', loop, 'run_iter'),
        ('synchronisation', epoch_loop, 'mean_over_ranks'),
        ('seeding', epoch_loop, 'seed_everything'),
    ]
    with ExitStack() as stack:
        stack.enter_context(patch.object(loop, '_batches_from', watched_batches))
        stack.enter_context(watch.watching(*parts))
        runner.train()
    watch.rounds = watch.rounds[1 + warm_up : 1 + warm_up + steps]
    return watch


def overhead(seconds: dict[str, float]) -> float:
    """Returns the share of a step that is not the model, from seconds by part."""
    return sum(seconds.get(part, 0.0) for part in OVERHEAD) / sum(seconds.values())


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
