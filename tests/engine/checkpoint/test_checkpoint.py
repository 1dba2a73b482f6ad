import errno
import os

import numpy as np
import pytest
import torch
from engine_runs import files_of_at_most, train
from engine_toy import ToyBackbone
from torch import nn

from stgt_mm.engine.checkpoint import files
from stgt_mm.engine.checkpoint.resume import check_resumable
from stgt_mm.engine.checkpoint.weights import load_weights
from stgt_mm.engine.errors import CheckpointError, CheckpointSpaceError


def test_full_disk_keeps_the_previous_checkpoint(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    files.write_checkpoint({'state_dict': {'w': torch.zeros(100)}}, path)
    before = path.read_bytes()
    with files_of_at_most(2000), pytest.raises(CheckpointSpaceError) as error:
        files.write_checkpoint({'state_dict': {'w': torch.ones(300_000)}}, path)
    assert str(path) in error.value.strerror
    assert '1.1 MiB needed' in error.value.strerror
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ['epoch_1.pth']


@pytest.mark.parametrize(
    ('number', 'kind'), [(errno.EACCES, PermissionError), (errno.ENOSPC, CheckpointSpaceError)]
)
def test_other_errors_are_not_called_a_full_disk(tmp_path, monkeypatch, number, kind):
    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files, 'open', refuse, raising=False)
    with pytest.raises(OSError) as error:
        files.write_checkpoint({'w': torch.ones(2)}, tmp_path / 'a.pth')
    assert type(error.value) is kind


def test_plain_values_survive_and_classes_are_refused(tmp_path):
    value = {'a': np.float64(0.1), 'b': [np.arange(3), (1, 'x', None)]}
    value['c'] = torch.ones(2, requires_grad=True)
    files.write_checkpoint({'state_dict': {}, 'kept': files.to_plain(value)}, tmp_path / 'a.pth')
    read = files.read_checkpoint(tmp_path / 'a.pth')['kept']
    assert read['a'] == 0.1
    assert read['b'] == [[0, 1, 2], (1, 'x', None)]
    with pytest.raises(TypeError, match='ToyBackbone'):
        files.to_plain({'module': ToyBackbone()})


def test_a_pickled_class_is_not_loaded(tmp_path):
    torch.save({'state_dict': {}, 'model': ToyBackbone()}, tmp_path / 'evil.pth')
    with pytest.raises(CheckpointError, match='plain values') as error:
        files.read_checkpoint(tmp_path / 'evil.pth')
    assert 'Do not load it with weights_only=False' in str(error.value)
    assert 'Re-running' not in str(error.value)  # torch's own advice is the opposite


@pytest.mark.parametrize('flags', [0x00, 0x01, 0x08])
def test_a_damaged_directory_of_the_archive_is_a_damaged_checkpoint(tmp_path, flags):
    """zipfile has its own error for each: a name that is no text, an encrypted file, an unknown method."""
    files.write_checkpoint({'state_dict': {'w': torch.ones(2)}}, tmp_path / 'a.pth')
    content = bytearray((tmp_path / 'a.pth').read_bytes())
    entry = content.rindex(b'PK\x01\x02')
    content[entry + 8] |= flags & 1
    content[entry + 9] |= flags & 8
    content[entry + (46 if flags & 8 else 10)] = 0xFF if not flags & 1 else content[entry + 10]
    (tmp_path / 'a.pth').write_bytes(content)
    with pytest.raises(CheckpointError, match=r'a\.pth'):
        files.read_checkpoint(tmp_path / 'a.pth')


@pytest.mark.parametrize(
    'content',
    [None, 3, [1], {'state_dict': [1]}, {'state_dict': {'w': 3}}, {'state_dict': {3: torch.ones(1)}}]
    + [{'state_dict': {}, 'meta': 3}, {'state_dict': {}, 'frozen': [1]}],
)
def test_other_content_is_named_as_such(tmp_path, content):
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match=r'a\.pth is no checkpoint of this toolbox'):
        files.read_checkpoint(tmp_path / 'a.pth')


@pytest.mark.parametrize('change', [{'optimizer': [1]}, {'message_hub': None}, {'meta': {'epoch': None}}])
def test_other_content_is_not_resumed(change):
    meta = {'epoch': 1, 'iter': 2, 'fingerprint': {}, 'seed': 0, 'training_data': {}}
    whole = {'meta': meta, 'optimizer': {}, 'message_hub': {'runtime_info': {}}}
    check_resumable(whole, 'a.pth')
    with pytest.raises(CheckpointError, match=r'a\.pth is no checkpoint of this toolbox'):
        check_resumable({**whole, **change, 'meta': {**meta, **change.get('meta', {})}}, 'a.pth')
    with pytest.raises(CheckpointError, match='frozen backbone is a int'):
        load_weights(nn.Linear(1, 1), {'state_dict': {}, 'frozen': {'backbone': 5}}, 'a.pth')


def test_weights_that_are_no_numbers_are_not_saved(tmp_path, monkeypatch):
    """The loss of a step is checked before its update: only the checkpoint sees what the update did."""

    def update(optimizer, *args):
        optimizer.param_groups[0]['params'][0].data.fill_(float('nan'))

    monkeypatch.setattr(torch.optim.AdamW, 'step', update)
    message = r'iter_1\.pth is not written: 1 parameters are NaN.*--resume'
    with pytest.raises(CheckpointError, match=message):
        train(tmp_path, cfg=['default_hooks.checkpoint.interval_steps=1'])
    assert not list(tmp_path.glob('*.pth'))


def test_missing_file_names_what_is_there(tmp_path):
    files.write_checkpoint({'w': torch.ones(2)}, tmp_path / 'epoch_2.pth')
    with pytest.raises(FileNotFoundError, match=r'In that folder: epoch_2\.pth'):
        files.read_checkpoint(tmp_path / 'epoch_3.pth')
