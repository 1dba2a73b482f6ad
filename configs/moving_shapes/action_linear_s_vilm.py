"""A linear probe of tiny S-ViLM: which of 130 events a clip shows, by its mean video token.

The last grouping block is left out: no video token depends on it.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.moving_shapes_actions import *
    from .._base_.default_runtime import *
    from .._base_.models.s_vilm_tiny import *
    from .._base_.schedules.tiny_probe import *

from stgt_mm.models import ActionClassifier, ActionHead

model.backbone.update(group_after=model.backbone.group_after[:-1], checkpoint=None, frozen=True)
model = dict(
    type=ActionClassifier,
    data_preprocessor=dict(type=VideoTextDataPreprocessor),
    backbone=model.backbone,
    vision_norm=model.vision_norm,
    action_head=dict(type=ActionHead, width=96, actions=actions, norm='batch'),
    checkpoint='work_dirs/s_vilm_tiny/best_t2v_Rmean.pth',
)
default_hooks.checkpoint.update(interval=10, save_best='action/top1')
