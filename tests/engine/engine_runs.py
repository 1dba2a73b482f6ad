"""Runs the training tool on the toy config inside the test process, or in one that gets killed."""

import os
import resource
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from command_line import load_tool
from tool_processes import run_tool_process

from stgt_mm.engine.hooks.metrics_file_hook import read_metrics

HERE = Path(__file__).parent
CONFIG = str(HERE / 'engine_toy_config.py')
NUMBERS = count()


def train(work_dir, *options, cfg=()):
    load_tool('train.py').main(toy(work_dir, *options, cfg=cfg))
    return losses(work_dir)


def toy(work_dir, *options, cfg=()):
    # mmengine keeps one message hub a name and second, so each run needs a name of its own
    name = f'experiment_name=toy{os.getpid()}x{next(NUMBERS)}'
    return [CONFIG, '--work-dir', str(work_dir), *options, '--cfg-options', name, 'log_level=ERROR', *cfg]


def epochs(count):
    """Options that make every part of the toy config count on so many epochs."""
    lengths = [min(count, 2)] + [count - 2] * (count > 2)
    rates = [(length, rate) for length, rate in zip(lengths, (1e-2, 5e-3), strict=False)]
    alphas = [(length, alpha) for length, alpha in zip(lengths, (1.0, 0.0), strict=False)]
    return [
        f'train_cfg.max_epochs={count}',
        f'param_scheduler.stages={rates}',
        f'custom_hooks.0.stages={alphas}',
    ]


def train_and_kill(work_dir, sample, *options, cfg=()):
    """Trains in a process that kills itself with SIGKILL when the data set serves its n-th sample."""
    options = toy(work_dir, *options, cfg=cfg)
    return run_tool_process('train.py', *options, paths=[HERE], TOY_KILL_AT=sample).returncode


def losses(work_dir):
    records = read_metrics(Path(work_dir) / 'metrics.jsonl')
    return [record for record in records if 'loss' in record]


@contextmanager
def files_of_at_most(size):
    """No file of this process can grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
