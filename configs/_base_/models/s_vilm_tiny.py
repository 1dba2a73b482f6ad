"""Tiny S-ViLM: 48 x 48 px, 8 groups, the ViT that ships with the package as a start, for two CPU cores."""

from stgt_mm.models import (
    VTC,
    ContrastiveHead,
    CutPasteBlend,
    GroupedViT,
    NounGroundingHead,
    NounPrompts,
    SViLM,
    TemporalGroupingHead,
    TextEncoder,
    VideoTextDataPreprocessor,
    WordPieceTokenizer,
)

model = dict(
    type=SViLM,
    data_preprocessor=dict(
        type=VideoTextDataPreprocessor,
        tokenizer=dict(type=WordPieceTokenizer, vocab='data/moving_shapes/vocab.txt', max_length=32),
        batch_transforms=[dict(type=CutPasteBlend, prob=0.5, min_ratio=0.5), dict(type=NounPrompts)],
    ),
    backbone=dict(
        type=GroupedViT,
        model_name='vit_tiny_patch16_224',
        img_size=48,
        patch_size=8,
        embed_dim=96,
        depth=3,
        num_heads=4,
        checkpoint='package://stgt_mm/weights/tiny_vit.safetensors',
        final_norm=False,
        tubelet=1,
        attention='frame',
        num_frames=8,
        num_groups=8,
        group_after=(2, 3),
        # a group knows of the clip only what has chosen it: else nouns find groups that are elsewhere
        group_tokens_in_attention=False,
    ),
    vision_norm=dict(eps=1e-5),
    text_encoder=dict(
        type=TextEncoder,
        config=dict(
            model_type='bert',
            hidden_size=96,
            intermediate_size=384,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=40,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        ),
    ),
    contrastive_head=dict(
        type=ContrastiveHead,
        embed_dim=96,
        temperature=0.03,
        temperature_range=(0.005, 0.03),
        vtc=dict(type=VTC, label_smoothing=0.0),
    ),
    auxiliary_heads=dict(
        temporal_grouping=dict(type=TemporalGroupingHead),
        noun_grounding=dict(type=NounGroundingHead, width=96, embed_dim=96),
    ),
)
