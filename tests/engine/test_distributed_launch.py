import os
import subprocess

import pytest
import torch
from command_line import run, run_here
from engine_runs import CONFIG, HERE, ROOT, epochs

from stgt_mm.engine.checkpoint.files import read_checkpoint
from stgt_mm.engine.hooks.metrics_file_hook import read_metrics


def launch(script, *arguments):
    return run(script, *arguments, paths=[HERE])


@pytest.mark.integration
@pytest.mark.skipif(torch.cuda.is_available(), reason='asks for a machine without GPU')
def test_two_processes_train_and_resume_without_gpu(tmp_path, capsys):
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
    alone = [CONFIG, '--work-dir', tmp_path, '--resume', *options, f'experiment_name=alone{tmp_path.name}']
    assert run_here('train.py', *alone) == 2
    assert 'processes: 2 -> 1' in capsys.readouterr().err
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


@pytest.mark.parametrize(
    ('environment', 'gpus', 'message'),
    [
        ({'PYTHON': 'fake'}, '3', 'GPUS=3, but this machine has 2'),
        ({'NNODES': '2', 'NODE_RANK': '1', 'MASTER_ADDR': ''}, '1', 'MASTER_ADDR (address of node 0)'),
    ],
)
def test_what_the_machine_or_the_environment_lacks_is_an_error(tmp_path, environment, gpus, message):
    fake = tmp_path / 'fake'
    fake.write_text('#!/bin/sh\necho 2\n')  # torch.cuda.device_count()
    fake.chmod(0o755)
    environment = {**os.environ, **environment, 'PYTHON': str(fake)}
    command = ['bash', str(ROOT / 'tools/dist_train.sh'), CONFIG, gpus]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert message in done.stderr
