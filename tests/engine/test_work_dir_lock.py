"""A work dir belongs to one training at a time."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from command_line import ROOT, run_here
from engine_runs import CONFIG, epochs

HOLDER = """
import sys, time
from stgt_mm.engine.work_dir_lock import work_dir_lock
with work_dir_lock(sys.argv[1]):
    print('held', flush=True)
    time.sleep(100)
"""


@pytest.fixture
def other(tmp_path):
    """Another training of the work dir ``run``."""
    command = [sys.executable, '-c', HOLDER, str(tmp_path / 'run')]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout.readline() == 'held\n'
        yield process
        process.kill()


def test_a_second_training_stops_and_a_dead_one_gives_way(other, tmp_path, capsys):
    options = ['--cfg-options', 'log_level=ERROR', f'experiment_name=lock{tmp_path.name}', *epochs(1)]
    arguments = ['train.py', CONFIG, '--work-dir', tmp_path / 'run', *options]
    assert run_here(*arguments) == 2
    message = capsys.readouterr().err
    assert f'process {other.pid} on {socket.gethostname()}' in message and '--work-dir' in message
    assert 'Traceback' not in message
    assert not list((tmp_path / 'run').glob('*.jsonl')), 'nothing was written'
    other.send_signal(signal.SIGKILL)
    other.wait()
    started = time.monotonic()
    assert run_here(*arguments) == 0
    assert (tmp_path / 'run/epoch_1.pth').is_file() and time.monotonic() - started < 25
