"""Loading accounts for every key: what may be absent is frozen or named, all else is an error."""

import pytest
import torch
from engine_toy import ToyModel

from stgt_mm.engine.checkpoint.weights import frozen_parts, is_in, load_weights
from stgt_mm.engine.errors import CheckpointError


def toy(seed=0, checkpoint=None, frozen=True, **kwargs):
    model = ToyModel(backbone={'type': 'ToyBackbone', 'seed': seed, 'frozen': frozen}, **kwargs)
    model.backbone.checkpoint = checkpoint  # a file of its own
    return model


def saved(model):
    """What the runner writes: all but the frozen parts, and the names of these."""
    parts = frozen_parts(model)
    state = {key: value.clone() for key, value in model.state_dict().items() if not is_in(key, parts)}
    return {'state_dict': state, 'frozen': parts}


def stored(*parts):
    """A file that holds these parts and says nothing of others."""
    return {'state_dict': {key: value for key, value in toy().state_dict().items() if is_in(key, parts)}}


def test_frozen_parts_are_named_and_not_stored():
    model, other = toy(), toy()
    checkpoint = saved(model)
    assert set(checkpoint['frozen']) == {'backbone'}
    assert not any(key.startswith('backbone.') for key in checkpoint['state_dict'])
    assert 'contrastive_head.temperature' in checkpoint['state_dict']
    assert load_weights(other, checkpoint, 'x.pth') == []
    assert torch.equal(other.layers[0].weight, model.layers[0].weight)


def test_another_frozen_part_stops_and_one_that_is_trained_now_stops_a_strict_load():
    with pytest.raises(CheckpointError, match=r'frozen backbone differs'):
        load_weights(toy(seed=1), saved(toy(seed=0)), 'x.pth')
    model = toy(frozen=False)
    with pytest.raises(CheckpointError, match='no frozen backbone'):
        load_weights(model, saved(toy()), 'x.pth')
    assert load_weights(model, saved(toy()), 'x.pth', strict=False) == []


def test_a_frozen_part_with_a_file_of_its_own_may_be_absent_from_a_strict_load():
    checkpoint = stored('contrastive_head', 'layers')
    assert load_weights(toy(checkpoint='weights/backbone.safetensors'), checkpoint, 'x') == []
    with pytest.raises(CheckpointError, match=r'2 missing in the checkpoint:\n  backbone\.linear\.weight'):
        load_weights(toy(), checkpoint, 'x')


@pytest.mark.parametrize('strict', [True, ['contrastive_head']])
def test_another_architecture_lists_every_kind_of_misfit(strict):
    checkpoint = saved(toy(hidden=8))
    checkpoint['state_dict']['neck.proj'] = torch.zeros(3)
    del checkpoint['state_dict']['layers.3.bias']
    with pytest.raises(CheckpointError) as error:
        load_weights(toy(hidden=16), checkpoint, 'epoch_1.pth', strict)
    text = str(error.value)
    assert '1 missing in the checkpoint:\n  layers.3.bias' in text
    assert '1 not in the model:\n  neck.proj' in text
    assert 'layers.0.weight: [8, 6] in the checkpoint, [16, 6] in the model' in text
    for words in ('does not fit', 'another architecture', '--cfg-options'):
        assert words in text


def test_missing_keys_stop_strict_loading_only():
    checkpoint = saved(toy())
    del checkpoint['state_dict']['layers.0.bias']
    with pytest.raises(CheckpointError, match=r'layers\.0\.bias'):
        load_weights(toy(), checkpoint, 'x.pth')
    lines = load_weights(toy(), checkpoint, 'x.pth', strict=False)
    assert lines == ['1 missing in the checkpoint:', '  layers.0.bias']


def test_a_named_part_keeps_its_start_if_it_is_not_in_the_file():
    model, checkpoint = toy(), stored('backbone', 'contrastive_head', 'layers.0')
    before = model.layers[3].weight.clone()
    lines = load_weights(model, checkpoint, 'start.safetensors', strict=['layers.3'])
    assert lines == ['layers.3 keeps its initial weights: 2 tensors, 18 values, not from start.safetensors']
    assert torch.equal(model.layers[0].weight, checkpoint['state_dict']['layers.0.weight'])
    assert torch.equal(model.layers[3].weight, before)
    whole = saved(toy())
    assert load_weights(model, whole, 'x', strict=['layers.3']) == []
    assert torch.equal(model.layers[3].weight, whole['state_dict']['layers.3.weight'])


def test_a_part_of_another_shape_is_passed_over_only_if_named():
    model, checkpoint = toy(hidden=9), saved(toy())
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=r'layers\.0\.weight: \[8, 6\] in the checkpoint, \[9, 6\]'):
        load_weights(model, checkpoint, 'x', strict=['layers.3'])
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    named = ['layers.3', 'layers.0.weight', 'layers.0.bias']
    assert [line.split()[0] for line in load_weights(model, checkpoint, 'x', strict=named)] == named
    assert torch.equal(model.layers[0].weight, before['layers.0.weight'])


def test_a_prefix_that_is_no_part_of_the_model_is_an_error():
    with pytest.raises(ValueError, match=r"no 'layer'. Did you mean 'layers'"):
        load_weights(toy(), saved(toy()), 'x', strict=['layer'])


def test_whole_numbers_do_not_become_weights():
    checkpoint = saved(toy())
    checkpoint['state_dict']['layers.0.bias'] = torch.ones(8, dtype=torch.int64)
    with pytest.raises(CheckpointError, match=r'layers\.0\.bias: torch\.int64 in the checkpoint'):
        load_weights(toy(), checkpoint, 'x')
    checkpoint['state_dict']['layers.0.bias'] = torch.ones(8, dtype=torch.float16)
    assert load_weights(toy(), checkpoint, 'x') == []
