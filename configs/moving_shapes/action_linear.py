"""A linear probe of the quickstart's aligner: which of 130 events a clip shows, by its mean video token.

Backbone, neck and norm are the aligner's, frozen; a linear layer behind batch norm trains for 10 epochs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.moving_shapes_actions import *
    from .._base_.default_runtime import *
    from .._base_.models.stgt_tiny import *
    from .._base_.schedules.tiny_qa import *

from stgt_mm.models import ActionClassifier, ActionHead

parts = {name: model[name] for name in ('backbone', 'neck', 'vision_norm')}
model = dict(
    type=ActionClassifier,
    data_preprocessor=dict(type=VideoTextDataPreprocessor),
    action_head=dict(type=ActionHead, width=96, actions=actions, norm='batch'),
    checkpoint='work_dirs/quickstart/best_t2v_Rmean.pth',
    **parts,
)
train_cfg.update(max_epochs=10, val_interval=5)
optim_wrapper.optimizer.update(lr=1e-2, weight_decay=0.0)
param_scheduler.stages = [(10, 1e-2)]
default_hooks.checkpoint.update(interval=10, save_best='action/top1')
