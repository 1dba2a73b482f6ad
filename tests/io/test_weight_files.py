"""Reading weight files: every form that is published, and every way in which one can be broken."""

import json
import sys
import types

import pytest
import torch
from huggingface_hub import save_torch_state_dict
from safetensors.torch import load_file, save_file

from stgt_mm.io.weight_files import read_state, write_safetensors


@pytest.fixture
def state():
    return {f'layer.{index}.weight': torch.full((40, 10), float(index)) for index in range(6)}


def same(read, wanted):
    assert read.keys() == wanted.keys()
    assert all(torch.equal(read[key], wanted[key]) for key in wanted)


def bin_shards(folder, state):
    """A folder as old versions of transformers wrote them."""
    folder.mkdir()
    names, where = list(state), {}
    for number, part in enumerate((names[:3], names[3:]), 1):
        shard = f'pytorch_model-{number:05d}-of-00002.bin'
        torch.save({key: state[key] for key in part}, folder / shard)
        where.update(dict.fromkeys(part, shard))
    (folder / 'pytorch_model.bin.index.json').write_text(json.dumps({'metadata': {}, 'weight_map': where}))
    return folder


def test_every_form(state, tmp_path):
    save_file(state, tmp_path / 'a.safetensors')
    torch.save(state, tmp_path / 'a.pth')
    torch.save(state, tmp_path / 'old.pth', _use_new_zipfile_serialization=False)
    torch.save({'model': state, 'epoch': 3}, tmp_path / 'wrapped.pth')
    torch.save({'state_dict': {f'module.{key}': x for key, x in state.items()}}, tmp_path / 'ddp.pth')
    one = tmp_path / 'one'
    one.mkdir()
    save_torch_state_dict(state, one)
    many = tmp_path / 'many'
    many.mkdir()
    save_torch_state_dict(state, many, max_shard_size='4KB')
    assert len(list(many.glob('*.safetensors'))) > 1
    old = bin_shards(tmp_path / 'old', state)
    for path in ('a.safetensors', 'a.pth', 'old.pth', 'wrapped.pth', 'ddp.pth', one, many, old):
        same(read_state(tmp_path / path), state)
    same(read_state(many / 'model.safetensors.index.json'), state)


def test_what_is_not_there_is_named(state, tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        read_state(tmp_path / 'nowhere')
    with pytest.raises(FileNotFoundError, match='In it: nothing'):
        read_state(tmp_path)
    folder = bin_shards(tmp_path / 'old', state)
    (folder / 'pytorch_model-00002-of-00002.bin').unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of 2 shards are missing.*pytorch_model-00002-of-00002'):
        read_state(folder)


@pytest.mark.parametrize('kind', ['truncated', 'flipped', 'another'])
def test_a_broken_shard_is_named(kind, state, tmp_path):
    folder = bin_shards(tmp_path / 'old', state)
    shard = folder / 'pytorch_model-00002-of-00002.bin'
    data = bytearray(shard.read_bytes())
    if kind == 'truncated':
        shard.write_bytes(data[: len(data) // 2])
    elif kind == 'flipped':
        at = data.index(torch.full((40,), 4.0).numpy().tobytes())
        data[at] ^= 1
        shard.write_bytes(data)
    else:
        torch.save({'layer.3.weight': state['layer.3.weight']}, shard)
    with pytest.raises(ValueError, match='pytorch_model-00002-of-00002'):
        read_state(folder)


def test_broken_safetensors_and_indexes_are_named(state, tmp_path):
    save_file(state, tmp_path / 'a.safetensors')
    data = (tmp_path / 'a.safetensors').read_bytes()
    (tmp_path / 'a.safetensors').write_bytes(data[:-100])
    with pytest.raises(ValueError, match=r'a\.safetensors.*damaged'):
        read_state(tmp_path / 'a.safetensors')
    index = tmp_path / 'model.safetensors.index.json'
    for text, message in (
        ('{', 'not an index'),
        ('{"weight_map": {"x": "../a.safetensors"}}', 'not in its folder'),
        ('{"weight_map": {"x": "b.safetensors"}}', '1 of 1 shards are missing'),
    ):
        index.write_text(text)
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            read_state(tmp_path)


def test_no_state_dict(tmp_path):
    torch.save({'x': 3}, tmp_path / 'a.pth')
    torch.save([torch.ones(2)], tmp_path / 'b.pth')
    (tmp_path / 'c.pth').write_text('hello')
    for name in 'abc':
        with pytest.raises(ValueError, match=rf'{name}\.pth'):
            read_state(tmp_path / f'{name}.pth')


@pytest.fixture
def foreign_module(monkeypatch):
    """A package that is there when a checkpoint is written and that reading must not import."""
    module = types.ModuleType('their_training')
    code = """
class Schedule:
    calls = []
    def __init__(self, optimizer):
        self.optimizer = optimizer
    def __setstate__(self, state):
        Schedule.calls.append(state)
class Dangerous:
    def __reduce__(self):
        import os
        return os.getcwd, ()
"""
    exec(code, module.__dict__)
    for name in ('Schedule', 'Dangerous'):
        getattr(module, name).__module__ = 'their_training'
    monkeypatch.setitem(sys.modules, 'their_training', module)
    return module


def test_objects_of_a_training_become_shells(state, foreign_module, tmp_path):
    """The released checkpoints keep the schedule, an object of LAVIS, beside the weights."""
    schedule = foreign_module.Schedule(torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1))
    torch.save({'model': state, 'lr_scheduler': schedule, 'epoch': 3}, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match=r'their_training\.Schedule.*convert\.py'):
        read_state(tmp_path / 'a.pth')
    trusted = torch.serialization.get_safe_globals()
    same(read_state(tmp_path / 'a.pth', skip_objects=True), state)
    assert foreign_module.Schedule.calls == []
    assert set(torch.serialization.get_safe_globals()) == set(trusted)


def test_calls_are_refused_in_any_case(state, foreign_module, tmp_path):
    torch.save({'model': state, 'x': foreign_module.Dangerous()}, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match=r'(posix|nt)\.getcwd'):
        read_state(tmp_path / 'a.pth', skip_objects=True)


def test_torchscript_is_not_run(tmp_path):
    linear = torch.nn.Linear(2, 2)
    torch.jit.trace(linear, torch.ones(1, 2)).save(tmp_path / 'clip.pt')
    with pytest.raises(ValueError, match='TorchScript program'):
        read_state(tmp_path / 'clip.pt')


def test_views_are_written_alone(tmp_path):
    whole = torch.arange(12.0)
    state = {'a': whole[:4], 'b': whole[4:], 'c': whole.view(3, 4).T, 'd': whole, 'e': whole}
    write_safetensors(state, tmp_path / 'new' / 'x.safetensors', {'source': 'test'})
    same(load_file(tmp_path / 'new' / 'x.safetensors'), state)
    assert [file.name for file in (tmp_path / 'new').iterdir()] == ['x.safetensors']
    (tmp_path / 'any').touch()
    same(read_state(tmp_path / 'new' / 'x.safetensors'), state)
    assert (tmp_path / 'new' / 'x.safetensors').stat().st_mode == (tmp_path / 'any').stat().st_mode
    with pytest.raises(ValueError, match=r'must end in \.safetensors'):
        write_safetensors(state, tmp_path / 'x.pth', {})


def test_a_changed_number_in_our_safetensors_is_seen(state, tmp_path):
    """The format has no checksum: what write_safetensors wrote carries its own."""
    path = tmp_path / 'x.safetensors'
    write_safetensors(state, path, {})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'x\.safetensors.*damaged'):
        read_state(path)
