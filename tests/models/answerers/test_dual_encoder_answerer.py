"""Question answering by two encoders: of S-ViLM's kind, and a public pair with a text side of its own."""

import pytest
import torch
from tiny_answerer import QUESTIONS, TRUTHS, write_files

from stgt_mm.registry import MODELS
from stgt_mm.structures import VideoTextSample

VIT = dict(model_name='vit_tiny_patch16_224', img_size=16, patch_size=8, embed_dim=16, depth=1, num_heads=2)
TOWER = dict(hidden_size=16, intermediate_size=32, num_attention_heads=2, num_hidden_layers=1)
CLIP = dict(
    model_type='clip',
    projection_dim=12,
    vision_config=dict(image_size=16, patch_size=8, **TOWER),
    text_config=dict(vocab_size=None, max_position_embeddings=16, **TOWER),
)
BERT = dict(
    model_type='bert',
    **{**TOWER, 'hidden_size': 12},
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)
PARTS = {
    's_vilm': dict(
        backbone=dict(type='GroupedViT', num_groups=2, group_after=(1,), tubelet=2, num_frames=2, **VIT),
        text_encoder=dict(type='TextEncoder', config=BERT),
        vision_norm={},
    ),
    'clip': dict(backbone=dict(type='TransformersTowers', config=CLIP, trainable=['video', 'text'])),
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_files(tmp_path_factory.mktemp('answers'))


def shared(folder, kind):
    tokenizer = dict(type='WordPieceTokenizer', vocab=str(folder / 'vocab.txt'))
    return {**PARTS[kind], 'data_preprocessor': dict(type='VideoTextDataPreprocessor', tokenizer=tokenizer)}


def build(folder, kind, **changes):
    torch.manual_seed(0)
    head = dict(type='AnswerHead', width=16, vocabulary=str(folder / 'answers.txt'))
    config = dict(type='DualEncoderAnswerer', answer_head=head, **shared(folder, kind))
    return MODELS.build({**config, **changes})


def batch():
    torch.manual_seed(1)
    video = torch.randn(3, 2, 3, 16, 16)
    samples = [VideoTextSample(metainfo=dict(question=q, answer=a)) for q, a in zip(QUESTIONS, TRUTHS)]
    return {'video': video}, samples


@pytest.mark.parametrize('kind', PARTS)
def test_it_learns_from_both_sides_and_trains_every_part(folder, kind):
    model, (inputs, samples) = build(folder, kind), batch()
    before = {name: value.clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        losses = model.loss(inputs, samples)
        losses['loss_answer'].backward()
        assert all(own.grad is not None for own in model.parameters() if own.requires_grad), 'DDP would wait'
        optimizer.step()
    assert losses['loss_answer'] < 0.2 and losses['answer_accuracy'] == 1
    moved = {name.split('.')[0] for name, own in model.named_parameters() if not own.equal(before[name])}
    assert {'backbone', 'video_proj', 'question_proj', 'fusion', 'answer_head'} <= moved
    model.eval()
    for sample in model.predict(inputs, samples):
        assert sample.prediction == sample.answer and sample.mode == 'classify'
        assert 0.6 < sample.score <= 1
    read = model.read(inputs, QUESTIONS)
    other_video = model.read({'video': inputs['video'].roll(1, 0)}, QUESTIONS)
    other_question = model.read(inputs, QUESTIONS[::-1])
    assert not torch.allclose(read, other_video) and not torch.allclose(read[0], other_question[0])
    found = model.answer(inputs, QUESTIONS, k=9)
    assert [len(own) for own in found] == [5] * 3, 'no more than the vocabulary has'
    assert all(abs(sum(score for _, score in own) - 1) < 1e-5 for own in found)


def test_its_parts_have_the_names_of_the_aligners(folder):
    contrast = dict(contrastive_head=dict(type='ContrastiveHead', embed_dim=6))
    aligner = MODELS.build(dict(type='SViLM', **shared(folder, 's_vilm'), **contrast)).state_dict()
    own = build(folder, 's_vilm').state_dict()
    heads = ('video_proj', 'question_proj', 'fusion', 'answer_head')
    assert {key for key in own if not key.startswith(heads)} == {
        key for key in aligner if not key.startswith('contrastive_head')
    }
    assert all(own[key].shape == value.shape for key, value in aligner.items() if key in own)


def test_what_does_not_go_together(folder):
    with pytest.raises(ValueError, match='text_encoder=None with a GroupedViT'):
        build(folder, 's_vilm', text_encoder=None)
    with pytest.raises(ValueError, match='with a TransformersTowers: give one where'):
        build(folder, 'clip', text_encoder=PARTS['s_vilm']['text_encoder'])
    model, (inputs, _) = build(folder, 's_vilm'), batch()
    with pytest.raises(ValueError, match='3 samples have no answer'):
        model.loss(inputs, [VideoTextSample(metainfo=dict(question=q, question_id='1')) for q in QUESTIONS])
