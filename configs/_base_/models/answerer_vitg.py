"""Question answering at the paper's size: all but the heads of an aligner, which it starts from."""

from mmengine.config import read_base

with read_base():
    from .stgt_vitg import *

from stgt_mm.models import VideoQuestionAnswerer

parts = {name: model[name] for name in ('data_preprocessor', 'backbone', 'neck', 'vision_norm', 'qformer')}
model = dict(type=VideoQuestionAnswerer, checkpoint='weights/stgt_w10m_v7m_256.safetensors', **parts)
