"""A linear probe of the quickstart's aligner: which of 130 events a clip shows, by its mean video token.

Backbone, neck and norm are the aligner's, frozen; a linear layer behind batch norm trains for 10 epochs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.moving_shapes_actions import *
    from .._base_.default_runtime import *
    from .._base_.models.stgt_tiny import *
    from .._base_.schedules.tiny_probe import *

from stgt_mm.models import ActionClassifier, ActionHead

parts = {name: model[name] for name in ('backbone', 'neck', 'vision_norm')}
model = dict(
    type=ActionClassifier,
    data_preprocessor=dict(type=VideoTextDataPreprocessor),
    action_head=dict(type=ActionHead, width=96, actions=actions, norm='batch'),
    checkpoint='work_dirs/quickstart/best_t2v_Rmean.pth',
    **parts,
)
default_hooks.checkpoint.update(interval=10, save_best='action/top1')
