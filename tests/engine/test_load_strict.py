"""Starting from a file that holds a part of the model: what may be absent is named, all else is an error."""

import pytest
import torch
from torch import nn

from stgt_mm.engine.checkpoint.weights import load_weights
from stgt_mm.engine.errors import CheckpointError


class Frozen(nn.Linear):
    frozen = True

    def __init__(self, checkpoint):
        super().__init__(3, 3)
        self.checkpoint = checkpoint
        self.requires_grad_(False)


class Model(nn.Module):
    """A backbone with a file of its own, a neck that is new, a head that is in the file."""

    def __init__(self, width=4, checkpoint='weights/backbone.safetensors'):
        super().__init__()
        self.backbone = Frozen(checkpoint)
        self.neck = nn.Linear(3, 3)
        self.head = nn.ModuleDict({'proj': nn.Linear(3, width), 'norm': nn.LayerNorm(3)})


def stored(*parts):
    torch.manual_seed(1)
    state = Model().state_dict()
    return {'state_dict': {key: value for key, value in state.items() if key.split('.')[0] in parts}}


def test_a_named_part_keeps_its_start_and_the_rest_is_loaded():
    model, checkpoint = Model(), stored('head')
    neck = model.neck.weight.clone()
    lines = load_weights(model, checkpoint, 'start.safetensors', strict=['neck'])
    assert lines == ['neck keeps its initial weights: 2 tensors, 12 values, not from start.safetensors']
    assert torch.equal(model.head['proj'].weight, checkpoint['state_dict']['head.proj.weight'])
    assert torch.equal(model.neck.weight, neck)


def test_a_named_part_that_is_in_the_file_is_loaded():
    model, checkpoint = Model(), stored('head', 'neck')
    assert load_weights(model, checkpoint, 'x', strict=['neck']) == []
    assert torch.equal(model.neck.weight, checkpoint['state_dict']['neck.weight'])


def test_a_part_of_another_shape_is_passed_over_only_if_named():
    model = Model(width=5)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=r'head\.proj\.weight: \[4, 3\] in the checkpoint, \[5, 3\]'):
        load_weights(model, stored('head'), 'x', strict=['neck'])
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    lines = load_weights(model, stored('head'), 'x', strict=['neck', 'head.proj'])
    assert [line.split()[0] for line in lines] == ['neck', 'head.proj']
    assert torch.equal(model.head['proj'].weight, before['head.proj.weight'])


def test_what_is_not_named_must_be_there_and_nothing_else_may():
    checkpoint = stored('head')
    del checkpoint['state_dict']['head.norm.weight']
    checkpoint['state_dict']['tail.weight'] = torch.zeros(1)
    with pytest.raises(CheckpointError) as error:
        load_weights(Model(), checkpoint, 'x', strict=['neck'])
    assert '1 missing in the checkpoint:\n  head.norm.weight' in str(error.value)
    assert '1 not in the model:\n  tail.weight' in str(error.value)


def test_a_prefix_that_is_no_part_of_the_model_is_an_error():
    with pytest.raises(ValueError, match=r"no 'nek'. Did you mean 'neck'"):
        load_weights(Model(), stored('head'), 'x', strict=['nek'])


def test_a_frozen_part_with_a_file_of_its_own_may_be_absent_from_a_strict_load():
    assert load_weights(Model(), stored('head', 'neck'), 'x') == []
    with pytest.raises(CheckpointError, match=r'2 missing in the checkpoint:\n  backbone\.weight'):
        load_weights(Model(checkpoint=None), stored('head', 'neck'), 'x')


def test_whole_numbers_do_not_become_weights():
    checkpoint = stored('head', 'neck')
    checkpoint['state_dict']['head.norm.weight'] = torch.ones(3, dtype=torch.int64)
    with pytest.raises(CheckpointError, match=r'head\.norm\.weight: torch\.int64 in the checkpoint'):
        load_weights(Model(), checkpoint, 'x')
    checkpoint['state_dict']['head.norm.weight'] = torch.ones(3, dtype=torch.float16)
    assert load_weights(Model(), checkpoint, 'x') == []
