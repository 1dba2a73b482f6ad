"""LAVIS' layout: the outputs of Hugging Face's model with the same numbers, and of BERT's caption head."""

import pytest
import torch
from lavis_layout import lavis_state
from small_blip2 import VOCAB, D, batch, build, hf_logits, hf_model, load, our_logits

from stgt_mm.converters import lavis_blip2

transformers = pytest.importorskip('transformers')


@pytest.fixture(scope='module')
def theirs():
    return hf_model(seed=5)


@pytest.fixture(scope='module')
def state(theirs):
    return lavis_state(theirs, D, VOCAB)


def test_same_logits(theirs, state):
    converted = lavis_blip2.convert(state)
    assert converted.unknown == []
    model = build()
    assert load(model, converted) == []
    for ours, wanted in zip(our_logits(model, *batch()), hf_logits(theirs, *batch())):
        torch.testing.assert_close(ours, wanted, rtol=0, atol=1e-4)
    assert model.contrastive_head.temp.item() == pytest.approx(0.05)


@torch.no_grad()
def test_same_caption_head(state):
    """transformers' own prediction head of BERT, with LAVIS' names, which are BERT's."""
    config = transformers.BertConfig(hidden_size=D, vocab_size=VOCAB, layer_norm_eps=1e-12)
    head = transformers.models.bert.modeling_bert.BertOnlyMLMHead(config).eval()
    names = {key.removeprefix('Qformer.cls.'): value for key, value in state.items() if '.cls.' in key}
    head.load_state_dict({**names, 'predictions.decoder.bias': names['predictions.bias']})
    model = build()
    load(model, lavis_blip2.convert(state))
    states = torch.randn(2, 6, D)
    ours = model.qformer.causal_head(states, model.qformer.embeddings.words.weight)
    torch.testing.assert_close(ours, head(states), rtol=0, atol=1e-4)


def test_without_an_encoder_of_images(state):
    """The second stage's files, and LAVIS' own training, leave out what is frozen."""
    half = {key: value for key, value in state.items() if not key.startswith('visual_encoder.')}
    half |= {'t5_proj.weight': torch.ones(4, D), 't5_proj.bias': torch.ones(4)}
    converted = lavis_blip2.convert(half)
    assert converted.unknown == []
    assert {'t5_proj.weight', 't5_proj.bias'} <= converted.left_aside.keys()
    whole = lavis_blip2.convert(state)
    assert converted.keys() == {key for key in whole if not key.startswith('backbone.')}


def test_a_decoder_that_is_not_tied_is_not_lost_silently(state):
    key = 'Qformer.cls.predictions.decoder.weight'
    assert lavis_blip2.convert({**state, key: state[key] + 1}).unknown == [key]
    assert lavis_blip2.convert(state).left_aside[key].startswith('the same as')


def test_the_vit_l_of_lavis_goes_to_clip():
    """blip2_pretrained_vitL.pth: CLIP's names without prefix below visual_encoder."""
    state = {
        'visual_encoder.class_embedding': torch.arange(4.0),
        'visual_encoder.positional_embedding': torch.ones(5, 4),
        'visual_encoder.transformer.resblocks.3.ln_1.weight': torch.ones(4),
        'query_tokens': torch.ones(1, 2, 4),
    }
    converted = lavis_blip2.convert(state)
    assert converted.unknown == []
    assert converted['backbone.vit.cls_token'].shape == (1, 1, 4)
    assert converted['backbone.vit.pos_embed'].shape == (1, 5, 4)
    assert converted['qformer.embeddings.queries'].shape == (2, 4)
    assert converted.origin['backbone.vit.blocks.3.norm1.weight'] == (
        'visual_encoder.transformer.resblocks.3.ln_1.weight',
    )
