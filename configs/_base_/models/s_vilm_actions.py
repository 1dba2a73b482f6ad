"""Action recognition with S-ViLM's video encoder at the paper's size, from a pre-trained S-ViLM.

The grouping block behind the last layer is left out: no video token depends on it.
"""

from mmengine.config import read_base

with read_base():
    from .s_vilm_vitb import *

from stgt_mm.models import ActionClassifier, ActionHead

model.backbone.update(group_after=model.backbone.group_after[:-1], checkpoint=None)
model = dict(
    type=ActionClassifier,
    data_preprocessor=dict(type=VideoTextDataPreprocessor),
    backbone=model.backbone,
    action_head=dict(type=ActionHead, width=768),
    checkpoint='work_dirs/pretrain_videocc/epoch_10.pth',
)
