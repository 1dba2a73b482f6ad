"""SViLM and its two heads: on its own encoders and on VideoTextAligner, in one process and in two."""

import pytest
import torch
import torch.distributed as dist
from gloo_pair import in_two_processes
from tiny_aligner import TEXTS, aligner_config, total, write_vocab
from torch.nn.functional import normalize
from torch.nn.parallel import DistributedDataParallel

from stgt_mm.functional.grounding import grounding_similarity
from stgt_mm.functional.temporal_grouping import foreground_probability
from stgt_mm.models import GroupedViT, TextEncoder
from stgt_mm.models.heads import NounGroundingHead, TemporalGroupingHead, VideoStructure
from stgt_mm.registry import MODELS
from stgt_mm.structures import VideoTextSample

BERT = dict(
    model_type='bert',
    hidden_size=8,
    intermediate_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    max_position_embeddings=32,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)
# the last two captions have equal sets, the third has none
PHRASES = [['red dog'], ['blue cat', 'far dog'], [], ['cat'], ['cat']]
STEPS = [dict(type='CutPasteBlend', tubelet=1), dict(type='NounPrompts', templates=['a {}'])]


def heads(width, text_width=8):
    return dict(
        temporal_grouping=dict(type='TemporalGroupingHead'),
        noun_grounding=dict(type='NounGroundingHead', width=width, text_width=text_width, embed_dim=6),
    )


def s_vilm_config(vocab):
    config = aligner_config(vocab)
    vit = dict(config['backbone'], type='GroupedViT', num_groups=3, group_after=(1,), tubelet=1, num_frames=3)
    return dict(
        type='SViLM',
        data_preprocessor=dict(config['data_preprocessor'], batch_transforms=STEPS),
        backbone=vit,
        vision_norm={},
        text_encoder=dict(type='TextEncoder', config=BERT),
        contrastive_head=dict(type='ContrastiveHead', embed_dim=6),
        auxiliary_heads=heads(16),
    )


def stgt_config(vocab):
    config = aligner_config(vocab)
    config['data_preprocessor']['batch_transforms'] = STEPS
    return dict(config, matching_head=None, caption_head=None, auxiliary_heads=heads(16))


CONFIGS = {'s_vilm': s_vilm_config, 'stgt': stgt_config}


def build(name, vocab):
    torch.manual_seed(0)
    return MODELS.build(CONFIGS[name](vocab)).double().train()


def prepared(model, rows=range(5)):
    """Rows of a batch that was blended and tokenised as a whole, in float64."""
    generator = torch.Generator().manual_seed(1)
    clips = torch.randint(0, 256, (5, 3, 3, 16, 16), generator=generator, dtype=torch.uint8)
    samples = [
        VideoTextSample(metainfo=dict(video_id=f'v{i}', text=TEXTS[i], noun_phrases=PHRASES[i]))
        for i in range(5)
    ]
    torch.manual_seed(2)
    whole = model.data_preprocessor({'inputs': clips, 'data_samples': samples}, training=True)['inputs']
    rows = list(rows)
    inputs = {
        key: value.unflatten(0, (5, -1))[rows].flatten(0, 1) if key.startswith('noun_') else value[rows]
        for key, value in whole.items()
    }
    inputs['video'] = inputs['video'].double()
    if len(rows) < 5:
        del inputs['blend_partner']  # rows of the whole batch
    return dict(inputs=inputs, data_samples=[samples[row] for row in rows])


def objectives(name, vocab, rows, wrap=lambda model: model, steps=1):
    model = build(name, vocab)
    wrapped = wrap(model)
    for _ in range(steps):
        model.zero_grad()
        batch = prepared(model, rows)
        batch['inputs'].pop('blend_partner', None)
        losses = wrapped(**batch, mode='loss')
        total(losses).backward()
    shares = {key: value.detach().clone() for key, value in losses.items() if 'loss' in key}
    if dist.is_initialized():
        for value in shares.values():
            dist.all_reduce(value)
            value /= 2
    gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    return {'losses': shares, 'gradients': gradients}


def work(vocab):
    own = range(3) if dist.get_rank() == 0 else range(3, 5)
    # twice: in the second step DDP complains of parameters that had no gradient in the first
    return {name: objectives(name, vocab, own, DistributedDataParallel, steps=2) for name in CONFIGS}


@pytest.fixture(scope='module')
def vocab(tmp_path_factory):
    return write_vocab(tmp_path_factory.mktemp('vocab'))


@pytest.fixture(scope='module')
def two(tmp_path_factory, vocab):
    return in_two_processes(work, tmp_path_factory.mktemp('gloo'), vocab)


@pytest.mark.parametrize('name', CONFIGS)
def test_losses_and_gradients_of_two_processes_equal_one(two, vocab, name):
    expected, found = objectives(name, vocab, range(5)), two[0][name]
    assert {'loss_temporal_grouping', 'loss_noun_grounding'} < set(expected['losses'])
    assert found['losses'].keys() == expected['losses'].keys()
    for part, values in found.items():
        for key, value in values.items():
            torch.testing.assert_close(value, expected[part][key], atol=1e-9, rtol=0, msg=key)


def test_both_heads_equal_loops(vocab):
    model = build('s_vilm', vocab)
    batch = prepared(model)
    inputs = batch['inputs']
    losses = model(**batch, mode='loss')
    found = model.backbone.encode(inputs['video'])
    frames = model.vision_norm(found.tokens).mean(2)
    probability = foreground_probability(frames, inputs['temporal_mask'], 0.1)
    wanted = (probability - inputs['temporal_mask']).square().mean()
    torch.testing.assert_close(losses['loss_temporal_grouping'], wanted)

    head = model.auxiliary_heads['noun_grounding']
    states = model.encode_phrases(inputs['noun_ids'], inputs['noun_mask'])
    nouns = normalize(head.noun_proj(states), dim=-1).view(5, 2, 6)
    groups = normalize(head.region_proj(found.groups), dim=-1)
    assert inputs['phrase_mask'].sum(1).tolist() == [1, 2, 0, 1, 1]
    logits = grounding_similarity(nouns, inputs['phrase_mask'], groups, head.temp) / head.temp
    partner, terms = inputs['blend_partner'].tolist(), []
    for i in (0, 1, 3, 4):
        others = [j for j in (0, 1, 3, 4) if j != i and PHRASES[j] != PHRASES[i]]
        others = [i, *(j for j in others if partner[i] != j and partner[j] != i)]
        terms += [-logits[i, others].log_softmax(0)[0] / 2, -logits[others, i].log_softmax(0)[0] / 2]
    torch.testing.assert_close(losses['loss_noun_grounding'], sum(terms) / 4)
    assert 0 <= losses['noun_accuracy'] <= 1 and 0 <= losses['frame_accuracy'] <= 1


def test_the_contrast_is_of_means_of_tokens_and_text_states(vocab):
    model = build('s_vilm', vocab).eval()
    inputs = prepared(model)['inputs']
    features = model(inputs)
    tokens = model.vision_norm(model.backbone(inputs['video']))
    head = model.contrastive_head
    wanted = normalize(head.vision_proj(tokens.flatten(1, 2).mean(1)), dim=-1)
    torch.testing.assert_close(features.queries[:, 0], wanted)
    states = model.text_encoder(inputs['text_ids'], inputs['text_mask'])
    texts = model.encode_text(inputs['text_ids'], inputs['text_mask'])
    torch.testing.assert_close(texts, normalize(head.text_proj(states[:, 0]), dim=-1))
    torch.testing.assert_close(model.similarity(features.queries, texts), features.queries[:, 0] @ texts.T)


def test_the_blend_and_the_prompts_are_of_training_alone(vocab):
    model = build('s_vilm', vocab)
    clips = torch.randint(0, 256, (3, 3, 3, 16, 16), dtype=torch.uint8)
    samples = [VideoTextSample(metainfo=dict(video_id=f'v{i}', text='red')) for i in range(3)]
    batch = {'inputs': clips, 'data_samples': samples}
    inputs = model.data_preprocessor(batch)['inputs']
    assert set(inputs) == {'video', 'text_ids', 'text_mask'}
    assert torch.equal(inputs['video'], model.data_preprocessor.normalise(clips))
    with pytest.raises(ValueError, match=r"'v0' has no noun_phrases.*noun_phrases.py"):
        model.data_preprocessor(batch, training=True)


def test_cached_tokens_are_blended_along_time_and_their_places_say_where(vocab):
    model = build('stgt', vocab)
    tokens = torch.arange(4.0)[:, None, None, None] + torch.zeros(4, 6, 5, 16)  # each knows its clip
    samples = [
        VideoTextSample(metainfo=dict(video_id=f'v{i}', text='red', noun_phrases=['dog'])) for i in range(4)
    ]
    batch = model.data_preprocessor({'inputs': tokens, 'data_samples': samples}, training=True)['inputs']
    own = torch.arange(4.0)[:, None]
    wanted = torch.where(batch['temporal_mask'] > 0, own, batch['blend_partner'][:, None].float())
    assert torch.equal(batch['tokens'][..., 0, 0], wanted)
    assert (batch['blend_partner'] != torch.arange(4)).all()
    keys = batch['phrase_keys']
    assert (keys == keys[0]).all() and batch['phrase_mask'].tolist() == [[True, False]] * 4


def test_more_phrases_than_wanted_are_drawn(vocab):
    model = build('s_vilm', vocab)
    sample = VideoTextSample(metainfo=dict(video_id='v', noun_phrases=['red', 'dog', 'cat', 'dog']))
    step = model.data_preprocessor.batch_transforms[1]
    torch.manual_seed(0)
    seen = [step({}, [sample], model.data_preprocessor) for _ in range(20)]
    texts = [model.data_preprocessor.tokenizer.decode(one['noun_ids']) for one in seen]
    assert {word for pair in texts for word in pair} == {'a red', 'a dog', 'a cat'}
    assert all(one != other for one, other in texts)


def test_what_is_missing_or_does_not_fit_is_named(vocab):
    model = build('s_vilm', vocab)
    batch = prepared(model)
    for key, words in (('temporal_mask', "type='CutPasteBlend'"), ('phrase_mask', "type='NounPrompts'")):
        inputs = {name: value for name, value in batch['inputs'].items() if name != key}
        with pytest.raises(ValueError, match=words):
            model.loss(inputs, batch['data_samples'])
    inputs = batch['inputs'] | {'temporal_mask': torch.ones(5, 2)}
    with pytest.raises(ValueError, match='make tubelet of CutPasteBlend that of the backbone'):
        model.loss(inputs, batch['data_samples'])
    model.neck = MODELS.build(dict(type='MeanPoolNeck'))
    with pytest.raises(ValueError, match='frame by frame'):
        model.loss(batch['inputs'], batch['data_samples'])
    heads = {'noun_grounding': dict(type='NounGroundingHead', width=8), 'noun_groundin': dict(width=5)}
    with pytest.raises(ValueError, match=r"noun_groundin has no type.*'noun_grounding'"):
        model.build_auxiliary_heads(heads)
    for kind, options, words in (
        ('CutPasteBlend', dict(prob=2), 'prob must lie'),
        ('CutPasteBlend', dict(min_ratio=0.8), 'min_ratio <= max_ratio'),
        ('NounPrompts', dict(templates=['a video']), 'one {} each'),
    ):
        with pytest.raises(ValueError, match=words):
            MODELS.build(
                dict(
                    type='VideoTextDataPreprocessor',
                    tokenizer={},
                    batch_transforms=[dict(type=kind, **options)],
                )
            )


def test_pictures_and_captions_without_nouns_give_attached_zeros():
    regions = torch.randn(2, 3, 4, requires_grad=True)
    structure = VideoStructure(regions[:, :1], regions)
    samples = [VideoTextSample(metainfo=dict(video_id=name)) for name in 'ab']
    head = NounGroundingHead(4, embed_dim=4)
    inputs = dict(
        temporal_mask=torch.ones(2, 1),
        noun_ids=None,
        noun_mask=None,
        phrase_mask=torch.zeros(2, 2).bool(),
        phrase_keys=torch.zeros(2).long(),
    )
    states = torch.randn(4, 4)
    losses = TemporalGroupingHead().loss(structure, None, inputs, samples)
    losses |= head.loss(structure, lambda ids, mask: states, inputs, samples)
    total(losses).backward()
    assert total(losses) == 0 and (regions.grad == 0).all()


def test_a_text_encoder_reads_a_folder_and_ignores_padding(tmp_path):
    torch.manual_seed(0)
    first = TextEncoder(config=dict(BERT, vocab_size=20)).eval()
    first.model.save_pretrained(tmp_path)
    second = TextEncoder(pretrained=str(tmp_path)).eval()
    ids, mask = torch.tensor([[2, 5, 6, 3], [2, 5, 3, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]).bool()
    states = second(ids, mask)
    assert second.width == 8 and states.shape == (2, 4, 8)
    torch.testing.assert_close(states, first(ids, mask))
    torch.testing.assert_close(states[1, :3], second(ids[1:, :3], mask[1:, :3])[0])
    with pytest.raises(ValueError, match='needs pretrained=FOLDER'):
        TextEncoder()
    with pytest.raises(ValueError, match="pretrained='nowhere/at/all'"):
        TextEncoder(pretrained='nowhere/at/all')


def test_any_backbone_gives_its_tokens_as_regions(vocab):
    config = s_vilm_config(vocab)
    config['backbone'] = aligner_config(vocab)['backbone']
    model = MODELS.build(config)
    assert not isinstance(model.backbone, GroupedViT)
    batch = prepared(model)
    batch['inputs']['video'] = batch['inputs']['video'].float()
    losses = model(**batch, mode='loss')
    assert {'loss_vtc', 'loss_temporal_grouping', 'loss_noun_grounding'} <= set(losses)
