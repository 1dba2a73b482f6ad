import os
import subprocess
import sys

import pytest
import torch
from engine_runs import CONFIG, HERE, ROOT, epochs

from stgt_mm.engine.checkpoint.files import read_checkpoint
from stgt_mm.engine.hooks.metrics_file_hook import read_metrics


def launch(script, *arguments):
    environment = {**os.environ, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(HERE)}
    command = ['bash', str(ROOT / 'tools' / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)


@pytest.mark.integration
@pytest.mark.skipif(torch.cuda.is_available(), reason='asks for a machine without GPU')
def test_two_processes_train_and_resume_without_gpu(tmp_path):
    options = ['--cfg-options', 'log_level=WARNING', *epochs(2)]
    done = launch('dist_train.sh', CONFIG, 2, '--work-dir', tmp_path, *options)
    assert done.returncode == 0, done.stderr
    assert 'joined by gloo' in done.stderr
    records = read_metrics(tmp_path / 'metrics.jsonl')
    steps = [record for record in records if 'loss' in record]
    assert [record['step'] for record in steps] == [1, 2, 3, 4, 5, 6]  # 24 samples, 2 processes of 4
    assert read_checkpoint(tmp_path / 'epoch_2.pth')['meta']['fingerprint']['processes'] == '2'
    (tmp_path / 'epoch_2.pth').unlink()
    again = launch('dist_train.sh', CONFIG, 2, '--work-dir', tmp_path, '--resume', *options)
    assert again.returncode == 0, again.stderr
    assert read_metrics(tmp_path / 'metrics.jsonl') == records
    alone = subprocess.run(
        [
            sys.executable,
            str(ROOT / 'tools/train.py'),
            CONFIG,
            '--work-dir',
            str(tmp_path),
            '--resume',
            *options,
        ],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': f'{ROOT}:{HERE}'},
        check=False,
    )
    assert alone.returncode == 2
    assert 'processes: 2 -> 1' in alone.stderr
    fewer = launch('dist_train.sh', CONFIG, 1, '--work-dir', tmp_path, '--resume', *options)
    assert fewer.returncode == 2
    assert 'processes: 2 -> 1' in fewer.stderr and 'Traceback' not in fewer.stderr


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([CONFIG], 'GPUS is missing'),
        ([CONFIG, 'two'], 'a positive number'),
        ([CONFIG, '9' * 20], 'a positive number'),
        ([CONFIG, '100000'], 'GPUS=100000, but this machine has'),
    ],
)
def test_launcher_explains_its_arguments(arguments, message):
    done = launch('dist_train.sh', *arguments)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.skipif(torch.cuda.device_count() == 1, reason='asks for two processes')
@pytest.mark.parametrize(
    ('script', 'arguments', 'options', 'message'),
    [
        (
            'dist_train.sh',
            [],
            ['load_from=no/w.safetensors'],
            'no checkpoint at no/w.safetensors (load_from)',
        ),
        ('dist_train.sh', [], ['model.type=ToyModle'], "Did you mean 'ToyModel'"),
        ('dist_test.sh', ['no.pth'], [], 'nothing to test on'),
    ],
)
def test_mistakes_are_told_once_and_not_by_the_launcher(tmp_path, script, arguments, options, message):
    settings = ['--cfg-options', 'log_level=WARNING', *options]
    done = launch(script, CONFIG, *arguments, 2, '--work-dir', tmp_path / 'run', *settings)
    assert done.returncode == 2
    assert done.stderr.count(message) == 1 and done.stderr.count('error: ') == 1, done.stderr
    assert 'Traceback' not in done.stderr and 'ChildFailedError' not in done.stderr
    assert not (tmp_path / 'run').exists()


def test_more_processes_than_gpus_is_an_error(tmp_path):
    fake = tmp_path / 'python'
    fake.write_text('#!/bin/sh\necho 2\n')
    fake.chmod(0o755)
    environment = {**os.environ, 'PYTHON': str(fake)}
    command = ['bash', str(ROOT / 'tools/dist_train.sh'), CONFIG, '3']
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert 'GPUS=3, but this machine has 2' in done.stderr


def test_several_machines_need_to_know_where_to_meet():
    environment = {**os.environ, 'PYTHON': sys.executable, 'NNODES': '2', 'NODE_RANK': '1', 'MASTER_ADDR': ''}
    command = ['bash', str(ROOT / 'tools/dist_train.sh'), CONFIG, '1']
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert 'MASTER_ADDR (address of node 0)' in done.stderr
