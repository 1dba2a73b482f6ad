"""Tiny STGT on Moving Shapes, both stages of the paper (VTC+VTM+VTG, then CSAL+VTM+VTG): the quickstart."""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.moving_shapes import *
    from .._base_.default_runtime import *
    from .._base_.models.stgt_tiny import *

from torch.optim import AdamW

from stgt_mm.engine.hooks import AlignmentStageHook, FeatureCacheHook, VisionNormInitHook
from stgt_mm.engine.loops import ResumableEpochLoop
from stgt_mm.engine.optim import AutocastOptimWrapper, TrainableParamsConstructor
from stgt_mm.engine.schedulers import StagedWarmupCosine

stages = [(8, 5e-4), (2, 2e-4)]
train_cfg = dict(type=ResumableEpochLoop, max_epochs=10, val_interval=2)
optim_wrapper = dict(
    type=AutocastOptimWrapper,
    optimizer=dict(type=AdamW, lr=5e-4, weight_decay=0.05, betas=(0.9, 0.98)),
    constructor=TrainableParamsConstructor,
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = dict(
    type=StagedWarmupCosine, convert_to_iter_based=True, stages=stages, warmup_ratio=0.05, min_lr=1e-5
)
custom_hooks = [
    dict(type=FeatureCacheHook),
    dict(type=AlignmentStageHook, stages=[(8, 1.0), (2, 0.0)]),
    dict(type=VisionNormInitHook),
]
