"""Question answering by S-ViLM's two encoders, joined by an MLP before a closed vocabulary."""

from mmengine.config import read_base

with read_base():
    from .s_vilm_vitb import *

from stgt_mm.models import AnswerHead, DualEncoderAnswerer

model.data_preprocessor.batch_transforms = []
parts = {name: model[name] for name in ('data_preprocessor', 'backbone', 'text_encoder')}
model = dict(type=DualEncoderAnswerer, answer_head=dict(type=AnswerHead, width=768), **parts)
