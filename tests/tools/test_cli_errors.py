import os
import subprocess
import sys

import pytest
from command_line import ROOT, run, run_here

TOYS = ROOT / 'tests' / 'engine'
CONFIG = str(TOYS / 'engine_toy_config.py')


sys.path.insert(0, str(TOYS))


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
def test_mistakes_give_one_message(tool, arguments, message, tmp_path, capsys):
    options = ['--cfg-options', 'log_level=ERROR', f'experiment_name={tmp_path.name}', '--work-dir', tmp_path]
    assert run_here(tool, *arguments, *options) == 2
    printed = capsys.readouterr().err
    assert message in printed.split('error: ')[-1]
    assert 'Traceback' not in printed


def test_a_process_ends_with_the_message_and_status_2():
    done = run('train.py', 'no/config.py')
    assert done.returncode == 2
    assert done.stderr.startswith('\nerror: no config at')


def test_traceback_on_request(capsys):
    assert run_here('misc/print_config.py', 'no/config.py', '--traceback') == 2
    assert 'Traceback' in capsys.readouterr().err


def test_printed_config_loads_again(tmp_path, capsys):
    out = tmp_path / 'out.py'
    options = ['--out', out, '--cfg-options', 'train_cfg.max_epochs=7']
    assert run_here('misc/print_config.py', CONFIG, *options) == 0
    assert run_here('misc/print_config.py', out) == 0
    assert 'max_epochs=7' in capsys.readouterr().out


def test_waiting_threads_do_not_spin():
    code = 'import stgt_mm.engine.cli, os, sys; print(os.environ["OMP_WAIT_POLICY"], "torch" in sys.modules)'
    environment = {key: value for key, value in os.environ.items() if key != 'OMP_WAIT_POLICY'}
    environment['PYTHONPATH'] = str(ROOT)
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.split() == ['PASSIVE', 'False']
