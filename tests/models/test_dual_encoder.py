"""DualEncoder against the libraries' own models, from folders as they are published."""

import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))
from small_encoders import CONFIGS, FRAMES, LENGTH, SIDE, publish, publish_open_clip

from stgt_mm.datasets.transforms import PretrainedResize
from stgt_mm.registry import MODELS
from stgt_mm.structures import VideoTextSample

TEXTS = ['a red circle moves left', 'The blue square grows', 'a red square stops and moves right']
CLIPS = torch.randint(0, 256, (2, FRAMES, 3, 40, 48), generator=torch.Generator().manual_seed(0)).byte()


def build(folder, library='transformers', **changes):
    backbone = {'transformers': 'TransformersTowers', 'open_clip': 'OpenCLIPTowers'}[library]
    tokenizer = dict(type='PretrainedTokenizer', pretrained=str(folder), library=library)
    trainable = changes.pop('trainable', ())
    return MODELS.build(
        dict(
            type='DualEncoder',
            backbone=dict(type=backbone, pretrained=str(folder), trainable=trainable),
            data_preprocessor=dict(type='VideoTextDataPreprocessor', tokenizer=tokenizer, max_words=None),
            **changes,
        )
    ).eval()


def prepare(model, folder, clips=CLIPS, library='transformers'):
    """Clips and texts as a run prepares them."""
    resize = PretrainedResize(str(folder), library)
    frames = torch.stack([resize.transform({'frames': clip})['frames'] for clip in clips])
    samples = [VideoTextSample(metainfo=dict(video_id=str(i), text=TEXTS[i])) for i in range(len(clips))]
    return model.data_preprocessor({'inputs': frames, 'data_samples': samples})


@torch.no_grad()
def cosines(model, inputs):
    ids, mask = model.data_preprocessor.tokenize(TEXTS)
    videos = model.encode_video(inputs)
    assert videos.queries.shape[1] == 1 and videos.tokens.shape[0] == len(videos.queries)
    assert torch.allclose(videos.queries.norm(dim=-1), torch.ones(len(videos.queries), 1))
    return model.similarity(videos.queries, model.encode_text(ids, mask))


@pytest.fixture(params=CONFIGS)
def published(request, tmp_path):
    library, processor = publish(request.param, tmp_path)
    return request.param, tmp_path, library, processor


@torch.no_grad()
def library_cosines(kind, folder, library, processor, frames):
    """The library's way from frames (n, 3, H, W) and texts to cosines (n, K), (1, K) of a video side."""
    from transformers import AutoTokenizer

    padding = 'max_length' if kind.startswith('siglip') else True
    words = AutoTokenizer.from_pretrained(folder)(
        TEXTS, padding=padding, max_length=LENGTH, truncation=True, return_tensors='pt'
    )
    if kind == 'videoprism':
        clip = processor(videos=[frames], do_sample_frames=False, return_tensors='pt')
        found = library(**clip, **words)
        return found.video_embeds @ found.text_embeds.T
    images = processor(list(frames), return_tensors='pt')
    if kind.startswith('siglip'):
        words = {'input_ids': words['input_ids']}  # padding is read
    if kind == 'xclip':
        library.prompts_generator.alpha.zero_()  # what makes another text of every video
        found = library(pixel_values=images['pixel_values'], **words)
        return found.logits_per_video / library.logit_scale.exp()
    found = library(**images, **words)
    return F.normalize(found.image_embeds, dim=-1) @ F.normalize(found.text_embeds, dim=-1).T


def test_scores_are_those_of_the_library(published):
    kind, folder, library, processor = published
    model = build(folder)
    one_by_one = kind in ('clip', 'siglip', 'siglip2')
    clips = CLIPS[:, :1] if one_by_one else CLIPS
    expected = torch.cat([library_cosines(kind, folder, library, processor, clip) for clip in clips])
    found = cosines(model, prepare(model, folder, clips)['inputs'])
    assert torch.allclose(found, expected, atol=1e-5), (found - expected).abs().max()
    assert expected.std() > 0.01, 'there is something to compare'
    temperature = float(model.contrastive_head.temperature.detach())
    assert temperature == pytest.approx(0.07 if kind == 'videoprism' else torch.tensor(-3.0).exp().item())


def test_a_video_is_the_mean_of_its_normalised_frames_in_any_order(tmp_path):
    library, processor = publish('clip', tmp_path)
    model = build(tmp_path)
    inputs = prepare(model, tmp_path)['inputs']
    with torch.no_grad():
        pixels = processor(list(CLIPS[0]), return_tensors='pt')['pixel_values']
        frames = F.normalize(library.get_image_features(pixels).pooler_output, dim=-1)
        video = model.encode_video(inputs)
    assert torch.allclose(video.tokens[0], frames, atol=1e-5)
    assert torch.allclose(video.queries[0, 0], F.normalize(frames.mean(0), dim=-1), atol=1e-5)
    shuffled = {'video': inputs['video'].flip(1)}
    assert torch.allclose(cosines(model, inputs), cosines(model, shuffled), atol=1e-6)


def test_open_clip_from_a_folder(tmp_path):
    library, transform = publish_open_clip(tmp_path)
    model = build(tmp_path, 'open_clip')
    found = cosines(model, prepare(model, tmp_path, CLIPS[:, :1], 'open_clip')['inputs'])
    from open_clip import get_tokenizer

    images = torch.stack([transform(Image.fromarray(clip[0].permute(1, 2, 0).numpy())) for clip in CLIPS])
    with torch.no_grad():
        texts = library.encode_text(get_tokenizer(f'local-dir:{tmp_path}')(TEXTS), normalize=True)
        expected = library.encode_image(images, normalize=True) @ texts.T
    # pictures are resized by Pillow there: a level of 255 more or less
    assert torch.allclose(found, expected, atol=5e-3) and expected.std() > 0.02
    assert model.backbone.frozen and model.backbone.checkpoint == str(tmp_path)


def test_seq_transf_with_silent_blocks_is_mean_pooling_and_reads_order_otherwise(tmp_path):
    publish('clip', tmp_path)
    plain, model = build(tmp_path), build(tmp_path, temporal_layers=2)
    assert plain.is_complete and not model.is_complete
    inputs = prepare(model, tmp_path)['inputs']
    turned = {'video': inputs['video'].flip(1)}
    assert not torch.allclose(cosines(model, inputs), cosines(model, turned), atol=1e-4)
    own = dict(model.backbone.model.text_model.encoder.layers[1].named_parameters())
    assert all(torch.equal(value, own[name]) for name, value in model.temporal.blocks[1].named_parameters())
    with torch.no_grad():
        for name, value in model.temporal.named_parameters():
            if name == 'positions' or 'out_proj' in name or 'fc2' in name:
                value.zero_()
    assert torch.allclose(cosines(model, inputs), cosines(plain, inputs), atol=1e-5)
    with pytest.raises(ValueError, match='the text side has 2 blocks'):
        build(tmp_path, temporal_layers=3)


@pytest.mark.parametrize('trainable', [(), ('video',), ('video', 'text')])
def test_sides_train_as_asked_and_every_trained_weight_gets_a_gradient(tmp_path, trainable):
    from stgt_mm.engine.checkpoint.weights import frozen_parts

    publish('xclip', tmp_path)
    model = build(tmp_path, trainable=trainable).train()
    batch = prepare(model, tmp_path)
    losses = model(batch['inputs'], batch['data_samples'], mode='loss')
    losses['loss_vtc'].backward()
    sides = {
        'text' if '.text_' in name else 'video'
        for name, p in model.backbone.named_parameters()
        if p.requires_grad
    }
    assert sides == set(trainable)
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())
    assert model.backbone.training == bool(trainable)
    assert model.backbone.model.text_model.training == ('text' in trainable)
    frozen = frozen_parts(model)
    assert all(part['source'] == str(tmp_path) for part in frozen.values())
    assert ('backbone' in frozen) == (not trainable) and bool(frozen) == (len(trainable) < 2)
    assert all(torch.isfinite(sample.similarity) for sample in model.predict(**batch))


def test_what_does_not_fit_is_named(tmp_path):
    publish('xclip', tmp_path / 'x')
    model = build(tmp_path / 'x')
    with pytest.raises(ValueError, match=rf'reads clips of \[{FRAMES}, 3, {SIDE}, {SIDE}\], not \[2, 3'):
        model.encode_video({'video': torch.zeros(1, 2, 3, SIDE, SIDE)})
    with pytest.raises(ValueError, match='no text blocks of width P'):
        build(tmp_path / 'x', temporal_layers=1)
    with pytest.raises(ValueError, match='hf download'):
        build(tmp_path / 'nothing')
    with pytest.raises(ValueError, match='trainable'):
        build(tmp_path / 'x', trainable=('vision',))
    publish('siglip', tmp_path / 's')
    tokenizer = dict(type='PretrainedTokenizer', pretrained=str(tmp_path / 's'), max_length=5)
    model = build(tmp_path / 's')
    model.data_preprocessor._tokenizer_cfg = tokenizer
    with pytest.raises(ValueError, match=f'reads exactly {LENGTH} tokens'):
        model.data_preprocessor.tokenize(TEXTS)
    for backbone, words in (
        (dict(type='TransformersTowers'), 'pretrained=FOLDER'),
        (dict(type='TransformersTowers', config=dict(model_type='opt')), 'no dual encoder'),
        (dict(type='TimmViT', model_name='vit_tiny_patch16_224', depth=1), 'text side'),
    ):
        with pytest.raises(ValueError, match=words):
            MODELS.build(
                dict(
                    type='DualEncoder',
                    backbone=backbone,
                    data_preprocessor=dict(type='VideoTextDataPreprocessor', tokenizer={}),
                )
            )


def test_costs_are_counted_and_timed(tmp_path):
    from benchmark_throughput import measure_throughput

    from stgt_mm.analysis.flops import Sizes, count_flops
    from stgt_mm.random_weights import build_on_meta

    publish('clip', tmp_path)
    model = build(tmp_path)
    clips = [
        dict(inputs=torch.zeros(FRAMES, 3, SIDE, SIDE).byte(), data_samples=VideoTextSample())
        for _ in range(2)
    ]
    found = measure_throughput(model, clips, TEXTS, candidates=2)
    assert found.candidates == 0 and found.logits.shape == (1, len(TEXTS))
    assert list(found.wall) == ['decode', 'prepare', 'backbone', 'similarity']
    towers = dict(type='TransformersTowers', config=dict(model_type='clip', **CONFIGS['clip']))
    meta = build_on_meta(
        dict(
            type='DualEncoder',
            backbone=towers,
            data_preprocessor=dict(type='VideoTextDataPreprocessor', tokenizer={}),
        )
    )
    video, caption = count_flops(meta, Sizes(FRAMES, (SIDE, SIDE), LENGTH, 0))
    tokens, width, hidden = FRAMES * 17, 32, 64
    blocks = 2 * (tokens * (4 * width**2 + 2 * width * hidden) + 2 * FRAMES * 17**2 * width)
    products = blocks + FRAMES * (16 * width * 3 * 8 * 8 + width * 32)
    assert video.flops - video.by_operator['layer_norm'] == products
    assert caption.flops > 0 and not video.unknown and not caption.unknown
