"""What tests of several folders share: a small Moving Shapes, the configs at reduced size, one thread."""

import os
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
# the toy components of the engine's tests are a module of a user's own, found through custom_imports
sys.path[:0] = [str(ROOT / 'tests'), str(ROOT / 'tests/engine')]


@pytest.fixture(autouse=True, scope='session')
def one_thread():
    torch.set_num_threads(1)
    os.environ['OMP_NUM_THREADS'] = '1'


@pytest.fixture(autouse=True)
def no_formatting(monkeypatch):
    """Leaves the layout of dumped configs alone: it takes most of the time of a run that is small."""
    monkeypatch.setattr('mmengine.config.config.FormatCode', lambda text, **_: (text, True))


@pytest.fixture(scope='session')
def small_moving_shapes(tmp_path_factory):
    """A Moving Shapes of 64 training, 12 validation and 20 test clips, made by the command."""
    from command_line import run_here

    root = tmp_path_factory.mktemp('data') / 'moving_shapes'
    sizes = ['--train', '64', '--val', '12', '--test', '20', '--one-fact', '26', '--jobs', '1']
    assert run_here('dataset_converters/moving_shapes.py', root, *sizes) == 0
    return root
