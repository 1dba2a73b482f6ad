import shutil
import signal

import pytest
import torch
from engine_runs import epochs, losses, train, train_and_kill

from stgt_mm.engine.checkpoint.files import read_checkpoint, resume_candidates
from stgt_mm.engine.errors import CheckpointError
from stgt_mm.engine.hooks.metrics_file_hook import read_metrics


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """A run that was never stopped: 4 epochs of 6 steps."""
    work_dir = tmp_path_factory.mktemp('whole')
    records = train(work_dir)
    assert len(records) == 24
    assert records[0]['loss'] != records[6]['loss']
    return work_dir


@pytest.fixture
def copy_of_whole(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / 'copy')


# sample 39 is in step 10, sample 25 opens epoch 2, sample 17 of epoch 3 comes after the validation
@pytest.mark.parametrize('sample', [39, 25, 2 * 24 + 17])
def test_killed_run_goes_on_as_if_never_stopped(whole, tmp_path, sample):
    assert train_and_kill(tmp_path, sample) == -signal.SIGKILL
    assert len(losses(tmp_path)) < 24
    resumed = train(tmp_path, '--resume')
    assert resumed == losses(whole)
    last, expected = (read_checkpoint(folder / 'epoch_4.pth') for folder in (tmp_path, whole))
    for key, value in expected['state_dict'].items():
        assert torch.equal(last['state_dict'][key], value), key


def test_killed_twice_and_with_workers_and_another_seed(tmp_path):
    cfg = ['randomness.seed=11', 'train_dataloader.num_workers=1']
    expected = train(tmp_path / 'whole', cfg=cfg)
    cfg[1] = 'train_dataloader.num_workers=0'
    for sample in (30, 20):
        options = ['--resume'] if sample == 20 else []
        assert train_and_kill(tmp_path / 'killed', sample, *options, cfg=cfg) == -signal.SIGKILL
    assert train(tmp_path / 'killed', '--resume', cfg=cfg) == expected


def test_a_run_without_seed_resumes_with_the_one_it_drew(tmp_path):
    cfg = ['randomness.seed=None', *epochs(2)]
    expected = train(tmp_path / 'run', cfg=cfg)
    for name in ('epoch_2.pth', 'iter_10.pth', 'last_checkpoint'):
        (tmp_path / 'run' / name).unlink()
    assert train(tmp_path / 'run', '--resume', cfg=cfg) == expected


def test_what_a_kill_prevented_or_left_half_is_made_up_for(whole, copy_of_whole):
    # the state of a run killed between the checkpoint of epoch 4 and its validation, and while writing
    (copy_of_whole / '.epoch_5.pth.partial-123').write_bytes(b'PK')
    expected = read_metrics(whole / 'metrics.jsonl')
    path = copy_of_whole / 'metrics.jsonl'
    path.write_text(''.join(line + '\n' for line in path.read_text().splitlines()[:-1]))
    train(copy_of_whole, '--resume')
    assert read_metrics(path) == expected
    assert 'val/t2v/Rmean' in expected[-1]
    assert not list(copy_of_whole.glob('.*partial*'))


def test_resume_from_a_path_and_not_from_weights_only(whole, tmp_path):
    resumed = train(tmp_path, '--resume', str(whole / 'iter_20.pth'))
    assert resumed == losses(whole)[20:]
    with pytest.raises(CheckpointError, match='weights only'):
        train(tmp_path, '--resume', str(whole / 'best_t2v_Rmean.pth'))


@pytest.mark.parametrize('damage', ['truncate', 'flip', 'empty'])
def test_damaged_newest_checkpoint_is_left_out(whole, copy_of_whole, damage):
    newest = resume_candidates(copy_of_whole)[0]
    content = bytearray(newest.read_bytes())
    if damage == 'flip':
        # inside the weights of a layer, where nothing but a checksum sees it
        weights = read_checkpoint(newest)['state_dict']['layers.0.weight'].numpy().tobytes()
        content[content.index(weights) + 5] ^= 1
    newest.write_bytes({'truncate': content[: len(content) // 2], 'flip': content, 'empty': b''}[damage])
    assert newest.name == 'epoch_4.pth'
    assert train(copy_of_whole, '--resume', cfg=['log_level=WARNING']) == losses(whole)
    log = ''.join(path.read_text() for path in copy_of_whole.rglob('*.log'))
    assert 'CHECKPOINT LEFT OUT' in log
    assert 'epoch_4.pth' in log
    with pytest.raises(CheckpointError, match=r'epoch_4\.pth'):
        newest.write_bytes(content[:100])
        train(copy_of_whole, '--resume', str(newest))


def test_no_whole_checkpoint_left_stops(copy_of_whole):
    for path in resume_candidates(copy_of_whole):
        path.write_bytes(b'PK\x03\x04 half written')
    with pytest.raises(CheckpointError, match='can be resumed'):
        train(copy_of_whole, '--resume')


def test_resume_without_checkpoint_starts_from_the_beginning(whole, tmp_path):
    cfg = epochs(1)
    records = train(tmp_path / 'a', '--resume', cfg=cfg)
    assert records[0] == losses(whole)[0]
    # a second stage that is always started with --resume begins with the weights of the first
    cfg.append(f'load_from={whole / "epoch_4.pth"}')
    started = train(tmp_path / 'b', '--resume', cfg=cfg)
    assert started[0]['step'] == 1 and started[0]['loss'] != records[0]['loss']
    assert train(tmp_path / 'b', '--resume', cfg=cfg)[-1]['step'] == 6


def test_epochs_without_checkpoint_resume_at_their_last_step(whole, tmp_path):
    cfg = ['default_hooks.checkpoint.interval=4', 'default_hooks.checkpoint.interval_steps=3']
    assert train_and_kill(tmp_path, 58, cfg=cfg) == -signal.SIGKILL
    assert resume_candidates(tmp_path)[0].name == 'iter_12.pth'
    assert train(tmp_path, '--resume', cfg=cfg) == losses(whole)


@pytest.mark.parametrize(
    ('option', 'line'),
    [
        ('optim_wrapper.optimizer.lr=0.02', 'optim_wrapper.optimizer.lr: 0.01 -> 0.02'),
        ('model.dropout=0.1', 'model.dropout: 0.3 -> 0.1'),
        (epochs(5), 'train_cfg.max_epochs: 4 -> 5'),
        ('train_dataloader.batch_size=6', 'train_dataloader.batch_size: 4 -> 6'),
        ('randomness.seed=4', 'randomness.seed: 3 -> 4'),
        ('custom_hooks.0.stages=[(1,1.0),(3,0.0)]', 'hook.AlignmentStageHook.stages.0.0: 2 -> 1'),
    ],
)
def test_resume_under_another_config_stops_and_names_the_key(copy_of_whole, option, line):
    with pytest.raises(CheckpointError) as error:
        train(copy_of_whole, '--resume', cfg=[option] if isinstance(option, str) else option)
    assert line in str(error.value) and 'another configuration' in str(error.value)


def test_paths_logs_and_checkpoint_intervals_may_change(whole, copy_of_whole, tmp_path):
    cfg = [f'train_dataloader.dataset.video_root={tmp_path}', 'default_hooks.checkpoint.interval_steps=4']
    cfg += ['train_cfg.val_interval=1', 'val_dataloader.batch_size=8']
    for name in ('epoch_4.pth', 'iter_22.pth', 'last_checkpoint'):
        (copy_of_whole / name).unlink()
    assert train(copy_of_whole, '--resume', cfg=cfg) == losses(whole)


def test_resume_with_other_data_stops_and_says_so(tmp_path):
    """The paths of data may change and are no part of the fingerprint; what they hold must not."""
    folder, place = tmp_path / 'run', 'train_dataloader.dataset.ann_file'
    files = {'a': range(24), 'moved': range(24), 'edited': range(1, 25), 'short': range(12)}
    for name, lines in files.items():
        (tmp_path / name).write_text('\n'.join(map(str, lines)))
    expected = train(folder, cfg=[f'{place}={tmp_path / "a"}'])
    for name in ('epoch_4.pth', 'last_checkpoint'):
        (folder / name).unlink()
    for name, line in (('edited', 'annotation: '), ('short', 'steps_per_epoch: 6 -> 3')):
        with pytest.raises(CheckpointError, match='other data') as error:
            train(folder, '--resume', cfg=[f'{place}={tmp_path / name}'])
        assert line in str(error.value)
        assert ('records: 24 -> 12' in str(error.value)) == (name == 'short')
    assert train(folder, '--resume', cfg=[f'{place}={tmp_path / "moved"}']) == expected
