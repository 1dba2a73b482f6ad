"""The main job from the command line: the real config on a small Moving Shapes, and every mistake in it."""

import json
import shutil
import signal
from functools import partial
from itertools import count
from pathlib import Path

import pytest
import torch
from command_line import ROOT, run, run_here
from tool_processes import run_together, run_tool_process, torchrun

from stgt_mm.engine.checkpoint.files import read_checkpoint
from stgt_mm.engine.hooks.metrics_file_hook import read_metrics

pytestmark = pytest.mark.integration
CONFIG = ROOT / 'configs/moving_shapes/stgt_tiny.py'
HERE = Path(__file__).parent
NUMBERS = count()
# batches of 8: 4 steps an epoch, one epoch a stage
SMALL = (
    'train_dataloader.batch_size=8',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'train_dataloader.sampler.samples_per_epoch=32',
    'train_dataloader.batch_sampler.max_epochs=2',
    'val_dataloader.num_workers=0',
    'test_dataloader.num_workers=0',
    'test_cfg.choices.backwards.num_workers=0',
    'test_cfg.choices.one_fact.num_workers=0',
    'train_cfg.max_epochs=2',
    'param_scheduler.stages=[(1,2e-3),(1,5e-4)]',
    'custom_hooks.1.stages=[(1,1.0),(1,0.0)]',
    'default_hooks.checkpoint.interval_steps=2',
)
ONE_EPOCH = (
    *SMALL,
    'train_cfg.max_epochs=1',
    'train_dataloader.batch_sampler.max_epochs=1',
    'param_scheduler.stages=[(1,2e-3)]',
    'custom_hooks.1.stages=[(1,1.0)]',
)
ONE_STEP = (
    *ONE_EPOCH,
    'train_dataloader.sampler.samples_per_epoch=8',
    'train_dataloader.dataset.ann_file=data/moving_shapes/one_batch.jsonl',
    'val_cfg=None',
    'val_dataloader=None',
    'val_evaluator=None',
)


def use_data(folder, data):
    """Makes ``folder`` a place to start tools from, as the root of the repository with its data is."""
    (folder / 'data').mkdir(parents=True)
    (folder / 'data/moving_shapes').symlink_to(data)
    lines = (data / 'train.jsonl').read_text().splitlines()[::4][:8]  # four captions a clip
    (data / 'one_batch.jsonl').write_text('\n'.join(lines) + '\n')
    return folder


@pytest.fixture(scope='module')
def place(small_moving_shapes, tmp_path_factory):
    return use_data(tmp_path_factory.mktemp('place'), small_moving_shapes)


def call(tool, *options, settings=SMALL, work_dir='run'):
    """Starts a tool in this process: exit status."""
    name = f'experiment_name=command{next(NUMBERS)}'
    return run_here(tool, CONFIG, *options, '--work-dir', work_dir, '--cfg-options', name, *settings)


@pytest.fixture
def here(place, tmp_path, monkeypatch):
    """Starts tools in ``place`` and in this process: exit status."""
    monkeypatch.chdir(place)
    return partial(call, work_dir=tmp_path / 'run')


@pytest.fixture(scope='module')
def whole(place):
    """Both stages in a process that nothing stopped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert call('train.py', work_dir='whole') == 0
    return place / 'whole'


def losses(work_dir):
    return [record for record in read_metrics(work_dir / 'metrics.jsonl') if 'loss' in record]


def test_both_stages_train(whole):
    records = losses(whole)
    assert [record['step'] for record in records] == list(range(1, 9))
    assert all(('loss_vtc' in record) == (record['epoch'] == 1) for record in records)
    assert all(('loss_csal' in record) == (record['epoch'] == 2) for record in records)
    assert all(record['loss_vtm'] > 0 and record['loss_vtg'] > 0 for record in records)
    assert all(record['replaced_clips'] == 0 for record in records)
    assert (whole / 'best_t2v_Rmean.pth').is_file()


def test_run_killed_in_both_stages_resumes_as_if_never_stopped(whole, place):
    work_dir = place / 'killed'
    options = [CONFIG, '--resume', '--work-dir', work_dir, '--cfg-options', *SMALL]
    for step in (4, 8):
        kill = f'default_hooks.kill={{"type": "KillAtStep", "step": {step}}}'
        settings = [*options, 'custom_imports.imports=[kill_at_step]', kill]
        done = run_tool_process('train.py', *settings, cwd=place, paths=[HERE])
        assert done.returncode == -signal.SIGKILL, done.stderr
        newest = (work_dir / 'last_checkpoint').read_text().strip()
        assert Path(newest).name == f'iter_{(step - 1) // 2 * 2}.pth'
        assert len(losses(work_dir)) < 8
    done = run('train.py', *options, cwd=place)
    assert done.returncode == 0, done.stderr
    assert losses(work_dir) == losses(whole)
    assert read_metrics(work_dir / 'metrics.jsonl') == read_metrics(whole / 'metrics.jsonl')
    last, expected = (read_checkpoint(folder / 'epoch_2.pth') for folder in (work_dir, whole))
    for key, value in expected['state_dict'].items():
        assert torch.equal(last['state_dict'][key], value), key


def test_two_processes_give_the_numbers_of_one(here, whole, place, capsys):
    checkpoint = whole / 'best_t2v_Rmean.pth'
    assert here('test.py', checkpoint, '--out', 'one.json') == 0
    printed = capsys.readouterr().out
    assert 'text -> video' in printed and 'backwards' in printed and 'one_fact' in printed
    one = json.loads((place / 'one.json').read_text())
    assert one['protocol']['videos'] == 20
    assert {'t2v/R1', 'v2t/R1', 't2v/Rmean', 'backwards/accuracy', 'one_fact/accuracy'} <= set(one['metrics'])
    arguments = [CONFIG, checkpoint, '--out', 'two.json', '--launcher', 'pytorch', '--cfg-options', *SMALL]
    for done in run_together(torchrun(2), 'test.py', *arguments, cwd=place):
        assert done.returncode == 0, done.stderr
    two = json.loads((place / 'two.json').read_text())
    assert two['metrics'] == one['metrics']


@pytest.mark.skipif(torch.cuda.is_available(), reason='asks for a machine without GPU')
def test_two_processes_train_without_gpu(place):
    options = ['--work-dir', 'two', '--launcher', 'pytorch', '--cfg-options', *ONE_STEP]
    options.append('train_dataloader.batch_size=4')
    for done in run_together(torchrun(2), 'train.py', CONFIG, *options, cwd=place):
        assert done.returncode == 0, done.stderr
    assert [record['step'] for record in losses(place / 'two')] == [1], 'one step of 2 times 4 clips'


def test_another_neck_trains_a_step(here, tmp_path, capsys):
    assert here('train.py', settings=[*ONE_STEP, 'model.neck.type=MeanPoolNeck']) == 0
    printed = capsys.readouterr().out
    assert (
        'model.neck: MeanPoolNeck takes no similarity_threshold, dropped similarity_threshold=0.5' in printed
    )
    assert len(losses(tmp_path / 'run')) == 1


def test_amp_trains_a_step_on_a_cpu(here, tmp_path, capsys):
    assert here('train.py', settings=ONE_STEP, work_dir=tmp_path / 'full') == 0
    assert here('train.py', '--amp', settings=ONE_STEP) == 0
    assert '--amp: bfloat16 autocast' in capsys.readouterr().err
    full, half = losses(tmp_path / 'full')[0], losses(tmp_path / 'run')[0]
    assert half['loss'] != full['loss']
    assert abs(half['loss'] - full['loss']) < 0.02 * full['loss']


def assert_stops(call, words, capsys):
    assert call() == 2
    printed = capsys.readouterr().err
    assert 'Traceback' not in printed
    message = printed.split('error: ')[-1]
    assert all(word in message for word in words), message
    return message


TOOLS = 'tools/dataset_converters'


@pytest.mark.parametrize(
    ('option', 'words'),
    [
        ('ann_file=no.jsonl', ["no annotation file 'no.jsonl'", f'{TOOLS}/moving_shapes', f'{TOOLS}/custom']),
        ('ann_file=data/moving_shapes/mistake.jsonl', ['mistake.jsonl:2: not JSON']),
        ('video_root=data', ['none of the 8 videos']),
    ],
)
def test_a_mistake_in_the_data_stops_before_training(here, place, option, words, tmp_path, capsys):
    lines = (place / 'data/moving_shapes/train.jsonl').read_bytes().splitlines()[:2]
    (place / 'data/moving_shapes/mistake.jsonl').write_bytes(lines[0] + b'\n' + lines[1][:-9])
    settings = [*ONE_STEP, f'train_dataloader.dataset.{option}']
    message = assert_stops(lambda: here('train.py', settings=settings), words, capsys)
    assert 'video_root' not in option or message.count('data/video') == 3, 'three examples'
    assert not list(tmp_path.rglob('*.pth'))


@pytest.fixture
def damaged(here, small_moving_shapes, tmp_path, monkeypatch):
    """Moves ``here`` to a place whose first training clip and first test clip are damaged."""
    data = tmp_path / 'damaged'
    shutil.copytree(small_moving_shapes, data, ignore=shutil.ignore_patterns('cache'))
    for split in ('train', 'test'):
        first = json.loads((data / f'{split}.jsonl').read_text().splitlines()[0])['video']
        (data / 'videos' / first).write_bytes(b'no video at all')
    monkeypatch.chdir(use_data(tmp_path / 'place', data))
    return first


def test_damaged_training_clip_is_replaced_and_counted(here, damaged, tmp_path):
    assert here('train.py', settings=ONE_STEP) == 0
    assert losses(tmp_path / 'run')[0]['replaced_clips'] >= 1
    log = ''.join(path.read_text() for path in (tmp_path / 'run').rglob('*.log'))
    assert 'could not be decoded and were replaced' in log


def test_damaged_test_clip_stops_or_is_counted(here, damaged, whole, capsys):
    arguments = ['test.py', whole / 'best_t2v_Rmean.pth']
    settings = [*SMALL, 'test_cfg.choices=None']
    words = ['1 of 20 evaluation videos cannot be read', damaged, '--skip-broken']
    assert_stops(lambda: here(*arguments, settings=settings), words, capsys)
    assert here(*arguments, '--skip-broken', settings=settings) == 0
    table = capsys.readouterr().out
    assert 'skipped_videos: 1' in table
    assert 'skipped_texts: 1' in table
