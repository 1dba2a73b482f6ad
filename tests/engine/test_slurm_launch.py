"""The Slurm scripts with a stand-in for srun: it notes what it was asked for and starts tasks on the CPU."""

import json
import os
import subprocess
import sys

import pytest
import torch
from engine_runs import CONFIG, HERE, ROOT, epochs

from stgt_mm.engine.hooks.metrics_file_hook import read_metrics
from stgt_mm.engine.launcher import init_distributed

SRUN = """#!{python}
import json, os, subprocess, sys
words, options = sys.argv[1:], {{}}
while words[0].startswith('-'):
    name = words.pop(0)
    options[name] = None if '=' in name else words.pop(0)
json.dump([options, words, os.environ.get('MASTER_PORT')], open('{record}', 'w'))
if os.environ.get('ASK_ONLY'):
    sys.exit(2)
tasks = [
    subprocess.Popen(
        words,
        env=dict(os.environ, SLURM_PROCID=str(n), SLURM_LOCALID=str(n), SLURM_NTASKS=options['--ntasks'],
                 SLURM_JOB_NUM_NODES='1', SLURM_JOB_ID='{job}'),
    )
    for n in range(int(options['--ntasks']))
]
sys.exit(max([task.wait() for task in tasks]))
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Runs a Slurm script; returns the finished process and what srun was asked for."""
    record = tmp_path / 'asked.json'
    (tmp_path / 'bin').mkdir()
    srun = tmp_path / 'bin/srun'
    srun.write_text(SRUN.format(python=sys.executable, record=record, job=os.getpid()))
    srun.chmod(0o755)

    def run(script, *arguments, **environment):
        env = {
            **os.environ,
            'PYTHON': sys.executable,
            'PATH': f'{tmp_path / "bin"}:{os.environ["PATH"]}',
            'PYTHONPATH': str(HERE),
            'OMP_NUM_THREADS': '1',
            **environment,
        }
        command = ['bash', str(ROOT / 'tools' / script), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300, check=False)
        return done, json.loads(record.read_text()) if record.is_file() else None

    return run


@pytest.mark.integration
@pytest.mark.skipif(torch.cuda.is_available(), reason='asks for a machine without GPU')
def test_two_tasks_train_as_one_job(slurm, tmp_path):
    options = ['--cfg-options', 'log_level=WARNING', *epochs(2)]
    done, (asked, command, _) = slurm(
        'slurm_train.sh', 'part', 'job', CONFIG, '--work-dir', tmp_path / 'run', *options,
        GPUS='2', CPUS_PER_TASK='3', SRUN_ARGS='--time 10', GRES='',
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    wanted = {'--partition': 'part', '--job-name': 'job', '--ntasks': '2', '--ntasks-per-node': '2'}
    assert asked == {**wanted, '--cpus-per-task': '3', '--kill-on-bad-exit=1': None, '--time': '10'}
    assert command[-2:] == ['--launcher', 'slurm'] and command[3] == CONFIG
    steps = [record for record in read_metrics(tmp_path / 'run/metrics.jsonl') if 'loss' in record]
    assert [record['step'] for record in steps] == [1, 2, 3, 4, 5, 6], '24 samples, 2 tasks with batches of 4'


def test_the_defaults_ask_for_eight_gpus_of_one_node(slurm):
    done, (asked, command, port) = slurm(
        'slurm_test.sh', 'part', 'job', 'no_config.py', 'no.pth', '--out', 'x', PORT='23456', ASK_ONLY='1'
    )
    assert done.returncode == 2
    assert (asked['--gres'], asked['--ntasks'], asked['--ntasks-per-node']) == ('gpu:8', '8', '8')
    assert command[2].endswith('tools/test.py') and command[3:7] == ['no_config.py', 'no.pth', '--out', 'x']
    assert port == '23456'


@pytest.mark.parametrize(
    ('script', 'arguments', 'environment', 'words'),
    [
        ('slurm_train.sh', ['part', 'job'], {}, 'PARTITION JOB_NAME CONFIG'),
        ('slurm_test.sh', ['part', 'job', CONFIG], {}, 'PARTITION JOB_NAME CONFIG CHECKPOINT'),
        ('slurm_train.sh', ['part', 'job', CONFIG], {'GPUS': 'two'}, "positive numbers, not 'two'"),
        ('slurm_train.sh', ['part', 'job', CONFIG], {'PATH': '/usr/bin:/bin'}, 'no srun here'),
    ],
)
def test_mistakes_end_in_a_message(slurm, script, arguments, environment, words):
    done, asked = slurm(script, *arguments, **environment)
    assert (done.returncode, asked) == (2, None)
    assert words in done.stderr


def test_a_job_of_several_nodes_without_scontrol_asks_for_the_address(monkeypatch):
    for name, value in {'SLURM_PROCID': '0', 'SLURM_NTASKS': '2', 'SLURM_NNODES': '2', 'PATH': ''}.items():
        monkeypatch.setenv(name, value)
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_PORT'):
        monkeypatch.setenv(name, '')  # so that what the call sets is taken back
    monkeypatch.delenv('MASTER_ADDR', raising=False)
    with pytest.raises(ValueError, match='Set MASTER_ADDR'):
        init_distributed('slurm')


def test_outside_a_job_the_message_says_how(monkeypatch):
    monkeypatch.delenv('SLURM_PROCID', raising=False)
    with pytest.raises(ValueError, match=r'tools/slurm_train\.sh PARTITION'):
        init_distributed('slurm')
