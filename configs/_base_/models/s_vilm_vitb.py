"""S-ViLM at the paper's size: a 12-block ViT-B over tubelets with 32 groups, and BERT base."""

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
        tokenizer=dict(type=WordPieceTokenizer, vocab='weights/bert-base-uncased/vocab.txt', max_length=32),
        batch_transforms=[
            dict(type=CutPasteBlend, tubelet=2),
            dict(type=NounPrompts, max_phrases=2, templates=['a video of a {}']),
        ],
    ),
    backbone=dict(
        type=GroupedViT,
        model_name='vit_base_patch16_224.augreg_in21k',
        img_size=224,
        checkpoint='weights/vit_base_patch16_224.augreg_in21k/model.safetensors',
        tubelet=2,
        num_frames=32,
        num_groups=32,
        group_after=(6, 9, 12),
    ),
    text_encoder=dict(
        type=TextEncoder,
        pretrained='weights/bert-base-uncased',
        config=dict(model_type='bert', vocab_size=30522),
    ),
    contrastive_head=dict(type=ContrastiveHead, embed_dim=256, vtc=dict(type=VTC, label_smoothing=0.0)),
    auxiliary_heads=dict(
        temporal_grouping=dict(type=TemporalGroupingHead),
        noun_grounding=dict(type=NounGroundingHead, width=768),
    ),
)
