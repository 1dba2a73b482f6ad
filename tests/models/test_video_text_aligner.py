"""The aligner as a whole: every objective, every neck."""

import pytest
import torch
from tiny_aligner import NECKS, build_aligner, prepared_batch, total, write_vocab

from stgt_mm.structures import VideoTextSample


@pytest.fixture(scope='module')
def vocab(tmp_path_factory):
    return write_vocab(tmp_path_factory.mktemp('vocab'))


@pytest.mark.parametrize('neck', NECKS)
@pytest.mark.parametrize('alpha', [1.0, 0.0])
def test_every_trainable_parameter_learns_and_the_backbone_does_not(vocab, neck, alpha):
    aligner = build_aligner(vocab, neck, alpha)
    losses = aligner(**prepared_batch(aligner, range(5)), mode='loss')
    contrast = 'loss_vtc' if alpha else 'loss_csal'
    assert {key for key in losses if 'loss' in key} == {contrast, 'loss_vtm', 'loss_vtg'}
    assert ('graph_density' in losses) == (neck == 'stgt')
    total(losses).backward()
    for name, parameter in aligner.named_parameters():
        if name.startswith('backbone.'):
            assert not parameter.requires_grad and parameter.grad is None
        else:
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
            if 'key.bias' not in name and not name.endswith('in_proj_bias'):  # softmax cancels a key's bias
                assert parameter.grad.abs().sum() > 0, name


def test_a_batch_of_one_has_no_negative_and_still_trains(vocab):
    aligner = build_aligner(vocab)
    losses = aligner(**prepared_batch(aligner, [2]), mode='loss')
    assert losses['loss_vtm'] == 0 and losses['vtm_skipped'] == 1
    total(losses).backward()
    assert all(torch.isfinite(p.grad).all() for p in aligner.parameters() if p.grad is not None)


def test_retrieval_by_parts_equals_predict(vocab):
    aligner = build_aligner(vocab).eval()
    batch = prepared_batch(aligner, range(5))
    features = aligner(batch['inputs'], mode='tensor')
    texts = aligner.encode_text(batch['inputs']['text_ids'], batch['inputs']['text_mask'])
    samples = aligner(**batch, mode='predict')
    cosine = aligner.similarity(features.queries, texts)
    loop = torch.stack([torch.stack([(q @ t).max() for t in texts]) for q in features.queries])
    torch.testing.assert_close(cosine, loop)
    for row, sample in enumerate(samples):
        torch.testing.assert_close(sample.embedding, features.queries[row])
        torch.testing.assert_close(sample.similarity, cosine[row, row])


def test_cached_tokens_give_what_the_clips_give(vocab):
    aligner = build_aligner(vocab).eval()
    inputs = prepared_batch(aligner, range(5))['inputs']
    tokens = aligner.backbone(inputs['video'])
    torch.testing.assert_close(
        aligner.encode_video({'tokens': tokens}).queries, aligner.encode_video(inputs).queries
    )


def test_padding_of_captions_changes_no_loss(vocab):
    aligner = build_aligner(vocab)
    noise = torch.rand(2, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    batch = prepared_batch(aligner, range(5), noise)
    before = aligner(**batch, mode='loss')
    inputs = batch['inputs']
    pad = torch.nn.functional.pad
    inputs['text_ids'], inputs['text_mask'] = (
        pad(inputs['text_ids'], (0, 3)),
        pad(inputs['text_mask'], (0, 3)),
    )
    after = aligner(**batch, mode='loss')
    for key, value in before.items():
        torch.testing.assert_close(after[key], value, msg=key)


def test_captions_that_differ_in_punctuation_are_one_text(vocab):
    aligner = build_aligner(vocab)
    batch = prepared_batch(aligner, range(2))
    batch['data_samples'][1].set_metainfo({'text': 'A red dog, runs!'.replace(',', '')})
    assert aligner(**batch, mode='loss')['vtm_skipped'] == 1


def test_missing_captions_and_unknown_modes_are_named(vocab):
    aligner = build_aligner(vocab)
    inputs = {'video': prepared_batch(aligner, range(2))['inputs']['video']}
    with pytest.raises(ValueError, match='clip_7'):
        aligner(inputs, [VideoTextSample(metainfo=dict(video_id=f'clip_{i}')) for i in (7, 8)], mode='loss')
    with pytest.raises(ValueError, match='feature'):
        aligner(inputs, mode='feature')
