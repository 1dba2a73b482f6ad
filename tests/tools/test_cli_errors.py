import errno
import os
import runpy
import subprocess
import sys

import pytest
from command_line import ROOT, run, run_here

from stgt_mm.config import load_config
from stgt_mm.datasets import FeatureCacheError
from stgt_mm.engine.cli import run_tool
from stgt_mm.errors import UserError
from stgt_mm.evaluation import BrokenVideosError
from stgt_mm.registry import MODELS

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


def test_check_only_runs_nothing(tmp_path, capsys):
    options = ['--check-only', '--work-dir', tmp_path / 'run']
    assert run_here('train.py', CONFIG, *options) == 0
    assert 'every file that the run reads is there' in capsys.readouterr().out
    missing = ['--cfg-options', 'load_from=no.pth']
    assert run_here('train.py', CONFIG, *options, *missing) == 2
    assert 'no checkpoint at no.pth (load_from)' in capsys.readouterr().err
    assert not (tmp_path / 'run').exists()


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


@pytest.mark.parametrize(
    ('error', 'message'),
    [
        (BrokenVideosError({'v.mp4': 'no moov atom'}, 9), '1 of 9 evaluation videos'),
        (FeatureCacheError('another backbone'), 'another backbone'),
        (UserError('no network'), 'no network'),
        (PermissionError(errno.EACCES, 'Permission denied', 'runs/a'), 'Permission denied: runs/a'),
        (OSError(errno.ENOSPC, 'No space left on device'), 'No space left on device'),
    ],
)
def test_what_a_user_can_mend_has_no_traceback(error, message, capsys):
    def tool(arguments):
        raise error

    assert run_tool(tool, []) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f'\nerror: {message}') and 'Traceback' not in printed


def test_a_wrong_value_in_a_config_is_one_message_and_a_bug_is_a_traceback(capsys):
    def tool(arguments):
        MODELS.build({'type': 'MatchingHead', 'width': 8, 'hard_fraction': 'half'})

    def buggy(arguments):
        return None + 1

    assert run_tool(tool, []) == 2
    assert 'Traceback' not in capsys.readouterr().err
    assert run_tool(buggy, []) == 1
    assert 'Traceback' in capsys.readouterr().err


def test_an_interrupt_is_one_line_and_the_status_of_shells(capsys):
    def tool(arguments):
        raise KeyboardInterrupt

    assert run_tool(tool, []) == 130
    assert capsys.readouterr().err == '\ninterrupted\n'
    assert run_tool(tool, ['--traceback']) == 130
    assert 'Traceback' in capsys.readouterr().err


def test_no_network_is_one_message(capsys, monkeypatch):
    def unreachable(*args, **kwargs):
        raise RuntimeError('no route to host')

    monkeypatch.setattr('timm.create_model', unreachable)
    config = {'type': 'TimmViT', 'model_name': 'vit_tiny_patch16_224', 'pretrained': True}
    assert run_tool(lambda arguments: MODELS.build(config), []) == 2
    assert 'checkpoint=' in capsys.readouterr().err


def test_a_mistyped_config_searches_configs_only(tmp_path, monkeypatch):
    for folder in ('.venv/lib', 'elsewhere', 'configs/.old', 'configs/mine'):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(30):
            (tmp_path / folder / f'{folder[-3:]}_{number}.py').touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as error:
        load_config('zzz.py')
    text = str(error.value)
    assert 'configs/mine/ine_0.py' in text and text.endswith('and 20 more.')
    assert not any(word in text for word in ('.venv', 'elsewhere', '.old'))
    with pytest.raises(FileNotFoundError, match=r"Did you mean 'elsewhere/ere_7\.py'"):
        load_config('elsewhere/ere7.py')


@pytest.mark.parametrize(
    ('options', 'message'),
    [(['--train', '10'], 'train=10 must be'), (['--jobs', '0'], '--jobs 0'), (['--val', '-3'], 'val=-3')],
)
def test_moving_shapes_names_impossible_sizes(options, message, tmp_path, capsys):
    assert run_here('dataset_converters/moving_shapes.py', tmp_path / 'new', *options) == 2
    assert capsys.readouterr().err.startswith(f'\nerror: {message}')
    assert not (tmp_path / 'new').exists()


def test_converters_name_what_they_cannot_read(tmp_path, capsys):
    (tmp_path / 'empty.jsonl').write_text('{"video": "v.mp4"}\n')
    cases = [
        ('dataset_converters/custom.py', ['no.csv', tmp_path / 'a.jsonl'], 'no.csv'),
        ('dataset_converters/build_vocab.py', [tmp_path / 'empty.jsonl', tmp_path / 'vocab'], 'no text'),
        ('dataset_converters/build_vocab.py', ['no.jsonl', tmp_path / 'vocab'], 'no annotation file'),
        ('visualization/browse_dataset.py', [CONFIG, '--num', '0'], '--num 0'),
    ]
    for tool, arguments, message in cases:
        assert run_here(tool, *arguments) == 2
        printed = capsys.readouterr().err
        assert message in printed and 'Traceback' not in printed


TOOLS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / 'tools').rglob('*.py')
    if '__main__' in path.read_text(encoding='utf-8')
)


@pytest.mark.parametrize('tool', TOOLS)
def test_help_shows_an_example(tool, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', [tool, '--help'])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / tool), run_name='__main__')
    assert stop.value.code == 0
    assert f'python {tool} ' in capsys.readouterr().out
