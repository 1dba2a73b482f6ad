"""What is looked at in a SViLM: the groups that it has, what nouns are compared with, frames and segments."""

import pytest
import torch
from torch.nn.functional import normalize

from stgt_mm.functional.grouping import assign_to_groups
from stgt_mm.models.tokenizer import SPECIAL_TOKENS
from stgt_mm.registry import MODELS
from stgt_mm.visualization.grouping_view import (
    GROUP_MEANS,
    GROUP_TOKENS,
    HEAD,
    draw_blend,
    frame_features,
    grouping_temperature,
    phrase_similarities,
    view_groups,
)

VIT = dict(model_name='vit_tiny_patch16_224', img_size=16, patch_size=8, embed_dim=16, depth=1, num_heads=2)
BERT = dict(
    model_type='bert', hidden_size=12, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2
)
HEADS = dict(
    temporal=dict(type='TemporalGroupingHead', temperature=0.3),
    nouns=dict(type='NounGroundingHead', width=16, text_width=12, embed_dim=6),
)
STEPS = [
    dict(type='CutPasteBlend', tubelet=2, min_ratio=0.7, max_ratio=0.8),
    dict(type='NounPrompts', templates=['a {}', '{} runs']),
]


@pytest.fixture(scope='module')
def vocab(tmp_path_factory):
    path = tmp_path_factory.mktemp('words') / 'vocab.txt'
    path.write_text('\n'.join([*SPECIAL_TOKENS, 'a', 'red', 'dog', 'cat', 'runs', 'video', 'of']) + '\n')
    return path


def build(vocab, heads=HEADS, steps=STEPS, **changes):
    torch.manual_seed(0)
    tokenizer = dict(type='WordPieceTokenizer', vocab=str(vocab))
    preprocessor = dict(type='VideoTextDataPreprocessor', tokenizer=tokenizer, batch_transforms=steps)
    backbone = dict(type='GroupedViT', num_groups=3, group_after=(1,), tubelet=2, num_frames=8, **VIT)
    model = MODELS.build(
        dict(
            type='SViLM',
            data_preprocessor=preprocessor,
            backbone=backbone,
            text_encoder=dict(type='TextEncoder', config=BERT),
            contrastive_head=dict(type='ContrastiveHead', embed_dim=6),
            vision_norm={},
            auxiliary_heads=heads,
            **changes,
        )
    )
    for name, parameter in model.named_parameters():
        if 'group_tokens' in name:
            parameter.data += 0.5 * torch.randn_like(parameter)
    return model


def clips(count=2):
    return torch.randn(count, 8, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def test_shares_are_those_that_the_hard_assignment_is_made_of(vocab):
    model, video = build(vocab), clips()
    view = view_groups(model, video)
    assert view.shares.shape == (2, 3, 4, 2, 2)
    torch.testing.assert_close(view.shares.sum(dim=1), torch.ones(2, 4, 2, 2))
    assert ((view.shares > 0.1) & (view.shares < 0.9)).any(), 'soft'
    with torch.no_grad():
        found = model.eval().backbone.encode(video)
        hard = assign_to_groups(view.shares.flatten(2).log())
        tokens = model.encode_video({'video': video}).tokens
    torch.testing.assert_close(hard, found.assignments[-1])
    assert torch.equal(view.groups, found.groups)
    torch.testing.assert_close(view.patches, tokens.unflatten(1, (4, 5))[:, :, 1:].flatten(1, 2))
    assert model.backbone.grouping[-1].assign == 'kmeans', 'it is put back'
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_nouns_are_compared_by_the_head_and_by_the_contrast(vocab):
    model = build(vocab).eval()
    view = view_groups(model, clips())
    found = phrase_similarities(model, view, ['red dog', 'cat'])
    assert list(found) == [HEAD, GROUP_TOKENS, GROUP_MEANS] and found[HEAD].shape == (2, 2, 3)
    with torch.no_grad():
        head = model.auxiliary_heads['nouns']
        states = model.encode_phrases(*model.data_preprocessor.tokenize(['a cat', 'cat runs']))
        noun = normalize(head.project_nouns(states).mean(dim=0), dim=-1)
        torch.testing.assert_close(found[HEAD][1, 1], head.project_regions(view.groups)[1] @ noun)
        texts = model.encode_text(*model.data_preprocessor.tokenize(['a cat', 'cat runs']))
        text = normalize(texts.mean(dim=0), dim=-1)
        shares = view.shares[1, 2].flatten()
        mean = (shares[:, None] * view.patches[1]).sum(dim=0) / shares.sum()
        own = model.contrastive_head.project_queries(mean[None])[0]
        torch.testing.assert_close(found[GROUP_MEANS][1, 1, 2], own @ text)
    bare = build(vocab, heads=None, steps=[])
    assert list(phrase_similarities(bare, view, ['cat'])) == [GROUP_TOKENS, GROUP_MEANS]


def test_frames_and_segments(vocab):
    model, video = build(vocab), clips(4)
    features = frame_features(model, video)
    tokens = model.eval().encode_video({'video': video}).tokens
    torch.testing.assert_close(features, tokens.unflatten(1, (4, 5)).mean(dim=2).detach())
    state = torch.get_rng_state()
    segments = draw_blend(model, video, seed=3)
    assert torch.equal(torch.get_rng_state(), state), 'what is drawn elsewhere does not change'
    assert segments.length.tolist() == [3] * 4 and (segments.partner != torch.arange(4)).all()
    assert all(torch.equal(*pair) for pair in zip(segments, draw_blend(model, video, seed=3)))
    assert grouping_temperature(model) == 0.3


def test_what_has_no_groups_or_no_frames(vocab):
    model = build(vocab, neck=dict(type='MeanPoolNeck'))
    with pytest.raises(ValueError, match='tokens of MeanPoolNeck have no time'):
        frame_features(model, clips())
    model.backbone = torch.nn.Identity()
    with pytest.raises(ValueError, match='this model is a SViLM on Identity'):
        view_groups(model, clips())
