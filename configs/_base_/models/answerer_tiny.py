"""Tiny question answering: all but the heads of the quickstart's aligner, which it starts from."""

from mmengine.config import read_base

with read_base():
    from .stgt_tiny import *

from stgt_mm.models import VideoQuestionAnswerer

# Words of questions that no caption has are read letter by letter.
model.data_preprocessor.tokenizer.max_length = 40
parts = {name: model[name] for name in ('data_preprocessor', 'backbone', 'neck', 'vision_norm', 'qformer')}
model = dict(type=VideoQuestionAnswerer, checkpoint='work_dirs/quickstart/best_t2v_Rmean.pth', **parts)
