"""An aligner small enough for a unit test, in float64, without randomness."""

import torch

from stgt_mm.models.tokenizer import SPECIAL_TOKENS
from stgt_mm.registry import MODELS
from stgt_mm.structures import VideoTextSample

WORDS = [*SPECIAL_TOKENS, 'a', 'red', 'blue', 'dog', 'cat', 'runs', 'sleeps', 'far']
TEXTS = ['a red dog runs', 'a blue cat', 'a cat sleeps far far far', 'red', 'a blue dog runs far']
CAPTIONS = ['a red circle moves left', 'a blue square moves right and stops', 'the red circle grows']
NECKS = {
    'stgt': dict(type='STGT', embed_dims=16, num_heads=2, num_frames=3, grid_size=2, attn_drop=0.0),
    'cross_frame': dict(type='CrossFrameNeck', embed_dims=16, num_heads=2, num_frames=3),
    'mean_pool': dict(type='MeanPoolNeck'),
    'none': None,
}


def aligner_config(vocab, neck='stgt', alpha=1.0):
    qformer = dict(type='QFormer', width=8, depth=2, num_heads=2, num_queries=3, vision_width=16, dropout=0.0)
    vit = dict(
        model_name='vit_tiny_patch16_224', img_size=16, patch_size=8, embed_dim=16, depth=1, num_heads=2
    )
    return dict(
        type='VideoTextAligner',
        data_preprocessor=dict(
            type='VideoTextDataPreprocessor', tokenizer=dict(type='WordPieceTokenizer', vocab=str(vocab))
        ),
        backbone=dict(type='TimmViT', **vit),
        neck=NECKS[neck],
        vision_norm=dict(eps=1e-5),
        qformer=dict(**qformer, max_positions=16),
        contrastive_head=dict(type='ContrastiveHead', width=8, embed_dim=6, alpha=alpha),
        matching_head=dict(type='MatchingHead', width=8, hard_fraction=0.5),
        caption_head=dict(type='CaptionHead'),
    )


def write_vocab(folder):
    path = folder / 'vocab.txt'
    path.write_text('\n'.join(WORDS) + '\n')
    return path


WITHOUT = {
    'nothing': {},
    'captions': {'caption_head': None},
    'matching': {'matching_head': None},
    'global passes': {'neck': {**NECKS['stgt'], 'global_passes': 0}},
}


def build_aligner(vocab, neck='stgt', alpha=1.0, seed=0, without='nothing'):
    torch.manual_seed(seed)
    return MODELS.build({**aligner_config(vocab, neck, alpha), **WITHOUT[without]}).double().train()


def total(losses):
    return sum(value for key, value in losses.items() if 'loss' in key)


def prepared_batch(aligner, rows, noise=None):
    """Rows of a fixed batch of five clips, prepared as training would, in float64."""
    clips = torch.randint(
        0, 256, (5, 3, 3, 16, 16), generator=torch.Generator().manual_seed(1), dtype=torch.uint8
    )
    rows = list(rows)
    samples = [VideoTextSample(metainfo=dict(video_id=f'v{i}', text=TEXTS[i])) for i in rows]
    batch = aligner.data_preprocessor({'inputs': clips[rows], 'data_samples': samples})
    batch['inputs']['video'] = batch['inputs']['video'].double()
    if noise is not None:
        batch['inputs']['negative_noise'] = noise[:, rows]
    return batch
