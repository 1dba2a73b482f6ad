"""The action classifier: a probe trains its head alone, starts from an aligner, tells what does not fit."""

import pytest
import torch
from safetensors.torch import save_file
from tiny_aligner import aligner_config, build_aligner, prepared_batch, write_vocab

from stgt_mm.engine.checkpoint.weights import frozen_parts
from stgt_mm.models import ActionHead
from stgt_mm.registry import MODELS

NAMES = ['fall', 'jump', 'run']


@pytest.fixture
def files(tmp_path):
    (tmp_path / 'actions.txt').write_text('\n'.join(NAMES) + '\n')
    aligner = build_aligner(write_vocab(tmp_path), seed=3)
    save_file(aligner.state_dict(), tmp_path / 'aligner.safetensors')
    return tmp_path, aligner


def build(folder, checkpoint='aligner.safetensors', head=(), **changes):
    parts = aligner_config('any')
    config = dict(
        type='ActionClassifier',
        data_preprocessor=dict(type='VideoTextDataPreprocessor'),
        action_head=dict(type='ActionHead', width=16, actions=str(folder / 'actions.txt'), **dict(head)),
        checkpoint=checkpoint and str(folder / checkpoint),
        **{name: parts[name] for name in ('backbone', 'neck', 'vision_norm')},
    )
    return MODELS.build({**config, **changes}).double()


def batch(aligner):
    inputs, samples = prepared_batch(aligner, range(3)).values()
    for sample, name in zip(samples, ('run', 'fall', 'run')):
        sample.set_metainfo({'action': name})
    return {'video': inputs['video']}, samples


def test_a_probe_trains_its_head_alone_on_the_tokens_of_the_aligner(files):
    folder, aligner = files
    model = build(folder, head={'norm': 'batch'}).train()
    inputs, samples = batch(aligner)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == [
        'action_head.classifier.weight',
        'action_head.classifier.bias',
    ]
    assert not model.neck.training and model.action_head.training
    tokens = aligner.eval().extract_tokens(inputs)
    assert torch.equal(model.extract_tokens(inputs), tokens)
    losses = model.loss(inputs, samples)
    mean = tokens.mean(dim=1)
    features = (mean - mean.mean(dim=0)) / (mean.var(dim=0, unbiased=False) + 1e-6).sqrt()
    logits = features @ model.action_head.classifier.weight.T + model.action_head.classifier.bias
    wanted = -(logits - logits.exp().sum(dim=1, keepdim=True).log())[torch.arange(3), [2, 0, 2]].mean()
    assert losses['loss_action'].item() == pytest.approx(wanted.item(), rel=1e-6)
    # the file is named in checkpoints, and its parts are not saved again
    kept = frozen_parts(model)
    assert set(kept) == {'backbone', 'neck', 'vision_norm'}
    assert {part['source'] for part in kept.values()} == {str(folder / 'aligner.safetensors')}
    assert model.protocol == {'task': 'action', 'trained': ['action_head'], 'actions': 3}


def test_fine_tuning_trains_all(files):
    folder, aligner = files
    parts = aligner_config('any')
    backbone = {**parts['backbone'], 'frozen': False}
    model = build(folder, backbone=backbone, trainable=['neck', 'vision_norm']).train()
    inputs, samples = batch(aligner)
    model.loss(inputs, samples)['loss_action'].backward()
    assert all(p.grad is not None for p in model.parameters())
    assert model.protocol['trained'] == ['backbone', 'neck', 'vision_norm', 'action_head']


def test_predictions_are_the_likeliest_actions(files):
    folder, aligner = files
    model = build(folder).eval()
    inputs, samples = batch(aligner)
    best = model.recognise(inputs, k=2)
    for sample, own in zip(model.predict(inputs, samples), best):
        assert (sample.prediction, sample.score) == own[0] and own[0][1] > own[1][1]
        assert sample.probabilities.sum().item() == pytest.approx(1, abs=1e-6)
        assert sample.probabilities[NAMES.index(own[1][0])].item() == pytest.approx(own[1][1])


def test_what_does_not_fit_is_named(files):
    folder, aligner = files
    inputs, samples = batch(aligner)
    samples[0].set_metainfo({'action': 'sleep'})
    with pytest.raises(ValueError, match="lacks the action 'sleep'"):
        build(folder).loss(inputs, samples)
    with pytest.raises(ValueError, match="no part 'qformer'"):
        build(folder, trainable=['qformer'])
    save_file({'qformer.queries': torch.zeros(3)}, folder / 'other.safetensors')
    with pytest.raises(ValueError, match='does not fit:\n  nothing of neck, which is frozen'):
        build(folder, checkpoint='other.safetensors')
    with pytest.raises(ValueError, match="norm is 'group'"):
        build(folder, head={'norm': 'group'})
    with pytest.raises(ValueError, match=r'num_actions=4, but .* has 3'):
        build(folder, head={'num_actions': 4})
    state = build(folder, checkpoint=None).action_head.state_dict()
    (folder / 'turned.txt').write_text('\n'.join(NAMES[::-1]))
    with pytest.raises(ValueError, match='trained on another vocabulary'):
        ActionHead(16, str(folder / 'turned.txt')).load_state_dict(state)
    assert ActionHead(16, 'not_there.txt', num_actions=5).classifier.out_features == 5
    with pytest.raises(ValueError, match=r"no action vocabulary 'not_there\.txt'"):
        ActionHead(16, 'not_there.txt')
