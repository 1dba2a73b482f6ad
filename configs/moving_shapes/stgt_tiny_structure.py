"""Tiny STGT with S-ViLM's two objectives beside its own, on the neck's tokens."""

from mmengine.config import read_base

with read_base():
    from .stgt_tiny import *

from stgt_mm.models import CutPasteBlend, NounGroundingHead, NounPrompts, TemporalGroupingHead

model.data_preprocessor.batch_transforms = [
    dict(type=CutPasteBlend, prob=0.5, min_ratio=0.5),
    dict(type=NounPrompts),
]
model.auxiliary_heads = dict(
    temporal_grouping=dict(type=TemporalGroupingHead),
    noun_grounding=dict(type=NounGroundingHead, width=96, embed_dim=96),
)
