"""A public dual encoder; a config names its weights for backbone, tokenizer and both pipelines."""

from stgt_mm.models import (
    VTC,
    ContrastiveHead,
    DualEncoder,
    PretrainedTokenizer,
    TransformersTowers,
    VideoTextDataPreprocessor,
)

model = dict(
    type=DualEncoder,
    data_preprocessor=dict(
        type=VideoTextDataPreprocessor,
        tokenizer=dict(type=PretrainedTokenizer, pretrained='weights/clip-vit-base-patch32', max_length=32),
        max_words=None,
    ),
    backbone=dict(type=TransformersTowers, pretrained='weights/clip-vit-base-patch32'),
    contrastive_head=dict(
        type=ContrastiveHead,
        width=None,
        temperature_range=(0.001, 0.5),
        vtc=dict(type=VTC, label_smoothing=0.0),
    ),
)
