"""STGT at the paper's size: EVA-CLIP's ViT-g frozen, BLIP-2's Q-Former, 246.2M learnable (Table 6)."""

from stgt_mm.models import (
    CSAL,
    STGT,
    VTC,
    VTG,
    VTM,
    CaptionHead,
    ContrastiveHead,
    MatchingHead,
    QFormer,
    TimmViT,
    VideoTextAligner,
    VideoTextDataPreprocessor,
    WordPieceTokenizer,
)

model = dict(
    type=VideoTextAligner,
    data_preprocessor=dict(
        type=VideoTextDataPreprocessor,
        tokenizer=dict(type=WordPieceTokenizer, vocab='weights/bert-base-uncased/vocab.txt', max_length=32),
    ),
    backbone=dict(
        type=TimmViT,
        model_name='eva_giant_patch14_clip_224',
        depth=39,
        img_size=224,
        checkpoint='weights/eva_vit_g.safetensors',
    ),
    neck=dict(
        type=STGT,
        embed_dims=1408,
        num_heads=16,
        num_frames=8,
        grid_size=16,
        similarity_threshold=0.1,
        test_similarity_threshold=0.5,
    ),
    vision_norm=dict(eps=1e-5),
    qformer=dict(
        type=QFormer,
        vocab_size=30523,
        width=768,
        depth=12,
        num_heads=12,
        num_queries=32,
        vision_width=1408,
    ),
    contrastive_head=dict(
        type=ContrastiveHead,
        width=768,
        embed_dim=256,
        vtc=dict(type=VTC, label_smoothing=0.1),
        csal=dict(type=CSAL, gamma=5.0),
    ),
    matching_head=dict(type=MatchingHead, width=768, loss=dict(type=VTM)),
    caption_head=dict(type=CaptionHead, loss=dict(type=VTG)),
)
