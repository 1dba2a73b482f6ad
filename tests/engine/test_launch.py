"""Several processes on the CPU: torchrun, Slurm with a stand-in for srun, a killed process, mistakes."""

import json
import os
import sys

import pytest
import torch
from command_line import run
from engine_runs import CONFIG, HERE, epochs
from tool_processes import run_together, torchrun

from stgt_mm.engine.checkpoint.files import read_checkpoint
from stgt_mm.engine.hooks.metrics_file_hook import read_metrics
from stgt_mm.engine.launcher import init_distributed
from stgt_mm.engine.torchrun import check_devices

SRUN = """#!{python}
import json, os, sys
words, options = sys.argv[1:], {{}}
while words[0].startswith('-'):
    name = words.pop(0)
    options[name] = None if '=' in name else words.pop(0)
json.dump([options, words, os.environ.get('MASTER_PORT')], open('{record}', 'w'))
sys.exit(2)
"""
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason='asks for a machine without GPU')


def launch(script, *arguments):
    return run(script, *arguments, paths=[HERE])


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Runs a Slurm script; returns the finished process and what srun was asked for."""
    record, srun = tmp_path / 'asked.json', tmp_path / 'bin/srun'
    srun.parent.mkdir()
    srun.write_text(SRUN.format(python=sys.executable, record=record))
    srun.chmod(0o755)
    monkeypatch.setenv('PATH', f'{srun.parent}:{os.environ["PATH"]}')

    def call(script, *arguments, **environment):
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            done = launch(script, *arguments)
        return done, json.loads(record.read_text()) if record.is_file() else None

    return call


@pytest.mark.integration
@without_gpu
def test_a_killed_process_is_one_line_and_the_resumed_run_equals_that_of_slurm(slurm, tmp_path, monkeypatch):
    options = ['--cfg-options', 'log_level=WARNING', *epochs(2)]
    done, (asked, command, _) = slurm(
        'slurm_train.sh', 'part', 'job', CONFIG, '--work-dir', tmp_path / 'slurm', *options,
        GPUS='2', CPUS_PER_TASK='3', SRUN_ARGS='--time 10', GRES='',
    )  # fmt: skip
    assert done.returncode == 2, 'that of srun'
    wanted = {'--partition': 'part', '--job-name': 'job', '--ntasks': '2', '--ntasks-per-node': '2'}
    assert asked == {**wanted, '--cpus-per-task': '3', '--kill-on-bad-exit=1': None, '--time': '10'}
    assert command[2].endswith('tools/train.py') and command[3] == CONFIG
    task = {'SLURM_NTASKS': 2, 'SLURM_JOB_NUM_NODES': 1, 'SLURM_JOB_ID': os.getpid()}
    tasks = [{**task, 'SLURM_PROCID': n, 'SLURM_LOCALID': n} for n in range(2)]
    for done in run_together(tasks, 'train.py', *command[3:], paths=[HERE]):
        assert done.returncode == 0, done.stderr
    records = read_metrics(tmp_path / 'slurm/metrics.jsonl')
    steps = [record['step'] for record in records if 'loss' in record]
    assert steps == [1, 2, 3, 4, 5, 6], '24 samples, 2 tasks with batches of 4'

    options = ['--work-dir', tmp_path / 'run', '--resume', *options]
    forked = ['train.py', CONFIG, '--launcher', 'pytorch', *options]
    with monkeypatch.context() as patch:
        patch.setenv('TOY_KILL_AT', '14')  # in the second epoch
        patch.setenv('TOY_KILL_RANK', '1')
        done = launch('dist_train.sh', CONFIG, 2, *options)
    assert done.returncode == 1 and 'joined by gloo' in done.stderr
    errors = [line for line in done.stderr.splitlines() if 'error: ' in line]
    assert errors[-1].startswith(
        'error: process 1 was killed (SIGKILL), perhaps for want of memory. --resume'
    )
    assert 'Traceback' not in done.stderr and len(errors) <= 2, done.stderr
    for done in run_together(torchrun(2), *forked, paths=[HERE]):
        assert done.returncode == 0, done.stderr
    assert read_metrics(tmp_path / 'run/metrics.jsonl') == records
    assert read_checkpoint(tmp_path / 'run/epoch_2.pth')['meta']['fingerprint']['processes'] == '2'
    (fewer,) = run_together(torchrun(1), *forked, paths=[HERE])
    assert fewer.returncode == 2
    assert 'processes: 2 -> 1' in fewer.stderr and 'Traceback' not in fewer.stderr


def test_the_defaults_ask_for_eight_gpus_of_one_node(slurm):
    done, (asked, command, port) = slurm(
        'slurm_test.sh', 'part', 'job', 'no_config.py', 'no.pth', '--out', 'x', PORT='23456'
    )
    assert done.returncode == 2
    assert (asked['--gres'], asked['--ntasks'], asked['--ntasks-per-node']) == ('gpu:8', '8', '8')
    assert command[2].endswith('tools/test.py') and command[3:7] == ['no_config.py', 'no.pth', '--out', 'x']
    assert port == '23456'


@pytest.mark.parametrize(
    ('command', 'environment', 'words'),
    [
        ('slurm_train.sh part job', {}, 'PARTITION JOB_NAME CONFIG'),
        ('slurm_test.sh part job a.py', {}, 'PARTITION JOB_NAME CONFIG CHECKPOINT'),
        ('slurm_train.sh part job a.py', {'GPUS': 'two'}, "positive numbers, not 'two'"),
        ('slurm_train.sh part job a.py', {'PATH': '/usr/bin:/bin'}, 'no srun here'),
        ('dist_train.sh a.py', {}, 'GPUS is missing'),
        ('dist_train.sh a.py two', {}, 'a positive number'),
        (f'dist_train.sh a.py {"9" * 20}', {}, 'a positive number'),
        ('dist_train.sh a.py 1', {'NNODES': '2', 'MASTER_ADDR': ''}, 'MASTER_ADDR (address of node 0)'),
    ],
)
def test_mistakes_end_in_a_message(slurm, command, environment, words):
    done, asked = slurm(*command.split(), **environment)
    assert (done.returncode, asked) == (2, None)
    assert words in done.stderr


@pytest.mark.parametrize(
    ('processes', 'gpus', 'words'),
    [(100_000, 0, 'GPUS=100000, but this machine has no GPU'), (3, 2, 'GPUS=3, but this machine has 2')],
)
def test_more_processes_than_a_machine_bears_are_refused(monkeypatch, processes, gpus, words):
    monkeypatch.setattr('torch.cuda.device_count', lambda: gpus)
    with pytest.raises(ValueError, match=words):
        check_devices(processes)


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


def test_slurm_outside_a_job_or_without_scontrol_says_what_to_do(monkeypatch):
    monkeypatch.delenv('SLURM_PROCID', raising=False)
    with pytest.raises(ValueError, match=r'tools/slurm_train\.sh PARTITION'):
        init_distributed('slurm')
    for name, value in {'SLURM_PROCID': '0', 'SLURM_NTASKS': '2', 'SLURM_NNODES': '2', 'PATH': ''}.items():
        monkeypatch.setenv(name, value)
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_PORT'):
        monkeypatch.setenv(name, '')  # so that what the call sets is taken back
    monkeypatch.delenv('MASTER_ADDR', raising=False)
    with pytest.raises(ValueError, match='Set MASTER_ADDR'):
        init_distributed('slurm')
