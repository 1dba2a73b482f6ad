import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOYS = ROOT / 'tests' / 'engine'
CONFIG = str(TOYS / 'engine_toy_config.py')


def run(tool, *arguments):
    environment = {**os.environ, 'PYTHONPATH': f'{ROOT}:{TOYS}', 'OMP_NUM_THREADS': '1'}
    command = [sys.executable, str(ROOT / 'tools' / tool), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)


@pytest.mark.parametrize(
    ('tool', 'arguments', 'message'),
    [
        ('train.py', ['no/config.py'], "no config at 'no/config.py'"),
        ('train.py', [CONFIG, '--cfg-options', 'model.type=ToyModle'], "Did you mean 'ToyModel'"),
        ('train.py', [CONFIG, '--resume', 'no.pth'], 'no checkpoint at no.pth'),
        ('train.py', [CONFIG, '--launcher', 'pytorch'], 'tools/dist_train.sh'),
        ('test.py', [CONFIG, 'no.pth'], 'nothing to test on'),
    ],
)
def test_mistakes_give_one_message(tool, arguments, message, tmp_path):
    extra = [] if '--cfg-options' in arguments else ['--cfg-options', 'log_level=ERROR']
    done = run(tool, *arguments, *extra, '--work-dir', tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr.split('error: ')[-1]
    assert 'Traceback' not in done.stderr


def test_traceback_on_request():
    done = run('misc/print_config.py', 'no/config.py', '--traceback')
    assert done.returncode == 2
    assert 'Traceback' in done.stderr


def test_printed_config_loads_again(tmp_path):
    out = tmp_path / 'out.py'
    done = run('misc/print_config.py', CONFIG, '--out', out, '--cfg-options', 'train_cfg.max_epochs=7')
    assert done.returncode == 0, done.stderr
    printed = run('misc/print_config.py', out)
    assert 'max_epochs=7' in printed.stdout


def test_waiting_threads_do_not_spin():
    code = 'import stgt_mm.engine.cli, os, sys; print(os.environ["OMP_WAIT_POLICY"], "torch" in sys.modules)'
    environment = {key: value for key, value in os.environ.items() if key != 'OMP_WAIT_POLICY'}
    environment['PYTHONPATH'] = str(ROOT)
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.split() == ['PASSIVE', 'False']
