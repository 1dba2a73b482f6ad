import errno
import runpy
import subprocess
import sys

import pytest
from command_line import ROOT, run_here
from tool_processes import run_tool_process

from stgt_mm.config import load_config
from stgt_mm.datasets import FeatureCacheError
from stgt_mm.engine.cli import run_tool
from stgt_mm.errors import UserError
from stgt_mm.evaluation import BrokenVideosError
from stgt_mm.registry import MODELS

CONFIG = str(ROOT / 'tests/engine/engine_toy_config.py')


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


def test_a_process_ends_with_the_message_and_status_2_and_a_traceback_on_request(capsys):
    done = run_tool_process('train.py', 'no/config.py')
    assert done.returncode == 2
    assert done.stderr.startswith('\nerror: no config at')
    assert run_here('misc/print_config.py', 'no/config.py', '--traceback') == 2
    assert 'Traceback' in capsys.readouterr().err


def test_printed_config_loads_again(tmp_path, capsys):
    out = tmp_path / 'out.py'
    options = ['--out', out, '--cfg-options', 'train_cfg.max_epochs=7']
    assert run_here('misc/print_config.py', CONFIG, *options) == 0
    assert run_here('misc/print_config.py', out) == 0
    assert 'max_epochs=7' in capsys.readouterr().out


def test_waiting_threads_do_not_spin(monkeypatch):
    code = 'import stgt_mm.engine.cli, os, sys; print(os.environ["OMP_WAIT_POLICY"], "torch" in sys.modules)'
    monkeypatch.delenv('OMP_WAIT_POLICY', raising=False)
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    assert subprocess.check_output([sys.executable, '-c', code], text=True).split() == ['PASSIVE', 'False']


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
def test_what_a_user_can_correct_has_no_traceback(error, message, capsys):
    assert run_tool(lambda arguments: fail(error), []) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f'\nerror: {message}') and 'Traceback' not in printed


def fail(error=KeyboardInterrupt):
    raise error


def test_a_wrong_value_in_a_config_is_one_message_and_a_bug_is_a_traceback(capsys, monkeypatch):
    config = {'type': 'MatchingHead', 'width': 8, 'hard_fraction': 'half'}
    assert run_tool(lambda arguments: MODELS.build(config), []) == 2
    assert 'Traceback' not in capsys.readouterr().err
    assert run_tool(lambda arguments: None + 1, []) == 1
    assert 'Traceback' in capsys.readouterr().err
    monkeypatch.setattr('timm.create_model', lambda *args, **kwargs: fail(RuntimeError('no route to host')))
    config = {'type': 'TimmViT', 'model_name': 'vit_tiny_patch16_224', 'pretrained': True}
    assert run_tool(lambda arguments: MODELS.build(config), []) == 2
    assert 'checkpoint=' in capsys.readouterr().err


def test_a_lost_process_is_one_line(capsys, monkeypatch):
    lost = RuntimeError('[gloo/pair.cc:547] Connection closed by peer [127.0.0.1]')
    assert run_tool(lambda arguments: fail(lost), []) == 1
    assert 'Traceback' in capsys.readouterr().err, 'of a run of one process it is no peer'
    monkeypatch.setattr('torch.distributed.is_initialized', lambda: True)
    assert run_tool(lambda arguments: fail(lost), []) == 1
    assert capsys.readouterr().err == f'\nerror: another process of this run has ended: {lost}\n'


def test_an_interrupt_is_one_line_and_the_status_of_shells(capsys):
    assert run_tool(lambda arguments: fail(), []) == 130
    assert capsys.readouterr().err == '\ninterrupted\n'
    assert run_tool(lambda arguments: fail(), ['--traceback']) == 130
    assert 'Traceback' in capsys.readouterr().err


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


def test_what_tools_cannot_read_or_do_is_one_message(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty.jsonl').write_text('{"video": "v.mp4"}\n')
    shapes = 'dataset_converters/moving_shapes.py'
    for tool, arguments, message in [
        ('dataset_converters/custom.py', ['no.csv', 'a.jsonl'], 'no.csv'),
        ('dataset_converters/build_vocab.py', ['empty.jsonl', 'vocab'], 'no text'),
        ('dataset_converters/build_vocab.py', ['no.jsonl', 'vocab'], 'no annotation file'),
        ('visualization/browse_dataset.py', [CONFIG, '--num', '0'], '--num 0'),
        (shapes, ['new', '--train', '10'], 'error: train=10 must be'),
        (shapes, ['new', '--jobs', '0'], 'error: --jobs 0'),
        (shapes, ['new', '--val', '-3'], 'error: val=-3'),
    ]:
        assert run_here(tool, *arguments) == 2
        printed = capsys.readouterr().err
        assert message in printed and 'Traceback' not in printed
    assert not (tmp_path / 'new').exists()


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
