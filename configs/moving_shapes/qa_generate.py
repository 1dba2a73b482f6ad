"""Tiny question answering from the quickstart's aligner: a tiny language model, trained along.

Its tokens are the words of the training questions and answers.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.moving_shapes_qa import *
    from .._base_.default_runtime import *
    from .._base_.models.answerer_tiny import *
    from .._base_.schedules.tiny_qa import *

from stgt_mm.models import CausalLanguageModel

opt = dict(
    model_type='opt',
    hidden_size=96,
    word_embed_proj_dim=96,
    ffn_dim=192,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=64,
    dropout=0.0,
)
model.update(
    language_model=dict(
        type=CausalLanguageModel, config=opt, tokenizer=f'{data_root}/qa_vocab.txt', frozen=False
    ),
    prompt='{question}',
)
default_hooks.checkpoint.save_best = 'qa/accuracy'
