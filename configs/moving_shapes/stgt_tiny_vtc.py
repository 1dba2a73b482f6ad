"""Tiny STGT on Moving Shapes without CSAL, trained at h = 0.1: where Figure 7a (h in testing) is swept."""

from mmengine.config import read_base

with read_base():
    from .stgt_tiny import *

model.neck.similarity_threshold = 0.1
param_scheduler.stages = [(train_cfg.max_epochs, param_scheduler.stages[0][1])]
custom_hooks = [
    dict(hook, stages=[(train_cfg.max_epochs, 1.0)]) if 'stages' in hook else hook for hook in custom_hooks
]
