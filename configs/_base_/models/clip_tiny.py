"""A small CLIPModel from random weights, 48 x 48 px: about as many weights as the tiny STGT with its ViT."""

from stgt_mm.models import (
    VTC,
    ContrastiveHead,
    DualEncoder,
    TransformersTowers,
    VideoTextDataPreprocessor,
    WordPieceTokenizer,
)

tower = dict(hidden_size=96, intermediate_size=384, num_attention_heads=4)
model = dict(
    type=DualEncoder,
    data_preprocessor=dict(
        type=VideoTextDataPreprocessor,
        tokenizer=dict(type=WordPieceTokenizer, vocab='data/moving_shapes/vocab.txt', max_length=32),
    ),
    backbone=dict(
        type=TransformersTowers,
        config=dict(
            model_type='clip',
            projection_dim=96,
            vision_config=dict(image_size=48, patch_size=8, num_hidden_layers=3, **tower),
            text_config=dict(vocab_size=None, max_position_embeddings=40, num_hidden_layers=3, **tower),
        ),
        trainable=['video', 'text'],
    ),
    contrastive_head=dict(
        type=ContrastiveHead,
        width=None,
        temperature=0.03,
        temperature_range=(0.005, 0.03),
        vtc=dict(type=VTC, label_smoothing=0.0),
    ),
)
